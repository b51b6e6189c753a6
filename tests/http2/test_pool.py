"""The pool over real sockets, against our own server on each codec."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest

from simulator.http2 import (
    CODECS,
    Answer,
    Exchange,
    Failure,
    FailureKind,
    Pool,
    PoolLimits,
    ServerLimits,
    ServerRequest,
    Target,
    TargetError,
)
from simulator.http2.backoff import Backoff
from tests.http2 import peers
from tests.http2.peers import Client, echo, free_port, plain, pooled, serving, until

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["ngh2", "h2"], autouse=True)
def _codec(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test of this file, with either codec."""
    monkeypatch.setattr(peers, "CODEC", request.param)


class Held:
    """A handler that keeps requests until they are released."""

    def __init__(self) -> None:
        self.requests: list[ServerRequest] = []

    def __call__(self, request: ServerRequest) -> None:
        self.requests.append(request)

    def release(self, count: int = 1_000_000) -> None:
        now, self.requests = self.requests[:count], self.requests[count:]
        for request in now:
            request.respond(200, [], request.body)


@pytest.mark.parametrize(("client", "server"), list(itertools.product(CODECS, CODECS)))
async def test_many_exchanges_over_several_connections(client: str, server: str) -> None:
    limits = ServerLimits(streams=20)
    async with serving(codec=server, limits=limits) as chf, pooled(plain(chf.port), codec=client, connections=3) as smf:
        results = await asyncio.gather(*(smf.submit(b"%d" % number) for number in range(300)))
        assert [result.body for result in results if isinstance(result, Answer)] == [b"%d" % n for n in range(300)]
        statistics = smf.pool.statistics()
        assert (statistics.requests, statistics.answers, statistics.in_flight) == (300, 300, 0)
        assert statistics.connections_open == 3
        assert statistics.max_streams == 60
        assert chf.statistics().requests == 300
        assert statistics.bytes_sent == chf.statistics().bytes_received
        assert set(smf.calls.values()) == {1}


async def test_the_least_loaded_connection_is_chosen() -> None:
    held = Held()
    async with serving(held) as chf, pooled(plain(chf.port), connections=4) as smf:
        await until(lambda: smf.pool.statistics().connections_open == 4)
        waiting = [smf.submit() for _ in range(12)]
        assert sorted(connection.load for connection in smf.pool._all) == [3, 3, 3, 3]
        await until(lambda: len(held.requests) == 12)
        held.release()
        await asyncio.gather(*waiting)


async def test_beyond_the_streams_exchanges_wait_in_order() -> None:
    held = Held()
    async with serving(held, limits=ServerLimits(streams=2)) as chf, pooled(plain(chf.port)) as smf:
        done: list[bytes] = []
        for number in range(6):
            future = smf.submit(b"%d" % number)
            future.add_done_callback(lambda future: done.append(getattr(future.result(), "body", b"failed")))
        assert smf.pool.statistics().waiting == 4
        for first in (0, 2, 4):
            await until(lambda: len(held.requests) == 2)
            assert sorted(request.body for request in held.requests) == [b"%d" % first, b"%d" % (first + 1)]
            held.release()
        await until(lambda: len(done) == 6)
        statistics = smf.pool.statistics()
        assert (statistics.waiting, statistics.waiting_max, statistics.waited) == (0, 4, 4)


async def test_a_newcomer_does_not_overtake_those_who_wait() -> None:
    order: list[bytes] = []

    def note(request: ServerRequest) -> None:
        order.append(request.body)
        request.respond(200, [], request.body)

    async with serving(note, limits=ServerLimits(streams=1)) as chf, pooled(plain(chf.port)) as smf:
        newcomers: list[asyncio.Future[Answer | Failure]] = []

        def come(exchange: Exchange, result: Answer | Failure, now: int) -> None:
            newcomers.append(smf.submit(b"newcomer"))

        now = time.monotonic_ns()
        smf.pool.submit(Exchange(POST_HEADERS, b"first", now + 10**10, come), now)
        await smf.submit(b"waiting")
        await newcomers[0]
        assert order == [b"first", b"waiting", b"newcomer"]


async def test_a_full_waiting_room_overflows_after_submit_has_returned() -> None:
    held = Held()
    async with serving(held, limits=ServerLimits(streams=1)) as chf, pooled(plain(chf.port), waiting=1) as smf:
        first, second, third = smf.submit(), smf.submit(), smf.submit()
        failure = await third
        assert isinstance(failure, Failure)
        assert (failure.kind, failure.safe_to_repeat) == (FailureKind.OVERFLOW, True)
        assert failure.detail == "1 exchanges are waiting already"
        assert smf.pool.statistics().overflowed == 1
        for _ in range(2):
            await until(lambda: len(held.requests) == 1)
            held.release()
        await asyncio.gather(first, second)


