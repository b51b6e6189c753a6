"""`smfleet capacity` as it is typed; its runs are queues in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from simulator.cli import searching
from simulator.run.capacity import find_capacity, resume_capacity
from tests.cli.test_commands import Shell, Typed, smfleet_command
from tests.run.capacity.fakes import FINE, FakeRuns
from tests.run.capacity.queueing import Queue

__all__ = ["smfleet_command"]

SLO = "response.event.p90 < 40ms"
PROFILE = """
subscribers: {count: 100k}
network_functions: {smsf: {kind: SMSF}}
usages: {message: {service: sms, rating_groups: [{rating_group: 200}]}}
mix: {message: 1}
load: {rate: 800/s, duration: 10s}
"""


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> FakeRuns:
    fake = FakeRuns(Queue(10, 0.02, exponential=False))
    for name, function in (("find_capacity", find_capacity), ("resume_capacity", resume_capacity)):
        monkeypatch.setattr(searching, name, partial(function, run_step=fake, sleep=lambda seconds: None))
    return fake


@pytest.fixture
def capacity(smfleet_command: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Typed]:
    (tmp_path / "events.yaml").write_text(PROFILE)
    monkeypatch.chdir(tmp_path)
    return partial(smfleet_command, "capacity")


def test_the_answer_the_curve_and_the_folder_are_shown(
    capacity: Callable[..., Typed], runs: FakeRuns, tmp_path: Path
) -> None:
    typed = capacity("events.yaml", "--slo", SLO, "--step-time", "10s", "--resolution", "10%", "--out", "found")
    assert (typed.code, typed.err) == (0, "")
    assert "step 1: trying 100/s for 10.0 s\nstep 1: 100/s held" in typed.out
    assert "trying 200/s for 10.0 s after 5.0 s of rest" in typed.out
    assert f"/s at {SLO} (95 % confidence); " in typed.out
    assert "confirmed" in typed.out
    assert typed.out.rstrip().endswith("curve and records: found")
    assert runs.rates[:4] == [100, 200, 400, 800], "from an eighth of the profile's rate"
    state = orjson.loads((tmp_path / "found" / "capacity.json").read_bytes())
    assert state["settings"]["confirm_s"] == 30


def test_options_become_settings(capacity: Callable[..., Typed], runs: FakeRuns, tmp_path: Path) -> None:
    typed = capacity(
        "events.yaml", "--slo", SLO, "--slo", "success >= 99%", "--from", "6k/m", "--to", "150/s", "--step-time", "5s",
        "--confirm-time", "8s", "--cool-down", "1s", "--confidence", "90%", "--looks", "2", "--warmup", "2s", "--seed", "5",
        "--workers", "2", "--target", "http://127.0.0.1:1", "--set", "load.spacing=constant", "--out", "found", "-q",
    )  # fmt: skip
    assert typed.out.strip() == (
        f"holds 150/s at {SLO} and success >= 99% (90 % confidence), the highest rate that was asked for"
    )
    assert runs.made == [(100, 6, "step-01-100"), (150, 7, "step-02-150"), (150, 8, "step-03-150")]
    state = orjson.loads((tmp_path / "found" / "capacity.json").read_bytes())
    assert state["profile"]["load"]["spacing"] == "constant"
    assert state["options"] | {"target": ["http://127.0.0.1:1"], "workers": 2} == state["options"]
    assert (state["settings"]["cool_down_s"], state["settings"]["most_looks"], state["warmup_s"]) == (1, 2, 2)


def test_the_folder_is_named_after_time_and_profile(
    capacity: Callable[..., Typed], runs: FakeRuns, tmp_path: Path
) -> None:
    assert capacity("events.yaml", "--slo", SLO, "--to", "100/s", "-q").code == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.endswith("Z-capacity-events")


def test_what_was_interrupted_goes_on(capacity: Callable[..., Typed], runs: FakeRuns) -> None:
    def interrupt(number: int, profile: Any, folder: Path) -> dict[str, Any] | None:
        return {**FINE, "verdict": "interrupted"} if number == 3 else None

    runs.before = interrupt
    typed = capacity("events.yaml", "--slo", SLO, "--step-time", "10s", "--resolution", "10%", "--out", "found")
    assert typed.code == 130
    assert "interrupted after 2 steps; smfleet capacity --resume found goes on" in typed.out
    typed = capacity("--resume", "found")
    assert typed.code == 0
    assert "step 3: trying 400/s" in typed.out
    assert runs.rates[:5] == [100, 200, 400, 400, 800]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "PROFILE: expected a profile, or --resume DIR"),
        (["events.yaml"], "--slo: expected what has to hold, such as response.event.p99 < 100ms"),
        (["events.yaml", "--slo", "p99 < 1s"], '--slo: threshold "p99 < 1s", column 1: unknown name "p99"'),
        (
            ["events.yaml", "--slo", SLO, "--from", "fast"],
            '--from: expected a rate such as 200/s, 30/m or 1M/h, got "fast"',
        ),
        (
            ["events.yaml", "--slo", SLO, "--from", "9/s", "--to", "8/s"],
            "--to: expected at least 9/s, the first rate, got 8/s",
        ),
        (["events.yaml", "--slo", SLO, "--resolution", "0%"], "--resolution: expected 0.1% to 100%, got 0%"),
        (["events.yaml", "--slo", SLO, "--step-time", "1s"], "--step-time: expected at least 5 s"),
        (["events.yaml", "--slo", SLO, "--confidence", "50%"], "--confidence: expected more than 50 %"),
        (["events.yaml", "--slo", SLO, "--most-time", "0s"], "--most-time: expected a duration"),
        (["--resume", "nowhere"], "--resume nowhere: capacity.json: No such file or directory"),
        (["--resume", "nowhere", "--slo", SLO], "--resume goes on as the search was asked for; it does not take --slo"),
    ],
)
def test_what_is_wrong_is_one_line_and_code_2(
    capacity: Callable[..., Typed], runs: FakeRuns, arguments: list[str], why: str
) -> None:
    typed = capacity(*arguments)
    assert typed.code == 2
    assert why in typed.err
    assert typed.err.count("\n") == 1
    assert runs.made == []
