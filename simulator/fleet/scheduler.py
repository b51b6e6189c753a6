"""One heap of deadlines per engine, behind one timer of the event loop."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Schedule(Generic[Item]):
    """Items by their moment; items of one moment come out in the order in which they were put in.

    `wake(moment)` is called when something is put in that is due before `awake_until`, the moment at which whoever runs the
    schedule will look at it anyway.
    """

    __slots__ = ("_counter", "_heap", "_wake", "awake_until")

    def __init__(self, wake: Callable[[int], None]) -> None:
        self.awake_until = 0
        self._wake = wake
        self._heap: list[tuple[int, int, Item]] = []
        self._counter: Callable[[], int] = count().__next__

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, moment: int, item: Item) -> None:
        """Put an item in; `moment` is in ns of the clock that `due` is asked with."""
        heappush(self._heap, (moment, self._counter(), item))
        if moment < self.awake_until:
            self._wake(moment)

    def next(self) -> int | None:
        """Return the earliest moment, None when empty."""
        return self._heap[0][0] if self._heap else None

    def due(self, now: int) -> tuple[int, Item] | None:
        """Take out the earliest item whose moment has come, with its moment."""
        if self._heap and self._heap[0][0] <= now:
            moment, _, item = heappop(self._heap)
            return moment, item
        return None
