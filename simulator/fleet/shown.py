"""Exchanges as people read them: text of bounded length, without credentials. Nothing of this is on the path of a good answer."""

from __future__ import annotations

import zlib
from typing import Any, Final

from simulator.fleet.session import LiveSession
from simulator.http2 import Answer, Exchange, Header, credentials_in, shown_headers, without_credentials

MOST_BODY: Final = 8_192
"""Characters of a body that are shown."""
MOST_HEADERS: Final = 64
LONGEST_VALUE: Final = 1_000
MOST_INFLATED: Final = 1 << 20
_GZIP: Final = 16 + zlib.MAX_WBITS


def attempt_of(live: LiveSession) -> int:
    """The how-manieth attempt at its request a session has made."""
    return 1 if live.delivery is None else live.delivery.attempts


def subscriber_of(live: LiveSession) -> str:
    """Whose session it is, always the SUPI, whatever messages call the subscriber."""
    return live.function.book.subscriber_identifier(live.session.subscriber)


def shown_request(exchange: Exchange, most: int = MOST_BODY) -> dict[str, Any]:
    """Headers and body of a request."""
    return _shown(exchange.headers, exchange.body, credentials_in(exchange.headers), most)


def shown_answer(exchange: Exchange, answer: Answer, most: int = MOST_BODY) -> dict[str, Any]:
    """Headers and body of the answer to an exchange, without what an echo would give away."""
    return _shown(answer.headers, answer.body, credentials_in(exchange.headers), most)


def _shown(headers: Any, body: bytes, secrets: list[str], most: int) -> dict[str, Any]:
    shown = [
        [name, without_credentials(value, secrets)[:LONGEST_VALUE]]
        for name, value in shown_headers(headers[:MOST_HEADERS])
    ]
    text = without_credentials(_inflated(headers, body).decode("utf-8", "replace"), secrets)
    return {"headers": shown, "body": text if len(text) <= most else f"{text[:most]}… ({len(text) - most:,} more)"}


def _inflated(headers: list[Header], body: bytes) -> bytes:
    """A body as it was before it was compressed."""
    if (b"content-encoding", b"gzip") not in headers:
        return body
    try:
        return zlib.decompressobj(_GZIP).decompress(body, MOST_INFLATED)
    except zlib.error:
        return body
