"""The codec on libnghttp2, through ngh2. Nothing outside this file knows ngh2.

Its events come in frames' order; one pass over them makes messages. See `codec.Codec` for what the methods do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import ngh2
from ngh2 import DataReceived, RequestReceived, ResponseReceived, StreamClosed, TrailersReceived

from simulator.http2.codec import (
    CANCEL,
    CONNECTION_WINDOW_OCTETS,
    ENABLE_PUSH,
    INITIAL_WINDOW_SIZE,
    INTERNAL_ERROR,
    MAX_CONCURRENT_STREAMS,
    MAX_HEADER_LIST_SIZE,
    NO_ERROR,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    UNLIMITED_STREAMS,
    Capacity,
    Closed,
    CodecLimits,
    Event,
    Failed,
    GoingAway,
    Pong,
    Refused,
    Request,
    StreamsExhaustedError,
    check_values,
    error_name,
    goaway_detail,
    status_of,
)
from simulator.http2.messages import Answer, FailureKind, Header

_NEVER_LIMITED: Final = (1 << 32, 1 << 32)
"""Token bucket (burst, rate). A load generator with short deadlines cancels thousands of streams. libnghttp2's own
buckets would let the server end the connection over the resets (1,000, then 33 a second), and the client over the
answers that cross them, which count as glitches (10,000, then 330 a second)."""


class _Ngh2Codec:
    """What both ends have in common."""

    def __init__(self, role: ngh2.Role, limits: CodecLimits, settings: Mapping[int, int]) -> None:
        config = ngh2.Configuration(
            stream_reset_rate_limit=_NEVER_LIMITED,
            glitch_rate_limit=_NEVER_LIMITED,
            max_inbound_header_list_size=limits.max_header_octets,
            max_deflate_dynamic_table_size=4_096,
        )
        self._max_body_octets = limits.max_body_octets
        self._connection = ngh2.Connection(role, config)
        announced = {
            INITIAL_WINDOW_SIZE: limits.stream_window_octets,
            MAX_HEADER_LIST_SIZE: limits.max_header_octets,
            **settings,
        }
        self._connection.initiate_connection(announced)
        self._connection.set_local_window_size(CONNECTION_WINDOW_OCTETS)
        self._buffers: dict[int, bytearray] = {}
        """Bodies that came in more than one DATA frame."""
        self._reset_by_peer = 0
        """The stream that the peer reset last; its StreamClosed follows at once."""
        self._cancelled: set[int] = set()
        """Streams that we reset; their StreamClosed is still to come, and is no event to anybody."""
        self._greeted = False
        self._closed = False
        self.unsent_octets = self._connection.queued_body_size

    def cancel(self, stream_id: int, error_code: int = CANCEL) -> None:
        """See `Codec.cancel`."""
        self._forget(stream_id)
        if not self._closed:
            self._cancelled.add(stream_id)
            self._connection.reset_stream(stream_id, error_code)

    def ping(self, data: bytes) -> None:
        """See `Codec.ping`."""
        if not self._closed:
            self._connection.ping(data)

    def goaway(self, error_code: int = NO_ERROR) -> None:
        """See `Codec.goaway`."""
        if not self._closed:
            self._connection.send_goaway(error_code)

    def update_settings(self, settings: Mapping[int, int]) -> None:
        """See `Codec.update_settings`."""
        if not self._closed:
            self._connection.update_settings(settings)

    def receive(self, octets: bytes) -> list[Event]:
        """See `Codec.receive`."""
        if self._closed:
            return []
        try:
            self._connection.receive_data(octets)
        except ngh2.NGH2Error as error:
            return [*self._translate(), *self._break_off(error)]
        return self._translate()

    def send(self) -> tuple[bytes, list[Event]]:
        """See `Codec.send`."""
        if self._closed:
            return b"", []
        try:
            octets = self._connection.data_to_send()
        except ngh2.NGH2Error as error:
            return b"", [*self._translate(), *self._break_off(error)]
        return octets, self._translate()

    def _translate(self) -> list[Event]:
        raise NotImplementedError

    def _forget(self, stream_id: int) -> None:
        raise NotImplementedError

    def _break_off(self, error: ngh2.NGH2Error) -> list[Event]:
        """A fatal error: libnghttp2 has torn its state down and reports no stream as closed."""
        if self._closed:
            return []
        self._closed = True
        code = PROTOCOL_ERROR if isinstance(error, ngh2.ProtocolError) else INTERNAL_ERROR
        return [Closed(code, str(error).removeprefix("HTTP/2 engine error: "))]

    def _add(self, message: Answer | Request, data: bytes) -> bool:
        """Append a DATA frame's octets; False if the body is above the limit. Most bodies are one frame."""
        stream_id = message.stream_id
        buffer = self._buffers.get(stream_id)
        if buffer is None:
            if not message.body:
                message.body = data
                return len(data) <= self._max_body_octets
            buffer = self._buffers[stream_id] = bytearray(message.body)
        buffer += data
        return len(buffer) <= self._max_body_octets

    def _join(self, message: Answer | Request) -> None:
        """The body is complete."""
        if self._buffers:
            buffer = self._buffers.pop(message.stream_id, None)
            if buffer is not None:
                message.body = bytes(buffer)

    def _on_rare(self, event: ngh2.Event, out: list[Event]) -> None:
        """Events of the connection, and resets."""
        match event:
            case ngh2.SettingsReceived():
                streams = event.settings.get(MAX_CONCURRENT_STREAMS)
                if streams is not None or not self._greeted:
                    out.append(Capacity(UNLIMITED_STREAMS if streams is None else streams))
                self._greeted = True
            case ngh2.StreamReset():
                self._reset_by_peer = event.stream_id
            case ngh2.GoAwayReceived():
                detail = goaway_detail(event.error_code, event.debug_data)
                out.append(GoingAway(event.last_stream_id, event.error_code, detail))
            case ngh2.PingAcknowledged():
                out.append(Pong(event.opaque_data))
            case ngh2.ConnectionClosed():
                self._closed = True
                out.append(Closed(event.error_code, goaway_detail(event.error_code, event.debug_data)))


