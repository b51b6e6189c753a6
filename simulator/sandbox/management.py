"""The management API, HTTP/1.1 with JSON: accounts, sessions, totals and the books. For people, scripts and the run."""

from __future__ import annotations

import functools
import time
from collections.abc import AsyncIterator, Sequence
from itertools import islice
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from simulator.sandbox.chf import Chf
from simulator.sandbox.endpoints import Endpoints
from simulator.sandbox.messages import UINT32
from simulator.sandbox.notifier import KINDS, MAX_RATE, Kind, Notifier
from simulator.sandbox.sessions import Session
from simulator.sandbox.totals import account_document, added, all_totals, session_document
from simulator.sandbox.weather import Weather
from simulator.sandbox.weather_api import weather_routes
from simulator.web import error_response, read_json
from simulator.web import json_response as _json

MAX_PAGE = 10_000
MAX_CREDIT = 10**18
DEFAULT_RATE = 1000
_NOTIFY_WORDS = 'expected {"subscriber": "imsi-…"}, {"session": "REF"} or {"share": 0.5, "rate": 1000}'


def management_app(*stores: Chf, notifiers: Sequence[Notifier] = (), endpoints: Endpoints | None = None) -> Starlette:
    """The application; see `Management` for what is at each path. Notifiers are one per store.

    Without endpoints, those below it have no weather.
    """
    weather = None if endpoints is None else endpoints.weather
    api = Management(stores, notifiers or [Notifier(chf.sessions) for chf in stores], weather)
    return Starlette(
        routes=[
            Route("/healthz", api.health),
            Route("/totals", api.totals),
            Route("/accounts", api.accounts, methods=["GET"]),
            Route("/accounts", api.credit, methods=["POST"]),
            Route("/accounts/{subscriber:path}", api.account),
            Route("/sessions", api.sessions),
            Route("/sessions/{reference}", api.session),
            Route("/ledger", api.ledger),
            Route("/notify", api.notify, methods=["POST"]),
            Route("/notify", api.stop_notifying, methods=["DELETE"]),
            Route("/tokens/revoke", api.revoke_tokens, methods=["POST"]),
            *([] if endpoints is None else weather_routes(endpoints)),
        ],
        exception_handlers={HTTPException: error_response},
    )


