"""The load over time, and what commands make of it while it runs.

                rate                                        wall time runs on, the curve's time stands still in a pause,
     900/s  |            ______                             jumps at a change of stage, and the rate is multiplied
            |           /      |      k-th arrival:
     450/s  |__________/       |      where the area under    wall  |----|=====|-----|------>
            |  0, 1, 2, ... k  |      the curve reaches k     curve |----|     |-----|------>
            +------------------+---> s                              run  pause  run  x 1.1

Nothing is stepped through: each arrival is computed from its area, so that nothing drifts, and whoever applies the same
commands has the same schedule. A command changes nothing that lies before it.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from typing import Final

from simulator.config.curve import Piece, Stage
from simulator.n40.flow import NEVER, NS_PER_S

MOST_ANCHORS: Final = 64
"""Of the past that questions may be about; what arrivals still need they hold themselves."""
ROUNDING: Final = 1e-9


class Curve:
    """One lane from the start to the end: the area up to each moment, and back. Seconds, and arrivals."""

    __slots__ = ("_areas", "_pieces", "_starts", "area", "seconds")

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces = [piece for piece in pieces if piece.seconds > 0.0]
        self._starts: list[float] = []
        self._areas: list[float] = []
        at = 0.0
        area = 0.0
        for piece in self._pieces:
            self._starts.append(at)
            self._areas.append(area)
            at += piece.seconds
            area += float(len(piece.times)) if piece.times else (piece.first + piece.last) / 2.0 * piece.seconds
            whole = float(round(area))
            if abs(area - whole) <= ROUNDING * max(1.0, whole):
                area = (
                    whole  # so that an arrival on a boundary falls on the same side of it, however the rate is written
                )
        self.seconds = at
        self.area = area
        """The whole of it."""

    def level(self, at: float) -> float:
        """Arrivals per second (or devices) at a moment; of moments given one by one, the mean over their piece."""
        if not 0.0 <= at < self.seconds:
            return 0.0
        place = bisect_right(self._starts, at) - 1
        piece = self._pieces[place]
        if piece.times:
            return len(piece.times) / piece.seconds
        return piece.first + (piece.last - piece.first) * (at - self._starts[place]) / piece.seconds

    def area_at(self, at: float) -> float:
        """The area up to a moment, without what falls on it."""
        if at >= self.seconds:
            return self.area
        if at <= 0.0:
            return 0.0
        place = bisect_right(self._starts, at) - 1
        piece = self._pieces[place]
        passed = at - self._starts[place]
        if piece.times:
            return self._areas[place] + bisect_left(piece.times, passed)
        slope = (piece.last - piece.first) / piece.seconds
        return self._areas[place] + passed * (piece.first + slope * passed / 2.0)

    def moment_of(self, area: float) -> float:
        """When the area reaches this, infinite where it never exceeds it; of several moments, the last."""
        if area >= self.area:
            return math.inf
        place = bisect_right(self._areas, area) - 1
        piece = self._pieces[place]
        left = area - self._areas[place]
        if piece.times:
            return self._starts[place] + piece.times[min(int(left + ROUNDING), len(piece.times) - 1)]
        slope = (piece.last - piece.first) / piece.seconds
        root = math.sqrt(max(0.0, piece.first * piece.first + 2.0 * slope * left))
        passed = 2.0 * left / (piece.first + root) if left > 0.0 else 0.0
        return self._starts[place] + min(passed, piece.seconds)


class Anchor:
    """From `wall` on (ns) the curve's time goes on from `curve` (s), or stands still, and its rate is multiplied by `factor`."""

    __slots__ = ("curve", "factor", "following", "paused", "wall")

    def __init__(self, wall: int, curve: float, factor: float, *, paused: bool) -> None:
        self.wall = wall
        self.curve = curve
        self.factor = factor
        self.paused = paused
        self.following: Anchor | None = None
        """The next command's; whoever has passed an anchor lets go of it."""

    def curve_at(self, wall: int) -> float:
        """The curve's time at a moment that this anchor speaks of."""
        return self.curve if self.paused else self.curve + (wall - self.wall) / NS_PER_S


