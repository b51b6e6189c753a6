"""Compares a run B with a baseline A: every figure side by side, and whether a change is more than noise.

A figure has changed if it did by more than the tolerance *and* by more than noise. Noise is what chance alone makes of two equal
systems, from the runs' own records:

- Percentiles: order statistics of each run's histogram (`simulator.measure.quantiles`). Requests that wait in one queue are slow
  together, so they count for as many independent ones as the spread between the steady phase's intervals allows (batch means).
- Shares (failed, denied, dropped, ...): exact binomial bounds, widened in the same way over the intervals of the run.
- Rates of a closed loop and CPU per request: batch means of the intervals.

The bounds of both runs become one for their difference by the method of Zou and Donner (2008, "Construction of confidence limits
about effect measures: a general approach"): the distances from the estimates to the bounds are added as squares. Many figures are
compared, so each is held to a confidence of 1 - FALSE_ALARMS / figures (Bonferroni). What the records of two runs cannot tell is
how they differ by when and where they ran: neighbours on the machine for the whole of one run look like a slower CHF.

Of a summary alone no spread is known. Where one side has records, the other side's latencies are taken to be as noisy, for their
number; where neither has, the tolerance decides alone. The maximum is one request: it is shown and not judged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final, Literal

from simulator.measure.bounds import LEAST_BLOCKS, Counts, share_bounds
from simulator.measure.figures import OPERATIONS, PERCENTILES
from simulator.measure.quantiles import Bounds, percentile_bounds, ratio_bounds
from simulator.report.series import ALL
from simulator.report.side import COMPARED_LATENCIES, COMPARED_PERCENTILES, Side

Json = dict[str, Any]
Unit = Literal["us", "per_s", "share", "count", "flag"]

FALSE_ALARMS: Final = 0.05
"""How often at most two equal systems are told apart, over all figures together, in one direction."""
_ALONE: Final = 1 - FALSE_ALARMS / 50
"""The confidence of a share that is judged by itself; that of one of about fifty figures."""
_PROOFS: Final = ("lost_units", "double_charged_units", "misbooked_units")
"""Of units that ought to be none."""
_REMARKS: Final = ("undelivered_units", "in_doubt_units", "unverified_units")
_MOST_DIFFERENCES: Final = 8


class NotComparableError(Exception):
    """Two runs that have nothing to be compared by; one line for the user."""


class Better(StrEnum):
    """Which way a figure improves. EITHER: a change is told and judged neither way; SHOWN: it is only shown."""

    LOWER = "lower"
    HIGHER = "higher"
    EITHER = "either"
    SHOWN = "shown"


class Finding(StrEnum):
    """What a comparison of one figure came to."""

    SAME = "same"
    """Within the tolerance."""
    NOISE = "noise"
    """Beyond the tolerance, and within what chance does."""
    TOO_FEW = "too few"
    """Beyond the tolerance, and measured too seldom to tell what chance does."""
    BETTER = "better"
    WORSE = "worse"
    CHANGED = "changed"
    SHOWN = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of both runs. `change` is relative to A (None from zero); so is `noise`, which is None where it is not known."""

    group: str
    name: str
    unit: Unit
    better: Better
    a: float | bool | None
    b: float | bool | None
    change: float | None
    noise: float | None
    finding: Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All figures, and what makes them less comparable."""

    a: str
    b: str
    tolerance: float
    confidence: float
    noise_known: Literal["both", "A", "B", "neither"]
    """Whose interval records there were."""
    warnings: tuple[str, ...]
    figures: tuple[Figure, ...]

    def found(self, finding: Finding) -> list[Figure]:
        """The figures of which this was found."""
        return [figure for figure in self.figures if figure.finding is finding]

    @property
    def exit_code(self) -> int:
        """1 if something got worse, else 0."""
        return 1 if self.found(Finding.WORSE) else 0

    def to_json(self) -> Json:
        """All of it, JSON-able."""
        return {"format": 1, "exit_code": self.exit_code} | asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A figure that is still to be judged; bounds are asked for at a confidence, and None where nothing is known of them."""

    group: str
    name: str
    unit: Unit
    better: Better
    a: float | None
    b: float | None
    bounds: tuple[Callable[[float], Bounds] | None, Callable[[float], Bounds] | None] = (None, None)
    counts: tuple[int, int] = (1, 1)
    """How many values each side's figure is of."""

    @property
    def has_noise(self) -> bool:
        return any(self.bounds) and self.better is not Better.SHOWN


