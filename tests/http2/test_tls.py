"""TLS with ALPN h2: an own CA, a client certificate, no trust at all, and what is said when it fails."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from simulator.http2 import CODECS, Pool, PoolLimits, Target, TargetError, client_tls, server_tls
from tests.http2.conftest import Certificates
from tests.http2.peers import pooled, serving

pytestmark = pytest.mark.anyio


def secure(port: int) -> Target:
    return Target.parse(f"https://localhost:{port}")


async def opening_fails(port: int, context: ssl.SSLContext) -> str:
    pool = Pool(secure(port), PoolLimits(connect_timeout_s=5), tls=context, draw=lambda: 0.0)
    with pytest.raises(TargetError) as caught:
        await pool.open()
    await pool.aclose()
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize("codec", CODECS)
async def test_an_own_ca_is_trusted(certificates: Certificates, codec: str) -> None:
    context = client_tls(ca_file=certificates.ca_file)
    async with serving(tls=certificates.server()) as chf, pooled(secure(chf.port), tls=context, codec=codec) as smf:
        results = await asyncio.gather(*(smf.answer(b"%d" % number) for number in range(50)))
        assert [result.body for result in results] == [b"%d" % number for number in range(50)]


async def test_a_certificate_of_nobody_known_is_named(certificates: Certificates) -> None:
    async with serving(tls=certificates.server()) as chf:
        line = await opening_fails(chf.port, client_tls())
    assert line.startswith(f"https://localhost:{chf_port(line)}: its certificate is not trusted: ")


def chf_port(line: str) -> str:
    return line.split(":")[2]


async def test_insecure_trusts_any_certificate(certificates: Certificates) -> None:
    context = client_tls(insecure=True)
    async with (
        serving(tls=server_tls(*certificates.stranger_files)) as chf,
        pooled(secure(chf.port), tls=context) as smf,
    ):
        assert (await smf.answer()).status == 200


async def test_a_certificate_for_another_name_is_not_trusted(certificates: Certificates) -> None:
    async with serving(tls=server_tls(*certificates.client_files)) as chf:
        line = await opening_fails(chf.port, client_tls(ca_file=certificates.ca_file))
    assert "its certificate is not trusted: " in line
    assert "localhost" in line


async def test_mutual_tls(certificates: Certificates) -> None:
    certificate, key = certificates.client_files
    context = client_tls(ca_file=certificates.ca_file, certificate=certificate, key=key)
    async with (
        serving(tls=certificates.server(mutual=True)) as chf,
        pooled(secure(chf.port), tls=context) as smf,
    ):
        assert (await smf.answer()).status == 200


async def test_mutual_tls_without_a_certificate_is_named(certificates: Certificates) -> None:
    async with serving(tls=certificates.server(mutual=True)) as chf:
        line = await opening_fails(chf.port, client_tls(ca_file=certificates.ca_file))
    assert "TLS failed" in line or "closed the connection at once" in line


async def test_a_tls_server_without_http2_is_named(certificates: Certificates) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates.server_files)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    line = await opening_fails(port, client_tls(ca_file=certificates.ca_file))
    assert line == f"https://localhost:{port}: does not offer HTTP/2 over TLS (ALPN h2)"
    server.close()
    await server.wait_closed()


def test_files_that_cannot_be_used_are_named(certificates: Certificates, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^no such file: .*missing\.pem$"):
        client_tls(ca_file=tmp_path / "missing.pem")
    with pytest.raises(ValueError, match=r"^certificate .* or its key cannot be used: "):
        server_tls(certificates.server_files[0], certificates.client_files[1])
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    with pytest.raises(ValueError, match=r"empty\.pem"):
        client_tls(ca_file=empty)


@pytest.mark.parametrize("how", ["own ca", "any certificate"])
async def test_keys_are_logged_where_the_environment_says_so(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    file = tmp_path / "keys.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(file))
    context = client_tls(ca_file=certificates.ca_file) if how == "own ca" else client_tls(insecure=True)
    async with serving(tls=certificates.server()) as chf, pooled(secure(chf.port), tls=context) as smf:
        await smf.answer()
    assert "CLIENT_TRAFFIC_SECRET_0 " in file.read_text()


@pytest.mark.parametrize("own_ca", [True, False])
def test_a_file_for_keys_that_cannot_be_written_is_named(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, own_ca: bool
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "none" / "keys.log"))
    with pytest.raises(ValueError, match=r"SSLKEYLOGFILE: .*keys\.log: No such file or directory"):
        client_tls(ca_file=certificates.ca_file if own_ca else None)
