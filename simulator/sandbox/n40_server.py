"""N40 over HTTP/2: octets from the server to the charging function and back. Everything is decided in `chf`."""

from __future__ import annotations

import logging
import ssl
import time

from simulator.http2 import Server, ServerLimits, ServerRequest
from simulator.sandbox.answers import Problem
from simulator.sandbox.chf import MAX_BODY, Chf

_log = logging.getLogger(__name__)
_LIMITS = ServerLimits(max_body_octets=MAX_BODY)


async def serve_n40(chf: Chf, host: str, port: int, tls: ssl.SSLContext | None = None) -> Server:
    """Listens; port 0 takes a free one. OSError if the port is in use."""

    def answer(request: ServerRequest) -> None:
        try:
            reply = chf.handle(request.method, request.path, request.headers, request.body, time.monotonic_ns())
        except Exception:
            # A mistake of ours must not end the connection with all the requests on it.
            _log.exception("a request could not be answered: %s %s", request.method, request.path)
            reply = Problem(500, "SYSTEM_FAILURE", "the charging function failed; see its log").reply()
        request.respond(reply.status, reply.headers, reply.body)

    return await Server.serve(answer, host, port, tls=tls, limits=_LIMITS)
