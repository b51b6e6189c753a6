"""A run so far: the snapshots of all its workers, folded as they come. Its size does not grow with the run."""

from __future__ import annotations

from dataclasses import dataclass, field

from simulator.measure.histogram import Histogram
from simulator.measure.snapshot import Gauge, Phase, Snapshot

_SHORTEST_JUDGED_S = 0.2
"""CPU time is counted in ticks of up to 10 ms: a share over less than this says nothing."""


@dataclass(slots=True)
class WorkerTotals:
    """What one worker did, and how well it kept up; `cpu` holds its shares of one core in millionths."""

    requests: int = 0
    dropped: int = 0
    cpu_s: float = 0.0
    gc_us: int = 0
    gc_pause_us: float = 0.0
    end_s: float = 0.0
    queue: Histogram = field(default_factory=Histogram)
    lag: Histogram = field(default_factory=Histogram)
    cpu: Histogram = field(default_factory=Histogram)

    def add(self, snapshot: Snapshot) -> None:
        """Fold the next interval in."""
        self.requests += snapshot.count("requests")
        self.dropped += snapshot.count("arrivals", "dropped")
        self.gc_us += snapshot.counters.get("gc_us", 0)
        self.gc_pause_us = max(self.gc_pause_us, snapshot.gauge("gc_pause_us"))
        self.queue.merge(snapshot.histogram("latency_us", "queue"))
        self.cpu_s = snapshot.gauges["cpu_s"].value if "cpu_s" in snapshot.gauges else self.cpu_s
        self.end_s = snapshot.end_s


class Totals:
    """Everything since the start (`run`), the same by phase (`phases`), and the last interval of each worker."""

    def __init__(self) -> None:
        self.run = Snapshot()
        self.phases: dict[str, Snapshot] = {}
        self.by_worker: dict[int, WorkerTotals] = {}
        """Lag and CPU share are those of the intervals under load."""
        self._latest: dict[int, Snapshot] = {}
        self._levels: dict[int, dict[str, Gauge]] = {}
        self._shares: dict[int, float] = {}
        self._peaks: dict[str, float] = {}

    def add(self, worker: int, snapshot: Snapshot) -> None:
        """Fold one worker's next interval in."""
        before = self._latest.get(worker)
        if before is not None and snapshot.number <= before.number:
            raise ValueError(f"worker {worker} sent interval {snapshot.number} after {before.number}")
        self._note_health(worker, snapshot)
        self.by_worker[worker].add(snapshot)
        self._latest[worker] = snapshot
        self._levels.setdefault(worker, {}).update(snapshot.gauges)
        self.run.merge_newer(snapshot)
        phase = self.phases.setdefault(snapshot.phase, Snapshot(phase=snapshot.phase))
        if 0 < phase.end_s < snapshot.start_s:
            phase.gaps_s += snapshot.start_s - phase.end_s
        phase.merge_newer(snapshot)
        self.run.gauges = merged = self._merged_levels()
        for name, gauge in merged.items():
            self._peaks[name] = max(gauge.high, self._peaks.get(name, gauge.high))

    def _note_health(self, worker: int, snapshot: Snapshot) -> None:
        known = self.by_worker.setdefault(worker, WorkerTotals())
        if snapshot.phase == Phase.DRAIN:
            return
        if "loop_lag_us" in snapshot.gauges:
            known.lag.record(round(snapshot.gauge("loop_lag_us")))
        before = self._levels.get(worker, {}).get("cpu_s")
        if before is not None and "cpu_s" in snapshot.gauges and snapshot.seconds >= _SHORTEST_JUDGED_S:
            self._shares[worker] = share = (snapshot.gauge("cpu_s") - before.value) / snapshot.seconds
            known.cpu.record(round(share * 1e6))

    def _merged_levels(self) -> dict[str, Gauge]:
        merged: dict[str, Gauge] = {}
        for levels in self._levels.values():
            for name, gauge in levels.items():
                merged[name] = merged[name].beside(gauge) if name in merged else gauge
        return merged

    @property
    def workers(self) -> int:
        """How many workers have reported."""
        return len(self._latest)

    @property
    def phase(self) -> str:
        """The phase of the latest interval: load until the first worker says otherwise."""
        return max(self._latest.values(), key=lambda latest: latest.end_s).phase if self._latest else Phase.STEADY

    def interval(self) -> Snapshot:
        """The last interval of every worker, as one."""
        merged = Snapshot()
        for latest in self._latest.values():
            merged.merge_beside(latest)
        merged.phase = self.phase
        return merged

    def rate(self, metric: str, *labels: str | None) -> float:
        """Per second, over each worker's last interval."""
        return sum(
            latest.count(metric, *labels) / latest.seconds for latest in self._latest.values() if latest.seconds > 0
        )

    @property
    def cpu_share(self) -> float:
        """The busiest worker's share of one core in its last interval under load; 0 when not known yet."""
        return max(self._shares.values(), default=0.0)

    def gauge(self, name: str) -> float:
        """The latest merged value of a gauge; 0 when it was never set."""
        return self.run.gauge(name)

    def peak(self, name: str) -> float:
        """The highest merged value of a gauge during the run; 0 when it was never set."""
        return self._peaks.get(name, 0.0)

    def steady(self) -> Snapshot:
        """Everything from the time in which load was offered steadily: without warm-up, cool-down and drain.

        A run that did not outlive its warm-up has nothing better than that.
        """
        steady = self.phases.get(Phase.STEADY)
        if steady is not None and steady.seconds > 0:
            return steady
        merged = Snapshot()
        for phase, snapshot in self.phases.items():
            if phase != Phase.DRAIN:
                merged.merge_beside(snapshot)
        return merged
