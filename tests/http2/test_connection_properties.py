"""Random lives of one connection: whatever happens, each exchange ends exactly once, and no limit is exceeded."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.http2.choice import CODECS
from simulator.http2.codec import CANCEL, INTERNAL_ERROR, MAX_CONCURRENT_STREAMS, REFUSED_STREAM, Failed, Request
from simulator.http2.messages import Answer, Exchange, Failure, FailureKind
from tests.http2.rig import SECOND, Rig, turns

ACTIONS = st.one_of(
    st.tuples(st.just("submit"), st.integers(1, 8)),
    st.tuples(st.just("answer"), st.integers(0, 7)),
    st.tuples(st.just("reset"), st.sampled_from([CANCEL, INTERNAL_ERROR, REFUSED_STREAM])),
    st.tuples(st.just("limit"), st.integers(0, 6)),
    st.tuples(st.just("time"), st.integers(0, 3)),
    st.tuples(st.just("socket full"), st.booleans()),
    st.tuples(st.just("carry"), st.just(0)),
    st.tuples(st.just("to the peer only"), st.just(0)),
    st.tuples(st.just("from the peer only"), st.just(0)),
)
ENDINGS = st.sampled_from(["lost", "goaway and lost", "garbage", "closed by us", "retired"])


class Life:
    """Plays the actions, and counts what is open at the peer against the limits it has announced."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.submitted: list[Exchange] = []
        self.paused = False
        self.limits = [5]
        """Announced, and perhaps not all known to the client yet."""
        self.seen = 0
        self.open: list[int] = []

    async def play(self, action: str, value: int) -> None:
        rig = self.rig
        match action:
            case "submit":
                for _ in range(value):
                    if rig.connection.open_for_more and rig.connection.free > 0:
                        self.submitted.append(rig.submit(deadline_s=value))
            case "answer" if self.open:
                rig.peer.respond(self.open.pop(value % len(self.open)), [(b":status", b"200")], b"x" * value)
            case "reset" if self.open:
                rig.peer.cancel(self.open.pop(0), value)
            case "limit":
                self.limits.append(value)
                rig.peer.update_settings({MAX_CONCURRENT_STREAMS: value})
            case "time":
                rig.now += value * SECOND // 2
                rig.connection.expire(rig.now)
            case "socket full" if value != self.paused:
                self.paused = not self.paused
                (rig.connection.pause_writing if self.paused else rig.connection.resume_writing)()
            case "carry":
                await rig.carry()
                self.look()
                self.limits = self.limits[-1:]
            case "to the peer only":
                await turns()
                rig.to_peer()
            case "from the peer only":
                rig.from_peer()
        self.look()

    def look(self) -> None:
        """What the peer has seen since the last look."""
        for event in self.rig.peer_saw[self.seen :]:
            if isinstance(event, Request):
                self.open.append(event.stream_id)
                assert len(self.open) <= max(self.limits), "above every limit that the client may still believe in"
            elif isinstance(event, Failed) and event.stream_id in self.open:
                self.open.remove(event.stream_id)
        self.seen = len(self.rig.peer_saw)
        assert self.rig.connection.load == len(self.submitted) - len(self.rig.done) - len(self.rig.taken_back)

    async def end(self, how: str) -> None:
        rig = self.rig
        match how:
            case "goaway and lost":
                rig.peer.goaway(11)
                await rig.carry()
            case "garbage":
                rig.connection.data_received(bytes(64))
                await turns()
            case "closed by us":
                rig.connection.close("enough")
            case "retired":
                rig.connection.retire("old")
                await rig.carry()
        rig.connection.connection_lost(None)


@given(st.sampled_from(CODECS), st.lists(ACTIONS, max_size=40), ENDINGS)
@settings(max_examples=150, deadline=None)
def test_each_exchange_ends_exactly_once(codec: str, actions: list[tuple[str, int]], ending: str) -> None:
    async def live() -> None:
        rig = await Rig(codec, peer_streams=5).connect()
        life = Life(rig)
        for action, value in actions:
            await life.play(action, value)
            assert rig.ended == []
        await life.end(ending)
        ended = [exchange for exchange, _, _ in rig.done] + rig.taken_back
        assert sorted(map(id, ended)) == sorted(map(id, life.submitted))
        assert len(rig.ended) == 1
        assert rig.connection.load == 0
        for exchange, result, now in rig.done:
            check(exchange, result, now)

    asyncio.run(live())


def check(exchange: Exchange, result: Answer | Failure, now: int) -> None:
    """What must hold for every result."""
    if isinstance(result, Answer):
        assert 0 < exchange.sent <= now
    elif result.kind is FailureKind.TIMEOUT:
        assert now >= exchange.deadline
        assert not (result.safe_to_repeat and exchange.sent)
    elif result.kind is FailureKind.REFUSED:
        assert result.safe_to_repeat
    else:
        assert not result.safe_to_repeat
    assert exchange.stream_id or not exchange.sent
