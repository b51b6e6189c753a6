"""Reads what a run left behind, also one that was killed in the middle."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

import orjson

from simulator.audit import Audit, AuditError, join_books
from simulator.measure import Histogram, Snapshot, Threshold, ThresholdError, Totals, Watch, parse_threshold
from simulator.report.facts import RunFacts
from simulator.report.series import Series
from simulator.report.summary import build_summary

Json = dict[str, Any]

MANIFEST: Final = "manifest.json"
INTERVALS: Final = "intervals.ndjson"
EVENTS: Final = "events.ndjson"
SAMPLES: Final = "samples.ndjson"
SUMMARY: Final = "summary.json"
MOST_LINE: Final = 64 << 20
"""Octets of one line; a snapshot of a large profile is some 100 KB."""
MOST_ROWS: Final = 10_000
"""Of events and samples that are read."""
MOST_SAMPLES: Final = 30
"""That are kept; the others are counted."""
_MADE_UP: Final = "from_intervals"
"""In a summary that was made here, because its run was killed: it is made anew each time, as the run may have gone on since."""
_SUMMARY_PARTS: Final = (
    "profile", "verdict", "exit_code", "why", "operations", "all", "phases", "rate", "sessions", "thresholds", "audit",
    "generator",
)  # fmt: skip


_EXCHANGED: Final = (type(None), dict)
_MANIFEST: Final[dict[str, tuple[type, ...]]] = {
    "seed": (int,), "subscribers": (int,), "workers": (int,), "t0": (int,), "planned_s": (float, int, type(None)),
    "version": (str,), "pace": (str,), "mode": (str,), "started_at": (str,), "sandbox": (bool,),
}  # fmt: skip


class RunFolderError(Exception):
    """A folder that is no run's, or a file in it that cannot be read; one line for the user."""


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
    """The first of them."""
    more_samples: int = 0
    killed: bool = False


def read_run(folder: Path) -> RunRecord:
    """Read a run's folder. Raises RunFolderError.

    Intervals are read line by line and added up, so that a long run needs no more memory than a short one.
    """
    if not (folder / INTERVALS).is_file():
        raise RunFolderError(f"{folder}: there are no records of a run here ({INTERVALS} is missing)")
    manifest = _document(folder / MANIFEST) if (folder / MANIFEST).exists() else {}
    thresholds = _thresholds(folder / MANIFEST, manifest)
    totals, series, watch = Totals(), Series(), Watch(thresholds, _workers(folder / MANIFEST, manifest))
    held = _HeldBack(totals)
    for number, worker, snapshot in _intervals(folder / INTERVALS):
        try:
            held.add(worker, snapshot)
        except ValueError as error:
            raise RunFolderError(f"{folder / INTERVALS}, line {number}: {error}") from None
        series.add(worker, snapshot)
        watch.add(worker, snapshot)
    held.flush()
    events = list(islice(_rows(folder / EVENTS, at_s=(int, float), text=(str,)), MOST_ROWS))
    told = _told(folder / SUMMARY)
    if told is None:
        facts = _facts(folder / MANIFEST, manifest, totals, events)
        audit = _audit(folder)
        summary = build_summary(totals, facts, audit, thresholds, watch.lines()) | {_MADE_UP: True}
    else:
        summary = told
    samples = islice(_rows(folder / SAMPLES, at_s=(int, float), request=_EXCHANGED, response=_EXCHANGED), MOST_ROWS)
    return RunRecord(
        folder=folder,
        manifest=manifest,
        summary=summary,
        totals=totals,
        series=series,
        events=events or list(summary.get("events", [])),
        samples=list(islice(samples, MOST_SAMPLES)),
        more_samples=sum(1 for _ in samples),
        killed=told is None,
    )


