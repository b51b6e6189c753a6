"""The shape of a load over time: pieces of straight lines, and moments that are given one by one. Standard library only."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Piece(NamedTuple):
    """A stretch of `seconds` on which a level goes straight from `first` to `last`; or `times`, in seconds after its beginning.

    The level is a rate per second, or a number of devices.
    """

    seconds: float
    first: float = 0.0
    last: float = 0.0
    times: tuple[float, ...] = ()

    def part(self, begin: float, end: float) -> Piece:
        """What lies between two moments of it."""
        if begin <= 0.0 and end >= self.seconds:
            return self
        slope = (self.last - self.first) / self.seconds
        times = self.times[bisect_left(self.times, begin) : bisect_left(self.times, end)]
        return Piece(
            end - begin, self.first + slope * begin, self.first + slope * end, tuple(each - begin for each in times)
        )


Lane = tuple[Piece, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stretch of the load with a name: the rates of its lanes, or the number of devices; each covers all its `seconds`.

    A lane is one process of arrivals. All stages of a load have the same lanes. `halted`: no device begins a session.
    """

    name: str
    seconds: float
    lanes: tuple[Lane, ...] = ()
    devices: Lane = ()
    halted: bool = False


def parts(pieces: Sequence[Piece], begin: float, end: float) -> Lane:
    """What of a row of pieces lies between two moments, filled up with silence beyond its end."""
    found: list[Piece] = []
    at = 0.0
    for piece in pieces:
        first, last = max(begin - at, 0.0), min(end - at, piece.seconds)
        if last > first:
            found.append(piece.part(first, last))
        at += piece.seconds
    if end > max(at, begin):
        found.append(Piece(end - max(at, begin)))
    return tuple(found)
