"""A sample of the CHF's answers in a load run, checked against the book: what deviates is counted, and shown once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from simulator.measure import Recorder
from simulator.n40 import Request
from simulator.n40.conformance import SchemaCheck, deviations
from simulator.n40.request import asked_for

SUBJECT: Final = "conformance"

Header = tuple[bytes, bytes]


class ConformanceSample:
    """Looks at `share` (0 to 1) of all answers, evenly spread. `tell` gets the first deviation of each kind in words."""

    def __init__(
        self, share: float, schema: SchemaCheck | None, recorder: Recorder, tell: Callable[[str, str], None]
    ) -> None:
        self._share = share
        self._schema = schema
        self._counters = recorder.counters
        self._tell = tell
        self._due = 0.0
        self._told: set[str] = set()

    def look(self, request: Request, status: int, headers: Sequence[Header], body: bytes) -> None:
        """An answer came; look at it if it is one of the sample."""
        self._due += self._share
        if self._due < 1.0:
            return
        self._due -= 1.0
        self._counters["conformance|checked"] += 1
        found = deviations(
            request.operation,
            request.sequence,
            status,
            headers,
            body,
            asked=asked_for(request.body),
            schema=self._schema,
        )
        for each in found:
            self._counters[f"deviations|{each.rule}"] += 1
            if each.rule not in self._told:
                self._told.add(each.rule)
                shown = " ".join(each.found.split())
                where = f"{request.operation} answered {status}"
                self._tell(SUBJECT, f"{each.rule} ({each.clause}): expected {each.expected}, got {shown} ({where})")
