"""What a run has left open at the CHF, as its folder tells: its journals, less what its records and a release say is over."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from simulator.audit import RECORDS, AuditError, read_rows
from simulator.config import Profile
from simulator.measure import Snapshot
from simulator.report.run_folder import MANIFEST, SUMMARY, RunFolderError, read_intervals
from simulator.run.folder import JOURNAL
from simulator.run.limits import MOST_WORKERS
from simulator.run.manifest import FORMAT
from simulator.run.options import RunError

RELEASED_FILE: Final = "released.ndjson"
RELEASED: Final = "released"
UNKNOWN: Final = "unknown"
FAILED: Final = "failed"
SESSIONS: Final = ("SCUR", "ECUR")
MOST_PID: Final = (1 << 31) - 1
LARGEST: Final = (1 << 62) - 1
"""Of any number in these files; moments (ns) this late are in the year 2116."""

Counted = Annotated[int, Field(ge=0, le=LARGEST)]
OnTheWire = Annotated[str, Field(pattern=r"^[\x00-\xff]*$")]
"""What goes into a header: octets, one a character."""


class _Line(BaseModel):
    """What is read is what it says it is: no text that looks like a number."""

    model_config: ClassVar[ConfigDict] = ConfigDict(strict=True)


class _Manifest(_Line):
    seed: int
    workers: Annotated[int, Field(ge=1, le=MOST_WORKERS)]
    epoch: Counted
    targets: list[str]
    sandbox: bool


class _Journal(_Line):
    """A session that was open."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    number: Counted
    usage: str
    subscriber: Counted
    slot: Counted
    ref: OnTheWire
    started: Counted
    chf: Annotated[int, Field(ge=1)] = 1
    path: OnTheWire = ""
    origin: OnTheWire = ""


class _Record(_Line):
    """What is read of a record of an ended session."""

    number: Counted
    ref: str | None
    released: bool
    operation: str
    end: str


class _Release(_Line):
    """What is read of a Release of an earlier call."""

    ref: str
    outcome: str


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
        self.over_in_order = (folder / SUMMARY).exists()
        pid = self.manifest.get("driver_pid")
        if not self.over_in_order and not force and isinstance(pid, int) and 0 < pid <= MOST_PID and _is_alive(pid):
            raise RunError(
                f"{folder}: its run is still going (process {pid}); --force releases its sessions all the same"
            )
        self.profile = _profile(folder, self.manifest)
        self.workers: int = self.manifest["workers"]
        self.epoch: int = self.manifest["epoch"]

    def orphans(self) -> Iterator[Orphan]:
        """What may be open, worker by worker. Memory does not grow with the run: what is known is sorted on disk."""
        for worker in range(self.workers):
            with closing(sqlite3.connect("")) as table:  # a temporary file, gone when it is closed
                table.execute("CREATE TABLE open (ref TEXT PRIMARY KEY, line BLOB) WITHOUT ROWID")
                for row in self._rows(JOURNAL.format(worker), _Journal):
                    table.execute("INSERT OR REPLACE INTO open VALUES (?, ?)", (row["ref"], orjson.dumps(row)))
                for row in self._rows(RECORDS.format(worker), _Record):
                    if row["ref"] is not None and row["released"]:
                        table.execute("DELETE FROM open WHERE ref = ?", (row["ref"],))
                for row in self._rows(RELEASED_FILE, _Release):
                    if row["outcome"] == RELEASED:  # one that was unknown may have been asked for at the wrong CHF
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
                for row in self._rows(JOURNAL.format(worker), _Journal):
                    table.execute(known, (row["number"], 0))
                for row in self._rows(RECORDS.format(worker), _Record):
                    if row["operation"] in SESSIONS:
                        lost = row["ref"] is None and row["end"] in ("failed", "open")
                        table.execute(known, (row["number"], int(lost)))
            ((seen, nameless),) = table.execute("SELECT COUNT(*), TOTAL(nameless) FROM known")
        if self.over_in_order:
            return int(nameless)
        usages = [name for name, usage in self.profile.usages.items() if str(usage.charging) in SESSIONS]
        started = last = 0
        for snapshot in self._intervals():
            last = sum(snapshot.count("sessions", "started", usage) for usage in usages)
            started += last
        return int(nameless) + max(0, started - int(seen)) + last * self.workers

    def _intervals(self) -> Iterator[Snapshot]:
        try:
            for _, snapshot in read_intervals(self.folder):
                yield snapshot
        except FileNotFoundError:
            return
        except RunFolderError as error:
            raise RunError(str(error)) from None

    def _rows(self, name: str, shape: type[_Line]) -> Iterator[dict[str, Any]]:
        file = self.folder / name
        number = 0
        try:
            with file.open("rb") as lines:
                for row in read_rows(lines):
                    number += 1
                    shape.model_validate(row)
                    yield row
        except FileNotFoundError:
            return
        except (AuditError, OSError) as error:
            raise RunError(f"{file}: {error.strerror if isinstance(error, OSError) else error}") from None
        except ValidationError as error:
            raise RunError(f"{file}, line {number}: {_problem(error)}") from None


def _problem(error: ValidationError) -> str:
    """The first of them, in words."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else first["msg"]


def _manifest(folder: Path) -> dict[str, Any]:
    file = folder / MANIFEST
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
    try:
        _Manifest.model_validate(manifest)
    except ValidationError as error:
        raise RunError(f"{file}: {_problem(error)}") from None
    return manifest


def _profile(folder: Path, manifest: dict[str, Any]) -> Profile:
    try:
        return Profile.model_validate(manifest["profile"])
    except ValidationError as error:
        raise RunError(f"{folder / 'manifest.json'}: profile.{_problem(error)}") from None


def _orphan(worker: int, row: dict[str, Any]) -> Orphan:
    row["reference"] = row.pop("ref")
    return Orphan(worker=worker, **row)


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
