"""Targets that cannot be charged, or only with the right certificates: one line that says which, and nothing hangs."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from simulator.run.options import InterruptedRunError, RunError
from tests.http2.conftest import Certificates
from tests.http2.peers import raw_peer
from tests.run.rig import brief, charging, completed, conducted, peer, sandbox_core, sound, units, url

pytestmark = pytest.mark.anyio


async def refusal(target: str, **options: object) -> str:
    """The one line that a user gets."""
    with pytest.raises(RunError) as caught:
        await conducted(brief(), targets=[target], **options)
    text = str(caught.value)
    assert "\n" not in text
    assert "Traceback" not in text
    return text


async def test_a_target_that_nobody_listens_at_is_refused() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    assert await refusal(f"http://127.0.0.1:{port}") == f"http://127.0.0.1:{port}: connection refused"


async def test_a_name_that_does_not_resolve_is_named() -> None:
    assert "cannot resolve 'chf.invalid'" in await refusal("http://chf.invalid")


@pytest.mark.parametrize("target", ["chf.lab:8080", "http://chf.lab/api root"])
async def test_a_target_that_is_no_api_root_is_refused(target: str) -> None:
    assert target in await refusal(target)


async def http1(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server of the web as it was."""
    await reader.readline()
    writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    await writer.drain()
    writer.close()


async def test_a_server_of_http_1_is_recognised() -> None:
    async with raw_peer(http1) as port:
        text = await refusal(f"http://127.0.0.1:{port}")
    assert "HTTP/2" in text


async def test_a_server_that_says_nothing_is_not_waited_for_for_ever() -> None:
    async with raw_peer(lambda reader, writer: reader.read()) as port:
        with pytest.raises(RunError, match=r"no HTTP/2 connection within 0\.3 s"):
            await conducted(brief(connections={"connect_timeout": "300ms"}), targets=[f"http://127.0.0.1:{port}"])


# -- TLS ----------------------------------------------------------------------------------------------------------------


async def test_a_certificate_of_an_unknown_ca_is_not_trusted(certificates: Certificates) -> None:
    async with peer(charging(sandbox_core()), tls=certificates.server()) as server:
        assert "its certificate is not trusted" in await refusal(url(server, "https"))


async def test_mutual_tls_with_a_ca_of_ones_own(certificates: Certificates) -> None:
    certificate, key = certificates.client_files
    async with peer(charging(chf := sandbox_core()), tls=certificates.server(mutual=True)) as server:
        result = await conducted(
            brief(), targets=[url(server, "https")], ca_file=certificates.ca_file, certificate=certificate, key=key
        )
    assert sound(result), result.why
    assert completed(result) == 40
    assert chf.created > 20
    assert not any("certificate" in note for note in result.summary["notes"])


async def test_mutual_tls_without_a_certificate_is_refused(certificates: Certificates) -> None:
    async with peer(charging(sandbox_core()), tls=certificates.server(mutual=True)) as server:
        assert "https://" in await refusal(url(server, "https"), ca_file=certificates.ca_file)


async def test_a_certificate_that_is_not_checked_is_said_out_loud(certificates: Certificates) -> None:
    async with peer(charging(sandbox_core()), tls=certificates.server()) as server:
        result = await conducted(brief(), targets=[url(server, "https")], insecure=True)
    assert sound(result), result.why
    assert "the CHF's certificate was not checked (--insecure)" in result.summary["notes"]


async def test_a_certificate_file_that_is_not_there_is_named() -> None:
    assert "no such file: /no/such.pem" in await refusal("https://127.0.0.1:1", certificate=Path("/no/such.pem"))


# -- others' servers ----------------------------------------------------------------------------------------------------


async def test_a_static_server_is_no_charging_function(require_tool: Callable[[str], str], tmp_path: Path) -> None:
    """nghttpd answers 404 to everything: every session fails or is denied, in good order."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [require_tool("nghttpd"), "--no-tls", "-d", str(tmp_path), "--address=127.0.0.1", str(port)]
    async with await anyio.open_process(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            await until_listening(port)
            result = await conducted(brief(), targets=[f"http://127.0.0.1:{port}"])
        finally:
            process.terminate()
    sessions = result.summary["sessions"]
    assert sessions["started"] == sessions["failed"] == 40
    assert sessions["completed"] == sessions["open_at_end"] == 0
    assert result.summary["operations"]["create"]["ok"] == 0
    assert result.summary["causes"] == {"HTTP_404": 40}
    assert units(result, "used") == {}


async def until_listening(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            assert time.monotonic() < deadline, "it does not listen"
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return


async def test_a_web_server_is_no_charging_function_however_politely_it_answers() -> None:
    """A wrong URL must not look like a CHF that refuses everybody."""
    async with peer(lambda request: request.respond(404, [], b"")) as server:
        result = await conducted(brief(thresholds=["success >= 99%"]), targets=[url(server)])
    everything = result.summary["all"]
    assert everything["failed"] == everything["requests"] > 0
    assert result.summary["causes"] == {"HTTP_404": everything["requests"]}
    assert result.summary["thresholds"][0]["ok"] is False
    assert result.exit_code in (1, 3)


@pytest.mark.parametrize("option", ["ca_file", "certificate", "key"])
async def test_tls_options_for_a_target_without_tls_are_refused(option: str, tmp_path: Path) -> None:
    text = await refusal("http://127.0.0.1:1", **{option: tmp_path / "x.pem"})
    assert text == f"--{option.replace('_', '-')}: the target http://127.0.0.1:1 is not https"


async def test_a_key_alone_is_refused(tmp_path: Path) -> None:
    assert await refusal("https://127.0.0.1:1", key=tmp_path / "x.pem") == "--key: needs --certificate"


async def test_what_is_no_ledger_is_found_before_the_run() -> None:
    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n<html>\n")
        await writer.drain()
        writer.close()

    async with raw_peer(page) as port:
        text = await refusal("http://127.0.0.1:1", ledger=f"http://127.0.0.1:{port}/ledger")
    assert text.startswith(f"--ledger http://127.0.0.1:{port}/ledger: this is no ledger: line 1 is no JSON")


async def test_ctrl_c_while_connecting_ends_it_at_once() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await reader.read()

    began = time.monotonic()
    async with raw_peer(silent) as port:
        with pytest.raises(InterruptedRunError):
            await conducted(
                brief(connections={"connect_timeout": "25s"}), targets=[f"http://127.0.0.1:{port}"], handle_signals=True
            )
    assert time.monotonic() - began < 10
