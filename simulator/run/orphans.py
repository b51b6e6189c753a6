"""What a run has left open at the CHF, as its folder tells: its journals, less what its records and a release say is over."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import ValidationError

from simulator.audit import AuditError, read_rows
from simulator.config import Profile
from simulator.measure import Snapshot
from simulator.run.manifest import FORMAT
from simulator.run.options import RunError

RELEASED_FILE: Final = "released.ndjson"
RELEASED: Final = "released"
UNKNOWN: Final = "unknown"
FAILED: Final = "failed"
OVER: Final = (RELEASED, UNKNOWN)
SESSIONS: Final = ("SCUR", "ECUR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """A charging session that the CHF may still have. `slot` is its place among those of its usage, `chf` counts from 1."""

    worker: int
    number: int
    usage: str
    subscriber: int
    slot: int
    reference: str
    started: int
    chf: int = 1
    path: str = ""
    origin: str = ""


class PastRun:
    """The folder of a run that is over. Raises RunError for one that is none, or whose run goes on (unless `force`)."""

    def __init__(self, folder: Path, *, force: bool = False) -> None:
        self.folder = folder
        self.manifest = _manifest(folder)
        self.over_in_order = (folder / "summary.json").exists()
        pid = self.manifest.get("driver_pid")
        if not self.over_in_order and not force and isinstance(pid, int) and _is_alive(pid):
            raise RunError(
                f"{folder}: its run is still going (process {pid}); --force releases its sessions all the same"
            )
        self.profile = _profile(folder, self.manifest)
        self.workers = int(self.manifest["workers"])
        self.epoch = int(self.manifest["epoch"])

    def orphans(self) -> Iterator[Orphan]:
        """What may be open, worker by worker. Memory does not grow with the run: what is known is sorted on disk."""
        for worker in range(self.workers):
            with closing(sqlite3.connect("")) as table:  # a temporary file, gone when it is closed
                table.execute("CREATE TABLE open (ref TEXT PRIMARY KEY, line BLOB) WITHOUT ROWID")
                for row in self._rows(f"journal-{worker}.ndjson"):
                    table.execute("INSERT OR REPLACE INTO open VALUES (?, ?)", (row["ref"], orjson.dumps(row)))
                for row in self._rows(f"records-{worker}.ndjson"):
                    if row["ref"] is not None and row["released"]:
                        table.execute("DELETE FROM open WHERE ref = ?", (row["ref"],))
                for row in self._rows(RELEASED_FILE):
                    if row["outcome"] in OVER:
                        table.execute("DELETE FROM open WHERE ref = ?", (row["ref"],))
                for (line,) in table.execute("SELECT line FROM open"):
                    yield _orphan(worker, orjson.loads(line))

    def unnamed(self) -> int:
        """How many sessions the CHF may have that nobody can name, at most: their Create was not answered, or not written down.

        Those that began by the last interval and are in no file, those that began in an interval like the last one after it, and
        those whose Create failed.
        """
        with closing(sqlite3.connect("")) as table:
            table.execute("CREATE TABLE known (number INTEGER PRIMARY KEY, nameless INTEGER)")
            known = "INSERT OR REPLACE INTO known VALUES (?, ?)"
            for worker in range(self.workers):
                for row in self._rows(f"journal-{worker}.ndjson"):
                    table.execute(known, (row["number"], 0))
                for row in self._rows(f"records-{worker}.ndjson"):
                    if row["operation"] in SESSIONS:
                        lost = row["ref"] is None and row["end"] in ("failed", "open")
                        table.execute(known, (row["number"], int(lost)))
            ((seen, nameless),) = table.execute("SELECT COUNT(*), TOTAL(nameless) FROM known")
        if self.over_in_order:
            return int(nameless)
        usages = [name for name, usage in self.profile.usages.items() if str(usage.charging) in SESSIONS]
        started = last = 0
        for row in self._rows("intervals.ndjson"):
            row.pop("worker")
            snapshot = Snapshot.from_wire(row)
            last = sum(snapshot.count("sessions", "started", usage) for usage in usages)
            started += last
        return int(nameless) + max(0, started - int(seen)) + last * self.workers

    def _rows(self, name: str) -> Iterator[dict[str, Any]]:
        file = self.folder / name
        with suppress(FileNotFoundError), file.open("rb") as lines:
            try:
                yield from read_rows(lines)
            except AuditError as error:
                raise RunError(f"{file}: {error}") from None


def _manifest(folder: Path) -> dict[str, Any]:
    file = folder / "manifest.json"
    try:
        manifest = orjson.loads(file.read_bytes())
    except OSError as error:
        raise RunError(f"{file}: {error.strerror}: this is no folder of a run") from None
    except orjson.JSONDecodeError as error:
        raise RunError(f"{file}: no JSON: {error}") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise RunError(f"{file}: expected a manifest of format {FORMAT}")
    missing = {"profile", "seed", "workers", "epoch", "targets", "sandbox"} - manifest.keys()
    if missing:
        raise RunError(f"{file}: {', '.join(sorted(missing))}: missing")
    return manifest


def _profile(folder: Path, manifest: dict[str, Any]) -> Profile:
    try:
        return Profile.model_validate(manifest["profile"])
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise RunError(f"{folder / 'manifest.json'}: profile.{where}: {error.errors()[0]['msg']}") from None


def _orphan(worker: int, row: dict[str, Any]) -> Orphan:
    row["reference"] = row.pop("ref")
    try:
        return Orphan(worker=worker, **row)
    except TypeError as error:
        raise RunError(f"journal-{worker}.ndjson: not a line of this version's: {error}") from None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Killed, and its parent has not looked yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False
