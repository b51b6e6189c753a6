"""Counting a client's frames, however its octets arrive."""

from __future__ import annotations

import pytest

from simulator.http2.choice import client_codec
from simulator.http2.codec import CodecLimits
from simulator.http2.guard import FrameCounter
from tests.http2.wire import POST


@pytest.mark.parametrize("codec", ["ngh2", "h2"])
@pytest.mark.parametrize("piece", [1, 7, 9, 1 << 20])
def test_frames_and_cancelled_streams_are_counted(codec: str, piece: int) -> None:
    client = client_codec(codec, CodecLimits())
    greeting, _ = client.send()
    streams = [client.request(POST, b"x" * 100) for _ in range(3)]
    requests, _ = client.send()
    client.cancel(streams[1])
    client.ping(b"12345678")
    rest, _ = client.send()
    counter = FrameCounter()
    told = []
    for octets in (greeting, requests, rest):
        before = counter.frames
        for start in range(0, len(octets), piece):
            counter.feed(octets[start : start + piece])
        told.append(counter.frames - before)
    assert told == [2, 6, 2]
    assert counter.cancelled_streams == 1
