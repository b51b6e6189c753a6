"""The pools of a fleet: one per network function for the target, and a few for other origins that a Location named."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Final

from simulator.config import Connections
from simulator.fleet.draws import Purpose, uniform
from simulator.fleet.network_functions import NetworkFunction
from simulator.http2 import Exchange, Failure, FailureKind, Pool, PoolLimits, PoolStatistics, Target, TargetError

MAX_ORIGINS: Final = 16
"""Other origins per network function; beyond, requests stay with the configured target."""

LONGEST_BACKOFF_S: Final = 2.0
"""Between two attempts to connect: a CHF that is back is to be found soon, and a few connections per network function are no
load for it."""
TOTALS: Final = (
    "opened", "lost", "reconnects", "recycled", "overflowed", "waited", "requests", "answers", "resets", "refused",
    "timeouts", "goaways", "protocol_errors", "bytes_sent", "bytes_received",
)  # fmt: skip
"""Statistics that only grow; the others are levels."""


@dataclass(slots=True)
class _Opening:
    """A pool that is being opened, and what waits for it."""

    pool: Pool
    waiting: list[Exchange]
    task: asyncio.Task[None] | None = None


class FleetConnections:
    """Sends exchanges of network functions. `tls` makes the context for https; `key` seeds the jitter of reconnects."""

    def __init__(
        self,
        targets: Sequence[Target],
        connections: Connections,
        *,
        codec: str,
        tls: Callable[[], ssl.SSLContext],
        key: bytes,
    ) -> None:
        self._targets = targets
        self._codec = codec
        self._tls = tls
        self._key = key
        self._draws = 0
        self._limits = PoolLimits(
            connections=connections.per_network_function,
            streams=connections.streams,
            waiting=connections.waiting,
            connect_timeout_s=connections.connect_timeout,
            keepalive_s=connections.keepalive,
            backoff_max_s=LONGEST_BACKOFF_S,
            waits_for_peer=len(targets) == 1,
        )
        self._pools: dict[str, list[Pool]] = {}
        self._elsewhere: dict[tuple[str, bytes], Pool | _Opening] = {}
        self._before: dict[str, int] = {}

    def draw(self) -> float:
        """The next number in [0, 1) for somebody's jitter."""
        self._draws += 1
        return uniform(self._key, Purpose.JITTER, self._draws)

    def _pool(self, target: Target, name: str) -> Pool:
        tls = self._tls() if target.scheme == "https" else None
        return Pool(target, self._limits, codec=self._codec, tls=tls, draw=self.draw, name=name)

    async def open(self, functions: list[NetworkFunction]) -> None:
        """Connect every network function to every target. Raises TargetError where no target can be reached.

        A target that cannot be reached while another one can is tried again for as long as the run lasts.
        """
        for function in functions:
            self._pools[function.key] = [self._pool(target, function.key) for target in self._targets]
            await self._open(self._pools[function.key])

    @staticmethod
    async def _open(pools: list[Pool]) -> None:
        problems: dict[int, str] = {}
        for place, pool in enumerate(pools):
            try:
                await pool.open()
            except TargetError as error:
                problems[place] = str(error)
        if len(problems) == len(pools):
            raise TargetError("; ".join(problems.values()))
        for place, problem in problems.items():
            pools[place].open_later(problem)

    def transmit(
        self, function: NetworkFunction, exchange: Exchange, place: int, origin: bytes | None, now: int
    ) -> None:
        """Send an exchange to the target at `place`, or to the origin that the CHF named for this session.

        `exchange.headers` begins with `:method`, `:scheme` and `:authority`; a request that stays with the target gets its own.
        """
        pool = self._pools[function.key][place]
        if origin is None:
            pool.submit(exchange, now)
            return
        other = self._elsewhere.get((function.key, origin)) or self._open_elsewhere(function, origin)
        if isinstance(other, Pool):
            other.submit(exchange, now)
        elif other is None:
            target = pool.target
            exchange.headers[1:3] = [(b":scheme", target.scheme.encode()), (b":authority", target.authority)]
            pool.submit(exchange, now)
        else:
            other.waiting.append(exchange)

    def _open_elsewhere(self, function: NetworkFunction, origin: bytes) -> _Opening | None:
        if sum(key == function.key for key, _ in self._elsewhere) >= MAX_ORIGINS:
            return None
        try:
            target = Target.parse(origin.decode())
        except ValueError:
            return None
        opening = _Opening(self._pool(target, function.key), [])
        self._elsewhere[function.key, origin] = opening
        opening.task = asyncio.get_running_loop().create_task(self._finish_opening(function.key, origin, opening))
        return opening

    async def _finish_opening(self, key: str, origin: bytes, opening: _Opening) -> None:
        try:
            await opening.pool.open()
        except TargetError as error:
            del self._elsewhere[key, origin]
            now = time.monotonic_ns()
            for exchange in opening.waiting:
                exchange.on_done(exchange, Failure(FailureKind.CONNECT_FAILED, str(error), safe_to_repeat=True), now)
            return
        self._elsewhere[key, origin] = opening.pool
        now = time.monotonic_ns()
        for exchange in opening.waiting:
            opening.pool.submit(exchange, now)

    def _all(self) -> list[Pool]:
        own = [pool for pools in self._pools.values() for pool in pools]
        return [*own, *(each for each in self._elsewhere.values() if isinstance(each, Pool))]

    def measure(self, count: Callable[[str, int], None], level: Callable[[str, float], None]) -> None:
        """Hand over what has grown since the last time, and the levels of now."""
        statistics = [pool.statistics() for pool in self._all()]
        for name in TOTALS:
            total = sum(getattr(each, name) for each in statistics)
            if total != self._before.get(name, 0):
                count(f"http2|{name}", total - self._before.get(name, 0))
                self._before[name] = total
        level("waiting", sum(pool.take_waiting_peak() for pool in self._all()))  # a level keeps its highest value
        level("waiting", sum(each.waiting for each in statistics))
        level("connections_open", sum(each.connections_open for each in statistics))

    async def aclose(self) -> None:
        """Close all connections; what is under way fails."""
        now = time.monotonic_ns()
        for other in self._elsewhere.values():
            if isinstance(other, _Opening) and other.task is not None:
                other.task.cancel()
                for exchange in other.waiting:
                    sent_nothing = Failure(FailureKind.CLOSED, "the pool was closed", safe_to_repeat=True)
                    exchange.on_done(exchange, sent_nothing, now)
        await asyncio.gather(*(pool.aclose() for pool in self._all()))


assert set(TOTALS) <= {each.name for each in fields(PoolStatistics)}