class Timeline:
    """The stages of a load from `t0` on (ns of the wall's clock), and how commands have changed them."""

    def __init__(self, stages: Sequence[Stage], t0: int) -> None:
        self.stages = tuple(stages)
        self.t0 = t0
        self.lanes = [
            Curve([piece for stage in stages for piece in stage.lanes[number]])
            for number in range(len(stages[0].lanes) if stages else 0)
        ]
        self.devices = [piece for stage in stages for piece in stage.devices]
        self._begins: list[float] = []
        at = 0.0
        for stage in stages:
            self._begins.append(at)
            at += stage.seconds
        self.seconds = at
        """Of the curve, from its start to its end."""
        self.first = Anchor(t0, 0.0, 1.0, paused=False)
        self._last = self.first
        self._anchors: deque[Anchor] = deque([self.first], maxlen=MOST_ANCHORS)

    # -- commands -----------------------------------------------------------------------------------------------------

    def control(self, at: int, action: str, value: float | None = None) -> bool:
        """Change what comes after `at` (or after the command before); tell whether that is a command at all."""
        last = self._last
        at = max(at, last.wall)
        curve, factor, paused = min(last.curve_at(at), self.seconds), last.factor, last.paused
        if action == "pause":
            paused = True
        elif action == "resume":
            paused = False
        elif action == "rate" and value is not None and 0.0 <= value < math.inf:
            factor = value
        elif action == "stage":
            following = self._stage_of(curve) + 1
            curve = self._begins[following] if following < len(self.stages) else self.seconds
        else:
            return False
        anchor = Anchor(at, curve, factor, paused=paused)
        last.following = anchor
        self._last = anchor
        self._anchors.append(anchor)
        return True

    # -- questions ----------------------------------------------------------------------------------------------------

    @property
    def paused(self) -> bool:
        """Whether the last command leaves the load paused."""
        return self._last.paused

    @property
    def factor(self) -> float:
        """By which the profile's rate is multiplied, after the last command."""
        return self._last.factor

    @property
    def end(self) -> int:
        """When the load ends; NEVER while it is paused."""
        return self.wall_of(self.seconds)

    def anchor_at(self, wall: int) -> Anchor:
        """What holds at a moment."""
        for anchor in reversed(self._anchors):
            if anchor.wall <= wall:
                return anchor
        return self._anchors[0]

    def next_halt(self, wall: int) -> int:
        """When a pause begins after that moment, or ends where it is within one; NEVER as things are."""
        anchor = self.anchor_at(wall)
        paused = anchor.paused
        following = anchor.following
        while following is not None:
            if following.paused != paused:
                return following.wall
            following = following.following
        return NEVER

    def curve_at(self, wall: int) -> float:
        """The curve's time in seconds: before the end, less than `seconds`."""
        return min(max(0.0, self.anchor_at(wall).curve_at(wall)), self.seconds)

    def wall_of(self, curve: float) -> int:
        """When the curve's time reaches this for the first time, as things are; NEVER while it stands still."""
        for anchor in self._anchors:
            following = anchor.following
            if following is not None:
                if curve <= anchor.curve and anchor is self._anchors[0]:
                    return anchor.wall
                if not anchor.paused and curve <= anchor.curve_at(following.wall):
                    return _wall(anchor, curve)
                if curve <= following.curve:
                    return following.wall  # jumped over
        last = self._last
        if curve <= last.curve:
            return last.wall
        return NEVER if last.paused else _wall(last, curve)

    def stage_at(self, wall: int) -> int:
        """The position of the stage at a moment; after the end, of the last one."""
        return self._stage_of(self.curve_at(wall))

    def _stage_of(self, curve: float) -> int:
        return max(0, bisect_right(self._begins, curve) - 1)

    def rate_at(self, wall: int) -> float:
        """Arrivals per second that are meant to come at a moment: 0 before the start, in a pause and after the end."""
        anchor = self.anchor_at(wall)
        if anchor.paused or wall < self.t0:
            return 0.0
        return anchor.factor * self.profile_rate_at(wall)

    def profile_rate_at(self, wall: int) -> float:
        """What the profile says of this moment, whatever was commanded."""
        curve = self.curve_at(wall)
        return sum(lane.level(curve) for lane in self.lanes)

    def after_halt(self, wall: int, moment: int) -> int:
        """When a session of a device that was to begin at `moment` may do so, asked at `wall`; NEVER while the load is paused.

        What falls into a stage without new sessions follows after it, as far apart as it was meant to.
        """
        anchor = self.anchor_at(wall)
        if anchor.paused:
            return NEVER
        curve = anchor.curve_at(wall)
        stage = self._stage_of(curve)
        if curve >= self.seconds or not self.stages[stage].halted:
            return moment
        return max(wall + 1, moment + round(self.stages[stage].seconds * NS_PER_S))


def _wall(anchor: Anchor, curve: float) -> int:
    return anchor.wall + round((curve - anchor.curve) * NS_PER_S)


class Cursor:
    """Walks along one lane of a timeline: when the area, with all that was commanded, reaches one value after the other.

    A copy of it is a place to come back to: after a command, the same areas have other moments.
    """

    __slots__ = ("_anchor", "_area", "_at", "_lane", "_timeline")

    def __init__(self, timeline: Timeline, lane: Curve) -> None:
        self._timeline = timeline
        self._lane = lane
        self._anchor = timeline.first
        self._area = 0.0  # at the anchor
        self._at = 0.0  # the lane's own area at the anchor

    def copy(self) -> Cursor:
        """Return one at the same place."""
        other = Cursor(self._timeline, self._lane)
        other.go_to(self)
        return other

    def go_to(self, other: Cursor) -> None:
        """Be at the same place as another one on the same lane."""
        self._anchor = other._anchor
        self._area = other._area
        self._at = other._at

    def moment_of(self, area: float) -> int:
        """When the area is reached (ns of the wall's clock), NEVER as things are. Areas come in ascending order."""
        while True:
            anchor = self._anchor
            following = anchor.following
            reached = self._reached(anchor, following)
            if area < reached:
                wanted = self._at + (area - self._area) / anchor.factor
                moment = self._lane.moment_of(wanted)
                if moment < math.inf:
                    return _wall(anchor, max(moment, anchor.curve))
            if following is None:
                return NEVER
            self._area = reached
            self._at = self._lane.area_at(following.curve)
            self._anchor = following

    def _reached(self, anchor: Anchor, following: Anchor | None) -> float:
        """The area when the next command comes."""
        if anchor.paused or anchor.factor <= 0.0:
            return self._area
        if following is None:
            return self._area + (self._lane.area - self._at) * anchor.factor
        return self._area + (self._lane.area_at(anchor.curve_at(following.wall)) - self._at) * anchor.factor
