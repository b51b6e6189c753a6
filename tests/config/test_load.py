"""Loads as they are written: stages, streams, files to replay; and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import jsonschema_rs
import pytest

from simulator.config import ConfigError, Profile, load_profile, profile_json_schema
from simulator.config.document import read

GOOD = """\
network_functions: {smf: {kind: SMF}}
usages:
  call: {service: voice, length: 1m, rating_groups: [{rating_group: 100}]}
  talk: {service: voice, length: 2m, rating_groups: [{rating_group: 100}]}
mix: {call: 1, talk: 1}
load:
"""
STAGES = """\
  stages:
    - {rate: 450/s, for: 30s, name: morning}
    - {ramp_to: 900/s, for: 1m}
    - {steps_to: 300/s, by: 200/s, each: 10s, from: 700/s}
    - {spike: 2k/s, for: 5s}
    - {pause: 10s}
    - {burst: 3000, for: 2s}
    - {daily: [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24], starts_at: "06:00", day_takes: 10m}
    - {replay: times.csv}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "times.csv").write_text("seconds,who\n0,a\n0.5,b\n1.25,c\n")
    return tmp_path


def load(here: Path, text: str, *overrides: str) -> Profile:
    (here / "x.yaml").write_text(GOOD + text)
    return load_profile("x.yaml", overrides)


