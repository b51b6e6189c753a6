"""The codec on hyper-h2: pure Python, portable, twenty times slower, and the independent witness in the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from h2.config import H2Configuration
from h2.connection import ConnectionInputs, ConnectionState, H2Connection, H2ConnectionStateMachine
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    PingAckReceived,
    RemoteSettingsChanged,
    RequestReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.events import Event as H2Event
from h2.exceptions import H2Error, NoAvailableStreamIDError, ProtocolError, TooManyStreamsError
from h2.settings import SettingCodes, Settings

from simulator.http2.codec import (
    CANCEL,
    CONNECTION_WINDOW_OCTETS,
    ENABLE_PUSH,
    INITIAL_WINDOW_SIZE,
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
    HeaderError,
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

_DEFAULT_WINDOW_OCTETS = 65_535
_FRAME_HEADER_OCTETS = 9
_SETTINGS_TYPE = b"\x04"


_GRACEFUL = {
    (state, goaway): (None, state)
    for state in (ConnectionState.IDLE, ConnectionState.CLIENT_OPEN, ConnectionState.SERVER_OPEN)
    for goaway in (ConnectionInputs.SEND_GOAWAY, ConnectionInputs.RECV_GOAWAY)
}
"""After GOAWAY streams under way go on (RFC 9113 6.8); h2's own table closes the connection at once."""


