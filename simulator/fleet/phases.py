"""The phases of a load: warm-up, steady, cool-down. They follow the time of its curve, which stands still in a pause."""

from __future__ import annotations

from typing import Final

from simulator.config import Load
from simulator.fleet.timeline import Timeline
from simulator.measure import Phase
from simulator.n40.flow import NEVER

ROUNDING_S: Final = 1e-9


class Phases:
    """Which phase a moment belongs to, and how long that phase lasts as things are."""

    def __init__(self, timeline: Timeline, load: Load) -> None:
        self._timeline = timeline
        self._warm = load.warmup
        self._cool = timeline.seconds - load.cooldown

    def at(self, now: int) -> Phase:
        """The phase at a moment (ns of the wall's clock)."""
        curve = self._timeline.curve_at(now) + ROUNDING_S
        if curve < self._warm:
            return Phase.WARMUP
        return Phase.STEADY if curve < self._cool or self._cool == self._timeline.seconds else Phase.COOLDOWN

    def until(self, phase: str) -> int:
        """When the phase that follows begins; NEVER where none does, or not while the load is paused."""
        if phase == Phase.WARMUP:
            return self._timeline.wall_of(self._warm)
        if phase == Phase.STEADY and self._cool < self._timeline.seconds:
            return self._timeline.wall_of(self._cool)
        return NEVER