class _HeldBack:
    """Totals whose histograms come a batch at a time: most of the time of reading goes into merging them.

    Each worker's latest interval is held back, so that it can bring along what came before it in its phase.
    """

    BATCH: Final = 20

    def __init__(self, totals: Totals) -> None:
        self._totals = totals
        self._latest: dict[int, Snapshot] = {}
        self._batches: dict[int, tuple[int, dict[str, Histogram]]] = {}

    def add(self, worker: int, snapshot: Snapshot) -> None:
        """Take a worker's next interval. Raises ValueError for one that is none."""
        latest = self._latest.get(worker)
        length, batch = self._batches.get(worker, (0, {}))
        if latest is not None:
            if snapshot.number <= latest.number:
                raise ValueError(f"worker {worker} sent interval {snapshot.number} after {latest.number}")
            full = length >= self.BATCH or snapshot.phase != latest.phase
            self._totals.add(worker, replace(latest, histograms=batch if full else {}))
            length, batch = (0, {}) if full else (length, batch)
        for name, histogram in snapshot.histograms.items():
            batch.setdefault(name, Histogram()).merge(histogram)
        self._latest[worker] = snapshot
        self._batches[worker] = length + 1, batch

    def flush(self) -> None:
        """Nothing more will come."""
        for worker, latest in self._latest.items():
            self._totals.add(worker, replace(latest, histograms=self._batches[worker][1]))


def _told(file: Path) -> Json | None:
    """What the run said at its end; None if it could not."""
    if not file.exists():
        return None
    summary = _document(file)
    missing = [part for part in _SUMMARY_PARTS if part not in summary]
    if missing:
        raise RunFolderError(f"{file}: no summary of a run: {missing[0]!r} is missing")
    return None if summary.get(_MADE_UP) else summary


def _thresholds(file: Path, manifest: Json) -> list[Threshold]:
    try:
        return [parse_threshold(text) for text in manifest.get("thresholds", [])]
    except (ThresholdError, TypeError, AttributeError) as error:
        raise RunFolderError(f"{file}: thresholds: {error}") from None


def _workers(file: Path, manifest: Json) -> int:
    workers = manifest.get("workers", 1)
    if type(workers) is not int or workers < 1:
        raise RunFolderError(f"{file}: workers: expected a number from 1, got {workers!r}")
    return workers


def read_summary(place: Path) -> Json:
    """The summary of a run's folder, or of a file that holds one. Raises RunFolderError."""
    if place.is_dir():
        return read_run(place).summary
    summary = _document(place)
    if "operations" not in summary:
        raise RunFolderError(f"{place}: this is no summary of a run")
    return summary


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
    for _, worker, snapshot in _intervals(folder / INTERVALS):
        yield worker, snapshot


def _intervals(file: Path) -> Iterator[tuple[int, int, Snapshot]]:
    """Line, worker and snapshot of one interval after the other."""
    for number, row in _lines(file):
        try:
            worker = int(row.pop("worker"))
            yield number, worker, Snapshot.from_wire(row)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RunFolderError(
                f"{file}, line {number}: no interval of a run: {type(error).__name__}: {error}"
            ) from None


def _rows(file: Path, **expected: tuple[type, ...]) -> Iterator[Json]:
    if not file.exists():
        return
    for number, row in _lines(file):
        for name, types in expected.items():
            if not isinstance(row.get(name), types):
                raise RunFolderError(
                    f"{file}, line {number}: {name}: expected {types[-1].__name__}, got {row.get(name)!r:.60}"
                )
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


def _facts(file: Path, manifest: Json, totals: Totals, events: list[Json]) -> RunFacts:
    """What is known of a run that could not say goodbye."""
    until_s = totals.run.end_s
    names = {each.name for each in fields(RunFacts)} - {"events", "notes", "promises_broken", "lost_workers"}
    known = {name: manifest[name] for name in names if name in manifest}
    for name, types in _MANIFEST.items():
        if name in known and (not isinstance(known[name], types) or isinstance(known[name], bool) != (bool in types)):
            raise RunFolderError(f"{file}: {name}: expected {types[0].__name__}, got {known[name]!r:.60}")
    targets = manifest.get("targets", [])
    if not isinstance(targets, list):
        raise RunFolderError(f"{file}: targets: expected a list, got {targets!r:.60}")
    known |= {"profile": str(manifest.get("profile_name", "unknown")), "targets": tuple(targets)}
    known = {"seed": 0, "version": "unknown", "target": targets[0] if targets else "unknown"} | known
    why = f"the run was killed: this covers its complete intervals, up to {until_s:.1f} s"
    return RunFacts(**known | {"duration_s": until_s, "events": tuple(events), "could_not_run": why})


def _audit(folder: Path) -> Audit | None:
    """The books of a run that was killed before it joined them: the CHF's side is missing, unless it was read already."""
    try:
        return join_books(folder, "the run was killed before it had read the CHF's books")
    except (AuditError, sqlite3.Error):
        return None
