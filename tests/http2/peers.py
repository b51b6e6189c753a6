"""Servers and bad peers on real sockets."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from simulator.http2 import Answer, Exchange, Failure, Header, Pool, PoolLimits, Server, ServerRequest, Target
from tests.http2.wire import POST

SECOND = 1_000_000_000
CODEC = "ngh2"
"""Of clients that ask for none; tests of both set it."""
Handler = Callable[[ServerRequest], None]


def echo(request: ServerRequest) -> None:
    """Answer with the request's own body."""
    request.respond(200, [(b"content-type", b"application/json")], request.body)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def plain(port: int) -> Target:
    return Target.parse(f"http://127.0.0.1:{port}")


@asynccontextmanager
async def serving(handler: Handler = echo, **options: Any) -> AsyncIterator[Server]:
    server = await Server.serve(handler, "127.0.0.1", options.pop("port", 0), **options)
    try:
        yield server
    finally:
        await server.aclose()


@asynccontextmanager
async def pooled(target: Target, *, codec: str = "", tls: Any = None, **limits: Any) -> AsyncIterator[Client]:
    bounds: dict[str, Any] = {"connections": 1, "connect_timeout_s": 2.0, "backoff_min_s": 0.005, **limits}
    pool = Pool(target, PoolLimits(**bounds), codec=codec or CODEC, tls=tls, draw=random.Random(1).random)
    await pool.open()
    client = Client(pool)
    try:
        yield client
    finally:
        await pool.aclose()


class Client:
    """A pool with futures instead of callbacks, for tests only."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.calls: dict[Exchange, int] = {}
        """How often each exchange was reported done."""

    def submit(
        self, body: bytes = b"{}", *, deadline_s: float = 5.0, headers: list[Header] | None = None
    ) -> asyncio.Future[Answer | Failure]:
        future: asyncio.Future[Answer | Failure] = asyncio.get_running_loop().create_future()
        now = time.monotonic_ns()
        exchange = Exchange(headers or list(POST), body, now + int(deadline_s * SECOND), self._on_done, future)
        self.calls[exchange] = 0
        self.pool.submit(exchange, now)
        assert self.calls[exchange] == 0, "on_done was called from inside submit"
        return future

    def _on_done(self, exchange: Exchange, result: Answer | Failure, now: int) -> None:
        self.calls[exchange] += 1
        assert isinstance(exchange.context, asyncio.Future)
        if not exchange.context.done():
            exchange.context.set_result(result)

    async def answer(self, body: bytes = b"{}", **options: Any) -> Answer:
        result = await self.submit(body, **options)
        assert isinstance(result, Answer), result
        return result

    async def failure(self, body: bytes = b"{}", **options: Any) -> Failure:
        result = await self.submit(body, **options)
        assert isinstance(result, Failure), result
        return result


async def until(condition: Callable[[], bool]) -> None:
    """Wait for real sockets to bring something about."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the condition is the state of two programs, not of one event
            await asyncio.sleep(0.001)


@asynccontextmanager
async def raw_peer(talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]) -> AsyncIterator[int]:
    """A TCP server that does what `talk` says; yields its port."""
    tasks: set[asyncio.Task[Any] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            if task is not None:
                task.cancel()
        await asyncio.sleep(0)
        await server.wait_closed()
