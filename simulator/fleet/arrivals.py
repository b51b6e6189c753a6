"""When sessions begin, computed rather than simulated: the k-th arrival is where the area under the rate reaches k.

There is no drift, and n workers share the arrivals by subscriber without talking to each other.
"""

from __future__ import annotations

import math
from typing import Final

from simulator.fleet.draws import Purpose, uniform
from simulator.fleet.timeline import Cursor, Curve, Timeline
from simulator.n40.flow import NEVER

CONSTANT: Final = "constant"
POISSON: Final = "poisson"
GIVEN: Final = "given"


class Arrivals:
    """The arrivals of one lane of a timeline, one after the other: `number` counts them, `moment` is in ns of the wall's clock.

    Areas are 1, 2, 3, ... (constant), sums of exponential gaps (a Poisson process), or 0, 1, 2, ..., so that the first one of
    what has moments of its own is at its beginning.
    """

    __slots__ = (
        "_area",
        "_cursor",
        "_kept_area",
        "_kept_cursor",
        "_kept_number",
        "_key",
        "_spacing",
        "moment",
        "number",
    )

    def __init__(self, timeline: Timeline, lane: Curve, spacing: str, key: bytes) -> None:
        self._spacing = spacing
        self._key = key
        self._cursor = Cursor(timeline, lane)
        self.number = 0
        self._area = 0.0 if spacing == GIVEN else self._gap()
        self.moment = self._cursor.moment_of(self._area)
        self._kept_number = self.number
        self._kept_area = self._area
        self._kept_cursor = self._cursor.copy()

    def advance(self) -> None:
        """Go on to the next one."""
        self.number += 1
        self._area += self._gap()
        self.moment = self._cursor.moment_of(self._area)

    def keep(self) -> None:
        """Remember this place."""
        self._kept_number = self.number
        self._kept_area = self._area
        self._kept_cursor.go_to(self._cursor)

    def go_back(self) -> None:
        """Return to the place that was kept: after a command, the same arrivals have other moments."""
        self.number = self._kept_number
        self._area = self._kept_area
        self._cursor.go_to(self._kept_cursor)
        self.moment = self._cursor.moment_of(self._area)

    def _gap(self) -> float:
        if self._spacing == POISSON:
            return -math.log1p(-uniform(self._key, Purpose.GAP, self.number))
        return 1.0


def earliest(lanes: list[Arrivals]) -> int:
    """The position of the lane that comes first, -1 if nothing comes any more."""
    place = -1
    moment = NEVER
    for position, lane in enumerate(lanes):
        if lane.moment < moment:
            place = position
            moment = lane.moment
    return place
