"""Devices of a closed loop that attach, idle and detach, and populations that are found in the midst of life."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.config import Load
from simulator.fleet.devices import Attachment
from simulator.fleet.timeline import Timeline
from simulator.n40.flow import NEVER
from tests.statistics_of import kolmogorov_smirnov
from tests.world import CALL, SECOND, START, World, traffic

LONG = {"call": CALL | {"length": "1h"}}


def changes(*stages: dict[str, Any], commands: Any = ()) -> list[tuple[float, int]]:
    """When which device attaches (n) or detaches (-1 - n), in seconds."""
    load = Load.model_validate({"mode": "closed", "stages": list(stages)})
    timeline = Timeline(load.timeline, 0)
    attachment = Attachment(timeline, load.most_devices)
    found = []
    waiting = list(commands)
    while True:
        if waiting and waiting[0][0] * SECOND <= attachment.moment:
            at, action, value = waiting.pop(0)
            timeline.control(int(at * SECOND), action, value)
            attachment.look()
        elif attachment.moment == NEVER:
            return found
        else:
            moment = attachment.moment
            found.append((moment / SECOND, attachment.step()))


def test_a_ramp_attaches_one_after_the_other_and_the_last_one_detaches_first() -> None:
    assert changes({"ramp_to": 4, "for": "2s"}, {"devices": 4, "for": "5s"}, {"ramp_to": 1, "for": "3s"}) == [
        (0.5, 0), (1.0, 1), (1.5, 2), (2.0, 3), (8.0, -4), (9.0, -3), (10.0, -2),
    ]  # fmt: skip


@pytest.mark.parametrize(("devices", "seconds"), [(7, 3.0), (40, 4.0), (13, 1.7), (100, 0.9), (1000, 33.3)])
def test_on_a_ramp_no_device_comes_at_one_blow_with_others(devices: int, seconds: float) -> None:
    load = Load.model_validate({"mode": "closed", "stages": [{"ramp_to": devices, "for": f"{seconds * 1000:.0f}ms"}]})
    attachment = Attachment(Timeline(load.timeline, 0), load.most_devices)
    jumped = []
    while attachment.moment < NEVER:
        jumped.append(attachment.jumped)
        attachment.step()
    assert len(jumped) == devices
    assert not any(jumped)


def test_a_step_attaches_and_detaches_at_one_blow() -> None:
    assert changes({"devices": 2, "for": "1s"}, {"devices": 3, "for": "1s"}, {"devices": 1, "for": "1s"}) == [
        (0.0, 0), (0.0, 1), (1.0, 2), (2.0, -3), (2.0, -2),
    ]  # fmt: skip


def test_commands_move_what_is_to_come() -> None:
    ramp = {"ramp_to": 4, "for": "4s"}
    assert changes(ramp, commands=[(1.5, "pause", None), (11.5, "resume", None)]) == [
        (1.0, 0), (12.0, 1), (13.0, 2), (14.0, 3),
    ]  # fmt: skip
    assert changes(ramp, commands=[(1.5, "rate", 2.0)]) == [(1.0, 0), (1.5, 1), (1.5, 2), (2.0, 3)]
    assert changes(ramp, {"devices": 1, "for": "1s"}, commands=[(1.5, "stage", None)]) == [(1.0, 0)]


@given(
    st.lists(st.tuples(st.integers(0, 30), st.floats(0.001, 3), st.booleans()), min_size=1, max_size=8),
    st.lists(
        st.tuples(st.floats(0, 20), st.sampled_from(["pause", "resume", "rate", "stage"]), st.floats(0, 3)), max_size=8
    ),
)
@settings(max_examples=200, deadline=None)
def test_whatever_is_commanded_the_number_of_devices_follows_the_curve(stages: Any, commands: Any) -> None:
    """Also where a stage ends between two nanoseconds: no device comes and goes without end."""
    rows = [{"ramp_to" if ramp else "devices": count, "for": seconds} for count, seconds, ramp in stages]
    load = Load.model_validate({"mode": "closed", "stages": [{"devices": 1, "for": "1ms"}, *rows]})
    timeline = Timeline(load.timeline, 0)
    attachment = Attachment(timeline, load.most_devices)
    count = steps = last = 0
    for at, action, value in [*sorted(commands), (30.0, "resume", 0.0)]:
        while attachment.moment <= at * SECOND and (steps := steps + 1) < 2_000:
            assert attachment.moment >= last
            last = attachment.moment
            device = attachment.step()
            assert device in (count, -count), "the last to come goes first"
            count += 1 if device >= 0 and device == count else -1
            assert count == attachment.count
        timeline.control(int(at * SECOND), action, value)
        attachment.look()
    while attachment.moment < NEVER and (steps := steps + 1) < 2_000:
        attachment.step()
    assert steps < 2_000
    assert 0 <= attachment.count <= load.most_devices


# -- in a fleet ---------------------------------------------------------------------------------------------------------


def world(*stages: dict[str, Any], workers: int = 1, usages: Any = None, **load: Any) -> World:
    return World(traffic({"mode": "closed", "stages": list(stages)} | load, usages=usages or LONG), workers=workers)


def levels(running: World, until: int) -> list[int]:
    """Open sessions at the end of each second."""
    found = []
    for second in range(1, until + 1):
        running.run_until(second + 0.05)
        found.append(sum(fleet.open_sessions for fleet in running.fleets))
    return found


@pytest.mark.parametrize("workers", [1, 3])
def test_devices_attach_stay_and_detach_and_their_sessions_are_released_then(workers: int) -> None:
    running = world(
        {"ramp_to": 40, "for": "4s"}, {"devices": 40, "for": "2s"}, {"ramp_to": 0, "for": "4s"}, workers=workers
    )
    assert levels(running, 10) == [10, 20, 30, 40, 40, 40, 30, 20, 10, 0]
    assert len(running.sent("create")) == len(running.sent("release")) == 40
    attached = [each.session for each in running.sent("create")]
    assert [each.session for each in running.sent("release")] == attached[::-1], "last in, first out"
    assert all(fleet.finished for fleet in running.fleets)


def test_a_device_that_comes_back_has_other_sessions() -> None:
    running = world({"devices": 5, "for": "2s"}, {"devices": 2, "for": "2s"}, {"devices": 5, "for": "2s"})
    assert levels(running, 6) == [5, 2, 2, 5, 5, 5]
    numbers = [each.session[1] for each in running.sent("create")]
    assert sorted(numbers) == [0, 1, 2, 3, 4, 7, 8, 9]
    assert len({each.session[0] for each in running.sent("create")}) == 5


def test_a_device_that_went_while_it_was_idle_begins_nothing() -> None:
    usages = {"call": CALL | {"length": "1s"}}
    running = world({"devices": 10, "for": "3s"}, {"devices": 0, "for": "20s"}, usages=usages, think_time="4s")
    running.run_until(20)
    assert running.sent("create") == []
    assert running.fleets[0].finished


def test_a_device_that_left_and_came_back_in_the_same_thought_thinks_once() -> None:
    usages = {"call": CALL | {"length": "1s"}}
    running = world(
        {"devices": 1, "for": "1s"}, {"devices": 0, "for": "1s"}, {"devices": 1, "for": "9s"},
        usages=usages, think_time="4s",
    )  # fmt: skip
    running.run_until(11)
    assert [round((each.at - START) / SECOND, 1) for each in running.sent("create")] == [6.0]


def test_no_device_begins_a_session_at_the_end_of_the_load_or_after_it() -> None:
    usages = {"call": CALL | {"length": "1s"}}
    running = world({"devices": 10, "for": "10s"}, usages=usages, think_time="500ms")
    running.run_until(15)
    seconds = [(each.at - START) / SECOND for each in running.sent("create")]
    assert 9 < max(seconds) < 10


def test_in_a_pause_no_device_begins_anything_and_then_they_go_on_as_far_apart() -> None:
    usages = {"call": CALL | {"length": "1s"}}
    stages = {"ramp_to": 5, "for": "1s"}, {"pause": "10s"}, {"devices": 5, "for": "3s"}
    running = world(*stages, usages=usages, think_time="500ms")
    running.run_until(15)
    seconds = [round((each.at - START) / SECOND, 2) for each in running.sent("create")]
    assert seconds[:5] == [0.2, 0.4, 0.6, 0.8, 11.0], "the fifth would attach as the pause begins"
    assert min(seconds[5:]) == pytest.approx(11.7, abs=0.05)
    assert len(set(seconds)) == len(seconds)


def test_who_was_held_back_by_the_last_pause_does_not_keep_the_fleet_from_its_end() -> None:
    usages = {"call": CALL | {"length": "1s"}}
    running = world({"devices": 5, "for": "3s"}, {"pause": "10s"}, usages=usages, think_time="500ms")
    running.run_until(15)
    assert running.fleets[0].finished
    assert max((each.at - START) / SECOND for each in running.sent("create")) < 3


def test_the_command_to_pause_holds_the_devices_until_it_is_resumed() -> None:
    usages = {"call": CALL | {"length": "1s"}}
    running = world({"ramp_to": 5, "for": "1s"}, {"devices": 5, "for": "9s"}, usages=usages, think_time="500ms")
    (fleet,) = running.fleets
    running.run_until(1.05)
    fleet.control(START + SECOND * 11 // 10, "pause", None, running.now)
    running.run_until(20)
    assert len(running.sent("create")) == 5
    assert not fleet.finished
    running.now = START + 20 * SECOND
    fleet.control(running.now, "resume", None, running.now)
    running.run_until(22)
    again = [round((each.at - START) / SECOND, 2) for each in running.sent("create")][5:10]
    # the first was due 0.6 s after the pause began: as long after its end, however the workers share the devices
    assert again == pytest.approx([20.6, 20.8, 21.0, 21.2, 21.4], abs=0.011)


# -- equilibrium --------------------------------------------------------------------------------------------------------


def test_devices_that_never_think_are_a_plateau_of_open_sessions_from_the_start() -> None:
    usages = {"call": CALL | {"length": {"exponential": {"mean": "20s"}}}}
    running = world({"devices": 300, "for": "60s"}, usages=usages, equilibrium=True)
    found = levels(running, 59)
    assert found[0] == 300
    assert min(found) >= 295, "but for those whose first answer is awaited"
    ends = Counter(int((each.at - START) / SECOND) // 10 for each in running.sent("release"))
    assert all(abs(ends[decade] - 150) < 4 * math.sqrt(150) for decade in range(5)), "nothing comes in waves"


def test_of_a_bounded_number_of_sessions_no_more_are_found_open() -> None:
    running = world({"devices": 50, "for": "5s"}, equilibrium=True, sessions=20)
    running.run_until(5)
    assert sorted(each.session[1] for each in running.sent("create")) == [*range(20)]


@pytest.mark.parametrize("workers", [1, 2])
def test_who_is_in_a_session_and_who_thinks_is_as_in_a_network_that_has_been_running(workers: int) -> None:
    """Half of the calls last 30 s, the others no time, and 60 s lie between two: 15 of 75 s are spent in calls."""
    usages = {"call": CALL | {"length": "30s"}, "short": CALL | {"length": "0s"}}
    running = world(
        {"devices": 900, "for": "100s"}, usages=usages, equilibrium=True, workers=workers,
        think_time={"exponential": {"mean": "60s"}},
    )  # fmt: skip
    running.run_until(0.5)
    share = 15 / 75
    begun = sum(fleet.open_sessions for fleet in running.fleets)
    assert abs(begun - 900 * share) < 4 * math.sqrt(900 * share * (1 - share)) + 15
    found = levels(running, 90)
    mean = sum(found) / len(found)
    assert mean == pytest.approx(900 * share, rel=0.1)


def test_what_is_left_of_sessions_and_thoughts_follows_their_residual_laws() -> None:
    usages = {"call": CALL | {"length": "100s"}}
    running = World(
        traffic(
            {"mode": "closed", "stages": [{"devices": 800, "for": "101s"}], "equilibrium": True, "think_time": "100s"},
            usages=usages,
        ),
        latency=2,
    )
    running.run_until(99)
    created = {each.session: each.at for each in running.sent("create")}
    early = {session for session, at in created.items() if at - START < SECOND // 2}
    left = [(each.at - created[each.session]) / SECOND for each in running.sent("release") if each.session in early]
    assert abs(len(early) - 400) < 4 * math.sqrt(200)
    assert kolmogorov_smirnov(left, lambda seconds: min(1.0, seconds / 99)) < 1.63
    thought = [(at - START) / SECOND for session, at in created.items() if session not in early and session[1] < 800]
    assert kolmogorov_smirnov(thought, lambda seconds: min(1.0, seconds / 99)) < 1.63