async def test_deadlines_hold_on_the_wire_and_in_the_waiting_room() -> None:
    held = Held()
    async with serving(held, limits=ServerLimits(streams=1)) as chf, pooled(plain(chf.port)) as smf:
        began = time.monotonic()
        on_wire, waiting = smf.submit(deadline_s=0.05), smf.submit(deadline_s=0.06)
        results = [await on_wire, await waiting]
        assert 0.05 <= time.monotonic() - began < 1
        assert [result.kind for result in results if isinstance(result, Failure)] == [FailureKind.TIMEOUT] * 2
        statistics = smf.pool.statistics()
        assert statistics.timeouts == 2
        await until(lambda: chf.statistics().unanswered == 0)
        assert set(smf.calls.values()) == {1}
        held.release()


async def test_deadlines_in_virtual_time() -> None:
    held = Held()
    async with serving(held, limits=ServerLimits(streams=2)) as chf, pooled(plain(chf.port)) as smf:
        now = time.monotonic_ns()
        order = {seconds: smf.submit(deadline_s=seconds) for seconds in (300.0, 100.0, 200.0, 400.0)}
        await until(lambda: len(held.requests) == 2)
        smf.pool.sweep(now + 150 * 10**9)
        assert order[100.0].done()
        assert not order[200.0].done()
        await until(lambda: len(held.requests) == 3)
        smf.pool.sweep(now + 350 * 10**9)
        assert [order[seconds].done() for seconds in (200.0, 300.0, 400.0)] == [True, True, False]


async def test_a_lost_connection_is_replaced() -> None:
    async with serving() as chf, pooled(plain(chf.port)) as smf:
        await smf.answer()
        for connection in list(chf._connections):
            connection.abort()
        await until(lambda: smf.pool.statistics().lost == 1)
        assert (await smf.answer(b"again")).body == b"again"
        statistics = smf.pool.statistics()
        assert (statistics.opened, statistics.reconnects, statistics.answers) == (2, 1, 2)


async def test_what_is_in_flight_when_the_connection_goes_fails_once() -> None:
    held = Held()
    async with serving(held, limits=ServerLimits(streams=5)) as chf, pooled(plain(chf.port)) as smf:
        futures = [smf.submit() for _ in range(8)]
        await until(lambda: len(held.requests) == 5)
        for connection in list(chf._connections):
            connection.abort()
        lost = await asyncio.gather(*futures[:5])
        assert [result.kind for result in lost if isinstance(result, Failure)] == [FailureKind.CONNECTION_LOST] * 5
        held.requests.clear()
        await until(lambda: len(held.requests) == 3)
        held.release()
        waited = await asyncio.gather(*futures[5:])
        assert all(isinstance(result, Answer) for result in waited)
        assert set(smf.calls.values()) == {1}


async def test_a_server_that_restarts_is_found_again_and_what_waited_is_sent() -> None:
    port = free_port()
    async with serving(port=port) as chf:
        pool = Pool(plain(port), PoolLimits(connections=1, backoff_min_s=0.005, backoff_max_s=0.02), draw=lambda: 0.5)
        await pool.open()
        smf = Client(pool)
        await smf.answer()
        await chf.aclose()
    await until(lambda: smf.pool.statistics().reconnects >= 2)
    waiting = smf.submit(b"while you were away")
    async with serving(port=port):
        result = await waiting
        assert isinstance(result, Answer)
        assert result.body == b"while you were away"
    await pool.aclose()


async def test_a_deadline_without_any_connection_says_why_there_is_none() -> None:
    async with serving() as chf, pooled(plain(chf.port)) as smf:
        await chf.aclose()
        await until(lambda: smf.pool.statistics().reconnects >= 1)
        await until(lambda: "refused" in smf.pool._problem)
        failure = await smf.failure(deadline_s=0.02)
        assert failure.kind is FailureKind.CONNECT_FAILED
        assert failure.detail == f"http://127.0.0.1:{chf_port(smf)}: connection refused"
        assert failure.safe_to_repeat


