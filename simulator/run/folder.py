"""What a run leaves on disk, written while it goes: a run that is killed has left everything but, perhaps, the end of a line."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any, Final

import orjson

from simulator.audit import RECORDS
from simulator.report.run_folder import EVENTS, INTERVALS, MANIFEST, SAMPLES, SUMMARY
from simulator.run.options import RunError, RunOptions

JOURNAL: Final = "journal-{}.ndjson"
"""Where an engine writes which sessions are open."""
MOST_OF_A_SECOND: Final = 1_000
"""Folders of one profile whose runs began in the same second."""


class Lines:
    """A file of JSON lines that grows. Each is handed to the system at once and whole, so that a killed run has left it.

    The first one that cannot be written is told to `on_trouble`, in words, and is the last that is tried.
    """

    def __init__(self, path: Path, on_trouble: Callable[[str], None]) -> None:
        self._path = path
        self._on_trouble = on_trouble
        self._file: FileIO | None = None
        self.lost = False
        self.count = 0

    def write(self, row: object) -> None:
        """Append one row."""
        if self.lost:
            return
        line = orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
        try:
            if self._file is None:
                self._file = self._path.open("ab", buffering=0)
            why = "" if self._file.write(line) == len(line) else os.strerror(errno.ENOSPC)
        except OSError as error:
            why = error.strerror or str(error)
        if why:
            self.lost = True
            self._on_trouble(f"{self._path.stem} cannot be written to {self._path.parent}: {why}")
        else:
            self.count += 1

    def close(self) -> None:
        """Nothing more will come."""
        if self._file is not None:
            self._file.close()


class RunFolder:
    """One run's files. `kept` is False where it goes when the run is over; then only what the run itself needs is written.

    What cannot be written is put into `trouble`; it does not end the run.
    """

    def __init__(self, path: Path, *, kept: bool) -> None:
        self.path = path
        self.kept = kept
        self.trouble: list[str] = []
        self.begun = False
        """Whether the load has begun, as far as the folder tells."""
        self.intervals = Lines(path / INTERVALS, self.trouble.append)
        self.events = Lines(path / EVENTS, self.trouble.append)
        self.samples = Lines(path / SAMPLES, self.trouble.append)

    def records(self, worker: int) -> Path:
        """Where an engine writes the records of ended sessions."""
        return self.path / RECORDS.format(worker)

    def journal(self, worker: int) -> Path | None:
        """Where an engine writes which sessions are open; None where nobody could read it."""
        return self.path / JOURNAL.format(worker) if self.kept else None

    def trace(self, name: str) -> Path:
        """Where the call flow of a subscriber, `imsi-…`, is written."""
        return self.path / f"trace-{name}.txt"

    def keep_sample(self, worker: int, sample: dict[str, Any]) -> None:
        """Keep a failed attempt."""
        if self.kept:
            self.samples.write({"at_s": sample.pop("at_s"), "worker": worker, **sample})

    def notes(self, traced: Iterable[str] = ()) -> list[str]:
        """What a reader of the summary finds here besides the usual."""
        notes = []
        if self.samples.count:
            notes.append(f"samples of {self.samples.count:,} failures: {self.path / 'samples.ndjson'}")
        for name in traced:
            file = self.trace(name)
            notes.append(f"trace: {file}" if file.exists() else f"trace: {name} had no session in this run")
        return notes

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        """Say what this run is, before its load begins; either all of it is there or nothing. Raises RunError."""
        if self.kept:
            try:
                self._write(MANIFEST, manifest)
            except OSError as error:
                raise RunError(f"manifest.json cannot be written to {self.path}: {error.strerror}") from None
        self.begun = True

    def write_summary(self, summary: dict[str, Any]) -> str:
        """Write what was found; return why it cannot be, "" if it can."""
        if not self.kept:
            return ""
        try:
            self._write(SUMMARY, summary)
        except OSError as error:
            return f"summary.json cannot be written to {self.path}: {error.strerror}"
        return ""

    def _write(self, name: str, document: dict[str, Any]) -> None:
        unfinished = self.path / f".{name}"
        unfinished.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        unfinished.replace(self.path / name)

    def close(self) -> None:
        """Nothing more is written."""
        for lines in (self.intervals, self.events, self.samples):
            lines.close()


@contextmanager
def run_folder(options: RunOptions) -> Iterator[RunFolder]:
    """Where the run leaves its records: a given folder, one of its own among others, or a temporary one. Raises RunError.

    A folder of its own is taken away again where the run ended before its load began.
    """
    if options.out is not None:
        folder = RunFolder(_given(options.out), kept=True)
    elif options.runs is not None:
        folder = RunFolder(_own(options.runs, options.profile.name), kept=True)
    else:
        folder = RunFolder(Path(tempfile.mkdtemp(prefix="smfleet-")), kept=False)
    try:
        yield folder
    finally:
        folder.close()
        if not folder.kept or (options.out is None and not folder.begun):
            shutil.rmtree(folder.path, ignore_errors=True)
            if options.runs is not None:
                with suppress(OSError):  # it is not empty
                    options.runs.rmdir()


def _given(out: Path) -> Path:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"--out {out}: {error.strerror}") from None
    if any(out.iterdir()):
        raise RunError(f"--out {out}: the folder is not empty, and a run's records are never overwritten")
    return out


def _own(runs: Path, profile: str) -> Path:
    """A new folder, named by the time (UTC) and the profile; `-2`, `-3`, … where that second has one already."""
    name = "".join(each if each.isalnum() or each in "-_." else "-" for each in profile)[:100]
    stem = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{name}"
    for number in range(1, MOST_OF_A_SECOND):
        path = runs / (stem if number == 1 else f"{stem}-{number}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise RunError(
                f"{path}: {error.strerror}; --out names another folder, --no-records leaves nothing"
            ) from None
        return path
    raise RunError(f"{runs}: {MOST_OF_A_SECOND:,} runs have begun in this second")
