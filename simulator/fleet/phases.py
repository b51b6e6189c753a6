"""The phases of a load: warm-up, steady, cool-down by the time of its curve, and pauses that somebody commanded."""

from __future__ import annotations

from typing import Final

from simulator.config import Load
from simulator.fleet.timeline import Timeline
from simulator.measure import Phase

ROUNDING_S: Final = 1e-9


class Phases:
    """Which phase a moment belongs to, and how long that phase lasts as things are."""

    def __init__(self, timeline: Timeline, load: Load) -> None:
        self._timeline = timeline
        self._warm = load.warmup
        self._cool = timeline.seconds - load.cooldown

    def at(self, now: int) -> Phase:
        """The phase at a moment (ns of the wall's clock)."""
        if self._timeline.anchor_at(now).paused:
            return Phase.PAUSED
        curve = self._timeline.curve_at(now) + ROUNDING_S
        if curve < self._warm:
            return Phase.WARMUP
        return Phase.STEADY if curve < self._cool or self._cool == self._timeline.seconds else Phase.COOLDOWN

    def until(self, now: int) -> int:
        """When the phase of a moment ends; NEVER where none follows, as things are."""
        phase = self.at(now)
        ends = self._timeline.next_halt(now)
        if phase == Phase.WARMUP:
            ends = min(ends, self._timeline.wall_of(self._warm))
        elif phase == Phase.STEADY and self._cool < self._timeline.seconds:
            ends = min(ends, self._timeline.wall_of(self._cool))
        return ends
