"""One connection of the server, between a codec and a transport."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

from simulator.http2.codec import Closed, Event, Failed, Request, ServerCodec
from simulator.http2.messages import Header
from simulator.http2.statistics import ServerCounters

_STATUS: Final[dict[int, Header]] = {status: (b":status", b"%d" % status) for status in range(100, 600)}

_NO_LINGER: Final = struct.pack("ii", 1, 0)
"""What is unsent is dropped, and the peer gets an RST."""


class ServerRequest:
    """A complete request. Answer it once, now or later, with `respond`."""

    __slots__ = ("_connection", "_stream_id", "body", "headers", "method", "path")

    def __init__(self, connection: ServerConnection, stream_id: int, headers: Sequence[Header], body: bytes) -> None:
        self._connection = connection
        self._stream_id = stream_id
        self.headers = headers
        self.body = body
        self.method = self.path = b""
        for name, value in headers:
            if name == b":path":
                self.path = value
            elif name == b":method":
                self.method = value

    def header(self, name: bytes) -> bytes | None:
        """Value of the first header called `name` (lower case), or None."""
        return next((value for key, value in self.headers if key == name), None)

    def respond(self, status: int, headers: list[Header], body: bytes = b"") -> None:
        """Answer; does nothing if the stream or the connection is gone, or it was answered before.

        Raises HeaderError (a ValueError) for a header value with a line break.
        """
        self._connection.respond(self._stream_id, [_STATUS[status], *headers], body)

    def reset(self, error_code: int) -> None:
        """RST_STREAM instead of an answer; does nothing where `respond` would do nothing."""
        self._connection.reset(self._stream_id, error_code)

    @property
    def connection(self) -> ServerConnection:
        """The connection on which it came."""
        return self._connection


class ServerConnection:
    """An asyncio protocol. Adds itself to `connections` while it lives, and turns the peer away when they are `most` already."""

    def __init__(
        self,
        codec: ServerCodec,
        handler: Callable[[ServerRequest], None],
        counters: ServerCounters,
        connections: set[ServerConnection],
        most: int,
    ) -> None:
        self._codec = codec
        self._handler = handler
        self._counters = counters
        self._connections = connections
        self._most = most
        self._loop = asyncio.get_running_loop()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._unanswered: set[int] = set()
        self._flush_scheduled = False
        self._paused = False

    @property
    def unanswered(self) -> int:
        """Requests that wait for their answer."""
        return len(self._unanswered)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A peer has connected."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by behaviour only
        tls = transport.get_extra_info("ssl_object")
        if len(self._connections) >= self._most or (tls is not None and tls.selected_alpn_protocol() != "h2"):
            self._counters.turned_away += 1
            self._transport.abort()
            return
        self._counters.accepted += 1
        self._connections.add(self)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Octets from the peer."""
        self._counters.bytes_received += len(data)
        self._on_events(self._codec.receive(data))
        self._schedule_flush()

    def _on_events(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Request):
                self._counters.requests += 1
                self._unanswered.add(event.stream_id)
                request = ServerRequest(self, event.stream_id, event.headers, event.body)
                try:
                    self._handler(request)
                except Exception as error:
                    self._on_handler_error(request, error)
            elif isinstance(event, Failed):
                self._counters.resets += 1
                self._unanswered.discard(event.stream_id)
            elif isinstance(event, Closed):
                self._on_closed(event)

    def respond(self, stream_id: int, headers: list[Header], body: bytes) -> None:
        """Answer a request, if it is still there."""
        if stream_id not in self._unanswered:
            return
        if self._codec.respond(stream_id, headers, body):
            self._counters.responses += 1
        self._unanswered.discard(stream_id)
        if not self._flush_scheduled:
            self._schedule_flush()

    def reset(self, stream_id: int, error_code: int) -> None:
        """Reset a stream instead of answering, if it is still there."""
        if stream_id in self._unanswered:
            self._unanswered.discard(stream_id)
            self._codec.cancel(stream_id, error_code)
            self._schedule_flush()

    def use(self, handler: Callable[[ServerRequest], None]) -> None:
        """From now on, requests go to that handler."""
        self._handler = handler

    def update_settings(self, settings: Mapping[int, int]) -> None:
        """Announce changed settings."""
        self._codec.update_settings(settings)
        self._schedule_flush()

    def _on_handler_error(self, request: ServerRequest, error: Exception) -> None:
        self._counters.handler_errors += 1
        self._loop.call_exception_handler({"message": "HTTP/2 request handler raised", "exception": error})
        request.respond(500, [])

    def _schedule_flush(self) -> None:
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Write once for everything answered since the last turn."""
        self._flush_scheduled = False
        if self._paused or self._transport is None or self._transport.is_closing():
            return
        octets, events = self._codec.send()
        if octets:
            self._counters.bytes_sent += len(octets)
            self._transport.write(octets)
        if events:
            self._on_events(events)

    def _on_closed(self, event: Closed) -> None:
        if event.error_code:
            self._counters.protocol_errors += 1
        self._unanswered.clear()
        if self._transport is not None:
            self._transport.close()

    def go_away(self) -> None:
        """Take no new requests; the codec reports Closed when the last answer has left (RFC 9113 6.8)."""
        self._codec.goaway()
        self._schedule_flush()

    def terminate(self, error_code: int) -> None:
        """GOAWAY, and the end: streams under way are not answered (RFC 9113 5.4.1)."""
        self._unanswered.clear()
        self._codec.goaway(error_code)
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Cut the peer off."""
        if self._transport is not None:
            self._transport.abort()

    def reset_transport(self) -> None:
        """Cut the peer off with a TCP RST, as a process that crashed would."""
        if self._transport is not None:
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self._transport.abort()

    def pause_writing(self) -> None:
        """The peer does not read: take no more from it either, so that what is held for it is bounded."""
        self._paused = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._paused = False
        if self._transport is not None:
            self._transport.resume_reading()
        self._schedule_flush()

    def eof_received(self) -> bool:
        """The peer has closed its side; ours follows."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The peer is gone."""
        self._connections.discard(self)
        self._unanswered.clear()
        if not self.gone.done():
            self.gone.set_result(None)
