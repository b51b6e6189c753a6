"""The audit: what was used, against what the CHF acknowledged and what its books hold."""

from simulator.audit.auditor import Audit, AuditError, Auditor, Offence
from simulator.audit.folder import LEDGER, LEDGER_BEFORE, RECORDS, join_books
from simulator.audit.judgement import Account, Doubt, Judgement, explain, judge
from simulator.audit.ndjson import read_rows

__all__ = [
    "LEDGER",
    "LEDGER_BEFORE",
    "RECORDS",
    "Account",
    "Audit",
    "AuditError",
    "Auditor",
    "Doubt",
    "Judgement",
    "Offence",
    "explain",
    "join_books",
    "judge",
    "read_rows",
]
