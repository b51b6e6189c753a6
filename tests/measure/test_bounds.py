"""Bounds of shares against published values, exact sums, and what random trials do."""

from __future__ import annotations

import math
from itertools import pairwise
from random import Random

import pytest

from simulator.measure.bounds import (
    LEAST_BLOCKS,
    beta_quantile,
    design_effect,
    lower_bound,
    regularized_beta,
    share_bounds,
    student_quantile,
    upper_bound,
)


def at_most(hits: int, trials: int, share: float) -> float:
    """The probability of so few hits, summed up."""
    return math.fsum(math.comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in range(hits + 1))


@pytest.mark.parametrize(("hits", "trials"), [(0, 10), (1, 10), (9, 10), (3, 299), (150, 300), (0, 1000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.999])
def test_at_the_upper_bound_so_few_hits_are_as_unlikely_as_was_asked(hits: int, trials: int, confidence: float) -> None:
    assert at_most(hits, trials, upper_bound(hits, trials, confidence)) == pytest.approx(1 - confidence, rel=1e-6)


@pytest.mark.parametrize(("hits", "trials"), [(1, 10), (9, 10), (10, 10), (3, 299), (150, 300)])
def test_at_the_lower_bound_so_many_hits_are_as_unlikely_as_was_asked(hits: int, trials: int) -> None:
    assert 1 - at_most(hits - 1, trials, lower_bound(hits, trials, 0.95)) == pytest.approx(0.05, rel=1e-6)


def test_the_rule_of_three() -> None:
    """Nothing in n trials: at 95 % the share is below about 3 / n, exactly 1 - 0.05 ** (1 / n)."""
    assert upper_bound(0, 1000, 0.95) == pytest.approx(1 - 0.05**0.001, rel=1e-9)
    assert lower_bound(0, 1000, 0.95) == 0.0
    assert upper_bound(1000, 1000, 0.95) == 1.0


def test_the_beta_distribution_at_known_places() -> None:
    assert regularized_beta(0.3, 1, 1) == pytest.approx(0.3)
    assert regularized_beta(0.25, 0.5, 0.5) == pytest.approx(1 / 3)  # the arcsine law: 2/pi * asin(sqrt(x))
    assert regularized_beta(0.5, 7, 7) == pytest.approx(0.5)
    assert (regularized_beta(0.0, 2, 3), regularized_beta(1.0, 2, 3)) == (0.0, 1.0)
    for probability in (0.01, 0.5, 0.999):
        assert regularized_beta(beta_quantile(probability, 4, 90), 4, 90) == pytest.approx(probability)


def test_ten_million_trials_are_no_harder() -> None:
    """There the bounds are those of a normal distribution."""
    error = 1.6448536 * math.sqrt(0.01 * 0.99 / 1e7)
    assert upper_bound(100_000, 10_000_000, 0.95) == pytest.approx(0.01 + error, rel=1e-4)
    assert lower_bound(100_000, 10_000_000, 0.95) == pytest.approx(0.01 - error, rel=1e-4)


@pytest.mark.parametrize(
    ("probability", "degrees", "published"),
    [(0.95, 1, 6.3138), (0.95, 9, 1.8331), (0.975, 10, 2.2281), (0.99, 30, 2.4573), (0.95, 1000, 1.6464)],
)
def test_students_quantiles_are_those_of_the_tables(probability: float, degrees: int, published: float) -> None:
    assert student_quantile(probability, degrees) == pytest.approx(published, abs=5e-5)


# -- correlated trials --------------------------------------------------------------------------------------------------


def test_without_trials_nothing_is_known() -> None:
    nothing = share_bounds([[]], 0.95)
    assert (nothing.share, nothing.lower, nothing.upper, nothing.trials) == (0.0, 0.0, 1.0, 0)


def test_a_few_intervals_are_taken_as_independent() -> None:
    few = share_bounds([[(1, 10)] * (LEAST_BLOCKS - 1)], 0.95)
    assert few.effective == few.trials == 90
    assert few.upper == upper_bound(9, 90, 0.95)


def test_intervals_that_are_all_alike_vary_less_than_by_chance_and_gain_nothing_by_that() -> None:
    assert design_effect([[(5, 50)] * 40]) == (1.0, 0)


def test_hits_that_come_in_clumps_are_worth_fewer_trials() -> None:
    clumped = [(20, 20) if i % 10 == 0 else (0, 20) for i in range(40)]
    spread = [(2, 20)] * 40
    assert design_effect([clumped])[0] > 15, "whole intervals are hit: 20 trials are worth one"
    bounds, loose = share_bounds([clumped], 0.95), share_bounds([spread], 0.95)
    assert bounds.share == loose.share == 0.1
    assert bounds.effective < 50
    assert loose.effective == 800
    assert bounds.lower < loose.lower < 0.1 < loose.upper < bounds.upper


def test_clumps_that_are_longer_than_an_interval_are_seen_in_blocks_of_several() -> None:
    """Eight slow intervals, then eight fast ones: the neighbours are correlated, only blocks of eight tell it all."""
    slow_and_fast = [(6, 20) if i // 8 % 2 else (0, 20) for i in range(160)]
    single = sum((hit - 0.15 * trial) ** 2 for hit, trial in slow_and_fast) * 160 / 159 / (480 * 0.85)
    effect, blocks = design_effect([slow_and_fast])
    assert effect == pytest.approx(8 * single, rel=0.1)
    assert blocks == 20


def test_separate_observations_are_not_merged_with_each_other() -> None:
    """One of them all slow and one all fast: their blocks stay apart down to one of each."""
    one, other = [(4, 20)] * 16, [(0, 20)] * 16
    assert design_effect([one, other])[1] == LEAST_BLOCKS + 6


def test_many_short_observations_come_to_an_end() -> None:
    assert design_effect([[(i % 2 * 10, 10)] for i in range(40)]) == (pytest.approx(10 * 40 / 39), 40)


def test_a_short_rest_of_an_odd_number_is_not_a_block_of_its_own() -> None:
    """A lone half-filled interval would vary more than the others."""
    assert design_effect([[(2, 20)] * 20 + [(1, 10)]]) == (1.0, 0)


@pytest.mark.parametrize("correlation", [0.0, 0.6, 0.9])
def test_the_bounds_hold_as_often_as_they_promise(correlation: float) -> None:
    """Counts whose share wanders from interval to interval; the true share is 0.1."""
    random = Random(11)
    held = 0
    for _ in range(300):
        wander, series = random.gauss(0, 1), []
        for _ in range(240):
            wander = correlation * wander + math.sqrt(1 - correlation**2) * random.gauss(0, 1)
            share = 0.1 + 0.04 * wander * (correlation > 0)
            series.append((sum(random.random() < share for _ in range(20)), 20))
        held += share_bounds([series], 0.95).upper >= 0.1
    assert held / 300 >= {0.0: 0.93, 0.6: 0.90, 0.9: 0.85}[correlation]


def test_more_trials_bring_the_bounds_closer() -> None:
    widths = [share_bounds([[(1, 10)] * count], 0.95) for count in (20, 80, 320)]
    assert all(few.upper - few.lower > 1.8 * (many.upper - many.lower) for few, many in pairwise(widths))


def test_a_clumping_that_was_seen_in_few_blocks_only_counts_for_more() -> None:
    """By the square of t / z, which are 1.8331 (9 degrees of freedom) and 1.6449 at 95 %."""
    series = [[(hits, 100) for hits in (0, 9, 1, 8, 0, 10, 2, 9, 1, 10)]]
    effect, blocks = design_effect(series)
    assert (effect > 2, blocks) == (True, 10)
    bounds = share_bounds(series, 0.95)
    assert bounds.effective == pytest.approx(1000 / (effect * (1.8331 / 1.6449) ** 2), rel=1e-3)
    assert bounds.share == 0.05


def test_what_is_left_over_of_the_pairs_belongs_to_the_last_one() -> None:
    """Twenty-one intervals in bursts of three: they vary most in pairs, the last three together."""
    hits = [9, 9, 9, 0, 0, 0, 9, 9, 9, 0, 0, 0, 9, 9, 9, 0, 0, 0, 9, 9, 9]
    pairs = [(sum(hits[at : at + 2]), 200) for at in range(0, 18, 2)] + [(27, 300)]
    share = sum(hits) / 2100
    spread = sum((hit - share * trials) ** 2 for hit, trials in pairs)
    effect, blocks = design_effect([[(hit, 100) for hit in hits]])
    assert effect == pytest.approx(spread * 10 / 9 / (2100 * share * (1 - share)))
    assert blocks == 10
