"""What the charging function answers: replies, the parts they are made of, and problems.

An :class:`Answer` keeps the parts of a reply instead of its bytes: the fragments of `multipleUnitInformation` are shared
by all sessions that were granted the same. A remembered Create costs 400 octets with its identity (measured).
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import orjson
from msgspec import Struct

Header = tuple[bytes, bytes]

_JSON: list[Header] = [(b"content-type", b"application/json")]
_PROBLEM_JSON: Header = (b"content-type", b"application/problem+json")
_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Payload Too Large",
    415: "Unsupported Media Type",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
_NS_PER_MS = 1_000_000


class Reply(Struct, gc=False):
    """A complete HTTP answer: status, header fields (without pseudo headers) and body."""

    status: int
    headers: list[Header]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """The value of the first header field of that name, None if there is none."""
        return next((value for field, value in self.headers if field == name), None)


_NO_CONTENT = Reply(204, [], b"")


class Problem(Exception):  # noqa: N818 - the specification's word (RFC 9457), and most of them are ordinary answers
    """A request that is answered with ProblemDetails (TS 29.500 5.2.7, TS 32.291 6.1.7).

    `invalid` names what was wrong as (JSON pointer or `header x`, reason) pairs; at most `MAX_INVALID_PARAMS` are told.
    """

    MAX_INVALID_PARAMS = 16

    def __init__(
        self,
        status: int,
        cause: str | None,
        detail: str,
        *,
        invalid: Sequence[tuple[str, str]] = (),
        headers: Sequence[Header] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.cause = cause
        self.detail = detail
        self.invalid = invalid
        self.headers = headers

    def reply(self) -> Reply:
        """The reply with its `application/problem+json` body."""
        details: dict[str, object] = {
            "type": "about:blank",
            "title": _TITLES[self.status],
            "status": self.status,
            "detail": self.detail,
        }
        if self.cause is not None:
            details["cause"] = self.cause
        if self.invalid:
            told = self.invalid[: self.MAX_INVALID_PARAMS]
            details["invalidParams"] = [{"param": param, "reason": reason} for param, reason in told]
        return Reply(self.status, [_PROBLEM_JSON, *self.headers], orjson.dumps(details))


class Answer(Struct, gc=False):
    """An answer that can be given again: `reply()` makes the same octets every time."""

    operation: str
    status: int
    sequence: int
    stamp: bytes
    information: Sequence[bytes] = ()
    reference: bytes | None = None
    base: bytes = b""
    """What stands before the reference in `Location`; shared, because a location of its own is 80 octets."""
    refusal: Reply | None = None
    terms: bytes = b""
    """Further members, each after a comma; shared."""
    at: int = 0
    """When it was given (ns)."""

    def reply(self) -> Reply:
        """The HTTP reply."""
        if self.status == 204:
            return _NO_CONTENT
        if self.refusal is not None:
            return self.refusal
        if self.information:
            body = b'{"invocationTimeStamp":"%b","invocationSequenceNumber":%d,"multipleUnitInformation":[%b]%b}' % (
                self.stamp,
                self.sequence,
                b",".join(self.information),
                self.terms,
            )
        else:
            body = b'{"invocationTimeStamp":"%b","invocationSequenceNumber":%d%b}' % (
                self.stamp,
                self.sequence,
                self.terms,
            )
        if self.reference is None:
            return Reply(self.status, _JSON, body)
        return Reply(self.status, [*_JSON, (b"location", self.base + self.reference)], body)


class Timestamps:
    """Writes `invocationTimeStamp` (RFC 3339, UTC, milliseconds); the last one is kept, because many share it.

    `epoch` is what has to be added to `now` to get nanoseconds since 1970.
    """

    __slots__ = ("_epoch", "_millisecond", "_prefix", "_second", "_text")

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch
        self._millisecond = -1
        self._second = -1
        self._prefix = b""
        self._text = b""

    def text(self, now: int) -> bytes:
        """The moment `now` (ns) as for example `2026-11-22T10:00:00.123Z`."""
        millisecond = (now + self._epoch) // _NS_PER_MS
        if millisecond != self._millisecond:
            second, rest = divmod(millisecond, 1000)
            if second != self._second:
                self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second)).encode()
                self._second = second
            self._text = b"%b%03dZ" % (self._prefix, rest)
            self._millisecond = millisecond
        return self._text
