"""The sandbox as a service: real sockets, and clients that are not ours."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import trustme
from pydantic import ValidationError

from simulator.http2 import Server, ServerRequest
from simulator.sandbox import Chf
from simulator.sandbox.n40_server import serve_n40
from simulator.sandbox.process import Ready, SandboxError, SandboxSettings, serve_sandbox
from tests.sandbox.smf import COLLECTION, KB, SUBSCRIBER, ask, message, plan, used

PATH = COLLECTION.decode()
JSON = {"content-type": "application/json"}


@asynccontextmanager
async def sandbox(**settings: Any) -> AsyncIterator[Ready]:
    """A sandbox in this process, until the block ends."""
    send, receive = anyio.create_memory_object_stream[Ready](1)
    async with send, receive, anyio.create_task_group() as tasks:

        async def serve() -> None:
            await serve_sandbox(SandboxSettings(plan=plan(), **settings), on_ready=send.send_nowait)

        tasks.start_soon(serve)
        yield await receive.receive()
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_a_session_over_the_wire() -> None:
    async with sandbox() as ready, httpx.AsyncClient(http1=False, http2=True, base_url=ready.n40) as n40:
        opened = await n40.post(PATH, json=message(0, [ask(300)]))
        assert (opened.status_code, opened.http_version) == (201, "HTTP/2")
        session = opened.headers["location"]
        updated = await n40.post(f"{session}/update", json=message(1, [used(300, totalVolume=KB, then_ask=True)]))
        assert updated.json()["multipleUnitInformation"][0]["resultCode"] == "SUCCESS"
        released = await n40.post(f"{session}/release", json=message(2, [used(300, totalVolume=KB)]))
        assert (released.status_code, released.content) == (204, b"")
        async with httpx.AsyncClient(base_url=ready.management) as management:
            account = (await management.get(f"/accounts/{SUBSCRIBER}")).json()
            assert account["balances"]["data"]["used"] == 2 * KB
            records = (await management.get("/ledger")).text.splitlines()
            assert [json.loads(record)["units"] for record in records] == [2 * KB]


@pytest.mark.anyio
async def test_a_token_is_needed_where_the_settings_say_so() -> None:
    settings = {"lifetime": "60s", "clients": {"smf": "secret"}}
    async with sandbox(tokens=settings) as ready, httpx.AsyncClient(http1=False, http2=True, base_url=ready.n40) as n40:
        refused = await n40.post(PATH, json=message(0, [ask(300)]))
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer error="invalid_token"')
        form = {"grant_type": "client_credentials", "scope": "nchf-convergedcharging"}
        assert (await n40.post("/oauth2/token", data=form)).status_code == 401
        given = (await n40.post("/oauth2/token", data=form, auth=("smf", "secret"))).json()
        assert (given["token_type"], given["expires_in"]) == ("Bearer", 60)
        n40.headers["authorization"] = f"Bearer {given['access_token']}"
        assert (await n40.post(PATH, json=message(0, [ask(300)]))).status_code == 201
        async with httpx.AsyncClient(base_url=ready.management) as management:
            assert (await management.post("/tokens/revoke")).json() == {"revoked": 1}
        assert (await n40.post(PATH, json=message(1, [ask(300)]))).status_code == 401


@pytest.mark.anyio
async def test_a_credit_over_the_management_api_notifies_the_session_that_ran_short() -> None:
    got: list[ServerRequest] = []

    def consume(request: ServerRequest) -> None:
        got.append(request)
        request.respond(204, [])

    consumer = await Server.serve(consume, "127.0.0.1", 0)
    try:
        async with (
            sandbox() as ready,
            httpx.AsyncClient(http1=False, http2=True, base_url=ready.n40) as n40,
            httpx.AsyncClient(base_url=ready.management) as management,
        ):
            uri = f"http://127.0.0.1:{consumer.port}/w1/7"
            opened = await n40.post(PATH, json=message(0, [ask(200, serviceSpecificUnits=3)], notifyUri=uri))
            assert "finalUnitIndication" in opened.json()["multipleUnitInformation"][0]
            await management.post("/accounts", json={"subscriber": SUBSCRIBER, "balances": {"sms": 5}})
            told: dict[str, Any] = {}
            with anyio.fail_after(10):
                while told.get("results") != {"REAUTHORIZATION": {"204": 1}}:
                    told = (await management.get("/totals")).json()["notifications"]
            assert [(request.path, json.loads(request.body)["reauthorizationDetails"]) for request in got] == [
                (b"/w1/7", [{"ratingGroup": 200}])
            ]
    finally:
        await consumer.aclose()


def test_secrets_go_to_the_child_and_nowhere_else() -> None:
    settings = SandboxSettings.model_validate({"plan": plan(), "tokens": {"clients": {"smf": "s3cret"}}})
    assert "s3cret" not in repr(settings)
    assert "s3cret" not in str(settings)
    again = SandboxSettings.model_validate(settings.model_dump(mode="json"))
    assert again.tokens is not None
    assert again.tokens.clients["smf"].get_secret_value() == "s3cret"


@pytest.mark.anyio
async def test_a_silent_session_expires_in_the_pace_of_the_run() -> None:
    async with sandbox(pace=7200 / 0.2) as ready, httpx.AsyncClient(http1=False, http2=True) as client:
        await client.post(ready.n40 + PATH, json=message(0, [ask(300)]))
        async with httpx.AsyncClient(base_url=ready.management) as management:
            while (await management.get("/totals")).json()["sessions"]["expired"] == 0:  # noqa: ASYNC110 - over there
                await anyio.sleep(0.02)
            account = (await management.get(f"/accounts/{SUBSCRIBER}")).json()
            assert account["balances"]["data"]["reserved"] == 0


@pytest.mark.anyio
async def test_the_ledger_is_kept_in_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "books"
    async with sandbox(ledger_folder=folder) as ready, httpx.AsyncClient(http1=False, http2=True) as client:
        event = message(0, [ask(200)], oneTimeEvent=True, oneTimeEventType="IEC")
        await client.post(ready.n40 + PATH, json=event)
    (file,) = folder.iterdir()
    assert json.loads(file.read_text())["debited"] == 1


@pytest.mark.anyio
@pytest.mark.parametrize("what", ["port", "management_port"])
async def test_a_port_in_use_is_said_in_one_line(what: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SandboxError) as error:
            await serve_sandbox(SandboxSettings.model_validate({"plan": plan(), what: port}), on_ready=print)
    assert str(error.value).startswith(f"sandbox: cannot listen for {'N40' if what == 'port' else 'management'} on")
    assert str(port) in str(error.value)
    assert "\n" not in str(error.value)


class Stumbling:
    """A charging function that fails as long as `stumbles` is set."""

    def __init__(self) -> None:
        self.chf = Chf(plan())
        self.stumbles = True

    def handle(self, *request: Any) -> Any:
        if self.stumbles:
            raise RuntimeError("a mistake of ours")
        return self.chf.handle(*request)


@pytest.mark.anyio
async def test_a_mistake_of_ours_is_a_500_and_the_connection_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    chf: Any = Stumbling()
    server = await serve_n40(chf, "127.0.0.1", 0)
    try:
        async with httpx.AsyncClient(http1=False, http2=True, base_url=f"http://127.0.0.1:{server.port}") as client:
            failed = await client.post(PATH, json=message(0, [ask(300)]))
            chf.stumbles = False
            assert (failed.status_code, failed.json()["cause"]) == (500, "SYSTEM_FAILURE")
            assert "could not be answered" in caplog.text
            assert (await client.post(PATH, json=message(0, [ask(300)]))).status_code == 201
            assert server.statistics().connections == 1
    finally:
        await server.aclose()


@contextmanager
def child(settings: dict[str, Any] | None = None) -> Iterator[tuple[subprocess.Popen[str], Ready]]:
    """The sandbox as a child process, killed if the test did not end it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator.sandbox"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(settings or {}) + "\n")
            process.stdin.flush()
            yield process, Ready.model_validate(json.loads(process.stdout.readline())["ready"])
        finally:
            process.kill()