class Ngh2Client(_Ngh2Codec):
    """The client's end."""

    def __init__(self, limits: CodecLimits) -> None:
        super().__init__(ngh2.Role.CLIENT, limits, {ENABLE_PUSH: 0})
        self._partial: dict[int, Answer] = {}
        self._complete: dict[int, Answer] = {}
        """Answers whose stream is not closed yet: the peer answered before our body had left."""

    def request(self, headers: Sequence[Header], body: bytes) -> int:
        """See `ClientCodec.request`."""
        check_values(headers)
        if self._closed:
            raise StreamsExhaustedError("the connection is closed")
        try:
            stream_id = self._connection.send_request(headers, end_stream=not body)
        except ngh2.NGH2Error as error:
            raise StreamsExhaustedError(str(error)) from None
        if body:
            self._connection.send_data(stream_id, body, end_stream=True)
        return stream_id

    def _forget(self, stream_id: int) -> None:
        self._partial.pop(stream_id, None)
        self._complete.pop(stream_id, None)
        self._buffers.pop(stream_id, None)

    def _translate(self) -> list[Event]:
        out: list[Event] = []
        for event in self._connection.events():
            if isinstance(event, ResponseReceived):
                answer = Answer(status_of(event.headers), event.headers, b"", event.stream_id)
                (self._complete if event.end_stream else self._partial)[event.stream_id] = answer
            elif isinstance(event, DataReceived):
                self._on_data(event, out)
            elif isinstance(event, StreamClosed):
                answered = self._complete.pop(event.stream_id, None)
                if answered is not None:
                    out.append(answered)
                else:
                    self._on_broken(event, out)
            elif isinstance(event, TrailersReceived):  # nobody needs them, but they end the answer (RFC 9113 8.1)
                trailed = self._partial.get(event.stream_id)
                if trailed is not None:
                    self._on_end(trailed)
            else:
                self._on_rare(event, out)
        if self._complete and not self._closed:
            self._give_up_bodies()
        return out

    def _on_data(self, event: DataReceived, out: list[Event]) -> None:
        stream_id = event.stream_id
        answer = self._partial.get(stream_id)
        if answer is None:
            return  # cancelled
        if event.data and not self._add(answer, event.data):
            self.cancel(stream_id)
            out.append(Failed(stream_id, FailureKind.TOO_LARGE, f"the body is above {self._max_body_octets} octets"))
        elif event.end_stream:
            self._on_end(answer)

    def _on_end(self, answer: Answer) -> None:
        del self._partial[answer.stream_id]
        self._join(answer)
        self._complete[answer.stream_id] = answer

    def _on_broken(self, event: StreamClosed, out: list[Event]) -> None:
        """A stream closed without a complete answer."""
        stream_id = event.stream_id
        if stream_id in self._cancelled:
            self._cancelled.remove(stream_id)
            return
        by_peer = stream_id == self._reset_by_peer
        self._forget(stream_id)
        if event.error_code == REFUSED_STREAM:
            out.append(Refused(stream_id, "the peer refused the stream"))
        elif by_peer:
            out.append(
                Failed(stream_id, FailureKind.RESET, f"the peer reset the stream: {error_name(event.error_code)}")
            )
        elif event.local_error is not None:
            out.append(Failed(stream_id, FailureKind.PROTOCOL, f"not sent: {event.local_error}"))
        else:
            out.append(Failed(stream_id, FailureKind.PROTOCOL, f"malformed answer: {error_name(event.error_code)}"))

    def _give_up_bodies(self) -> None:
        """The peer answered in full while it still had our body to read (RFC 9113 8.1): stop sending it.

        The stream then closes, and its answer is delivered, with the next `send`.
        """
        for stream_id in self._complete:
            self._connection.reset_stream(stream_id, CANCEL)


