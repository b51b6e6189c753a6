"""One run from start to finish, as a user of the package sees it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

import simulator
from simulator import run
from simulator.config import ConfigError, load_profile
from simulator.run.embedded import EmbeddedSandbox
from simulator.run.options import Result, RunError
from tests.run.rig import brief, completed, conducted, sandbox_process, sound, units

LATENCIES = ("p50", "p90", "p99", "p99_9", "max")


@pytest.fixture(scope="module")
def how_to(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """The shipped profile, once, with everything it leaves behind."""
    folder = tmp_path_factory.mktemp("run") / "out"
    return run("how-to", seed=5, out=folder, overrides=["load.sessions=90"]), folder


def test_every_unit_of_how_to_is_charged_exactly_once(how_to: tuple[Result, Path]) -> None:
    result, _ = how_to
    assert sound(result), result.why
    assert (result.verdict, result.exit_code) in {("pass", 0), ("invalid", 3)}
    assert result.summary["audit"]["balanced"] is True
    assert completed(result) == 90
    assert units(result, "used") == units(result, "debited") == units(result, "acknowledged") != {}
    for wrong in ("lost", "double_charged", "in_doubt"):
        assert units(result, wrong) == {}
    assert result.latency_us("update", "p99", "service") > 0


def test_a_latency_of_which_nothing_was_measured_is_an_error_with_words() -> None:
    latencies = {"service": {"p99": None}, "response": {"p99": 7.0}}
    result = Result(summary={"operations": {"event": {"latency_us": latencies}}})
    assert result.latency_us("event") == 7.0
    with pytest.raises(ValueError, match="no event was measured"):
        result.latency_us("event", "p99", "service")


def test_the_summary_has_every_promised_key(how_to: tuple[Result, Path]) -> None:
    summary = how_to[0].summary
    assert summary["profile"] == "how-to"
    assert summary["seed"] == 5
    assert summary["version"] == simulator.__version__
    assert summary["target"].startswith("http://127.0.0.1:")
    assert type(summary["duration_s"]) is float
    assert summary["verdict"] in {"pass", "invalid"}
    assert set(summary["operations"]) == {"create", "update", "release", "event"}
    for operation in summary["operations"].values():
        for count in ("requests", "ok", "denied", "failed", "retransmitted"):
            assert type(operation[count]) is int
        for kind in ("queue", "service", "response"):
            assert all(type(operation["latency_us"][kind][rank]) in (int, float) for rank in LATENCIES)
    whole = {
        "sessions": ("started", "completed", "failed", "open_max", "open_at_end"),
        "arrivals": ("intended", "started", "dropped"),
    }
    for part, names in whole.items():
        assert all(type(summary[part][name]) is int for name in names)
    assert all(type(summary["rate"][name]) is float for name in ("offered_per_s", "achieved_per_s"))
    assert all(type(count) is int for part in ("causes", "result_codes") for count in summary[part].values())
    assert summary["result_codes"]["SUCCESS"] > 90
    audit = summary["audit"]
    assert type(audit["balanced"]) is bool
    for name in ("used", "acknowledged", "debited", "lost", "double_charged", "in_doubt"):
        assert set(audit[f"{name}_units"]) == {"time", "totalVolume", "serviceSpecificUnits"}
        assert all(type(amount) is int for amount in audit[f"{name}_units"].values())
    generator = summary["generator"]
    assert all(type(generator[name]) in (int, float) for name in ("cpu_s", "requests_per_cpu_s", "loop_lag_us"))
    assert type(generator["limited"]) is bool
    orjson.dumps(summary)


def test_a_run_leaves_its_records_intervals_and_books(how_to: tuple[Result, Path]) -> None:
    result, folder = how_to
    names = {path.name for path in folder.iterdir()}
    assert {"summary.json", "junit.xml", "intervals.ndjson", "records-0.ndjson", "ledger.ndjson"} <= names
    assert not [name for name in names if name.endswith(".stderr")], "nobody complained"
    assert orjson.loads((folder / "summary.json").read_bytes()) == result.summary
    records = [orjson.loads(line) for line in (folder / "records-0.ndjson").read_bytes().splitlines()]
    ledger = [orjson.loads(line) for line in (folder / "ledger.ndjson").read_bytes().splitlines()]
    assert len(records) == len(ledger) == 90
    assert {record["ref"] for record in records} == {row["ref"] for row in ledger}
    intervals = [orjson.loads(line) for line in (folder / "intervals.ndjson").read_bytes().splitlines()]
    assert [interval["number"] for interval in intervals] == list(range(1, len(intervals) + 1))
    requests = sum(
        count for interval in intervals for name, count in interval["counters"].items() if name.startswith("requests|")
    )
    assert requests == result.summary["all"]["requests"]


def test_the_pytest_fixture_runs_a_fleet_of_two_workers(smfleet: Callable[..., Result], tmp_path: Path) -> None:
    """What the README promises a team that tests its own CHF; here against the sandbox."""
    result = smfleet("how-to", workers=2, out=tmp_path / "out", overrides=["load.sessions=60", "load.devices=20"])
    assert sound(result), result.why
    assert completed(result) == 60
    assert result.summary["workers"] == 2
    assert result.summary["audit"]["balanced"]
    shares = [(tmp_path / "out" / f"records-{worker}.ndjson").read_bytes().count(b"\n") for worker in range(2)]
    assert sum(shares) == 60
    assert min(shares) > 10


@pytest.mark.anyio
async def test_a_foreign_charging_function_with_and_without_its_books() -> None:
    """Without them nothing is called balanced; with them, what was in them before the run does not count."""
    with sandbox_process() as addresses:
        blind = await conducted(brief(), targets=[addresses["n40"]])
        seeing = await conducted(
            brief(), targets=[addresses["n40"]], ledger=f"{addresses['management']}/ledger", seed=1
        )
    assert blind.summary["target"] == addresses["n40"]
    assert sound(blind), blind.why
    assert blind.summary["audit"]["balanced"] is None
    assert "books of this CHF were not read" in blind.summary["audit"]["reason"]
    assert units(blind, "unverified") == units(blind, "acknowledged") == units(blind, "used") != {}
    assert seeing.summary["audit"]["balanced"] is True
    assert units(seeing, "used") == units(seeing, "charged") == units(blind, "used"), "one seed, one traffic"


@pytest.mark.anyio
async def test_a_threshold_that_is_missed_fails_the_run() -> None:
    with sandbox_process() as addresses:
        result = await conducted(brief(thresholds=["response.create.p99 < 1us"]), targets=[addresses["n40"]])
    assert (result.verdict, result.exit_code) in {("fail", 1), ("invalid", 3)}
    assert any("response.create.p99 < 1us" in why for why in result.why)


# -- what is wrong before anything starts -------------------------------------------------------------------------------


def test_a_folder_with_something_in_it_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("records of yesterday")
    with pytest.raises(RunError, match=r"--out .*the folder is not empty"):
        run("how-to", out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"--out .*Not a directory"):
        run("how-to", out=tmp_path / "file" / "out")


@pytest.mark.parametrize(
    "ledger", ["http://127.0.0.1:1/ledger", "nonsense", "http://chf.invalid/ledger", "ftp://127.0.0.1/"]
)
def test_books_that_cannot_be_read_are_named_before_the_load(ledger: str) -> None:
    with pytest.raises(RunError, match=r"--ledger .*cannot be read") as caught:
        run("how-to", target="http://127.0.0.1:1", ledger=ledger)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"profile": "how-too"}, "how-to"),
        ({"profile": "how-to", "overrides": ["load.devises=3"]}, "devices"),
        ({"profile": "how-to", "duration": "soon"}, "duration"),
        ({"profile": "how-to", "overrides": ["pace=warp"]}, "pace"),
    ],
)
def test_a_wrong_profile_is_refused_before_anything_starts(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        run(**arguments)


@pytest.mark.anyio
async def test_the_portable_codec_charges_as_exactly() -> None:
    result = await conducted(brief(), codec="h2")
    assert sound(result), result.why
    assert result.summary["audit"]["balanced"] is True
    assert completed(result) == 40


@pytest.mark.parametrize("pace", ["60x", "flat-out"])
def test_the_profile_reaches_the_embedded_sandbox(tmp_path: Path, pace: str) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("balances: {voice: 7h}\nrating_groups:\n  100: {unit: time, counter: voice, grant: 42s}\n")
    profile = brief(sandbox={"plan": str(plan), "balances": {"voice": "3h"}}, pace=pace)
    settings = EmbeddedSandbox(profile, tmp_path)._settings
    assert settings["pace"] == (60.0 if pace == "60x" else "flat-out")
    assert settings["plan"]["balances"] == {"voice": 3 * 3600}
    assert settings["plan"]["rating_groups"]["100"]["grant"] == 42


@pytest.mark.anyio
async def test_one_seed_gives_one_traffic_at_any_number_of_workers(tmp_path: Path) -> None:
    """Real processes, flat-out, where no session waits for an answer in its own time."""
    books = []
    for workers in (1, 2):
        out = tmp_path / str(workers)
        await conducted(load_profile("how-to", ["load.sessions=120"]), workers=workers, seed=7, out=out)
        lines = [orjson.loads(line) for file in out.glob("records-*") for line in file.read_bytes().splitlines()]
        books.append(sorted((each["key"], each["usage"], each["rg"], each["used"]) for each in lines))
    assert len(books[0]) >= 120
    assert books[0] == books[1]
