"""The management API of a run, HTTP/1.1 with JSON: what it does just now, and what can be changed."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulator.measure import Totals
from simulator.run.options import Progress
from simulator.run.steering import Steering, SteeringError
from simulator.run.wishes import Action, Wish
from simulator.web import error_response, json_response, read_json

_RATE_WORDS = 'expected {"factor": 1.5} or {"per_s": 500}'


def control_app(steering: Steering, state: Callable[[int], dict[str, Any]]) -> Starlette:
    """The application. `state` tells what the run does at a moment (monotonic ns).

    GET /run tells it; POST /run/pause, /run/resume, /run/rate, /run/next-stage and /run/stop change it and answer with
    `{"done": "..."}`, or with 409 where that cannot be done now. What a browser's page sends from elsewhere is refused.
    """
    api = _Api(steering, state)
    changes = [
        Route(f"/run/{action}", api.change(action), methods=["POST"])
        for action in (Action.PAUSE, Action.RESUME, Action.NEXT_STAGE, Action.STOP)
    ]
    return Starlette(
        routes=[
            Route("/healthz", api.health),
            Route("/run", api.run),
            Route("/run/rate", api.rate, methods=["POST"]),
            *changes,
        ],
        exception_handlers={HTTPException: error_response},
    )


def run_state(profile: str, progress: Progress, totals: Totals) -> dict[str, Any]:
    """What a run does just now: where its load is, and rates and latencies of the last interval, in microseconds."""
    response = totals.interval().histogram("latency_us", "response")
    p50, p99 = response.percentiles((50, 99))
    return {
        "profile": profile,
        "phase": totals.phase,
        **asdict(progress),
        "sessions_open": round(totals.gauge("sessions_open")),
        "offered_per_s": round(totals.rate("arrivals", "intended"), 3),
        "achieved_per_s": round(totals.rate("arrivals", "started"), 3),
        "requests_per_s": round(totals.rate("requests"), 3),
        "response_us": {"p50": p50, "p99": p99} if response.count else None,
        "requests": totals.run.count("requests"),
        "failed": totals.run.count("requests", None, None, "failed"),
        "dropped": totals.run.count("arrivals", "dropped"),
    }


class _Api:
    def __init__(self, steering: Steering, state: Callable[[int], dict[str, Any]]) -> None:
        self._steering = steering
        self._state = state

    async def health(self, _request: Request) -> Response:
        return json_response({"status": "ok"})

    async def run(self, _request: Request) -> Response:
        return json_response(self._state(time.monotonic_ns()))

    def change(self, action: Action) -> Callable[[Request], Awaitable[Response]]:
        async def change(request: Request) -> Response:
            return await self._do(request, Wish(action, by="API"))

        return change

    async def rate(self, request: Request) -> Response:
        document = await read_json(request)
        if not isinstance(document, dict) or len(document) != 1 or not document.keys() <= {"factor", "per_s"}:
            raise HTTPException(400, _RATE_WORDS)
        [(name, value)] = document.items()
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e12:
            raise HTTPException(400, f"{name}: expected a number above 0")
        return await self._do(request, Wish(Action.RATE, factor=self._factor(name, value), by="API"))

    def _factor(self, name: str, value: float) -> float:
        if name == "factor":
            return value
        usual = self._steering.timeline.profile_rate_at(time.monotonic_ns())
        if not usual:
            raise HTTPException(409, "the profile has no rate just now: give a factor")
        return value / usual

    async def _do(self, request: Request, wish: Wish) -> Response:
        if "origin" in request.headers:
            raise HTTPException(403, "a web page may not do this")
        try:
            done = await self._steering.carry_out(wish, time.monotonic_ns())
        except SteeringError as error:
            raise HTTPException(409, str(error)) from None
        return json_response({"done": done})
