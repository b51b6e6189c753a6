"""Some of the attempts that failed, with what was sent and what came back: the first of each cause, a fair choice of the rest.

A run that is killed has left the first ones. The rest is drawn as the failures come (Vitter's algorithm R), so that late ones
have the same chance as early ones, and is handed over when the load is over.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

from simulator.fleet.series import OTHER, printable
from simulator.fleet.session import LiveSession
from simulator.fleet.shown import attempt_of, shown_answer, shown_request, subscriber_of
from simulator.http2 import Answer, Exchange, Failure
from simulator.n40 import Request

FIRST: Final = 3
"""Of each cause, which are told at once."""
DRAWN: Final = 3
"""Of each cause, from among all that follow."""
MOST_CAUSES: Final = 16
"""Beyond these all others are one."""
MOST_OF_A_WORKER: Final = (FIRST + DRAWN) * (MOST_CAUSES + 1)


class _Cause:
    """The failures of one cause."""

    __slots__ = ("drawn", "seen")

    def __init__(self) -> None:
        self.seen = 0
        self.drawn: list[dict[str, Any]] = []


class FailureSamples:
    """`tell` gets each sample, JSON-able. `t0` is the start of the load (monotonic ns), `seed` decides what is drawn."""

    def __init__(self, t0: int, seed: bytes, tell: Callable[[dict[str, Any]], None]) -> None:
        self._t0 = t0
        self._random = random.Random(seed)  # noqa: S311 - no secret depends on it
        self._tell = tell
        self._causes: dict[str, _Cause] = {}

    def take(
        self, live: LiveSession, request: Request, exchange: Exchange, result: Answer | Failure, cause: str, now: int
    ) -> None:
        """An attempt failed for a cause; keep it if it is one of the sample."""
        word = printable(cause)
        if word not in self._causes and len(self._causes) >= MOST_CAUSES:
            word = OTHER
        of_cause = self._causes.setdefault(word, _Cause())
        of_cause.seen += 1
        if of_cause.seen <= FIRST:
            self._tell(self._sample(live, request, exchange, result, word, now))
            return
        place = self._random.randrange(of_cause.seen - FIRST)
        if len(of_cause.drawn) < DRAWN:
            of_cause.drawn.append(self._sample(live, request, exchange, result, word, now))
        elif place < DRAWN:
            of_cause.drawn[place] = self._sample(live, request, exchange, result, word, now)

    def finish(self) -> None:
        """The load is over: hand over what was drawn, in order of time."""
        drawn = [sample for of_cause in self._causes.values() for sample in of_cause.drawn]
        self._causes = {}
        for sample in sorted(drawn, key=lambda each: float(each["at_s"])):
            self._tell(sample)

    def _sample(
        self, live: LiveSession, request: Request, exchange: Exchange, result: Answer | Failure, cause: str, now: int
    ) -> dict[str, Any]:
        return {
            "at_s": round((now - self._t0) / 1e9, 6),
            "operation": str(request.operation),
            "usage": live.usage.name,
            "subscriber": subscriber_of(live),
            "session": live.number,
            "sequence": request.sequence,
            "cause": cause,
            "status": result.status if isinstance(result, Answer) else None,
            "detail": "" if isinstance(result, Answer) else result.detail,
            "chf": live.chf + 1,
            "attempt": attempt_of(live),
            "service_us": (now - exchange.sent) // 1000 if exchange.sent else None,
            "request": shown_request(exchange),
            "response": shown_answer(exchange, result) if isinstance(result, Answer) else None,
        }
