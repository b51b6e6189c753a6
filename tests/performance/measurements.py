"""The measurements of the budget table, each on processes of its own on the loopback."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from simulator.config import Profile, load_profile
from simulator.fleet.population import Population
from tests.performance.budget import NS_PER_S, WINDOW_S, arrival_error
from tests.performance.canned import session_profile
from tests.performance.children import BenchError, Child, Engine, H2load, HttpxClient, Peer, Sandbox, until

OPEN_SESSIONS = Path(__file__).with_name("open-sessions.yaml")
WARM_UP_S = 1.0
UPDATES_PER_CREATE = 3
ARRIVALS_PER_S = 2_000
HEAD_START_S = 0.15
"""As the conductor of a run gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What a client and a server did in one window: requests per CPU-second of each, and how busy their cores were."""

    per_s: float
    client_per_cpu_s: float
    server_per_cpu_s: float
    client_share: float
    server_share: float


def watch(client: Child, server: Child, count: Callable[[], int], seconds: float) -> Rates:
    """Measure a steady window: what happened before it, start-up and imports, does not count."""
    time.sleep(WARM_UP_S)
    before = (count(), client.cpu_s, server.cpu_s, time.monotonic())
    time.sleep(seconds)
    after = (count(), client.cpu_s, server.cpu_s, time.monotonic())
    requests, client_s, server_s, wall_s = (late - early for early, late in zip(before, after, strict=True))
    if not requests or not client_s or not server_s:
        raise BenchError("nothing was sent within the window")
    return Rates(
        per_s=requests / wall_s,
        client_per_cpu_s=requests / client_s,
        server_per_cpu_s=requests / server_s,
        client_share=client_s / wall_s,
        server_share=server_s / wall_s,
    )


def engine_on_peer(seconds: float) -> Rates:
    """Run full sessions from the engine to the fixed peer."""
    with Peer(300) as peer, Engine() as engine:
        engine.start(session_profile("load.duration=5m"), peer.url)
        rates = watch(engine, peer, peer.count, seconds)
        engine.stop()
        _check_sessions(engine)
    return rates


def engine_on_sandbox(seconds: float) -> Rates:
    """The same sessions, from the engine to the sandbox, counted at the engine's intervals."""
    with Sandbox() as sandbox, Engine() as engine:
        engine.start(session_profile("load.duration=5m"), sandbox.url)
        rates = watch(engine, sandbox, engine.after_snapshot, seconds)
        engine.stop()
        _check_sessions(engine)
    return rates


def _check_sessions(engine: Engine) -> None:
    """The work must be the work that was meant: Create, three Updates, Release, and all of them answered well."""
    counts = {
        operation: sum(snapshot.count("requests", operation, None, "ok") for snapshot in engine.snapshots)
        for operation in ("create", "update", "release")
    }
    under_way = sum(snapshot.count("causes", "UNANSWERED") for snapshot in engine.snapshots)  # when it was stopped
    bad = engine.requests - under_way - sum(counts.values())
    if bad:
        raise BenchError(f"{bad} requests did not end well")
    updates = counts["update"] / max(1, counts["release"])
    if abs(updates - UPDATES_PER_CREATE) > 0.1:
        raise BenchError(f"a session had {updates:.2f} Updates instead of {UPDATES_PER_CREATE}")


def h2load_on_peer(program: str, create: Path, seconds: float) -> Rates:
    """Run h2load against the fixed peer."""
    with Peer(300) as peer, H2load(program, peer.url, create, int(WARM_UP_S + seconds) + 2) as h2load:
        return watch(h2load, peer, peer.count, seconds)


def httpx_on_peer(seconds: float) -> Rates:
    """Run the httpx client against the fixed peer."""
    with Peer(300) as peer, HttpxClient(peer.url) as client:
        until(lambda: peer.count() > 0, 10, "the httpx client's first request")
        return watch(client, peer, peer.count, seconds)


def bytes_per_open_session(few: int, many: int, timeout_s: float) -> float:
    """Growth of the engine's resident memory between two numbers of answered Creates, per session."""
    with Peer(300, 310) as peer, Engine() as engine:
        engine.start(load_profile(OPEN_SESSIONS), peer.url)
        points = []
        for wanted in (few, many):
            until(partial(_reached, peer, wanted), timeout_s, f"{wanted:,} open sessions")
            points.append((peer.count(), engine.rss))
        # It is not told to stop: it would write the records of all those sessions first.
    (few, small), (many, big) = points
    return (big - small) / (many - few)


def _reached(peer: Peer, wanted: int) -> bool:
    return peer.count() >= wanted


def arrival_times(profile: Profile) -> list[int]:
    """When the profile's sessions are meant to begin, in ns after the start."""
    return [start.moment for start in Population(profile, profile.seed).arrivals()]


def arrivals(spacing: str, seconds: float) -> float:
    """Largest arrival error in any ten seconds, with full sessions at a rate well below saturation.

    Moments are those at which the peer reads the Creates: later than the engine's hand-over by the loopback.
    """
    overrides = ["load.mode=open", "load.devices=null", f"load.rate={ARRIVALS_PER_S}", f"load.spacing={spacing}"]
    profile = session_profile(*overrides, f"load.duration={seconds}s")
    with Peer(300) as peer, Engine() as engine:
        t0 = engine.start(profile, peer.url, head_start_s=HEAD_START_S)
        time.sleep(HEAD_START_S + seconds + 0.2)
        observed = peer.ask("creates")
        engine.stop()
    return arrival_error([t0 + moment for moment in arrival_times(profile)], observed, t0 + int(seconds * NS_PER_S))


def first_request_s() -> float:
    """From the start of an engine process to the first request at the peer."""
    with Peer(300) as peer, Engine() as engine:
        engine.start(session_profile(), peer.url)
        until(lambda: peer.count() > 0, 5, "the first request")
        first_s = (int(peer.ask("first")) - engine.launched) / NS_PER_S
        engine.stop()
    return first_s


SHORTEST_ARRIVALS_S = WINDOW_S + 0.5