def compare(a: Side, b: Side, tolerance: float) -> Comparison:
    """Hold B against the baseline A. `tolerance` is relative, 0 to 1. Raises NotComparableError."""
    _must_be_comparable(a, b)
    candidates = list(_candidates(a, b))
    confidence = 1 - FALSE_ALARMS / max(1, sum(each.has_noise for each in candidates))
    figures = [_judged(each, tolerance, confidence) for each in candidates]
    return Comparison(
        a=a.place,
        b=b.place,
        tolerance=tolerance,
        confidence=confidence,
        noise_known=_KNOWN[a.record is not None, b.record is not None],
        warnings=tuple(_warnings(a, b, figures)),
        figures=(*figures, *_audited(a.summary, b.summary)),
    )


_KNOWN: Final[Mapping[tuple[bool, bool], Literal["both", "A", "B", "neither"]]] = {
    (True, True): "both", (True, False): "A", (False, True): "B", (False, False): "neither",
}  # fmt: skip


def _must_be_comparable(a: Side, b: Side) -> None:
    for side in (a, b):
        if not side.summary["all"]["requests"]:
            raise NotComparableError(f"{side.place}: this run sent no request: there is nothing to compare")
        if side.manifest.get("format", 1) != 1:
            raise NotComparableError(f"{side.place}: manifest.json has format {side.manifest['format']}, expected 1")
    modes = [side.summary.get("mode") for side in (a, b)]
    if modes[0] != modes[1]:
        raise NotComparableError(
            f"{a.place} has load in {modes[0]} loop and {b.place} in {modes[1]} loop: their latencies mean different things"
        )
    if not _common(a, b):
        raise NotComparableError(f"{a.place} and {b.place} have no operation in common")


def _common(a: Side, b: Side) -> list[str]:
    return [each for each in OPERATIONS if all(side.summary["operations"][each]["requests"] for side in (a, b))]


# -- figures ----------------------------------------------------------------------------------------------------------


def _candidates(a: Side, b: Side) -> Iterator[_Candidate]:
    operations = [*_common(a, b), ALL]
    for kind in COMPARED_LATENCIES:
        for operation in operations:
            yield from _latencies(a, b, kind, operation)
    yield from _rates(a, b)
    for outcome, better in (("failed", Better.LOWER), ("denied", Better.EITHER)):
        for operation in operations:
            name = f"{outcome} {operation}"
            yield _share("requests", name, better, a.outcomes(operation, outcome), b.outcomes(operation, outcome))
    yield _share("sessions", "failed", Better.LOWER, *(_ended(side) for side in (a, b)))
    yield _share("sessions", "left open", Better.LOWER, *(_left_open(side) for side in (a, b)))
    yield _share("sessions", "arrivals dropped", Better.LOWER, *(_dropped(side) for side in (a, b)))
    for part, better in (
        ("causes", Better.EITHER),
        ("result_codes", Better.EITHER),
        ("promises_broken", Better.LOWER),
    ):
        for name in sorted({*a.summary[part], *b.summary[part]}):
            yield _share(part.replace("_", " "), name, better, *(_named(side, part, name) for side in (a, b)))
    yield _cpu(a, b)


def _figures_of(side: Side, operation: str) -> Json:
    figures: Json = side.summary["all"] if operation == ALL else side.summary["operations"][operation]
    return figures


def _latencies(a: Side, b: Side, kind: str, operation: str) -> Iterator[_Candidate]:
    ours, theirs = (_figures_of(side, operation)["latency_us"][kind] for side in (a, b))
    if not ours["count"] or not theirs["count"]:
        return
    for percentile in COMPARED_PERCENTILES:
        yield _Candidate(
            group=kind,
            name=f"{operation} {percentile.replace('_', '.')}",
            unit="us",
            better=Better.SHOWN if percentile == "max" else Better.LOWER,
            a=ours[percentile],
            b=theirs[percentile],
            bounds=(_of_percentile(a, kind, operation, percentile), _of_percentile(b, kind, operation, percentile)),
            counts=(ours["count"], theirs["count"]),
        )


def _of_percentile(side: Side, kind: str, operation: str, percentile: str) -> Callable[[float], Bounds] | None:
    if side.record is None:
        return None
    whole, intervals = side.latency(kind, operation)
    return lambda confidence: percentile_bounds(whole, PERCENTILES[percentile], intervals, confidence)


