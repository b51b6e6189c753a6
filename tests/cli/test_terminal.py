"""The command as a process: what goes to which stream, and what Ctrl-C does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

SMFLEET = [sys.executable, "-c", "from simulator.cli import main; main()"]


SOUND = {0, 3}
"""Pass; on a busy machine the generator may rightly call itself the limit."""


def smfleet(*arguments: str) -> subprocess.CompletedProcess[str]:
    if arguments[:1] == ("run",) and "--out" not in arguments:
        arguments = (*arguments, "--no-records")
    done = subprocess.run([*SMFLEET, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stdout + done.stderr
    return done


def test_the_summary_goes_to_stdout_as_json_and_everything_else_to_stderr() -> None:
    done = smfleet("run", "how-to", "--set", "load.sessions=30", "--summary-json", "-")
    assert done.returncode in SOUND, done.stderr
    summary = orjson.loads(done.stdout)
    assert summary["exit_code"] == done.returncode
    assert summary["sessions"]["completed"] == 30
    assert f"Verdict: {summary['verdict']}" in done.stderr
    assert "every unit of 30 sessions was charged exactly once" in done.stderr


def test_without_a_terminal_there_are_plain_lines(tmp_path: Path) -> None:
    """No colours, no cursor movements, no page that is redrawn; a missed threshold is exit code 1."""
    file = tmp_path / "summary.json"
    done = smfleet(
        "run", "how-to", "--set", "load.sessions=30", "--set", "thresholds=[response.create.p99 < 1us]",
        "--summary-json", str(file),
    )  # fmt: skip
    assert done.returncode in {1, 3}
    assert "\x1b" not in done.stdout
    assert "\r" not in done.stdout
    assert "FAIL  response.create.p99 < 1us" in done.stdout
    assert done.stderr == ""
    assert orjson.loads(file.read_bytes())["exit_code"] == done.returncode


def test_quiet_is_one_line_at_the_end() -> None:
    done = smfleet("run", "how-to", "--set", "load.sessions=10", "--quiet")
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(("smfleet: pass how-to: ", "smfleet: invalid how-to: "))
    assert done.returncode in SOUND


def test_quiet_says_in_one_line_why_a_run_did_not_pass() -> None:
    done = smfleet(
        "run", "how-to", "--set", "load.sessions=10", "--set", "thresholds=[response.create.p99 < 1us]", "--quiet"
    )
    assert done.returncode in {1, 3}
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(("smfleet: fail how-to: ", "smfleet: invalid how-to: "))
    assert "threshold response.create.p99 < 1us: " in line


def test_a_profile_that_is_shown_can_be_used(tmp_path: Path) -> None:
    """Piped, no line is wrapped and nothing is coloured."""
    for name in ("demo", "busy-hour"):
        file = tmp_path / "mine.yaml"
        file.write_text(smfleet("profiles", "show", name).stdout)
        assert smfleet("profiles", "validate", str(file)).returncode == 0


# -- Ctrl-C -------------------------------------------------------------------------------------------------------------

LONG = (
    "run", "demo", "--set", "pace=1x", "--set", "load.start_open=200", "--set", "load.rate=20/s", "--duration", "60s",
)  # fmt: skip


@contextmanager
def in_a_terminal(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command as the leader of a process group of its own: Ctrl-C reaches all of them, as in a terminal."""
    command = [*SMFLEET, *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def wait_for(process: subprocess.Popen[str], words: str) -> str:
    """Read lines until one has these words. A process that ends without them fails the test."""
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if words in line:
            return seen
    pytest.fail(f"{words!r} was never said, but: {seen}")


def wait_for_load(folder: Path) -> None:
    """Until the first interval with requests is on disk."""
    deadline = time.monotonic() + 30
    intervals = folder / "intervals.ndjson"
    while not (intervals.exists() and b"requests|create" in intervals.read_bytes()):
        assert time.monotonic() < deadline, "no load"
        time.sleep(0.02)


def ctrl_c(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGINT)


def test_the_first_ctrl_c_releases_what_is_open(tmp_path: Path) -> None:
    out_folder = tmp_path / "out"
    with in_a_terminal(*LONG, "--set", "timeouts.drain=2s", "--out", str(out_folder)) as process:
        assert "\x1b" not in wait_for(process, "0 s"), "a line of a log, not a page"
        wait_for_load(out_folder)
        ctrl_c(process)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == ""
    assert "interrupted: releasing what is open; once more stops at once" in out
    assert "Verdict: interrupted" in out
    summary = orjson.loads((out_folder / "summary.json").read_bytes())
    assert summary["sessions"]["open_at_end"] == 0
    assert summary["sessions"]["failed"] == 0
    assert summary["sessions"]["completed"] == summary["sessions"]["started"] > 20
    assert summary["audit"]["balanced"] is True
    assert summary["duration_s"] < 15


def test_the_second_ctrl_c_stops_at_once_and_says_what_was_left_open(tmp_path: Path) -> None:
    out_folder = tmp_path / "out"
    with in_a_terminal(*LONG, "--set", "timeouts.drain=60s", "--out", str(out_folder)) as process:
        wait_for(process, "0 s")
        wait_for_load(out_folder)
        ctrl_c(process)
        wait_for(process, "interrupted")
        ctrl_c(process)
        out, err = process.communicate(timeout=15)
    assert process.returncode == 130
    assert err == ""
    summary = orjson.loads((out_folder / "summary.json").read_bytes())
    left = summary["sessions"]["failed_by_reason"]["open"]
    assert left > 0
    words = f"{left:,} sessions were left open at the CHF: stopped before they were released"
    assert words in summary["notes"]
    assert words in out
    assert summary["verdict"] == "interrupted"
    assert summary["audit"]["lost_units"] == dict.fromkeys(summary["audit"]["lost_units"], 0)


def test_ctrl_c_ends_a_sandbox() -> None:
    with in_a_terminal("sandbox", "--port", "0", "--management-port", "0") as process:
        said = wait_for(process, "Charge it")
        assert re.search(r"smfleet run --target http://127\.0\.0\.1:\d+ --ledger http://127\.0\.0\.1:\d+/ledger", said)
        ctrl_c(process)
        out, err = process.communicate(timeout=15)
    assert (out, err) == ("", "")
    assert process.returncode == 0


def test_a_run_that_nobody_reads_any_more_goes_on_and_tells_its_verdict_by_its_exit_code(tmp_path: Path) -> None:
    summary = tmp_path / "summary.json"
    command = [*SMFLEET, "run", "how-to", "--duration", "3s", "--no-records", "--summary-json", str(summary)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(5)
        process.stdout.close()
        assert process.wait(60) == orjson.loads(summary.read_bytes())["exit_code"]
        assert process.stderr.read() == b""
