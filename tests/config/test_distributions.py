"""The laws, checked against what their quantile says: means and equilibrium as numeric integrals of it."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.config.distributions import (
    Choice,
    Distribution,
    Empirical,
    Exponential,
    Fixed,
    Lognormal,
    Pareto,
    Uniform,
)

STEPS = 20_000
LARGEST_UNIFORM = math.nextafter(1.0, 0.0)

values = st.floats(0.01, 1000.0)
shares = st.floats(0.0, 1.0, exclude_max=True)


@st.composite
def clamped(draw: st.DrawFn, law: Callable[..., Distribution], *parameters: st.SearchStrategy[float]) -> Distribution:
    first, *rest = (draw(each) for each in parameters)
    most = draw(st.sampled_from([0.5, 1.5, 4.0, 50.0]) | st.none())
    return law(first, *rest, math.inf if most is None else first * most)


@st.composite
def empirical(draw: st.DrawFn) -> Empirical:
    points = draw(st.lists(values, min_size=2, max_size=6))
    inner = draw(st.lists(st.floats(0.01, 0.99), min_size=len(points) - 2, max_size=len(points) - 2, unique=True))
    return Empirical((0.0, *sorted(inner), 1.0), tuple(sorted(points)))


laws = st.one_of(
    st.builds(Fixed, values),
    st.builds(lambda least, width: Uniform(least, least + width), values | st.just(0.0), values),
    clamped(Exponential, values),
    clamped(Lognormal, values, st.floats(0.1, 1.5)),
    clamped(lambda least, alpha, most: Pareto(least, alpha, max(least, most)), values, st.floats(1.6, 5.0)),
    st.builds(Choice.of, st.lists(st.tuples(values | st.just(0.0), st.floats(0.1, 9.0)), min_size=1, max_size=6)),
    empirical(),
)


def integral(function: Callable[[float], float], until: float) -> float:
    """From 0, by midpoints."""
    width = until / STEPS
    return math.fsum(function((i + 0.5) * width) for i in range(STEPS)) * width


@given(law=laws)
def test_the_mean_is_the_integral_of_the_quantile(law):
    # The last 0.01 % are checked by the limited mean below; a heavy tail is no matter for midpoints.
    cut = law.quantile(0.9999)
    assert law.limited_mean(cut) == pytest.approx(
        integral(lambda u: min(cut, law.quantile(u)), 1.0), rel=0.01, abs=1e-9
    )


@pytest.mark.parametrize(
    ("law", "mean"),
    [
        (Fixed(30.0), 30.0),
        (Uniform(2.0, 4.0), 3.0),
        (Exponential(20.0), 20.0),
        (Exponential(20.0, 20.0), 20.0 * (1 - math.exp(-1))),
        (Lognormal(300.0, 1.0), 300.0 * math.exp(0.5)),
        (Pareto(3.0, 1.5), 9.0),
        (Pareto(1.0, 1.0, math.e), 2.0),
        (Pareto(1.0, 0.5, 4.0), 3.0),
        (Choice.of([(10.0, 3.0), (2.0, 1.0)]), 8.0),
        (Empirical((0.0, 0.5, 1.0), (0.0, 2.0, 10.0)), 3.5),
    ],
)
def test_known_means(law, mean):
    assert law.mean() == pytest.approx(mean, rel=1e-12)


@given(law=laws, u=shares, v=shares)
def test_quantiles_rise_and_stay_in_the_support(law, u, v):
    low, high = sorted((u, v))
    assert 0 <= law.quantile(low) <= law.quantile(high) <= law.quantile(LARGEST_UNIFORM) < math.inf
    assert law.equilibrium_quantile(low) <= law.equilibrium_quantile(high) * (1 + 1e-9) < math.inf


@given(law=laws, u=shares)
def test_the_survival_function_is_the_inverse_of_the_quantile(law, u):
    value = law.quantile(u)
    assert law.survival(value * (1 + 1e-9) + 1e-9) <= 1 - u + 1e-6
    if value > 1e-3:
        assert law.survival(value * (1 - 1e-9) - 1e-9) >= 1 - u - 1e-6


@given(law=laws, limit=st.floats(0.0, 5000.0))
def test_the_limited_mean_is_the_integral_of_the_survival_function(law, limit):
    assert law.limited_mean(limit) == pytest.approx(
        integral(law.survival, limit), rel=0.01, abs=limit * 3 / STEPS + 1e-9
    )


@given(law=laws, u=st.floats(0.0, 0.999))
def test_the_equilibrium_is_what_an_observer_finds_left(law, u):
    """Its distribution function is E[min(X, x)] / E[X]."""
    left = law.equilibrium_quantile(u)
    if law.mean() > 0:
        assert law.limited_mean(left) / law.mean() == pytest.approx(u, abs=1e-7)


@given(law=laws)
def test_renewals_watched_at_random_moments_agree_with_the_equilibrium(law):
    """Lay lifetimes end to end, look at random moments, and see what is left."""
    if law.mean() <= 0:
        return
    lives = [law.quantile((i + 0.5) / STEPS) for i in range(STEPS)]
    half = law.equilibrium_quantile(0.5)
    longer = math.fsum(max(0.0, life - half) for life in lives) / math.fsum(lives)
    assert longer == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    "law",
    [Lognormal(300.0, 1.0), Lognormal(1e-3, 9.9), Pareto(1.0, 1.0001), Pareto(1e6, 0.01, 1e12), Lognormal(1e9, 10.0)],
)
@pytest.mark.parametrize("u", [0.0, 5e-324, 0.5, 0.999999, LARGEST_UNIFORM])
def test_the_ends_of_the_unit_interval_are_no_trouble(law, u):
    assert 0 <= law.quantile(u) < math.inf
    assert 0 <= law.equilibrium_quantile(u) < math.inf


def test_a_memoryless_session_has_as_much_left_as_it_ever_had():
    law = Exponential(20.0)
    assert [law.equilibrium_quantile(u) for u in (0.1, 0.5, 0.9)] == pytest.approx(
        [law.quantile(u) for u in (0.1, 0.5, 0.9)]
    )


def test_a_fixed_length_is_found_anywhere_along_it():
    assert Fixed(60.0).equilibrium_quantile(0.25) == 15.0


def test_nothing_lasts_beyond_what_clamps_it():
    for law in (Exponential(20.0, 30.0), Lognormal(20.0, 2.0, 30.0), Pareto(20.0, 0.5, 30.0)):
        assert law.quantile(LARGEST_UNIFORM) == 30.0
        assert law.equilibrium_quantile(LARGEST_UNIFORM) == pytest.approx(30.0, rel=1e-3)
        assert law.survival(30.0) == 0.0
