"""Notifications: the charging function asks its consumers to report and ask again, or to end (TS 32.291 5.1.2.5).

It posts to the `notifyUri` of a session, over HTTP/2, with a small pool of connections per authority. A URI that a peer
names is a request to send something to somewhere: only loopback addresses and the hosts that were allowed are sent to,
and redirects are not followed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, cast

import anyio
import orjson

from simulator.http2 import Answer, Exchange, Failure, FailureKind, Header, Pool, PoolLimits, Target, TargetError
from simulator.sandbox.sessions import Session, Sessions

Kind = Literal["REAUTHORIZATION", "ABORT_CHARGING"]
KINDS: Final[tuple[Kind, ...]] = ("REAUTHORIZATION", "ABORT_CHARGING")
MAX_AUTHORITIES: Final = 64
MAX_IN_FLIGHT: Final = 4096
"""Notifications that wait for their answer; a storm waits, any other one is counted as failed."""
MAX_RATE: Final = 100_000
TIMEOUT_S: Final = 5.0
IDLE_S: Final = 30.0
"""A pool that nothing was sent on for so long is closed."""
_STEP_S: Final = 0.005
_MOST_A_STEP: Final = 1000
"""Sent in one turn of the loop at most, after a storm had to wait; charging goes on in between."""
_LIMITS: Final = PoolLimits(connections=2, streams=256, waiting=MAX_IN_FLIGHT, max_body_octets=1 << 16)
_JSON: Final[list[Header]] = [
    (b"content-type", b"application/json"),
    (b"accept", b"application/json, application/problem+json"),
]
_ABORT: Final = b'{"notificationType":"ABORT_CHARGING"}'


class Hosts:
    """Which hosts may be notified: loopback, and those that were allowed, as names, addresses or networks."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        names = [each.strip().lower() for each in allowed]
        self._networks = [network for name in names if (network := _network(name)) is not None]
        self._names = {"localhost", *names}

    def __contains__(self, host: str) -> bool:
        if host in self._names:
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return address.is_loopback or any(address in network for network in self._networks)


