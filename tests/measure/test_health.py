from __future__ import annotations

import re
from dataclasses import replace

import pytest

from simulator.measure import Vitals, judge_generator

WELL = Vitals(
    intervals=30,
    cpu_share=0.6,
    loop_lag_us=2_000,
    queue_p50_us=150,
    queue_p99_us=1_900,
    response_p50_us=2_000,
    response_p99_us=6_000,
    intended=7_500,
    started=7_500,
    dropped={},
    requests=60_000,
)


def test_a_generator_that_kept_up_is_not_the_limit() -> None:
    health = judge_generator(WELL)
    assert not health.limited
    assert (health.reasons, health.notes) == ((), ())


def test_a_run_without_traffic_is_not_limited() -> None:
    assert not judge_generator(Vitals(dropped={})).limited


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cpu_share": 0.96}, r"used 96% of its core .*--workers"),
        ({"loop_lag_us": 80_000}, r"event loop stood still for 80 ms .*--workers"),
        ({"queue_p50_us": 2_500, "response_p50_us": 5_000}, r"median request left 2\.5 ms after its time"),
        ({"queue_p99_us": 70_000, "response_p99_us": 90_000}, r"one request in a hundred left 70\.0 ms after its time"),
        ({"started": 7_000, "dropped": {"late": 500}}, r"500 of 7,500 arrivals came more than a second late"),
        ({"started": 7_000, "dropped": {"busy": 500}}, r"subscribers\.count"),
        ({"started": 7_000, "dropped": {"limit": 500}}, r"load\.max_in_flight"),
        ({"started": 7_000}, r"500 of 7,500 arrivals were never reached"),
    ],
)
def test_each_limit_is_named_with_what_to_change(change: dict[str, object], words: str) -> None:
    health = judge_generator(replace(WELL, **change))
    assert health.limited
    assert len(health.reasons) == 1
    assert re.search(words, health.reasons[0]), health.reasons


@pytest.mark.parametrize(
    "change",
    [
        {"cpu_share": 0.94},
        {"cpu_share": 1.0, "intervals": 2},
        {"queue_p99_us": 45_000, "response_p99_us": 50_000},
        {"queue_p50_us": 3_000, "response_p50_us": 200_000},
        {"started": 7_450, "dropped": {"busy": 50}},
        {"dropped": {"draining": 5_000}},
    ],
)
def test_what_does_not_falsify_the_figures_is_no_limit(change: dict[str, object]) -> None:
    assert not judge_generator(replace(WELL, **change)).limited


def test_waiting_for_streams_with_power_to_spare_is_noted_not_blamed_on_the_generator() -> None:
    health = judge_generator(replace(WELL, queue_p50_us=40_000, response_p50_us=60_000, waiting_max=900))
    assert not health.limited
    assert "900 requests waited for a free stream" in health.notes[0]


def test_waiting_for_streams_does_not_excuse_a_busy_core() -> None:
    crowded = replace(WELL, queue_p50_us=40_000, response_p50_us=60_000, waiting_max=900, cpu_share=0.99)
    assert judge_generator(crowded).limited


def test_sessions_that_pile_up_before_a_sick_chf_are_not_the_generators_fault() -> None:
    health = judge_generator(replace(WELL, started=5_000, dropped={"limit": 2_500}, failed=6_000))
    assert not health.limited
    assert "2,500 of 7,500 arrivals" in health.notes[0]
    assert "6,000 of 60,000 requests failed" in health.notes[0]
