"""A search by runs: what it records, how it goes on after having been broken off, and what each kind of run means for it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import orjson
import pytest

from simulator.config import Profile
from simulator.run.capacity import CapacityOptions, SearchSettings, find_capacity, resume_capacity
from simulator.run.capacity.answer import result_of
from simulator.run.capacity.search import Conclusion, Ending, Step
from simulator.run.options import InterruptedRunError, Observer, RunError, Silence
from tests.run.capacity.fakes import FINE, TIRED, FakeRuns
from tests.run.capacity.queueing import Queue
from tests.world import CALL, MESSAGE, traffic

QUEUE = Queue(10, 0.02, exponential=False)
"""Holds 500/s at the very most."""
SLO = "response.event.p90 < 40ms"


def options(**changes: Any) -> CapacityOptions:
    search = {"start": 100.0, "resolution": 0.1, "step_s": 10.0, "confirm_s": 20.0, "cool_down_s": 3.0}
    profile = traffic({"rate": "100/s"}, usages={"message": MESSAGE}, pace="1x", subscribers={"count": 100_000})
    given = {"profile": profile, "slos": [SLO], "confidence": 0.95} | changes
    return CapacityOptions(search=SearchSettings(**search | given.pop("search", {})), **given)


def state_of(folder: Path) -> dict[str, Any]:
    state: dict[str, Any] = orjson.loads((folder / "capacity.json").read_bytes())
    return state


def find(folder: Path, runs: FakeRuns, **changes: Any) -> dict[str, Any]:
    return find_capacity(options(**changes), folder, run_step=runs, sleep=lambda seconds: None)


def test_the_answer_is_one_sentence_with_its_rate_objective_confidence_and_what_failed(tmp_path: Path) -> None:
    runs = FakeRuns(QUEUE)
    state = find(tmp_path / "out", runs)
    result = state["result"]
    assert (result["ending"], result["exit_code"], result["confirmed"]) == ("found", 0, True)
    assert 400 <= result["holds_per_s"] < result["above_per_s"] <= 1.1 * result["holds_per_s"]
    assert result["holds_requests_per_s"] == pytest.approx(result["holds_per_s"], rel=0.05)
    assert result["sentence"].startswith(f"holds {result['holds_per_s']:g}/s at {SLO} (95 % confidence); ")
    assert f"{result['above_per_s']:g}/s failed: {SLO}: " in result["sentence"]
    assert result["sentence"].endswith("; the generator was not the limit")
    assert state_of(tmp_path / "out") == orjson.loads(orjson.dumps(state))


def test_each_step_is_a_run_of_its_own_with_its_seed_folder_and_warm_up(tmp_path: Path) -> None:
    runs = FakeRuns(QUEUE)
    state = find(tmp_path / "out", runs, seed=70)
    assert runs.made[0] == (100, 71, "step-01-100")
    assert runs.made[2] == (400, 73, "step-03-400")
    assert [step["folder"] for step in state["steps"]] == [name for _, _, name in runs.made]
    assert all((tmp_path / "out" / name / "intervals.ndjson").exists() for _, _, name in runs.made)
    first = state["steps"][0]
    assert (first["warmup_s"], first["start_open"], first["measured_s"]) == (2.0, 0, 10.0)
    assert first["offered_per_s"] == first["achieved_per_s"] == pytest.approx(100, rel=0.15)
    assert first["latency_us"]["p50"] == pytest.approx(20_000, rel=0.01)
    (slo,) = first["slos"]
    assert slo["missed_share"] <= slo["missed_share_upper"] <= slo["allowed_share"] == 0.1


def test_the_curve_is_a_table_too(tmp_path: Path) -> None:
    state = find(tmp_path / "out", FakeRuns(QUEUE))
    with (tmp_path / "out" / "capacity.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [(float(row["rate_per_s"]), row["verdict"]) for row in rows] == [
        (step["rate_per_s"], step["verdict"]) for step in state["steps"]
    ]
    assert float(rows[0]["p99_us"]) == state["steps"][0]["latency_us"]["p99"]


def test_the_chf_rests_between_steps(tmp_path: Path) -> None:
    rests: list[float] = []
    find_capacity(options(), tmp_path / "out", run_step=FakeRuns(QUEUE), sleep=rests.append)
    assert rests[0] == 0
    assert set(rests[1:]) == {3}


def test_steps_that_are_not_decided_are_judged_together_with_the_next_look(tmp_path: Path) -> None:
    state = find(tmp_path / "out", FakeRuns(QUEUE), slos=["response.event.p99_9 < 100ms"])
    first, second = state["steps"][:2]
    assert (first["verdict"], first["look"], first["seconds"]) == ("not decided", 1, 10)
    assert (second["rate_per_s"], second["look"], second["seconds"]) == (100, 2, 20)
    assert second["slos"][0]["requests"] == first["requests"] + second["requests"]


def test_a_look_that_was_not_valid_does_not_cost_what_was_measured_before(tmp_path: Path) -> None:
    """Not decided, then spoiled, then made again: the first look still counts."""

    def before(number: int, profile: Profile, folder: Path) -> dict[str, Any] | None:
        return FINE | {"generator": TIRED} if number == 2 else None

    state = find(tmp_path / "out", FakeRuns(QUEUE, before), slos=["response.event.p99_9 < 100ms"])
    first, spoiled, again = state["steps"][:3]
    assert [each["verdict"] for each in (first, spoiled)] == ["not decided", "not valid"]
    assert (spoiled["look"], again["look"], again["rate_per_s"]) == (2, 2, 100)
    (slo,) = again["slos"]
    assert slo["requests"] == first["requests"] + again["requests"]


def test_the_figures_of_the_answer_are_those_of_the_step_that_held() -> None:
    held = {"rate_per_s": 400.0, "verdict": "held", "requests_per_s": 1600.0, "latency_us": {"p50": 7}}
    spoiled = {"rate_per_s": 400.0, "verdict": "not valid"}
    end = Conclusion(ending=Ending.GENERATOR_LIMIT, holds=400.0, above=800.0, why="it was tired")
    result = result_of(end, [SLO], 0.95, [held, spoiled])
    assert (result["holds_requests_per_s"], result["holds_latency_us"], result["exit_code"]) == (1600.0, {"p50": 7}, 3)
    assert "holds probably 400/s (1,600 requests/s)" in result["sentence"]


def test_sessions_begin_in_equilibrium(tmp_path: Path) -> None:
    seen: list[Profile] = []

    def before(number: int, profile: Profile, folder: Path) -> None:
        seen.append(profile)

    calls = traffic({"rate": "100/s"}, usages={"call": CALL, "message": MESSAGE}, subscribers={"count": 100_000})
    find(tmp_path / "out", FakeRuns(QUEUE, before), profile=calls)
    assert [(each.load.rate, each.load.start_open) for each in seen[:3]] == [(100, 500), (200, 1000), (400, 2000)]


# -- what a run may say -------------------------------------------------------------------------------------------------


def test_a_generator_that_is_the_limit_ends_the_search_with_code_3(tmp_path: Path) -> None:
    def before(number: int, profile: Profile, folder: Path) -> dict[str, Any] | None:
        return {**FINE, "verdict": "invalid", "generator": TIRED} if (profile.load.rate or 0) > 250 else None

    state = find(tmp_path / "out", FakeRuns(QUEUE, before), search={"resolution": 0.3})
    result = state["result"]
    assert (result["exit_code"], result["above_is_valid"]) == (3, False)
    assert result["sentence"] == (
        "the generator was the limit at 300/s (the busiest engine used 99% of its core); the CHF holds at least 250/s at "
        f"{SLO} (95 % confidence)"
    )


def test_a_chf_that_holds_nothing_ends_it_with_code_1(tmp_path: Path) -> None:
    state = find(tmp_path / "out", FakeRuns(QUEUE), search={"start": 800.0})
    assert state["result"]["exit_code"] == 1
    assert state["result"]["sentence"].startswith(f"does not hold even 800/s at {SLO}: ")


def test_units_that_were_lost_fail_a_step_whatever_the_latency(tmp_path: Path) -> None:
    def before(number: int, profile: Profile, folder: Path) -> dict[str, Any] | None:
        return {**FINE, "verdict": "fail", "why": ["audit: 3 (service units) lost"]} if number == 2 else None

    state = find(tmp_path / "out", FakeRuns(QUEUE, before))
    assert (state["steps"][1]["rate_per_s"], state["steps"][1]["verdict"]) == (200, "failed")
    assert state["steps"][1]["why"] == "audit: 3 (service units) lost"


def test_an_engine_that_died_spoils_its_step_and_the_step_is_made_again(tmp_path: Path) -> None:
    def before(number: int, profile: Profile, folder: Path) -> dict[str, Any] | None:
        return {**FINE, "verdict": "could not run", "why": ["worker 0 died"]} if number == 2 else None

    runs = FakeRuns(QUEUE, before)
    state = find(tmp_path / "out", runs)
    assert runs.rates[:4] == [100, 200, 200, 400]
    assert (state["steps"][1]["verdict"], state["steps"][1]["why"]) == ("not valid", "worker 0 died")


def test_a_rate_that_the_profile_cannot_offer_is_the_generators_limit_unless_it_is_the_first(tmp_path: Path) -> None:
    calls = traffic({"rate": "10/s"}, usages={"call": CALL, "message": MESSAGE}, subscribers={"count": 1500})
    state = find(tmp_path / "out", FakeRuns(QUEUE), profile=calls, search={"resolution": 0.3})
    assert state["result"]["exit_code"] == 3
    assert "at 400/s: load.start_open: more than the 1,500 subscribers" in state["steps"][2]["why"]
    with pytest.raises(RunError, match="more than the 1,500 subscribers"):
        find(tmp_path / "more", FakeRuns(QUEUE), profile=calls, search={"start": 1000.0})


# -- broken off and resumed ---------------------------------------------------------------------------------------------


class Killed(BaseException):
    """What kill -9 does: nothing more is written."""


@pytest.mark.parametrize("at", [1, 3, 6])
def test_a_search_that_was_killed_in_a_step_makes_it_again_and_ends_as_if_nothing_had_been(
    tmp_path: Path, at: int
) -> None:
    def killed(number: int, profile: Profile, folder: Path) -> None:
        if number == at:
            (folder / "journal-0.ndjson").write_bytes(b"open sessions\n")
            raise Killed

    whole = find(tmp_path / "whole", FakeRuns(QUEUE))
    folder = tmp_path / "out"
    with pytest.raises(Killed):
        find(folder, FakeRuns(QUEUE, killed))
    assert len(state_of(folder)["steps"]) == at - 1
    rest = FakeRuns(QUEUE)
    state = resume_capacity(folder, run_step=rest, sleep=lambda seconds: None)
    assert len(rest.made) == len(whole["steps"]) - at + 1
    assert state["result"] == whole["result"]
    times = {"started_at"}
    assert [{key: step[key] for key in step.keys() - times} for step in state["steps"]] == [
        {key: step[key] for key in step.keys() - times} for step in whole["steps"]
    ]
    cut = folder / f"{rest.made[0][2]}.cut-short-1" / "journal-0.ndjson"
    assert cut.read_bytes() == b"open sessions\n", "what was cut short is kept: its sessions may still be open"


def test_ctrl_c_in_a_step_ends_with_130_and_the_way_on(tmp_path: Path) -> None:
    def interrupted(number: int, profile: Profile, folder: Path) -> dict[str, Any] | None:
        return {**FINE, "verdict": "interrupted"} if number == 3 else None

    folder = tmp_path / "out"
    state = find(folder, FakeRuns(QUEUE, interrupted))
    assert state["result"]["exit_code"] == 130
    assert state["result"]["sentence"] == f"interrupted after 2 steps; smfleet capacity --resume {folder} goes on"
    assert len(state_of(folder)["steps"]) == 2
    assert resume_capacity(folder, run_step=FakeRuns(QUEUE), sleep=lambda seconds: None)["result"]["exit_code"] == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, InterruptedRunError("before the load began")])
def test_ctrl_c_between_steps_or_before_the_load_does_the_same(tmp_path: Path, error: Any) -> None:
    def interrupted(number: int, profile: Profile, folder: Path) -> None:
        raise error

    assert find(tmp_path / "out", FakeRuns(QUEUE, interrupted))["result"]["exit_code"] == 130


def test_a_search_that_is_over_is_only_shown_again(tmp_path: Path) -> None:
    state = find(tmp_path / "out", FakeRuns(QUEUE))
    nothing = FakeRuns(QUEUE)
    assert resume_capacity(tmp_path / "out", run_step=nothing)["result"] == state["result"]
    assert nothing.made == []


def test_a_chf_that_cannot_be_reached_says_how_to_go_on(tmp_path: Path) -> None:
    def gone(number: int, profile: Profile, folder: Path) -> None:
        if number == 2:
            raise RunError("http://chf:80: connection refused")

    with pytest.raises(RunError, match=r"connection refused \(smfleet capacity --resume .*out goes on\)"):
        find(tmp_path / "out", FakeRuns(QUEUE, gone))
    assert len(state_of(tmp_path / "out")["steps"]) == 1


def test_who_follows_hears_of_each_step(tmp_path: Path) -> None:
    heard: list[str] = []

    class Listener:
        def begin_step(self, step: Step) -> Observer:
            heard.append(f"begin {step.number}")
            return Silence()

        def end_step(self, step: dict[str, Any]) -> None:
            heard.append(f"end {step['number']} {step['verdict']}")

    find_capacity(options(), tmp_path / "out", observer=Listener(), run_step=FakeRuns(QUEUE), sleep=lambda s: None)
    assert heard[:4] == ["begin 1", "end 1 held", "begin 2", "end 2 held"]


# -- wrong from the start -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"slos": []}, r"--slo: expected what has to hold"),
        ({"slos": ["response.evnt.p99 < 1s"]}, r'--slo: .*did you mean "event"'),
        ({"search": {"step_s": 2.0}}, r"--step-time: expected at least 5 s"),
        ({"confidence": 0.5}, r"--confidence: expected more than 50 %"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_written(
    tmp_path: Path, changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(RunError, match=why):
        find(tmp_path / "out", FakeRuns(QUEUE), **changes)
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_in_it_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(RunError, match=r"--out .*: the folder is not empty \(--resume .* goes on with a search\)"):
        find(tmp_path, FakeRuns(QUEUE))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "No such file"),
        ("{", "is not JSON"),
        ("[]", "is not of a capacity search"),
        ('{"format": 1}', "cannot be read"),
    ],
)
def test_a_folder_without_a_search_cannot_be_resumed(tmp_path: Path, text: str | None, why: str) -> None:
    if text is not None:
        (tmp_path / "capacity.json").write_text(text)
    with pytest.raises(RunError, match=f"--resume .*capacity.json.*{why}"):
        resume_capacity(tmp_path, run_step=FakeRuns(QUEUE))


def test_records_that_do_not_belong_to_the_settings_are_refused(tmp_path: Path) -> None:
    find(tmp_path / "out", FakeRuns(QUEUE))
    state = state_of(tmp_path / "out")
    state["steps"][2]["rate_per_s"] = 333
    (tmp_path / "out" / "capacity.json").write_bytes(orjson.dumps(state))
    with pytest.raises(RunError, match="step 3 is not the one that the settings ask for"):
        resume_capacity(tmp_path / "out", run_step=FakeRuns(QUEUE))
