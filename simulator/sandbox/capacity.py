"""A CHF of known capacity: c servers and one queue. In virtual time; who waits, waits elsewhere."""

from __future__ import annotations

import heapq
from collections import deque
from hashlib import blake2b
from typing import Final

from simulator.config import Servers

_NS_PER_S: Final = 1_000_000_000
_TO_UNIT: Final = 2.0**-53


class Capacity:
    """Requests are served in the order in which they come; service times are drawn by a hash of their number."""

    def __init__(self, servers: Servers, seed: int = 1) -> None:
        self._service_time = servers.service_time
        self._most_waiting = servers.queue
        self._free_at = [0] * servers.count
        """A heap: when each server has nothing more to do."""
        self._starts: deque[int] = deque()
        """When those that wait will be served; first come, first served, so that they ascend."""
        self._key = blake2b(b"%d" % seed, digest_size=16).digest()
        self._served = 0

    def waiting(self, now: int) -> int:
        """Requests in the queue."""
        while self._starts and self._starts[0] <= now:
            self._starts.popleft()
        return len(self._starts)

    def busy(self, now: int) -> int:
        """Servers at work."""
        return sum(moment > now for moment in self._free_at)

    def admit(self, now: int) -> int | None:
        """When a request that comes now has been served (ns), None if the queue is full."""
        earliest = self._free_at[0]
        if earliest > now and self.waiting(now) >= self._most_waiting:
            return None
        start = max(now, earliest)
        done = start + self._draw()
        heapq.heapreplace(self._free_at, done)
        if start > now:
            self._starts.append(start)
        return done

    def _draw(self) -> int:
        self._served += 1
        digest = blake2b(b"%d" % self._served, key=self._key, digest_size=8).digest()
        uniform = (int.from_bytes(digest, "little") >> 11) * _TO_UNIT
        return int(self._service_time.quantile(uniform) * _NS_PER_S)
