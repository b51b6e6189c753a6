"""A connection that is ended when its peer sends too many frames, cancels too many streams, or is silent for too long.

It counts frames in the octets (RFC 9113 4.1) and hands them on; it stands before a connection only where it was asked for.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from simulator.http2.codec import ENHANCE_YOUR_CALM, NO_ERROR
from simulator.http2.server_connection import ServerConnection

PREFACE_OCTETS: Final = 24
HEAD_OCTETS: Final = 9
RST_STREAM: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardLimits:
    """None: without bound."""

    frames: int | None = None
    """Within any `frames_within_s`, counted from the first of them."""
    frames_within_s: float = 10.0
    cancelled_streams: int | None = None
    """In the life of a connection."""
    idle_s: float | None = None


class FrameCounter:
    """Counts the frames of a client, by their heads."""

    def __init__(self) -> None:
        self.frames = 0
        self.cancelled_streams = 0
        self._skip = PREFACE_OCTETS
        self._head = b""

    def feed(self, octets: bytes) -> None:
        """Take some more of what the client sends."""
        place = 0
        while place < len(octets):
            if self._skip:
                step = min(self._skip, len(octets) - place)
                self._skip -= step
                place += step
                continue
            wanted = HEAD_OCTETS - len(self._head)
            self._head += octets[place : place + wanted]
            place += wanted
            if len(self._head) == HEAD_OCTETS:
                self.frames += 1
                self.cancelled_streams += self._head[3] == RST_STREAM
                self._skip = int.from_bytes(self._head[:3], "big")
                self._head = b""


class GuardedConnection:
    """An asyncio protocol around a `ServerConnection`."""

    def __init__(self, connection: ServerConnection, limits: GuardLimits) -> None:
        self._connection = connection
        self._limits = limits
        self._counter = FrameCounter()
        self._loop = asyncio.get_running_loop()
        self._since = self._heard = self._loop.time()
        self._counted = 0
        """Frames that came before `_since`."""
        self._timer: asyncio.TimerHandle | None = None
        self.pause_writing = connection.pause_writing
        self.resume_writing = connection.resume_writing
        self.eof_received = connection.eof_received

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A peer has connected."""
        self._connection.connection_made(transport)
        if self._limits.idle_s is not None:
            self._timer = self._loop.call_later(self._limits.idle_s, self._on_idle)

    def data_received(self, data: bytes) -> None:
        """Octets from the peer."""
        self._heard = self._loop.time()
        self._counter.feed(data)
        self._connection.data_received(data)
        if self._is_too_much():
            self._connection.terminate(ENHANCE_YOUR_CALM)

    def _is_too_much(self) -> bool:
        limits, counter = self._limits, self._counter
        if limits.cancelled_streams is not None and counter.cancelled_streams > limits.cancelled_streams:
            return True
        if self._heard - self._since > limits.frames_within_s:
            self._since, self._counted = self._heard, counter.frames
        return limits.frames is not None and counter.frames - self._counted > limits.frames

    def _on_idle(self) -> None:
        assert self._limits.idle_s is not None
        left = self._heard + self._limits.idle_s - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._on_idle)
        else:
            self._connection.terminate(NO_ERROR)

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer is gone."""
        if self._timer is not None:
            self._timer.cancel()
        self._connection.connection_lost(exc)
