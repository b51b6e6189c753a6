"""A pool of connections to one target, with a bounded waiting room before them.

Each slot of the pool keeps one connection alive. An exchange goes to the least loaded connection, or waits, in order,
until one has a free stream. Deadlines cost no timer each: one timer sweeps the tables at the earliest deadline known.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final

from simulator.http2.backoff import Backoff
from simulator.http2.choice import client_codec
from simulator.http2.closing import all_done
from simulator.http2.codec import CodecLimits
from simulator.http2.connect import connect
from simulator.http2.connection import NEVER, ClientConnection
from simulator.http2.messages import Exchange, Failure, FailureKind
from simulator.http2.slot import Slot
from simulator.http2.statistics import Counters, PoolStatistics
from simulator.http2.target import Target, TargetError

_SWEEP_PERIOD_NS: Final = 5_000_000
_SWEEP_PERIOD_PER_WAITING_NS: Final = 2_000
"""Deadlines that pass within one period are swept together; with a long queue, which costs about 0.1 us each to look
at, the period is longer. So a stalled peer costs a few per cent of the CPU, not all of it."""
_SWEEP_AT_LEAST_NS: Final = 3_600_000_000_000
"""Loops refuse timers beyond some years."""
_CLOSE_TIMEOUT_S: Final = 1.0
"""A peer that does not take our last octets within this time is cut off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """The bounds of a pool."""

    connections: int = 4
    streams: int = 100
    """Per connection; the peer may allow fewer."""
    waiting: int = 10_000
    connect_timeout_s: float = 3.0
    """For TCP, TLS and the peer's SETTINGS together."""
    keepalive_s: float = 15.0
    backoff_min_s: float = 0.05
    backoff_max_s: float = 5.0
    max_body_octets: int = 1 << 20
    max_header_octets: int = 1 << 16
    waits_for_peer: bool = True
    """Whether exchanges wait while no connection can be made; if not, they fail at once, so that another peer can be asked."""
    max_requests_per_connection: int = 1 << 28
    """Then the connection is replaced; stream ids would last for 2**30 requests (RFC 9113 5.1.1)."""