def run(*command: str | Path, text: bytes = b"") -> str:
    done = subprocess.run(command, input=text, capture_output=True, timeout=20, check=False)
    return (done.stdout + done.stderr).decode()


def test_a_child_ends_with_its_input() -> None:
    with child() as (process, _):
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_child_ends_on_a_signal(number: signal.Signals) -> None:
    with child() as (process, _):
        os.kill(process.pid, number)
        assert process.wait(10) == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("nonsense", "settings"),
        ("[]", "settings"),
        ('{"prot": 1}', 'unknown key "prot", did you mean "port"?'),
        ('{"port": 70000}', "settings: port: "),
        ('{"certificate": "missing.pem"}', "missing.pem"),
        (
            '{"faults": [{"endpoint": 2, "silence": true}]}',
            "settings: faults: 0: endpoint: the sandbox has 1 endpoint, got 2",
        ),
        ('{"endpoints": 2, "ports": [1]}', "settings: expected 2 ports, one per endpoint, got 1"),
        ('{"quirks": "sigscal"}', 'no quirks "sigscal", did you mean "sigscale"?'),
        ('{"host": "203.0.113.1"}', "cannot listen for N40 on 203.0.113.1:0"),
    ],
)
def test_a_child_that_cannot_start_says_why_in_one_line(settings: str, words: str) -> None:
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "simulator.sandbox"]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdin is not None  # kept open: its end would end the process before it has tried
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(settings + "\n")
        process.stdin.flush()
        (line,) = process.stderr.read().splitlines()
        assert words in line
        assert process.stdout.read() == ""
        assert process.wait(10) == 2


