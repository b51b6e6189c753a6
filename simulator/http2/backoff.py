"""How long to wait before the next attempt to connect."""

from __future__ import annotations

from collections.abc import Callable


class Backoff:
    """Doubles from `min_s` to `max_s`; half of each delay is jitter, so that a fleet does not come back in step."""

    def __init__(self, min_s: float, max_s: float, draw: Callable[[], float]) -> None:
        self._min_s = min_s
        self._max_s = max_s
        self._draw = draw
        self._failures = 0

    def reset(self) -> None:
        """A connection proved itself."""
        self._failures = 0

    def next_delay_s(self) -> float:
        """The delay before the next attempt."""
        ceiling_s = min(self._max_s, self._min_s * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return ceiling_s * (0.5 + 0.5 * self._draw())
