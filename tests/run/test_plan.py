"""A plan against what is known in closed form, and against a real run."""

from __future__ import annotations

import math
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from simulator import run
from simulator.config import Profile, load_profile
from simulator.run.options import RunError
from simulator.run.plan import PlanOptions, measured_per_core, plan
from simulator.run.plan.estimate import erlang_b
from simulator.run.plan.kernel import BINS, Kernel, over_time, per_slice
from simulator.run.plan.wire import octets
from tests.world import MESSAGE, traffic

CALL = {"service": "voice", "length": "600s", "rating_groups": [{"rating_group": 100, "requested": "60s"}]}
UPDATES = 11
"""Of a call of 600 s: its minutes are granted one by one and renewed when 10 % of each is left, every 54 s."""
DOWNLOAD = {
    "service": "data",
    "length": "100s",
    "rating_groups": [{"rating_group": 300, "requested": "10MB", "throughput": "1MB/s"}],
}
"""The same number of updates: one every 9 MB."""


def calls(load: dict[str, Any], **fields: Any) -> Profile:
    """So many subscribers that none of them is ever busy."""
    return traffic(load, **{"usages": {"call": CALL}, "subscribers": {"count": 1_000_000}} | fields)


def planned(profile: Profile, **options: Any) -> dict[str, Any]:
    return plan(profile, PlanOptions(**{"sample": 200, **options}))


# -- what is known in closed form ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("usage", "life_s"), [(CALL, 600), (DOWNLOAD, 100)])
def test_fixed_lengths_and_quotas_give_exactly_what_arithmetic_gives(usage: dict[str, Any], life_s: int) -> None:
    """Two starts a second, of a life of L and the answer to the release: 2 L are open, and each sends 1 + 11 + 1 requests."""
    result = planned(calls({"rate": "2/s"}, usages={"usage": usage}), latency_s=0.02)
    means = {name: figures["mean"] for name, figures in result["operations"].items()}
    assert means == pytest.approx({"create": 2, "update": 2 * UPDATES, "release": 2})
    assert result["all"]["mean"] == pytest.approx(2 * (UPDATES + 2))
    assert result["sessions_open"]["mean"] == pytest.approx(2 * (life_s + 0.02))
    assert result["sessions_open"]["relative_error"] < 1e-9
    assert len(result["over_time"]) == 12
    assert {round(row["sessions_open"], 3) for row in result["over_time"]} == {round(2 * (life_s + 0.02), 3)}


def test_pace_shortens_lives_and_leaves_arrivals_alone() -> None:
    result = planned(calls({"rate": "2/s"}, pace=60), latency_s=0.005)
    assert result["sessions_open"]["mean"] == pytest.approx(2 * (10 + 0.005))
    assert result["operations"]["create"]["mean"] == pytest.approx(2)


def test_a_closed_loop_starts_a_session_per_device_life_and_thinking() -> None:
    result = planned(calls({"mode": "closed", "devices": 100, "think_time": "300s"}, pace=10), latency_s=0.02)
    cycle_s = 60 + 0.02 + 30
    assert result["arrivals"]["intended_per_s"] == pytest.approx(100 / cycle_s)
    assert result["sessions_open"]["mean"] == pytest.approx(100 * 60.02 / cycle_s)


def test_usages_weigh_what_the_mix_says_however_many_of_each_were_played() -> None:
    result = planned(calls({"rate": "10/s"}, usages={"call": CALL, "message": MESSAGE}, mix={"call": 1, "message": 99}))
    means = {name: figures["mean"] for name, figures in result["operations"].items()}
    assert means == pytest.approx({"create": 0.1, "update": 0.1 * UPDATES, "release": 0.1, "event": 9.9})


def test_a_population_scales_the_arrivals_of_the_profile_unless_a_rate_is_given() -> None:
    profile = calls({"rate": "2/s"})
    large = planned(profile, subscribers=100_000_000)
    assert large["arrivals"]["intended_per_s"] == pytest.approx(200)
    assert large["operations"]["update"]["mean"] == pytest.approx(200 * UPDATES)
    given = planned(profile, subscribers=100_000_000, rate_per_s=7.0)
    assert given["operations"]["update"]["mean"] == pytest.approx(7 * UPDATES)
    devices = planned(calls({"mode": "closed", "devices": 100}), subscribers=100_000_000)
    assert devices["sessions_open"]["mean"] == pytest.approx(100 * 100)


