"""The N40 endpoints of a sandbox: each a server at its own address, in the weather of the moment.

As long as no weather touches its requests, an endpoint answers them with `fair_weather` and nothing else stands in between.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from simulator.config import Fault, NotifyStorm, Quirks
from simulator.http2 import GuardLimits, Handler, Server, ServerLimits, ServerRequest
from simulator.http2.codec import ERROR_NAMES, INTERNAL_ERROR, STREAM_WINDOW_OCTETS
from simulator.sandbox import damage
from simulator.sandbox.answers import Problem, Reply
from simulator.sandbox.chf import MAX_BODY, Chf
from simulator.sandbox.encodings import decoded
from simulator.sandbox.moods import Mood
from simulator.sandbox.n40_server import fair_weather, serve_n40, stumbled
from simulator.sandbox.paths import TOKENS
from simulator.sandbox.quirks import Quirky
from simulator.sandbox.top_ups import TopUps
from simulator.sandbox.weather import Conditions, Fate, Rule, Weather

OnStorm = Callable[[NotifyStorm, int | None, int | None], None]
"""Called when a storm of notifications begins: what, from which endpoint (None: all), and until when (ns; None: no end)."""

_log = logging.getLogger(__name__)
_STREAMS: Final = ServerLimits().streams
_SHORTEST_WAIT_S: Final = 0.001
_RETRY_S: Final = 0.1
_subscriber: Final = re.compile(rb'"subscriberIdentifier"\s*:\s*"([^"\\]*)"').search
_one_time: Final = re.compile(rb'"oneTimeEvent"\s*:\s*true').search


class Endpoint:
    """One address. `number` counts from 1; `store` is the number of its books."""

    def __init__(self, number: int, store: int, chf: Chf, weather: Weather, quirks: Quirks) -> None:
        self.number = number
        self.store = store
        self.chf = chf
        self.address = ""
        self.plain: Handler = fair_weather(chf)
        self.conditions = Conditions()
        self._server: Server | None = None
        self._endpoints: Sequence[Endpoint] = ()
        self._weather = weather
        self._quirks = quirks
        self._quirky = Quirky(quirks, chf.stamp) if quirks.changes_messages else None
        self.down = False
        """Whether it refuses connections."""
        self.killed = 0
        """Connections that outages cut."""
        self._return: asyncio.Task[None] | None = None

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None, endpoints: Sequence[Endpoint]) -> None:
        """Listens; port 0 takes a free one. `endpoints` are all there are, for redirections. OSError if it cannot."""
        self._endpoints = endpoints
        self._server = await serve_n40(self.chf, host, port, tls, _guard(self._quirks))
        self._server.use(self.plain)
        name = f"[{host}]" if ":" in host else host
        self.address = f"{'https' if tls else 'http'}://{name}:{self._server.port}"

    @property
    def server(self) -> Server:
        """The server, once it listens."""
        assert self._server is not None
        return self._server

    async def aclose(self) -> None:
        """Stops."""
        if self._return is not None:
            self._return.cancel()
            await asyncio.wait([self._return])
        if self._server is not None:
            await self._server.aclose()

    # as a whole

    def settle(self, now: int) -> None:
        """Brings the endpoint into the state that the weather of this moment wants, and chooses who answers requests."""
        touched = self._quirky is not None or self._weather.touches_requests(self.number, now)
        handler = self._answer if touched else self.plain
        if self.server.handler != handler:
            self.server.use(handler)
        wanted = self._weather.conditions(self.number, now)
        if wanted != self.conditions:
            self._count(self.conditions, wanted)
            self.conditions = wanted
            self.server.announce(
                streams=_STREAMS if wanted.max_streams is None else wanted.max_streams,
                stream_window_octets=0 if wanted.window_closed else STREAM_WINDOW_OCTETS,
            )
        if wanted.down and not self.down:
            self.down = True
            self.killed += self.server.suspend()
        elif self.down and not wanted.down and self._return is None:
            self._return = asyncio.get_running_loop().create_task(self._come_back())

    def _count(self, before: Conditions, wanted: Conditions) -> None:
        counts = self._weather.counts
        if wanted.down and not before.down:
            counts["outage"] += 1
        if wanted.window_closed and not before.window_closed:
            counts["close_window"] += 1
        if wanted.max_streams not in {None, before.max_streams}:
            counts["max_streams"] += 1

    async def _come_back(self) -> None:
        """Listens again, as soon as it can, unless the next outage comes before that."""
        warned = False
        while not self.conditions.down:
            try:
                await self.server.resume()
            except OSError as error:
                if not warned:
                    _log.warning("endpoint %d cannot listen again yet: %s", self.number, error)
                warned = True
                await asyncio.sleep(_RETRY_S)
            else:
                self.down = False
                break
        self._return = None
        self.settle(time.monotonic_ns())

    def send_away(self, fault: Fault) -> None:
        """GOAWAY on every connection that is there."""
        for connection in self.server.connections():
            self._weather.counts["goaway"] += 1
            if fault.goaway == "graceful":
                connection.go_away()
            else:
                connection.terminate(INTERNAL_ERROR)

    # requests

    def _answer(self, request: ServerRequest) -> None:
        """In place of the plain handler."""
        now = time.monotonic_ns()
        body = _plain(request)
        operation = operation_of(request.path, body)
        subscriber = self._who(request.path, body) if self._weather.asks_for_subscribers() else ""
        fate = self._weather.decide(operation, subscriber, self.number, now)
        wait = fate.delay
        capacity = self._weather.capacities[self.number - 1]
        if capacity is not None and fate.is_charged:
            done = capacity.admit(now)
            if done is None:
                self._weather.counts["congestion"] += 1
                _respond(request, damage.congestion())
                return
            wait += done - now
        if wait > 0:
            asyncio.get_running_loop().call_later(wait / 1e9, self._carry_out, request, operation, fate)
        else:
            self._carry_out(request, operation, fate)

    def _who(self, path: bytes, body: bytes) -> str:
        """The subscriber that a request names, or whose session it is for."""
        named = _subscriber(body)
        if named is not None:
            return named[1].decode("utf-8", "replace")
        parts = path.split(b"/")
        session = self.chf.sessions.get(parts[-2]) if len(parts) > 1 else None
        return "" if session is None else session.account.subscriber

    def _carry_out(self, request: ServerRequest, operation: str, fate: Fate) -> None:
        reply: Reply | None = None
        if fate.is_charged:
            try:
                reply = self._charge(request, operation, fate.mood)
            except Exception:
                reply = stumbled(request)
            for fault in fate.damages:
                reply = damage.damaged(reply, fault, self._weather.counts)
        if fate.ending is not None:
            reply = self._end(request, fate.ending, reply)
        if reply is not None:
            _respond(request, reply)

    def _charge(self, request: ServerRequest, operation: str, mood: Mood | None) -> Reply:
        now = time.monotonic_ns()
        quirky, headers = self._quirky, request.headers
        if quirky is None:
            return self.chf.handle(request.method, request.path, headers, request.body, now, mood)
        body = _plain(request)
        treated = quirky.before(operation, headers, body)
        if isinstance(treated, Reply):
            reply = treated
        else:
            reply = self.chf.handle(request.method, request.path, headers, treated, now, mood)
        return quirky.after(operation, request.path, body, reply, now)

    def _end(self, request: ServerRequest, fault: Fault, reply: Reply | None) -> Reply | None:
        """What comes instead of the answer; None: nothing does."""
        if fault.status is not None:
            return damage.refusal(fault.status)
        if fault.redirect is not None:
            number = fault.redirect.endpoint
            root = fault.redirect.uri if number is None else self._endpoints[number - 1].address
            return damage.redirection(fault.redirect, f"{root}{request.path.decode('ascii', 'replace')}")
        if fault.reset_stream is not None:
            request.reset(ERROR_NAMES.index(fault.reset_stream.error))
        elif fault.reset_connection is not None:
            request.connection.reset_transport()
        elif fault.goaway == "abrupt":
            request.connection.terminate(INTERNAL_ERROR)
        elif fault.goaway == "graceful":
            request.connection.go_away()
            return reply
        return None


class Endpoints:
    """All endpoints of a sandbox, and the weather over them. Runs on an asyncio loop."""

    def __init__(
        self, stores: Sequence[Chf], weather: Weather, *, quirks: Quirks | None = None, on_storm: OnStorm | None = None
    ) -> None:
        self.stores = stores
        self.weather = weather
        self.on_storm = on_storm
        self._all = [
            Endpoint(i + 1, i % len(stores) + 1, stores[i % len(stores)], weather, quirks or Quirks())
            for i in range(weather.endpoints)
        ]
        self._timer: asyncio.TimerHandle | None = None
        self._top_ups = TopUps(weather.counts)

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self._all)

    async def listen(self, host: str, ports: Sequence[int], tls: ssl.SSLContext | None = None) -> None:
        """All of them listen. OSError if one cannot; then close those that can."""
        for endpoint, port in zip(self._all, ports, strict=True):
            await endpoint.listen(host, port, tls, self._all)
        self.turn()

    async def aclose(self) -> None:
        """Stops all of them."""
        if self._timer is not None:
            self._timer.cancel()
        await self._top_ups.aclose()
        await asyncio.gather(*(endpoint.aclose() for endpoint in self._all))

    def start(self, t0: int) -> None:
        """The timeline starts at `t0` (monotonic ns)."""
        self.weather.start(t0)
        self.turn()

    def turn(self) -> None:
        """The weather has changed, or was changed: everything is brought into line with it."""
        now = time.monotonic_ns()
        for endpoint in self._all:
            endpoint.settle(now)
        for rule in self.weather.begun(now):
            self._begin(rule)
        self._top_ups.keep({rule.number for rule in self.weather})
        self._schedule(now)

    def _begin(self, rule: Rule) -> None:
        fault = rule.fault
        if fault.notify is not None:
            self.weather.counts["notify"] += 1
            if self.on_storm is not None:
                self.on_storm(fault.notify, fault.endpoint, rule.end)
        elif fault.credit is not None:
            stores = dict.fromkeys(each.chf for each in self._all if rule.is_at(each.number))
            self._top_ups.begin(rule, list(stores))
        else:
            for endpoint in self._all:
                if fault.endpoint in (None, endpoint.number):
                    endpoint.send_away(fault)

    def _schedule(self, now: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        moment = self.weather.next_change(now)
        if moment is not None:
            wait_s = max(_SHORTEST_WAIT_S, (moment - now) / 1e9)
            self._timer = asyncio.get_running_loop().call_later(wait_s, self.turn)


def operation_of(path: bytes, body: bytes) -> str:
    """create, update, release, event or token, whatever the API's root and spelling."""
    if path.endswith(b"/update"):
        return "update"
    if path.endswith(b"/release"):
        return "release"
    if path.endswith(TOKENS):
        return "token"
    return "create" if _one_time(body) is None else "event"


def _plain(request: ServerRequest) -> bytes:
    """The body without its coding; as it came, if that is wrong."""
    body = request.body
    if body.startswith(b"{"):
        return body
    try:
        return decoded(request.headers, body, MAX_BODY)
    except Problem:
        return body


def _respond(request: ServerRequest, reply: Reply) -> None:
    request.respond(reply.status, reply.headers, reply.body)


def _guard(quirks: Quirks) -> GuardLimits | None:
    if quirks.frames is None and quirks.cancelled_streams is None and quirks.idle is None:
        return None
    return GuardLimits(
        frames=None if quirks.frames is None else quirks.frames.count,
        frames_within_s=10.0 if quirks.frames is None else quirks.frames.within,
        cancelled_streams=quirks.cancelled_streams,
        idle_s=quirks.idle,
    )
