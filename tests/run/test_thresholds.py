"""Thresholds in whole runs: windows, warnings, and the end of a load that cannot hold what it should."""

from __future__ import annotations

import pytest

from simulator.run.options import RunError
from tests.run.rig import Follower, brief, conducted, sound, steady

pytestmark = pytest.mark.anyio

SLOW = {"timeouts": {"drain": "2s"}, "sandbox": {"faults": [{"from": "1500ms", "until": "2500ms", "delay": "300ms"}]}}


def briefly(**fields: object) -> object:
    return steady(load={"rate": "50/s", "start_open": 50, "duration": "4s"}, **SLOW, **fields)


async def test_a_window_finds_the_second_in_which_a_chf_was_slow() -> None:
    texts = ["response.p50 < 200ms", "response.p50 < 200ms over 1s", "response.p50 < 200ms over 1s warn"]
    result = await conducted(briefly(thresholds=texts), workers=2)
    whole, window, warning = result.summary["thresholds"]
    assert (whole["ok"], whole["over"]) == (True, "steady")
    assert (window["ok"], window["over"], warning["level"]) == (False, "1s", "warn")
    assert 2.0 <= window["window_at_s"] <= 3.5
    assert (result.verdict, result.exit_code) == ("fail", 1)
    assert len(result.why) == len(result.summary["warnings"]) == 1


async def test_a_threshold_with_abort_ends_the_load_and_drains() -> None:
    follower = Follower()
    profile = steady(load={"rate": "50/s", "start_open": 50, "duration": "60s"}, **SLOW)
    result = await conducted(profile, workers=2, thresholds=["response.p50 < 200ms over 1s abort"], observer=follower)
    assert result.summary["duration_s"] < 15
    assert result.summary["sessions"]["open_at_end"] == 0
    assert (result.verdict, result.summary["audit"]["balanced"]) == ("fail", True)
    [event] = [event for event in result.summary["events"] if "threshold" in event["text"]]
    assert 1.9 < event["at_s"] < 6
    assert event["text"] in follower.notes


async def test_a_number_that_is_exceeded_with_abort_ends_the_load_at_once_and_one_in_the_drain_ends_nothing() -> None:
    refused = {"sandbox": {"faults": [{"operations": ["update"], "status": 500}]}}
    begun = await conducted(
        steady(**refused, load={"duration": "60s"}), thresholds=["failed < 5 abort", "failed < 6 abort"]
    )
    assert begun.summary["duration_s"] < 10
    assert len([event for event in begun.summary["events"] if "threshold" in event["text"]]) == 1
    released = {"sandbox": {"faults": [{"operations": ["release"], "status": 500}]}}
    over = await conducted(steady(**released, load={"duration": "1s"}), thresholds=["failed < 5 abort"])
    assert (over.verdict, over.exit_code) in {("fail", 1), ("invalid", 3)}
    assert not [event for event in over.summary["events"] if "threshold" in event["text"]]


async def test_a_warning_of_a_profile_passes() -> None:
    warning = {"expect": "response.p99 < 1us", "level": "warn"}
    result = await conducted(brief(thresholds=[warning]))
    assert sound(result), result.why
    assert result.summary["warnings"][0].startswith("threshold response.p99 < 1us warn: ")


async def test_a_threshold_of_the_command_line_is_read_before_the_run() -> None:
    with pytest.raises(
        RunError, match=r'--threshold: threshold "response < 1ms", column 9: "response" needs one more part'
    ):
        await conducted(steady(), thresholds=["response < 1ms"])
