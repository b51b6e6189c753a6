"""DateTime of TS 29.571 (RFC 3339, UTC, milliseconds) from nanoseconds, cheaply."""

from __future__ import annotations

import time

CACHED_SECONDS = 4096
NS_PER_S = 1_000_000_000


class Timestamps:
    """Formats session time as UTC.

    `epoch` is the UTC time in ns at session time 0. `pace` is how many seconds of session time pass per second of wall
    time: 1 stamps session time itself; a larger value stamps the wall time that belongs to it.
    """

    __slots__ = ("_prefixes", "epoch", "pace")

    def __init__(self, epoch: int, pace: float = 1.0) -> None:
        self.epoch = epoch
        self.pace = pace
        self._prefixes: dict[int, bytes] = {}

    def stamp(self, now: int) -> bytes:
        """`b"2026-11-22T10:00:00.123Z"` for session time `now`."""
        moment = self.epoch + (now if self.pace == 1.0 else int(now / self.pace))
        second, rest = divmod(moment, NS_PER_S)
        prefix = self._prefixes.get(second)
        if prefix is None:
            prefix = self._prefix(second)
        return b"%b.%03dZ" % (prefix, rest // 1_000_000)

    def _prefix(self, second: int) -> bytes:
        if len(self._prefixes) >= CACHED_SECONDS:
            self._prefixes.clear()
        prefix = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
        self._prefixes[second] = prefix
        return prefix
