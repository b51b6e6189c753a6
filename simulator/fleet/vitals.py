"""What an engine observes about itself: how long garbage collection stops it, and how late its timers are at rest."""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from contextlib import suppress
from typing import Final

TIMERS: Final = 40
"""Of a millisecond each; they fit into the time between the command to start and the start."""
TIMER_S: Final = 0.001
MARGIN_NS: Final = 20_000_000
"""Before the start nothing is measured any more."""


class GarbagePauses:
    """Adds up the garbage collections of this process until it is closed."""

    def __init__(self) -> None:
        self._began = 0
        self._longest = self._sum = 0
        gc.callbacks.append(self._on_collection)

    def close(self) -> None:
        """Observe no longer."""
        with suppress(ValueError):
            gc.callbacks.remove(self._on_collection)

    def take(self) -> tuple[int, int]:
        """The longest pause and the sum of all since the last call, in microseconds."""
        taken = self._longest // 1000, self._sum // 1000
        self._longest = self._sum = 0
        return taken

    def _on_collection(self, phase: str, _info: dict[str, int]) -> None:
        now = time.perf_counter_ns()
        if phase == "start":
            self._began = now
        else:
            self._longest = max(self._longest, now - self._began)
            self._sum += now - self._began


async def timer_floor_us(until: int) -> float:
    """How much later than asked a timer of this loop usually fires, in microseconds; measured before `until`, monotonic ns.

    0 where there is no time for it.
    """
    late: list[int] = []
    while len(late) < TIMERS and (now := time.monotonic_ns()) < until - MARGIN_NS:
        await asyncio.sleep(TIMER_S)
        late.append(time.monotonic_ns() - now - int(TIMER_S * 1e9))
    return max(0.0, statistics.median(late) / 1000) if late else 0.0
