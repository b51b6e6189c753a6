"""One client connection, in memory and in virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.http2.choice import CODECS
from simulator.http2.codec import CANCEL, INTERNAL_ERROR, MAX_CONCURRENT_STREAMS, REFUSED_STREAM, Failed
from simulator.http2.messages import Answer, Exchange, Failure, FailureKind
from tests.http2.rig import SECOND, Rig, turns
from tests.http2.wire import POST

pytestmark = pytest.mark.anyio


@pytest.fixture(params=CODECS)
async def rig(request: pytest.FixtureRequest) -> Rig:
    return await Rig(request.param).connect()


async def test_everything_submitted_in_one_turn_leaves_in_one_write(rig: Rig) -> None:
    for number in range(20):
        rig.submit(b"%d" % number)
    assert rig.transport.written == []
    await turns()
    assert len(rig.transport.written) == 1
    await rig.carry()
    assert [request.body for request in rig.requests] == [b"%d" % number for number in range(20)]


async def test_each_answer_reaches_its_own_exchange(rig: Rig) -> None:
    first, second = rig.submit(), rig.submit()
    await rig.carry()
    rig.answer(second, b"two")
    rig.answer(first, b"one")
    rig.now += 7
    await rig.carry()
    bodies = {exchange: (result.body, now) for exchange, result, now in rig.done if isinstance(result, Answer)}
    assert bodies == {first: (b"one", rig.now), second: (b"two", rig.now)}
    assert len(rig.done) == 2
    assert rig.connection.load == 0


async def test_sent_is_when_the_body_has_left(rig: Rig) -> None:
    rig.now = 50
    small = rig.submit(b"{}", deadline_s=1)
    large = rig.submit(bytes(1_500_000), deadline_s=1)
    await turns()
    assert (small.sent, large.sent) == (50, 0)
    rig.now = 90
    await rig.carry()
    assert (small.sent, large.sent) == (50, 90)


async def test_nothing_is_sent_while_the_socket_is_full(rig: Rig) -> None:
    exchange = rig.submit()
    rig.connection.pause_writing()
    assert rig.room[-1] == 0
    await turns()
    assert rig.transport.written == []
    assert exchange.sent == 0
    rig.now += 5
    rig.connection.resume_writing()
    await turns()
    assert exchange.sent == rig.now
    assert rig.room[-1] == 99


async def test_a_deadline_cancels_the_stream_and_frees_it(rig: Rig) -> None:
    early, late = rig.submit(deadline_s=1), rig.submit(deadline_s=2)
    await rig.carry()
    rig.now += SECOND - 1
    rig.connection.expire(rig.now)
    assert rig.done == []
    assert rig.connection.earliest_deadline() == early.deadline
    rig.now += 1
    rig.connection.expire(rig.now)
    failure = rig.failure(early)
    assert (failure.kind, failure.safe_to_repeat) == (FailureKind.TIMEOUT, False)
    await rig.carry()
    assert [event.stream_id for event in rig.peer_saw if isinstance(event, Failed)] == [early.stream_id]
    assert rig.connection.load == 1
    assert rig.connection.earliest_deadline() == late.deadline
    assert rig.connection.statistics().timeouts == 1


async def test_an_answer_after_its_deadline_changes_nothing(rig: Rig) -> None:
    exchange = rig.submit(deadline_s=1)
    await rig.carry()
    rig.answer(exchange)
    rig.now += SECOND
    rig.connection.expire(rig.now)
    await rig.carry()
    assert len(rig.done) == 1
    assert rig.failure(exchange).kind is FailureKind.TIMEOUT
    assert rig.connection.free == 100


async def test_a_deadline_in_a_full_socket_is_safe_to_repeat(rig: Rig) -> None:
    rig.connection.pause_writing()
    exchange = rig.submit(deadline_s=1)
    await turns()
    rig.connection.expire(rig.now + SECOND)
    assert rig.failure(exchange).safe_to_repeat
    rig.connection.resume_writing()
    await rig.carry()
    assert rig.requests == []


async def test_the_peers_stream_limit_counts_when_it_is_the_smaller() -> None:
    assert (await Rig(peer_streams=7).connect()).connection.free == 7
    assert (await Rig(peer_streams=7, streams=3).connect()).connection.free == 3


async def test_a_limit_that_shrinks_gives_back_what_has_not_begun(rig: Rig) -> None:
    begun = [rig.submit() for _ in range(3)]
    await rig.carry()
    rig.peer.update_settings({MAX_CONCURRENT_STREAMS: 4})
    fresh = [rig.submit() for _ in range(3)]
    rig.from_peer()
    assert rig.taken_back == fresh[1:]
    assert rig.connection.free == 0
    await rig.carry()
    assert len(rig.requests) == 4
    rig.answer(begun[0])
    await rig.carry()
    assert rig.connection.free == 1


async def test_a_limit_of_zero_stops_new_exchanges_and_lets_the_others_finish(rig: Rig) -> None:
    begun = [rig.submit() for _ in range(3)]
    await rig.carry()
    rig.peer.update_settings({MAX_CONCURRENT_STREAMS: 0})
    await rig.carry()
    assert rig.connection.free == -3
    for exchange in begun:
        rig.answer(exchange)
    await rig.carry()
    assert rig.connection.free == 0
    assert len(rig.done) == 3
    rig.peer.update_settings({MAX_CONCURRENT_STREAMS: 5})
    await rig.carry()
    assert rig.room[-1] == 5


async def test_refused_and_reset_streams(rig: Rig) -> None:
    refused, reset, cancelled = rig.submit(), rig.submit(), rig.submit()
    await rig.carry()
    rig.peer.cancel(refused.stream_id, REFUSED_STREAM)
    rig.peer.cancel(reset.stream_id, INTERNAL_ERROR)
    rig.peer.cancel(cancelled.stream_id, CANCEL)
    await rig.carry()
    assert rig.failure(refused).kind is FailureKind.REFUSED
    assert rig.failure(refused).safe_to_repeat
    for exchange in (reset, cancelled):
        assert rig.failure(exchange).kind is FailureKind.RESET
        assert not rig.failure(exchange).safe_to_repeat
    statistics = rig.connection.statistics()
    assert (statistics.refused, statistics.resets, statistics.in_flight) == (1, 2, 0)


async def test_a_goaway_finishes_what_is_under_way_and_gives_back_the_rest(rig: Rig) -> None:
    begun = rig.submit()
    await rig.carry()
    rig.peer.goaway()
    fresh = rig.submit()
    rig.from_peer()
    assert rig.taken_back == [fresh]
    assert rig.retired == 1
    assert not rig.connection.open_for_more
    assert rig.ended == []
    await rig.carry()
    rig.answer(begun)
    await rig.carry()
    assert isinstance(rig.results()[0], Answer)
    assert rig.ended == ["the peer is going away: NO_ERROR"]
    assert rig.transport.closed


async def test_an_exchange_above_the_goaway_is_safe_to_repeat(rig: Rig) -> None:
    rig.peer.goaway()
    crossing = rig.submit()
    await turns()
    assert crossing.sent
    rig.from_peer()
    await rig.carry()
    failure = rig.failure(crossing)
    assert (failure.kind, failure.safe_to_repeat) == (FailureKind.REFUSED, True)


async def test_a_lost_connection_fails_what_is_in_flight_and_gives_back_the_rest(rig: Rig) -> None:
    begun = [rig.submit() for _ in range(3)]
    await rig.carry()
    fresh = rig.submit()
    rig.connection.connection_lost(ConnectionResetError("reset by peer\nwith two lines"))
    assert [rig.failure(exchange).kind for exchange in begun] == [FailureKind.CONNECTION_LOST] * 3
    assert not rig.failure(begun[0]).safe_to_repeat
    assert rig.taken_back == [fresh]
    assert rig.ended == ["connection lost: reset by peer with two lines"]
    rig.connection.connection_lost(None)
    rig.connection.expire(rig.now + 100 * SECOND)
    rig.connection.close("again")
    assert len(rig.done) == 3
    assert len(rig.ended) == 1


async def test_an_abrupt_goaway_is_named_when_the_connection_goes(rig: Rig) -> None:
    exchange = rig.submit()
    await rig.carry()
    rig.peer.goaway(11)
    await rig.carry()
    rig.connection.connection_lost(None)
    assert rig.failure(exchange).kind is FailureKind.CONNECTION_LOST
    assert rig.failure(exchange).detail == ("the peer is going away: ENHANCE_YOUR_CALM; the peer closed the connection")


async def test_nonsense_from_the_peer_ends_the_connection_with_one_line(rig: Rig) -> None:
    exchange = rig.submit()
    await rig.carry()
    rig.connection.data_received(bytes(64))  # DATA on stream 0
    await turns()
    failure = rig.failure(exchange)
    assert failure.kind is FailureKind.PROTOCOL
    assert failure.detail.startswith("the peer broke HTTP/2: ")
    assert "\n" not in failure.detail
    assert rig.transport.closed
    rig.connection.data_received(bytes(64))
    assert len(rig.done) == 1


async def test_a_bad_header_fails_its_own_exchange_only(rig: Rig) -> None:
    bad = rig.submit(headers=[*POST, (b"x-trace", b"a\r\nb")])
    good = rig.submit()
    assert rig.done == []
    await rig.carry()
    failure = rig.failure(bad)
    assert (failure.kind, failure.detail) == (FailureKind.PROTOCOL, "header x-trace holds a line break or NUL")
    assert failure.safe_to_repeat
    assert [request.stream_id for request in rig.requests] == [good.stream_id]
    assert rig.connection.load == 1


async def test_an_answer_that_is_too_large_fails_its_own_exchange_only() -> None:
    rig = await Rig(max_body_octets=100).connect()
    large, small = rig.submit(), rig.submit()
    await rig.carry()
    rig.answer(large, bytes(101))
    rig.answer(small, bytes(100))
    await rig.carry()
    assert rig.failure(large).kind is FailureKind.TOO_LARGE
    assert len(rig.done) == 2
    assert rig.connection.free == 100


async def test_the_keep_alive_pings_a_silent_peer_and_believes_any_octet(rig: Rig) -> None:
    heard = rig.connection.statistics().bytes_received
    rig.connection.check_alive()
    await turns()
    assert rig.transport.written == []
    rig.connection.check_alive()
    await rig.carry()
    assert rig.connection.statistics().bytes_received > heard
    rig.connection.check_alive()
    assert rig.ended == []


async def test_the_keep_alive_gives_up_a_peer_that_does_not_answer(rig: Rig) -> None:
    exchange = rig.submit()
    await rig.carry()
    for _ in range(3):
        rig.connection.check_alive()
    assert rig.failure(exchange).detail == "no answer to a PING within 3600 s"
    assert rig.transport.closed


async def test_a_callback_that_raises_is_reported_and_harms_nobody_else(rig: Rig) -> None:
    reported: list[dict[str, Any]] = []
    rig.connection._loop.set_exception_handler(lambda loop, context: reported.append(context))

    def raises(exchange: Exchange, result: Answer | Failure, now: int) -> None:
        raise ValueError("caller's mistake")

    bad = Exchange(list(POST), b"", rig.now + SECOND, raises)
    rig.connection.submit(bad)
    good = rig.submit()
    await rig.carry()
    rig.answer(bad)
    rig.answer(good)
    await rig.carry()
    assert [type(result) for result in rig.results()] == [Answer]
    assert [str(context["exception"]) for context in reported] == ["caller's mistake"]


async def test_closing_says_goaway_and_fails_what_is_left(rig: Rig) -> None:
    exchange = rig.submit()
    await rig.carry()
    rig.connection.close("enough")
    assert rig.failure(exchange).kind is FailureKind.CLOSED
    assert rig.transport.closed
    assert rig.transport.take()[3] == 7  # a GOAWAY frame


async def test_closing_a_connection_whose_peer_reads_nothing_does_not_wait(rig: Rig) -> None:
    rig.connection.pause_writing()
    rig.connection.close("enough")
    assert rig.transport.aborted


async def test_an_abort_writes_nothing(rig: Rig) -> None:
    """The transport may have been closed under it: uvloop closes that of a connection whose making was cancelled."""
    exchange = rig.submit()
    await turns()
    rig.transport.take()
    rig.submit()
    rig.connection.abort("abandoned")
    assert rig.transport.aborted
    await turns()
    assert rig.transport.take() == b""
    assert rig.failure(exchange).kind is FailureKind.CONNECTION_LOST
