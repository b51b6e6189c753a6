"""Tokens over real sockets: token servers of every kind, good and bad, and what is said of them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest
import uvicorn

from simulator.config.security import NoAuthentication
from simulator.fleet import token_client
from simulator.fleet.network_functions import build_network_functions
from simulator.fleet.token_client import read_token
from simulator.fleet.token_life import AccessToken, TokenError, TokenStatistics
from simulator.fleet.tokens import TokenKeeper, Tokens
from simulator.http2 import Server, ServerRequest, client_tls, server_tls
from tests.http2.conftest import Certificates
from tests.http2.peers import free_port, raw_peer, until
from tests.world import traffic

pytestmark = pytest.mark.anyio
SECRET = "s3cret-of-the-fleet"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NRF_SECRET", SECRET)


class Nrf:
    """A token server: `says` is what it answers; `asked` are the forms and the header of every request."""

    def __init__(self) -> None:
        self.asked: list[tuple[dict[str, str], dict[bytes, bytes]]] = []
        self.status = 200
        self.document: dict[str, Any] = {"token_type": "Bearer", "expires_in": 3600}
        self.body: bytes | None = None
        self.silent = False
        self.prefaces = 0

    def says(self, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> tuple[int, bytes]:
        form = {name: value for name, (value,) in parse_qs(body.decode(), strict_parsing=True).items()}
        self.asked.append((form, dict(headers)))
        if self.body is not None:
            return self.status, self.body
        return self.status, orjson.dumps({"access_token": f"token-{len(self.asked)}"} | self.document)

    def answer(self, request: ServerRequest) -> None:
        status, body = self.says(request.headers, request.body)
        if not self.silent:
            request.respond(status, [(b"content-type", b"application/json")], body)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """The same as an ASGI application."""
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        if scope["method"] != "POST":  # uvicorn takes the preface of HTTP/2 for a request
            self.prefaces += 1
            status, body = 405, b""
        else:
            status, body = self.says(scope["headers"], body)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def http2(nrf: Nrf, tls: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[str]:
    server = await Server.serve(nrf.answer, "127.0.0.1", port, tls=tls)
    try:
        yield (
            f"http://127.0.0.1:{server.port}/oauth2/token" if tls is None else f"https://localhost:{server.port}/token"
        )
    finally:
        await server.aclose()


class Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def http11(nrf: Nrf, **options: Any) -> AsyncIterator[str]:
    port = free_port()
    config = uvicorn.Config(
        nrf.app, port=port, interface="asgi3", log_config=None, lifespan="off", access_log=False, **options
    )
    server = Uvicorn(config)
    task = asyncio.get_running_loop().create_task(server.serve())
    await until(lambda: server.started)
    try:
        yield f"https://localhost:{port}/token" if options else f"http://127.0.0.1:{port}/oauth2/token"
    finally:
        server.should_exit = True
        await task


class Fleet:
    """Two SMFs and an SMSF with tokens."""

    def __init__(self, tokens: Tokens, notes: list[str]) -> None:
        self.tokens = tokens
        self.notes = notes

    @property
    def smf(self) -> TokenKeeper:
        return self.tokens.keepers["smf-1"]

    def headers(self) -> list[tuple[bytes, bytes] | None]:
        return [keeper.header for keeper in self.tokens.keepers.values()]


@asynccontextmanager
async def fleet(authentication: dict[str, Any], tls: Any = client_tls, *, opened: bool = True) -> AsyncIterator[Fleet]:
    profile = traffic({"rate": "1/s"}, authentication=authentication)
    assert not isinstance(profile.authentication, NoAuthentication)
    functions = [each for instances in build_network_functions(profile, 0).values() for each in instances]
    notes: list[str] = []
    tokens = Tokens(
        profile.authentication,
        functions,
        targets=["http://chf.example:8080"],
        tls=tls,
        draw=lambda: 0.0,
        on_note=notes.append,
    )
    try:
        if opened:
            await tokens.open()
        yield Fleet(tokens, notes)
    finally:
        await tokens.aclose()


def oauth2(url: str, **fields: Any) -> dict[str, Any]:
    return {"kind": "oauth2", "token_url": url, **fields}


def basic(url: str) -> dict[str, Any]:
    return oauth2(url, client_id="fleet", client_secret={"env": "NRF_SECRET"})


async def error(authentication: dict[str, Any], tls: Any = client_tls) -> str:
    """The line that a fleet which cannot get its tokens says."""
    with pytest.raises(TokenError) as caught:
        async with fleet(authentication, tls):
            pass
    line = str(caught.value)
    assert "\n" not in line
    assert SECRET not in line
    return line


# -- what is asked, and how ---------------------------------------------------------------------------------------------


async def test_each_network_function_asks_for_a_token_of_its_own_as_at_an_nrf() -> None:
    nrf = Nrf()
    async with http2(nrf) as url, fleet(oauth2(url)) as smfs:
        assert smfs.headers() == [(b"authorization", b"Bearer token-%d" % number) for number in (1, 2, 3)]
        assert smfs.smf.generation == 1
    forms = [form for form, _ in nrf.asked]
    assert len({form.pop("nfInstanceId") for form in forms}) == 3
    rest = {"grant_type": "client_credentials", "scope": "nchf-convergedcharging", "targetNfType": "CHF"}
    assert forms == [{**rest, "nfType": "SMF"}, {**rest, "nfType": "SMF"}, {**rest, "nfType": "SMSF"}]
    for _, headers in nrf.asked:
        assert headers[b"content-type"] == b"application/x-www-form-urlencoded"
        assert b"authorization" not in headers


async def test_a_client_with_a_secret_says_both_by_http_basic() -> None:
    nrf = Nrf()
    async with http2(nrf) as url, fleet(basic(url) | {"scope": "a b", "target_nf_type": "NRF"}):
        pass
    form, headers = nrf.asked[0]
    assert headers[b"authorization"] == b"Basic " + base64.b64encode(f"fleet:{SECRET}".encode())
    assert (form["scope"], form["targetNfType"]) == ("a b", "NRF")


async def test_a_server_of_http_1_is_found_out_once() -> None:
    nrf = Nrf()
    async with http11(nrf) as url, fleet(oauth2(url)) as smfs:
        assert None not in smfs.headers()
    assert (nrf.prefaces, len(nrf.asked)) == (1, 3)
    assert nrf.asked[0][1][b"content-type"] == b"application/x-www-form-urlencoded"


async def test_over_tls_with_an_own_ca_and_a_client_certificate(certificates: Certificates) -> None:
    nrf = Nrf()
    certificate, key = certificates.client_files
    known = partial(client_tls, ca_file=certificates.ca_file, certificate=certificate, key=key)
    async with http2(nrf, certificates.server(mutual=True)) as url:
        async with fleet(oauth2(url), known) as smfs:
            assert None not in smfs.headers()
        unknown = partial(client_tls, ca_file=certificates.ca_file)
        line = await error(oauth2(url), unknown)
        assert line in (  # in TLS 1.3 a client may hear of it, or just be cut off
            f"token for smf-1: {url}: TLS failed: TLSV13_ALERT_CERTIFICATE_REQUIRED",
            f"token for smf-1: {url}: closed the connection without an answer",
        )


async def test_keys_of_connections_to_a_token_server_are_logged_where_the_environment_says_so(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))
    known = partial(client_tls, ca_file=certificates.ca_file)
    async with http2(Nrf(), certificates.server()) as url, fleet(oauth2(url), known):
        pass
    assert "CLIENT_TRAFFIC_SECRET_0 " in (tmp_path / "keys.log").read_text()


async def test_over_tls_a_server_of_http_1_is_one_as_well(certificates: Certificates) -> None:
    nrf = Nrf()
    certificate, key = certificates.server_files
    async with (
        http11(nrf, ssl_certfile=certificate, ssl_keyfile=key) as url,
        fleet(oauth2(url), partial(client_tls, ca_file=certificates.ca_file)) as smfs,
    ):
        assert None not in smfs.headers()


async def test_a_certificate_of_nobody_known_is_named_and_insecure_trusts_it(certificates: Certificates) -> None:
    nrf = Nrf()
    async with http2(nrf, server_tls(*certificates.stranger_files)) as url:
        line = await error(oauth2(url), partial(client_tls, ca_file=certificates.ca_file))
        assert line.startswith(f"token for smf-1: {url}: its certificate is not trusted: ")
        async with fleet(oauth2(url), partial(client_tls, insecure=True)) as smfs:
            assert None not in smfs.headers()


# -- bad answers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, b'{"error":"invalid_client"}', "answered 401 invalid_client"),
        (400, b'{"error":"invalid_scope","error_description":"no scope x"}', "answered 400 invalid_scope"),
        (403, b'{"cause":"NF_NOT_AUTHORIZED"}', "answered 403 NF_NOT_AUTHORIZED"),
        (401, b'{"error":"%s"}' % SECRET.encode(), "answered 401"),
        (401, b'{"error":"a\\nb"}', "answered 401"),
        (503, b"<html>", "answered 503"),
        (307, b"", "answered 307"),
        (200, b"", "answered 200 without a JSON object"),
        (200, b"[]", "answered 200 without a JSON object"),
        (200, b"\xff", "answered 200 without a JSON object"),
        (200, b"{}", "answered 200 without an access_token"),
        (200, b'{"access_token":7,"token_type":"Bearer"}', "answered 200 without an access_token"),
        (
            200,
            b'{"access_token":"a\\r\\nb: c","token_type":"Bearer"}',
            "answered an access_token that no header can carry",
        ),
        (
            200,
            '{"access_token":"é","token_type":"Bearer"}'.encode(),
            "answered an access_token that no header can carry",
        ),
        (200, b'{"access_token":"a"}', "answered a token whose token_type is not Bearer"),
        (200, b'{"access_token":"a","token_type":"mac"}', "answered a token whose token_type is not Bearer"),
    ],
)
async def test_an_answer_without_a_token_is_one_clear_line(status: int, body: bytes, expected: str) -> None:
    nrf = Nrf()
    nrf.status, nrf.body = status, body
    async with http2(nrf) as url:
        assert await error(basic(url)) == f"token for smf-1: {url} {expected}"
    assert len(nrf.asked) == 1, "the first network function asked in vain, so the others did not ask"


@pytest.mark.parametrize(
    ("given", "lifetime_s"),
    [
        (b"3600", 3600.0),
        (b'"300"', 300.0),
        (b"0.5", 0.5),
        (b"99999999999", 366 * 86_400.0),
        (b"null", None),
    ],
)
def test_a_lifetime_is_a_number_of_seconds_within_a_year(given: bytes, lifetime_s: float | None) -> None:
    body = b'{"access_token":"a","token_type":"bearer","expires_in":%s}' % given
    assert read_token(200, body) == AccessToken(value="a", lifetime_s=lifetime_s)


@pytest.mark.parametrize("given", [b"0", b"-1", b"true", b'"soon"', b"[]", b"1e400", b'"9999999999999999"'])
def test_any_other_lifetime_is_none(given: bytes) -> None:
    with pytest.raises(TokenError, match=r"without a JSON object|expires_in"):
        read_token(200, b'{"access_token":"a","token_type":"Bearer","expires_in":%s}' % given)


async def test_an_answer_without_end_is_cut_off() -> None:
    nrf = Nrf()
    nrf.body = bytes(100_000)
    async with http2(nrf) as url:
        assert await error(oauth2(url)) == f"token for smf-1: {url}: its answer is larger than 65,536 octets"


async def test_a_server_that_does_not_answer_is_waited_for_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_client, "TIMEOUT_S", 0.1)
    nrf = Nrf()
    nrf.silent = True
    async with http2(nrf) as url:
        assert await error(oauth2(url)) == f"token for smf-1: {url} did not answer within 0.1 s"


async def test_nobody_there_and_no_such_name_are_told_apart() -> None:
    url = f"http://127.0.0.1:{free_port()}/oauth2/token"
    assert await error(oauth2(url)) == f"token for smf-1: {url}: connection refused"
    line = await error(oauth2("http://nrf.invalid/oauth2/token"))
    assert line.startswith("token for smf-1: http://nrf.invalid/oauth2/token: cannot resolve its name: ")


@pytest.mark.parametrize("garbage", [b"", b"\x00" * 100, b"SSH-2.0-OpenSSH\r\n"])
async def test_a_server_that_speaks_something_else_is_named(garbage: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(garbage)
        await writer.drain()

    async with raw_peer(talk) as port:
        url = f"http://127.0.0.1:{port}/oauth2/token"
        line = await error(oauth2(url))
    assert line.startswith(f"token for smf-1: {url}: ")


# -- renewals -----------------------------------------------------------------------------------------------------------


async def test_a_token_is_renewed_before_it_expires() -> None:
    nrf = Nrf()
    nrf.document["expires_in"] = 1.25  # renewed after a second
    async with http2(nrf) as url, fleet(oauth2(url)) as smfs:
        await until(lambda: all(keeper.generation == 2 for keeper in smfs.tokens.keepers.values()))
        assert smfs.smf.header not in (None, (b"authorization", b"Bearer token-1"))
        assert smfs.tokens.statistics() == TokenStatistics(requested=6, renewed=3)
        assert smfs.notes == []


async def refused_once_old(smfs: Fleet) -> list[bool]:
    """Ten requests are answered 401 when the token is no longer new."""
    heard: list[bool] = []
    for _ in range(10):
        smfs.smf.on_unauthorized(smfs.smf.generation, heard.append)
    await until(lambda: len(heard) == 10)
    return heard


@pytest.fixture
def never_young(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.fleet.token_life.YOUNG_NS", 0)


@pytest.mark.usefixtures("never_young")
async def test_requests_that_are_refused_cause_one_renewal_and_hear_of_it() -> None:
    nrf = Nrf()
    async with http2(nrf) as url, fleet(oauth2(url)) as smfs:
        assert await refused_once_old(smfs) == [True] * 10
        assert (len(nrf.asked), smfs.smf.generation) == (4, 2)
        heard: list[bool] = []
        smfs.smf.on_unauthorized(1, heard.append)
        assert heard == [True]
        assert smfs.tokens.statistics() == TokenStatistics(requested=4, renewed=1, refused=11)


@pytest.mark.usefixtures("never_young")
async def test_a_token_server_that_was_restarted_is_found_again() -> None:
    nrf, port = Nrf(), free_port()
    async with AsyncExitStack() as stack:
        async with http2(nrf, port=port) as url:
            smfs = await stack.enter_async_context(fleet(oauth2(url)))
        async with http2(nrf, port=port):
            assert await refused_once_old(smfs) == [True] * 10
        assert smfs.notes == []


async def test_a_url_that_only_httpx_refuses_is_named() -> None:
    line = await error(oauth2("http://nrf..example/token"))
    assert line.startswith(("authentication.token_url: ", "token for smf-1: http://nrf..example/token: "))


@pytest.mark.usefixtures("never_young")
async def test_a_failure_is_told_once_for_all_until_it_changes_or_is_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.fleet.token_life.BACKOFF_MIN_S", 0.01)
    monkeypatch.setattr("simulator.fleet.token_life.BACKOFF_MAX_S", 0.01)
    nrf = Nrf()
    async with http2(nrf) as url, fleet(oauth2(url)) as smfs:
        keepers = smfs.tokens.keepers.values()

        async def fails(status: int, error: str) -> None:
            nrf.status, nrf.body = status, orjson.dumps({"error": error})
            before = smfs.tokens.statistics().failed
            for keeper in keepers:
                keeper.on_unauthorized(keeper.generation, lambda newer: None)
            await until(lambda: smfs.tokens.statistics().failed > before + 9)

        async def is_mended() -> None:
            nrf.status, nrf.body = 200, None
            generations = [keeper.generation for keeper in keepers]
            await until(lambda: all(now.generation > was for now, was in zip(keepers, generations, strict=True)))

        await fails(401, "invalid_client")
        await fails(401, "invalid_client")
        assert smfs.smf.header == (b"authorization", b"Bearer token-1"), "the present one stays in use"
        await fails(503, "busy")
        await is_mended()
        await fails(503, "busy")
        lines = [line.partition(": ")[2] for line in smfs.notes]
        assert lines == [f"{url} answered {what}" for what in ("401 invalid_client", "503 busy", "503 busy")]


@pytest.mark.usefixtures("never_young")
async def test_the_failure_of_one_network_function_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.fleet.token_life.BACKOFF_MAX_S", 0.01)
    nrf = Nrf()
    async with http2(nrf) as url, fleet(oauth2(url)) as smfs:
        nrf.status, nrf.body = 503, b""
        smfs.smf.on_unauthorized(1, lambda newer: None)
        await until(lambda: smfs.tokens.statistics().failed > 5)
        assert smfs.notes == [f"token for smf-1: {url} answered 503"]


async def test_who_waits_for_a_renewal_when_the_run_ends_hears_that_there_is_none() -> None:
    nrf = Nrf()
    heard: list[bool] = []
    async with http2(nrf) as url:
        async with fleet(oauth2(url)) as smfs:
            nrf.silent = True
            smfs.smf._life._issued = 0  # type: ignore[attr-defined]
            smfs.smf.on_unauthorized(1, heard.append)
            await until(lambda: len(nrf.asked) == 4)
        assert heard == [False]


# -- tokens from elsewhere ----------------------------------------------------------------------------------------------


async def test_a_token_from_elsewhere_is_everybodys_and_never_renewed() -> None:
    async with fleet({"kind": "token", "token": {"env": "NRF_SECRET"}}) as smfs:
        assert smfs.headers() == [(b"authorization", b"Bearer " + SECRET.encode())] * 3
        assert await refused_once_old(smfs) == [False] * 10
        assert smfs.tokens.statistics() == TokenStatistics(refused=10)


async def test_a_secret_that_is_not_there_or_no_token_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NRF_SECRET")
    token = {"kind": "token", "token": {"env": "NRF_SECRET"}}
    assert await error(token) == "authentication: the environment variable NRF_SECRET is not set"
    assert await error(basic("http://nrf/token")) == "authentication: the environment variable NRF_SECRET is not set"
    monkeypatch.setenv("NRF_SECRET", "two words")
    assert "holds no token" in await error(token)


async def test_a_file_that_everybody_can_read_is_noted(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("abc\n")
    file.chmod(0o644)
    async with fleet({"kind": "token", "token": {"file": str(file)}}) as smfs:
        assert smfs.smf.header == (b"authorization", b"Bearer abc")
        assert smfs.notes == [
            f"authentication: every user of this machine can read the file {file}; say chmod 600 {file}"
        ]


async def test_the_token_goes_to_the_target_and_to_allowed_hosts_only() -> None:
    token = {"kind": "token", "token": {"env": "NRF_SECRET"}, "allowed_hosts": ["chf-2.example"]}
    async with fleet(token) as smfs:
        origins = [b"http://chf.example:8080", b"http://chf-2.example:8080", b"http://evil.example:8080"]
        assert [smfs.tokens.may_send_to(origin) for origin in origins] == [True, True, False]


# -- secrets stay secret ------------------------------------------------------------------------------------------------


async def test_no_log_at_any_level_holds_a_secret_or_a_token(caplog: pytest.LogCaptureFixture) -> None:
    nrf = Nrf()
    caplog.set_level(logging.DEBUG)
    async with http2(nrf) as url, fleet(basic(url)):
        pass
    async with http11(nrf) as url, fleet(basic(url)):
        pass
    assert len(nrf.asked) == 6
    written = base64.b64encode(f"fleet:{SECRET}".encode()).decode()
    assert "HTTP Request: POST" in caplog.text
    for secret in (SECRET, written, "token-1", "nfInstanceId", "Encoded header block"):
        assert secret not in caplog.text


async def test_no_representation_holds_a_secret_or_a_token() -> None:
    nrf = Nrf()
    async with http2(nrf) as url, fleet(basic(url)) as smfs:
        assert smfs.smf.header == (b"authorization", b"Bearer token-1")
        for each in (smfs.tokens, smfs.smf, smfs.tokens._client, smfs.tokens.statistics()):
            assert SECRET not in repr(each)
            assert "token-1" not in repr(each)
