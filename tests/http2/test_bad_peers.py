"""Peers that refuse, hang, lie or talk something else: one clear line, and nothing hangs."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable
from typing import Any

import pytest

from simulator.http2 import CODECS, FailureKind, Pool, PoolLimits, Server, ServerLimits, Target, TargetError, client_tls
from simulator.http2.choice import client_codec, server_codec
from simulator.http2.codec import CodecLimits, Request
from tests.http2.peers import echo, plain, pooled, raw_peer, serving, until
from tests.http2.wire import OK, POST

pytestmark = pytest.mark.anyio
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


async def closes_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def speaks_http1(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
    await reader.read()


async def drips_http1(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for octet in b"HTTP/1.1 505 HTTP Version Not Supported\r\n\r\n":
        writer.write(bytes([octet]))
        await writer.drain()
        await asyncio.sleep(0)
    await reader.read()


async def speaks_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"\x15\x03\x01\x00\x02\x02\x46")
    writer.close()


async def speaks_garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP ready\r\n" * 10)
    await reader.read()


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    ("talk", "line"),
    [
        (closes_at_once, "closed the connection at once"),
        (says_nothing, "no HTTP/2 connection within 0.1 s"),
        (speaks_http1, "speaks HTTP/1.1, not HTTP/2"),
        (drips_http1, "speaks HTTP/1.1, not HTTP/2"),
        (speaks_tls, "speaks TLS: use https://"),
        (speaks_garbage, r"does not speak HTTP/2 \(it began with b'220 mail.example'\)"),
    ],
)
async def test_a_target_that_is_no_http2_server_is_named(codec: str, talk: Talk, line: str) -> None:
    async with raw_peer(talk) as port:
        limits = PoolLimits(connect_timeout_s=0.1 if talk is says_nothing else 5)
        pool = Pool(plain(port), limits, codec=codec, draw=random.Random(1).random)
        with pytest.raises(TargetError, match=rf"^http://127\.0\.0\.1:{port}: {line}") as caught:
            await pool.open()
        assert "\n" not in str(caught.value)
        statistics = pool.statistics()
        assert (statistics.connections_open, statistics.connections_connecting) == (0, 0)
        await pool.aclose()


@pytest.mark.parametrize("host", ["chf.invalid", "a" * 70])
async def test_a_name_that_does_not_resolve_is_named(host: str) -> None:
    pool = Pool(Target.parse(f"http://{host}:80"), draw=lambda: 0.0)
    with pytest.raises(TargetError, match=rf"^http://{host}:80: cannot resolve '{host}': [^\n]+$"):
        await pool.open()


def http2_peer(on_request: Callable[[Any, Request, asyncio.StreamWriter], None]) -> Talk:
    """A peer that speaks HTTP/2 correctly until a request comes."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        codec = server_codec("ngh2", CodecLimits(streams=1_000))
        while octets := await reader.read(1 << 16):
            for event in codec.receive(octets):
                if isinstance(event, Request):
                    on_request(codec, event, writer)
            writer.write(codec.send()[0])

    return talk


