"""A client connection with a transport and a peer in memory; turns of the loop are taken one by one."""

from __future__ import annotations

import asyncio
from typing import Any

from simulator.http2.choice import client_codec, server_codec
from simulator.http2.codec import CodecLimits, Event, Request
from simulator.http2.connection import ClientConnection
from simulator.http2.messages import Answer, Exchange, Failure
from tests.http2.wire import OK, POST

SECOND = 1_000_000_000


async def turns(count: int = 3) -> None:
    """Let the loop run what is due now."""
    for _ in range(count):
        await asyncio.sleep(0)


class FakeTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = self.aborted = False

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def take(self) -> bytes:
        octets = b"".join(self.written)
        self.written.clear()
        return octets


class Rig:
    """`now` is the clock; the rig is also the connection's owner, and notes what it is told."""

    def __init__(self, codec: str = "ngh2", *, peer_streams: int = 100, streams: int = 100, **limits: int) -> None:
        self.now = SECOND
        self.peer = server_codec("ngh2", CodecLimits(streams=peer_streams))
        self.peer_saw: list[Event] = []
        self.transport = FakeTransport()
        self.done: list[tuple[Exchange, Answer | Failure, int]] = []
        self.room: list[int] = []
        self.taken_back: list[Exchange] = []
        self.retired = 0
        self.ended: list[str] = []
        self.connection = ClientConnection(
            self,
            client_codec(codec, CodecLimits(**limits)),
            streams=streams,
            clock=lambda: self.now,
            keepalive_s=3_600.0,
        )

    def on_room(self, connection: ClientConnection) -> None:
        self.room.append(connection.free if connection.open_for_more else 0)

    def take_back(self, exchanges: list[Exchange]) -> None:
        self.taken_back += exchanges

    def on_retired(self, connection: ClientConnection) -> None:
        self.retired += 1

    def on_end(self, connection: ClientConnection, detail: str) -> None:
        self.ended.append(detail)

    async def connect(self) -> Rig:
        self.connection.connection_made(self.transport)
        await self.carry()
        assert self.connection.ready.result() == ""
        return self

    async def carry(self) -> None:
        """Carry octets both ways until both ends are silent."""
        await turns()
        while self.to_peer() or self.from_peer():
            await turns()

    def to_peer(self) -> bool:
        octets = self.transport.take()
        if octets:
            self.peer_saw += self.peer.receive(octets)
        return bool(octets)

    def from_peer(self) -> bool:
        octets, events = self.peer.send()
        self.peer_saw += events
        if octets and not self.transport.closed:
            self.connection.data_received(octets)
        return bool(octets)

    def submit(self, body: bytes = b"{}", deadline_s: float = 5.0, headers: Any = None) -> Exchange:
        deadline = self.now + int(deadline_s * SECOND)
        exchange = Exchange(list(headers or POST), body, deadline, self._on_done)
        self.connection.submit(exchange)
        return exchange

    def _on_done(self, exchange: Exchange, result: Answer | Failure, now: int) -> None:
        self.done.append((exchange, result, now))

    @property
    def requests(self) -> list[Request]:
        return [event for event in self.peer_saw if isinstance(event, Request)]

    def answer(self, exchange: Exchange, body: bytes = b"granted") -> None:
        assert self.peer.respond(exchange.stream_id, OK, body)

    def results(self) -> list[Answer | Failure]:
        return [result for _, result, _ in self.done]

    def failure(self, exchange: Exchange) -> Failure:
        """The one result of this exchange, which must be a failure."""
        (result,) = [result for done, result, _ in self.done if done is exchange]
        assert isinstance(result, Failure)
        return result
