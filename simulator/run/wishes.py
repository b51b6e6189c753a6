"""What somebody may want of a run while it goes, and how it gets there from another thread."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from queue import Empty, SimpleQueue


class Action(StrEnum):
    """What somebody may want of a run."""

    PAUSE = "pause"
    RESUME = "resume"
    RATE = "rate"
    FASTER = "faster"
    SLOWER = "slower"
    NEXT_STAGE = "next-stage"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Wish:
    """Something that somebody wants; `factor`, of the profile's rate, belongs to RATE, and `by` names who it is."""

    action: Action
    factor: float = 1.0
    by: str = "key"


class Wishes:
    """Takes wishes from any thread until the run looks for them."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Wish] = SimpleQueue()

    def put(self, wish: Wish) -> None:
        """Want something."""
        self._queue.put(wish)

    def take(self) -> Wish | None:
        """The next one, None if nobody wants anything."""
        try:
            return self._queue.get_nowait()
        except Empty:
            return None
