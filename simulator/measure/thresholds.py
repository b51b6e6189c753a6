"""Thresholds: `response.update.p99 < 50ms` and the like, judged over a run's summary.

A threshold is a name, a comparison (`< <= > >= == !=`) and a value with the unit that the name needs:

* `success`, `failed`, `denied`, `retransmitted`, `requests`, each also `.OPERATION`: with `%` the share of requests,
  else their number. Denied requests count as success: the CHF did its job.
* `queue`, `service`, `response`, each `.PERCENTILE` or `.OPERATION.PERCENTILE`: a duration (`800us`, `50ms`, `2s`).
* `drops`, also `.REASON`: with `%` the share of intended arrivals, else their number.
* `rate.achieved_per_s` and the other numbers of the summary by their names there; `causes.CAUSE`,
  `result_codes.CODE` count 0 when they did not occur. Requests without an answer have a cause as well, such as TIMEOUT.
* `promises_broken` is how often the CHF did what it must not, `promises_broken.NAME` one of these, such as
  WRONG_SEQUENCE_NUMBER. What no such threshold covers fails a run the first time.
* `audit.lost_units` and the like: the sum over unit types, or one of them (`audit.lost_units.totalVolume`).
"""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NoReturn

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

_OUTCOMES = ("success", "failed", "denied", "retransmitted", "requests")
_OPEN_MAPS = ("causes", "result_codes")
_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}


class Measure(StrEnum):
    """What a value is counted in; the words are those of an error message."""

    DURATION = "a duration such as 50ms"
    SHARE = "a share such as 99.9%"
    NUMBER = "a number such as 1000"
    RATE = "a rate such as 1000 or 1000/s"
    FLAG = "true or false"


_NUMBERS: Final[Mapping[str, Mapping[str, Measure]]] = {
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
        "limited": Measure.FLAG,
    },
}
_AUDIT_MAPS = tuple(
    f"{name}_units"
    for name in (
        "used", "acknowledged", "debited", "charged", "lost", "double_charged", "misbooked", "in_doubt", "undelivered",
        "doubted", "unverified", "refused", "unreported", "open", "uncharged",
    )
)  # fmt: skip
_FROM_BOOKS = (
    "audit.balanced",
    "audit.debited_units",
    "audit.charged_units",
    "audit.lost_units",
    "audit.double_charged_units",
    "audit.misbooked_units",
    "audit.undelivered_units",
)
_HEADS = (*_OUTCOMES, *LATENCIES, "drops", *_NUMBERS, *_OPEN_MAPS, "promises_broken", "audit")
_VALUE = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<scale>[kM]?)\s*(?P<unit>%|us|µs|ms|s|min|/s)?")
_MICROSECONDS = {"us": 1, "µs": 1, "ms": 1_000, "s": 1_000_000, "min": 60_000_000}
_SCALES = {"": 1, "k": 1_000, "M": 1_000_000}


class ThresholdError(ValueError):
    """A threshold that cannot be read; `column` (from 1) is where."""

    def __init__(self, text: str, column: int, problem: str) -> None:
        super().__init__(f'threshold "{text}", column {column}: {problem}')
        self.column = column


@dataclass(frozen=True, slots=True)
class VerdictLine:
    """One judged threshold. `ok` is None when it could not be judged, `value` is what was measured, in words."""

    ok: bool | None
    text: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A threshold that was understood: `limit` in microseconds, percent, plain numbers or a flag, by `measure`."""

    text: str
    name: str
    comparison: str
    limit: float | bool
    measure: Measure

    def judge(self, summary: Mapping[str, Any]) -> VerdictLine:
        """Hold it against a run's summary. What was not measured fails; what has no books to confirm it stays open."""
        found = _find(self.name.split("."), self.measure, summary)
        if found is None:
            return VerdictLine(False, self.text, "nothing was measured")
        ok = _COMPARISONS[self.comparison](found, self.limit)
        if self._lacks_books(summary) and (ok or summary["audit"]["balanced"] is None):
            return VerdictLine(None, self.text, "not verified against the CHF's books")
        return VerdictLine(ok, self.text, _in_words(found, self.measure))

    def _lacks_books(self, summary: Mapping[str, Any]) -> bool:
        figure = ".".join(self.name.split(".")[:2])
        return figure in _FROM_BOOKS and not summary["audit"]["verifiable"]


