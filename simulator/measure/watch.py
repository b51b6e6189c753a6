"""Thresholds that are held against a run while it goes: windows that move, and numbers that may only grow."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from simulator.measure.snapshot import INTERVAL_S, Phase, Snapshot
from simulator.measure.thresholds import Threshold, VerdictLine

MOST_STEPS: Final = 100
"""Of one window, which moves by an interval at a time: a long one moves in larger steps, so that little is kept of it."""
MOST_COVERED: Final = 500
"""Steps of one interval before and after its middle; a driver that reads nothing for longer loses windows."""
PATIENCE_S: Final = 5.0
"""A worker that is so far behind the others is not waited for."""


class Watch:
    """Follows the snapshots of all workers; `add` tells which thresholds end the run.

    Memory is bounded by the thresholds, not by the run: of each window at most 100 steps are kept.
    """

    def __init__(self, thresholds: Iterable[Threshold], workers: int = 1) -> None:
        thresholds = list(thresholds)
        self._windows = [Window(each, workers) for each in thresholds if each.window_s]
        growing = [_Growing(each) for each in thresholds if each.abort and not each.window_s]
        self._watched: list[Window | _Growing] = [*self._windows, *growing]

    def add(self, worker: int, snapshot: Snapshot) -> list[Threshold]:
        """Take one worker's next interval; return the thresholds with `abort` that it made impossible to hold."""
        broken = []
        for each in self._watched:
            was = each.broken
            each.add(worker, snapshot)
            if each.broken and not was and each.threshold.abort:
                broken.append(each.threshold)
        return broken

    def lines(self) -> dict[str, VerdictLine]:
        """The judgements over windows, by the thresholds' texts, once the run is over."""
        return {window.threshold.text: window.line() for window in self._windows}


@dataclass(slots=True)
class _Step:
    """What fell into one step: from which workers, and how long their intervals were together."""

    part: Snapshot = field(default_factory=Snapshot)
    seconds: float = 0.0
    workers: set[int] = field(default_factory=set)


class Window:
    """One threshold over a window: the worst one so far, and when it ended.

    Only full windows are judged, and only the steady phase. The intervals of the workers are put together by time, in steps:
    each belongs to the step of its middle. The others that it reaches over are empty, and no gap: a busy engine cuts its
    intervals late, and adds several up while the driver does not read.
    """

    def __init__(self, threshold: Threshold, workers: int = 1) -> None:
        self.threshold = threshold
        self.broken = False
        self._step_s = max(INTERVAL_S, INTERVAL_S * math.ceil(threshold.window_s / MOST_STEPS / INTERVAL_S))
        self._steps = max(1, round(threshold.window_s / self._step_s))
        self._open: dict[int, _Step] = {}  # by step: what workers have reported of those that are not complete
        self._next = 0  # all steps before it are complete
        self._kept: deque[tuple[int, _Step]] = deque(maxlen=self._steps)
        self._reached = dict.fromkeys(range(workers), 0.0)
        self._worst: VerdictLine | None = None
        self._worst_value: float | None = None

    def add(self, worker: int, snapshot: Snapshot) -> None:
        """Take one worker's next interval."""
        self._reached[worker] = snapshot.end_s
        if snapshot.phase == Phase.STEADY:
            step = max(self._next, int((snapshot.start_s + snapshot.end_s) / 2 / self._step_s))
            first = max(self._next, int(snapshot.start_s / self._step_s), step - MOST_COVERED)
            for covered in range(first, min(int(snapshot.end_s / self._step_s), step + MOST_COVERED)):
                self._open.setdefault(covered, _Step())
            mine = self._open.setdefault(step, _Step())
            mine.part.merge_beside(self.threshold.part_of(snapshot))
            mine.seconds += snapshot.seconds
            mine.workers.add(worker)
        latest = max(self._reached.values())
        slowest = min(each for each in self._reached.values() if each > latest - PATIENCE_S)
        self._complete(int((slowest + INTERVAL_S / 2) / self._step_s))

    def line(self) -> VerdictLine:
        """The worst window of the run, which is over."""
        self._complete(max(self._open, default=-1) + 1)
        if self._worst is None:
            return replace(self.threshold.line(None), value="the steady phase was shorter than one window")
        return self._worst

    def _complete(self, before: int) -> None:
        for step in sorted(step for step in self._open if step < before):
            kept = self._open.pop(step)
            self._next = step + 1
            if self._kept and self._kept[-1][0] != step - 1:
                self._kept.clear()  # nothing was measured between: no window reaches over that
            self._kept.append((step, kept))
            if len(self._kept) == self._steps:
                self._judge((step + 1) * self._step_s)

    def _judge(self, end_s: float) -> None:
        whole, seconds, workers = Snapshot(), 0.0, set[int]()
        for _, step in self._kept:
            if step.seconds > 0:
                whole.merge_beside(step.part)
                seconds += step.seconds
                workers |= step.workers
        if workers:  # a rate is per second of each, though one has an interval more in this window than another
            whole.end_s = whole.start_s + seconds / len(workers)
        value = self.threshold.value_in(whole) if workers else None
        if value is None:  # nothing happened that it speaks of, or one interval reaches over all of it
            return
        self.broken = self.broken or not self.threshold.holds(value)
        if self._worst_value is None or self.threshold.worse(value, self._worst_value):
            self._worst_value = value
            self._worst = replace(self.threshold.line(value), window_at_s=end_s)


class _Growing:
    """A number over the run, which is too much for good once it is too much."""

    def __init__(self, threshold: Threshold) -> None:
        self.threshold = threshold
        self.broken = False
        self._sum = 0.0

    def add(self, _worker: int, snapshot: Snapshot) -> None:
        self._sum += self.threshold.value_in(snapshot) or 0.0
        exact = self.threshold.comparison == "==" and self._sum <= float(self.threshold.limit)
        self.broken = not (exact or self.threshold.holds(self._sum))
