"""Endpoints under a sky of the test's choosing, and SMFs at the other end of a real connection."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson

from simulator.config import QUIRKS, Fault, NotifyStorm, Quirks, Servers
from simulator.http2 import Answer, Failure, Header, Pool, PoolLimits, Target
from simulator.sandbox import Chf, LocationForm
from simulator.sandbox.endpoints import Endpoint, Endpoints
from simulator.sandbox.weather import Weather
from tests.http2.peers import Client
from tests.sandbox.smf import COLLECTION, ask, message, plan


class Sky:
    """Endpoints and what is known about them."""

    def __init__(self, endpoints: Endpoints) -> None:
        self.endpoints = endpoints
        self.weather = endpoints.weather
        self.counts = endpoints.weather.counts
        self.storms: list[tuple[NotifyStorm, int | None, int | None]] = []
        endpoints.on_storm = lambda *storm: self.storms.append(storm)

    @property
    def chf(self) -> Chf:
        return self.endpoints.stores[0]

    def endpoint(self, number: int = 1) -> Endpoint:
        return list(self.endpoints)[number - 1]

    def clear(self) -> None:
        self.weather.remove()
        self.endpoints.turn()

    def opened(self) -> int:
        return sum(chf.created for chf in self.endpoints.stores)


@asynccontextmanager
async def sky(
    *faults: dict[str, Any],
    endpoints: int = 1,
    stores: int = 1,
    servers: dict[str, Any] | None = None,
    quirks: str | Quirks | None = None,
) -> AsyncIterator[Sky]:
    """Faults whose time runs once everything listens."""
    weather = Weather(
        [Fault.model_validate(fault) for fault in faults],
        servers=None if servers is None else Servers.model_validate(servers),
        endpoints=endpoints,
    )
    wanted = QUIRKS[quirks] if isinstance(quirks, str) else quirks or Quirks()
    location = LocationForm(wanted.location or "path")
    chfs = [Chf(plan(), instance=str(number), location=location) for number in range(stores)]
    every = Endpoints(chfs, weather, quirks=wanted)
    found = Sky(every)
    await every.listen("127.0.0.1", [0] * endpoints)
    every.start(time.monotonic_ns())
    try:
        yield found
    finally:
        await every.aclose()


class Caller(Client):
    """An SMF with one connection, that makes requests and gets answers or failures."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self._charging_ids = itertools.count(1)

    def call(
        self, path: bytes, document: object, deadline_s: float = 5.0, headers: tuple[Header, ...] = ()
    ) -> asyncio.Future[Answer | Failure]:
        pseudo = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"chf"), (b":path", path)]
        content = (b"content-type", b"application/json")
        return self.submit(orjson.dumps(document), deadline_s=deadline_s, headers=[*pseudo, content, *headers])

    def create(self, **options: Any) -> asyncio.Future[Answer | Failure]:
        """A Create of a new session that asks for data."""
        pdu = {"pDUSessionChargingInformation": {"chargingId": next(self._charging_ids)}}
        return self.call(COLLECTION, message(0, [ask(300)], **pdu), **options)


@asynccontextmanager
async def calling(endpoint: Endpoint, *, codec: str = "ngh2", **limits: Any) -> AsyncIterator[Caller]:
    """Calls that endpoint."""
    bounds: dict[str, Any] = {"connections": 1, "connect_timeout_s": 2.0, "backoff_min_s": 0.005, **limits}
    pool = Pool(Target.parse(endpoint.address), PoolLimits(**bounds), codec=codec, draw=random.Random(1).random)
    await pool.open()
    try:
        yield Caller(pool)
    finally:
        await pool.aclose()