def _network(name: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(name, strict=False)
    except ValueError:
        return None


class _Peer:
    """The pool of one authority. It is opened in the background; what is to be sent meanwhile waits here."""

    def __init__(self, target: Target, make_tls: Callable[[], ssl.SSLContext]) -> None:
        self.target = target
        self.scheme = target.scheme.encode()
        self.used_at = 0
        self.in_flight = 0
        self._make_tls = make_tls
        self._pool: Pool | None = None
        self._waiting: list[Exchange] = []
        self._opening: asyncio.Task[None] | None = None

    def submit(self, exchange: Exchange, now: int) -> None:
        """Send it, or let it wait for the pool; its `on_done` is called either way."""
        self.used_at = now
        if self._pool is not None:
            self._pool.submit(exchange, now)
            return
        self._waiting.append(exchange)
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        try:
            tls = None
            if self.target.scheme == "https":
                tls = await asyncio.get_running_loop().run_in_executor(None, self._make_tls)
            pool = Pool(self.target, _LIMITS, tls=tls, draw=random.random)
            await pool.open()
        except (TargetError, ValueError, OSError) as error:
            self._fail_waiting(str(error))
            return
        finally:
            self._opening = None
        self._pool = pool
        waiting, self._waiting = self._waiting, []
        now = time.monotonic_ns()
        for exchange in waiting:
            pool.submit(exchange, now)

    def _fail_waiting(self, problem: str) -> None:
        waiting, self._waiting = self._waiting, []
        failure = Failure(FailureKind.CONNECT_FAILED, problem, safe_to_repeat=True)
        now = time.monotonic_ns()
        for exchange in waiting:
            exchange.on_done(exchange, failure, now)

    async def aclose(self) -> None:
        """Close the pool; what is under way fails."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        self._fail_waiting("the sandbox ends")
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.aclose()


class Notifier:
    """Sends notifications to the consumers of `sessions`. `results` counts them by kind and by what became of them.

    What can become of one: the status of its answer, `failed` (no answer, or too many under way), `no_uri` (the session
    has none that can be used), `not_allowed` (its host is none that may be notified).
    """

    def __init__(
        self,
        sessions: Sessions,
        *,
        hosts: Hosts | None = None,
        make_tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.results: Counter[tuple[Kind, str]] = Counter()
        self.sent = 0
        self.problem = ""
        """Why the last one failed that did."""
        self.in_flight = 0
        self._sessions = sessions
        self._hosts = hosts or Hosts()
        self._make_tls = make_tls
        self._clock = clock
        self._peers: dict[str, _Peer] = {}
        """By scheme and authority, as they stand in the URI."""
        self._refused: dict[str, str] = {}
        """Of those that are not sent to, what became of their notifications."""
        self._room = asyncio.Event()
        self._storm: Storm | None = None
        self._storm_task: asyncio.Task[None] | None = None

    # One notification.

    def notify(self, session: Session, kind: Kind, rating_groups: Sequence[int] = ()) -> bool:
        """Post one notification, for these rating groups or for all of the session; whether it is on its way."""
        if self.in_flight >= MAX_IN_FLIGHT:
            return self._not_sent(kind, "failed", f"{MAX_IN_FLIGHT} notifications are under way")
        origin, path = _split(session.notify_uri)
        peer = self._peers.get(origin) or self._meet(origin)
        if peer is None or not path:
            outcome = self._refused.get(origin, "failed") if path else "no_uri"
            return self._not_sent(kind, outcome, "")
        now = self._clock()
        headers = [
            (b":method", b"POST"),
            (b":scheme", peer.scheme),
            (b":authority", peer.target.authority),
            (b":path", path),
            *_JSON,
        ]
        exchange = Exchange(
            headers, _body(kind, rating_groups), now + int(TIMEOUT_S * 1e9), self._on_done, (kind, peer)
        )
        self.in_flight += 1
        peer.in_flight += 1
        self.sent += 1
        peer.submit(exchange, now)
        return True

    def _not_sent(self, kind: Kind, outcome: str, problem: str) -> bool:
        self.results[kind, outcome] += 1
        self.problem = problem or self.problem
        return False

    def _on_done(self, exchange: Exchange, result: Answer | Failure, _now: int) -> None:
        kind, peer = cast("tuple[Kind, _Peer]", exchange.context)
        self.in_flight -= 1
        peer.in_flight -= 1
        self._room.set()
        if isinstance(result, Answer):
            self.results[kind, str(result.status)] += 1
        else:
            self._not_sent(kind, "failed", result.detail)

    def _meet(self, origin: str) -> _Peer | None:
        """The peer of an origin that was not sent to before; None if it may not be, or there are too many."""
        if not origin or origin in self._refused:
            return None
        try:
            target = Target.parse(origin)
        except ValueError:
            self._refuse(origin, "no_uri")
            return None
        if target.host not in self._hosts:
            self._refuse(origin, "not_allowed")
            return None
        if len(self._peers) >= MAX_AUTHORITIES:
            self.problem = f"{MAX_AUTHORITIES} authorities are notified already"
            return None
        peer = self._peers[origin] = _Peer(target, self._make_tls)
        return peer

    def _refuse(self, origin: str, outcome: str) -> None:
        if len(self._refused) >= MAX_AUTHORITIES:
            self._refused.clear()
        self._refused[origin] = outcome

    # Storms.

    def storm(self, kind: Kind, rate_per_s: float, share: float = 1.0, rating_groups: Sequence[int] = ()) -> Storm:
        """Notify that share (0 to 1) of the sessions that are open now, once each, at that rate; it ends another storm."""
        self.stop()
        self._storm = Storm(kind, rate_per_s, _share_of(self._sessions, share), rating_groups)
        self._storm_task = asyncio.get_running_loop().create_task(self._blow(self._storm))
        return self._storm

    def stop(self) -> bool:
        """End the storm; whether there was one."""
        task, self._storm_task, self._storm = self._storm_task, None, None
        if task is None or task.done():
            return False
        task.cancel()
        return True

    @property
    def blowing(self) -> Storm | None:
        """The storm that goes on, if there is one."""
        return None if self._storm_task is None or self._storm_task.done() else self._storm

    async def _blow(self, storm: Storm) -> None:
        began = self._clock()
        while storm.left:
            for reference in storm.due(self._clock() - began, self._room_now()):
                session = self._sessions.get(reference)
                if session is not None:
                    self.notify(session, storm.kind, storm.rating_groups)
            if self.in_flight >= MAX_IN_FLIGHT:
                self._room.clear()
                await self._room.wait()
            elif storm.left:
                await asyncio.sleep(_STEP_S)

    def _room_now(self) -> int:
        return min(MAX_IN_FLIGHT - self.in_flight, _MOST_A_STEP)

    # Its life.

    async def run(self) -> None:
        """Close pools that nothing is sent on any more, until cancelled; then all."""
        try:
            while True:
                await anyio.sleep(IDLE_S / 4)
                idle_since = self._clock() - int(IDLE_S * 1e9)
                idle = [name for name, peer in self._peers.items() if not peer.in_flight and peer.used_at < idle_since]
                for origin in idle:
                    await self._peers.pop(origin).aclose()
        finally:
            with anyio.CancelScope(shield=True):
                await self.aclose()

    async def aclose(self) -> None:
        """End the storm and close all pools."""
        self.stop()
        peers = list(self._peers.values())
        self._peers.clear()
        for peer in peers:
            await peer.aclose()

    def document(self) -> dict[str, object]:
        """For `/totals`."""
        kinds: dict[str, dict[str, int]] = {}
        for (kind, outcome), count in sorted(self.results.items()):
            kinds.setdefault(kind, {})[outcome] = count
        storm = self.blowing
        return {
            "sent": self.sent,
            "under_way": self.in_flight,
            "authorities": len(self._peers),
            "results": kinds,
            "last_problem": self.problem or None,
            "storm_left": 0 if storm is None else storm.left,
        }


class Storm:
    """Sessions that are to be notified, at a rate: arithmetic only."""

    def __init__(
        self, kind: Kind, rate_per_s: float, references: Sequence[bytes], rating_groups: Sequence[int] = ()
    ) -> None:
        self.kind = kind
        self.rating_groups = rating_groups
        self._rate_per_s = rate_per_s
        self._references = references
        self._next = 0

    @property
    def left(self) -> int:
        """How many are still to come."""
        return len(self._references) - self._next

    def due(self, elapsed: int, room: int) -> Sequence[bytes]:
        """Those whose moment has come after so many ns, and that there is room for; each is told once."""
        wanted = min(len(self._references), 1 + int(elapsed * self._rate_per_s / 1e9))
        until = min(wanted, self._next + max(0, room))
        due = self._references[self._next : until]
        self._next = max(self._next, until)
        return due


def _share_of(sessions: Sessions, share: float) -> list[bytes]:
    """References of that share of the open sessions, evenly out of all."""
    references = [session.reference for session in sessions]
    if share >= 1:
        return references
    return [reference for place, reference in enumerate(references) if int((place + 1) * share) > int(place * share)]


def _split(uri: str) -> tuple[str, bytes]:
    """Origin and path of a URI; no path if it is none that a header could carry."""
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme not in ("http", "https") or not uri.isascii() or not uri.isprintable() or " " in uri:
        return "", b""
    authority, slash, path = rest.partition("/")
    if not slash:
        authority, question, path = rest.partition("?")
        slash = "/?" if question else "/"
    return f"{scheme}://{authority}", (slash + path.partition("#")[0]).encode()


def _body(kind: Kind, rating_groups: Sequence[int]) -> bytes:
    """A ChargingNotifyRequest (TS 32.291 6.1.6.2.3)."""
    if kind == "ABORT_CHARGING":
        return _ABORT
    request: dict[str, object] = {"notificationType": kind}
    if rating_groups:
        request["reauthorizationDetails"] = [{"ratingGroup": number} for number in rating_groups]
    return orjson.dumps(request)
