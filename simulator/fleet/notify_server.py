"""The fleet as a server: the CHF notifies its sessions here (TS 32.291 5.2.2.5). Each worker listens for its own sessions."""

from __future__ import annotations

import os
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Final

from simulator.config.notify import BASE_PATH, HIGHEST_PORT, Notify
from simulator.http2 import Server, ServerLimits, ServerRequest, ServerStatistics, server_tls
from simulator.n40.notification import MAX_BODY, Notification, NotifyProblem, answer, read_notification

_LIMITS: Final = ServerLimits(max_body_octets=MAX_BODY)
_JSON: Final = (b"content-type", b"application/json")
_LONGEST_ID: Final = 10  # digits of a 32-bit charging id

OnNotify = Callable[[int, Notification], bool]
"""Hand a notification to the session with that charging id; tell whether there is one."""


class NotifyError(Exception):
    """The fleet cannot be notified; the message is one line that says why and what to do."""


class NotifyServer:
    """Made by `NotifyServer.open`. `counts` are notifications by kind ("" for what could not be read) and status."""

    def __init__(self, config: Notify, worker: int, on_notify: OnNotify) -> None:
        self.base_uri = ""
        """What the notifyUri of this worker's sessions begins with; `/{charging id}` follows."""
        self.counts: Counter[tuple[str, int]] = Counter()
        self._config = config
        self._worker = worker
        self._on_notify = on_notify
        self._bases: tuple[bytes, ...] = ()
        self._server: Server | None = None

    @classmethod
    async def open(cls, config: Notify, worker: int, on_notify: OnNotify, *, codec: str = "ngh2") -> NotifyServer:
        """Listen on the worker's port. Raises NotifyError."""
        notified = cls(config, worker, on_notify)
        server = await notified._listen(codec)
        notified._server = server
        notified.base_uri = config.base_uri(worker, server.port)
        # A proxy before us may have taken away the path under which it is reached.
        own = f"{BASE_PATH}/{worker}/".encode()
        advertised = b"/" + notified.base_uri.partition("://")[2].partition("/")[2].encode() + b"/"
        notified._bases = (own,) if advertised == own else (own, advertised)
        return notified

    async def _listen(self, codec: str) -> Server:
        config, port = self._config, self._config.port(self._worker)
        if port > HIGHEST_PORT:
            raise NotifyError(f"notify: worker {self._worker} would listen on port {port}: say a lower notify.listen")
        tls = self._tls()
        try:
            return await Server.serve(self._answer, config.host, port, codec=codec, tls=tls, limits=_LIMITS)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
            raise NotifyError(
                f"notify: cannot listen on {config.host} port {port}: {reason.lower()}; set notify.listen to a free port "
                f"(0 takes any), or notify.enabled to false"
            ) from None

    def _tls(self) -> ssl.SSLContext | None:
        tls = self._config.tls
        if tls is None:
            return None
        try:
            return server_tls(tls.certificate, tls.key)
        except (ValueError, OSError) as error:
            raise NotifyError(f"notify.tls: {error}") from None

    def _answer(self, request: ServerRequest) -> None:
        kind = ""
        try:
            charging_id = self._session(request.path)
            _check_form(request)
            notification = read_notification(request.body)
            kind = notification.kind
            reply = answer(self._on_notify(charging_id, notification))
        except NotifyProblem as problem:
            reply = problem.reply()
        status, headers, body = reply
        self.counts[kind, status] += 1
        request.respond(status, headers, body)

    def _session(self, path: bytes) -> int:
        """The charging id at the end of the path."""
        for base in self._bases:
            if path.startswith(base):
                charging_id = path[len(base) :]
                if charging_id.isdigit() and len(charging_id) <= _LONGEST_ID:
                    return int(charging_id)
        detail = f"notifications of this worker come to {self.base_uri}/{{charging id}}"
        raise NotifyProblem(404, "RESOURCE_URI_STRUCTURE_NOT_FOUND", detail)

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        return self._server.port

    def statistics(self) -> ServerStatistics:
        """Where its connections stand."""
        assert self._server is not None
        return self._server.statistics()

    async def aclose(self) -> None:
        """Stop listening; what is under way is answered."""
        if self._server is not None:
            await self._server.aclose()


def _check_form(request: ServerRequest) -> None:
    if request.method != b"POST":
        raise NotifyProblem(405, None, "only POST is possible here", headers=[(b"allow", b"POST")])
    if _JSON in request.headers:  # as nearly everybody writes it
        return
    given = request.header(b"content-type")
    if given is not None and given.partition(b";")[0].strip().lower() != _JSON[1]:
        raise NotifyProblem(415, None, "the body must be application/json", headers=[(b"accept", b"application/json")])
