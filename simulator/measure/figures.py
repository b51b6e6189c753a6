"""The vocabulary of what is measured: the names that thresholds may use, and what each of them is counted in."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final, Literal

OPERATIONS: Final = ("create", "update", "release", "event")
LATENCIES: Final = ("queue", "service", "response")
PERCENTILES: Final[Mapping[str, float]] = {
    "p50": 50,
    "p90": 90,
    "p95": 95,
    "p99": 99,
    "p99_9": 99.9,
    "p99_99": 99.99,
    "max": 100,
}

PROMISES: Final = (
    "WRONG_SEQUENCE_NUMBER",
    "GRANT_NOT_ASKED_FOR",
    "GRANT_TOO_MUCH",
    "GRANT_AFTER_FINAL_UNIT",
    "NEGATIVE_BALANCE",
    "RESERVED_TOO_MUCH",
)
"""What a CHF must not do."""

OUTCOMES = ("success", "failed", "denied", "retransmitted", "requests")
OPEN_MAPS = ("causes", "result_codes")
COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}


Level = Literal["fail", "warn"]


class Measure(StrEnum):
    """What a value is counted in; the words are those of an error message."""

    DURATION = "a duration such as 50ms"
    SHARE = "a share such as 99.9%"
    NUMBER = "a number such as 1000"
    RATE = "a rate such as 1000 or 1000/s"
    FLAG = "true or false"


NUMBERS: Final[Mapping[str, Mapping[str, Measure]]] = {
    "rate": dict.fromkeys(("offered_per_s", "achieved_per_s", "requests_per_s"), Measure.RATE),
    "sessions": dict.fromkeys(("started", "completed", "failed", "open_max", "open_at_end"), Measure.NUMBER),
    "arrivals": dict.fromkeys(("intended", "started", "dropped"), Measure.NUMBER),
    "connections": dict.fromkeys(
        ("open_max", "in_flight_max", "waiting_max", "opened", "lost", "reconnects", "goaways", "resets", "refused"),
        Measure.NUMBER,
    ),
    "generator": {
        "cpu_s": Measure.NUMBER,
        "requests_per_cpu_s": Measure.NUMBER,
        "cpu_share": Measure.SHARE,
        "loop_lag_us": Measure.DURATION,
        "gc_pause_us": Measure.DURATION,
        "timer_floor_us": Measure.DURATION,
        "limited": Measure.FLAG,
    },
}
AUDIT_MAPS = tuple(
    f"{name}_units"
    for name in (
        "used", "acknowledged", "debited", "charged", "lost", "double_charged", "misbooked", "in_doubt", "undelivered",
        "doubted", "unverified", "refused", "unreported", "open", "uncharged",
    )
)  # fmt: skip
FROM_BOOKS = (
    "audit.balanced",
    "audit.debited_units",
    "audit.charged_units",
    "audit.lost_units",
    "audit.double_charged_units",
    "audit.misbooked_units",
    "audit.undelivered_units",
)
HEADS = (*OUTCOMES, *LATENCIES, "drops", *NUMBERS, *OPEN_MAPS, "promises_broken", "audit")


def usual_scope(head: str) -> str:
    """What a figure is taken from where nothing else is said."""
    return "steady" if head in LATENCIES or head == "rate" else "run"
