"""How many octets of HTTP/2 an exchange takes: an estimate from its header fields, held against the counters of real runs.

A field that is the same in every message is one octet (HPACK's index, RFC 7541 6.1); one that changes is written out, its text in
Huffman code, which takes about 0.75 octets a character of a path. Frames have 9 octets of header (RFC 9113 4.1) and 16,384 of
payload at most. SETTINGS, WINDOW_UPDATE and PING are not counted; TCP, IP and TLS come on top.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

FRAME: Final = 9
MOST_IN_A_FRAME: Final = 16_384
HUFFMAN: Final = 0.75
CHANGING: Final = frozenset({b":path", b"content-length", b"location", b"date", b"etag"})
CONSTANT: Final = frozenset({b"content-type", b"accept", b":method", b":scheme", b":authority", b":status", b"server"})


def octets(headers: Iterable[tuple[bytes, bytes]], body: bytes) -> int:
    """Octets of the frames of one message."""
    block = 0.0
    for name, value in headers:
        # A short field that HPACK does not know is written out as often as not; its name is in the table.
        block += 1 if name in CONSTANT else 2 + (HUFFMAN if name in CHANGING else 0.5) * len(value)
    frames = -(-len(body) // MOST_IN_A_FRAME)
    return round(FRAME + block) + len(body) + frames * FRAME
