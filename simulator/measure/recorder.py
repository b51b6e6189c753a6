"""What an engine writes into while it works: appends and increments only; everything else waits for the cut."""

from __future__ import annotations

from collections import defaultdict

from simulator.measure.histogram import Histogram
from simulator.measure.snapshot import Gauge, Merge, Phase, Snapshot


class Recorder:
    """The counters, gauges and latency samples of the interval that is running.

    `counters` and every list from `samples` stay the same objects for the recorder's whole life, so that the hot
    path may hold on to them: `counters[name] += 1` and `list.append` are all that a request costs here.
    """

    __slots__ = ("_gauges", "_number", "_samples", "_start", "_t0", "counters", "phase")

    def __init__(self, t0: int) -> None:
        """`t0` is the start of the run, monotonic nanoseconds."""
        self.counters: defaultdict[str, int] = defaultdict(int)
        self.phase: str = Phase.STEADY
        self._t0 = t0
        self._start = t0
        self._number = 0
        self._gauges: dict[str, Gauge] = {}
        self._samples: dict[str, list[int]] = {}

    def samples(self, name: str) -> list[int]:
        """The list that takes the microseconds of series `name`."""
        return self._samples.setdefault(name, [])

    def gauge(self, name: str, value: float, merge: Merge = Merge.SUM) -> None:
        """Set a level. SUM and LAST report the latest value, MAX the highest of the interval; all keep their high."""
        before = self._gauges.get(name)
        high = value if before is None else max(before.high, value)
        self._gauges[name] = Gauge(high if merge is Merge.MAX else value, high, merge)

    def cut(self, now: int) -> Snapshot:
        """End the interval at `now` (monotonic nanoseconds): its deltas, while the next one begins empty."""
        self._number += 1
        snapshot = Snapshot(
            number=self._number,
            start_s=(self._start - self._t0) / 1e9,
            end_s=(now - self._t0) / 1e9,
            phase=self.phase,
            counters=dict(self.counters),
            gauges=dict(self._gauges),
            histograms=self._fold_samples(),
        )
        self._start = now
        self.counters.clear()
        self._gauges = {
            name: Gauge(gauge.value, gauge.value, gauge.merge)
            for name, gauge in self._gauges.items()
            if gauge.merge is not Merge.MAX
        }
        return snapshot

    def _fold_samples(self) -> dict[str, Histogram]:
        folded = {}
        for name, values in self._samples.items():
            if values:
                folded[name] = histogram = Histogram()
                histogram.record_many(values)
                values.clear()
        return folded