async def test_nobody_waits_for_a_peer_that_is_away_where_another_can_be_asked() -> None:
    async with serving() as chf, pooled(plain(chf.port), connections=2, waits_for_peer=False, backoff_min_s=0.2) as smf:
        await until(lambda: smf.pool.statistics().connections_open == 2)
        await chf.aclose()
        await until(lambda: smf.pool.statistics().connections_open == 0)
        failures = await asyncio.gather(*(smf.failure(deadline_s=30) for _ in range(3)))
        assert {(failure.kind, failure.safe_to_repeat) for failure in failures} == {(FailureKind.CONNECT_FAILED, True)}
        assert (await smf.failure(deadline_s=30)).kind is FailureKind.CONNECT_FAILED, "without another attempt"
        async with serving(port=chf_port(smf)):
            await until(lambda: smf.pool.statistics().connections_open > 0)
            assert isinstance(await smf.submit(b"back"), Answer)


def chf_port(smf: Client) -> int:
    return smf.pool.target.port


async def test_connections_are_replaced_before_their_stream_ids_run_out() -> None:
    async with serving() as chf, pooled(plain(chf.port), max_requests_per_connection=10, streams=5) as smf:
        results = await asyncio.gather(*(smf.submit(b"%d" % number) for number in range(100)))
        assert all(isinstance(result, Answer) for result in results)
        statistics = smf.pool.statistics()
        assert 6 <= statistics.recycled <= 10
        assert statistics.lost == 0
        assert chf.statistics().accepted == statistics.opened >= statistics.recycled
        assert set(smf.calls.values()) == {1}


async def test_a_closing_server_answers_what_it_has_and_the_pool_moves_on() -> None:
    held, port = Held(), free_port()
    async with serving(held, port=port) as first, pooled(plain(port), backoff_max_s=0.02) as smf:
        under_way = smf.submit(b"old")
        await until(lambda: len(held.requests) == 1)
        closing = asyncio.create_task(first.aclose())
        await until(lambda: smf.pool.statistics().connections_draining == 1)
        async with serving(echo, port=port):
            assert (await smf.answer(b"new")).body == b"new"
            held.release()
            result = await under_way
            assert isinstance(result, Answer)
            assert result.body == b"old"
            await closing
        assert smf.pool.statistics().goaways >= 1


async def test_a_connection_that_dies_after_its_goaway_with_an_answer_owing_counts_as_lost() -> None:
    held = Held()
    async with serving(held) as chf, pooled(plain(chf.port)) as smf:
        under_way = smf.submit(b"old")
        await until(lambda: len(held.requests) == 1)
        (connection,) = chf._connections
        connection.go_away()
        await until(lambda: smf.pool.statistics().connections_draining == 1)
        connection.abort()
        result = await under_way
        assert isinstance(result, Failure)
        assert result.kind is FailureKind.CONNECTION_LOST
        assert smf.pool.statistics().lost == 1


async def test_closing_the_pool_fails_everything_with_closed_once() -> None:
    held = Held()
    async with serving(held, limits=ServerLimits(streams=2)) as chf, pooled(plain(chf.port)) as smf:
        futures = [smf.submit() for _ in range(5)]
        await until(lambda: len(held.requests) == 2)
        await smf.pool.aclose()
        results = await asyncio.gather(*futures)
        assert {result.kind for result in results if isinstance(result, Failure)} == {FailureKind.CLOSED}
        assert (
            sorted(result.safe_to_repeat for result in results if isinstance(result, Failure))
            == [False] * 2 + [True] * 3
        )
        after = await smf.failure()
        assert after.kind is FailureKind.CLOSED
        assert set(smf.calls.values()) == {1}
        await until(lambda: chf.statistics().connections == 0)


async def test_a_callback_that_submits_to_a_closing_pool_hears_closed_before_the_close_is_over() -> None:
    held = Held()
    async with serving(held) as chf, pooled(plain(chf.port), connections=2) as smf:
        await until(lambda: smf.pool.statistics().connections_open == 2)
        heard: list[Answer | Failure] = []

        def once_more(exchange: Exchange, result: Answer | Failure, now: int) -> None:
            heard.append(result)
            if exchange.context is None:
                smf.pool.submit(Exchange(POST_HEADERS, b"", now + 10**10, once_more, context="second"), now)

        for _ in range(10):
            smf.pool.submit(Exchange(POST_HEADERS, b"", time.monotonic_ns() + 10**10, once_more), time.monotonic_ns())
        await until(lambda: len(held.requests) == 10)
        await smf.pool.aclose()
        assert [result.kind for result in heard if isinstance(result, Failure)] == [FailureKind.CLOSED] * 20