def test_a_start_whose_device_is_busy_is_none() -> None:
    """Twenty subscribers in turns of 20 s with lives of 30 s: every second start finds the last session open."""
    usage = {"service": "voice", "length": "30s", "rating_groups": [{"rating_group": 100, "requested": "60s"}]}
    result = planned(calls({"rate": "1/s"}, usages={"call": usage}, subscribers={"count": 20}))
    assert result["arrivals"]["busy_share"] == pytest.approx(0.5)
    assert result["operations"]["create"]["mean"] == pytest.approx(0.5)


def test_a_device_with_two_places_is_busy_less_often() -> None:
    """The same with two places: a load of one Erlang on them, of which a fifth is turned away."""
    usage = {
        "service": "voice",
        "length": "30s",
        "sessions": 2,
        "rating_groups": [{"rating_group": 100, "requested": "60s"}],
    }
    result = planned(calls({"rate": "1/s"}, usages={"call": usage}, subscribers={"count": 20}))
    assert result["arrivals"]["busy_share"] == pytest.approx(0.2)


def test_what_erlang_s_formula_gives() -> None:
    assert erlang_b(0, 1) == 0
    assert erlang_b(1, 1) == pytest.approx(0.5)
    assert erlang_b(10, 15) == pytest.approx(0.0365, abs=5e-5)  # of the published tables


def test_a_message_has_a_frame_of_headers_and_one_for_each_sixteen_kibibytes_of_its_body() -> None:
    bare = octets([(b":method", b"POST")], b"")
    assert bare == 9 + 1
    assert [octets([(b":method", b"POST")], b"x" * size) - bare - size for size in (1, 16_384, 16_385)] == [9, 9, 18]


# -- over time ----------------------------------------------------------------------------------------------------------


def test_a_rate_that_steps_up_is_followed_by_sessions_as_they_live() -> None:
    """Lives of 30 s, and a rate of 1/s that is 3/s from the 60th second on: open sessions climb from 30 to 90 in 30 s."""
    kernel = Kernel(120, ["update"])
    kernel.end(30.0)
    kernel.add("update", 20.0, 1)

    def rate(at_s: float) -> float:
        return 1.0 if at_s < 60 else 3.0

    width_s = 120 / BINS
    sessions = over_time(kernel.open_s(), rate, 120, flat=False)
    assert sessions[0] == pytest.approx(30)  # in equilibrium from the beginning
    for at_s, wanted in ((30, 30), (60, 30), (75, 60), (90, 90), (119, 90)):
        assert sessions[int(at_s / width_s)] == pytest.approx(wanted, abs=2 * 2 * width_s)
    updates = over_time(kernel.amounts["update"], rate, 120, flat=False)
    assert (updates[int(78 / width_s)], updates[int(82 / width_s)]) == (1, 3)
    assert per_slice(updates, 12) == pytest.approx([1] * 8 + [3] * 4)


DAY_S = 86_400.0
BUSY_EVENING = [{"rate": "1/s", "for": "12h"}, {"rate": "3/s", "for": "12h"}]
"""A day that is three times as busy in its second half."""
EVENING_ONLY = [{"pause": "12h"}, {"rate": "2/s", "for": "12h"}]


@pytest.mark.parametrize(
    "load",
    [
        {"stages": BUSY_EVENING},
        {"streams": [{"usage": "call", "rate": "1/s"}, {"usage": "call", "stages": EVENING_ONLY}]},
    ],
    ids=["stages", "streams"],
)
def test_a_plan_follows_a_load_that_changes(load: dict[str, Any]) -> None:
    """Calls of ten minutes."""
    result = planned(calls(load))
    hours = [row["sessions_open"] for row in result["over_time"]]
    assert hours == pytest.approx([600.02] * 12 + [hours[12]] + [1800.06] * 11)
    assert hours[12] == pytest.approx(1800 - 1200 * 300 / 3600, rel=0.1), "the first ten minutes of it are a climb"
    assert result["all"]["mean"] == pytest.approx(2 * 13, rel=0.01)
    assert result["all"]["peak"] == pytest.approx(3 * 13)
    assert result["engines"]["cores"] == 1
    assert result["network_functions"][0]["requests_per_s"] == pytest.approx(3 * 13 / 2), "sized for the peak"


