"""`smfleet plan` as it is typed: what it prints, what it writes, and its errors."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from rich.console import Console

from simulator.cli.plan_page import render
from tests.cli.test_commands import Shell, smfleet_command

__all__ = ["smfleet_command"]


def test_a_plan_is_a_page_and_a_file(smfleet_command: Shell, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    done = smfleet_command("plan", "busy-hour", "--subscribers", "100M", "--sample", "500", "--json", str(file))
    assert (done.code, done.err) == (0, "")
    for said in (
        "100,000,000 subscribers",
        "pace 1x",
        "8,000,000 sessions",
        "too few",
        "machines of 16 cores",
        "(README, Speed)",
    ):
        assert said in done.out, done.out
    plan = orjson.loads(file.read_bytes())
    assert plan["subscribers"] == 100_000_000
    assert f"{plan['engines']['cores']} cores" in done.out
    assert set(plan["operations"]) == {"create", "update", "release", "event"}
    assert [row["from_s"] for row in plan["over_time"]] == [25.0 * place for place in range(12)]


def test_its_options_are_heeded(smfleet_command: Shell, tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text('{"generator": {"requests_per_cpu_s": 500}}')
    file = tmp_path / "plan.json"
    options = [
        "--rate",
        "36k/h",
        "--pace",
        "30x",
        "--latency",
        "50ms",
        "--sample",
        "100",
        "--seed",
        "9",
        "--utilisation",
        "0.5",
        "--cores-per-machine",
        "2",
    ]
    more = ["--measured", str(tmp_path), "--set", "load.duration=24h", "--json", str(file)]
    assert smfleet_command("plan", "demo", *options, *more).code == 0
    plan = orjson.loads(file.read_bytes())
    assert (plan["pace"], plan["latency_s"], plan["seed"]) == (30, 0.05, 9)
    assert plan["arrivals"]["intended_per_s"] == pytest.approx(10)
    engines = plan["engines"]
    assert (engines["requests_per_core"], engines["utilisation"], engines["cores_per_machine"]) == (500, 0.5, 2)
    assert len(plan["over_time"]) == 24, "hours of a day"


def test_a_load_that_changes_has_a_table_over_time(smfleet_command: Shell, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    smfleet_command("plan", "demo", "--sample", "50", "--json", str(file))
    plan = orjson.loads(file.read_bytes())
    console = Console(width=120, record=True, quiet=True)
    for flat, rows in ((True, 0), (False, 1)):
        with console.capture() as shown:
            console.quiet = False
            console.print(render(plan | {"flat": flat}))
        assert shown.get().count("0:00:28") == rows


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["how-to"], "pace is flat-out"),
        (["demo", "--subscribers", "many"], "--subscribers: expected a whole number such as 500, 100k or 1M"),
        (["demo", "--latency", "0s"], "--latency: expected a duration"),
        (["demo", "--rate", "0/s"], "--rate: expected a rate such as 200/s, 30/m or 1M/h, more than 0"),
        (["demo", "--rate", "x"], "--rate: expected a rate such as 200/s"),
        (["demo", "--measured", "nowhere"], "--measured nowhere/summary.json: No such file"),
        (["demo", "--measured", "x", "--requests-per-core", "1k"], "only one of them"),
        (["demo", "--sample", "20", "--json", "/nowhere/plan.json"], "--json /nowhere/plan.json: No such file"),
        (["dem"], "demo"),
    ],
)
def test_what_it_cannot_do_is_a_line(smfleet_command: Shell, options: list[str], said: str) -> None:
    done = smfleet_command("plan", *options, *([] if "--sample" in options else ["--sample", "20"]))
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1
