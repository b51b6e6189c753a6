"""What the steps at one rate measured: their intervals under steady load, one list for each run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from simulator.measure import Histogram, Phase, Snapshot
from simulator.measure.bounds import Counts
from simulator.measure.histogram import bucket_of
from simulator.report.run_folder import INTERVALS

LONGEST_RUN: Final = 100_000
"""Intervals of one run that are looked at: more than half a day of them."""

_GOOD: Final = ("ok", "denied")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Runs at one rate: of each the consecutive intervals under steady load, all workers together."""

    runs: Sequence[Sequence[Snapshot]]

    @property
    def seconds(self) -> float:
        """How long was measured."""
        return sum(interval.seconds for intervals in self.runs for interval in intervals)

    def count(self, metric: str, *labels: str | None) -> int:
        """A counter, over all intervals."""
        return sum(interval.count(metric, *labels) for intervals in self.runs for interval in intervals)

    def per_s(self, metric: str, *labels: str | None) -> float:
        """A counter per second."""
        return self.count(metric, *labels) / self.seconds if self.seconds else 0.0

    def latency(self, kind: str, operation: str | None = None) -> Histogram:
        """All latencies of a kind, in one histogram."""
        merged = Histogram()
        for intervals in self.runs:
            for interval in intervals:
                merged.merge(interval.histogram("latency_us", kind, operation))
        return merged

    def slower(self, kind: str, operation: str | None, limit_us: float) -> list[list[Counts]]:
        """How many requests took as long as the limit or longer, and of how many, by interval.

        Latencies are known to half a bucket (0.4 %): the limit's own bucket counts as slower, never in favour of the CHF.
        """
        bucket = bucket_of(int(limit_us))
        return [
            [_slower(interval.histogram("latency_us", kind, operation), bucket) for interval in run]
            for run in self.runs
        ]

    def succeeded(self, operation: str | None) -> list[list[Counts]]:
        """How many requests were ok or denied, and of how many, by interval."""
        return [[_ended(interval, operation, _GOOD) for interval in run] for run in self.runs]

    def ended(self, outcome: str, operation: str | None) -> list[list[Counts]]:
        """How many requests had that outcome, and of how many, by interval."""
        return [[_ended(interval, operation, (outcome,)) for interval in run] for run in self.runs]

    def piled_up(self) -> tuple[int, int]:
        """By how many the requests without an answer grew under steady load, and how many were without one at the most."""
        grown = most = 0
        for intervals in self.runs:
            levels = [round(interval.gauge("in_flight")) for interval in intervals]
            if levels:
                grown += levels[-1] - levels[0]
                most = max(most, *levels)
        return grown, most


def _slower(histogram: Histogram, bucket: int) -> Counts:
    return sum(count for each, count in histogram.buckets.items() if each >= bucket), histogram.count


def _ended(interval: Snapshot, operation: str | None, outcomes: Iterable[str]) -> Counts:
    return (
        sum(interval.count("requests", operation, None, outcome) for outcome in outcomes),
        interval.count("requests", operation),
    )


def read_steady(folder: Path) -> list[Snapshot]:
    """The intervals under steady load that a run left in its folder, the workers' merged; a line that was cut off ends them."""
    merged: dict[int, Snapshot] = {}
    with (folder / INTERVALS).open("rb") as lines:
        for line in lines:
            try:
                wire = orjson.loads(line)
            except orjson.JSONDecodeError:
                break
            snapshot = Snapshot.from_wire(wire)
            if snapshot.phase != Phase.STEADY:
                continue
            before = merged.get(snapshot.number)
            if before is not None:
                before.merge_beside(snapshot)
            elif len(merged) < LONGEST_RUN:
                merged[snapshot.number] = snapshot
    return [merged[number] for number in sorted(merged)]
