"""What every pair of codecs does, in memory: each codec with itself and with the other, whole and in pieces."""

from __future__ import annotations

import itertools

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection

from simulator.http2.choice import CODECS, client_codec, server_codec
from simulator.http2.codec import (
    CANCEL,
    INTERNAL_ERROR,
    MAX_CONCURRENT_STREAMS,
    REFUSED_STREAM,
    Capacity,
    Closed,
    CodecLimits,
    Failed,
    GoingAway,
    HeaderError,
    Pong,
    Refused,
    Request,
    StreamsExhaustedError,
)
from simulator.http2.messages import Answer, FailureKind
from tests.http2.wire import GET, OK, POST, Wire

PAIRS = list(itertools.product(CODECS, CODECS))


@pytest.fixture(params=PAIRS, ids="-".join)
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    client, server = request.param
    return client, server


@pytest.fixture(params=[1, 7, 1 << 20], ids=["octet-by-octet", "sevens", "whole"])
def wire(request: pytest.FixtureRequest, pair: tuple[str, str]) -> Wire:
    return Wire(*pair, chunk=request.param)


def test_a_request_with_a_body_is_answered_with_a_body(wire: Wire) -> None:
    stream = wire.client.request([*POST, (b"content-type", b"application/json")], b'{"used":1}')
    wire.roundtrip()
    (request,) = wire.requests
    assert request.stream_id == stream
    assert request.body == b'{"used":1}'
    assert (b"content-type", b"application/json") in request.headers
    assert wire.server.respond(stream, [(b":status", b"201"), (b"location", b"/x/1")], b'{"granted":2}')
    wire.roundtrip()
    (answer,) = wire.answers
    assert (answer.stream_id, answer.status, answer.body) == (stream, 201, b'{"granted":2}')
    assert answer.header(b"location") == b"/x/1"
    assert answer.header(b"retry-after") is None


def test_messages_without_a_body(wire: Wire) -> None:
    stream = wire.client.request(GET, b"")
    wire.roundtrip()
    assert wire.requests[0].body == b""
    wire.server.respond(stream, [(b":status", b"204")], b"")
    wire.roundtrip()
    assert (wire.answers[0].status, wire.answers[0].body) == (204, b"")


def test_answers_reach_their_own_request_in_any_order(wire: Wire) -> None:
    streams = [wire.client.request(POST, b"request %d" % number) for number in range(20)]
    wire.roundtrip()
    for request in reversed(wire.requests):
        wire.server.respond(request.stream_id, OK, b"answer to " + request.body)
    wire.roundtrip()
    bodies = {answer.stream_id: answer.body for answer in wire.answers}
    assert bodies == {stream: b"answer to request %d" % number for number, stream in enumerate(streams)}


def test_bodies_beyond_every_window_flow(pair: tuple[str, str]) -> None:
    wire = Wire(*pair, limits=CodecLimits(max_body_octets=4 << 20))
    body = bytes(range(256)) * 12_288  # 3 MiB, three times the stream's window
    stream = wire.client.request(POST, body)
    wire.roundtrip()
    assert wire.requests[0].body == body
    wire.server.respond(stream, OK, body[::-1])
    wire.roundtrip()
    assert wire.answers[0].body == body[::-1]


def test_a_body_is_unsent_while_flow_control_holds_it_back(pair: tuple[str, str]) -> None:
    wire = Wire(*pair, limits=CodecLimits(max_body_octets=4 << 20))
    held, free = wire.client.request(POST, bytes(1_500_000)), wire.client.request(GET, b"")
    octets, _ = wire.client.send()
    assert wire.client.unsent_octets(held) == wire.client.unsent_octets() > 400_000
    assert wire.client.unsent_octets(free) == 0
    wire.server.receive(octets)
    wire.roundtrip()
    assert wire.client.unsent_octets() == 0
    assert max(len(request.body) for request in wire.requests) == 1_500_000


def test_a_cancelled_request_reaches_the_server_and_frees_both_sides(wire: Wire) -> None:
    stream = wire.client.request(POST, b"{}")
    wire.roundtrip()
    wire.client.cancel(stream)
    wire.roundtrip()
    (failed,) = wire.server_events(Failed)
    assert isinstance(failed, Failed)
    assert failed.stream_id == stream
    assert wire.server.respond(stream, OK, b"too late") is False
    wire.roundtrip()
    assert wire.answers == []
    assert wire.client_events(Failed, Refused) == []


def test_an_answer_that_crosses_a_cancel_is_dropped(wire: Wire) -> None:
    stream = wire.client.request(POST, b"{}")
    wire.roundtrip()
    wire.server.respond(stream, OK, b"late")
    wire.client.cancel(stream)
    wire.roundtrip()
    assert wire.answers == []
    again = wire.client.request(POST, b"{}")
    wire.roundtrip()
    wire.server.respond(again, OK, b"fine")
    wire.roundtrip()
    assert [answer.body for answer in wire.answers] == [b"fine"]


