"""Programs that are not ours: nghttpd, nghttp, h2load and curl (libnghttp2), and hyper-h2 by its own example."""

from __future__ import annotations

import asyncio
import re
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest

from simulator.http2 import CODECS, Answer, PoolLimits, ServerLimits, Target, client_tls
from tests.http2.conftest import Certificates
from tests.http2.peers import free_port, plain, pooled, raw_peer, serving, until
from tests.http2.wire import GET

pytestmark = pytest.mark.anyio
Tool = Callable[[str], str]


@asynccontextmanager
async def running(*command: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def output(*command: str) -> str:
    """What a program prints, on both streams; it must succeed."""
    async with running(*command) as process:
        async with asyncio.timeout(15):
            out, err = await process.communicate()
        text = (out + err).decode()
        assert process.returncode == 0, text
        return text


async def listening(port: int) -> None:
    """Wait until a program has opened its port."""
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                return


@asynccontextmanager
async def nghttpd(require_tool: Tool, root: Path, *options: str) -> AsyncIterator[int]:
    port = free_port()
    async with running(require_tool("nghttpd"), "-d", str(root), *options[:1], str(port), *options[1:]):
        await listening(port)
        yield port


@pytest.mark.parametrize("codec", CODECS)
async def test_nghttpd_answers_our_client(require_tool: Tool, tmp_path: Path, codec: str) -> None:
    (tmp_path / "large").write_bytes(bytes(700_000))
    (tmp_path / "small").write_bytes(b"hello")
    async with (
        nghttpd(require_tool, tmp_path, "--no-tls") as port,
        pooled(plain(port), codec=codec, connections=2) as smf,
    ):
        small = [*GET[:3], (b":path", b"/small")]
        large = [*GET[:3], (b":path", b"/large")]
        bodies = [(await smf.answer(b"", headers=list(large))).body]
        assert bodies == [bytes(700_000)]
        results = await asyncio.gather(*(smf.submit(b"", headers=list(small)) for _ in range(200)))
        assert {result.body for result in results if isinstance(result, Answer)} == {b"hello"}
        assert (await smf.answer(b"", headers=[*GET[:3], (b":path", b"/none")])).status == 404
        assert smf.pool.statistics().answers == 202


async def test_nghttpd_over_tls(require_tool: Tool, tmp_path: Path, certificates: Certificates) -> None:
    (tmp_path / "small").write_bytes(b"hello")
    certificate, key = (str(file) for file in certificates.server_files)
    async with nghttpd(require_tool, tmp_path, "--echo-upload", key, certificate) as port:
        target = Target.parse(f"https://localhost:{port}")
        async with pooled(target, tls=client_tls(ca_file=certificates.ca_file)) as smf:
            assert (await smf.answer(b"echo this")).body == b"echo this"


async def test_nghttpd_echoes_large_uploads(require_tool: Tool, tmp_path: Path) -> None:
    body = bytes(range(256)) * 3_000
    async with nghttpd(require_tool, tmp_path, "--no-tls", "--echo-upload") as port, pooled(plain(port)) as smf:
        results = await asyncio.gather(*(smf.submit(body) for _ in range(8)))
        assert [result.body == body for result in results if isinstance(result, Answer)] == [True] * 8


async def test_nghttpd_with_few_streams_is_never_exceeded(require_tool: Tool, tmp_path: Path) -> None:
    async with (
        nghttpd(require_tool, tmp_path, "--no-tls", "--echo-upload", "--max-concurrent-streams=3") as port,
        pooled(plain(port)) as smf,
    ):
        results = await asyncio.gather(*(smf.submit(b"%d" % number) for number in range(100)))
        assert [result.body for result in results if isinstance(result, Answer)] == [b"%d" % n for n in range(100)]
        statistics = smf.pool.statistics()
        assert (statistics.max_streams, statistics.refused, statistics.waiting_max) == (3, 0, 97)


async def test_a_killed_nghttpd_is_reconnected_to_when_it_is_back(require_tool: Tool, tmp_path: Path) -> None:
    port = free_port()
    command = (require_tool("nghttpd"), "-d", str(tmp_path), "--no-tls", "--echo-upload", str(port))
    first = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    await listening(port)
    async with pooled(plain(port), backoff_max_s=0.02) as smf:
        await smf.answer()
        first.kill()
        await first.communicate()
        await until(lambda: smf.pool.statistics().lost == 1)
        async with running(*command):
            assert (await smf.answer(b"back")).body == b"back"


@pytest.mark.parametrize("codec", CODECS)
async def test_nghttp_and_curl_are_answered_by_our_server(require_tool: Tool, tmp_path: Path, codec: str) -> None:
    body = tmp_path / "body"
    body.write_bytes(b'{"n":1}' * 30_000)
    async with serving(codec=codec) as chf:
        url = f"http://127.0.0.1:{chf.port}/nchf"
        assert (await output(require_tool("nghttp"), "-d", str(body), url)).encode() == body.read_bytes()
        curl = (require_tool("curl"), "-sS", "--http2-prior-knowledge")
        assert (await output(*curl, "--data-binary", f"@{body}", url)).encode() == body.read_bytes()
        assert await output(*curl, "-o", "/dev/null", "-w", "%{http_code} %{http_version}", url, "-d", "x") == "200 2"


async def test_nghttp_and_curl_over_tls(require_tool: Tool, certificates: Certificates) -> None:
    async with serving(tls=certificates.server(mutual=True)) as chf:
        certificate, key = (str(file) for file in certificates.client_files)
        curl = (require_tool("curl"), "-sS", "--http2", "--cacert", str(certificates.ca_file))
        url = f"https://localhost:{chf.port}/"
        assert await output(*curl, "--cert", certificate, "--key", key, "-d", "secret", url) == "secret"
        async with running(*curl, "-d", "secret", url) as process:
            await process.communicate()
            assert process.returncode != 0


@pytest.mark.parametrize("codec", CODECS)
async def test_h2load_finds_every_request_answered(require_tool: Tool, tmp_path: Path, codec: str) -> None:
    body = tmp_path / "body"
    body.write_bytes(b"{}" * 300)
    count = 20_000 if codec == "ngh2" else 1_000
    async with serving(codec=codec, limits=ServerLimits(streams=20)) as chf:
        text = await output(
            require_tool("h2load"), f"-n{count}", "-c4", "-m20", "-d", str(body), f"http://127.0.0.1:{chf.port}/"
        )
        assert f"{count} succeeded, 0 failed, 0 errored, 0 timeout" in text
        assert chf.statistics().requests == count
        await until(lambda: chf.statistics().connections == 0)


async def test_a_server_that_closes_under_load_answers_or_refuses_everything(require_tool: Tool) -> None:
    async with serving() as chf:
        async with running(
            require_tool("h2load"), "-n200000", "-c2", "-m20", f"http://127.0.0.1:{chf.port}/"
        ) as process:
            await until(lambda: chf.statistics().requests > 500)
            await chf.aclose()
            async with asyncio.timeout(15):
                out, _ = await process.communicate()
        succeeded = int(re.findall(r"(\d+) succeeded", out.decode())[0])
        assert succeeded == chf.statistics().responses


@pytest.mark.parametrize("codec", CODECS)
async def test_a_plain_hyper_h2_server_answers_our_client(codec: str) -> None:
    """The server of h2's own documentation, not our codec of that name."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        while octets := await reader.read(1 << 16):
            for event in connection.receive_data(octets):
                if isinstance(event, h2.events.StreamEnded):
                    headers: Any = [(":status", "200"), ("content-type", "application/json")]
                    connection.send_headers(event.stream_id, headers)
                    connection.send_data(event.stream_id, b"h2 says hello", end_stream=True)
                elif isinstance(event, h2.events.DataReceived):
                    connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            writer.write(connection.data_to_send())

    async with raw_peer(talk) as port, pooled(plain(port), codec=codec) as smf:
        results = await asyncio.gather(*(smf.submit(bytes(2_000)) for _ in range(100)))
        assert {result.body for result in results if isinstance(result, Answer)} == {b"h2 says hello"}
        assert len(results) == 100


def test_the_limits_have_the_bounds_the_design_gives() -> None:
    limits = PoolLimits()
    assert limits.max_requests_per_connection < 2**30
    assert limits.waiting == 10_000
