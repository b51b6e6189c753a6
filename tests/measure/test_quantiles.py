"""Bounds of percentiles and ratios against exact sums, published ranks, and what random values do."""

from __future__ import annotations

import math
from random import Random

import pytest

from simulator.measure import Histogram
from simulator.measure.quantiles import count_above, percentile_bounds, rank_bounds, ratio_bounds


def histogram(values: list[int]) -> Histogram:
    made = Histogram()
    made.record_many(values)
    return made


def at_most(hits: int, trials: int, share: float) -> float:
    return math.fsum(math.comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in range(hits + 1))


@pytest.mark.parametrize(("trials", "share"), [(20, 0.5), (100, 0.9), (500, 0.99), (1000, 0.5)])
@pytest.mark.parametrize("confidence", [0.9, 0.975])
def test_the_ranks_are_the_innermost_ones_that_bound_the_quantile(trials: int, share: float, confidence: float) -> None:
    low, high = rank_bounds(trials, share, confidence)
    assert low is not None
    assert high is not None
    lower, upper = math.floor(low), math.ceil(high)
    assert 1 - at_most(lower - 1, trials, share) >= confidence > 1 - at_most(lower, trials, share)
    assert at_most(upper - 1, trials, share) >= confidence > at_most(upper - 2, trials, share)


def test_the_median_of_ten_lies_between_the_second_and_the_ninth_value() -> None:
    """The textbook's example: 97.9 % two-sided."""
    low, high = rank_bounds(10, 0.5, 0.975)
    assert low is not None
    assert high is not None
    assert (math.floor(low), math.ceil(high)) == (2, 9)


def test_the_largest_value_bounds_no_percentile_of_too_few() -> None:
    """0.99 ** 298 is a hair above 5 %, 0.99 ** 299 below."""
    assert rank_bounds(298, 0.99, 0.95)[1] is None
    assert rank_bounds(299, 0.99, 0.95)[1] == pytest.approx(299, abs=0.5)
    assert rank_bounds(0.3, 0.5, 0.95) == (None, None)


def test_percentile_bounds_are_values_of_the_histogram() -> None:
    bounds = percentile_bounds(histogram(list(range(1, 101))), 50, [], 0.975)
    assert (bounds.lower, bounds.upper, bounds.effective) == (40, 61, 100)
    assert percentile_bounds(Histogram(), 50, [], 0.975).upper is None


def test_what_lies_above_is_counted_by_bucket() -> None:
    assert count_above(histogram([1, 5, 5, 6, 1_000_000]), 5) == 2


def test_intervals_that_are_slow_together_widen_the_bounds() -> None:
    random = Random(4)
    parts = [
        histogram([random.randrange(100, 200) + 100 * (second % 8 == 0) for _ in range(200)]) for second in range(64)
    ]
    whole = Histogram()
    for part in parts:
        whole.merge(part)
    alone, together = percentile_bounds(whole, 90, [], 0.99), percentile_bounds(whole, 90, parts, 0.99)
    assert together.effective < alone.effective / 10
    assert None not in (alone.lower, alone.upper, together.lower, together.upper)
    assert together.upper - together.lower > 2 * (alone.upper - alone.lower)  # type: ignore[operator]


def test_a_percentile_above_which_nothing_was_seen_is_no_better_known_than_a_lower_one() -> None:
    """The slowest values are all in one interval: of the p99.9 that is invisible, of the p99 it is not."""
    parts = [histogram([5_000] * 100 + [9_000] * (20 if second == 3 else 0)) for second in range(20)]
    whole = Histogram()
    for part in parts:
        whole.merge(part)
    assert percentile_bounds(whole, 99.9, parts, 0.99).effective < whole.count / 10


def test_percentile_bounds_hold_as_often_as_they_promise() -> None:
    """Exponential values: the true p90 is known. Each bound of 90 % fails in about a tenth of 400 trials at most."""
    true = 1000 * math.log(10)
    random, below, above = Random(1), 0, 0
    for _ in range(400):
        values = [round(random.expovariate(0.001)) for _ in range(300)]
        parts = [histogram(values[at : at + 15]) for at in range(0, 300, 15)]
        bounds = percentile_bounds(histogram(values), 90, parts, 0.9)
        assert bounds.lower is not None
        assert bounds.upper is not None
        below += bounds.upper < true * 0.996
        above += bounds.lower > true * 1.004
    assert 0 < below < 50
    assert 0 < above < 50


def test_ratio_bounds_hold_also_where_intervals_are_correlated() -> None:
    """An AR(1) rate over a minute of half seconds, 95 % one-sided, 300 trials: 15 misses are allowed, 30 by chance."""
    random, misses = Random(2), 0
    for _ in range(300):
        level, intervals = 0.0, []
        for _ in range(120):
            level = 0.7 * level + random.gauss(0, 5)
            intervals.append((100 + level, 0.5))
        bounds = ratio_bounds(intervals, 0.95)
        assert bounds.upper is not None
        misses += bounds.upper < 200
    assert 0 < misses < 30


def test_a_steady_ratio_is_known_exactly_and_that_of_few_intervals_not_at_all() -> None:
    bounds = ratio_bounds([(50, 0.5)] * 20, 0.99)
    assert (bounds.lower, bounds.upper) == (100, 100)
    assert ratio_bounds([(50, 0.5)] * 9, 0.99).upper is None