def test_a_refused_stream_is_told_apart_from_a_reset_one(wire: Wire) -> None:
    refused, reset = wire.client.request(POST, b"{}"), wire.client.request(POST, b"{}")
    wire.roundtrip()
    wire.server.cancel(refused, REFUSED_STREAM)
    wire.server.cancel(reset, INTERNAL_ERROR)
    wire.roundtrip()
    assert wire.client_events(Refused) == [Refused(refused, "the peer refused the stream")]
    assert wire.client_events(Failed) == [Failed(reset, FailureKind.RESET, "the peer reset the stream: INTERNAL_ERROR")]


def test_capacity_comes_with_the_first_settings_and_with_each_change(wire: Wire) -> None:
    wire.server.update_settings({MAX_CONCURRENT_STREAMS: 0})
    wire.roundtrip()
    wire.server.update_settings({MAX_CONCURRENT_STREAMS: 7})
    wire.roundtrip()
    assert wire.client_events(Capacity) == [Capacity(100), Capacity(0), Capacity(7)]


def test_a_graceful_goaway_lets_what_is_under_way_finish(wire: Wire) -> None:
    stream = wire.client.request(POST, b"{}")
    wire.roundtrip()
    wire.server.goaway()
    wire.roundtrip()
    assert wire.client_events(GoingAway) == [GoingAway(stream, 0, "NO_ERROR")]
    with pytest.raises(StreamsExhaustedError):
        wire.client.request(POST, b"{}")
    wire.server.respond(stream, OK, b"still here")
    wire.roundtrip()
    assert [answer.body for answer in wire.answers] == [b"still here"]
    assert wire.server_events(Closed)
    assert wire.client_events(Closed)


def test_a_request_above_the_goaway_is_refused(wire: Wire) -> None:
    first = wire.client.request(POST, b"{}")
    wire.roundtrip()
    crossing = wire.client.request(POST, b"{}")
    wire.server.goaway()
    wire.to_server()
    wire.roundtrip()
    assert [request.stream_id for request in wire.requests] == [first]
    assert [event.stream_id for event in wire.client_saw if isinstance(event, Refused)] == [crossing]


def test_ping_comes_back(wire: Wire) -> None:
    wire.client.ping(b"12345678")
    wire.roundtrip()
    assert wire.client_events(Pong) == [Pong(b"12345678")]


@pytest.mark.parametrize("bad", [b"a\r\nx: y", b"a\rb", b"a\nb", b"a\0b"])
def test_a_header_value_cannot_break_its_line(pair: tuple[str, str], bad: bytes) -> None:
    wire = Wire(*pair)
    with pytest.raises(HeaderError, match="header x-trace holds a line break"):
        wire.client.request([*GET, (b"x-trace", bad)], b"")
    stream = wire.client.request(GET, b"")
    wire.roundtrip()
    with pytest.raises(HeaderError, match="header location holds a line break"):
        wire.server.respond(stream, [*OK, (b"location", bad)], b"")
    assert wire.server.respond(stream, OK, b"")
    wire.roundtrip()
    assert len(wire.answers) == 1


def test_an_answer_above_the_limit_fails_its_request_only(wire: Wire) -> None:
    wire.client._max_body_octets = 1_000  # type: ignore[attr-defined]
    large, small = wire.client.request(GET, b""), wire.client.request(GET, b"")
    wire.roundtrip()
    wire.server.respond(large, OK, bytes(40_000))
    wire.server.respond(small, OK, bytes(1_000))
    wire.roundtrip()
    assert wire.client_events(Failed) == [Failed(large, FailureKind.TOO_LARGE, "the body is above 1000 octets")]
    assert [answer.stream_id for answer in wire.answers] == [small]


def test_a_request_above_the_limit_is_answered_413(wire: Wire) -> None:
    wire.server._max_body_octets = 1_000  # type: ignore[attr-defined]
    large, small = wire.client.request(POST, bytes(40_000)), wire.client.request(POST, bytes(1_000))
    wire.roundtrip()
    assert [request.stream_id for request in wire.requests] == [small]
    assert [(answer.stream_id, answer.status) for answer in wire.answers] == [(large, 413)]
    assert wire.client.unsent_octets() == 0


def test_a_request_above_the_limit_may_be_given_up_in_the_same_breath(wire: Wire) -> None:
    wire.server._max_body_octets = 1_000  # type: ignore[attr-defined]
    large = wire.client.request(POST, bytes(40_000))
    octets, _ = wire.client.send()
    wire.client.cancel(large)
    more, _ = wire.client.send()
    wire.server.receive(octets + more)
    small = wire.client.request(POST, bytes(1_000))
    wire.roundtrip()
    assert [request.stream_id for request in wire.requests] == [small]