class Ngh2Server(_Ngh2Codec):
    """The server's end."""

    def __init__(self, limits: CodecLimits) -> None:
        super().__init__(ngh2.Role.SERVER, limits, {MAX_CONCURRENT_STREAMS: limits.streams})
        self._partial: dict[int, Request] = {}
        self._going_away = False
        self._refused_bodies: list[int] = []

    def goaway(self, error_code: int = NO_ERROR) -> None:
        """See `Codec.goaway`."""
        self._going_away = True
        super().goaway(error_code)

    def send(self) -> tuple[bytes, list[Event]]:
        """See `Codec.send`."""
        octets, events = super().send()
        if self._refused_bodies:  # the 413 has left; a reset queued earlier would have overtaken it
            refused, self._refused_bodies = self._refused_bodies, []
            for stream_id in refused:
                self.cancel(stream_id, NO_ERROR)
            more, more_events = super().send()
            return octets + more, events + more_events
        return octets, events

    def respond(self, stream_id: int, headers: Sequence[Header], body: bytes) -> bool:
        """See `ServerCodec.respond`."""
        check_values(headers)
        if self._closed:
            return False
        try:
            self._connection.send_response(stream_id, headers, end_stream=not body)
        except ngh2.NGH2Error:
            return False
        if body:
            self._connection.send_data(stream_id, body, end_stream=True)
        return True

    def _forget(self, stream_id: int) -> None:
        self._partial.pop(stream_id, None)
        self._buffers.pop(stream_id, None)

    def _translate(self) -> list[Event]:
        out: list[Event] = []
        for event in self._connection.events():
            if isinstance(event, DataReceived):
                self._on_data(event, out)
            elif isinstance(event, RequestReceived):
                if self._going_away:
                    continue  # above the last stream of our GOAWAY: the client will repeat it elsewhere
                request = Request(event.stream_id, event.headers, b"")
                if event.end_stream:
                    out.append(request)
                else:
                    self._partial[event.stream_id] = request
            elif isinstance(event, StreamClosed):
                if event.stream_id in self._cancelled:
                    self._cancelled.remove(event.stream_id)
                elif event.error_code != NO_ERROR:
                    self._on_broken(event, out)
            elif isinstance(event, TrailersReceived):
                trailed = self._partial.get(event.stream_id)
                if trailed is not None:
                    self._on_end(trailed, out)
            else:
                self._on_rare(event, out)
        return out

    def _on_data(self, event: DataReceived, out: list[Event]) -> None:
        stream_id = event.stream_id
        request = self._partial.get(stream_id)
        if request is None:
            return  # answered 413 already, or reset
        if event.data and not self._add(request, event.data):
            self._refuse_body(stream_id)
        elif event.end_stream:
            self._on_end(request, out)

    def _on_end(self, request: Request, out: list[Event]) -> None:
        del self._partial[request.stream_id]
        self._join(request)
        out.append(request)

    def _on_broken(self, event: StreamClosed, out: list[Event]) -> None:
        self._forget(event.stream_id)
        out.append(Failed(event.stream_id, FailureKind.RESET, f"reset: {error_name(event.error_code)}"))

    def _refuse_body(self, stream_id: int) -> None:
        """413 as soon as the limit is passed; then the peer is asked to stop sending (RFC 9113 8.1)."""
        self._forget(stream_id)
        try:
            self._connection.send_response(stream_id, [(b":status", b"413")], end_stream=True)
        except ngh2.NGH2Error:  # the peer has reset the stream since, which is told next
            return
        self._refused_bodies.append(stream_id)