def not_covered(promises: Mapping[str, int], thresholds: Iterable[Threshold]) -> dict[str, int]:
    """The broken promises that no threshold speaks of; one on `promises_broken` speaks of all."""
    names = {threshold.name for threshold in thresholds}
    if "promises_broken" in names:
        return {}
    return {promise: count for promise, count in promises.items() if f"promises_broken.{promise}" not in names}


def parse_threshold(text: str) -> Threshold:
    """Read one threshold; raises ThresholdError that says where, what was expected and the nearest name."""
    match = re.fullmatch(r"\s*(?P<name>[^\s<>=!]+)\s*(?P<comparison>[<>=!]+)\s*(?P<value>.*?)\s*", text)
    if match is None:
        raise ThresholdError(text, 1, "expected NAME COMPARISON VALUE, such as response.update.p99 < 50ms")
    if match["comparison"] not in _COMPARISONS:
        known = ", ".join(_COMPARISONS)
        raise ThresholdError(text, match.start("comparison") + 1, f'"{match["comparison"]}" is none of {known}')
    name = re.sub(r"\.p99\.(9+)$", r".p99_\1", match["name"])
    measures = _Reader(text, match.start("name") + 1).measures(name.split("."))
    measure, limit = _limit(text, match.start("value") + 1, match["value"], measures)
    return Threshold(text=text.strip(), name=name, comparison=match["comparison"], limit=limit, measure=measure)


class _Reader:
    """Checks a name part by part against what a summary holds."""

    def __init__(self, text: str, column: int) -> None:
        self._text = text
        self._column = column

    def measures(self, parts: list[str]) -> tuple[Measure, ...]:
        """What the value of this name may be counted in."""
        head, *rest = parts
        if head in _OUTCOMES:
            self._parts(parts, [OPERATIONS], optional=True)
            return (Measure.SHARE,) if head == "success" else (Measure.NUMBER, Measure.SHARE)
        if head in LATENCIES:
            whole_run = len(rest) == 1 and rest[0] not in OPERATIONS
            self._parts(parts, [tuple(PERCENTILES)] if whole_run or not rest else [OPERATIONS, tuple(PERCENTILES)])
            return (Measure.DURATION,)
        if head in _NUMBERS:
            self._parts(parts, [tuple(_NUMBERS[head])])
            return (_NUMBERS[head][rest[0]],)
        if head == "audit":
            return self._audit(parts)
        if head not in _HEADS:
            self._unknown(parts, 0, _HEADS)
        names = PROMISES if head == "promises_broken" else None
        self._parts(parts, [names], optional=head in ("drops", "promises_broken"))
        return (Measure.NUMBER, Measure.SHARE) if head == "drops" else (Measure.NUMBER,)

    def _audit(self, parts: list[str]) -> tuple[Measure, ...]:
        if parts[1:] == ["balanced"]:
            return (Measure.FLAG,)
        self._parts(parts, [("balanced", *_AUDIT_MAPS)] if len(parts) < 3 else [_AUDIT_MAPS, None])
        return (Measure.NUMBER,)

    def _parts(self, parts: list[str], wanted: list[tuple[str, ...] | None], *, optional: bool = False) -> None:
        if optional and len(parts) == 1:
            return
        for place, names in enumerate(wanted, start=1):
            if place >= len(parts):
                choice = f": {', '.join(names)}" if names else ""
                self._fail(parts, place, f'"{".".join(parts)}" needs one more part{choice}')
            if names is not None and parts[place] not in names:
                self._unknown(parts, place, names)
        if len(parts) > len(wanted) + 1:
            self._fail(parts, len(wanted) + 1, f'"{".".join(parts[: len(wanted) + 1])}" has no parts')

    def _unknown(self, parts: list[str], place: int, names: Iterable[str]) -> NoReturn:
        names = list(names)
        near = difflib.get_close_matches(parts[place], names, n=1, cutoff=0.5)
        hint = f'did you mean "{near[0]}"?' if near else f"known here: {', '.join(names)}"
        self._fail(parts, place, f'unknown name "{parts[place]}"; {hint}')

    def _fail(self, parts: list[str], place: int, problem: str) -> NoReturn:
        offset = sum(len(part) + 1 for part in parts[:place]) - (place == len(parts))
        raise ThresholdError(self._text, self._column + offset, problem)


