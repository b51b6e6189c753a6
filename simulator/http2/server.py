"""A small HTTP/2 server: a handler gets complete requests and answers each, at once or later."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

from simulator.http2.choice import server_codec
from simulator.http2.closing import all_done
from simulator.http2.codec import INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, CodecLimits
from simulator.http2.guard import GuardedConnection, GuardLimits
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
    guard: GuardLimits | None = None
    """What a connection is ended for; None: nothing."""


class Server:
    """See the module; made by `Server.serve`."""

    def __init__(self, handler: Handler, codec: str, limits: ServerLimits) -> None:
        self._handler = handler
        self._codec = codec
        self._limits = limits
        self._codec_limits = CodecLimits(
            streams=limits.streams, max_body_octets=limits.max_body_octets, max_header_octets=limits.max_header_octets
        )
        self._address = ("", 0)
        self._tls: ssl.SSLContext | None = None
        self._holders: list[socket.socket] = []
        """They keep the ports of a suspended server from everybody else, without listening."""
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
        server._tls = tls
        await server._listen(host, port)
        server._address = (host, server.port)
        return server

    async def _listen(self, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        accept = cast("Callable[[], asyncio.Protocol]", self._accept)  # each is one by its methods
        self._listener = await loop.create_server(accept, host, port, ssl=self._tls, backlog=1_024)

    def suspend(self) -> int:
        """Refuse new connections and cut those that are there, until `resume`; return how many were cut."""
        if self._listener is None:
            return 0
        listener, self._listener = self._listener, None
        bound = [(each.family, each.getsockname()) for each in listener.sockets]
        listener.close()
        self._holders = [holder for family, address in bound if (holder := _hold(family, address)) is not None]
        connections = list(self._connections)
        for connection in connections:
            connection.reset_transport()
        return len(connections)

    async def resume(self) -> None:
        """Listen again at the same address. Raises OSError if somebody else took the port."""
        if self._listener is None:
            self._release_ports()
            await self._listen(*self._address)

    def _release_ports(self) -> None:
        for holder in self._holders:
            holder.close()
        self._holders.clear()

    @property
    def handler(self) -> Handler:
        """Where requests go."""
        return self._handler

    def use(self, handler: Handler) -> None:
        """From now on, requests go to that handler, on all connections."""
        self._handler = handler
        for connection in self._connections:
            connection.use(handler)

    def announce(self, *, streams: int, stream_window_octets: int) -> None:
        """Change SETTINGS_MAX_CONCURRENT_STREAMS and SETTINGS_INITIAL_WINDOW_SIZE, of all connections."""
        self._codec_limits = replace(self._codec_limits, streams=streams, stream_window_octets=stream_window_octets)
        for connection in self._connections:
            connection.update_settings({MAX_CONCURRENT_STREAMS: streams, INITIAL_WINDOW_SIZE: stream_window_octets})

    def connections(self) -> list[ServerConnection]:
        """Those that are there."""
        return list(self._connections)

    @property
    def port(self) -> int:
        """The port it listens on, or will listen on again."""
        if self._listener is None:
            return self._address[1]
        port: int = self._listener.sockets[0].getsockname()[1]
        return port

    def _accept(self) -> ServerConnection | GuardedConnection:
        codec = server_codec(self._codec, self._codec_limits)
        most = self._limits.connections
        connection = ServerConnection(codec, self._handler, self._counters, self._connections, most)
        return connection if self._limits.guard is None else GuardedConnection(connection, self._limits.guard)

    def statistics(self) -> ServerStatistics:
        """Where the server stands."""
        return ServerStatistics(
            connections=len(self._connections),
            unanswered=sum(connection.unanswered for connection in self._connections),
            **asdict(self._counters),
        )

    async def aclose(self) -> None:
        """Stop listening, say GOAWAY, let requests under way be answered for a bounded time, close."""
        self._release_ports()
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


def _hold(family: int, address: Any) -> socket.socket | None:
    """A socket that is bound and does not listen: connections are refused, and nobody is given the port."""
    holder = socket.socket(family, socket.SOCK_STREAM)
    try:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(address)
    except OSError:  # the port is then only as safe as any that is free
        holder.close()
        return None
    return holder
