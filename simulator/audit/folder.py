"""The books of a run as they lie in its folder, joined."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from simulator.audit.auditor import Audit, Auditor
from simulator.audit.ndjson import read_rows

LEDGER: Final = "ledger.ndjson"
"""The CHF's books after the run."""
LEDGER_BEFORE: Final = "ledger-before.ndjson"
"""What was in them before: not this run's."""
RECORDS: Final = "records-{}.ndjson"
"""The fleet's own, of each engine."""


def join_books(folder: Path, unverifiable: str = "") -> Audit:
    """Join what the fleet recorded with the CHF's ledger, as far as either is there. Raises AuditError and sqlite3.Error."""
    auditor = Auditor(unverifiable=unverifiable)
    for file in sorted(folder.glob(RECORDS.format("*"))):
        with file.open("rb") as lines:
            auditor.add_records(read_rows(lines))
    for name, add in ((LEDGER_BEFORE, auditor.exclude), (LEDGER, auditor.add_ledger)):
        file = folder / name
        if file.exists():
            with file.open("rb") as lines:
                add(read_rows(lines))
    return auditor.finish()
