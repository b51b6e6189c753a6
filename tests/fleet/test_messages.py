"""The lines between an engine and whoever drives it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.fleet import messages
from simulator.fleet.messages import Message, MessageError, decode

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.text(), JSON, max_size=5)
NUMBERS = st.integers(0, 2**62)

MESSAGES = st.one_of(
    st.builds(
        messages.Configure,
        protocol=NUMBERS,
        version=st.text(),
        profile=OBJECTS,
        seed=NUMBERS,
        worker=NUMBERS,
        workers=NUMBERS,
        targets=st.lists(st.text()),
        records=st.text(),
        ca_file=st.none() | st.text(),
        certificate=st.none() | st.text(),
        key=st.none() | st.text(),
        insecure=st.booleans(),
    ),
    st.builds(messages.Start, t0=NUMBERS, epoch=NUMBERS),
    st.builds(messages.Drain, timeout_s=st.floats(0, 1e6)),
    st.builds(messages.Stop),
    st.builds(messages.Ready, worker=NUMBERS, version=st.text()),
    st.builds(messages.SnapshotReport, worker=NUMBERS, snapshot=OBJECTS),
    st.builds(messages.Event, worker=NUMBERS, name=st.text(), fields=OBJECTS),
    st.builds(messages.Drained, worker=NUMBERS, open=NUMBERS),
    st.builds(messages.Error, worker=NUMBERS, text=st.text()),
    st.builds(messages.Bye, worker=NUMBERS),
)


@given(MESSAGES)
def test_a_message_is_one_line_and_comes_back_as_it_was(message: Message) -> None:
    line = message.encode()
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert orjson.loads(line)["type"] == message.TYPE
    assert decode(line) == message


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"", "not JSON"),
        (b"\n", "not JSON"),
        (b"hello\n", "not JSON"),
        (b'{"type":"stop"', "not JSON"),
        (b"\xff\xfe\n", "not JSON"),
        (b"[]\n", "not a JSON object"),
        (b"7\n", "not a JSON object"),
        (b"{}\n", "unknown type"),
        (b'{"type":"fire"}\n', "unknown type"),
        (b'{"type":null}\n', "unknown type"),
        (b'{"type":["stop"]}\n', "unknown type"),
        (b'{"type":"start","t0":1}\n', "start: .*epoch"),
        (b'{"type":"stop","at":1}\n', "stop: .*at"),
        (b"[" * 100_000 + b"\n", "not JSON"),
    ],
)
def test_a_line_that_is_no_message_says_why(line: bytes, why: str) -> None:
    with pytest.raises(MessageError, match=why):
        decode(line)


@given(st.binary() | JSON.map(orjson.dumps) | OBJECTS.map(lambda fields: orjson.dumps(fields | {"type": "start"})))
def test_any_line_is_a_message_or_an_error(line: bytes) -> None:
    try:
        message: Any = decode(line)
    except MessageError:
        return
    assert isinstance(message, Message)
