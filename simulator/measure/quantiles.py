"""How far a percentile, or a ratio of sums, that was measured can be trusted, also where neighbours are correlated.

A percentile is an order statistic: how many of n independent values lie below the true percentile is binomial, whatever the
distribution is, so two ranks bound it (David and Nagaraja, "Order Statistics", 7.1). Requests that wait in one queue are not
independent; the spread between consecutive intervals of the share that lies above tells how many independent ones they are worth
(`simulator.measure.bounds.design_effect`), and the ranks are taken from so many.

A ratio of sums, such as requests per second or CPU per request, has bounds from the batch means of its intervals (Law,
"Simulation Modeling and Analysis", 9.5.3), merged in pairs again and again; the widest ones count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

from simulator.measure.bounds import LEAST_BLOCKS, Counts, design_effect, regularized_beta, student_quantile
from simulator.measure.histogram import Histogram, bucket_of

LEAST_ABOVE: Final = 20
"""Values of which it can be told whether they come in clumps."""
_BISECTIONS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What lies between `lower` and `upper`; None where it cannot be bounded. `effective`: so many independent values."""

    lower: float | None
    upper: float | None
    effective: float


def count_above(histogram: Histogram, value_us: int) -> int:
    """How many values lie in higher buckets than this one."""
    bucket = bucket_of(value_us)
    return sum(count for each, count in histogram.buckets.items() if each > bucket)


def percentile_bounds(
    histogram: Histogram, percent: float, intervals: Sequence[Histogram], confidence: float
) -> Bounds:
    """Bounds in microseconds, each of which holds with `confidence` (more than 0.5, one-sided).

    `intervals` are the consecutive parts of the histogram. With fewer than LEAST_BLOCKS of them its values count as independent.
    """
    if not histogram.count:
        return Bounds(lower=None, upper=None, effective=0.0)
    level = _countable_level(histogram, percent)
    counts: list[Counts] = [(count_above(each, level), each.count) for each in intervals if each.count]
    effective = histogram.count / _effect(counts, confidence)
    low, high = rank_bounds(effective, percent / 100, confidence)
    share = histogram.count / effective
    lower = None if low is None else _at_rank(histogram, math.floor(low * share + 1e-6))
    upper = None if high is None else _at_rank(histogram, math.ceil(high * share - 1e-6))
    return Bounds(lower=lower, upper=upper, effective=effective)


def _countable_level(histogram: Histogram, percent: float) -> int:
    """The percentile, or a lower one where so few values lie above it that they could not be seen to come in clumps."""
    level, depth = histogram.percentile(percent), LEAST_ABOVE
    while count_above(histogram, level) < LEAST_ABOVE and depth < histogram.count:
        level = histogram.percentile(100 * (1 - depth / histogram.count))
        depth *= 2
    return level


def _effect(counts: list[Counts], confidence: float) -> float:
    effect, blocks = design_effect([counts])
    if effect <= 1.0:
        return 1.0
    # how large it is was itself estimated, from so many blocks
    return float(effect * (student_quantile(confidence, blocks - 1) / NormalDist().inv_cdf(confidence)) ** 2)


def _at_rank(histogram: Histogram, rank: int) -> float:
    rank = min(max(rank, 1), histogram.count)
    return histogram.percentile(100 * rank / histogram.count)


def rank_bounds(trials: float, share: float, confidence: float) -> tuple[float | None, float | None]:
    """Between which ranks (from 1) of so many values the quantile lies; None where even the outermost one is no bound.

    The value of rank r is at most the quantile if at least r values are, and at least the quantile if less than r are.
    """

    def at_least(rank: float) -> float:
        return regularized_beta(share, rank, trials - rank + 1)

    low = high = None
    if trials >= 1 and at_least(1) >= confidence:
        low = _last(lambda rank: at_least(rank) >= confidence, 1, trials)
    if trials >= 1 and 1 - at_least(trials) >= confidence:
        high = trials + 1 - _last(lambda depth: 1 - at_least(trials + 1 - depth) >= confidence, 1, trials)
    return low, high


def _last(holds: Callable[[float], bool], low: float, high: float) -> float:
    """The largest argument for which it still holds; it does for `low`."""
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def ratio_bounds(intervals: Sequence[tuple[float, float]], confidence: float) -> Bounds:
    """Bounds on the sum of the first over the sum of the second figure of consecutive intervals.

    Unbounded where there are fewer than LEAST_BLOCKS intervals.
    """
    blocks = [each for each in intervals if each[1] > 0]
    part, whole, most = sum(each for each, _ in blocks), sum(each for _, each in blocks), 0.0
    if len(blocks) < LEAST_BLOCKS:
        return Bounds(lower=None, upper=None, effective=float(len(blocks)))
    ratio = part / whole
    while (count := len(blocks)) >= LEAST_BLOCKS:
        spread = sum((one - ratio * other) ** 2 for one, other in blocks) * count / (count - 1)
        most = max(most, student_quantile(confidence, count - 1) * math.sqrt(spread) / whole)
        blocks = [(blocks[i][0] + blocks[i + 1][0], blocks[i][1] + blocks[i + 1][1]) for i in range(0, count - 1, 2)]
    return Bounds(lower=ratio - most, upper=ratio + most, effective=float(len(intervals)))
