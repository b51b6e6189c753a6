"""The fleet as a server: what a CHF that notifies it gets, over real sockets and from clients that are not ours."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulator.config.notify import Notify
from simulator.fleet.notify_server import NotifyError, NotifyServer
from simulator.http2 import CODECS
from simulator.n40.notification import MAX_BODY, Notification, NotificationKind
from tests.http2.conftest import Certificates
from tests.http2.peers import free_port, until
from tests.http2.test_independent_peers import output

pytestmark = pytest.mark.anyio
REAUTHORIZATION = b'{"notificationType":"REAUTHORIZATION","reauthorizationDetails":[{"ratingGroup":100}]}'
ABORT = b'{"notificationType":"ABORT_CHARGING"}'
KNOWN = 4_294_967_295


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}


class Fleet:
    """A worker with one session."""

    def __init__(self, server: NotifyServer, heard: list[tuple[int, Notification]]) -> None:
        self.server = server
        self.heard = heard
        self.session = f"{server.base_uri}/{KNOWN}"


@asynccontextmanager
async def listening(worker: int = 0, *, codec: str = "ngh2", **fields: Any) -> AsyncIterator[Fleet]:
    heard: list[tuple[int, Notification]] = []

    def on_notify(charging_id: int, notification: Notification) -> bool:
        heard.append((charging_id, notification))
        return charging_id == KNOWN

    config = Notify.model_validate({"listen": "127.0.0.1:0", **fields})
    server = await NotifyServer.open(config, worker, on_notify, codec=codec)
    try:
        yield Fleet(server, heard)
    finally:
        await server.aclose()


@asynccontextmanager
async def chf() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(http1=False, http2=True, headers={"content-type": "application/json"}) as client:
        yield client


def problem(answer: httpx.Response) -> tuple[int, str | None]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    return answer.status_code, answer.json().get("cause")


@pytest.mark.parametrize("codec", CODECS)
async def test_a_known_session_is_notified(codec: str) -> None:
    async with listening(codec=codec) as smf, chf() as client:
        answers = [await client.post(smf.session, content=body) for body in (REAUTHORIZATION, ABORT)]
        assert [(answer.status_code, answer.content) for answer in answers] == [(204, b""), (204, b"")]
        assert smf.heard == [
            (KNOWN, Notification(kind=NotificationKind.REAUTHORIZATION, rating_groups=(100,))),
            (KNOWN, Notification(kind=NotificationKind.ABORT_CHARGING)),
        ]
        assert smf.server.counts == Counter({("REAUTHORIZATION", 204): 1, ("ABORT_CHARGING", 204): 1})


async def test_an_unknown_session_is_404() -> None:
    async with listening() as smf, chf() as client:
        answer = await client.post(f"{smf.server.base_uri}/7", content=ABORT)
        assert problem(answer) == (404, "CONTEXT_NOT_FOUND")
        assert [charging_id for charging_id, _ in smf.heard] == [7]
        assert smf.server.counts == Counter({("ABORT_CHARGING", 404): 1})


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nsmf-callback/n40",
        "/nsmf-callback/n40/2",
        "/nsmf-callback/n40/2/",
        "/nsmf-callback/n40/1/7",
        "/nsmf-callback/n40/2/seven",
        "/nsmf-callback/n40/2/-7",
        "/nsmf-callback/n40/2/7/notify",
        "/nsmf-callback/n40/2/70000000000",
        "/nsmf-callback/n40/2/%37",
    ],
)
async def test_any_other_path_and_another_worker_are_404(path: str) -> None:
    async with listening(worker=2) as smf, chf() as client:
        answer = await client.post(f"http://127.0.0.1:{smf.server.port}{path}", content=ABORT)
        assert problem(answer) == (404, "RESOURCE_URI_STRUCTURE_NOT_FOUND")
        assert f"{smf.server.base_uri}/{{charging id}}" in answer.json()["detail"]
        assert smf.heard == []
        assert smf.server.counts == Counter({("", 404): 1})


async def test_only_post_is_possible() -> None:
    async with listening() as smf, chf() as client:
        answer = await client.get(smf.session)
        assert (*problem(answer), answer.headers["allow"]) == (405, None, "POST")


async def test_another_content_type_is_415_and_none_is_taken_for_json() -> None:
    async with listening() as smf, chf() as client:
        answer = await client.post(smf.session, content=ABORT, headers={"content-type": "text/plain"})
        assert (*problem(answer), answer.headers["accept"]) == (415, None, "application/json")
        good = {"content-type": "Application/JSON; charset=utf-8"}
        assert (await client.post(smf.session, content=ABORT, headers=good)).status_code == 204
        async with httpx.AsyncClient(http1=False, http2=True) as bare:
            assert (await bare.post(smf.session, content=ABORT)).status_code == 204


@pytest.mark.parametrize("codec", CODECS)
async def test_an_oversized_body_is_413(codec: str) -> None:
    async with listening(codec=codec) as smf, chf() as client:
        assert (await client.post(smf.session, content=bytes(MAX_BODY + 1))).status_code == 413
        assert (await client.post(smf.session, content=ABORT.ljust(MAX_BODY))).status_code == 204


async def test_what_cannot_be_read_is_400_and_the_connection_goes_on() -> None:
    async with listening() as smf, chf() as client:
        assert problem(await client.post(smf.session, content=b"{")) == (400, "INVALID_MSG_FORMAT")
        answer = await client.post(smf.session, content=b"{}")
        assert problem(answer) == (400, "MANDATORY_IE_MISSING")
        assert answer.json()["invalidParams"] == [{"param": "/notificationType", "reason": "missing"}]
        assert (await client.post(smf.session, content=ABORT)).status_code == 204
        assert smf.server.counts == Counter({("", 400): 2, ("ABORT_CHARGING", 204): 1})


# -- where it listens ---------------------------------------------------------------------------------------------------


async def test_workers_listen_on_ports_of_their_own() -> None:
    port = free_port()
    listen = f"127.0.0.1:{port}"
    async with listening(0, listen=listen) as first, listening(1, listen=listen) as second:
        assert first.server.base_uri == f"http://127.0.0.1:{port}/nsmf-callback/n40/0"
        assert second.server.base_uri == f"http://127.0.0.1:{port + 1}/nsmf-callback/n40/1"


async def test_a_free_port_is_advertised_as_the_one_it_became() -> None:
    async with listening(advertise="http://localhost:{port}/lab") as smf, chf() as client:
        assert smf.server.base_uri == f"http://localhost:{smf.server.port}/lab/nsmf-callback/n40/0"
        assert (await client.post(smf.session, content=ABORT)).status_code == 204
        behind_a_proxy = f"http://localhost:{smf.server.port}/nsmf-callback/n40/0/{KNOWN}"
        assert (await client.post(behind_a_proxy, content=ABORT)).status_code == 204


async def test_ipv6() -> None:
    async with listening(listen="[::1]:0") as smf, chf() as client:
        assert smf.server.base_uri.startswith("http://[::1]:")
        assert (await client.post(smf.session, content=ABORT)).status_code == 204


async def error(worker: int = 0, **fields: Any) -> str:
    with pytest.raises(NotifyError) as caught:
        async with listening(worker, **fields):
            pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_a_port_in_use_is_said_with_what_to_set() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert await error(listen=f"127.0.0.1:{port}") == (
            f"notify: cannot listen on 127.0.0.1 port {port}: address already in use; "
            "set notify.listen to a free port (0 takes any), or notify.enabled to false"
        )


async def test_what_else_can_be_wrong_is_one_line() -> None:
    assert (await error(listen="203.0.113.7:0")).startswith(
        "notify: cannot listen on 203.0.113.7 port 0: cannot assign"
    )
    assert (await error(listen="nowhere.invalid:0")).startswith("notify: cannot listen on nowhere.invalid port 0: ")
    assert await error(3, listen="127.0.0.1:65533") == (
        "notify: worker 3 would listen on port 65536: say a lower notify.listen"
    )
    assert await error(tls={"certificate": "none.pem", "key": "none.key"}) == "notify.tls: no such file: none.pem"


async def test_closing_answers_what_is_under_way_and_frees_the_port() -> None:
    async with listening() as smf, chf() as client:
        port = smf.server.port
        assert (await client.post(smf.session, content=ABORT)).status_code == 204
        await smf.server.aclose()
        socket.create_server(("127.0.0.1", port)).close()


# -- clients that are not ours ------------------------------------------------------------------------------------------

Tool = Callable[[str], str]
TYPE = ("-H", "content-type: application/json")


@pytest.mark.parametrize("codec", CODECS)
async def test_curl_and_nghttp_notify(require_tool: Tool, tmp_path: Path, codec: str) -> None:
    body = tmp_path / "notify.json"
    body.write_bytes(REAUTHORIZATION)
    curl = (require_tool("curl"), "-sS", "--http2-prior-knowledge", *TYPE, "-w", "%{http_code} %{http_version}")
    async with listening(codec=codec) as smf:
        assert await output(*curl, "--data-binary", f"@{body}", smf.session) == "204 2"
        text = await output(require_tool("nghttp"), "-v", *TYPE, "-d", str(body), smf.session)
        assert ":status: 204" in text
        answer = await output(*curl, "-d", ABORT.decode(), f"{smf.server.base_uri}/7")
        assert json.loads(answer.removesuffix("404 2"))["cause"] == "CONTEXT_NOT_FOUND"
        assert smf.server.counts == Counter({("REAUTHORIZATION", 204): 2, ("ABORT_CHARGING", 404): 1})


async def test_curl_notifies_over_tls(require_tool: Tool, certificates: Certificates) -> None:
    certificate, key = (str(file) for file in certificates.server_files)
    curl = (require_tool("curl"), "-sS", "--http2", "--cacert", str(certificates.ca_file), *TYPE)
    async with listening(listen="127.0.0.1:0", tls={"certificate": certificate, "key": key}) as smf:
        assert smf.session.startswith("https://")
        assert await output(*curl, "-w", "%{http_code} %{http_version}", "-d", ABORT.decode(), smf.session) == "204 2"


async def test_a_storm_is_answered_to_the_last_notification(require_tool: Tool, tmp_path: Path) -> None:
    body = tmp_path / "notify.json"
    body.write_bytes(REAUTHORIZATION)
    async with listening() as smf:
        text = await output(require_tool("h2load"), "-n20000", "-c8", "-m50", *TYPE, "-d", str(body), smf.session)
        assert "20000 succeeded, 0 failed, 0 errored, 0 timeout" in text
        assert smf.server.counts == Counter({("REAUTHORIZATION", 204): 20_000})
        assert {charging_id for charging_id, _ in smf.heard} == {KNOWN}
        await until(lambda: smf.server.statistics().connections == 0)


async def test_a_peer_that_sends_garbage_harms_nobody_else() -> None:
    async with listening() as smf, chf() as client:
        _, writer = await asyncio.open_connection("127.0.0.1", smf.server.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n" * 10)
        await writer.drain()
        writer.close()
        assert (await client.post(smf.session, content=ABORT)).status_code == 204
