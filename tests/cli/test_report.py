"""`smfleet report` as a user has it: on a run that ended, one that was killed with -9, and on what is no run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from simulator.cli.app import app
from tests.report.folders import run_folder

COMMAND = [sys.executable, "-c", "from simulator.cli import main; main()"]


def test_a_run_that_ended_is_reported_with_its_own_verdict(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    result = CliRunner().invoke(app, ["report", str(folder)])
    assert result.exit_code == 0
    assert "Verdict: pass" in result.output
    assert "report.html, intervals.csv, latency.hlog, junit.xml" in result.output
    line = CliRunner().invoke(app, ["report", "--quiet", str(folder)])
    assert line.output.startswith("smfleet: pass demo: ")
    assert len(line.output.splitlines()) == 1


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda folder: (folder / "intervals.ndjson").unlink(), "there are no records of a run here"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json: not JSON"),
        (lambda folder: (folder / "events.ndjson").write_text("{}\n"), "events.ndjson, line 1: at_s: expected"),
        (lambda folder: (folder / "report.html").mkdir(), "report.html: Is a directory"),
    ],
)  # fmt: skip
def test_what_is_no_run_is_one_line_and_exit_code_2(tmp_path: Path, spoil: object, expected: str) -> None:
    folder = run_folder(tmp_path)
    assert callable(spoil)
    spoil(folder)
    done = subprocess.run([*COMMAND, "report", str(folder)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert expected in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_run_that_was_killed_in_the_middle_reports_its_complete_intervals(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run = subprocess.Popen(
        [*COMMAND, "run", "demo", "--quiet", "--set", "load.rate=60/s", "--set", "load.start_open=50", "--out", str(folder)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while intervals(folder) < 6 and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait(10)
    assert not (folder / "summary.json").exists()
    with (folder / "intervals.ndjson").open("ab") as out:
        out.write(b'{"worker":0,"number":')  # as a machine that loses its power may leave it
    whole = [orjson.loads(line) for line in (folder / "intervals.ndjson").read_bytes().splitlines()[:-1]]
    requests = sum(n for row in whole for name, n in row["counters"].items() if name.startswith("requests|"))

    done = subprocess.run(
        [*COMMAND, "report", "-q", str(folder)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout.startswith("smfleet: could not run demo: ")
    assert "the run was killed: this covers its complete intervals" in done.stdout
    summary = orjson.loads((folder / "summary.json").read_bytes())
    assert summary["all"]["requests"] == requests > 0
    assert summary["duration_s"] == pytest.approx(whole[-1]["end_s"])
    assert summary["sandbox"] is True
    assert summary["pace"] == "60x"
    assert summary["audit"]["balanced"] is None
    assert "the run was killed before it had read the CHF's books" in summary["audit"]["reason"]
    for name in ("report.html", "intervals.csv", "latency.hlog", "junit.xml"):
        assert (folder / name).stat().st_size > 500, name


def intervals(folder: Path) -> int:
    file = folder / "intervals.ndjson"
    return file.read_bytes().count(b"\n") if file.exists() else 0
