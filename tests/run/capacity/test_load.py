from __future__ import annotations

from typing import Any

import pytest

from simulator.config import Profile
from simulator.run.capacity.load import LoadError, equilibrium, profile_of_step
from simulator.run.capacity.search import Kind, Step
from tests.world import CALL, DOWNLOAD, MESSAGE, traffic


def step(rate: float, seconds: float = 10.0) -> Step:
    return Step(number=1, kind=Kind.PROBE, rate=rate, seconds=seconds, cool_down_s=0)


def profile(usages: dict[str, Any], **fields: Any) -> Profile:
    load = {"rate": "10/s", "duration": "5s"} | fields.pop("load", {})
    return traffic(load, usages=usages, **{"pace": "1x", "subscribers": {"count": 100_000}, **fields})


def calls(seconds: float, **fields: Any) -> dict[str, Any]:
    return {**CALL, "length": seconds, **fields}


def test_events_have_no_equilibrium_to_wait_for() -> None:
    offered = profile_of_step(profile({"message": MESSAGE}), step(300), ["success >= 99%"], None)
    assert (offered.load.rate, offered.load.start_open) == (300, 0)
    assert (offered.load.warmup, offered.load.duration) == (2.0, 12.0)
    assert offered.thresholds == ["success >= 99%"]


def test_sessions_begin_with_as_many_as_littles_law_says() -> None:
    """100/s that live for 60 s on average: 6,000 are open, set up in 3 s; the CHF has as long again to recover."""
    offered = profile_of_step(profile({"call": calls(60)}), step(100), [], None)
    assert offered.load.start_open == 6000
    assert offered.load.warmup == 2.0 + 2 * 3.0
    assert offered.load.duration == offered.load.warmup + 10


def test_the_pace_shortens_lives_and_the_mix_weighs_them() -> None:
    usages = {"call": calls(60), "message": MESSAGE}
    assert equilibrium(profile(usages, mix={"call": 1, "message": 3}), 100).sessions == 1500
    assert equilibrium(profile({"call": calls(60)}, pace="60x"), 100).sessions == 100
    assert equilibrium(profile({"call": calls(60)}, pace="flat-out"), 100).sessions == 0


def test_a_warm_up_of_the_profile_or_the_command_takes_the_place_of_the_share() -> None:
    warm = profile({"message": MESSAGE}, load={"warmup": "1s"})
    assert profile_of_step(warm, step(300), [], None).load.warmup == 1.0
    assert profile_of_step(warm, step(300), [], 4.0).load.warmup == 4.0
    assert profile_of_step(warm, step(300), [], 0.0).load.warmup == 0.0


def test_a_closed_loop_is_offered_as_an_open_load_of_the_same_mix() -> None:
    closed = profile({"message": MESSAGE}, load={"mode": "closed", "rate": None, "devices": 5, "sessions": 40})
    offered = profile_of_step(closed, step(300), [], None)
    assert (offered.load.mode, offered.load.rate, offered.load.devices, offered.load.sessions) == (
        "open", 300, None, None,
    )  # fmt: skip


def test_more_open_sessions_than_the_profile_allows_are_allowed_where_equilibrium_needs_them() -> None:
    few = profile({"call": calls(60)}, load={"max_in_flight": 100})
    assert profile_of_step(few, step(100), [], None).load.max_in_flight == 12_000
    assert profile_of_step(few, step(0.5), [], None).load.max_in_flight == 100


@pytest.mark.parametrize(
    ("length", "rate", "why"),
    [
        (3600, 1000, "3,600,000 sessions are open in equilibrium, and setting them up takes 1,800 s, more than 600 s"),
        (60, 10_000, "at 10,000/s: load.start_open: more than the 1,000 subscribers"),
    ],
)
def test_a_rate_that_the_profile_cannot_offer_is_said_in_words(length: float, rate: float, why: str) -> None:
    with pytest.raises(LoadError, match=why):
        profile_of_step(profile({"call": calls(length)}, subscribers={"count": 1000}), step(rate), [], None)


def test_downloads_live_until_their_volume_is_used() -> None:
    assert equilibrium(profile({"download": DOWNLOAD}), 100).sessions > 0
