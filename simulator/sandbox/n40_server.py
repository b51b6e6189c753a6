"""N40 over HTTP/2: octets from the server to the charging function and back. Everything is decided in `chf`."""

from __future__ import annotations

import logging
import ssl
import time

from simulator.http2 import GuardLimits, Handler, Server, ServerLimits, ServerRequest
from simulator.sandbox.answers import Problem, Reply
from simulator.sandbox.chf import MAX_BODY, Chf

_log = logging.getLogger(__name__)


def fair_weather(chf: Chf) -> Handler:
    """What answers requests as long as nothing is set that would do so differently."""

    def answer(request: ServerRequest) -> None:
        try:
            reply = chf.handle(request.method, request.path, request.headers, request.body, time.monotonic_ns())
        except Exception:
            reply = stumbled(request)
        request.respond(reply.status, reply.headers, reply.body)

    return answer


def stumbled(request: ServerRequest) -> Reply:
    """The answer while an exception of ours is handled: it must not end the connection with all the requests on it."""
    _log.exception("a request could not be answered: %s %s", request.method, request.path)
    return Problem(500, "SYSTEM_FAILURE", "the charging function failed; see its log").reply()


async def serve_n40(
    chf: Chf, host: str, port: int, tls: ssl.SSLContext | None = None, guard: GuardLimits | None = None
) -> Server:
    """Listens; port 0 takes a free one. OSError if the port is in use."""
    limits = ServerLimits(max_body_octets=MAX_BODY, guard=guard)
    return await Server.serve(fair_weather(chf), host, port, tls=tls, limits=limits)
