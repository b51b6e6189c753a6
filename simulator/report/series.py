"""A run over time, in a bounded number of points however long it was: neighbours are merged as it grows, never averaged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from simulator.measure import INTERVAL_S, Gauge, Histogram, Merge, Snapshot
from simulator.measure.figures import LATENCIES

MOST_POINTS: Final = 600
ALL: Final = "all"


@dataclass(slots=True)
class Point:
    """What all workers measured in one step. `latencies` are by (kind of latency, operation); gauges by worker."""

    counters: Counter[str] = field(default_factory=Counter)
    latencies: dict[tuple[str, str], Histogram] = field(default_factory=dict)
    gauges: dict[int, dict[str, Gauge]] = field(default_factory=dict)
    covered_s: dict[int, float] = field(default_factory=dict)
    """What the intervals of each worker add up to, which is the step but for the engines' timers."""

    def add(self, worker: int, snapshot: Snapshot) -> None:
        """Take a worker's interval."""
        self.covered_s[worker] = self.covered_s.get(worker, 0.0) + snapshot.seconds
        self.counters.update(snapshot.counters)
        for name, histogram in snapshot.histograms.items():
            metric, kind, operation, *_ = name.split("|")
            if metric == "latency_us" and kind in LATENCIES:
                self.latencies.setdefault((kind, operation), Histogram()).merge(histogram)
        self._take_gauges(worker, snapshot.gauges)

    def merge(self, later: Point) -> None:
        """Take the next step in as well."""
        for worker, seconds in later.covered_s.items():
            self.covered_s[worker] = self.covered_s.get(worker, 0.0) + seconds
        self.counters.update(later.counters)
        for label, histogram in later.latencies.items():
            self.latencies.setdefault(label, Histogram()).merge(histogram)
        for worker, gauges in later.gauges.items():
            self._take_gauges(worker, gauges)

    def _take_gauges(self, worker: int, gauges: dict[str, Gauge]) -> None:
        known = self.gauges.setdefault(worker, {})
        for name, gauge in gauges.items():
            known[name] = known[name].then(gauge) if name in known else gauge

    def latency(self, kind: str, operation: str = ALL) -> Histogram | None:
        """The histogram of an operation, or of all; None where nothing was measured."""
        if operation != ALL:
            return self.latencies.get((kind, operation))
        whole = Histogram()
        for (measured, _), histogram in self.latencies.items():
            if measured == kind:
                whole.merge(histogram)
        return whole if whole.count else None

    def count(self, *labels: str) -> int:
        """The sum of the counters whose names begin with these labels."""
        wanted = "|".join(labels)
        return sum(n for name, n in self.counters.items() if name == wanted or name.startswith(wanted + "|"))

    @property
    def seconds(self) -> float:
        """How long it was measured."""
        return max(self.covered_s.values(), default=0.0)

    def rate(self, count: float) -> float:
        """That many, per second."""
        return round(count / self.seconds, 3) if self.seconds else 0.0

    def level(self, name: str) -> float | None:
        """The merged value of a gauge: the highest of what is merged by MAX, else the latest."""
        merged: Gauge | None = None
        for gauges in self.gauges.values():
            gauge = gauges.get(name)
            if gauge is not None:
                merged = gauge if merged is None else merged.beside(gauge)
        if merged is None:
            return None
        return merged.high if merged.merge is Merge.MAX else merged.value


class Series:
    """The points of a run, `step_s` apart; the first one begins at t0. Twice as many as fit are merged two by two."""

    def __init__(self) -> None:
        self.step_s = INTERVAL_S
        self._stretches: list[tuple[str, float, float]] = []
        self._points: dict[int, Point] = {}

    def add(self, worker: int, snapshot: Snapshot) -> None:
        """Take a worker's interval: it belongs to the step that holds its middle."""
        middle = max(0.0, (snapshot.start_s + snapshot.end_s) / 2)
        while int(middle / self.step_s) >= MOST_POINTS:
            self._halve()
        self._points.setdefault(int(middle / self.step_s), Point()).add(worker, snapshot)
        self._note_phase(snapshot)

    def _halve(self) -> None:
        self.step_s *= 2
        merged: dict[int, Point] = {}
        for step in sorted(self._points):
            place = step // 2
            if place in merged:
                merged[place].merge(self._points[step])
            else:
                merged[place] = self._points[step]
        self._points = merged

    def __iter__(self) -> Iterator[Point]:
        """All points in order of time, empty ones where nothing was measured."""
        for step in range(max(self._points, default=-1) + 1):
            yield self._points.get(step, Point())

    @property
    def ends_s(self) -> list[float]:
        """The end of each point, seconds after t0."""
        return [(step + 1) * self.step_s for step in range(max(self._points, default=-1) + 1)]

    def _note_phase(self, snapshot: Snapshot) -> None:
        """The worker that is furthest begins a phase; the others are in it as well."""
        phase, start, end = self._stretches[-1] if self._stretches else ("", 0.0, 0.0)
        if snapshot.phase == phase:
            self._stretches[-1] = phase, start, max(end, snapshot.end_s)
        elif snapshot.start_s >= end - INTERVAL_S / 2 and len(self._stretches) < MOST_POINTS:
            begin = max(end, snapshot.start_s)
            self._stretches.append((snapshot.phase, begin, max(begin, snapshot.end_s)))

    def spans(self) -> list[tuple[str, float, float]]:
        """Which phase was when, in order, without overlap between workers; a pause may come more than once."""
        return [stretch for stretch in self._stretches if stretch[2] > stretch[1]]