def _limit(text: str, column: int, value: str, measures: tuple[Measure, ...]) -> tuple[Measure, float | bool]:
    if Measure.FLAG in measures and value in {"true", "false"}:
        return Measure.FLAG, value == "true"
    match = _VALUE.fullmatch(value)
    if match is not None:
        number = float(match["number"]) * _SCALES[match["scale"]]
        for measure in measures:
            factor = _factor(measure, match["unit"])
            if factor is not None:
                return measure, number * factor
    got = f'"{value}"' if value else "nothing"
    raise ThresholdError(text, column, f"expected {' or '.join(measures)}, got {got}")


def _factor(measure: Measure, unit: str | None) -> float | None:
    """What a number with this unit is multiplied by; None where the unit does not belong."""
    if measure is Measure.DURATION:
        return _MICROSECONDS.get(unit or "")
    fits: Mapping[Measure, list[str | None]] = {
        Measure.SHARE: ["%"],
        Measure.NUMBER: [None],
        Measure.RATE: [None, "/s"],
    }
    return 1 if unit in fits.get(measure, []) else None


def _find(parts: list[str], measure: Measure, summary: Mapping[str, Any]) -> float | bool | None:
    head, *rest = parts
    if head in LATENCIES:
        *operation, percentile = rest
        latency = _operation(summary, operation)["latency_us"][head][percentile]
        return None if latency is None else float(latency)
    if head in _OUTCOMES:
        return _outcome(head, measure, _operation(summary, rest))
    if head == "drops":
        dropped = summary["arrivals"]["dropped_by_reason"].get(rest[0], 0) if rest else summary["arrivals"]["dropped"]
        return _share_or_number(dropped, summary["arrivals"]["intended"], measure)
    if head in _OPEN_MAPS:
        return float(summary[head].get(".".join(rest), 0))
    if head == "promises_broken":
        broken = summary[head]
        return float(broken.get(rest[0], 0) if rest else sum(broken.values()))
    if head == "audit":
        return _audited(summary["audit"], rest)
    value = summary[head].get(rest[0])
    if value is None or isinstance(value, bool):
        return value
    return float(value) * (100 if measure is Measure.SHARE else 1)


def _operation(summary: Mapping[str, Any], operation: list[str]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = summary["operations"][operation[0]] if operation else summary["all"]
    return found


def _outcome(name: str, measure: Measure, figures: Mapping[str, Any]) -> float | None:
    part = figures["ok"] + figures["denied"] if name == "success" else figures[name]
    return _share_or_number(part, figures["requests"], measure)


def _share_or_number(part: int, whole: int, measure: Measure) -> float | None:
    if measure is not Measure.SHARE:
        return float(part)
    return 100 * part / whole if whole else None


def _audited(audit: Mapping[str, Any] | None, rest: list[str]) -> float | bool | None:
    if audit is None:
        return None
    if rest == ["balanced"]:
        return bool(audit["balanced"])
    units = audit[rest[0]]
    return float(units.get(rest[1], 0) if len(rest) > 1 else sum(units.values()))


def _in_words(value: float | bool, measure: Measure) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    match measure:
        case Measure.DURATION:
            return f"{value / 1000:,.1f} ms" if value >= 100 else f"{value:,.0f} µs"
        case Measure.SHARE:
            # Never rounded up to a whole hundred: 99.9996 % is not all of them.
            return f"{math.floor(round(value * 1000, 6)) / 1000:g} %" if value >= 1 else f"{value:.2g} %"
        case _:
            return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"
