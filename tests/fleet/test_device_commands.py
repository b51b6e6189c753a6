"""Commands to a closed loop: devices come and go by them, and every worker makes the same of them."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.world import CALL, SECOND, START, World, traffic

Commands = list[tuple[float, str, float | None]]
EXPONENTIAL = {"exponential": {"mean": "1s"}}
LOAD = {"mode": "closed", "devices": 60, "think_time": EXPONENTIAL, "duration": "60s"}


def commanded(
    commands: Commands, *, workers: int = 1, lead_s: float = 0.1, until_s: float = 58.0, **load: Any
) -> World:
    """Each command comes some time before it is to be done, as the driver sends it."""
    world = World(traffic(LOAD | load, usages={"call": CALL | {"length": EXPONENTIAL}}), workers=workers)
    for at, action, value in commands:
        world.run_until(at - lead_s)
        world.now = max(world.now, START + int((at - lead_s) * SECOND))
        for fleet in world.fleets:
            assert fleet.control(START + int(at * SECOND), action, value, world.now)
    world.run_until(until_s)
    return world


def at_random(seed: int) -> Commands:
    draw = random.Random(seed)
    commands: Commands = [
        (at, draw.choice(["rate", "pause", "resume"]), draw.choice([0.0, 0.2, 0.5, 1.0]))
        for at in sorted(draw.uniform(0.5, 30) for _ in range(40))
    ]
    return [*commands, (31.0, "resume", None), (31.2, "rate", 1.0)]


def numbers(world: World) -> list[int]:
    return [message.session[1] for message in world.sent("create")]


def test_half_the_rate_is_half_of_the_devices_also_without_stages() -> None:
    world = commanded([(5.0, "rate", 0.5)], think_time=None, until_s=20)
    assert world.fleets[0].open_sessions == 30
    world = commanded([(5.0, "rate", 0.5), (10.0, "rate", 1.0)], think_time=None, until_s=20)
    assert world.fleets[0].open_sessions == 60


def test_devices_that_go_and_come_again_begin_no_session_of_a_number_they_had() -> None:
    world = commanded([(5.0, "rate", 0.0), (10.0, "rate", 1.0)])
    found = numbers(world)
    assert len(found) > 500
    assert len(set(found)) == len(found)


def test_a_device_that_is_due_between_the_word_to_go_on_and_its_moment_is_not_forgotten() -> None:
    world = commanded([(3.0, "pause", None), (3.5, "resume", None)], lead_s=0.4, until_s=30)
    last = {number % 60 for number in numbers(world)[-600:]}
    assert len(last) == 60, "every device still begins sessions"


def test_nothing_begins_in_a_pause_and_what_was_due_in_it_follows_after_it() -> None:
    world = commanded([(5.0, "pause", None), (15.0, "resume", None)])
    starts = [(message.at - START) / SECOND for message in world.sent("create")]
    assert not [each for each in starts if 5 <= each < 15]
    in_first_tenth = sum(15 <= each < 15.1 for each in starts)
    assert in_first_tenth < 15, "not all at once"
    assert sum(15 <= each < 17 for each in starts) > 30


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_number_of_workers_makes_the_same_of_the_same_commands(seed: int) -> None:
    alone, *others = (commanded(at_random(seed), workers=workers) for workers in (1, 2, 5))
    starts = sorted((message.at, message.session) for message in alone.sent("create"))
    assert len(set(numbers(alone))) == len(starts) > 500
    for together in others:
        assert sorted((message.at, message.session) for message in together.sent("create")) == starts