class _GracefulStateMachine(H2ConnectionStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self._transitions = {**self._transitions, **_GRACEFUL}


class _H2Codec:
    """What both ends have in common. A stream is `open` until its message exchange is complete on both sides."""

    def __init__(self, limits: CodecLimits, settings: Mapping[int, int], *, client: bool) -> None:
        self._max_body_octets = limits.max_body_octets
        self._connection = H2Connection(H2Configuration(client_side=client, header_encoding=None))
        self._connection.state_machine = _GracefulStateMachine()
        announced = {
            INITIAL_WINDOW_SIZE: limits.stream_window_octets,
            MAX_HEADER_LIST_SIZE: limits.max_header_octets,
            **settings,
        }
        self._connection.local_settings = Settings(client=client, initial_values=_coded(announced))
        self._connection.decoder.max_header_list_size = limits.max_header_octets
        self._connection.initiate_connection()
        self._connection.increment_flow_control_window(CONNECTION_WINDOW_OCTETS - _DEFAULT_WINDOW_OCTETS)
        self._open: set[int] = set()
        self._bodies: dict[int, memoryview] = {}
        """What flow control has held back so far."""
        self._incoming: dict[int, bytearray] = {}
        self._output = b""
        self._greeted = False
        self._going_away = False
        self._closed: Closed | None = None
        self._closed_reported = False

    def cancel(self, stream_id: int, error_code: int = CANCEL) -> None:
        """See `Codec.cancel`."""
        self._forget(stream_id)
        if self._closed is None:
            self._reset(stream_id, error_code)

    def ping(self, data: bytes) -> None:
        """See `Codec.ping`."""
        if self._closed is None:
            self._connection.ping(data)

    def goaway(self, error_code: int = NO_ERROR) -> None:
        """See `Codec.goaway`."""
        if self._closed is None:
            self._going_away = True
            self._connection.close_connection(error_code)

    def update_settings(self, settings: Mapping[int, int]) -> None:
        """See `Codec.update_settings`."""
        if self._closed is None:
            self._connection.update_settings(dict(settings))

    def receive(self, octets: bytes) -> list[Event]:
        """See `Codec.receive`."""
        if self._closed is not None:
            return []
        self._output += self._connection.data_to_send()  # a GOAWAY makes h2 drop what it has not handed out
        try:
            events = self._connection.receive_data(octets)
        except ProtocolError as error:
            self._closed = Closed(int(error.error_code), _one_line(error) or "protocol error")
            return []
        out: list[Event] = []
        for event in events:
            self._on_event(event, out)
        return out

    def send(self) -> tuple[bytes, list[Event]]:
        """See `Codec.send`."""
        if self._closed is None:
            self._pump_bodies()
            if self._going_away and not self._open:
                self._closed = Closed(NO_ERROR, "every stream is done")
        octets, self._output = self._output + self._connection.data_to_send(), b""
        if self._closed is None or self._closed_reported:
            return octets, []
        self._closed_reported = True
        return octets, [self._closed]

    def unsent_octets(self, stream_id: int | None = None) -> int:
        """See `Codec.unsent_octets`."""
        if stream_id is None:
            return sum(map(len, self._bodies.values()))
        return len(self._bodies.get(stream_id, b""))

    def _on_message_event(self, event: H2Event, out: list[Event]) -> None:
        raise NotImplementedError

    def _on_broken(self, stream_id: int, error_code: int, by_peer: bool, out: list[Event]) -> None:
        raise NotImplementedError

    def _forget(self, stream_id: int) -> None:
        self._open.discard(stream_id)
        self._bodies.pop(stream_id, None)
        self._incoming.pop(stream_id, None)

    def _on_event(self, event: H2Event, out: list[Event]) -> None:
        match event:
            case RemoteSettingsChanged():
                changed = event.changed_settings.get(SettingCodes.MAX_CONCURRENT_STREAMS)
                if changed is not None or not self._greeted:
                    out.append(Capacity(UNLIMITED_STREAMS if changed is None else changed.new_value))
                self._greeted = True
            case PingAckReceived():
                out.append(Pong(event.ping_data))
            case ConnectionTerminated():
                self._on_goaway(event, out)
            case StreamReset():
                if event.stream_id in self._open:
                    self._forget(event.stream_id)
                    self._on_broken(event.stream_id, int(event.error_code), event.remote_reset, out)
            case DataReceived():
                self._connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self._on_message_event(event, out)
            case _:
                self._on_message_event(event, out)

    def _on_goaway(self, event: ConnectionTerminated, out: list[Event]) -> None:
        code, last = int(event.error_code or 0), event.last_stream_id or 0
        self._going_away = True
        out.append(GoingAway(last, code, goaway_detail(code, event.additional_data or b"")))
        for stream_id in sorted(self._open):
            if stream_id > last:
                self._forget(stream_id)
                self._on_broken(stream_id, REFUSED_STREAM, by_peer=True, out=out)

    def _send_message(self, stream_id: int, headers: Sequence[Header], body: bytes) -> None:
        try:
            self._connection.send_headers(stream_id, headers, end_stream=not body)
        except ProtocolError as error:
            raise HeaderError(_one_line(error)) from None
        if body:
            self._bodies[stream_id] = memoryview(body)

    def _pump_bodies(self) -> None:
        for stream_id in list(self._bodies):
            try:
                self._pump(stream_id)
            except H2Error:  # the stream has gone meanwhile; its reset is reported by `receive`
                self._bodies.pop(stream_id, None)

    def _pump(self, stream_id: int) -> None:
        left = self._bodies[stream_id]
        while left:
            window = self._connection.local_flow_control_window(stream_id)
            octets = min(window, self._connection.max_outbound_frame_size, len(left))
            if octets <= 0:
                self._bodies[stream_id] = left
                return
            self._connection.send_data(stream_id, bytes(left[:octets]), end_stream=octets == len(left))
            left = left[octets:]
        del self._bodies[stream_id]
        self._on_body_sent(stream_id)

    def _on_body_sent(self, stream_id: int) -> None:
        """Our side of the stream has ended."""

    def _take(self, event: DataReceived) -> bool:
        """Collect a piece of a body; False if it is above the limit."""
        buffer = self._incoming[event.stream_id]
        buffer += event.data
        return len(buffer) <= self._max_body_octets

    def _reset(self, stream_id: int, error_code: int) -> None:
        try:
            self._connection.reset_stream(stream_id, error_code)
        except H2Error:
            return  # it is closed already


class H2Client(_H2Codec):
    """The client's end."""

    def __init__(self, limits: CodecLimits) -> None:
        super().__init__(limits, {ENABLE_PUSH: 0}, client=True)
        self._heads: dict[int, Sequence[Header]] = {}
        self._preface = b""

    def receive(self, octets: bytes) -> list[Event]:
        """See `Codec.receive`."""
        if len(self._preface) < _FRAME_HEADER_OCTETS:
            # h2 would wait for the megabytes that a frame of the length "HTT" has
            self._preface += octets[:_FRAME_HEADER_OCTETS]
            if self._closed is None and self._preface[3:4] not in {b"", _SETTINGS_TYPE}:
                self._closed = Closed(PROTOCOL_ERROR, "SETTINGS expected")
        return super().receive(octets)

    def request(self, headers: Sequence[Header], body: bytes) -> int:
        """See `ClientCodec.request`."""
        check_values(headers)
        if self._closed is not None or self._going_away:
            raise StreamsExhaustedError("the connection opens no more streams")
        try:
            stream_id = self._connection.get_next_available_stream_id()
            self._send_message(stream_id, headers, body)
        except (NoAvailableStreamIDError, TooManyStreamsError) as error:
            raise StreamsExhaustedError(_one_line(error)) from None
        self._open.add(stream_id)
        return stream_id

    def _forget(self, stream_id: int) -> None:
        super()._forget(stream_id)
        self._heads.pop(stream_id, None)

    def _on_message_event(self, event: H2Event, out: list[Event]) -> None:
        match event:
            case ResponseReceived() if event.stream_id in self._open:
                self._heads[event.stream_id] = tuple(event.headers)
                self._incoming[event.stream_id] = bytearray()
            case DataReceived() if event.stream_id in self._heads:
                if not self._take(event):
                    self.cancel(event.stream_id)
                    detail = f"the body is above {self._max_body_octets} octets"
                    out.append(Failed(event.stream_id, FailureKind.TOO_LARGE, detail))
            case StreamEnded() if event.stream_id in self._heads:
                headers, body = self._heads[event.stream_id], bytes(self._incoming[event.stream_id])
                if event.stream_id in self._bodies:  # answered before our body had left (RFC 9113 8.1)
                    self._reset(event.stream_id, CANCEL)
                self._forget(event.stream_id)
                if headers[0][1].isdigit():
                    out.append(Answer(status_of(headers), headers, body, event.stream_id))
                else:
                    detail = f"malformed answer: status {headers[0][1]!r}"
                    out.append(Failed(event.stream_id, FailureKind.PROTOCOL, detail))

    def _on_broken(self, stream_id: int, error_code: int, by_peer: bool, out: list[Event]) -> None:
        if error_code == REFUSED_STREAM:
            out.append(Refused(stream_id, "the peer refused the stream"))
        elif by_peer:
            out.append(Failed(stream_id, FailureKind.RESET, f"the peer reset the stream: {error_name(error_code)}"))
        else:
            out.append(Failed(stream_id, FailureKind.PROTOCOL, f"malformed answer: {error_name(error_code)}"))


class H2Server(_H2Codec):
    """The server's end."""

    def __init__(self, limits: CodecLimits) -> None:
        super().__init__(limits, {MAX_CONCURRENT_STREAMS: limits.streams}, client=False)
        self._requests: dict[int, Request] = {}

    def respond(self, stream_id: int, headers: Sequence[Header], body: bytes) -> bool:
        """See `ServerCodec.respond`."""
        check_values(headers)
        if self._closed is not None or stream_id not in self._open:
            return False
        self._send_message(stream_id, headers, body)
        if not body:
            self._open.discard(stream_id)
        return True

    def _on_goaway(self, event: ConnectionTerminated, out: list[Event]) -> None:
        """The last stream that a client names is one of ours, and we open none: its own go on (RFC 9113 6.8)."""
        code = int(event.error_code or 0)
        out.append(GoingAway(event.last_stream_id or 0, code, goaway_detail(code, event.additional_data or b"")))

    def _forget(self, stream_id: int) -> None:
        super()._forget(stream_id)
        self._requests.pop(stream_id, None)

    def _on_body_sent(self, stream_id: int) -> None:
        self._open.discard(stream_id)

    def _on_message_event(self, event: H2Event, out: list[Event]) -> None:
        match event:
            case RequestReceived() if self._going_away:
                self._reset(event.stream_id, REFUSED_STREAM)
            case RequestReceived():
                self._open.add(event.stream_id)
                self._requests[event.stream_id] = Request(event.stream_id, tuple(event.headers), b"")
                self._incoming[event.stream_id] = bytearray()
            case DataReceived() if event.stream_id in self._requests:
                if not self._take(event):
                    self._refuse_body(event.stream_id)
            case StreamEnded() if event.stream_id in self._requests:
                request = self._requests.pop(event.stream_id)
                request.body = bytes(self._incoming.pop(event.stream_id))
                out.append(request)

    def _on_broken(self, stream_id: int, error_code: int, by_peer: bool, out: list[Event]) -> None:  # noqa: ARG002
        out.append(Failed(stream_id, FailureKind.RESET, f"reset: {error_name(error_code)}"))

    def _refuse_body(self, stream_id: int) -> None:
        """413 as soon as the limit is passed; then the peer is asked to stop sending (RFC 9113 8.1)."""
        self._forget(stream_id)
        try:
            self._connection.send_headers(stream_id, [(b":status", b"413")], end_stream=True)
        except H2Error:  # the peer has reset it since, which is told next
            return
        self._reset(stream_id, NO_ERROR)


def _coded(settings: Mapping[int, int]) -> dict[SettingCodes, int]:
    return {SettingCodes(code): value for code, value in settings.items()}


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
