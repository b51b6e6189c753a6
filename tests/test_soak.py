"""Memory does not grow with the length of a run, and would be seen to."""

from __future__ import annotations

import os

import psutil  # type: ignore[import-untyped]
import pytest

from tests.performance.soak import MOST_PER_SESSION, Soaked, Watched, soak


def test_a_process_that_grows_is_seen_through_the_noise() -> None:
    watched = Watched("engine", psutil.Process(os.getpid()))
    for second in range(100):
        watched.moments.append(float(second))
        watched.octets.append(50_000_000 + 300_000 * second + 500_000 * (second % 7 == 0))
    assert watched.slope(30) == pytest.approx(300_000, rel=0.05)
    found = Soaked(sessions=0, sessions_per_s=300, growth={"driver": 0.0, "engine": 1000.0}, resident={})
    assert found.too_much() == ["engine"]


def test_a_run_of_some_seconds_does_not_grow() -> None:
    found = soak(14, rate=150, warm_up=0.5)
    assert found.sessions > 1_000
    assert found.too_much() == [], f"{found.growth}, at most {MOST_PER_SESSION}"
