"""A fleet without sockets, in virtual time, against the fixed answers of the benchmark's peer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

from simulator.config import Profile, load_profile
from simulator.fleet.chfs import Destination
from simulator.fleet.fleet import Fleet, Share
from simulator.fleet.network_functions import NetworkFunction
from simulator.http2 import Answer, Exchange
from simulator.measure import Recorder
from tests.performance.answers import fixed_answers

SESSION = Path(__file__).with_name("session.yaml")
START_NS = 1_000_000_000_000
EPOCH_NS = 1_795_000_000_000_000_000
ROUND_TRIP_NS = 1_000_000
INTERVAL_NS = 500_000_000


def session_profile(*overrides: str) -> Profile:
    """The benchmark's profile."""
    return load_profile(SESSION, overrides)


Answerer = Callable[[Exchange, int], Answer]
"""What the CHF says to an exchange, at a moment."""


def fixed_answerer(profile: Profile) -> Answerer:
    """The answers of the benchmark's peer."""
    groups = [group.rating_group for usage in profile.usages.values() for group in usage.rating_groups]
    created, updated, released = (Answer(int(headers[0][1]), headers, body) for headers, body in fixed_answers(groups))

    def answer(exchange: Exchange, now: int) -> Answer:
        path = exchange.headers[3][1]
        if path.endswith(b"/update"):
            return updated
        return released if path.endswith(b"/release") else created

    return answer


class CannedFleet:
    """Plays a profile against `answer`; `exchanges` counts what was sent."""

    def __init__(self, profile: Profile, answer: Answerer) -> None:
        self._answer = answer
        self._waiting: deque[Exchange] = deque()
        self.exchanges = 0
        self._recorder = Recorder(START_NS)
        self._fleet = Fleet(
            profile,
            seed=1,
            share=Share(),
            destinations=[Destination(scheme=b"http", authority=b"127.0.0.1:80")],
            recorder=self._recorder,
            transmit=self._transmit,
            write_record=lambda lines: None,
            t0=START_NS,
            epoch=EPOCH_NS,
            wake=lambda moment: None,
            on_finished=lambda: None,
        )

    def _transmit(
        self, function: NetworkFunction, exchange: Exchange, place: int, origin: bytes | None, now: int
    ) -> None:
        self.exchanges += 1
        exchange.sent = now
        self._waiting.append(exchange)

    def run(self) -> None:
        """Play to the end of the profile's sessions; as in an engine, intervals are cut on the way."""
        fleet, now, cut_at = self._fleet, START_NS, START_NS
        while not fleet.finished:
            now += ROUND_TRIP_NS
            if now >= cut_at:
                self._recorder.cut(now)
                fleet.books.flush()
                cut_at += INTERVAL_NS
            fleet.on_time(now)
            for _ in range(len(self._waiting)):
                exchange = self._waiting.popleft()
                exchange.on_done(exchange, self._answer(exchange, now), now)


def session_messages() -> list[tuple[bytes, bytes]]:
    """Path and body of every message of one session."""
    messages = []
    profile = session_profile("load.devices=1", "load.sessions=1")
    fixed = fixed_answerer(profile)

    def answer(exchange: Exchange, now: int) -> Answer:
        messages.append((exchange.headers[3][1], exchange.body))
        return fixed(exchange, now)

    CannedFleet(profile, answer).run()
    return messages
