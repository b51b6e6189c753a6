"""Thresholds: `response.update.p99 < 50ms over 10s warn` and the like, judged over a run or a part of it.

A threshold is a name, a comparison (`< <= > >= == !=`), a value with the unit that the name needs, and what it is held against:

* `success`, `failed`, `denied`, `retransmitted`, `requests`, each also `.OPERATION`: with `%` the share of requests,
  else their number. Denied requests count as success: the CHF did its job.
* `queue`, `service`, `response`, each `.PERCENTILE` or `.OPERATION.PERCENTILE`: a duration (`800us`, `50ms`, `2s`).
* `drops`, also `.REASON`: with `%` the share of intended arrivals, else their number.
* `rate.achieved_per_s` and the other numbers of the summary by their names there; `causes.CAUSE`,
  `result_codes.CODE` count 0 when they did not occur. Requests without an answer have a cause as well, such as TIMEOUT.
* `promises_broken` is how often the CHF did what it must not, `promises_broken.NAME` one of these, such as
  WRONG_SEQUENCE_NUMBER. What no such threshold covers fails a run the first time.
* `audit.lost_units` and the like: the sum over unit types, or one of them (`audit.lost_units.totalVolume`).

`over steady` is the phase between warm-up and cool-down, the default of latencies and rates; `over run` is everything, the
default of all else; `over 10s` is a window that moves over the steady phase: it has to hold in each. `warn` never fails a run.
`abort` ends the load as soon as the threshold cannot hold any more: one over a window, or a number that may only grow.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from simulator.measure.figures import (
    COMPARISONS,
    FROM_BOOKS,
    LATENCIES,
    OPEN_MAPS,
    OUTCOMES,
    PERCENTILES,
    Level,
    Measure,
    usual_scope,
)
from simulator.measure.snapshot import SEPARATOR, Snapshot, key

_METRICS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("success", "failed", "denied", "retransmitted", "requests"), ("requests", "retransmitted")),
    "drops": ("arrivals",),
    "rate": ("arrivals", "requests"),
}
"""The counters that a name speaks of, where they are called otherwise."""


@dataclass(frozen=True, slots=True)
class VerdictLine:
    """One judged threshold. `ok` is None when it could not be judged, `value` is what was measured, in words.

    `over` is what it was held against: run, steady or a window such as 10s, whose worst one ended at `window_at_s`.
    """

    ok: bool | None
    text: str
    value: str
    over: str = "run"
    level: Level = "fail"
    window_at_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A threshold that was understood: `limit` in microseconds, percent, plain numbers or a flag, by `measure`.

    `over` is run, steady, or the text of a window of `window_s` seconds.
    """

    text: str
    name: str
    comparison: str
    limit: float | bool
    measure: Measure
    over: str = "run"
    window_s: float = 0.0
    level: Level = "fail"
    abort: bool = False

    def judge(self, summary: Mapping[str, Any]) -> VerdictLine:
        """Hold it against a run's summary. What was not measured fails; what has no books to confirm it stays open."""
        line = self.line(_find(self.parts, self.measure, summary))
        if self._lacks_books(summary) and (line.ok or summary["audit"]["balanced"] is None):
            return replace(line, ok=None, value="not verified against the CHF's books")
        return line

    def judge_snapshot(self, snapshot: Snapshot) -> VerdictLine:
        """Hold it against what was measured in a part of a run."""
        return self.line(self.value_in(snapshot))

    @property
    def parts(self) -> list[str]:
        """The name, part by part."""
        return self.name.split(".")

    @property
    def as_summarised(self) -> bool:
        """Whether it is held against what a summary shows: latencies and rates of the steady phase, all else of the run."""
        return not self.window_s and self.over == usual_scope(self.parts[0])

    def holds(self, value: float | bool) -> bool:
        """Whether a value is on the right side of the limit."""
        return COMPARISONS[self.comparison](value, self.limit)

    def line(self, value: float | bool | None) -> VerdictLine:
        """The judgement of a value; None is nothing measured."""
        if value is None:
            return VerdictLine(False, self.text, "nothing was measured", self.over, self.level)
        return VerdictLine(self.holds(value), self.text, _in_words(value, self.measure), self.over, self.level)

    def worse(self, value: float | bool, than: float | bool) -> bool:
        """Whether a value is nearer to the wrong side, or further on it."""
        if self.comparison in ("<", "<="):
            return value > than
        if self.comparison in (">", ">="):
            return value < than
        return self.holds(than) and not self.holds(value)

    def value_in(self, snapshot: Snapshot) -> float | None:
        """What it speaks of, as measured in a part of a run; None where nothing was."""
        head, *rest = self.parts
        if head in LATENCIES:
            *operation, percentile = rest
            histogram = snapshot.histogram("latency_us", head, *operation)
            return float(histogram.percentile(PERCENTILES[percentile])) if histogram.count else None
        if head in OUTCOMES:
            return _outcome(head, self.measure, _outcomes_in(snapshot, rest))
        if head == "drops":
            dropped = snapshot.count("arrivals", "dropped", *rest)
            return _share_or_number(dropped, snapshot.count("arrivals", "intended"), self.measure)
        if head == "rate":
            counted = {"offered_per_s": ("arrivals", "intended"), "achieved_per_s": ("arrivals", "started")}
            count = snapshot.count(*counted.get(rest[0], ("requests",)))
            return count / snapshot.seconds if snapshot.seconds > 0 else None
        return float(snapshot.count(head, ".".join(rest)) if rest else snapshot.count(head))

    def part_of(self, snapshot: Snapshot) -> Snapshot:
        """What of a snapshot it needs, so that a window of them stays small."""
        head, *rest = self.parts
        metrics = _METRICS.get(head, (head,))
        part = Snapshot(start_s=snapshot.start_s, end_s=snapshot.end_s, phase=snapshot.phase)
        if head in LATENCIES:
            histogram = snapshot.histogram("latency_us", head, *rest[:-1])
            part.histograms = {key("latency_us", head, *rest[:-1]): histogram} if histogram.count else {}
        else:
            part.counters = {
                name: count for name, count in snapshot.counters.items() if name.partition(SEPARATOR)[0] in metrics
            }
        return part

    def _lacks_books(self, summary: Mapping[str, Any]) -> bool:
        figure = ".".join(self.name.split(".")[:2])
        return figure in FROM_BOOKS and summary["audit"] is not None and not summary["audit"]["verifiable"]