async def test_a_callback_may_submit_the_next_exchange_at_once() -> None:
    async with serving() as chf, pooled(plain(chf.port), streams=2) as smf:
        finished = asyncio.Event()
        left = 500

        def again(exchange: Exchange, result: Answer | Failure, now: int) -> None:
            nonlocal left
            left -= isinstance(result, Answer)
            if left > 0:
                smf.pool.submit(Exchange(exchange.headers, b"", now + 10**10, again), now)
            else:
                finished.set()

        for _ in range(5):
            smf.pool.submit(Exchange(POST_HEADERS, b"", time.monotonic_ns() + 10**10, again), time.monotonic_ns())
        await asyncio.wait_for(finished.wait(), 10)
        assert 500 <= smf.pool.statistics().requests <= 505


POST_HEADERS = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"chf"), (b":path", b"/")]


async def test_a_server_that_reads_nothing_stops_the_pool_not_the_loop() -> None:
    async with serving() as chf, pooled(plain(chf.port), streams=100) as smf:
        await smf.answer()
        for connection in chf._connections:
            assert connection._transport is not None
            connection._transport.pause_reading()
        futures = [smf.submit(bytes(1 << 19), deadline_s=0.5) for _ in range(40)]
        await until(lambda: smf.pool.statistics().waiting > 0 or any(c._paused for c in smf.pool._all))
        extra = smf.submit(b"late", deadline_s=0.5)
        assert smf.pool.statistics().waiting >= 1
        results = await asyncio.gather(*futures, extra)
        assert {result.kind for result in results if isinstance(result, Failure)} == {FailureKind.TIMEOUT}
        for connection in chf._connections:
            assert connection._transport is not None
            connection._transport.resume_reading()
        assert (await smf.answer(b"well again")).body == b"well again"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_open_on_a_dead_port_says_so(host: str) -> None:
    pool = Pool(Target.parse(f"http://{host}:{free_port()}"), draw=lambda: 0.0)
    with pytest.raises(TargetError, match=rf"^http://{host}:\d+: connection refused$"):
        await pool.open()
    await pool.aclose()


async def test_a_callback_may_submit_again_when_its_connection_is_lost() -> None:
    held = Held()
    async with serving(held) as chf, pooled(plain(chf.port)) as smf:
        answered: list[Answer] = []

        def again(exchange: Exchange, result: Answer | Failure, now: int) -> None:
            if isinstance(result, Answer):
                answered.append(result)
            elif result.kind is FailureKind.CONNECTION_LOST:
                smf.pool.submit(Exchange(exchange.headers, b"", now + 10**10, again), now)

        for _ in range(10):
            smf.pool.submit(Exchange(POST_HEADERS, b"", time.monotonic_ns() + 10**10, again), time.monotonic_ns())
        await until(lambda: len(held.requests) == 10)
        held.requests.clear()
        for connection in list(chf._connections):
            connection.abort()
        await until(lambda: len(held.requests) == 10)
        held.release()
        await until(lambda: len(answered) == 10)


async def test_a_deadline_beyond_all_calendars_is_taken() -> None:
    async with serving() as chf, pooled(plain(chf.port)) as smf:
        assert (await smf.answer(deadline_s=4e9)).status == 200


def test_back_off_doubles_up_to_its_bound_with_half_of_it_jitter() -> None:
    steady = Backoff(0.1, 1.0, lambda: 1.0)
    assert [round(steady.next_delay_s(), 3) for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    steady.reset()
    assert steady.next_delay_s() == pytest.approx(0.1)
    lucky = Backoff(0.1, 1.0, lambda: 0.0)
    assert [round(lucky.next_delay_s(), 3) for _ in range(3)] == [0.05, 0.1, 0.2]


async def test_without_keep_alive_a_silent_connection_stays() -> None:
    async with serving() as chf, pooled(plain(chf.port), keepalive_s=0) as smf:
        assert (await smf.answer(b"a")).body == b"a"
        await asyncio.sleep(0.05)
        assert (await smf.answer(b"b")).body == b"b"
        statistics = smf.pool.statistics()
        assert (statistics.lost, statistics.opened) == (0, 1)


async def test_the_peak_of_the_waiting_room_is_told_though_nobody_waits_any_more() -> None:
    held = Held()
    async with serving(held, limits=ServerLimits(streams=2)) as chf, pooled(plain(chf.port)) as smf:
        futures = [smf.submit() for _ in range(7)]
        await until(lambda: len(held.requests) == 2)
        while not all(future.done() for future in futures):
            held.release()
            await asyncio.sleep(0.01)
        assert (smf.pool.statistics().waiting, smf.pool.take_waiting_peak()) == (0, 5)
        assert smf.pool.take_waiting_peak() == 0
