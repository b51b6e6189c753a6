"""What callers of the client hand in and get back: exchanges, answers and failures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum

Header = tuple[bytes, bytes]


class Answer:
    """A complete answer. `headers` holds the pseudo header `:status` as well, in wire order."""

    __slots__ = ("body", "headers", "status", "stream_id")

    def __init__(self, status: int, headers: Sequence[Header], body: bytes = b"", stream_id: int = 0) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.stream_id = stream_id

    def header(self, name: bytes) -> bytes | None:
        """Value of the first header called `name` (lower case), or None."""
        return next((value for key, value in self.headers if key == name), None)

    def __repr__(self) -> str:
        return f"Answer({self.status}, {len(self.body)} octets, stream {self.stream_id})"


class FailureKind(StrEnum):
    """Why an exchange has no answer."""

    TIMEOUT = "timeout"
    """The deadline passed, on the wire or in the waiting room."""
    CONNECT_FAILED = "connect_failed"
    """The deadline passed while no connection could be made."""
    CONNECTION_LOST = "connection_lost"
    REFUSED = "refused"
    """REFUSED_STREAM, or above the last stream of a GOAWAY (RFC 9113 8.7): not processed."""
    RESET = "reset"
    """The peer reset the stream for another reason."""
    OVERFLOW = "overflow"
    """The waiting room was full."""
    TOO_LARGE = "too_large"
    """The body of the answer is above the limit."""
    PROTOCOL = "protocol"
    """The peer, or the caller's headers, broke HTTP/2."""
    CLOSED = "closed"
    """The pool was closed by its owner."""


class Failure:
    """An exchange that got no answer; `safe_to_repeat` means that the peer provably did not process it."""

    __slots__ = ("detail", "kind", "safe_to_repeat")

    def __init__(self, kind: FailureKind, detail: str, safe_to_repeat: bool = False) -> None:
        self.kind = kind
        self.detail = detail
        self.safe_to_repeat = safe_to_repeat

    def __repr__(self) -> str:
        return f"Failure({self.kind}, {self.detail!r}, safe_to_repeat={self.safe_to_repeat})"


class Exchange:
    """One attempt to send one request.

    `headers` is complete: pseudo headers first, names in lower case. Times are `monotonic_ns`; `sent`
    is the moment when the body has left for the transport (0: it never has).
    `on_done(exchange, result, now)` is called exactly once, and never from inside `submit`.
    """

    __slots__ = ("body", "context", "deadline", "headers", "on_done", "sent", "stream_id")

    def __init__(
        self, headers: list[Header], body: bytes, deadline: int, on_done: OnDone, context: object = None
    ) -> None:
        self.headers = headers
        self.body = body
        self.deadline = deadline
        self.on_done = on_done
        self.context = context
        self.sent = 0
        self.stream_id = 0


OnDone = Callable[[Exchange, Answer | Failure, int], None]