def test_curl_and_nghttp_are_served(require_tool: Callable[[str], str], reference: Path) -> None:
    example = reference / "n40-examples" / "min" / "voice_create.request.json"
    with child() as (_, ready):
        said = run(
            require_tool("curl"), "-s", "-i", "--http2-prior-knowledge", "-H", "content-type: application/json",
            "--data-binary", "@-", ready.n40 + PATH, text=json.dumps(message(0, [ask(300)])).encode(),
        )  # fmt: skip
        assert said.startswith("HTTP/2 201")
        assert "location: " + ready.n40 + PATH in said
        assert '"resultCode":"SUCCESS"' in said
        said = run(
            require_tool("nghttp"), "-v", "-H", "content-type: application/json", "-d", example, ready.n40 + PATH
        )
        assert ":status: 201" in said
        assert '"resultCode":"RATING_FAILED"' in said


def test_h2load_repeats_are_charged_once(require_tool: Callable[[str], str], tmp_path: Path) -> None:
    """The same Create, 2,000 times over 4 connections, is one session."""
    body = tmp_path / "create.json"
    body.write_text(json.dumps(message(0, [ask(300)])))
    with child() as (_, ready):
        said = run(
            require_tool("h2load"), "-n", "2000", "-c", "4", "-m", "20", "-H", "content-type: application/json",
            "-d", body, ready.n40 + PATH,
        )  # fmt: skip
        assert "2000 succeeded" in said
        assert "2000 2xx" in said
        told = httpx.get(ready.management + "/totals").json()
        assert told["requests"] == {"create": {"201": 1, "repeated": 1999}}
        assert told["sessions"]["open"] == 1


def test_tls_with_client_certificates(require_tool: Callable[[str], str], tmp_path: Path) -> None:
    authority = trustme.CA()
    files = {name: tmp_path / f"{name}.pem" for name in ("ca", "server", "client")}
    authority.cert_pem.write_to_path(str(files["ca"]))
    authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(files["server"]))
    authority.issue_cert("smf.example").private_key_and_cert_chain_pem.write_to_path(str(files["client"]))
    settings = {"certificate": str(files["server"]), "client_ca": str(files["ca"])}
    with child(settings) as (_, ready):
        assert ready.n40.startswith("https://127.0.0.1:")
        command: list[str | Path] = [
            require_tool("curl"), "-s", "-S", "-i", "--http2", "--cacert", files["ca"], "-H", "content-type: application/json",
            "--data-binary", "@-", ready.n40 + PATH,
        ]  # fmt: skip
        body = json.dumps(message(0, [ask(300)])).encode()
        assert run(*command, "--cert", files["client"], text=body).startswith("HTTP/2 201")
        assert "HTTP/2 201" not in run(*command, text=body)