def not_covered(promises: Mapping[str, int], thresholds: Iterable[Threshold]) -> dict[str, int]:
    """The broken promises that no threshold speaks of; one on `promises_broken` speaks of all."""
    names = {threshold.name for threshold in thresholds}
    if "promises_broken" in names:
        return {}
    return {promise: count for promise, count in promises.items() if f"promises_broken.{promise}" not in names}


def _find(parts: list[str], measure: Measure, summary: Mapping[str, Any]) -> float | bool | None:
    head, *rest = parts
    if head in LATENCIES:
        *operation, percentile = rest
        latency = _operation(summary, operation)["latency_us"][head][percentile]
        return None if latency is None else float(latency)
    if head in OUTCOMES:
        return _outcome(head, measure, _operation(summary, rest))
    if head == "drops":
        dropped = summary["arrivals"]["dropped_by_reason"].get(rest[0], 0) if rest else summary["arrivals"]["dropped"]
        return _share_or_number(dropped, summary["arrivals"]["intended"], measure)
    if head in OPEN_MAPS:
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


def _outcomes_in(snapshot: Snapshot, operation: list[str]) -> Mapping[str, int]:
    wanted: list[str | None] = [*operation] or [None]
    by_outcome = {outcome: snapshot.count("requests", *wanted, None, outcome) for outcome in ("ok", "denied", "failed")}
    return by_outcome | {
        "requests": snapshot.count("requests", *operation),
        "retransmitted": snapshot.count("retransmitted", *operation),
    }


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
