"""A fleet and the sandbox's core in one virtual clock: every exchange takes equally long, nothing sleeps, without sockets."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from simulator.config import Profile, rating_plan
from simulator.fleet.chfs import Destination
from simulator.fleet.fleet import Fleet, Share
from simulator.fleet.network_functions import NetworkFunction
from simulator.fleet.services import collection
from simulator.fleet.session import LiveSession
from simulator.http2 import Answer, Exchange
from simulator.measure import Recorder
from simulator.n40 import Operation
from simulator.n40.flow import NEVER
from simulator.sandbox.chf import Chf, LocationForm

NS_PER_S: Final = 1_000_000_000
EPOCH: Final = 1_795_003_200 * NS_PER_S
"""UTC time at the beginning, in ns: a day in November 2026 at noon, so that the same profile always plays the same."""


OnRequest = Callable[[LiveSession, Operation, Exchange, int], None]
"""A request is sent at that moment."""
OnAnswer = Callable[[LiveSession, Operation, Answer, int], None]
"""The answer is there, and the session has been told."""


class VirtualWorld:
    """One fleet and one CHF, by the book: a profile's faults do not happen here. `latency` is ns from request to answer."""

    def __init__(
        self, profile: Profile, *, seed: int, latency: int, on_request: OnRequest, on_answer: OnAnswer
    ) -> None:
        self.now = 0
        self.requests = 0
        self._latency = latency
        self._on_request = on_request
        self._on_answer = on_answer
        self._chf = Chf(
            rating_plan(profile),
            pace=profile.pace,
            epoch=EPOCH,
            location=LocationForm.ABSOLUTE,  # as the sandbox answers on a wire
            collections=[collection(profile)],
        )
        self.fleet = Fleet(
            profile,
            seed=seed,
            share=Share(),
            destinations=[Destination(scheme=b"http", authority=b"chf.example:80")],
            recorder=Recorder(0),
            transmit=self._transmit,
            write_record=lambda _lines: None,
            t0=0,
            epoch=EPOCH,
            wake=lambda _moment: None,
            on_finished=lambda: None,
        )
        # Every exchange takes equally long, so what is sent first arrives first.
        self._to_chf: deque[tuple[int, Exchange]] = deque()
        self._to_fleet: deque[tuple[int, Exchange, Answer]] = deque()

    def _transmit(
        self, _function: NetworkFunction, exchange: Exchange, _place: int, _origin: bytes | None, now: int
    ) -> None:
        self.requests += 1
        exchange.sent = now
        live, operation = _whose(exchange)
        self._to_chf.append((now + self._latency // 2, exchange))
        self._on_request(live, operation, exchange, now)

    def play(self, most_requests: int) -> bool:
        """Let time pass until nothing is open and nothing will start; False if that takes more requests, or never comes."""
        while not self.fleet.finished:
            moment = self._next_moment()
            if self.requests > most_requests or moment == NEVER:
                return False
            self.now = max(self.now, moment)
            self._turn()
        return True

    def _next_moment(self) -> int:
        moment = self.fleet.next_deadline()
        if self._to_chf:
            moment = min(moment, self._to_chf[0][0])
        if self._to_fleet:
            moment = min(moment, self._to_fleet[0][0])
        return moment

    def _turn(self) -> None:
        now = self.now
        while self._to_chf and self._to_chf[0][0] <= now:
            self._handle(self._to_chf.popleft()[1])
        while self._to_fleet and self._to_fleet[0][0] <= now:
            _, exchange, answer = self._to_fleet.popleft()
            live, operation = _whose(exchange)
            exchange.on_done(exchange, answer, now)
            self._on_answer(live, operation, answer, now)
        self._chf.on_time(now)
        self.fleet.on_time(now)

    def _handle(self, exchange: Exchange) -> None:
        path = exchange.headers[3][1]
        reply = self._chf.handle(b"POST", path, exchange.headers, exchange.body, self.now)
        headers = [(b":status", b"%d" % reply.status), *reply.headers]
        answered_at = self.now + self._latency - self._latency // 2
        self._to_fleet.append((answered_at, exchange, Answer(reply.status, headers, reply.body)))


def _whose(exchange: Exchange) -> tuple[LiveSession, Operation]:
    live = exchange.context
    assert isinstance(live, LiveSession)
    assert live.request is not None
    return live, live.request.operation