@pytest.mark.parametrize("field", ["key", "client_ca"])
def test_tls_that_would_be_ignored_is_refused(field: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="needs a certificate"):
        SandboxSettings.model_validate({"plan": plan(), field: tmp_path / "x.pem"})


@pytest.mark.anyio
async def test_endpoints_follow_one_another_or_take_the_ports_they_are_given() -> None:
    free = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    ports = [each.getsockname()[1] for each in free]
    for each in free:
        each.close()
    async with sandbox(endpoints=2, ports=ports) as ready:
        assert ready.endpoints == [f"http://127.0.0.1:{port}" for port in ports]
        assert ready.n40 == ready.endpoints[0]
    settings = SandboxSettings.model_validate({"plan": plan(), "port": 8080, "endpoints": 3})
    assert settings.all_ports == [8080, 8081, 8082]


@pytest.mark.anyio
async def test_the_second_port_in_use_is_the_one_that_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = {"plan": plan(), "endpoints": 2, "ports": [0, port]}
        with pytest.raises(SandboxError, match=f"cannot listen for N40 on 127.0.0.1:{port}"):
            await serve_sandbox(SandboxSettings.model_validate(settings), on_ready=print)


@pytest.mark.anyio
async def test_separate_stores_keep_separate_books_that_are_read_as_one(tmp_path: Path) -> None:
    async with sandbox(endpoints=2, stores="separate", ledger_folder=tmp_path) as ready:
        async with httpx.AsyncClient(http1=False, http2=True) as client:
            for address in ready.endpoints:
                event = message(0, [ask(200)], oneTimeEvent=True, oneTimeEventType="IEC")
                assert (await client.post(address + PATH, json=event)).status_code == 201
        async with httpx.AsyncClient(base_url=ready.management) as management:
            records = [json.loads(line) for line in (await management.get("/ledger")).text.splitlines()]
    assert len({record["ref"] for record in records}) == 2
    assert len(list(tmp_path.iterdir())) == 2  # noqa: ASYNC240 - nothing else runs any more


@pytest.mark.anyio
@pytest.mark.parametrize("at_once", [True, False])
async def test_faults_wait_for_the_clock_unless_they_start_at_once(at_once: bool) -> None:
    faults = [{"status": 503}]
    async with (
        sandbox(faults=faults, starts_at_once=at_once) as ready,
        httpx.AsyncClient(http1=False, http2=True) as n40,
    ):
        assert (await n40.post(ready.n40 + PATH, json=message(0, [ask(300)]))).status_code == (503 if at_once else 201)
        async with httpx.AsyncClient(base_url=ready.management) as management:
            assert (await management.post("/faults/clock")).status_code == 200
        assert (await n40.post(ready.n40 + PATH, json=message(0, [ask(300)]))).status_code == 503


@pytest.mark.anyio
async def test_quirks_decide_what_location_looks_like() -> None:
    async with sandbox(quirks="totogi") as ready, httpx.AsyncClient(http1=False, http2=True) as client:
        opened = await client.post(ready.n40 + PATH, json=message(0, [ask(300)]))
        assert "/" not in opened.headers["location"]


@pytest.mark.anyio
async def test_a_storm_of_the_weather_notifies_and_ends_with_its_window() -> None:
    storm = {"until": "300ms", "notify": {"type": "ABORT_CHARGING", "rate": 1}}
    async with (
        sandbox(faults=[storm], starts_at_once=False) as ready,
        httpx.AsyncClient(http1=False, http2=True) as n40,
    ):
        for charging_id in range(3):
            pdu = {"pDUSessionChargingInformation": {"chargingId": charging_id}, "notifyUri": "http://127.0.0.1:9/x"}
            assert (await n40.post(ready.n40 + PATH, json=message(0, [ask(300)], **pdu))).status_code == 201
        async with httpx.AsyncClient(base_url=ready.management) as management:
            await management.post("/faults/clock")
            told = (await management.get("/totals")).json()
            assert told["weather"] == {"notify": 1}
            while told["notifications"]["storm_left"]:
                await anyio.sleep(0.02)
                told = (await management.get("/totals")).json()
            assert told["notifications"]["sent"] == 1
