"""Content codings of request bodies (RFC 9110 8.4): gzip, and none."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from simulator.sandbox.answers import Header, Problem

_GZIP = 16 + zlib.MAX_WBITS
_NAMES = (b"gzip", b"x-gzip")


def decoded(headers: Iterable[Header], body: bytes, most: int) -> bytes:
    """The body without its coding, of at most `most` octets. Problem 400, 413 or 415."""
    codings = [value.strip().lower() for name, value in headers if name == b"content-encoding"]
    codings = [coding for value in codings for coding in value.replace(b" ", b"").split(b",") if coding != b"identity"]
    if not codings:
        return body
    if len(codings) > 1 or codings[0] not in _NAMES:
        raise Problem(415, None, "the body may be coded as gzip only", headers=[(b"accept-encoding", b"gzip")])
    inflater = zlib.decompressobj(_GZIP)
    try:
        plain = inflater.decompress(body, most + 1)
    except zlib.error as error:
        raise Problem(400, "INVALID_MSG_FORMAT", f"the body is not gzip: {error}") from None
    if len(plain) > most:
        raise Problem(413, None, f"the body is larger than {most} octets")
    if not inflater.eof or inflater.unused_data:
        raise Problem(400, "INVALID_MSG_FORMAT", "the body is not one whole gzip member")
    return plain
