"""The grammar of thresholds; see `thresholds` for what they mean."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final, NoReturn

from simulator.measure.figures import (
    AUDIT_MAPS,
    COMPARISONS,
    HEADS,
    LATENCIES,
    NUMBERS,
    OPERATIONS,
    OUTCOMES,
    PERCENTILES,
    PROMISES,
    Level,
    Measure,
    usual_scope,
)
from simulator.measure.thresholds import Threshold

_EXPRESSION = re.compile(
    r"\s*(?P<name>[^\s<>=!]+)\s*(?P<comparison>[<>=!]+)\s*(?P<value>.*?)(?P<rest>(\s+(over\s+\S+|warn|abort))*)\s*"
)
SHORTEST_WINDOW_S: Final = 1.0
LONGEST_WINDOW_S: Final = 3600.0
_VALUE = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<scale>[kM]?)\s*(?P<unit>%|us|µs|ms|s|min|/s)?")
MICROSECONDS: Final = {"us": 1, "µs": 1, "ms": 1_000, "s": 1_000_000, "min": 60_000_000}
_SCALES: Final = {"": 1, "k": 1_000, "M": 1_000_000}


class ThresholdError(ValueError):
    """A threshold that cannot be read; `column` (from 1) is where."""

    def __init__(self, text: str, column: int, problem: str) -> None:
        super().__init__(f'threshold "{text}", column {column}: {problem}')
        self.column = column


def parse_threshold(text: str) -> Threshold:
    """Read one threshold; raises ThresholdError that says where, what was expected and the nearest name."""
    match = _EXPRESSION.fullmatch(text)
    if match is None:
        raise ThresholdError(text, 1, "expected NAME COMPARISON VALUE, such as response.update.p99 < 50ms")
    if match["comparison"] not in COMPARISONS:
        known = ", ".join(COMPARISONS)
        raise ThresholdError(text, match.start("comparison") + 1, f'"{match["comparison"]}" is none of {known}')
    name = re.sub(r"\.p99\.(9+)$", r".p99_\1", match["name"])
    measures = _Reader(text, match.start("name") + 1).measures(name.split("."))
    measure, limit = _limit(text, match.start("value") + 1, match["value"], measures)
    threshold = Threshold(text=text.strip(), name=name, comparison=match["comparison"], limit=limit, measure=measure)
    return _with_conditions(threshold, text, match)


def _with_conditions(threshold: Threshold, text: str, match: re.Match[str]) -> Threshold:
    """What follows the value: over what, and what a failure means."""
    head, *rest = threshold.parts
    over, window_s = usual_scope(head), 0.0
    words = [(word[0], match.start("rest") + word.start() + 1) for word in re.finditer(r"\S+", match["rest"])]
    abort_at = 0
    level: Level = "fail"
    said: set[str] = set()
    while words:
        word, column = words.pop(0)
        if word in said:
            raise ThresholdError(text, column, f'"{word}" is said twice')
        said.add(word)
        if word == "warn":
            level = "warn"
        elif word == "abort":
            abort_at = column
        else:
            over, column = words.pop(0)
            window_s = _window(text, column, over)
            if over != "run" and not _has_a_time(head, rest):
                raise ThresholdError(text, column, f'"{threshold.name}" is known for the run only')
    if abort_at and level == "warn":
        raise ThresholdError(text, abort_at, "a warning ends no run: expected warn or abort, not both")
    if abort_at and not (window_s or _only_grows(threshold, head, rest, over)):
        raise ThresholdError(
            text, abort_at, "abort needs a window (over 10s), or a number that may only grow (failed < 10)"
        )
    return replace(threshold, over=over, window_s=window_s, level=level, abort=bool(abort_at))


def _window(text: str, column: int, over: str) -> float:
    """Seconds of a window; 0 for a phase or the run."""
    if over in ("run", "steady"):
        return 0.0
    match = _VALUE.fullmatch(over)
    seconds = (
        0.0
        if match is None or match["scale"]
        else float(match["number"]) * MICROSECONDS.get(match["unit"] or "", 0) / 1e6
    )
    if not SHORTEST_WINDOW_S <= seconds <= LONGEST_WINDOW_S:
        raise ThresholdError(text, column, f'expected run, steady or a window of 1s to 60min, got "{over}"')
    return seconds


def _has_a_time(head: str, rest: list[str]) -> bool:
    """Whether a figure is known for a part of a run as well."""
    if head == "sessions":
        return rest[0] in ("started", "completed", "failed")
    return head not in ("audit", "connections", "generator")


def _only_grows(threshold: Threshold, head: str, rest: list[str], over: str) -> bool:
    """Whether what is too much once is too much for good."""
    counts = threshold.measure is Measure.NUMBER and _has_a_time(head, rest) and over == "run"
    return counts and threshold.comparison in ("<", "<=", "==")


class _Reader:
    """Checks a name part by part against what a summary holds."""

    def __init__(self, text: str, column: int) -> None:
        self._text = text
        self._column = column

    def measures(self, parts: list[str]) -> tuple[Measure, ...]:
        """What the value of this name may be counted in."""
        head, *rest = parts
        if head in OUTCOMES:
            self._parts(parts, [OPERATIONS], optional=True)
            return (Measure.SHARE,) if head == "success" else (Measure.NUMBER, Measure.SHARE)
        if head in LATENCIES:
            whole_run = len(rest) == 1 and rest[0] not in OPERATIONS
            self._parts(parts, [tuple(PERCENTILES)] if whole_run or not rest else [OPERATIONS, tuple(PERCENTILES)])
            return (Measure.DURATION,)
        if head in NUMBERS:
            self._parts(parts, [tuple(NUMBERS[head])])
            return (NUMBERS[head][rest[0]],)
        if head == "audit":
            return self._audit(parts)
        if head not in HEADS:
            self._unknown(parts, 0, HEADS)
        names = PROMISES if head == "promises_broken" else None
        self._parts(parts, [names], optional=head in ("drops", "promises_broken"))
        return (Measure.NUMBER, Measure.SHARE) if head == "drops" else (Measure.NUMBER,)

    def _audit(self, parts: list[str]) -> tuple[Measure, ...]:
        if parts[1:] == ["balanced"]:
            return (Measure.FLAG,)
        self._parts(parts, [("balanced", *AUDIT_MAPS)] if len(parts) < 3 else [AUDIT_MAPS, None])
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
        return MICROSECONDS.get(unit or "")
    fits: Mapping[Measure, list[str | None]] = {
        Measure.SHARE: ["%"],
        Measure.NUMBER: [None],
        Measure.RATE: [None, "/s"],
    }
    return 1 if unit in fits.get(measure, []) else None