async def test_a_peer_that_turns_to_garbage_fails_what_is_in_flight_and_is_left() -> None:
    def babble(codec: Any, request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\0" * 50)

    async with raw_peer(http2_peer(babble)) as port, pooled(plain(port)) as smf:
        failure = await smf.failure()
        assert failure.kind is FailureKind.PROTOCOL
        assert failure.detail.startswith("the peer broke HTTP/2: ")
        await until(lambda: smf.pool.statistics().reconnects >= 1)
        assert smf.pool.statistics().protocol_errors == 1


async def test_a_peer_that_closes_in_mid_answer() -> None:
    def half(codec: Any, request: Request, writer: asyncio.StreamWriter) -> None:
        codec.respond(request.stream_id, [*OK, (b"content-length", b"50000")], bytes(50_000))
        writer.write(codec.send()[0][:20_000])
        writer.close()

    async with raw_peer(http2_peer(half)) as port, pooled(plain(port)) as smf:
        failure = await smf.failure()
        assert failure.kind is FailureKind.CONNECTION_LOST
        assert failure.detail == "the peer closed the connection"
        assert not failure.safe_to_repeat


@pytest.mark.parametrize("codec", CODECS)
async def test_an_answer_with_a_huge_body_is_cut_off(codec: str) -> None:
    async with (
        serving(lambda request: request.respond(200, [], bytes(400_000) if request.body == b"big" else b"ok")) as chf,
        pooled(plain(chf.port), codec=codec, max_body_octets=100_000) as smf,
    ):
        big, small = smf.submit(b"big"), smf.submit(b"small")
        assert getattr(await big, "kind", None) is FailureKind.TOO_LARGE
        assert getattr(await small, "body", None) == b"ok"
        assert smf.pool.statistics().lost == 0


@pytest.mark.parametrize("codec", CODECS)
async def test_an_answer_with_huge_headers_ends_its_connection_not_the_pool(codec: str) -> None:
    async with (
        serving(
            lambda request: request.respond(
                200, [(b"x-%d" % n, b"v" * 60) for n in range(100 if request.body == b"big" else 1)]
            )
        ) as chf,
        pooled(plain(chf.port), codec=codec, max_header_octets=4_000) as smf,
    ):
        failure = await smf.failure(b"big")
        assert failure.kind is FailureKind.PROTOCOL
        assert "\n" not in failure.detail
        assert (await smf.answer(b"small")).status == 200


async def test_a_peer_that_answers_late_hits_deadlines_and_keeps_its_connection() -> None:
    waiting: list[Any] = []
    async with serving(waiting.append) as chf, pooled(plain(chf.port)) as smf:
        failures = await asyncio.gather(*(smf.failure(deadline_s=0.02) for _ in range(50)))
        assert {failure.kind for failure in failures} == {FailureKind.TIMEOUT}
        await until(lambda: chf.statistics().resets == 50)
        for request in waiting:
            request.respond(200, [], b"too late")
        waiting.clear()
        answer = asyncio.create_task(smf.answer(b"on time"))
        await until(lambda: len(waiting) == 1)
        waiting[0].respond(200, [], b"fine")
        assert (await answer).body == b"fine"
        assert smf.pool.statistics().opened == 1


# The server against bad clients.


async def talk_to(server: Server, octets: bytes) -> bytes:
    """Send octets as they are; returns everything until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(octets)
    try:
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\nhost: chf\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 100,
        random.Random(7).randbytes(4_000),
    ],
    ids=["http1", "tls", "bad-frames", "noise"],
)
async def test_the_server_hangs_up_on_what_is_not_http2(codec: str, octets: bytes) -> None:
    async with serving(codec=codec) as chf:
        await talk_to(chf, octets)
        await until(lambda: chf.statistics().connections == 0)
        assert chf.statistics().protocol_errors == 1
        async with pooled(plain(chf.port)) as smf:
            assert (await smf.answer(b"others are served")).status == 200


@pytest.mark.parametrize("codec", CODECS)
async def test_the_server_survives_octets_turned_over_at_random(codec: str) -> None:
    draw = random.Random(20)
    async with serving(codec=codec) as chf:
        for _ in range(40):
            client = client_codec("ngh2", CodecLimits())
            for number in range(3):
                client.request([*POST, (b"x-n", b"%d" % number)], bytes(100))
            octets = bytearray(client.send()[0])
            for _ in range(3):
                octets[draw.randrange(24, len(octets))] = draw.randrange(256)
            _, writer = await asyncio.open_connection("127.0.0.1", chf.port)
            writer.write(octets)
            writer.close()
        async with pooled(plain(chf.port)) as smf:
            assert (await smf.answer(b"still there")).body == b"still there"
        await until(lambda: chf.statistics().connections == 0)
        assert chf.statistics().unanswered == 0
        assert chf.statistics().handler_errors == 0


async def test_the_server_answers_413_to_a_huge_request_and_goes_on() -> None:
    async with (
        serving(limits=ServerLimits(max_body_octets=10_000)) as chf,
        pooled(plain(chf.port)) as smf,
    ):
        assert (await smf.answer(bytes(3_000_000))).status == 413
        assert (await smf.answer(bytes(10_000))).status == 200
        assert smf.pool.statistics().opened == 1


async def test_the_server_turns_connections_away_above_its_limit() -> None:
    async with (
        serving(limits=ServerLimits(connections=1)) as chf,
        pooled(plain(chf.port)) as smf,
    ):
        other = Pool(plain(chf.port), draw=lambda: 0.0)
        with pytest.raises(TargetError, match="closed the connection at once"):
            await other.open()
        assert chf.statistics().turned_away == 1
        assert (await smf.answer()).status == 200


async def test_a_handler_that_raises_is_a_500_and_is_reported() -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))

    def raises(request: Any) -> None:
        raise KeyError(request.path)

    async with serving(raises) as chf, pooled(plain(chf.port)) as smf:
        assert (await smf.answer()).status == 500
        assert [type(context["exception"]) for context in reported] == [KeyError]
        assert chf.statistics().handler_errors == 1


async def test_an_answer_to_a_client_that_has_gone_is_dropped() -> None:
    waiting: list[Any] = []
    async with serving(waiting.append) as chf:
        async with pooled(plain(chf.port)) as smf:
            smf.submit()
            await until(lambda: len(waiting) == 1)
        await until(lambda: chf.statistics().connections == 0)
        waiting[0].respond(200, [], b"nobody there")
        assert chf.statistics().responses == 0


async def test_a_second_answer_is_dropped() -> None:
    def twice(request: Any) -> None:
        request.respond(200, [], b"first")
        request.respond(500, [], b"second")

    async with serving(twice) as chf, pooled(plain(chf.port)) as smf:
        assert (await smf.answer()).body == b"first"
        assert (await smf.answer()).body == b"first"
        assert chf.statistics().responses == 2


async def test_a_client_that_reads_nothing_is_cut_off_when_the_server_closes() -> None:
    big = bytes(1 << 20)
    limits = ServerLimits(close_timeout_s=0.1)
    server = await Server.serve(lambda request: request.respond(200, [], big), "127.0.0.1", 0, limits=limits)
    client = client_codec("ngh2", CodecLimits(max_body_octets=1 << 30))
    for _ in range(100):
        client.request(POST, b"{}")
    with socket.create_connection(("127.0.0.1", server.port)) as deaf:
        deaf.sendall(client.send()[0])
        await until(lambda: any(connection._paused for connection in server._connections))
        (connection,) = server._connections
        assert connection._transport is not None
        assert not connection._transport.is_reading(), "what is held for a deaf client must be bounded"
        async with asyncio.timeout(5):
            await server.aclose()
        assert server.statistics().connections == 0


async def test_a_port_in_use_is_an_os_error() -> None:
    async with serving() as chf:
        with pytest.raises(OSError, match="address already in use"):
            await Server.serve(echo, "127.0.0.1", chf.port)


async def test_a_tls_server_and_a_cleartext_client_and_the_reverse(certificates: Any) -> None:
    async with serving(tls=certificates.server()) as chf:
        pool = Pool(plain(chf.port), draw=lambda: 0.0)
        with pytest.raises(TargetError, match=r"closed the connection at once|use https"):
            await pool.open()
    async with serving() as chf:
        target = Target.parse(f"https://localhost:{chf.port}")
        pool = Pool(target, PoolLimits(connect_timeout_s=2), tls=client_tls(insecure=True), draw=lambda: 0.0)
        with pytest.raises(TargetError, match=r"TLS failed|closed the connection at once"):
            await pool.open()
