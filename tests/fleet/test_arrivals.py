from __future__ import annotations

import math
from itertools import islice, pairwise

import pytest

from simulator.fleet.arrivals import NS_PER_S, areas, arrival_times
from simulator.fleet.draws import seed_key
from tests.statistics_of import kolmogorov_smirnov

KEY = seed_key(1)
MILLISECOND = 1_000_000


def test_constant_arrivals_keep_their_table() -> None:
    assert [moment // MILLISECOND for moment in arrival_times(4.0, "constant", KEY, 2.0)] == [
        250, 500, 750, 1000, 1250, 1500, 1750,
    ]  # fmt: skip


def test_constant_arrivals_do_not_drift() -> None:
    """The millionth arrival at 3,000 a second is where it belongs, to the nanosecond."""
    moment = next(islice(arrival_times(3000.0, "constant", KEY, 10_000), 999_999, None))
    assert abs(moment - 1_000_000 * NS_PER_S // 3000) <= 1


@pytest.mark.parametrize("rate", [0.01, 1.0, 7.5, 12_345.6])
def test_nothing_arrives_at_the_end_or_after_it(rate: float) -> None:
    """An arrival at exactly the end is the first one that is left out."""
    duration = 5 / rate
    assert len(list(arrival_times(rate, "constant", KEY, duration))) == 4
    assert all(moment < duration * NS_PER_S for moment in arrival_times(rate, "poisson", KEY, duration))


def test_gaps_of_poisson_arrivals_are_exponential() -> None:
    times = list(islice(arrival_times(100.0, "poisson", KEY, 1e9), 20_000))
    gaps = [(later - earlier) / NS_PER_S for earlier, later in pairwise([0, *times])]
    assert kolmogorov_smirnov(gaps, lambda gap: 1 - math.exp(-100 * gap)) < 1.63
    following = [first > 0.01 and second > 0.01 for first, second in pairwise(gaps)]
    assert sum(following) / len(following) == pytest.approx(math.exp(-2), abs=0.01), "gaps do not depend on each other"


def test_poisson_arrivals_have_the_rate_that_was_asked_for() -> None:
    count = sum(1 for _ in arrival_times(200.0, "poisson", KEY, 100.0))
    assert abs(count - 20_000) < 4 * math.sqrt(20_000)


def test_poisson_arrivals_at_twice_the_rate_are_the_same_ones_in_half_the_time() -> None:
    slow = islice(arrival_times(50.0, "poisson", KEY, 1e6), 100)
    fast = islice(arrival_times(100.0, "poisson", KEY, 1e6), 100)
    assert all(abs(late - 2 * early) <= 2 for late, early in zip(slow, fast, strict=True))


def test_seeds_have_arrivals_of_their_own() -> None:
    firsts = {next(areas("poisson", seed_key(seed))) for seed in range(100)}
    assert len(firsts) == 100
    assert min(firsts) > 0
