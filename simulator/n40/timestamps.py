"""DateTime of TS 29.571 (RFC 3339, UTC, milliseconds) from nanoseconds, cheaply."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final

CACHED_SECONDS: Final = 4096
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Timestamps:
    """Formats session time as UTC.

    `epoch` is the UTC time in ns at session time 0. `pace` is how many seconds of session time pass per second of wall
    time: 1 stamps session time itself; a larger value stamps the wall time that belongs to it.
    """

    __slots__ = ("_millisecond", "_prefixes", "_text", "epoch", "pace")

    def __init__(self, epoch: int, pace: float = 1.0) -> None:
        self.epoch = epoch
        self.pace = pace
        self._prefixes: dict[int, bytes] = {}
        self._millisecond = -1  # the last one that was asked for, and its text
        self._text = b""

    def stamp(self, now: int) -> bytes:
        """`b"2026-11-22T10:00:00.123Z"` for session time `now`."""
        millisecond = self._millisecond_of(now)
        if millisecond != self._millisecond:
            self._millisecond = millisecond
            self._text = self._format(millisecond)
        return self._text

    def later(self, now: int, milliseconds: int) -> bytes:
        """The stamp of a moment so long after `now`."""
        return self._format(self._millisecond_of(now) + milliseconds)

    def moment_of(self, text: str) -> int | None:
        """The session time at which a stamp is due, the other way round; None for what is no date and time."""
        try:
            then = datetime.fromisoformat(text)
        except ValueError:
            return None
        if then.tzinfo is None:
            then = then.replace(tzinfo=UTC)  # in the wild
        passed = (then - _EPOCH) // _MICROSECOND * 1000 - self.epoch
        return passed if self.pace == 1.0 else int(passed * self.pace)

    def _millisecond_of(self, now: int) -> int:
        return (self.epoch + (now if self.pace == 1.0 else int(now / self.pace))) // 1_000_000

    def _format(self, millisecond: int) -> bytes:
        second, rest = divmod(millisecond, 1000)
        prefix = self._prefixes.get(second)
        if prefix is None:
            prefix = self._prefix(second)
        return b"%b.%03dZ" % (prefix, rest)

    def _prefix(self, second: int) -> bytes:
        if len(self._prefixes) >= CACHED_SECONDS:
            self._prefixes.clear()
        prefix = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
        self._prefixes[second] = prefix
        return prefix