def test_an_answer_before_the_body_has_left_counts_and_stops_the_body(pair: tuple[str, str]) -> None:
    wire = Wire(*pair, limits=CodecLimits(max_body_octets=8 << 20))
    stream = wire.client.request(POST, bytes(3_000_000))
    octets, _ = wire.client.send()
    wire.server.receive(octets[:30_000])
    wire.server.respond(stream, [(b":status", b"403")], b"no")
    wire.to_client()
    _, events = wire.client.send()
    wire.client_saw += events
    assert [(answer.status, answer.body) for answer in wire.answers] == [(403, b"no")]
    assert wire.client.unsent_octets() == 0


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("octets", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 100, bytes(range(256)) * 4])
def test_a_client_ends_a_connection_that_is_not_http2(name: str, octets: bytes) -> None:
    client = client_codec(name, CodecLimits())
    client.send()
    events = client.receive(octets)
    _, after = client.send()
    (closed,) = [event for event in [*events, *after] if isinstance(event, Closed)]
    assert closed.error_code != 0
    assert closed.detail
    assert "\n" not in closed.detail
    assert client.receive(octets) == []
    with pytest.raises(StreamsExhaustedError):
        client.request(GET, b"")


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("octets", [b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"\x16\x03\x01" + bytes(200)])
def test_a_server_ends_a_connection_that_is_not_http2(name: str, octets: bytes) -> None:
    server = server_codec(name, CodecLimits())
    events = server.receive(octets)
    _, after = server.send()
    assert [type(event) for event in [*events, *after]] == [Closed]
    assert server.respond(1, OK, b"") is False
    server.ping(b"12345678")
    server.goaway()
    server.cancel(1)
    assert server.send() == (b"", [])


def test_a_thousand_and_more_cancels_do_not_end_the_connection(pair: tuple[str, str]) -> None:
    wire = Wire(*pair)
    for _ in range(30):
        streams = [wire.client.request(POST, b"{}") for _ in range(50)]
        wire.to_server()
        for stream in streams:
            wire.client.cancel(stream, CANCEL)
        wire.to_server()
    stream = wire.client.request(GET, b"")
    wire.roundtrip()
    wire.server.respond(stream, OK, b"")
    wire.roundtrip()
    assert [answer.stream_id for answer in wire.answers] == [stream]


def test_ten_thousand_answers_that_cross_their_cancels_do_not_end_the_connection() -> None:
    wire = Wire()
    for _ in range(110):
        streams = [wire.client.request(POST, b"{}") for _ in range(100)]
        wire.to_server()
        for stream in streams:
            wire.server.respond(stream, OK, b"late")
            wire.client.cancel(stream)
        resets, events = wire.client.send()
        wire.client_saw += events
        wire.to_client()
        wire.server_saw += wire.server.receive(resets)
    assert wire.client_events(Closed) == wire.server_events(Closed) == []
    stream = wire.client.request(GET, b"")
    wire.roundtrip()
    wire.server.respond(stream, OK, b"")
    wire.roundtrip()
    assert [answer.stream_id for answer in wire.answers] == [stream]


def test_a_status_that_is_no_number_is_a_failure(pair: tuple[str, str]) -> None:
    wire = Wire(*pair)
    stream = wire.client.request(GET, b"")
    wire.roundtrip()
    wire.server.respond(stream, [(b":status", b"abc")], b"")
    wire.roundtrip()
    assert wire.answers == []
    (failed,) = wire.client_events(Failed)
    assert isinstance(failed, Failed)
    assert failed.kind is FailureKind.PROTOCOL
    assert failed.detail.startswith("malformed answer: ")


def test_a_body_that_contradicts_its_content_length_is_a_failure(pair: tuple[str, str]) -> None:
    wire = Wire(*pair)
    stream = wire.client.request(GET, b"")
    wire.roundtrip()
    wire.server.respond(stream, [*OK, (b"content-length", b"5")], b"four")
    wire.roundtrip()
    assert wire.answers == []
    assert wire.client_events(Failed, Closed)


def test_trailers_end_a_message_and_are_not_needed() -> None:
    """RFC 9113 8.1; gateways and gRPC's relatives send them. The peer is hyper-h2 itself."""
    peer = H2Connection(H2Configuration(client_side=False, header_encoding=None))
    peer.initiate_connection()
    smf = client_codec("ngh2", CodecLimits())
    stream_id = smf.request(POST, b"{}")
    peer.receive_data(smf.send()[0])
    smf.receive(peer.data_to_send())
    peer.send_headers(stream_id, [(b":status", b"200"), (b"trailer", b"x-sum")])
    peer.send_data(stream_id, b"granted")
    peer.send_headers(stream_id, [(b"x-sum", b"1")], end_stream=True)
    (answer,) = [event for event in smf.receive(peer.data_to_send()) if isinstance(event, Answer | Failed)]
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body) == (200, b"granted")


def test_trailers_end_a_request_too() -> None:
    peer = H2Connection(H2Configuration(client_side=True, header_encoding=None))
    peer.initiate_connection()
    chf = server_codec("ngh2", CodecLimits())
    peer.send_headers(1, POST)
    peer.send_data(1, b"{}")
    peer.send_headers(1, [(b"x-sum", b"1")], end_stream=True)
    events = chf.receive(peer.data_to_send())
    (request,) = [event for event in events if isinstance(event, Request)]
    assert (request.stream_id, request.body) == (1, b"{}")