class Pool:
    """See the module. `draw` returns uniform numbers in [0, 1) for the jitter of the back-off."""

    def __init__(
        self,
        target: Target,
        limits: PoolLimits | None = None,
        *,
        codec: str = "ngh2",
        tls: ssl.SSLContext | None = None,
        draw: Callable[[], float],
        name: str = "",
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.target = target
        self.name = name or str(target)
        self.limits = limits or PoolLimits()
        self._codec = codec
        self._tls = tls
        self._draw = draw
        self._clock = clock
        self._ready: list[ClientConnection] = []
        self._all: set[ClientConnection] = set()
        self._slots: list[Slot] = []
        self._waiting: deque[Exchange] = deque()
        self._turned_away: list[tuple[Exchange, Failure]] = []
        self._sweep_at = NEVER
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._problem = ""
        """The last failed attempt to connect, while there is no connection."""
        self._away = False
        """Whether the last attempt to connect failed."""
        self._max_requests = self.limits.max_requests_per_connection
        self._closed = False
        self._past = Counters()
        """Totals of connections that are gone."""
        self._waiting_peak = self._waiting_max = self._waited = self._overflowed = self._timeouts_waiting = 0
        self._opened = self._lost = self._recycled = 0

    async def open(self) -> None:
        """Make the first connection; the others follow by themselves. Raises TargetError."""
        self._loop = asyncio.get_running_loop()
        first = await self._connect()
        self._slots = [self._slot() for _ in range(self.limits.connections)]
        self._slots[0].adopt(first)
        for slot in self._slots[1:]:
            slot.start()

    def open_later(self, problem: str) -> None:
        """Go on trying after `open` has failed; until then everything waits, and fails with that problem at its deadline."""
        self._problem = problem
        self._away = True
        self._slots = [self._slot() for _ in range(self.limits.connections)]
        for slot in self._slots:
            slot.start()

    # The hot path.

    def submit(self, exchange: Exchange, now: int) -> None:
        """Send an exchange on the least loaded connection, or let it wait for one."""
        if exchange.deadline < self._sweep_at:
            self._sweep_by(exchange.deadline, now)
        if not self._waiting:
            best: ClientConnection | None = None
            most = 0
            for connection in self._ready:
                if connection.free > most:
                    best, most = connection, connection.free
            if best is not None:
                best.submit(exchange)
                return
        self._wait(exchange)

    def on_room(self, connection: ClientConnection) -> None:
        """A connection has become able, or unable, to take more."""
        if connection.counters.requests >= self._max_requests and connection.serving:
            self._recycled += 1
            connection.retire("replaced before its stream ids run out")
        if connection.open_for_more is not (connection in self._ready):
            self._list(connection)
        if self._waiting:
            self._admit()

    # The waiting room.

    def _wait(self, exchange: Exchange) -> None:
        if self._closed:
            self._turn_away(exchange, Failure(FailureKind.CLOSED, "the pool is closed", safe_to_repeat=True))
        elif self._is_hopeless():
            self._turn_away(exchange, self._no_connection())
        elif len(self._waiting) >= self.limits.waiting:
            self._overflowed += 1
            detail = f"{self.limits.waiting} exchanges are waiting already"
            self._turn_away(exchange, Failure(FailureKind.OVERFLOW, detail, safe_to_repeat=True))
        else:
            self._waited += 1
            self._waiting.append(exchange)
            self._note_waiting()

    def _is_hopeless(self) -> bool:
        """Whether nobody may wait, because there is no connection and none can be made."""
        return self._away and not self._is_connected() and not self.limits.waits_for_peer

    def _is_connected(self) -> bool:
        """Whether there is a connection that takes exchanges, now or when it has room."""
        return any(connection.established and connection.serving for connection in self._all)

    def _no_connection(self) -> Failure:
        return Failure(FailureKind.CONNECT_FAILED, self._problem, safe_to_repeat=True)

    def _admit(self) -> None:
        """Send those who wait, in order, as long as there is room."""
        while self._waiting:
            best = max(self._ready, key=_free, default=None)
            if best is None or best.free <= 0:
                return
            best.submit(self._waiting.popleft())

    def take_back(self, exchanges: list[Exchange]) -> None:
        """Exchanges of which nothing has left: to the head of the waiting room, which they may overfill."""
        self._waiting.extendleft(reversed(exchanges))
        if self._closed:
            self._fail_waiting()
        elif exchanges:
            self._note_waiting()
            self._loop.call_soon(self._admit)

    def _note_waiting(self) -> None:
        waiting = len(self._waiting)
        if waiting > self._waiting_peak:
            self._waiting_peak = waiting
            self._waiting_max = max(self._waiting_max, waiting)

    def _turn_away(self, exchange: Exchange, failure: Failure) -> None:
        """Fail an exchange after, not within, the call that submits it."""
        if not self._turned_away:
            self._loop.call_soon(self._report_turned_away)
        self._turned_away.append((exchange, failure))

    def _report_turned_away(self) -> None:
        turned_away, self._turned_away = self._turned_away, []
        now = self._clock()
        for exchange, failure in turned_away:
            self._finish(exchange, failure, now)

    def _finish(self, exchange: Exchange, failure: Failure, now: int) -> None:
        try:
            exchange.on_done(exchange, failure, now)
        except Exception as error:
            self._loop.call_exception_handler({"message": "on_done of an HTTP/2 exchange raised", "exception": error})

    # Deadlines.

    def _sweep_by(self, deadline: int, now: int) -> None:
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        self._sweep_at = deadline
        period_ns = _SWEEP_PERIOD_NS + _SWEEP_PERIOD_PER_WAITING_NS * len(self._waiting)
        delay_ns = min(max(deadline - now, period_ns), _SWEEP_AT_LEAST_NS)
        # one more millisecond, because uvloop's timers round to milliseconds and were seen to fire early
        self._sweep_timer = self._loop.call_later(delay_ns / 1e9 + 0.001, self._on_sweep)

    def _on_sweep(self) -> None:
        self.sweep(self._clock())

    def sweep(self, now: int) -> None:
        """Fail every exchange whose deadline has passed, and set the timer to the earliest one left."""
        self._sweep_at = 0  # what is submitted meanwhile does not touch the timer; it is looked at below
        for connection in list(self._all):
            connection.expire(now)
        self._expire_waiting(now)
        self._admit()
        earliest = min((connection.earliest_deadline() for connection in self._all), default=NEVER)
        earliest = min(earliest, min((exchange.deadline for exchange in self._waiting), default=NEVER))
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
            self._sweep_timer = None
        self._sweep_at = NEVER
        if earliest != NEVER and not self._closed:
            self._sweep_by(earliest, now)

    def _expire_waiting(self, now: int) -> None:
        late = [exchange for exchange in self._waiting if exchange.deadline <= now]
        if not late:
            return
        self._waiting = deque(exchange for exchange in self._waiting if exchange.deadline > now)
        self._timeouts_waiting += len(late)
        failure = Failure(FailureKind.TIMEOUT, "the deadline passed in the waiting room", safe_to_repeat=True)
        if self._problem and not self._ready:
            failure = self._no_connection()
        for exchange in late:
            self._finish(exchange, failure, now)

    # Connections.

    def _slot(self) -> Slot:
        limits = self.limits
        return Slot(
            self._connect, Backoff(limits.backoff_min_s, limits.backoff_max_s, self._draw), limits.backoff_max_s
        )

    def _make(self) -> ClientConnection:
        limits = CodecLimits(
            max_body_octets=self.limits.max_body_octets, max_header_octets=self.limits.max_header_octets
        )
        connection = ClientConnection(
            self,
            client_codec(self._codec, limits),
            streams=self.limits.streams,
            clock=self._clock,
            keepalive_s=self.limits.keepalive_s,
        )
        self._all.add(connection)
        return connection

    async def _connect(self) -> ClientConnection:
        try:
            connection = await connect(self.target, self._make, tls=self._tls, timeout_s=self.limits.connect_timeout_s)
        except TargetError as error:
            self._problem = str(error)
            self._away = True
            if self._is_hopeless():
                self._turn_away_waiting()
            raise
        self._problem = ""
        self._away = False
        self._opened += 1
        return connection

    def _list(self, connection: ClientConnection) -> None:
        if connection.open_for_more:
            self._ready.append(connection)
        else:
            self._ready.remove(connection)

    def on_retired(self, connection: ClientConnection) -> None:
        """A connection takes no more exchanges; its slot gets another one."""
        if not self._closed:
            any(slot.on_gone(connection) for slot in self._slots)

    def on_end(self, connection: ClientConnection, detail: str) -> None:
        """A connection is gone."""
        if connection in self._ready:
            self._ready.remove(connection)
        self._all.remove(connection)
        self._past.add(connection.counters)
        if self._closed:
            return
        vacated = any(slot.on_gone(connection) for slot in self._slots)
        if vacated:
            self._problem = f"{self.target}: {detail}"
        if vacated or connection.cut_off:  # one that was going away has left its slot before
            self._lost += 1

    async def aclose(self) -> None:
        """Say GOAWAY on every connection, fail what is left with CLOSED, and wait until the sockets are closed."""
        self._closed = True
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        for slot in self._slots:
            await slot.aclose()
        connections = list(self._all)
        for connection in connections:
            connection.close("the pool was closed")
        self._fail_waiting()
        await all_done([connection.gone for connection in connections], _CLOSE_TIMEOUT_S)
        for connection in connections:
            connection.abort("the pool was closed")
        await all_done([connection.gone for connection in connections], _CLOSE_TIMEOUT_S)
        self._report_turned_away()

    def _fail_waiting(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        now = self._clock()
        for exchange in waiting:
            sent_nothing = Failure(FailureKind.CLOSED, "the pool was closed", safe_to_repeat=True)
            self._finish(exchange, sent_nothing, now)

    def _turn_away_waiting(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        for exchange in waiting:
            self._turn_away(exchange, self._no_connection())

    def take_waiting_peak(self) -> int:
        """The most that have waited at a time since this was last asked."""
        peak, self._waiting_peak = self._waiting_peak, len(self._waiting)
        return peak

    def statistics(self) -> PoolStatistics:
        """Where the pool stands."""
        total = Counters()
        total.add(self._past)
        for connection in self._all:
            total.add(connection.counters)
        totals = asdict(total)
        totals["timeouts"] += self._timeouts_waiting
        states = [connection.statistics() for connection in self._all if connection.established]
        draining = sum(state.going_away for state in states)
        return PoolStatistics(
            connections_open=len(states) - draining,
            connections_connecting=sum(slot.connecting for slot in self._slots),
            connections_draining=draining,
            in_flight=sum(state.in_flight for state in states),
            max_streams=sum(state.max_streams for state in states if not state.going_away),
            waiting=len(self._waiting),
            waiting_max=self._waiting_max,
            waited=self._waited,
            opened=self._opened,
            lost=self._lost,
            reconnects=sum(slot.reconnects for slot in self._slots),
            recycled=self._recycled,
            overflowed=self._overflowed,
            timeouts_waiting=self._timeouts_waiting,
            **totals,
        )


def _free(connection: ClientConnection) -> int:
    return connection.free