def test_devices_that_attach_and_detach_are_planned_by_their_number() -> None:
    """Calls of 600 s without a pause between two: as many are open as there are devices, each starting one in 600 s."""
    stages = [{"devices": 1200, "for": "12h"}, {"devices": 600, "for": "12h"}]
    result = planned(calls({"mode": "closed", "stages": stages, "max_in_flight": 2000}))
    hours = [row["arrivals_per_s"] for row in result["over_time"]]
    assert hours == pytest.approx([2.0] * 12 + [1.0] * 12, rel=0.01)


def test_streams_give_each_usage_its_share() -> None:
    streams = [{"usage": "call", "rate": "3/s"}, {"mix": {"call": 1, "message": 3}, "rate": "4/s"}]
    result = planned(calls({"streams": streams, "duration": "60s"}, usages={"call": CALL, "message": MESSAGE}))
    assert {name: usage["arrivals_per_s"] for name, usage in result["usages"].items()} == pytest.approx(
        {"call": 4, "message": 3}
    )


def test_lives_longer_than_the_plan_count_in_full() -> None:
    kernel = Kernel(10, ["update"])
    kernel.end(10_000.0)
    kernel.add("update", 9_000.0, 1)
    for flat in (True, False):
        assert over_time(kernel.open_s(), lambda _: 2.0, 10, flat=flat) == pytest.approx([20_000] * BINS)
        assert over_time(kernel.amounts["update"], lambda _: 2.0, 10, flat=flat) == pytest.approx([2] * BINS)


# -- what it takes ------------------------------------------------------------------------------------------------------


def test_streams_follow_littles_law_and_say_when_the_profile_has_too_few() -> None:
    profile = calls({"rate": "10/s"}, connections={"per_network_function": 1, "streams": 10})
    result = planned(profile, latency_s=0.5)
    (need,) = result["network_functions"]
    assert need["requests_per_s"] == pytest.approx(10 * (UPDATES + 2) / 2)  # two SMFs share them
    assert need["in_flight"] == pytest.approx(need["requests_per_s"] * 0.5)
    roomy = 2 * need["in_flight"]
    assert need["streams"] == math.ceil(roomy + 4 * math.sqrt(roomy))
    assert (need["streams_of_profile"], need["connections"]) == (10, math.ceil(need["streams"] / 10))
    assert not need["enough"]
    (better,) = planned(calls({"rate": "10/s"}, connections={"streams": 1000}), latency_s=0.5)["network_functions"]
    assert better["enough"]


def test_cores_and_machines_are_those_of_the_peak_at_the_measured_rate() -> None:
    profile = calls({"rate": "1k/s"})
    result = planned(profile, requests_per_core=1000.0, utilisation=0.5, cores_per_machine=4)
    engines = result["engines"]
    assert engines["cores"] == math.ceil(1000 * (UPDATES + 2) / 500)
    assert engines["machines"] == math.ceil(engines["cores"] / 4)
    assert engines["session_octets"] == pytest.approx(result["sessions_open"]["mean"] * 1689)


