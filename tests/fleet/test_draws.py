from __future__ import annotations

import math
import subprocess
import sys

import pytest

from simulator.fleet.draws import Permutation, Purpose, seed_key, session_key, uniform
from tests.statistics_of import kolmogorov_smirnov

SEED = seed_key(1)


def test_a_draw_is_the_same_today_and_tomorrow() -> None:
    """Pinned: a change of these values changes what every seed of every user means."""
    key = session_key(SEED, subscriber=42, session=7)
    assert SEED.hex() == "198a08916dbe9bd50d371e2f"
    assert key.hex() == "eafb794e2dd0289d00448419"
    assert [uniform(key, Purpose.LENGTH, index) for index in range(3)] == [
        0.7695786022837591,
        0.37355180539165656,
        0.4747452846950332,
    ]
    assert [Permutation(1000, SEED)[index] for index in range(5)] == [156, 817, 478, 139, 800]


def test_a_draw_does_not_depend_on_the_process() -> None:
    """Hashes of texts differ between processes; these must not."""
    script = (
        "from simulator.fleet.draws import *; print(uniform(session_key(seed_key(5), 6, 7), Purpose.BURST, 8).hex())"
    )
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)
    assert other.stdout.strip() == uniform(session_key(seed_key(5), 6, 7), Purpose.BURST, 8).hex()


def test_draws_are_uniform_over_indices_sessions_subscribers_and_purposes() -> None:
    key = session_key(SEED, 1, 1)
    for draws in (
        [uniform(key, Purpose.GAP, index) for index in range(20_000)],
        [uniform(session_key(SEED, 1, session), Purpose.LENGTH) for session in range(20_000)],
        [uniform(session_key(SEED, subscriber, 1), Purpose.LENGTH) for subscriber in range(20_000)],
        [uniform(session_key(seed_key(seed), 1, 1), Purpose.LENGTH) for seed in range(5_000)],
    ):
        assert min(draws) >= 0
        assert max(draws) < 1
        assert kolmogorov_smirnov(draws, lambda x: x) < 1.63  # exceeded by one seed in a hundred


def test_draws_of_different_purposes_are_independent() -> None:
    keys = [session_key(SEED, subscriber, 0) for subscriber in range(20_000)]
    pairs = [(uniform(key, Purpose.LENGTH) - 0.5, uniform(key, Purpose.VOLUME) - 0.5) for key in keys]
    correlation = 12 * sum(x * y for x, y in pairs) / len(pairs)
    assert abs(correlation) < 4 / math.sqrt(len(pairs))


def test_different_seeds_subscribers_sessions_purposes_and_indices_draw_differently() -> None:
    draws = {
        uniform(session_key(seed_key(seed), subscriber, session), purpose, index)
        for seed in (-1, 0, 1)
        for subscriber in range(3)
        for session in range(3)
        for purpose in (Purpose.BURST, Purpose.PAUSE, Purpose.BURST | 1 << 4)
        for index in range(3)
    }
    assert len(draws) == 3**5


def test_fifty_rating_groups_have_draws_of_their_own() -> None:
    """A position of up to 49 stands above the purpose, in one octet."""
    key = session_key(SEED, 1, 1)
    positions = {uniform(key, Purpose.VOLUME | position << 4) for position in range(50)}
    assert len(positions) == 50


@pytest.mark.parametrize("size", [1, 2, 3, 10, 97, 1000, 4096, 99_999, 100_000])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_permutation_meets_every_number_once(size: int, seed: int) -> None:
    order = Permutation(size, seed_key(seed))
    assert sorted(order[index] for index in range(size)) == list(range(size))
    assert order[size] == order[0], "and then begins again"


def test_a_permutation_of_a_thousand_million_numbers_costs_nothing() -> None:
    order = Permutation(10**9, SEED)
    assert len({order[index] for index in range(10_000)}) == 10_000
    assert all(0 <= order[index] < 10**9 for index in range(0, 10**9, 10**8))


def test_neighbours_in_time_are_no_neighbours_in_number() -> None:
    order = Permutation(100_000, SEED)
    distances = [abs(order[index] - order[index + 1]) for index in range(1000)]
    assert min(distances) > 10_000


def test_different_seeds_have_different_orders() -> None:
    orders = {tuple(Permutation(1000, seed_key(seed))[index] for index in range(5)) for seed in range(20)}
    assert len(orders) == 20
