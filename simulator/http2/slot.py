"""A slot of the pool: keeps one connection alive, and replaces it when it goes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from simulator.http2.backoff import Backoff
from simulator.http2.connection import ClientConnection
from simulator.http2.target import TargetError


class Slot:
    """`connect` makes a connection or raises TargetError."""

    def __init__(self, connect: Callable[[], Awaitable[ClientConnection]], backoff: Backoff, settled_s: float) -> None:
        self._connect = connect
        self._backoff = backoff
        self._settled_s = settled_s
        """A connection that lived this long proves the peer healthy, even if it was never asked anything."""
        self._connection: ClientConnection | None = None
        self._since_s = 0.0
        self._task: asyncio.Task[None] | None = None
        self.reconnects = 0
        """Attempts to replace a connection."""

    @property
    def connecting(self) -> bool:
        """Connecting, or waiting to try again."""
        return self._task is not None

    def adopt(self, connection: ClientConnection) -> None:
        """Fill the slot with a connection that is ready."""
        self._connection = connection
        self._since_s = asyncio.get_running_loop().time()
        if not connection.serving:  # it has ended, or got a GOAWAY, before this task ran again
            self.on_gone(connection)

    def start(self) -> None:
        """Make the first connection of this slot, at once."""
        self._task = asyncio.get_running_loop().create_task(self._run(0.0, 0))

    def on_gone(self, connection: ClientConnection) -> bool:
        """The connection takes no more exchanges; True if it was this slot's, which now gets another."""
        if connection is not self._connection:
            return False
        self._connection = None
        loop = asyncio.get_running_loop()
        if connection.counters.answers or loop.time() - self._since_s >= self._settled_s:
            self._backoff.reset()
        delay_s = 0.0 if connection.counters.answers and connection.retired else self._backoff.next_delay_s()
        self._task = loop.create_task(self._run(delay_s, 1))
        return True

    async def _run(self, delay_s: float, replacing: int) -> None:
        while True:
            await asyncio.sleep(delay_s)
            self.reconnects += replacing
            try:
                connection = await self._connect()
            except TargetError:
                delay_s = self._backoff.next_delay_s()
                continue
            self._task = None
            self.adopt(connection)
            return

    async def aclose(self) -> None:
        """Stop trying."""
        task, self._task, self._connection = self._task, None, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