def test_the_rate_per_core_can_come_from_a_run(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_bytes(orjson.dumps({"generator": {"requests_per_cpu_s": 12_345.6}}))
    assert measured_per_core(tmp_path) == 12_345.6
    with pytest.raises(RunError, match="No such file"):
        measured_per_core(tmp_path / "nowhere")
    for wrong, said in (("[]", "not the summary"), ('{"generator":{"requests_per_cpu_s":null}}', "measured nothing")):
        (tmp_path / "summary.json").write_text(wrong)
        with pytest.raises(RunError, match=said):
            measured_per_core(tmp_path)


# -- how it is done -----------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_plan_and_another_one_nearly_the_same() -> None:
    profile = load_profile("demo")
    first, again, other = (planned(profile, sample=1000, seed=seed) for seed in (3, 3, 4))
    assert first == again
    assert first["all"] != other["all"]
    error = math.hypot(first["all"]["relative_error"], other["all"]["relative_error"])
    assert 0 < error < 0.1
    assert abs(first["all"]["mean"] / other["all"]["mean"] - 1) < 4 * error


def test_the_standard_error_is_that_of_plans_with_other_seeds() -> None:
    usage = CALL | {"length": {"exponential": {"mean": "600s"}}}
    results = [planned(calls({"rate": "1/s"}, usages={"call": usage}), sample=100, seed=100 * n) for n in range(12)]
    means = [result["sessions_open"]["mean"] / 600 for result in results]
    errors = [result["sessions_open"]["relative_error"] for result in results]
    spread = math.sqrt(sum((each - 1) ** 2 for each in means) / len(means))
    assert 0.4 < spread / (sum(errors) / len(errors)) < 2.0


def test_a_hundred_million_subscribers_need_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    result = planned(load_profile("busy-hour"), subscribers=100_000_000, sample=500)
    assert result["arrivals"]["intended_per_s"] == pytest.approx(500_000 * 400 / 3600)
    assert result["sessions_open"]["mean"] > 5_000_000
    assert any("max_in_flight" in note for note in result["notes"])


@pytest.mark.parametrize(
    ("overrides", "options", "said"),
    [
        (["pace=flat-out"], {}, "flat-out.*--pace 1x"),
        (["timeouts.request=10ms"], {}, "every request would fail"),
        (["load.rate=0/s", "load.start_open=10"], {}, "give the plan a --rate"),
    ],
)
def test_what_cannot_be_planned_is_told(overrides: list[str], options: dict[str, Any], said: str) -> None:
    with pytest.raises(RunError, match=said):
        planned(load_profile("demo", overrides), sample=10, **options)


def test_sessions_that_wait_for_a_top_up_that_never_comes_are_not_played_forever() -> None:
    with pytest.raises(RunError, match="stays: 5 of its sessions have not ended after 25,000 requests"):
        planned(load_profile("quota-exhaustion-topup"), sample=10)


def test_what_is_left_out_is_told() -> None:
    notes = planned(load_profile("chf-outage-failover"), sample=10)["notes"]
    assert any("faults" in note for note in notes)
    assert not any("faults" in note for note in planned(load_profile("demo"), sample=10)["notes"])


# -- against a real run -------------------------------------------------------------------------------------------------


@contextmanager
def steady_intervals(folder: Path) -> Iterator[list[dict[str, Any]]]:
    rows = [orjson.loads(line) for line in (folder / "intervals.ndjson").read_bytes().splitlines()]
    yield [row for row in rows if row["phase"] == "steady"]


def test_a_plan_is_what_a_run_measures(tmp_path: Path) -> None:
    """A small fleet of engine processes against the sandbox, in equilibrium from the beginning, over ten steady seconds."""
    overrides = ["load.rate=150/s", "load.spacing=constant", "load.duration=16s", "load.warmup=6s"]
    profile = load_profile("demo", [*overrides, "thresholds=[]"])
    expected = plan(profile, PlanOptions(latency_s=0.002, sample=5000))
    equilibrium = round(expected["sessions_open"]["mean"])
    load = profile.load.model_copy(update={"start_open": equilibrium})
    summary = run(profile.model_copy(update={"load": load}), out=tmp_path / "out").summary
    for name, figures in expected["operations"].items():
        assert summary["operations"][name]["per_s"] == pytest.approx(figures["mean"], rel=0.06), name
    with steady_intervals(tmp_path / "out") as rows:
        seconds = [row["end_s"] - row["start_s"] for row in rows]
        open_s = sum(row["gauges"]["sessions_open"][0] * each for row, each in zip(rows, seconds, strict=True))
        assert open_s / sum(seconds) == pytest.approx(equilibrium, rel=0.05)
        for way in ("sent", "received"):
            found = sum(row["counters"][f"http2|bytes_{way}"] for row in rows)
            assert found / sum(seconds) == pytest.approx(expected["octets_per_s"][way]["mean"], rel=0.1), way
