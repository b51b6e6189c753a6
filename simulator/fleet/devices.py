"""The devices of a closed loop: how many are there, and when one more attaches or the last one detaches."""

from __future__ import annotations

from typing import Final

from simulator.config.curve import Piece
from simulator.fleet.timeline import Anchor, Timeline
from simulator.n40.flow import NEVER, NS_PER_S

ALMOST: Final = 1e-9


class Attachment:
    """Follows the number of devices along a timeline. Device n is there when more than n are: the last to come goes first.

    `moment` is when the number changes next (ns of the wall's clock, NEVER as things are). The rate's factor multiplies the
    number of devices, up to the highest one of the profile.
    """

    def __init__(self, timeline: Timeline, most: int) -> None:
        self.count = 0
        """Devices of the whole fleet that are there."""
        self.moment = NEVER
        self.jumped = False
        """Whether that change comes at one blow with others, where a ramp has them come one by one."""
        self._most = float(most)
        self._pieces: list[Piece] = [piece for piece in timeline.devices if piece.seconds > 0.0]
        self._anchor = timeline.first
        self._at = timeline.t0
        # The curve's time of the last change and of the next one: not from `_at`, which is rounded, and could lie before the
        # step to another number that this change was a part of.
        self._curve = self._next_curve = 0.0
        self._grows = True
        self.look()

    def step(self) -> int:
        """The number changes: return the device that attaches, or, as -1 - n, device n that detaches."""
        self._at = max(self._at, self.moment)
        self._curve = self._next_curve
        device = self.count if self._grows else -self.count
        self.count += 1 if self._grows else -1
        self.look()
        return device

    def look(self) -> None:
        """Find out when the number changes next: after a change, and after a command."""
        anchor = self._anchor
        while anchor.following is not None and anchor.following.wall <= self._at:
            anchor = anchor.following
        self._anchor = anchor
        at = self._at
        while True:
            following = anchor.following
            if not anchor.paused and self._within(anchor, at):
                return
            if following is None:
                self.moment = NEVER
                return
            anchor = following
            at = following.wall

    def _within(self, anchor: Anchor, at: int) -> bool:
        """Look for a change between a moment and the next command."""
        begin = max(anchor.curve_at(at), self._curve)
        end = NEVER / NS_PER_S if anchor.following is None else anchor.curve_at(anchor.following.wall)
        piece_begin = 0.0
        for piece in self._pieces:
            piece_end = piece_begin + piece.seconds
            if piece_end > begin and piece_begin < end:
                moment = self._change(piece, max(0.0, begin - piece_begin), anchor.factor)
                if moment >= 0.0 and piece_begin + moment <= end:
                    self._next_curve = piece_begin + moment
                    self.moment = max(at, anchor.wall + round((piece_begin + moment - anchor.curve) * NS_PER_S))
                    return True
            piece_begin = piece_end
        return False

    def _change(self, piece: Piece, begin: float, factor: float) -> float:
        """When the number changes in a piece, from a moment on (s after the piece's beginning); -1 if it does not."""
        slope = (piece.last - piece.first) / piece.seconds * factor
        level = piece.first * factor + slope * begin
        more, fewer = self.count + 1.0 - ALMOST, self.count - 1.0 + ALMOST
        limited = min(level, self._most)
        self.jumped = slope == 0.0 or begin == 0.0
        if limited >= more or limited <= fewer:
            self._grows = limited >= more
            self.jumped = slope == 0.0 or abs(limited - self.count) >= 2.0
            return begin
        self.jumped = False
        if slope > 0.0 and more <= self._most:
            self._grows = True
            moment = begin + (more + ALMOST - level) / slope
        elif slope < 0.0 and self.count > 0:
            self._grows = False
            moment = begin + (fewer - ALMOST - level) / slope
        else:
            return -1.0
        return moment if moment <= piece.seconds * (1.0 + ALMOST) else -1.0
