"""A small HTTP/2 server: a handler gets complete requests and answers each, at once or later."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import cast

from simulator.http2.choice import server_codec
from simulator.http2.closing import all_done
from simulator.http2.codec import CodecLimits
from simulator.http2.server_connection import ServerConnection, ServerRequest
from simulator.http2.statistics import ServerCounters, ServerStatistics

Handler = Callable[[ServerRequest], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """The bounds of a server."""

    connections: int = 1_024
    streams: int = 256
    """Per connection, announced as SETTINGS_MAX_CONCURRENT_STREAMS."""
    max_body_octets: int = 1 << 20
    max_header_octets: int = 1 << 16
    close_timeout_s: float = 2.0
    """How long a closing server waits for its handlers to answer and for its peers to read."""


class Server:
    """See the module; made by `Server.serve`."""

    def __init__(self, handler: Handler, codec: str, limits: ServerLimits) -> None:
        self._handler = handler
        self._codec = codec
        self._limits = limits
        self._codec_limits = CodecLimits(
            streams=limits.streams, max_body_octets=limits.max_body_octets, max_header_octets=limits.max_header_octets
        )
        self._connections: set[ServerConnection] = set()
        self._counters = ServerCounters()
        self._listener: asyncio.Server | None = None

    @classmethod
    async def serve(
        cls,
        handler: Handler,
        host: str,
        port: int,
        *,
        codec: str = "ngh2",
        tls: ssl.SSLContext | None = None,
        limits: ServerLimits | None = None,
    ) -> Server:
        """Listen; port 0 takes a free one. Raises OSError if the port is in use."""
        server = cls(handler, codec, limits or ServerLimits())
        loop = asyncio.get_running_loop()
        accept = cast("Callable[[], asyncio.Protocol]", server._accept)  # each is one by its methods
        server._listener = await loop.create_server(accept, host, port, ssl=tls, backlog=1_024)
        return server

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._listener is not None
        port: int = self._listener.sockets[0].getsockname()[1]
        return port

    def _accept(self) -> ServerConnection:
        codec = server_codec(self._codec, self._codec_limits)
        return ServerConnection(codec, self._handler, self._counters, self._connections, self._limits.connections)

    def statistics(self) -> ServerStatistics:
        """Where the server stands."""
        return ServerStatistics(
            connections=len(self._connections),
            unanswered=sum(connection.unanswered for connection in self._connections),
            **asdict(self._counters),
        )

    async def aclose(self) -> None:
        """Stop listening, say GOAWAY, let requests under way be answered for a bounded time, close."""
        if self._listener is None:
            return
        listener, self._listener = self._listener, None
        listener.close()
        connections = list(self._connections)
        for connection in connections:
            connection.go_away()
        await all_done([connection.gone for connection in connections], self._limits.close_timeout_s)
        for connection in connections:
            connection.abort()
        await all_done([connection.gone for connection in connections], self._limits.close_timeout_s)
        await listener.wait_closed()
