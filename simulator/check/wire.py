"""One HTTP/2 connection as a check wants it: header fields exactly as given, and everything that comes back is seen.

A load generator's codec hides what is looked at here: trailers, PING, streams left open, frames of unknown types. So this
speaks through hyper-h2 itself, which is also another implementation than the one that the sandbox and many CHFs are built on.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingAckReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import H2Error, ProtocolError
from h2.settings import SettingCodes, Settings

from simulator.check.verdicts import Exchange
from simulator.http2 import Header, Target
from simulator.http2.codec import CANCEL, error_name

MAX_ANSWER_OCTETS: Final = 8 << 20
_READ_OCTETS: Final = 65_536
_WINDOW_OCTETS: Final = 1 << 20
_GOAWAY: Final = 7


class NoAnswerError(Exception):
    """A request got no complete answer; the message says why."""


class Stream:
    """One request under way."""

    def __init__(self, number: int, exchange: Exchange) -> None:
        self.number = number
        self.exchange = exchange
        self.begun = time.monotonic()
        self.body = bytearray()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def fail(self, why: str) -> None:
        """No answer will come; an answer that is complete stays one."""
        if not self.done.done():
            self.exchange.failure = why
            self.done.set_result(None)

    def complete(self) -> None:
        """The answer is there."""
        if not self.done.done():
            self.exchange.answer_body = bytes(self.body)
            self.exchange.seconds = time.monotonic() - self.begun
            self.done.set_result(None)


class Connection:
    """See the module. Every wait is bounded by `timeout_s`."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, window: int, timeout_s: float
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._timeout_s = timeout_s
        configuration = H2Configuration(
            header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self._h2 = H2Connection(configuration)
        announced = {
            SettingCodes.ENABLE_PUSH: 0,
            SettingCodes.INITIAL_WINDOW_SIZE: window,
        }
        self._h2.local_settings = Settings(client=True, initial_values=announced)
        self._streams: dict[int, Stream] = {}
        self._pongs: dict[bytes, asyncio.Future[None]] = {}
        self._greeted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._moved = asyncio.Event()
        """Set when something came that may let a body go on: window, settings, the end of a stream."""
        self.ended = ""
        """Why it is over."""
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls, target: Target, tls: ssl.SSLContext | None, timeout_s: float, window: int = _WINDOW_OCTETS
    ) -> Connection:
        """Connect and wait for the peer's SETTINGS. Raises NoAnswerError."""
        name = target.host if tls is not None else None
        try:
            async with asyncio.timeout(timeout_s):
                reader, writer = await asyncio.open_connection(target.host, target.port, ssl=tls, server_hostname=name)
        except (OSError, TimeoutError) as error:
            raise NoAnswerError(f"cannot connect: {str(error) or 'no answer in time'}") from None
        connection = cls(reader, writer, window, timeout_s)
        connection._h2.initiate_connection()
        connection._flush()
        connection._task = asyncio.create_task(connection._read())
        try:
            async with asyncio.timeout(timeout_s):
                await connection._greeted
        except TimeoutError:
            await connection.aclose()
            raise NoAnswerError("no SETTINGS came") from None
        if connection.ended:
            await connection.aclose()
            raise NoAnswerError(connection.ended)
        return connection

    async def aclose(self) -> None:
        """Close without ceremony."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._end("closed by the check")
        self._writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._writer.wait_closed()

    @property
    def most_streams(self) -> int:
        """How many streams the peer allows at a time."""
        return int(self._h2.remote_settings.max_concurrent_streams)

    async def call(
        self, headers: Sequence[Header], body: bytes, exchange: Exchange, trailers: Sequence[Header] = ()
    ) -> None:
        """Send a request and wait for the answer, which is noted in the exchange. Raises NoAnswerError."""
        await self.finish(await self.begin(headers, body, exchange, trailers))

    async def begin(
        self,
        headers: Sequence[Header],
        body: bytes,
        exchange: Exchange,
        trailers: Sequence[Header] = (),
        *,
        end: bool = True,
    ) -> Stream:
        """Send a request. Without `end` its stream stays open. Raises NoAnswerError."""
        if self.ended:
            raise self._failed(exchange, self.ended)
        number = self._h2.get_next_available_stream_id()
        stream = self._streams[number] = Stream(number, exchange)
        try:
            self._h2.send_headers(number, headers, end_stream=end and not (body or trailers))
            self._flush()
            async with asyncio.timeout(self._timeout_s):
                await self._send_body(stream, body, end=end and not trailers)
            if trailers and not stream.done.done():
                self._h2.send_headers(number, trailers, end_stream=True)
        except H2Error as error:
            if not stream.done.done() and not self.ended:
                raise self._failed(exchange, f"not sent: {error}") from None
        except TimeoutError:
            raise self._failed(exchange, "the peer did not take the body in time") from None
        self._flush()
        return stream

    async def _send_body(self, stream: Stream, body: bytes, *, end: bool) -> None:
        left = memoryview(body)
        while left and not stream.done.done():
            self._moved.clear()
            room = min(self._h2.local_flow_control_window(stream.number), self._h2.max_outbound_frame_size, len(left))
            if room <= 0:
                await self._moved.wait()
                continue
            self._h2.send_data(stream.number, bytes(left[:room]), end_stream=end and room == len(left))
            left = left[room:]
            self._flush()

    async def finish(self, stream: Stream) -> None:
        """Wait for the answer. Raises NoAnswerError."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await asyncio.shield(stream.done)
        except TimeoutError:
            stream.fail(f"no answer within {self._timeout_s:g} s")
        if stream.exchange.failure:
            raise NoAnswerError(stream.exchange.failure)

    def cancel(self, stream: Stream) -> None:
        """Give a request up (RST_STREAM, CANCEL)."""
        with suppress(H2Error):
            self._h2.reset_stream(stream.number, CANCEL)
        stream.fail("cancelled by the check")
        self._flush()

    async def ping(self, data: bytes) -> None:
        """Send a PING and wait for its acknowledgement, with the same eight octets. Raises NoAnswerError."""
        pong = self._pongs[data] = asyncio.get_running_loop().create_future()
        if self.ended:
            raise NoAnswerError(self.ended)
        self._h2.ping(data)
        self._flush()
        try:
            async with asyncio.timeout(self._timeout_s):
                await pong
        except TimeoutError:
            raise NoAnswerError(f"no acknowledgement of a PING within {self._timeout_s:g} s") from None
        if self.ended:
            raise NoAnswerError(self.ended)

    def goaway(self) -> None:
        """Say GOAWAY, NO_ERROR: the peer opens no streams; ours go on (RFC 9113 6.8)."""
        self.frame(_GOAWAY, bytes(8))

    def frame(self, kind: int, payload: bytes) -> None:
        """A frame on stream 0, past h2's state machine."""
        self._writer.write(struct.pack(">I", len(payload))[1:] + bytes([kind, 0]) + bytes(4) + payload)

    # What comes.

    async def _read(self) -> None:
        try:
            while not self.ended:
                octets = await self._reader.read(_READ_OCTETS)
                if not octets:
                    self._end("the peer closed the connection")
                    break
                self._take(self._h2.receive_data(octets))
                self._flush()
        except ProtocolError as error:
            self._end(f"the peer broke HTTP/2: {error}")
        except OSError as error:
            self._end(f"connection lost: {error.strerror or error}")

    def _take(self, events: Sequence[Event]) -> None:
        for event in events:
            match event:
                case ResponseReceived():
                    self._on_headers(event.stream_id, event.headers or ())
                case DataReceived():
                    self._on_data(event)
                case StreamEnded():
                    self._on_stream_end(event.stream_id)
                case StreamReset():
                    stream = self._streams.get(event.stream_id)
                    if stream is not None:
                        stream.fail(f"the peer reset the stream: {error_name(int(event.error_code or 0))}")
                case PingAckReceived():
                    pong = self._pongs.pop(event.ping_data, None)
                    if pong is not None and not pong.done():
                        pong.set_result(None)
                case ConnectionTerminated():
                    self._end(f"the peer sent GOAWAY: {error_name(int(event.error_code or 0))}")
                case RemoteSettingsChanged():
                    if not self._greeted.done():
                        self._greeted.set_result(None)
        self._moved.set()

    def _on_headers(self, number: int | None, headers: Sequence[Header]) -> None:
        stream = self._streams.get(number or 0)
        if stream is not None:
            stream.exchange.answer_headers = [(bytes(name), bytes(value)) for name, value in headers]
            status = dict(stream.exchange.answer_headers).get(b":status", b"")
            if not status.isdigit():
                stream.fail(f"an answer with the status {status!r}")
            else:
                stream.exchange.status = int(status)

    def _on_data(self, event: DataReceived) -> None:
        number = event.stream_id or 0
        if event.flow_controlled_length:
            with suppress(H2Error):  # the stream may be closed
                self._h2.acknowledge_received_data(event.flow_controlled_length, number)
        stream = self._streams.get(number)
        if stream is not None and len(stream.body) <= MAX_ANSWER_OCTETS:
            stream.body += event.data or b""

    def _on_stream_end(self, number: int | None) -> None:
        stream = self._streams.get(number or 0)
        if stream is None:
            return
        if len(stream.body) > MAX_ANSWER_OCTETS:
            stream.fail(f"the answer is above {MAX_ANSWER_OCTETS} octets")
        stream.complete()

    def _end(self, why: str) -> None:
        self.ended = self.ended or why
        for stream in self._streams.values():
            stream.fail(self.ended)
        waiting: Mapping[bytes, asyncio.Future[None]] = self._pongs
        for future in (*waiting.values(), self._greeted):
            if not future.done():
                future.set_result(None)
        self._moved.set()

    def _flush(self) -> None:
        octets = self._h2.data_to_send()
        if octets and not self._writer.is_closing():
            self._writer.write(octets)

    def _failed(self, exchange: Exchange, why: str) -> NoAnswerError:
        exchange.failure = why
        return NoAnswerError(why)
