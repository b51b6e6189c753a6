"""HTTP/2 as messages instead of frames: the interface of the codecs, and the events they return.

A codec is sans-IO: octets in, events out, and the other way round. It keeps no table of exchanges and knows no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final, Protocol

from simulator.http2.messages import Answer, FailureKind, Header

UNLIMITED_STREAMS: Final = 2**31 - 1
"""What a peer allows that names no SETTINGS_MAX_CONCURRENT_STREAMS (RFC 9113 6.5.2); also the highest stream id."""

ENABLE_PUSH: Final = 2
MAX_CONCURRENT_STREAMS: Final = 3
INITIAL_WINDOW_SIZE: Final = 4
MAX_HEADER_LIST_SIZE: Final = 6

NO_ERROR: Final = 0
PROTOCOL_ERROR: Final = 1
INTERNAL_ERROR: Final = 2
REFUSED_STREAM: Final = 7
CANCEL: Final = 8
ENHANCE_YOUR_CALM: Final = 11

ERROR_NAMES: Final = (
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
)

STREAM_WINDOW_OCTETS: Final = 1 << 20
CONNECTION_WINDOW_OCTETS: Final = 16 << 20


def error_name(code: int) -> str:
    """Name of an HTTP/2 error code (RFC 9113 7)."""
    return ERROR_NAMES[code] if code < len(ERROR_NAMES) else f"error {code:#x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecLimits:
    """Bounds of what a codec accepts from its peer."""

    streams: int = 100
    """Concurrent streams a server announces."""
    stream_window_octets: int = STREAM_WINDOW_OCTETS
    """What may come on a stream before it is read (SETTINGS_INITIAL_WINDOW_SIZE)."""
    max_body_octets: int = 1 << 20
    max_header_octets: int = 1 << 16


class Request:
    """Server: a request is complete."""

    __slots__ = ("body", "headers", "stream_id")

    def __init__(self, stream_id: int, headers: Sequence[Header], body: bytes) -> None:
        self.stream_id = stream_id
        self.headers = headers
        self.body = body


@dataclass(frozen=True, slots=True)
class Refused:
    """Client: the peer did not process this request; it is safe to repeat (RFC 9113 8.7)."""

    stream_id: int
    detail: str


@dataclass(frozen=True, slots=True)
class Failed:
    """This stream ended without a complete message."""

    stream_id: int
    kind: FailureKind
    detail: str


@dataclass(frozen=True, slots=True)
class Capacity:
    """The peer's first SETTINGS, or one that changes how many streams it allows at a time."""

    streams: int


@dataclass(frozen=True, slots=True)
class GoingAway:
    """The peer sent GOAWAY; it takes no stream above `last_stream_id`, and each of ours above it is Refused."""

    last_stream_id: int
    error_code: int
    detail: str


@dataclass(frozen=True, slots=True)
class Pong:
    """The peer answered a PING."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """The HTTP/2 connection is over: write what `send` returns, then close the transport."""

    error_code: int
    detail: str


Event = Answer | Request | Refused | Failed | Capacity | GoingAway | Pong | Closed


class HeaderError(ValueError):
    """A header that would let a value break out of its line further down the path."""


class Codec(Protocol):
    """One HTTP/2 connection, seen from one end."""

    def cancel(self, stream_id: int, error_code: int = CANCEL) -> None:
        """Reset a stream; no event follows for it."""

    def ping(self, data: bytes) -> None:
        """Ask for a Pong with these eight octets."""

    def goaway(self, error_code: int = NO_ERROR) -> None:
        """Take no further streams from the peer; those under way go on."""

    def update_settings(self, settings: Mapping[int, int]) -> None:
        """Announce changed settings."""

    def receive(self, octets: bytes) -> list[Event]:
        """Take octets from the peer. Call `send` afterwards: there may be an acknowledgement, or a Closed."""

    def send(self) -> tuple[bytes, list[Event]]:
        """Octets for the transport, and what happened to streams while they were made."""

    def unsent_octets(self, stream_id: int | None = None) -> int:
        """Octets of a body (None: of all bodies) that flow control still holds back."""


class ClientCodec(Codec, Protocol):
    """The client's end."""

    def request(self, headers: Sequence[Header], body: bytes) -> int:
        """Queue a request and return its stream id. The caller keeps within the peer's Capacity.

        Raises HeaderError for a value with a line break, StreamsExhaustedError when no stream can be opened any more.
        """


class ServerCodec(Codec, Protocol):
    """The server's end."""

    def respond(self, stream_id: int, headers: Sequence[Header], body: bytes) -> bool:
        """Queue an answer, `:status` first; False if the stream is gone. Raises HeaderError."""


class StreamsExhaustedError(Exception):
    """This connection opens no further stream: GOAWAY, a fatal error, or no ids left."""


_value_of: Callable[[Header], bytes] = itemgetter(1)


def check_values(headers: Sequence[Header]) -> None:
    """Refuse CR, LF and NUL in header values (RFC 9113 8.2.1), which libnghttp2 would send."""
    values = b"".join(map(_value_of, headers))
    # as numbers, because bytes in bytes tries them as a number first, at 0.2 us each
    if 10 in values or 13 in values or 0 in values:
        name = next(name for name, value in headers if 10 in value or 13 in value or 0 in value)
        raise HeaderError(f"header {name.decode('latin-1')} holds a line break or NUL")


def status_of(headers: Sequence[Header]) -> int:
    """The status of an answer; the libraries have checked that it is there and where it is."""
    return int(headers[0][1])


def goaway_detail(code: int, debug_data: bytes) -> str:
    """One printable line for a GOAWAY."""
    words = debug_data[:200].decode("ascii", "replace")
    return f"{error_name(code)} ({words!r})" if words else error_name(code)
