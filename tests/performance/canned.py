"""A fleet without sockets, in virtual time, against the fixed answers of the benchmark's peer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

from simulator.config import Profile, load_profile
from simulator.fleet.fleet import Destination, Fleet, Share
from simulator.fleet.network_functions import NetworkFunction
from simulator.http2 import Answer, Exchange
from simulator.measure import Recorder
from tests.performance.answers import fixed_answers

SESSION = Path(__file__).with_name("session.yaml")
START_NS = 1_000_000_000_000
EPOCH_NS = 1_795_000_000_000_000_000
ROUND_TRIP_NS = 1_000_000


def session_profile(*overrides: str) -> Profile:
    """The benchmark's profile."""
    return load_profile(SESSION, overrides)


class CannedFleet:
    """Plays a profile; `exchanges` counts what was sent, `on_exchange` sees each."""

    def __init__(self, profile: Profile, on_exchange: Callable[[Exchange], None] = lambda exchange: None) -> None:
        groups = [group.rating_group for usage in profile.usages.values() for group in usage.rating_groups]
        answers = [Answer(int(headers[0][1]), headers, body) for headers, body in fixed_answers(groups)]
        self._created, self._updated, self._released = answers
        self._on_exchange = on_exchange
        self._waiting: deque[Exchange] = deque()
        self._now = START_NS
        self.exchanges = 0
        self.recorder = Recorder(START_NS)
        self._fleet = Fleet(
            profile,
            seed=1,
            share=Share(),
            destination=Destination(scheme=b"http", authority=b"127.0.0.1:80"),
            recorder=self.recorder,
            transmit=self._transmit,
            write_record=lambda lines: None,
            t0=START_NS,
            epoch=EPOCH_NS,
            wake=lambda moment: None,
            on_finished=lambda: None,
        )

    def _transmit(self, function: NetworkFunction, exchange: Exchange, origin: bytes | None, now: int) -> None:
        self.exchanges += 1
        exchange.sent = now
        self._on_exchange(exchange)
        self._waiting.append(exchange)

    def run(self) -> None:
        """Play to the end of the profile's sessions, folding what was measured every half second as an engine does."""
        fleet = self._fleet
        cut_at = START_NS
        while not fleet.finished:
            self._now += ROUND_TRIP_NS
            if self._now >= cut_at:
                self.recorder.cut(self._now)
                fleet.books.flush()
                cut_at += 500_000_000
            fleet.on_time(self._now)
            for _ in range(len(self._waiting)):
                exchange = self._waiting.popleft()
                exchange.on_done(exchange, self._answer_to(exchange.headers[3][1]), self._now)

    def _answer_to(self, path: bytes) -> Answer:
        if path.endswith(b"/update"):
            return self._updated
        return self._released if path.endswith(b"/release") else self._created


def session_messages() -> list[tuple[bytes, bytes]]:
    """Path and body of every message of one session."""
    messages = []
    fleet = CannedFleet(
        session_profile("load.devices=1", "load.sessions=1"),
        lambda exchange: messages.append((exchange.headers[3][1], exchange.body)),
    )
    fleet.run()
    return messages
