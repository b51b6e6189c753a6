"""Small HTTP/1.1 servers for people, scripts and browsers: what the management APIs share."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import uvicorn
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

MAX_BODY = 1 << 20
_CLOSING_S = 2


async def read_body(request: Request) -> bytes:
    """The body, of a bounded size. Raises HTTPException 413."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413, f"the body is larger than {MAX_BODY} octets")
    return bytes(body)


async def read_json(request: Request) -> Any:
    """The body, read as JSON. Raises HTTPException 400 or 413."""
    try:
        return json.loads(await read_body(request))
    except (ValueError, RecursionError):
        raise HTTPException(400, "the body is not JSON") from None


def json_response(document: dict[str, Any], status: int = 200) -> Response:
    """A JSON document."""
    # Not orjson: sums of 64-bit amounts may be wider than 64 bits.
    return Response(json.dumps(document) + "\n", status, media_type="application/json")


async def error_response(_request: Request, error: Exception) -> Response:
    """Every error is `{"error": "..."}` with a status that fits."""
    assert isinstance(error, HTTPException)
    response = json_response({"error": error.detail}, error.status_code)
    response.headers.update(error.headers or {})
    return response


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, host: str, port: int) -> AsyncIterator[str]:
    """Serve an application for the length of the block; gives its address. Raises OSError where it cannot listen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    listener = socket.create_server((host, port), family=family, backlog=128)
    server = _Uvicorn(
        uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=_CLOSING_S)
    )
    with listener:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve_shielded, listener)
            try:
                yield f"http://{authority(host, listener.getsockname()[1])}"
            finally:
                server.should_exit = True


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a line of the server's log is worth one: neither what is no HTTP nor a request that nobody finished is."""
    error = record.exc_info[1] if record.exc_info else None
    is_old = isinstance(error, asyncio.CancelledError) or "graceful shutdown exceeded" in record.getMessage()
    return record.levelno >= logging.ERROR and not is_old


def authority(host: str, port: int) -> str:
    """Host and port as a URL has them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class _Uvicorn(uvicorn.Server):
    """Uvicorn without its signal handlers: those of the process are set once, by whoever it belongs to."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def serve_shielded(self, listener: socket.socket) -> None:
        """Serves until `should_exit`: a cancellation would leave its connections behind."""
        with anyio.CancelScope(shield=True):
            await self.serve(sockets=[listener])
