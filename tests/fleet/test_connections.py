"""Pools of a fleet over real sockets: the target's, and those of origins that a CHF names in Location."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import pytest

from simulator.config import load_profile
from simulator.fleet.connections import MAX_ORIGINS, FleetConnections
from simulator.fleet.draws import seed_key
from simulator.fleet.network_functions import NetworkFunction, build_network_functions
from simulator.http2 import (
    Answer,
    Exchange,
    Failure,
    FailureKind,
    Server,
    ServerRequest,
    Target,
    TargetError,
    client_tls,
)
from tests.http2.conftest import Certificates

pytestmark = pytest.mark.anyio
SECOND = 1_000_000_000


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


seen: list[tuple[bytes | None, bytes | None]] = []
"""Scheme and authority of the requests that reached any server."""


@asynccontextmanager
async def chf(status: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A server that answers everything with a status."""

    def answer(request: ServerRequest) -> None:
        seen.append((request.header(b":scheme"), request.header(b":authority")))
        request.respond(status, [], b"")

    server = await Server.serve(answer, "127.0.0.1", 0, tls=tls)
    try:
        yield server
    finally:
        await server.aclose()


class Smf:
    """One network function that sends requests and waits for their results."""

    def __init__(self, connections: FleetConnections, function: NetworkFunction) -> None:
        self.connections = connections
        self.function = function

    async def asks(self, origin: bytes | None, place: int = 0) -> Answer | Failure:
        results: list[Answer | Failure] = []
        done = anyio.Event()

        def on_done(exchange: Exchange, result: Answer | Failure, now: int) -> None:
            results.append(result)
            done.set()

        now = time.monotonic_ns()
        headers = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"chf"), (b":path", b"/")]
        self.connections.transmit(
            self.function, Exchange(headers, b"{}", now + 5 * SECOND, on_done), place, origin, now
        )
        with anyio.fail_after(10):
            await done.wait()
        return results[0]


@asynccontextmanager
async def smf(target: Server, ca_file: Path | None = None, others: Sequence[Server] = ()) -> AsyncIterator[Smf]:
    profile = load_profile("how-to")
    functions = [each for group in build_network_functions(profile, 0).values() for each in group]
    connections = FleetConnections(
        [Target(scheme="http", host="127.0.0.1", port=each.port) for each in (target, *others)],
        profile.connections,
        codec="ngh2",
        tls=lambda: client_tls(ca_file=ca_file),
        key=seed_key(1),
    )
    await connections.open(functions[:1])
    try:
        yield Smf(connections, functions[0])
    finally:
        await connections.aclose()


def status(result: Answer | Failure) -> int:
    assert isinstance(result, Answer), result
    return result.status


async def test_requests_go_to_the_origin_that_the_location_named() -> None:
    async with chf(200) as one, chf(204) as other, smf(one) as sender:
        origin = f"http://127.0.0.1:{other.port}".encode()
        assert status(await sender.asks(None)) == 200
        assert status(await sender.asks(origin)) == 204
        assert status(await sender.asks(origin)) == 204
        assert other.statistics().accepted == 2  # one pool of its own, with the profile's connections


async def test_an_origin_that_cannot_be_reached_fails_its_requests_and_is_tried_again() -> None:
    async with chf(200) as one, chf(204) as other, smf(one) as sender:
        origin = f"http://127.0.0.1:{other.port}".encode()
        await other.aclose()
        for _ in range(2):
            result = await sender.asks(origin)
            assert isinstance(result, Failure)
            assert (result.kind, result.safe_to_repeat) == (FailureKind.CONNECT_FAILED, True)
            assert "refused" in result.detail


async def test_origins_are_bounded_and_what_comes_beyond_stays_with_the_target() -> None:
    async with chf(200) as one, AsyncExitStack() as stack, smf(one) as sender:
        others = [await stack.enter_async_context(chf(204)) for _ in range(MAX_ORIGINS + 1)]
        answers = [status(await sender.asks(f"http://127.0.0.1:{other.port}".encode())) for other in others]
        assert answers == [204] * MAX_ORIGINS + [200]
        assert seen[-1] == (b"http", f"127.0.0.1:{one.port}".encode())


async def test_an_origin_of_https_is_spoken_to_over_tls(certificates: Certificates) -> None:
    async with chf(200) as one, chf(204, certificates.server()) as other, smf(one, certificates.ca_file) as sender:
        assert status(await sender.asks(f"https://localhost:{other.port}".encode())) == 204
        assert status(await sender.asks(None)) == 200


async def test_an_origin_that_is_none_is_left_to_the_target() -> None:
    async with chf(200) as one, smf(one) as sender:
        assert status(await sender.asks(b"http://nowhere:port")) == 200


async def test_each_chf_has_a_pool_of_its_own() -> None:
    async with chf(200) as one, chf(204) as other, smf(one, others=[other]) as sender:
        assert [status(await sender.asks(None, place)) for place in (0, 1, 0)] == [200, 204, 200]


async def test_a_chf_that_is_away_at_the_start_is_tried_again_while_another_one_is_there() -> None:
    async with chf(200) as one, chf(204) as other:
        port = other.port
        await other.aclose()
        profile = load_profile("how-to")
        function = next(each for group in build_network_functions(profile, 0).values() for each in group)
        targets = [Target(scheme="http", host="127.0.0.1", port=each) for each in (port, one.port)]
        connections = FleetConnections(targets, profile.connections, codec="ngh2", tls=client_tls, key=seed_key(1))
        await connections.open([function])
        sender = Smf(connections, function)
        assert status(await sender.asks(None, 1)) == 200
        refused = await sender.asks(None, 0)
        assert isinstance(refused, Failure), "at once, because there is another one to ask"
        assert (refused.kind, refused.safe_to_repeat) == (FailureKind.CONNECT_FAILED, True)
        back = await Server.serve(lambda request: request.respond(204, [], b""), "127.0.0.1", port)
        try:
            with anyio.fail_after(5):
                while isinstance(answer := await sender.asks(None, 0), Failure):  # noqa: ASYNC110 - the pool's back-off
                    await anyio.sleep(0.01)
            assert status(answer) == 204
        finally:
            await connections.aclose()
            await back.aclose()


async def test_a_run_needs_at_least_one_chf() -> None:
    async with chf(200) as one:
        port = one.port
    profile = load_profile("how-to")
    function = next(each for group in build_network_functions(profile, 0).values() for each in group)
    targets = [Target(scheme="http", host="127.0.0.1", port=port)] * 2
    connections = FleetConnections(targets, profile.connections, codec="ngh2", tls=client_tls, key=seed_key(1))
    with pytest.raises(TargetError, match=r"refused.*; .*refused"):
        await connections.open([function])
    await connections.aclose()
