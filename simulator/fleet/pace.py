"""How session time follows wall time: as fast, so many times as fast, or jumping from deadline to deadline."""

from __future__ import annotations

from typing import Final

from simulator.n40 import Timestamps

NS_PER_MINUTE: Final = 60_000_000_000
NS_PER_DAY: Final = 24 * 60 * NS_PER_MINUTE


class Pace:
    """Maps between wall time (monotonic ns) and session time (ns since `t0`, times the factor).

    `factor` None is flat-out: session time starts with the wall clock and each session's own time then jumps ahead.
    """

    __slots__ = ("factor", "flat_out", "t0")

    def __init__(self, t0: int, factor: float | None) -> None:
        self.t0 = t0
        self.flat_out = factor is None
        self.factor = 1.0 if factor is None else factor

    def session_time(self, now: int) -> int:
        """Session time at a wall moment."""
        passed = now - self.t0
        return passed if self.factor == 1.0 else int(passed * self.factor)

    def wall_time(self, moment: int) -> int:
        """Return a wall moment at which session time has certainly reached `moment`, a nanosecond late at most."""
        return self.t0 + (moment if self.factor == 1.0 else 1 - int(-moment // self.factor))


class NowTimestamps(Timestamps):
    """Stamps the wall clock whatever the session's own time: for flat-out, where session time has run ahead of it."""

    __slots__ = ()

    def set_now(self, passed: int) -> None:
        """The wall clock stands at `passed` ns after the start."""
        millisecond = (self.epoch + passed) // 1_000_000
        if millisecond != self._millisecond:
            self._millisecond = millisecond
            self._text = self._format(millisecond)

    def stamp(self, now: int) -> bytes:  # noqa: ARG002
        """Return the present moment of the wall clock, whatever `now` is."""
        return self._text

    def _millisecond_of(self, now: int) -> int:  # noqa: ARG002
        return self._millisecond


def at_time_of_day(epoch: int, clock: str | None) -> int:
    """The moment of that day (UTC, ns) at which the clock shows `HH:MM`; without one, `epoch` as it is."""
    if clock is None:
        return epoch
    hours, _, minutes = clock.partition(":")
    return epoch // NS_PER_DAY * NS_PER_DAY + (int(hours) * 60 + int(minutes)) * NS_PER_MINUTE


def timestamps(kind: str, epoch: int, factor: float | None) -> Timestamps:
    """Make the stamps of a profile: `wall` or `session` time; `epoch` is the UTC time in ns at the start of the run."""
    if kind == "session" or factor == 1.0:
        return Timestamps(epoch)
    return NowTimestamps(epoch) if factor is None else Timestamps(epoch, factor)