def _rates(a: Side, b: Side) -> Iterator[_Candidate]:
    """Of an open loop the rates are what was asked for, and the share of it that was achieved is judged."""
    closed = a.summary.get("mode") == "closed"
    labels = {
        "offered": ("offered_per_s", ("arrivals", "intended")),
        "achieved": ("achieved_per_s", ("arrivals", "started")),
        "requests": ("requests_per_s", ("requests",)),
    }
    for name, (field, counter) in labels.items():
        yield _Candidate(
            group="rate",
            name=name,
            unit="per_s",
            better=Better.HIGHER if closed and name != "offered" else Better.EITHER,
            a=a.summary["rate"][field],
            b=b.summary["rate"][field],
            bounds=(_of_rate(a, field, counter), _of_rate(b, field, counter)),
        )
    if not closed:
        yield _Candidate(
            group="rate",
            name="achieved of offered",
            unit="share",
            better=Better.HIGHER,
            a=_quotient(a.summary["rate"]["achieved_per_s"], a.summary["rate"]["offered_per_s"]),
            b=_quotient(b.summary["rate"]["achieved_per_s"], b.summary["rate"]["offered_per_s"]),
        )


def _of_rate(side: Side, field: str, counter: tuple[str, ...]) -> Callable[[float], Bounds] | None:
    return _around(side.summary["rate"][field], side.counts(*counter)) if side.record else None


def _around(value: float | None, intervals: list[tuple[float, float]]) -> Callable[[float], Bounds] | None:
    """Bounds of the summary's figure, which need not be of exactly these intervals, as wide as they are."""
    if value is None:
        return None

    def bounds(confidence: float) -> Bounds:
        found = ratio_bounds(intervals, confidence)
        if found.lower is None or found.upper is None:
            return found
        half = (found.upper - found.lower) / 2
        return Bounds(lower=value - half, upper=value + half, effective=found.effective)

    return bounds