def wrong(here: Path, text: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(here, text, *overrides)
    return str(caught.value)


def test_stages_follow_one_another(here: Path) -> None:
    loaded = load(here, STAGES).load
    assert loaded.planned_s == 30 + 60 + 20 + 5 + 10 + 2 + 600 + 2
    assert [stage.name for stage in loaded.timeline] == [
        "morning", "ramp to 900/s", "steps to 300/s", "spike of 2000/s", "pause", "burst of 3,000", "day",
        "replay of times.csv",
    ]  # fmt: skip
    assert loaded.most_per_s == 2000
    ramp = loaded.timeline[1].lanes[0][0]
    assert (ramp.first, ramp.last) == (450.0, 900.0)
    assert [piece.first for piece in loaded.timeline[2].lanes[0]] == [500.0, 300.0]
    assert loaded.timeline[-1].lanes[1][0].times == (0.0, 0.5, 1.25)


def test_what_an_engine_gets_holds_everything_and_needs_no_file(here: Path) -> None:
    profile = load(here, STAGES)
    (here / "times.csv").unlink()
    again = Profile.model_validate_json(profile.model_dump_json())
    assert again == profile
    assert again.load.timeline == profile.load.timeline


def test_a_rate_is_one_constant_stage(here: Path) -> None:
    (stage,) = load(here, "  rate: 5/s\n").load.timeline
    assert (stage.name, stage.seconds, stage.lanes[0][0].first) == ("5/s", 30.0, 5.0)


def test_a_duration_cuts_stages_short(here: Path) -> None:
    loaded = load(here, STAGES, "load.duration=45s").load
    assert [stage.seconds for stage in loaded.timeline] == [30.0, 15.0]
    assert loaded.planned_s == 45.0
    assert loaded.timeline[1].lanes[0][0].last == 562.5


def test_the_duration_of_a_profile_can_be_taken_back(here: Path) -> None:
    text = "  rate: 5/s\n  duration: 40s\n"
    overrides = ("load.rate=null", "load.duration=null", "load.stages=[{rate: 5/s, for: 7s}]")
    assert load(here, text, *overrides).load.planned_s == 7.0
    assert load(here, text, "load.duration=null").load.planned_s == 30.0


def test_numbers_of_devices_have_stages_too(here: Path) -> None:
    stages = "  stages: [{devices: 1k, for: 30s}, {ramp_to: 2k, for: 1m}, {pause: 1s}]\n"
    loaded = load(here, "  mode: closed\n  equilibrium: true\n" + stages).load
    assert loaded.most_devices == 2000
    assert [stage.name for stage in loaded.timeline] == ["1,000 devices", "ramp to 2,000 devices", "pause"]
    again = Profile.model_validate_json(load(here, "  mode: closed\n" + stages).model_dump_json()).load
    assert again.most_devices == 2000


def test_a_file_named_on_the_command_line_is_where_the_command_runs(here: Path) -> None:
    (here / "sub").mkdir()
    (here / "sub" / "x.yaml").write_text(GOOD + "  rate: 1/s\n")
    profile = load_profile("sub/x.yaml", ["load.rate=null", "load.stages=[{replay: times.csv}]"])
    assert profile.load.stages is not None
    (here / "sub" / "y.yaml").write_text(GOOD + "  stages: [{replay: here.csv}]\n")
    (here / "sub" / "here.csv").write_text("1\n2\n")
    assert load_profile("sub/y.yaml").load.planned_s == 3.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("  stages: []\n", "x.yaml:7: load.stages: expected at least one entry, got none"),
        (
            "  stages:\n    - {for: 5s}\n",
            "x.yaml:8: load.stages.0: expected a stage with one of rate, ramp_to, steps_to, spike, pause, burst, daily,",
        ),
        ("  stages:\n    - {rate: 5/s}\n", "x.yaml:8: load.stages.0.for: is missing"),
        (
            "  stages:\n    - {rate: 5/s, for: 1s}\n    - {ramp_to: fast, for: 1s}\n",
            'x.yaml:9: load.stages.1.ramp_to: expected a rate such as 200/s, 30/m or 1M/h, got "fast"',
        ),
        (
            "  stages:\n    - {rate: 5/s, fore: 1s}\n",
            'x.yaml:8: load.stages.0.fore: unknown key "fore", did you mean "for"?',
        ),
        (
            "  stages:\n    - {daily: [1, 2], starts_at: 6am}\n",
            "x.yaml:8: load.stages.0.daily: expected the rates of 24 hours, got 2",
        ),
        (
            "  stages:\n    - {steps_to: 9k/s, by: 1/s, each: 1s}\n",
            "x.yaml:8: load.stages.0: has more than 1,000 steps",
        ),
        ("  stages:\n    - {ramp_to: 5, for: 1s, of: devices}\n", 'x.yaml:8: load.stages.0.of: unknown key "of"'),
        ("  rate: 5/s\n  stages: [{rate: 5/s, for: 1s}]\n", "x.yaml:7: load.rate: does not go with stages: give one of them"),
        (
            "  mode: closed\n  stages: [{rate: 5/s, for: 1s}]\n",
            "x.yaml:8: load.stages.0: expected a stage with one of devices, ramp_to, pause (the mode is closed)",
        ),
        (
            "  mode: closed\n  devices: 5\n  stages: [{devices: 5, for: 1s}]\n",
            "x.yaml:8: load.devices: does not go with stages: give one of them",
        ),
        ("  rate: 5/s\n  equilibrium: true\n", "x.yaml:8: load.equilibrium: belongs to the closed mode, and mode is open"),
        (
            "  mode: closed\n  stages: [{devices: 1M, for: 1s}]\n",
            "x.yaml:8: load.stages: more than max_in_flight, 50000",
        ),
        (
            "  mode: closed\n  max_in_flight: 1M\n  stages: [{devices: 200k, for: 1s}]\n",
            "x.yaml:9: load.stages: more than the 100,000 subscribers",
        ),
        ("  stages: [{pause: 5s}]\n", "x.yaml:7: load.stages: expected a rate of more than 0"),
        ("  stages: [{rate: 5/s, for: 5s}]\n  duration: 6s\n", "x.yaml:8: load.duration: expected at most the 5 s of the stages"),
        (
            "  rate: 5/s\n  warmup: 20s\n  cooldown: 10s\n",
            "x.yaml:9: load.cooldown: expected less than the duration of 30 s without the warmup",
        ),
        ("  streams: [{rate: 5/s}]\n", "x.yaml:7: load.streams.0: expected either a usage or a mix"),
        ("  streams: [{usage: call}]\n", "x.yaml:7: load.streams.0: expected either a rate or stages"),
        ("  streams: [{usage: cal, rate: 5/s}]\n", 'x.yaml:7: load.streams.0.usage: no usage "cal", did you mean "call"?'),
        (
            "  streams: [{mix: {tell: 1}, rate: 5/s}]\n",
            'x.yaml:7: load.streams.0.mix.tell: no usage "tell"',
        ),
        ("  streams: [{usage: call, stages: [{devices: 5, for: 1s}]}]\n", "x.yaml:7: load.streams.0.stages.0: expected a"),
        ("  rate: 1/s\n  streams: [{usage: call, rate: 5/s}]\n", "x.yaml:7: load.rate: does not go with streams"),
        ("  mode: closed\n  streams: [{usage: call, rate: 5/s}]\n", "x.yaml:8: load.streams: belongs to the open mode"),
        ("  stages: [{replay: no.csv}]\n", "x.yaml:7: load.stages.0.replay: no file no.csv"),
        ("  rate: 11M/s\n", "x.yaml:7: load.rate: expected at most 10,000,000 a second, got 11,000,000"),
        ("  stages: [{burst: 99999999999, for: 1s}]\n", "x.yaml:7: load.stages: expected at most 10,000,000 a second"),
        ("  stages: [{replay: [2, 1]}]\n", "x.yaml:7: load.stages.0.replay.1: expected no moment before 2 s, got 1 s"),
        ("  mode: closed\n  devices: 5\n  equilibrium: true\npace: flat-out\n", "x.yaml:10: pace: flat-out has no equilibrium"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(here: Path, text: str, message: str) -> None:
    assert wrong(here, text).startswith(message)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("0\n1\nnoon\n", 'times.csv:3: expected seconds such as 12.5 in the first column, got "noon"'),
        ("0\n-1\n", 'times.csv:2: expected seconds such as 12.5 in the first column, got "-1"'),
        ("0\n2\n1\n", "times.csv:3: expected moments in ascending order, got 1 after 2"),
        ("time\n", "times.csv: expected at least one moment"),
        ("1\n" * 500_001, "times.csv:500001: expected at most 500,000 moments"),
    ],
    ids=["words", "negative", "order", "none", "many"],
)
def test_a_file_to_replay_is_checked_line_by_line(here: Path, rows: str, message: str) -> None:
    (here / "times.csv").write_text(rows)
    assert wrong(here, "  stages: [{replay: times.csv}]\n") == message


def test_all_kinds_of_stages_fit_the_json_schema_as_they_are_written() -> None:
    schema = jsonschema_rs.validator_for(profile_json_schema())
    streams = "  streams: [{usage: call, stages: [{burst: 5, for: 1s}], spacing: constant}]\n"
    devices = "  mode: closed\n  stages: [{devices: 1k, for: 30s}, {ramp_to: 2k, for: 1m}]\n"
    for text in (STAGES, streams, devices):
        assert [str(error) for error in schema.iter_errors(read(GOOD + text, "x.yaml").value)] == []
    for text in ("  stages: [{rate: fast, for: 1s}]\n", "  stages: [{rates: 5/s, for: 1s}]\n"):
        assert list(schema.iter_errors(read(GOOD + text, "x.yaml").value)) != []
