from __future__ import annotations

import socket
from urllib.parse import urlsplit

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulator import web

pytestmark = pytest.mark.anyio


async def test_no_http_and_a_request_that_is_never_finished_are_passed_over_in_silence(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(web, "_CLOSING_S", 0.1)
    begun = anyio.Event()

    async def take(request: Request) -> Response:
        begun.set()
        return web.json_response({"read": len(await web.read_body(request))})

    app = Starlette(routes=[Route("/", take, methods=["POST"])])
    async with web.serving(app, "127.0.0.1", 0) as address:
        client = socket.create_connection(("127.0.0.1", urlsplit(address).port or 0))
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        await begun.wait()
        nonsense = await anyio.connect_tcp("127.0.0.1", urlsplit(address).port or 0)
        await nonsense.send(b"\x16\x03\x01\r\n\r\n")
        assert b"400" in await nonsense.receive()
        await nonsense.aclose()
    client.close()
    assert caplog.records == []