def _quotient(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _share(group: str, name: str, better: Better, a: list[Counts], b: list[Counts]) -> _Candidate:
    (hits_a, trials_a), (hits_b, trials_b) = _sum(a), _sum(b)
    return _Candidate(
        group=group,
        name=name,
        unit="share",
        better=better,
        a=_quotient(hits_a, trials_a),
        b=_quotient(hits_b, trials_b),
        bounds=(_of_share(a), _of_share(b)),
    )


def _sum(counts: list[Counts]) -> Counts:
    return sum(hits for hits, _ in counts), sum(trials for _, trials in counts)


def _of_share(counts: list[Counts]) -> Callable[[float], Bounds]:
    def bounds(confidence: float) -> Bounds:
        found = share_bounds([[each for each in counts if any(each)]], confidence)
        return Bounds(lower=found.lower, upper=found.upper, effective=found.effective)

    return bounds


def _ended(side: Side) -> list[Counts]:
    """Sessions that failed, of those that ended."""
    if side.record is None:
        sessions = side.summary["sessions"]
        return [(sessions["failed"], sessions["failed"] + sessions["completed"])]
    counts = [(point.count("sessions", "failed"), point.count("sessions", "completed")) for point in side.all_points]
    return [(failed, failed + completed) for failed, completed in counts]


def _left_open(side: Side) -> list[Counts]:
    sessions = side.summary["sessions"]
    return [(min(sessions["open_at_end"], sessions["started"]), sessions["started"])]


def _dropped(side: Side) -> list[Counts]:
    if side.record is None:
        return [(side.summary["arrivals"]["dropped"], side.summary["arrivals"]["intended"])]
    return [(point.count("arrivals", "dropped"), point.count("arrivals", "intended")) for point in side.all_points]


def _named(side: Side, part: str, name: str) -> list[Counts]:
    """Of result codes the share of all of them; else by requests, of which one may have several attempts."""
    counts = side.summary[part]
    hits, of_all = counts.get(name, 0), sum(counts.values())
    return [(hits, of_all if part == "result_codes" else max(side.summary["all"]["requests"], hits))]


def _cpu(a: Side, b: Side) -> _Candidate:
    """The generator's, not the CHF's: a change is told, and makes nothing worse."""
    rates = [side.summary["generator"]["requests_per_cpu_s"] for side in (a, b)]
    a_us, b_us = (1e6 / rate if rate else None for rate in rates)
    return _Candidate(
        group="generator",
        name="CPU per request",
        unit="us",
        better=Better.EITHER,
        a=a_us,
        b=b_us,
        bounds=(_around(a_us, a.cpu()) if a.record else None, _around(b_us, b.cpu()) if b.record else None),
    )


# -- judgement --------------------------------------------------------------------------------------------------------


def _judged(candidate: _Candidate, tolerance: float, confidence: float) -> Figure:
    a, b, better = candidate.a, candidate.b, candidate.better
    change = noise = None
    finding = Finding.SHOWN
    if a is not None and b is not None:
        change = (b - a) / a if a else None if b else 0.0
        if better is not Better.SHOWN:
            margin = _margin(candidate, a, b, confidence)
            noise = margin / a if margin is not None and a and math.isfinite(margin) else None
            finding = _finding(b - a, tolerance * a, margin, better)
    return Figure(
        group=candidate.group, name=candidate.name, unit=candidate.unit, better=better,
        a=a, b=b, change=change, noise=noise, finding=finding,
    )  # fmt: skip


def _finding(difference: float, tolerated: float, margin: float | None, better: Better) -> Finding:
    if abs(difference) <= tolerated:
        return Finding.SAME
    if margin is not None and not math.isfinite(margin):
        return Finding.TOO_FEW
    if margin is not None and abs(difference) <= margin:
        return Finding.NOISE
    if better is Better.EITHER:
        return Finding.CHANGED
    return Finding.BETTER if (difference < 0) is (better is Better.LOWER) else Finding.WORSE


def _margin(candidate: _Candidate, a: float, b: float, confidence: float) -> float | None:
    """How far apart chance brings them, in the direction of the change; None: not known, infinite: not to be bounded."""
    ours, theirs = (ask(confidence) if ask else None for ask in candidate.bounds)
    if ours is None and theirs is None:
        return None
    ours = ours or _as_noisy(theirs, b, a, candidate.counts[1] / candidate.counts[0])
    theirs = theirs or _as_noisy(ours, a, b, candidate.counts[0] / candidate.counts[1])
    rose = b >= a
    inner_a, inner_b = (ours.upper, theirs.lower) if rose else (ours.lower, theirs.upper)
    if inner_a is None or inner_b is None:
        return math.inf
    return math.hypot(inner_a - a, inner_b - b)


def _as_noisy(known: Bounds | None, at: float, of: float, ratio: float) -> Bounds:
    """Bounds for a figure of which nothing is known: those of the other side in proportion, `ratio` times as many values."""
    assert known is not None
    if not at or known.lower is None or known.upper is None:
        return Bounds(lower=None, upper=None, effective=0.0)
    wider = math.sqrt(ratio)
    return Bounds(
        lower=of * max(0.0, 1 - (1 - known.lower / at) * wider),
        upper=of * (1 + (known.upper / at - 1) * wider),
        effective=known.effective / ratio,
    )


# -- the audit: proofs, without noise ---------------------------------------------------------------------------------


def _audited(a: Json, b: Json) -> Iterator[Figure]:
    """Units that were lost or charged twice are proven one by one: where there were none, one is worse."""
    ours, theirs = a.get("audit"), b.get("audit")
    if not ours or not theirs:
        return
    yield _balance(ours["balanced"], theirs["balanced"])
    counts = [[(audit["offending"], audit["sessions"])] for audit in (ours, theirs)]
    yield _judged(_share("audit", "offending sessions", Better.LOWER, *counts), 0.0, _ALONE)
    for part in (*_PROOFS, *_REMARKS):
        for unit in sorted({*ours.get(part, {}), *theirs.get(part, {})}):
            before, after = ours.get(part, {}).get(unit, 0), theirs.get(part, {}).get(unit, 0)
            if before or after:
                yield _units(f"{part.removesuffix('_units').replace('_', ' ')} {unit}", part, before, after)


def _units(name: str, part: str, before: int, after: int) -> Figure:
    finding = Finding.SHOWN
    if part in _PROOFS and not (before and after):
        finding = Finding.WORSE if after else Finding.BETTER
    return Figure(
        group="audit", name=name, unit="count", better=Better.LOWER if part in _PROOFS else Better.SHOWN, a=before,
        b=after, change=(after - before) / before if before else None, noise=None, finding=finding,
    )  # fmt: skip


def _balance(before: bool | None, after: bool | None) -> Figure:
    """None: there were no books to confirm it."""
    finding = Finding.SAME
    if before is not after:
        finding = (
            Finding.WORSE if after is False else Finding.CHANGED if after is None or before is None else Finding.BETTER
        )
    return Figure(
        group="audit", name="balanced", unit="flag", better=Better.HIGHER, a=before, b=after, change=None, noise=None,
        finding=finding,
    )  # fmt: skip


# -- what makes two runs less comparable ------------------------------------------------------------------------------


def _warnings(a: Side, b: Side, figures: list[Figure]) -> Iterator[str]:
    for word, side in (("A", a), ("B", b)):
        yield from _doubts(word, side)
    yield from _differences(a, b)
    only = {each for each in OPERATIONS if any(side.summary["operations"][each]["requests"] for side in (a, b))}
    for operation in sorted(only - set(_common(a, b))):
        yield f"{operation}: only one of the runs has such requests"
    for figure in figures:
        if figure.group == "rate" and figure.name == "offered" and figure.finding is Finding.CHANGED:
            asked = "less" if (figure.b or 0) < (figure.a or 0) else "more"
            yield f"B was asked for {asked} than A: latencies and rates follow from that"
    if (a.summary.get("audit") is None) != (b.summary.get("audit") is None):
        yield "only one of the runs was audited"
    if a.record is None and b.record is None:
        yield "noise of latencies is unknown, without interval records (compare run folders): the tolerance decides alone"
    elif a.record is None or b.record is None:
        word, other = ("A", "B") if a.record is None else ("B", "A")
        yield f"{word} has no interval records: its latencies are taken to be as noisy as those of {other}"


def _doubts(word: str, side: Side) -> Iterator[str]:
    summary = side.summary
    if summary["generator"]["limited"]:
        yield f"{word}: the generator was the limit: its figures say little about the CHF"
    if side.record is not None and side.record.killed:
        yield f"{word}: the run was killed; its complete intervals are compared"
    elif summary.get("exit_code") in {2, 130}:
        yield f"{word}: the run did not go as asked: {'; '.join(summary.get('why', [])) or 'it was interrupted'}"
    if any(event.get("kind") == "control" for event in summary.get("events", ())):
        yield f"{word}: the load was changed by hand while it went"
    if side.record is not None and len(side.steady_points) < LEAST_BLOCKS:
        yield (
            f"{word}: a steady phase of {len(side.steady_points)} intervals is too short to see whether requests are slow "
            f"together (it takes {LEAST_BLOCKS}): noise is more than is told"
        )


def _differences(a: Side, b: Side) -> Iterator[str]:
    ours, theirs = a.summary, b.summary
    for name in ("profile", "seed", "pace", "subscribers", "workers", "planned_s", "version"):
        if ours.get(name) != theirs.get(name):
            yield f"{name} differs: {ours.get(name)} in A, {theirs.get(name)} in B"
    # an embedded sandbox has another port each time
    targets = ["the sandbox" if each.get("sandbox") else each.get("target") for each in (ours, theirs)]
    if targets[0] != targets[1]:
        yield f"target differs: {targets[0]} in A, {targets[1]} in B"
    if not a.manifest or not b.manifest:
        yield "whether the machine and the profile's content were the same is unknown without both manifest.json"
        return
    for part in ("machine", "profile"):
        leaves = [dict(_leaves(side.manifest.get(part, {}))) for side in (a, b)]
        yield from _named_differences(part, leaves[0], leaves[1])


_NO_MATTER: Final = ("description", "thresholds", "seed", "name")


def _named_differences(part: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    names = [name for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)]
    names = [name for name in names if name.split(".")[0] not in _NO_MATTER]
    for name in names[:_MOST_DIFFERENCES]:
        yield f"{part} differs: {name}: {_told(ours.get(name))} in A, {_told(theirs.get(name))} in B"
    if len(names) > _MOST_DIFFERENCES:
        yield f"{part} differs in {len(names) - _MOST_DIFFERENCES} more fields"


def _told(value: Any) -> str:
    return "nothing" if value is None else str(value)


def _leaves(document: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Every value by its path: load.rate, sandbox.faults.0.delay."""
    children = document.items() if isinstance(document, dict) else enumerate(document)
    for name, value in children:
        path = f"{at}.{name}" if at else str(name)
        if isinstance(value, dict | list):
            yield from _leaves(value, path)
        else:
            yield path, value
