"""Notify: the CHF asks for a report, or ends the charging. Needs a CHF that can be made to do so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson

from simulator.check.catalogue import case
from simulator.check.management import order_notification
from simulator.check.messages import Json, ask, used
from simulator.check.smf import Session, Smf
from simulator.check.verdicts import DeviationError, Exchange, Found, NotSupportedError
from simulator.http2 import Server, ServerRequest

NOTIFY = "TS 32.291 5.2.2.5, 6.1.5"
_TYPES = ("REAUTHORIZATION", "ABORT_CHARGING")


class Listener:
    """Where a session's notifyUri points to. Answers 204 and keeps what came."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[ServerRequest] = asyncio.Queue()

    def __call__(self, request: ServerRequest) -> None:
        """Take a notification."""
        self.came.put_nowait(request)
        request.respond(204, [])


@asynccontextmanager
async def _notified(smf: Smf, kind: str) -> AsyncIterator[tuple[Session, ServerRequest, Exchange]]:
    """A session that has just been notified."""
    if not smf.settings.management:
        raise NotSupportedError("nobody can make this CHF notify (--management)")
    listener = Listener()
    server = await Server.serve(listener, smf.settings.notify_host, 0)
    try:
        uri = f"http://{smf.settings.notify_host}:{server.port}/n40/{smf.messages.number()}"
        session = await smf.open(ask(smf.groups.data), notifyUri=uri)
        await order_notification(smf.settings, session.path.rpartition("/")[2], kind)
        async with asyncio.timeout(smf.settings.timeout_s):
            request = await listener.came.get()
        came = Exchange(headers=request.headers, body=request.body, status=204, from_chf=True)
        smf.exchanges.append(came)
        yield session, request, came
    except TimeoutError:
        raise DeviationError(
            Found(
                clause=smf.clause, expected=f"{kind} at notifyUri", found=f"nothing within {smf.settings.timeout_s:g} s"
            )
        ) from None
    finally:
        await server.aclose()


def _must(came: Exchange, holds: bool, expected: str, found: str) -> None:
    if not holds:
        raise DeviationError(Found(clause=NOTIFY, expected=expected, found=found, exchange=came))


def _document(came: Exchange) -> Json:
    try:
        document = orjson.loads(came.body)
    except orjson.JSONDecodeError:
        document = None
    _must(
        came, isinstance(document, dict), "a ChargingNotifyRequest (a JSON object)", came.body[:200].decode("latin-1")
    )
    assert isinstance(document, dict)
    return document


@case("notify.reauthorization", "The CHF asks for a report, and the Update that follows is answered", NOTIFY)
async def _reauthorization(smf: Smf) -> None:
    async with _notified(smf, "REAUTHORIZATION") as (session, _, came):
        found = str(_document(came).get("notificationType"))
        _must(came, found == "REAUTHORIZATION", "notificationType REAUTHORIZATION", found)
        usage = used(smf.groups.data, totalVolume=1000, trigger="FORCED_REAUTHORISATION", then={})
        (await session.update(usage)).must_be(200)


@case("notify.abort", "The CHF ends the charging, and the Release that follows is answered", NOTIFY)
async def _abort(smf: Smf) -> None:
    async with _notified(smf, "ABORT_CHARGING") as (session, _, came):
        found = str(_document(came).get("notificationType"))
        _must(came, found == "ABORT_CHARGING", "notificationType ABORT_CHARGING", found)
        (await session.release(used(smf.groups.data, totalVolume=1000, trigger="FINAL"))).must_be(200, 204)


@case("notify.form", "A notification is a POST of JSON to notifyUri as it was given", NOTIFY)
async def _form(smf: Smf) -> None:
    async with _notified(smf, "REAUTHORIZATION") as (session, request, came):
        _must(came, request.method == b"POST", "POST", request.method.decode("latin-1"))
        given = "/n40/" + orjson.loads(session.created.exchange.body)["notifyUri"].rpartition("/n40/")[2]
        found = request.path.decode("latin-1")
        _must(came, found == given, f"path {given}", found)
        media_type = (request.header(b"content-type") or b"none").partition(b";")[0].strip().lower()
        _must(came, media_type == b"application/json", "content-type application/json", media_type.decode("latin-1"))
        found = str(_document(came).get("notificationType"))
        _must(came, found in _TYPES, " or ".join(_TYPES), found)


@case(
    "notify.details",
    "reauthorizationDetails are well-formed, where they are there",
    NOTIFY,
)
async def _details(smf: Smf) -> None:
    async with _notified(smf, "REAUTHORIZATION") as (_, _, came):
        details = _document(came).get("reauthorizationDetails", [{}])
        well_formed = isinstance(details, list) and bool(details) and all(isinstance(each, dict) for each in details)
        _must(came, well_formed, "reauthorizationDetails as an array of objects", str(details)[:200])
        groups = [each["ratingGroup"] for each in details if "ratingGroup" in each]
        _must(came, all(type(group) is int for group in groups), "ratingGroup as a number", str(groups))
