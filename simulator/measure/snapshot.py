"""What was measured in one interval, and how intervals and workers are put together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from simulator.measure.histogram import Histogram

SEPARATOR: Final = "|"
INTERVAL_S: Final = 0.5
"""How long an interval is, where no phase ends within it."""


class Phase(StrEnum):
    """The part of a run that an interval belongs to."""

    WARMUP = "warmup"
    STEADY = "steady"
    PAUSED = "paused"
    COOLDOWN = "cooldown"
    DRAIN = "drain"


class Merge(StrEnum):
    """How the values that several workers give to one gauge become one."""

    SUM = "sum"
    MAX = "max"
    LAST = "last"


def key(metric: str, *labels: str) -> str:
    """The name of one series: the metric and its label values."""
    return SEPARATOR.join((metric, *labels))


def matching(keys: Mapping[str, Any], metric: str, labels: tuple[str | None, ...]) -> Iterator[tuple[list[str], str]]:
    """Series of `metric` whose labels begin with `labels` (None fits any), each as (labels, key)."""
    for name in keys:
        found, *values = name.split(SEPARATOR)
        if found != metric or len(values) < len(labels):
            continue
        if all(wanted is None or wanted == value for wanted, value in zip(labels, values, strict=False)):
            yield values, name


@dataclass(frozen=True, slots=True)
class Gauge:
    """A level: its latest value, the highest one since the last snapshot, and how workers' values merge."""

    value: float
    high: float
    merge: Merge

    def then(self, newer: Gauge) -> Gauge:
        """The same worker's gauge, one interval later."""
        return Gauge(newer.value, max(self.high, newer.high), newer.merge)

    def beside(self, other: Gauge) -> Gauge:
        """Two workers' gauges as one. A sum of highs is an upper bound: the highs need not coincide."""
        match self.merge:
            case Merge.SUM:
                return Gauge(self.value + other.value, self.high + other.high, self.merge)
            case Merge.MAX:
                return Gauge(max(self.value, other.value), max(self.high, other.high), self.merge)
            case Merge.LAST:
                return Gauge(other.value, max(self.high, other.high), self.merge)


@dataclass(slots=True, kw_only=True)
class Snapshot:
    """Sparse deltas of one interval: only what happened has a key. Times are seconds since the run's t0."""

    number: int = 0
    start_s: float = 0.0
    end_s: float = 0.0
    phase: str = Phase.STEADY
    counters: dict[str, int] = field(default_factory=dict)
    gauges: dict[str, Gauge] = field(default_factory=dict)
    histograms: dict[str, Histogram] = field(default_factory=dict)
    gaps_s: float = 0.0
    """Of the time between start and end: what belongs to other phases, as a pause in the midst of the load does."""

    @property
    def seconds(self) -> float:
        """The length of the interval, without gaps."""
        return self.end_s - self.start_s - self.gaps_s

    def merge_newer(self, newer: Snapshot) -> None:
        """Append the same worker's next interval, as a full pipe makes necessary."""
        self._add_up(newer)
        for name, gauge in newer.gauges.items():
            mine = self.gauges.get(name)
            self.gauges[name] = mine.then(gauge) if mine else gauge
        self.number, self.phase = newer.number, newer.phase

    def merge_beside(self, other: Snapshot) -> None:
        """Add another worker's snapshot of the same time."""
        self._add_up(other)
        for name, gauge in other.gauges.items():
            mine = self.gauges.get(name)
            self.gauges[name] = mine.beside(gauge) if mine else gauge
        self.number = max(self.number, other.number)

    def _add_up(self, other: Snapshot) -> None:
        empty = self.end_s <= self.start_s
        self.start_s = other.start_s if empty else min(self.start_s, other.start_s)
        self.end_s = max(self.end_s, other.end_s)
        for name, count in other.counters.items():
            self.counters[name] = self.counters.get(name, 0) + count
        for name, histogram in other.histograms.items():
            self.histograms.setdefault(name, Histogram()).merge(histogram)

    def count(self, metric: str, *labels: str | None) -> int:
        """The sum of a counter over all series whose labels begin with `labels`; None fits any label."""
        return sum(self.counters[name] for _, name in matching(self.counters, metric, labels))

    def counts_by(self, metric: str, position: int, *labels: str | None) -> dict[str, int]:
        """The same sum, split by the label at `position` (from 0); the largest first."""
        sums: dict[str, int] = {}
        for values, name in matching(self.counters, metric, labels):
            if position < len(values):
                sums[values[position]] = sums.get(values[position], 0) + self.counters[name]
        return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))

    def histogram(self, metric: str, *labels: str | None) -> Histogram:
        """All histograms whose labels begin with `labels`, as one; None fits any label."""
        merged = Histogram()
        for _, name in matching(self.histograms, metric, labels):
            merged.merge(self.histograms[name])
        return merged

    def gauge(self, name: str) -> float:
        """The latest value of a gauge; 0 when it was never set."""
        gauge = self.gauges.get(name)
        return gauge.value if gauge else 0.0

    def to_wire(self) -> dict[str, Any]:
        """A JSON-able form for the pipe and the records on disk."""
        return {
            "number": self.number,
            "start_s": self.start_s,
            "end_s": self.end_s,
            "phase": self.phase,
            "counters": dict(self.counters),
            "gauges": {name: [gauge.value, gauge.high, gauge.merge] for name, gauge in self.gauges.items()},
            "histograms": {name: histogram.to_wire() for name, histogram in self.histograms.items()},
        }

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> Snapshot:
        """The snapshot that `to_wire` described."""
        return cls(
            number=wire["number"],
            start_s=wire["start_s"],
            end_s=wire["end_s"],
            phase=wire["phase"],
            counters=dict(wire["counters"]),
            gauges={name: Gauge(value, high, Merge(merge)) for name, (value, high, merge) in wire["gauges"].items()},
            histograms={name: Histogram.from_wire(histogram) for name, histogram in wire["histograms"].items()},
        )