class Management:
    """The handlers. Every error is `{"error": "..."}` with a status that fits."""

    def __init__(self, stores: Sequence[Chf], notifiers: Sequence[Notifier], weather: Weather | None = None) -> None:
        self._stores = stores
        self._notifiers = notifiers
        self._weather = weather

    def _place(self, request: Request) -> int:
        """Which store `?store=2` names, by default the first."""
        text = request.query_params.get("store", "1")
        if text not in {str(number + 1) for number in range(len(self._stores))}:
            raise HTTPException(400, f"store: expected a number from 1 to {len(self._stores)}")
        return int(text) - 1

    def _store(self, request: Request) -> Chf:
        return self._stores[self._place(request)]

    async def health(self, _request: Request) -> Response:
        """GET /healthz: it is there."""
        return _json({"status": "ok"})

    async def totals(self, _request: Request) -> Response:
        """GET /totals: see `totals.totals`; all stores together.

        `notifications` as in `Notifier.document`; `weather` is what faults did, by kind.
        """
        counts = {} if self._weather is None else {kind: n for kind, n in sorted(self._weather.counts.items()) if n}
        notifications: dict[str, Any] = functools.reduce(added, [notifier.document() for notifier in self._notifiers])
        whole = all_totals(self._stores, time.monotonic_ns())
        return _json(whole | {"notifications": notifications, "weather": counts})

    async def accounts(self, request: Request) -> Response:
        """GET /accounts?limit=100&after=SUBSCRIBER: a page of accounts; `next` is the `after` of the next page.

        Where stores are separate, all that is about accounts and notifications takes a `?store=2`; the first is the default.
        """
        accounts = self._store(request).accounts
        limit = _limit(request)
        after = None
        if "after" in request.query_params:
            after = accounts.get(request.query_params["after"])
            if after is None:
                raise HTTPException(400, "after: there is no such account")
        page = accounts.page(after, limit)
        following = page[-1].subscriber if len(page) == limit else None
        return _json({"accounts": [account_document(account) for account in page], "next": following})

    async def account(self, request: Request) -> Response:
        """GET /accounts/SUBSCRIBER."""
        subscriber = request.path_params["subscriber"]
        account = self._store(request).accounts.get(subscriber)
        if account is None:
            raise HTTPException(404, f"there is no account {subscriber}")
        return _json(account_document(account))

    async def credit(self, request: Request) -> Response:
        """POST /accounts {"subscriber": "imsi-…", "balances": {"data": 1000000}}: adds to it, creates it if need be."""
        chf = self._store(request)
        accounts = chf.accounts
        subscriber, balances = self._read_credit(await read_json(request))
        known = accounts.get(subscriber)
        try:
            account = known or accounts.create(subscriber)
        except OverflowError as error:
            raise HTTPException(507, str(error)) from None
        chf.credit(account, balances)
        return _json(account_document(account), 201 if known is None else 200)

    def _read_credit(self, document: Any) -> tuple[str, dict[str, int]]:
        if not isinstance(document, dict) or not document.keys() <= {"subscriber", "balances"}:
            raise HTTPException(400, 'expected {"subscriber": "imsi-…", "balances": {"data": 1000000}}')
        subscriber = document.get("subscriber")
        if not isinstance(subscriber, str) or not subscriber or not subscriber.isprintable():
            raise HTTPException(400, "subscriber: expected a text such as imsi-001010000000001")
        balances = document.get("balances", {})
        if not isinstance(balances, dict):
            raise HTTPException(400, "balances: expected amounts by counter")
        for counter, amount in balances.items():
            self._check_credit(counter, amount)
        return subscriber, balances

    def _check_credit(self, counter: str, amount: object) -> None:
        counters = self._stores[0].tariffs.counters()
        if counter not in counters:
            raise HTTPException(400, f"balances.{counter}: the plan has {', '.join(counters)}")
        if type(amount) is not int or not 0 <= amount <= MAX_CREDIT:
            raise HTTPException(400, f"balances.{counter}: expected a whole number from 0 to {MAX_CREDIT}")

    async def sessions(self, request: Request) -> Response:
        """GET /sessions?limit=100&subscriber=…: open sessions, the one that was silent for longest first."""
        wanted = request.query_params.get("subscriber")
        every = (session for chf in self._stores for session in chf.sessions)
        found = (session for session in every if wanted in (None, session.account.subscriber))
        now = time.monotonic_ns()
        page = [session_document(session, now) for session in islice(found, _limit(request))]
        return _json({"sessions": page, "open": sum(len(chf.sessions) for chf in self._stores)})

    async def session(self, request: Request) -> Response:
        """GET /sessions/REF."""
        reference = request.path_params["reference"]
        found = (chf.sessions.get(reference.encode()) for chf in self._stores)
        session = next((session for session in found if session is not None), None)
        if session is None:
            raise HTTPException(404, f"there is no open session {reference}")
        return _json(session_document(session, time.monotonic_ns()))

    async def ledger(self, _request: Request) -> Response:
        """GET /ledger: the books as NDJSON; see `ledger` for the fields. Charging goes on while it is read."""
        return StreamingResponse(self._ledger_chunks(), media_type="application/x-ndjson")

    async def _ledger_chunks(self) -> AsyncIterator[bytes]:
        for chf in self._stores:
            for chunk in chf.ledger.chunks(chf.sessions):
                yield chunk
                await anyio.lowlevel.checkpoint()

    async def notify(self, request: Request) -> Response:
        """POST /notify {"share": 1, "rate": 5000, "type": "REAUTHORIZATION", "rating_groups": [300]}.

        Notifies a share of the open sessions at a rate, which takes its time and ends an earlier one; or, with
        "subscriber" or "session" instead, those sessions at once. What became of it is in /totals.
        """
        document = await read_json(request)
        if not isinstance(document, dict) or len(document.keys() & {"subscriber", "session", "share"}) != 1:
            raise HTTPException(400, _NOTIFY_WORDS)
        unknown = document.keys() - {"subscriber", "session", "share", "type", "rating_groups", "rate"}
        if unknown or ("rate" in document and "share" not in document):
            raise HTTPException(400, f"{min(unknown, default='rate')}: does not belong here; {_NOTIFY_WORDS}")
        kind, rating_groups = _kind(document), _rating_groups(document)
        place = self._place(request)
        notifier = self._notifiers[place]
        if "share" in document:
            share = _number(document, "share", 1)
            rate = _number(document, "rate", MAX_RATE, DEFAULT_RATE)
            storm = notifier.storm(kind, rate, share, rating_groups)
            return _json({"sessions": storm.left, "rate": rate}, 202)
        sessions = _sessions_named(document, self._stores[place])
        sent = sum(notifier.notify(session, kind, rating_groups) for session in sessions)
        return _json({"sessions": len(sessions), "sent": sent}, 202)

    async def stop_notifying(self, request: Request) -> Response:
        """DELETE /notify: ends the storm."""
        notifier = self._notifiers[self._place(request)]
        storm = notifier.blowing
        return _json({"stopped": notifier.stop(), "left": 0 if storm is None else storm.left})

    async def revoke_tokens(self, _request: Request) -> Response:
        """POST /tokens/revoke: no token is valid any more, as if all had expired early."""
        tokens = self._stores[0].tokens
        if tokens is None:
            raise HTTPException(409, "this sandbox does not ask for tokens")
        return _json({"revoked": tokens.revoke()})


def _sessions_named(document: dict[str, Any], chf: Chf) -> list[Session]:
    subscriber, reference = document.get("subscriber"), document.get("session")
    if isinstance(reference, str):
        session = chf.sessions.get(reference.encode(errors="replace"))
        found = [] if session is None else [session]
    else:
        found = [session for session in chf.sessions if session.account.subscriber == subscriber]
    if not found:
        raise HTTPException(404, f"there is no open session of {subscriber if reference is None else reference}")
    return found


def _kind(document: dict[str, Any]) -> Kind:
    for kind in KINDS:
        if document.get("type", KINDS[0]) == kind:
            return kind
    raise HTTPException(400, f"type: expected {' or '.join(KINDS)}")


def _rating_groups(document: dict[str, Any]) -> list[int]:
    groups = document.get("rating_groups", [])
    if not isinstance(groups, list) or len(groups) > 256 or not all(_is_rating_group(each) for each in groups):
        raise HTTPException(400, "rating_groups: expected a list of at most 256 numbers")
    return groups


def _is_rating_group(value: object) -> bool:
    return type(value) is int and 0 <= value <= UINT32


def _number(document: dict[str, Any], name: str, most: int, default: int | None = None) -> float:
    value = document.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise HTTPException(400, f"{name}: expected a number above 0, at most {most}")
    return value


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", "100")
    if not text.isdecimal() or not text.isascii() or len(text) > 6 or not 1 <= int(text) <= MAX_PAGE:
        raise HTTPException(400, f"limit: expected a number from 1 to {MAX_PAGE}")
    return int(text)
