"""The part of the management API that makes weather: faults, their clock, and the endpoints."""

from __future__ import annotations

import json
import time
from typing import Any

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulator.config.errors import located
from simulator.config.faults import FaultFile, wrong_counters, wrong_endpoints
from simulator.config.model import message_of
from simulator.sandbox.endpoints import Endpoint, Endpoints
from simulator.sandbox.weather import Rule
from simulator.web import json_response, read_body

_NS_PER_S = 1_000_000_000


def weather_routes(endpoints: Endpoints) -> list[Route]:
    """See `WeatherApi` for what is at each path."""
    api = WeatherApi(endpoints)
    return [
        Route("/endpoints", api.endpoints),
        Route("/faults", api.faults, methods=["GET"]),
        Route("/faults", api.add, methods=["POST"]),
        Route("/faults", api.clear, methods=["DELETE"]),
        Route("/faults/clock", api.start, methods=["POST"]),
        Route("/faults/{number:int}", api.remove, methods=["DELETE"]),
    ]


class WeatherApi:
    """The handlers. Every error is `{"error": "..."}` with a status that fits."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._weather = endpoints.weather

    async def endpoints(self, _request: Request) -> Response:
        """GET /endpoints: the state and the counts of each."""
        now = time.monotonic_ns()
        return json_response({"endpoints": [self._endpoint(endpoint, now) for endpoint in self._endpoints]})

    def _endpoint(self, endpoint: Endpoint, now: int) -> dict[str, Any]:
        statistics = endpoint.server.statistics()
        conditions = endpoint.conditions
        capacity = self._weather.capacities[endpoint.number - 1]
        return {
            "number": endpoint.number,
            "address": endpoint.address,
            "store": endpoint.store,
            "state": "down" if endpoint.down else "up",
            "max_streams": conditions.max_streams,
            "window_closed": conditions.window_closed,
            "connections": statistics.connections,
            "accepted": statistics.accepted,
            "killed": endpoint.killed,
            "requests": statistics.requests,
            "responses": statistics.responses,
            "unanswered": statistics.unanswered,
            "resets": statistics.resets,
            "servers_busy": None if capacity is None else capacity.busy(now),
            "waiting": None if capacity is None else capacity.waiting(now),
        }

    async def faults(self, _request: Request) -> Response:
        """GET /faults: each with its `id`, and whether it is `on` now, `waiting`, `over`, or `stopped` without a clock."""
        now = time.monotonic_ns()
        return json_response({"faults": [_document(rule, now) for rule in self._weather]})

    async def add(self, request: Request) -> Response:
        """POST /faults {fault} or [{fault}, …]: windows count from now. Answers their ids."""
        counters = self._endpoints.stores[0].tariffs.counters()
        faults = _read(await read_body(request), self._weather.endpoints, counters).faults
        try:
            numbers = self._weather.add(faults, time.monotonic_ns())
        except OverflowError as error:
            raise HTTPException(507, str(error)) from None
        self._endpoints.turn()
        return json_response({"ids": numbers}, 201)

    async def clear(self, _request: Request) -> Response:
        """DELETE /faults: all of them."""
        removed = self._weather.remove()
        self._endpoints.turn()
        return json_response({"removed": removed})

    async def remove(self, request: Request) -> Response:
        """DELETE /faults/ID."""
        number = request.path_params["number"]
        if not self._weather.remove(number):
            raise HTTPException(404, f"there is no fault {number}")
        self._endpoints.turn()
        return json_response({"removed": 1})

    async def start(self, request: Request) -> Response:
        """POST /faults/clock: all windows count from now on; or from `{"t0": …}`, monotonic ns of this machine."""
        body = await read_body(request)
        now = time.monotonic_ns()
        try:
            t0 = json.loads(body)["t0"] if body else now
        except (ValueError, RecursionError, TypeError, KeyError):
            raise HTTPException(400, 'expected nothing, or {"t0": …}') from None
        if type(t0) is not int or abs(t0 - now) > _NS_PER_S * 86_400:
            raise HTTPException(400, "t0: expected ns of the monotonic clock, within a day of now")
        self._endpoints.start(t0)
        return json_response({"t0": t0})


def _document(rule: Rule, now: int) -> dict[str, Any]:
    if rule.begin is None:
        state = "stopped"
    elif rule.is_on(now):
        state = "on"
    else:
        state = "waiting" if now < rule.begin else "over"
    return {"id": rule.number, "state": state, "fits": rule.fits} | rule.fault.model_dump(mode="json")


def _read(body: bytes, endpoints: int, counters: list[str]) -> FaultFile:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise HTTPException(400, "the body is not JSON") from None
    faults = document if isinstance(document, list) else [document]
    try:
        read = FaultFile.model_validate({"faults": faults})
        wrong = wrong_endpoints(read.faults, endpoints) + wrong_counters(read.faults, counters)
        if wrong:
            raise located((("faults", *place), message) for place, message in wrong)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise HTTPException(400, f"{place}: {message_of(first)}") from None
    return read
