"""`smfleet compare` as it is typed, on the folders of real runs: what it prints, what it writes, its exit codes."""

from __future__ import annotations

from pathlib import Path
from shutil import copyfile

import orjson
import pytest

from tests.run.test_folder import smfleet

SLOW = "sandbox.faults=[{delay: 30ms}]"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small runs, the second one against a slower sandbox, and the summary of the first one as it would be committed."""
    folder = tmp_path_factory.mktemp("runs")
    for name, more in (("fast", ()), ("slow", ("--set", SLOW))):
        done = smfleet(folder, "run", "how-to", "--set", "load.sessions=60", "--quiet", "--out", name, *more)
        assert done.returncode in {0, 3}, done.stderr
    copyfile(folder / "fast" / "summary.json", folder / "baseline.json")
    return folder


def test_a_slower_chf_is_found_and_the_exit_code_says_so(runs: Path) -> None:
    done = smfleet(runs, "compare", "fast", "slow", "--json", "out.json")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "B is worse than A beyond the tolerance of 5 % and noise in" in " ".join(done.stdout.split())
    assert "sandbox.faults.0.delay" in done.stdout
    document = orjson.loads((runs / "out.json").read_bytes())
    assert (document["exit_code"], document["noise_known"]) == (1, "both")
    (p50,) = [each for each in document["figures"] if (each["group"], each["name"]) == ("service", "all p50")]
    assert p50["finding"] == "worse"
    assert p50["b"] >= 30_000 > p50["a"]


def test_a_faster_one_is_no_fault_nor_is_the_same_one(runs: Path) -> None:
    done = smfleet(runs, "compare", "slow", "fast", "--quiet")
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith(
        "smfleet: nothing is worse in B than in A beyond the tolerance of 5 % and noise; better in "
    )
    assert len(done.stdout.splitlines()) == 1
    assert smfleet(runs, "compare", "fast", "fast", "--tolerance", "0%").returncode == 0


def test_a_summary_that_was_kept_is_a_baseline(runs: Path) -> None:
    assert smfleet(runs, "compare", "baseline.json", "fast", "--quiet").returncode == 0
    done = smfleet(runs, "compare", "baseline.json", "slow")
    assert done.returncode == 1
    assert "A has no interval records" in " ".join(done.stdout.split())
    alone = smfleet(runs, "compare", "baseline.json", "slow/summary.json", "--tolerance", "10%")
    assert alone.returncode == 1
    assert "noise of latencies is unknown" in " ".join(alone.stdout.split())


def test_a_killed_run_is_compared_by_its_complete_intervals(runs: Path) -> None:
    killed = runs / "killed"
    killed.mkdir()
    for name in ("manifest.json", "intervals.ndjson"):
        copyfile(runs / "slow" / name, killed / name)
    done = smfleet(runs, "compare", "fast", "killed")
    assert done.returncode == 1
    assert "B: the run was killed" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nowhere", "fast"), "nowhere: No such file"),
        ((".", "fast"), "there are no records of a run here"),
        (("fast", "fast/manifest.json"), "fast/manifest.json: this is no summary of a run"),
        (("fast", "slow", "--tolerance", "much"), "--tolerance: expected a share such as 10% or 0.1"),
        (("fast", "slow", "--json", "no/such/place"), "--json no/such/place: No such file or directory"),
    ],
)
def test_what_cannot_be_compared_is_one_line_and_exit_code_2(runs: Path, arguments: tuple[str, ...], told: str) -> None:
    done = smfleet(runs, "compare", *arguments)
    assert done.returncode == 2, done.stdout
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
