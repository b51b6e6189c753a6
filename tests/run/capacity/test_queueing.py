"""The yardstick itself: formulas against published values, against each other, and against queues in virtual time."""

from __future__ import annotations

import math
from random import Random

import pytest

from tests.run.capacity.queueing import Queue, erlang_c, highest_rate, slower_than, waits_longer


@pytest.mark.parametrize(
    ("servers", "offered", "published"), [(1, 0.7, 0.7), (2, 1.0, 1 / 3), (5, 4.0, 0.5541), (10, 8.0, 0.4092)]
)
def test_erlang_c_is_that_of_the_tables(servers: int, offered: float, published: float) -> None:
    assert erlang_c(servers, offered) == pytest.approx(published, abs=5e-5)


def test_one_exponential_server_answers_in_an_exponential_time() -> None:
    """M/M/1: P(sojourn > t) = exp(-(mu - lambda) t)."""
    for limit_s in (0.0, 0.01, 0.2):
        assert slower_than(limit_s, 60, 1, 0.01) == pytest.approx(math.exp(-40 * limit_s))


def test_an_idle_queue_is_its_servers() -> None:
    assert slower_than(0.03, 1e-6, 8, 0.02) == pytest.approx(math.exp(-1.5), rel=1e-4)
    assert slower_than(0.03, 400, 8, 0.02) == 1.0


@pytest.mark.parametrize("wait_s", [0.0, 0.25, 0.5, 0.9])
def test_one_fixed_server_keeps_people_waiting_as_erlang_said(wait_s: float) -> None:
    """M/D/1, waits shorter than a service: P(wait <= t) = (1 - rho) exp(lambda t)."""
    assert 1 - waits_longer(wait_s, 0.8, 1, 1.0) == pytest.approx(0.2 * math.exp(0.8 * wait_s), rel=1e-6)


@pytest.mark.parametrize(
    ("queue", "rate", "limit_s"),
    [
        (Queue(10, 0.02), 420, 0.06),
        (Queue(20, 0.02), 850, 0.05),
        (Queue(16, 0.025, exponential=False), 560, 0.035),
        (Queue(2, 1.0, exponential=False), 1.7, 2.5),
    ],
)
def test_queues_in_virtual_time_do_what_theory_says(queue: Queue, rate: float, limit_s: float) -> None:
    random = Random(2)
    took = [sojourn for moment, sojourn in queue.sojourns(rate, 200_000 / rate, random) if moment > 500 / rate]
    if queue.exponential:
        expected = slower_than(limit_s, rate, queue.servers, queue.service_s)
    else:
        expected = waits_longer(limit_s - queue.service_s, rate, queue.servers, queue.service_s)
    assert sum(sojourn > limit_s for sojourn in took) / len(took) == pytest.approx(expected, rel=0.08)


def test_the_highest_rate_is_where_the_tail_crosses_the_share() -> None:
    found = highest_rate(0.1, lambda rate: slower_than(0.062, rate, 20, 0.02), most=1000)
    assert slower_than(0.062, found, 20, 0.02) < 0.1 < slower_than(0.062, found + 1, 20, 0.02)
