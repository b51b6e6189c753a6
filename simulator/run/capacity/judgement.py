"""Whether a step held: its objectives with their confidence bounds, and whether the step was a valid one at all.

An objective is a threshold. A percentile (`response.event.p99 < 100ms`) says that at most 1 % of the requests may take 100 ms or
longer: it holds when the upper bound of that share is within 1 %, it fails when the lower bound is beyond, and between the two it
is not decided. Shares of outcomes (`success >= 99.9%`) are judged in the same way. For anything else there are no bounds:
counts, maxima, audit figures, and shares that must be exactly 0 % or 100 %; these are compared as in any run, over the whole run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from simulator.measure import Threshold
from simulator.measure.bounds import ShareBounds, lower_bound, share_bounds, upper_bound
from simulator.measure.figures import LATENCIES, PERCENTILES, Measure
from simulator.run.capacity.evidence import Evidence
from simulator.run.capacity.search import Outcome, Verdict

LEAST_OFFERED: Final = 0.98
"""Of the step's rate, less what chance takes away (three standard deviations of a Poisson process): what has to be started."""
MOST_PILED_UP: Final = 0.02
"""Of the requests of a step: by so many, and three standard deviations, those without an answer may grow."""
_CHANCE: Final = 3.0
_OUTCOMES: Final = ("success", "failed", "denied")
_UPPER: Final = ("<", "<=")
_LOWER: Final = (">", ">=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One objective in one step. `bounds` is of the share of requests that miss it, which may be `allowed` (None: no bounds)."""

    text: str
    verdict: Verdict
    value: str
    bounds: ShareBounds | None = None
    allowed: float | None = None

    def to_wire(self) -> dict[str, Any]:
        """A JSON-able form."""
        wire: dict[str, Any] = {"text": self.text, "verdict": self.verdict, "value": self.value}
        if self.bounds is not None:
            bounds = self.bounds
            wire |= {
                "missed_share": bounds.share,
                "missed_share_lower": bounds.lower,
                "missed_share_upper": bounds.upper,
                "allowed_share": self.allowed,
                "requests": bounds.trials,
                "independent_requests": round(bounds.effective, 1),
            }
        return wire


def confidence_of_a_look(confidence: float, looks: int) -> float:
    """A step may be looked at so many times, and each look may err: the looks share the error (Bonferroni)."""
    return 1 - (1 - confidence) / looks


def judge_step(
    slos: Sequence[Threshold], evidence: Evidence, summary: Mapping[str, Any], rate: float, confidence: float
) -> tuple[Outcome, list[Judged]]:
    """What came of the step that `summary` is of; `evidence` is all that was measured at its rate so far."""
    judged = [judge(slo, evidence, summary, confidence) for slo in slos]
    limits = _not_valid(summary, evidence, rate)
    if limits:
        return Outcome(verdict=Verdict.NOT_VALID, why="; ".join(limits)), judged
    failures = [
        *_broken_rules(summary),
        *_piled_up(evidence),
        *(f"{each.text}: {each.value}" for each in judged if each.verdict is Verdict.FAILED),
    ]
    if failures:
        return Outcome(verdict=Verdict.FAILED, why="; ".join(failures)), judged
    doubts = [f"{each.text}: {each.value}" for each in judged if each.verdict is Verdict.UNDECIDED]
    if doubts:
        return Outcome(verdict=Verdict.UNDECIDED, why="; ".join(doubts)), judged
    return Outcome(verdict=Verdict.HELD), judged


# -- was it a valid step ------------------------------------------------------------------------------------------------


def _not_valid(summary: Mapping[str, Any], evidence: Evidence, rate: float) -> list[str]:
    if summary["verdict"] == "could not run":
        return list(summary["why"])
    limits = list(summary["generator"]["reasons"]) if summary["generator"]["limited"] else []
    due = rate * evidence.seconds
    started = evidence.count("arrivals", "started")
    by_the_chf = evidence.count("arrivals", "dropped", "throttled")
    if not limits and started + by_the_chf < LEAST_OFFERED * due - _CHANCE * math.sqrt(due):
        limits.append(
            f"only {started / evidence.seconds if evidence.seconds else 0:,.1f}/s of {rate:,.6g}/s were started"
        )
    return limits


# -- what fails any run -------------------------------------------------------------------------------------------------


def _broken_rules(summary: Mapping[str, Any]) -> list[str]:
    """Units that were lost or charged twice, promises broken: what fails a run without any threshold."""
    return [why for why in summary["why"] if summary["verdict"] == "fail" and not why.startswith("threshold ")]


def _piled_up(evidence: Evidence) -> list[str]:
    """A CHF that answers fewer requests than it gets does not hold the rate, however patient the objectives are."""
    requests = evidence.count("requests")
    grown, most = evidence.piled_up()
    if grown <= MOST_PILED_UP * requests + _CHANCE * math.sqrt(max(most, 1)):
        return []
    return [f"requests pile up: {grown:,} more were without an answer at the end, of {requests:,} that were answered"]


# -- objectives ---------------------------------------------------------------------------------------------------------


def judge(slo: Threshold, evidence: Evidence, summary: Mapping[str, Any], confidence: float) -> Judged:
    """Hold one objective against what was measured."""
    head, *rest = slo.name.split(".")
    if head in LATENCIES and rest[-1] != "max" and slo.comparison in _UPPER:
        return _percentile(slo, evidence, head, rest, confidence)
    limit = float(slo.limit)
    bounded = head in _OUTCOMES and slo.measure is Measure.SHARE and slo.comparison in (*_UPPER, *_LOWER)
    if bounded and 0 < limit < 100:
        return _share(slo, evidence, head, rest[0] if rest else None, confidence)
    line = slo.judge(summary)
    return Judged(text=slo.text, verdict=Verdict.FAILED if line.ok is False else Verdict.HELD, value=line.value)


def _percentile(slo: Threshold, evidence: Evidence, kind: str, rest: list[str], confidence: float) -> Judged:
    operation = rest[0] if len(rest) > 1 else None
    percent = PERCENTILES[rest[-1]]
    allowed = round(1 - percent / 100, 9)
    beyond = float(slo.limit) + (1 if slo.comparison == "<=" else 0)
    bounds = share_bounds(evidence.slower(kind, operation, beyond), confidence)
    if not bounds.trials:
        return Judged(text=slo.text, verdict=Verdict.FAILED, value="nothing was measured")
    histogram = evidence.latency(kind, operation)
    rank, worth = percent / 100, bounds.effective
    low, value, high = histogram.percentiles(
        (
            100 * lower_bound(rank * worth, worth, confidence),
            percent,
            100 * upper_bound(rank * worth, worth, confidence),
        )
    )
    return _held_within(slo, bounds, allowed, f"{_latency(value)} ({_latency(low)} to {_latency(high)})")


def _share(slo: Threshold, evidence: Evidence, name: str, operation: str | None, confidence: float) -> Judged:
    """Judged by the requests that miss it, which are the failed ones for success."""
    series = evidence.succeeded(operation) if name == "success" else evidence.ended(name, operation)
    allowed = float(slo.limit) / 100
    if slo.comparison in _LOWER:
        series = [[(trials - hits, trials) for hits, trials in run] for run in series]
        allowed = 1 - allowed
    bounds = share_bounds(series, confidence)
    if not bounds.trials:
        return Judged(text=slo.text, verdict=Verdict.FAILED, value="nothing was measured")
    low, value, high = bounds.lower, bounds.share, bounds.upper
    if slo.comparison in _LOWER:
        low, value, high = 1 - high, 1 - value, 1 - low
    return _held_within(slo, bounds, round(allowed, 9), f"{_percent(value)} ({_percent(low)} to {_percent(high)})")


def _held_within(slo: Threshold, bounds: ShareBounds, allowed: float, value: str) -> Judged:
    if bounds.upper <= allowed:
        verdict = Verdict.HELD
    elif bounds.lower > allowed:
        verdict = Verdict.FAILED
    else:
        verdict = Verdict.UNDECIDED
    return Judged(text=slo.text, verdict=verdict, value=value, bounds=bounds, allowed=allowed)


def _latency(microseconds: float) -> str:
    return f"{microseconds / 1000:,.1f} ms" if microseconds >= 100 else f"{microseconds:,.0f} µs"


def _percent(share: float) -> str:
    return f"{math.floor(share * 1e6) / 1e4:g} %"
