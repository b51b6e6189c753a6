"""One seed is one run: the same bytes again, and the same traffic at any number of workers."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest

from simulator.config import Profile
from tests.world import CALL, DOWNLOAD, MESSAGE, REPORT, SECOND, START, World, profile, traffic

TWO_GROUPS: dict[str, Any] = {
    "service": "data",
    "length": {"exponential": {"mean": "8s"}},
    "rating_groups": [
        {
            "rating_group": 300,
            "requested": "1MB",
            "throughput": {"lognormal": {"median": "4Mbps", "sigma": 1}},
            "burst": {"exponential": {"mean": "2s"}},
            "pause": {"exponential": {"mean": "1s"}},
        },
        {"rating_group": 310, "throughput": "64kbps", "start": {"uniform": {"min": "0s", "max": "3s"}}},
    ],
    "changes": [
        {"change": "handover", "every": {"exponential": {"mean": "4s"}}},
        {"change": "qos", "at": {"uniform": {"min": "0s", "max": "5s"}}},
    ],
}
USAGES = {"call": CALL, "browsing": TWO_GROUPS, "download": DOWNLOAD, "message": MESSAGE, "report": REPORT}


def mixed(**load: Any) -> Profile:
    return traffic({"rate": "20/s", "start_open": 50, "duration": "10s", **load}, usages=USAGES)


def flaky(message: Any) -> str:
    """Every seventh message is lost, whoever sends it: decided by its content, not by its position."""
    return "lost" if message.attempt == 1 and sum(message.raw) % 7 == 0 else ""


@pytest.mark.parametrize(
    "load",
    [
        mixed(),
        traffic({"mode": "closed", "devices": 20, "think_time": {"exponential": {"mean": "1s"}}}, usages=USAGES),
        profile("load.sessions=60", base="how-to"),
    ],
    ids=["open", "closed", "flat-out"],
)
def test_the_same_seed_sends_the_same_bytes_at_the_same_moments(load: Profile) -> None:
    first, second = World(load, seed=7, weather=flaky).run(), World(load, seed=7, weather=flaky).run()
    assert len(first.messages) > 150
    assert [(each.at, each.path, each.raw) for each in first.messages] == [
        (each.at, each.path, each.raw) for each in second.messages
    ]
    assert first.records == second.records


def test_another_seed_is_other_traffic() -> None:
    first, second = (World(mixed(), seed=seed).run(2) for seed in (7, 8))
    assert [each.body["subscriberIdentifier"] for each in first.sent("create")[:50]] != [
        each.body["subscriberIdentifier"] for each in second.sent("create")[:50]
    ]
    assert [each.at for each in first.sent("event")] != [each.at for each in second.sent("event")]


def plain(world: World, until: int) -> set[tuple[int, bytes]]:
    """What was sent up to a moment, without what may differ: the CHF's references and the worker's callback port."""
    return {
        (each.at, each.operation.encode() + re.sub(rb":\d+/nsmf-callback/n40/\d+", b"", each.raw))
        for each in world.messages
        if each.at < until
    }


@pytest.mark.parametrize(
    "load",
    [
        mixed(),
        traffic({"mode": "closed", "devices": 20}, usages=USAGES),
        traffic(
            {
                "streams": [
                    {
                        "mix": {"call": 1, "browsing": 2},
                        "stages": [{"ramp_to": "40/s", "for": "5s"}, {"burst": 20, "for": "1s"}],
                    },
                    {"usage": "message", "rate": "10/s", "spacing": "constant"},
                ],
                "start_open": 30,
            },
            usages=USAGES,
        ),
        traffic(
            {
                "mode": "closed",
                "equilibrium": True,
                "think_time": {"exponential": {"mean": "2s"}},
                "stages": [{"devices": 30, "for": "4s"}, {"ramp_to": 60, "for": "4s"}, {"ramp_to": 0, "for": "8s"}],
            },
            usages=USAGES,
        ),
    ],
    ids=["open", "closed", "streams", "devices"],
)
@pytest.mark.parametrize("workers", [2, 3])
def test_workers_together_send_what_one_would(load: Profile, workers: int) -> None:
    """The same arrivals, subscribers, usage, requests: what each of them says and when, up to the drain."""
    alone, together = World(load), World(load, workers=workers)
    for world in (alone, together):
        world.run()
    end = int(load.load.duration * 10**9) + 1_000 * 10**9
    assert len(plain(alone, end)) > 300
    assert plain(alone, end) == plain(together, end)


MANY_CURVES: dict[str, Any] = {
    "streams": [
        {
            "usage": "call",
            "stages": [{"ramp_to": "30/s", "for": "5s"}, {"burst": 30, "for": "2s"}, {"rate": "10/s", "for": "9s"}],
        },
        {
            "usage": "download",
            "stages": [{"steps_to": "20/s", "by": "5/s", "each": "2s"}, {"replay": [0, 0.1, 0.5, 0.5, 2]}],
        },
    ]
}
DEVICES: dict[str, Any] = {
    "mode": "closed",
    "think_time": {"exponential": {"mean": "1s"}},
    "equilibrium": True,
    "stages": [
        {"devices": 20, "for": "4s"}, {"ramp_to": 60, "for": "4s"}, {"pause": "2s"}, {"devices": 30, "for": "5s"},
        {"ramp_to": 0, "for": "4s"},
    ],
}  # fmt: skip


@pytest.mark.parametrize("load", [MANY_CURVES, DEVICES], ids=["streams", "devices"])
@pytest.mark.parametrize("seed", [5, 6, 7])
def test_whatever_is_commanded_workers_together_start_what_one_would(load: dict[str, Any], seed: int) -> None:
    draw = random.Random(seed)
    commands = [
        (draw.uniform(0.3, 20), draw.choice(["rate", "pause", "resume", "stage"]), draw.choice([0.0, 0.3, 1.0, 1.7]))
        for _ in range(20)
    ]
    starts = []
    for workers in (1, 2, 3):
        world = World(traffic(load, usages={"call": CALL | {"length": "2s"}, "download": DOWNLOAD}), workers=workers)
        for at, action, value in [*sorted(commands), (21.0, "resume", None), (21.1, "rate", 1.0)]:
            world.run_until(at - 0.1)  # a command comes before its time
            for fleet in world.fleets:
                fleet.control(START + int(at * SECOND), action, value, world.now)
        world.run_until(50)
        starts.append(sorted((each.at, each.session) for each in world.sent("create")))
    assert len(starts[0]) > 10
    numbers = [session for _, session in starts[0]]
    assert len(set(numbers)) == len(numbers)
    assert starts[0] == starts[1] == starts[2]


def test_workers_never_share_a_subscriber_or_a_charging_id() -> None:
    world = World(mixed(), workers=3).run()
    subscribers: dict[str, set[int]] = {}
    sessions: dict[int, set[int]] = {}
    for message in world.messages:
        subscribers.setdefault(message.session[0], set()).add(message.worker)
        sessions.setdefault(message.session[1], set()).add(message.worker)
    assert {len(workers) for workers in subscribers.values()} == {1}
    assert {len(workers) for workers in sessions.values()} == {1}
    assert len({next(iter(workers)) for workers in sessions.values()}) == 3


def test_every_answer_being_late_moves_requests_but_not_arrivals() -> None:
    quick, slow = (World(mixed(), latency=latency).run() for latency in (1_000_000, 900_000_000))
    firsts = [
        [
            (each.at, each.body["subscriberIdentifier"])
            for each in world.messages
            if each.operation in ("create", "event")
        ]
        for world in (quick, slow)
    ]
    assert firsts[0] == firsts[1]
