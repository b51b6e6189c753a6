"""What commands make of a load while it runs; seconds and exact nanoseconds."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.config import Load
from simulator.config.curve import Piece
from simulator.fleet.arrivals import Arrivals
from simulator.fleet.draws import seed_key
from simulator.fleet.phases import Phases
from simulator.fleet.population import Population
from simulator.fleet.timeline import Curve, Timeline
from simulator.measure import Phase
from simulator.n40.flow import NEVER
from tests.world import CALL, DOWNLOAD, SECOND, START, World, traffic

STAGES = [
    {"rate": "2/s", "for": "4s", "name": "calm"},
    {"ramp_to": "4/s", "for": "2s"},
    {"rate": "10/s", "for": "1s"},
]


def timeline(*stages: dict[str, Any], t0: int = 0, **load: Any) -> Timeline:
    return Timeline(Load.model_validate({"stages": list(stages or STAGES)} | load).timeline, t0)


def moments(line: Timeline, spacing: str = "constant") -> list[float]:
    """All arrivals, in seconds."""
    process = Arrivals(line, line.lanes[0], spacing, seed_key(1))
    found = []
    while process.moment < NEVER:
        found.append(process.moment / SECOND)
        process.advance()
    return found


# -- without commands ---------------------------------------------------------------------------------------------------


def test_stages_have_names_and_rates() -> None:
    line = timeline(t0=START)
    assert [stage.name for stage in line.stages] == ["calm", "ramp to 4/s", "10/s"]
    assert line.end == START + 7 * SECOND
    rates = {0: 2.0, 3.9: 2.0, 4: 2.0, 5: 3.0, 6: 10.0, 7: 0.0, -1: 0.0}
    assert {at: line.rate_at(START + int(at * SECOND)) for at in rates} == rates
    assert [line.stage_at(START + int(at * SECOND)) for at in (0, 3.9, 4, 6.5, 7, 100)] == [0, 0, 1, 2, 2, 2]


# -- commands -----------------------------------------------------------------------------------------------------------


def test_a_pause_moves_what_follows_and_the_end() -> None:
    line = timeline({"rate": "2/s", "for": "3s"})
    assert line.control(1_250_000_000, "pause")
    assert line.paused
    assert line.end == NEVER
    assert moments(line) == [0.5, 1.0]
    assert line.rate_at(2 * SECOND) == 0.0
    assert line.profile_rate_at(2 * SECOND) == 2.0
    assert line.control(11_250_000_000, "resume")
    assert moments(line) == [0.5, 1.0, 11.5, 12.0, 12.5]
    assert line.end == 13 * SECOND
    assert line.rate_at(2 * SECOND) == 0.0, "the past stays as it was"


def test_another_rate_changes_the_future_only() -> None:
    line = timeline({"rate": "2/s", "for": "4s"})
    line.control(1_250_000_000, "rate", 2.0)
    assert (line.factor, line.rate_at(SECOND), line.rate_at(2 * SECOND)) == (2.0, 2.0, 4.0)
    assert line.profile_rate_at(2 * SECOND) == 2.0
    assert moments(line) == [0.5, 1.0, 1.375, 1.625, 1.875, 2.125, 2.375, 2.625, 2.875, 3.125, 3.375, 3.625, 3.875]
    line.control(3 * SECOND, "rate", 0.5)
    assert moments(line)[8:] == [2.875, 3.5]
    assert line.end == 4 * SECOND


def test_a_ramp_is_multiplied_as_well() -> None:
    """From its middle on the area grows twice as fast."""
    line = timeline({"ramp_to": "4/s", "for": "2s"})
    line.control(SECOND, "rate", 2.0)
    assert moments(line) == [1.0, round((1 + 0.5) ** 0.5, 9), round(2**0.5, 9), *(
        round((1 + area / 2) ** 0.5, 9) for area in (3, 4, 5)
    )]  # fmt: skip


def test_the_next_stage_begins_at_once_and_the_end_comes_sooner() -> None:
    line = timeline()
    line.control(SECOND, "stage")
    assert line.stage_at(SECOND) == 1
    assert line.end == 4 * SECOND
    line.control(SECOND, "stage")
    assert moments(line)[:5] == [0.5, 1.0, 1.1, 1.2, 1.3]
    line.control(1_500_000_000, "stage")
    assert line.end == 1_500_000_000, "there is no other one: the load is over"
    assert moments(line)[-1] < 1.5


def test_what_is_no_command_changes_nothing() -> None:
    line = timeline()
    before = moments(line)
    for action, value in (("dance", None), ("rate", None), ("rate", -1.0), ("rate", float("nan")), ("", 1.0)):
        assert not line.control(SECOND, action, value)
    assert moments(line) == before


def test_a_command_that_comes_too_late_follows_the_one_before() -> None:
    line = timeline({"rate": "2/s", "for": "4s"})
    line.control(2 * SECOND, "pause")
    line.control(SECOND, "resume")
    assert line.end == 4 * SECOND
    assert len(moments(line)) == 7


def test_the_past_is_forgotten_but_not_what_arrivals_need() -> None:
    line = timeline({"rate": "1/s", "for": "1h"}, {"rate": "1/s", "for": "1h"})
    process = Arrivals(line, line.lanes[0], "constant", seed_key(1))
    for second in range(1, 1000):
        line.control(second * SECOND, "pause")
        line.control(second * SECOND + SECOND // 2, "resume")
    for _ in range(600):
        process.advance()
    # half of each of the first 999 s counts, from 1 s on
    assert process.moment == pytest.approx((1000 + 600 - 499) * SECOND, abs=2 * SECOND)
    assert line.end == pytest.approx((7200 + 499.5) * SECOND, abs=SECOND)


def test_what_is_given_for_the_moment_of_a_command_is_after_it() -> None:
    line = timeline({"replay": [1, 2, 2, 3], "for": "4s"}, {"rate": "1/s", "for": "1s"})
    line.control(2 * SECOND, "pause")
    line.control(12 * SECOND, "resume")
    process = Arrivals(line, line.lanes[1], "given", seed_key(1))
    found = [process.moment]
    while process.moment < NEVER:
        process.advance()
        found.append(process.moment)
    assert [each / SECOND for each in found[:-1]] == [1, 12, 12, 13]


def test_before_the_start_and_after_the_end_no_rate_is_meant() -> None:
    line = timeline({"rate": "2/s", "for": "3s"}, t0=START)
    assert [line.rate_at(START + at) for at in (-1, 0, 3 * SECOND - 1, 3 * SECOND)] == [0.0, 2.0, 2.0, 0.0]
    assert line.profile_rate_at(START + 3 * SECOND) == 0.0


@given(
    st.lists(
        st.tuples(
            st.integers(0, 20 * SECOND), st.sampled_from(["pause", "resume", "rate", "stage"]), st.floats(0.01, 100)
        ),
        max_size=8,
    ),
    st.sampled_from(["constant", "poisson"]),
)
@settings(max_examples=150, deadline=None)
def test_whatever_is_commanded_arrivals_ascend_and_end_with_the_load(commands: Any, spacing: str) -> None:
    line = timeline(*STAGES, {"pause": "1s"}, {"steps_to": "1/s", "by": "1/s", "each": "1s"})
    for at, action, value in sorted(commands):
        line.control(at, action, value)
    found = moments(line, spacing)
    assert all(earlier <= later for earlier, later in pairwise(found))
    assert all(moment * SECOND <= line.end for moment in found)
    assert 0 <= line.stage_at(30 * SECOND) < len(line.stages)
    for at in range(0, 30 * SECOND, SECOND):
        assert (line.rate_at(at) == 0) or not line.anchor_at(at).paused


@given(
    st.lists(st.tuples(st.floats(0.001, 1000), st.floats(0, 1e6), st.floats(0, 1e6)), min_size=1, max_size=20),
    st.floats(0, 1),
)
@settings(deadline=None)
def test_the_area_up_to_the_moment_of_an_area_is_that_area(pieces: Any, share: float) -> None:
    curve = Curve([Piece(*each) for each in pieces])
    area = share * curve.area
    if area < curve.area:
        moment = curve.moment_of(area)
        assert 0 <= moment <= curve.seconds
        assert curve.area_at(moment) == pytest.approx(area, rel=1e-6, abs=1e-4)
    assert curve.moment_of(curve.area) == float("inf")


# -- phases -------------------------------------------------------------------------------------------------------------


def test_phases_follow_the_time_of_the_curve() -> None:
    load = Load.model_validate({"rate": "1/s", "duration": "10s", "warmup": "2s", "cooldown": "3s"})
    line = Timeline(load.timeline, START)
    phases = Phases(line, load)
    assert (phases.at(START), phases.until(START)) == (Phase.WARMUP, START + 2 * SECOND)
    steady = START + 2 * SECOND
    assert (phases.at(steady), phases.until(steady)) == (Phase.STEADY, START + 7 * SECOND)
    line.control(START + 3 * SECOND, "pause")
    assert (phases.at(steady), phases.until(steady)) == (Phase.STEADY, START + 3 * SECOND)
    paused = START + 3 * SECOND
    assert (phases.at(paused), phases.until(paused)) == (Phase.PAUSED, NEVER)
    assert phases.at(START + 100 * SECOND) == Phase.PAUSED
    line.control(START + 103 * SECOND, "rate", 2.0)
    line.control(START + 103 * SECOND, "resume")
    assert phases.until(START + 50 * SECOND) == START + 103 * SECOND
    resumed = START + 103 * SECOND
    assert (phases.at(resumed), phases.until(resumed)) == (Phase.STEADY, START + 107 * SECOND)
    assert (phases.at(START + 107 * SECOND), phases.until(START + 107 * SECOND)) == (Phase.COOLDOWN, NEVER)


def test_without_a_cool_down_the_end_is_still_steady() -> None:
    load = Load.model_validate({"rate": "1/s", "duration": "10s"})
    phases = Phases(Timeline(load.timeline, START), load)
    assert [phases.at(START + second * SECOND) for second in (0, 9, 10, 11)] == [Phase.STEADY] * 4
    assert phases.until(START) == NEVER


# -- fleets -------------------------------------------------------------------------------------------------------------

COMMANDS = [(2.5, "rate", 3.0), (4.0, "pause", None), (6.0, "resume", None), (7.25, "stage", None)]


def controlled(workers: int, late: float = 0.0, **load: Any) -> World:
    stages = [{"rate": "20/s", "for": "8s"}, {"ramp_to": "60/s", "for": "4s"}]
    world = World(traffic({"stages": stages} | load), workers=workers)
    for at, action, value in COMMANDS:
        world.run_until(at + late)
        world.now = max(world.now, START + int((at + late) * SECOND))
        for fleet in world.fleets:
            assert fleet.control(START + int(at * SECOND), action, value, world.now)
    world.run_until(60)
    return world


@pytest.mark.parametrize("spacing", ["poisson", "constant"])
def test_workers_that_get_the_same_commands_share_the_arrivals_without_loss(spacing: str) -> None:
    alone = controlled(1, spacing=spacing)
    starts = sorted((each.at, each.session) for each in alone.sent("create"))
    for workers in (2, 3):
        together = controlled(workers, spacing=spacing)
        assert sorted((each.at, each.session) for each in together.sent("create")) == starts
    seconds = [(at - START) / SECOND for at, _ in starts]
    counts = [sum(begin <= each < end for each in seconds) for begin, end in ((0, 2.5), (2.5, 4), (4, 6), (6, 7.25))]
    expected = [50, 90, 0, 75]
    assert all(
        abs(count - mean) <= (1 if spacing == "constant" else 4 * mean**0.5)
        for count, mean in zip(counts, expected, strict=True)
    )
    assert max(seconds) < 11.25


def test_exactly_these_sessions_begin() -> None:
    world = World(traffic({"rate": "2/s", "duration": "3s", "spacing": "constant"}))
    (fleet,) = world.fleets
    world.run_until(0.75)
    fleet.control(START + 1_250_000_000, "rate", 4.0, world.now)
    world.run_until(5)
    assert [(each.at - START) / SECOND for each in world.sent("create")] == [0.5, 1.0] + [
        1.3125 + 0.125 * each for each in range(14)
    ]


@pytest.mark.parametrize("workers", [1, 2])
def test_commands_cost_no_session_where_their_number_is_bounded(workers: int) -> None:
    world = World(traffic({"rate": "20/s", "sessions": 40}), workers=workers)
    for second in (0.5, 1.0, 1.5):
        world.run_until(second)
        for fleet in world.fleets:
            fleet.control(START + int((second + 0.05) * SECOND), "rate", 2 * second, world.now)
    world.run_until(15)
    assert len(world.sent("create")) == 40


def test_commands_that_come_late_lose_no_arrival_and_repeat_none() -> None:
    world = controlled(2, late=0.05, spacing="constant")
    numbers = [each.session[1] for each in world.sent("create")]
    assert len(set(numbers)) == len(numbers)
    on_time = controlled(2, spacing="constant")
    assert abs(len(numbers) - len(on_time.sent("create"))) <= 6


def test_gauges_tell_the_rate_and_the_stage() -> None:
    world = World(traffic({"stages": [{"rate": "20/s", "for": "1s"}, {"ramp_to": "40/s", "for": "2s"}]}), workers=2)
    world.run_until(2)
    world.now = START + 2 * SECOND
    gauges = world.totals.run.gauges
    assert gauges["offered_rate"].value == pytest.approx(30.0), "the shares of the workers add up"
    assert gauges["stage"].value == 1


# -- streams ------------------------------------------------------------------------------------------------------------

STREAMS = {
    "streams": [
        {"usage": "call", "stages": [{"ramp_to": "40/s", "for": "5s"}, {"pause": "1s"}, {"burst": 30, "for": "1s"}]},
        {"mix": {"download": 1}, "rate": "10/s", "spacing": "constant"},
    ]
}


def test_each_usage_follows_its_own_curve_and_numbers_stay_unique() -> None:
    profile = traffic(STREAMS, usages={"call": CALL, "download": DOWNLOAD})
    assert profile.load.planned_s == 7.0
    population = Population(profile, 1)
    starts = list(population.arrivals())
    assert [start.moment for start in starts] == sorted(start.moment for start in starts)
    assert len({start.number for start in starts}) == len(starts)
    assert all(population.subscriber_of(start.number) == start.subscriber for start in starts)
    downloads = [start.moment / SECOND for start in starts if start.usage == 1]
    assert downloads == [pytest.approx((k + 1) / 10) for k in range(69)]
    calls = [start.moment / SECOND for start in starts if start.usage == 0]
    assert sum(each < 5 for each in calls) == pytest.approx(100, abs=40)
    assert [each for each in calls if each >= 5] == [pytest.approx(6 + k / 30) for k in range(30)]
    for workers in (2, 3):
        parts = [list(Population(profile, 1, index, workers).arrivals()) for index in range(workers)]
        assert sorted(start for part in parts for start in part) == sorted(starts)


def test_streams_of_one_rate_do_not_come_together() -> None:
    profile = traffic({"streams": [{"usage": "call", "rate": "50/s"}] * 2})
    starts = list(Population(profile, 1).arrivals())
    assert len(starts) > 2_000
    assert len({start.moment for start in starts}) == len(starts)


def test_every_subscriber_has_a_turn_whatever_the_rates_of_the_streams() -> None:
    streams = [{"usage": "call", "rate": "1000/s"}, {"usage": "download", "rate": 0}]
    profile = traffic({"streams": streams}, usages={"call": CALL, "download": DOWNLOAD})
    starts = Population(profile, 1).arrivals()
    assert len({start.subscriber for start, _ in zip(starts, range(1000), strict=False)}) == 1000


def test_streams_of_one_rate_are_drawn_by_themselves() -> None:
    streams = [{"usage": "call", "rate": "20/s"}, {"usage": "download", "rate": "20/s"}]
    profile = traffic({"streams": streams}, usages={"call": CALL, "download": DOWNLOAD})
    starts = list(Population(profile, 1).arrivals())
    calls, downloads = ({start.moment for start in starts if start.usage == usage} for usage in (0, 1))
    assert len(calls) > 100 < len(downloads)
    assert not calls & downloads


def test_streams_that_begin_something_at_once_do_so_in_their_order_and_at_different_subscribers() -> None:
    streams = [{"usage": usage, "rate": "10/s", "spacing": "constant"} for usage in ("call", "download")]
    profile = traffic({"streams": streams, "duration": "10s"}, usages={"call": CALL, "download": DOWNLOAD})
    starts = list(Population(profile, 1).arrivals())
    assert [start.usage for start in starts] == [0, 1] * 99
    assert all(call.moment == other.moment for call, other in zip(starts[::2], starts[1::2], strict=True))
    assert len({start.subscriber for start in starts}) == len(starts)


def test_where_any_stream_changes_another_stage_begins() -> None:
    profile = traffic(STREAMS, usages={"call": CALL, "download": DOWNLOAD})
    line = Timeline(profile.load.timeline, 0)
    assert [stage.name for stage in line.stages] == [
        "call: ramp to 40/s, download: 10/s", "call: pause", "call: burst of 30",
    ]  # fmt: skip
    assert [line.rate_at(int(at * SECOND)) for at in (2.5, 5.5, 6.5)] == [pytest.approx(30.0), 10.0, 40.0]
