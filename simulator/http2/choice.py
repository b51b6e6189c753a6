"""The codecs by name."""

from __future__ import annotations

from simulator.http2.codec import ClientCodec, CodecLimits, ServerCodec
from simulator.http2.codec_h2 import H2Client, H2Server
from simulator.http2.codec_ngh2 import Ngh2Client, Ngh2Server

CODECS = ("ngh2", "h2")


def client_codec(name: str, limits: CodecLimits) -> ClientCodec:
    """The client's end of a connection."""
    if name == "ngh2":
        return Ngh2Client(limits)
    if name == "h2":
        return H2Client(limits)
    raise ValueError(f"no HTTP/2 codec {name!r}: there are {', '.join(CODECS)}")


def server_codec(name: str, limits: CodecLimits) -> ServerCodec:
    """The server's end of a connection."""
    if name == "ngh2":
        return Ngh2Server(limits)
    if name == "h2":
        return H2Server(limits)
    raise ValueError(f"no HTTP/2 codec {name!r}: there are {', '.join(CODECS)}")
