"""Reads what a run left behind, also one that was killed in the middle."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from simulator.audit import Audit, AuditError, join_books
from simulator.measure import Snapshot, Threshold, ThresholdError, Totals, Watch, parse_threshold
from simulator.report.facts import RunFacts
from simulator.report.series import Series
from simulator.report.summary import build_summary

Json = dict[str, Any]

INTERVALS: Final = "intervals.ndjson"
SUMMARY: Final = "summary.json"
NEEDED: Final = {"operations", "target", "verdict", "exit_code", "phases", "arrivals", "sessions", "generator"}
MOST_LINE: Final = 64 << 20
"""Octets of one line; a snapshot of a large profile is some 100 KB."""
MOST_ROWS: Final = 10_000
"""Of events and samples that are read."""


class RunFolderError(Exception):
    """A folder that is no run's, or a file in it that cannot be read; one line for the user."""


class _Part(BaseModel):
    """Types of what is read of a document; whatever else is in it is somebody else's."""

    model_config: ClassVar[ConfigDict] = ConfigDict(strict=True)


class _Manifest(_Part):
    workers: Annotated[int, Field(ge=1)] = 1
    thresholds: list[str] = []
    targets: list[str] = []
    subscribers: int = 0
    seed: int = 0
    profile_name: str = ""
    pace: str = ""
    mode: str = ""
    started_at: str = ""
    planned_s: float | None = None
    sandbox: bool = False


class _Event(_Part):
    at_s: float
    text: str


class _Message(_Part):
    headers: list[list[str]] = []
    body: str = ""


class _Sample(_Part):
    at_s: float
    request: _Message | None = None
    response: _Message | None = None


@dataclass(slots=True, kw_only=True)
class RunRecord:
    """A run as its folder tells: `summary` is what it said itself, or what follows from its intervals if it was killed."""

    folder: Path
    manifest: Json
    summary: Json
    totals: Totals
    series: Series
    events: list[Json] = field(default_factory=list)
    samples: list[Json] = field(default_factory=list)
    killed: bool = False


def read_run(folder: Path) -> RunRecord:
    """Read a run's folder. Raises RunFolderError.

    Intervals are read line by line and added up, so that a long run needs no more memory than a short one.
    """
    if not (folder / INTERVALS).is_file():
        raise RunFolderError(f"{folder}: there are no records of a run here ({INTERVALS} is missing)")
    manifest = _manifest(folder / "manifest.json")
    thresholds = _thresholds(folder, manifest)
    totals, series, watch = Totals(), Series(), Watch(thresholds, int(manifest.get("workers", 1)))
    for worker, snapshot in read_intervals(folder):
        totals.add(worker, snapshot)
        series.add(worker, snapshot)
        watch.add(worker, snapshot)
    events = list(_rows(folder / "events.ndjson", _Event))
    killed = not (folder / SUMMARY).exists()
    if killed:
        facts = _facts(manifest, totals, events)
        summary = build_summary(totals, facts, _audit(folder), thresholds, watch.lines())
    else:
        summary = read_summary(folder / SUMMARY)
    return RunRecord(
        folder=folder,
        manifest=manifest,
        summary=summary,
        totals=totals,
        series=series,
        events=events or list(summary.get("events", [])),
        samples=list(_rows(folder / "samples.ndjson", _Sample)),
        killed=killed,
    )


def read_summary(place: Path) -> Json:
    """The summary of a run's folder, or of a file that holds one. Raises RunFolderError."""
    if place.is_dir():
        return read_run(place).summary
    summary = _document(place)
    if missing := sorted(NEEDED - summary.keys()):
        raise RunFolderError(f"{place}: this is no summary of a run: {', '.join(missing)}: missing")
    return summary


def _manifest(file: Path) -> Json:
    """What was said before the load began; nothing where the run was killed before, or is of an older version."""
    manifest = _document(file) if file.exists() else {}
    _check(_Manifest, manifest, str(file))
    return manifest


def _thresholds(folder: Path, manifest: Json) -> list[Threshold]:
    try:
        return [parse_threshold(text) for text in manifest.get("thresholds", [])]
    except ThresholdError as error:
        raise RunFolderError(f"{folder / 'manifest.json'}: {error}") from None


def _check(shape: type[_Part], document: Json, where: str) -> None:
    """Raises RunFolderError where something has not the type that it should have."""
    try:
        shape.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise RunFolderError(f"{where}: {name}: {first['msg']}") from None


def _document(file: Path) -> Json:
    try:
        document = orjson.loads(file.read_bytes())
    except OSError as error:
        raise RunFolderError(f"{file}: {error.strerror}") from None
    except orjson.JSONDecodeError as error:
        raise RunFolderError(f"{file}: not JSON: {error}") from None
    if not isinstance(document, dict):
        raise RunFolderError(f"{file}: expected a JSON object")
    return document


def read_intervals(folder: Path) -> Iterator[tuple[int, Snapshot]]:
    """Worker and snapshot of one interval after the other. Raises RunFolderError."""
    file = folder / INTERVALS
    for number, row in _lines(file):
        try:
            worker = int(row.pop("worker"))
            yield worker, Snapshot.from_wire(row)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RunFolderError(
                f"{file}, line {number}: no interval of a run: {type(error).__name__}: {error}"
            ) from None


def _rows(file: Path, shape: type[_Part]) -> Iterator[Json]:
    if not file.exists():
        return
    for number, row in _lines(file):
        if number > MOST_ROWS:
            return
        _check(shape, row, f"{file}, line {number}")
        yield row


def _lines(file: Path) -> Iterator[tuple[int, Json]]:
    """Line number and document. A last line that was cut off when the run was killed is left out."""
    with file.open("rb") as lines:
        number = 0
        while line := lines.readline(MOST_LINE):
            number += 1
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                if not line.endswith(b"\n") and not lines.read(1):
                    return
                raise RunFolderError(f"{file}, line {number}: not JSON: {error}") from None
            if not isinstance(row, dict):
                raise RunFolderError(f"{file}, line {number}: expected a JSON object")
            yield number, row


def _facts(manifest: Json, totals: Totals, events: list[Json]) -> RunFacts:
    """What is known of a run that could not say goodbye."""
    until_s = totals.run.end_s
    names = {each.name for each in fields(RunFacts)} - {"events", "notes", "promises_broken", "lost_workers"}
    known = {name: manifest[name] for name in names if name in manifest}
    targets = tuple(manifest.get("targets", ()))
    known |= {"profile": str(manifest.get("profile_name", "unknown")), "targets": targets}
    known = {"seed": 0, "version": "unknown", "target": targets[0] if targets else "unknown"} | known
    why = f"the run was killed: this covers its complete intervals, up to {until_s:.1f} s"
    return RunFacts(**known | {"duration_s": until_s, "events": tuple(events), "could_not_run": why})


def _audit(folder: Path) -> Audit | None:
    """The books of a run that was killed before it joined them: the CHF's side is missing, unless it was read already."""
    try:
        return join_books(folder, "the run was killed before it had read the CHF's books")
    except (AuditError, sqlite3.Error):
        return None
