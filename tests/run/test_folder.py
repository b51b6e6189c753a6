"""What a run leaves behind: where, when, and without secrets."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest

from simulator import run
from simulator.http2 import without_credentials
from simulator.run.events import MOST_EVENTS, RunEvents
from simulator.run.folder import Lines, RunFolder, run_folder
from simulator.run.manifest import build_manifest
from simulator.run.options import RunError, RunOptions, Silence
from simulator.run.secrets import command_without_secrets
from tests.report.examples import FACTS
from tests.run.rig import Follower, brief, conducted, sandbox_process

ROOT = Path(__file__).parents[2]
SECRET = "s3cr3t-Pa55phrase"
TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]")
"""A JSON Web Token; the library of the charts has the letters alone."""


def rows(file: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in file.read_bytes().splitlines()]


COMMAND = [sys.executable, "-c", "from simulator.cli import main; main()"]


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """The command, while it runs; killed at the end, if need be."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([*COMMAND, *arguments], cwd=folder, env=environment, start_new_session=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def smfleet(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it in a folder of his own."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_run_leaves_a_folder_named_by_time_and_profile_and_says_where(tmp_path: Path) -> None:
    done = smfleet(tmp_path, "run", "how-to", "--set", "load.sessions=10")
    assert done.returncode in {0, 3}, done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    assert re.fullmatch(r"\d{8}T\d{6}Z-how-to", folder.name)
    assert done.stdout.splitlines()[-1] == f"records: runs/{folder.name}"
    assert {"manifest.json", "intervals.ndjson", "records-0.ndjson", "summary.json"} <= {
        each.name for each in folder.iterdir()
    }
    manifest = orjson.loads((folder / "manifest.json").read_bytes())
    summary = orjson.loads((folder / "summary.json").read_bytes())
    assert manifest["format"] == 1
    assert manifest["command"][1:] == ["run", "how-to", "--set", "load.sessions=10"]
    assert manifest["profile"]["load"]["sessions"] == 10
    for name in ("seed", "version", "sandbox", "pace", "mode", "subscribers", "workers", "started_at", "planned_s"):
        assert manifest[name] == summary[name], name
    assert manifest["targets"] == [summary["target"]]
    assert set(manifest["machine"]) == {"platform", "python", "cpus", "memory_bytes", "native"}


def test_no_records_leaves_nothing(tmp_path: Path) -> None:
    done = smfleet(tmp_path, "run", "how-to", "--set", "load.sessions=10", "--no-records")
    assert done.returncode in {0, 3}, done.stderr
    assert list(tmp_path.iterdir()) == []
    assert "records:" not in done.stdout


def test_a_run_that_never_began_leaves_no_folder_of_its_own(tmp_path: Path) -> None:
    done = smfleet(tmp_path, "run", "how-to", "--target", "http://127.0.0.1:1")
    assert done.returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_two_runs_that_begin_in_one_second_have_folders_of_their_own(tmp_path: Path) -> None:
    options = RunOptions(profile=brief(), runs=tmp_path)
    folders = []
    for _ in range(3):
        with run_folder(options) as folder:
            folder.begun = True
        folders.append(folder.path)
    assert len(set(folders)) == 3
    assert all(each.is_dir() for each in folders)


def test_where_no_folder_can_be_made_the_ways_out_are_named(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with (
        pytest.raises(
            RunError, match="-test: Not a directory; --out names another folder, --no-records leaves nothing"
        ),
        run_folder(RunOptions(profile=brief(), runs=tmp_path / "runs")),
    ):
        pass


def test_from_python_nothing_is_left_unless_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("how-to", overrides=["load.sessions=5"]).folder is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.anyio
async def test_events_are_in_the_folder_as_in_the_summary_with_their_kinds(tmp_path: Path) -> None:
    faults = [{"operations": ["create"], "status": 503, "share": "100%", "until": "0.5s"}]
    profile = brief(sandbox={"faults": faults}, load={"rate": "100/s", "duration": "1500ms"})
    result = await conducted(profile, out=tmp_path / "out")
    told = rows(tmp_path / "out" / "events.ndjson")
    assert told == result.summary["events"] != []
    assert {each["kind"] for each in told} == {"chf"}
    assert all(0 <= each["at_s"] <= 5 for each in told)


# -- secrets ------------------------------------------------------------------------------------------------------------


def test_no_file_of_the_folder_holds_a_secret(tmp_path: Path) -> None:
    """In the command line, in a header of the profile, in the environment, in a file."""
    (tmp_path / "secret").write_text(SECRET)
    with sandbox_process(tokens={"lifetime": "1h"}) as chf:
        user = chf["management"].replace("http://", f"http://me:{SECRET}@")
        done = smfleet(
            tmp_path, "run", "how-to", "--set", "load.sessions=20", "--target", chf["n40"],
            "--set", "authentication.kind=oauth2", "--set", f"authentication.token_url={chf['n40']}/oauth2/token",
            "--set", "authentication.client_id=smf", "--set", "authentication.client_secret.env=SMFLEET_TEST_SECRET",
            "--set", f"headers.extra.x-api-key={SECRET}", "--ledger", f"{user}/ledger",
            "--out", "out", SMFLEET_TEST_SECRET=SECRET,
        )  # fmt: skip
    assert done.returncode in {0, 3}, done.stdout + done.stderr
    files = list((tmp_path / "out").iterdir())
    assert {"manifest.json", "records-0.ndjson", "ledger.ndjson"} <= {each.name for each in files}
    for file in files:
        content = file.read_text()
        assert SECRET not in content, file.name
        assert TOKEN.search(content) is None, file.name
    manifest = orjson.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert manifest["profile"]["headers"]["extra"] == {"x-api-key": "(removed)"}
    assert "authentication.client_secret.env=SMFLEET_TEST_SECRET" in manifest["command"]
    assert "headers.extra.x-api-key=(removed)" in manifest["command"]


def test_a_command_line_keeps_what_is_no_secret() -> None:
    typed = ["smfleet", "run", "--target", f"https://a:{SECRET}@chf:8443/v3?token={SECRET}&x=1", "--key", "smf.key"]
    assert command_without_secrets(typed) == [
        "smfleet", "run", "--target", "https://chf:8443/v3?token=(removed)&x=1", "--key", "smf.key",
    ]  # fmt: skip


@pytest.mark.parametrize("before", ["--set", "--set="])
@pytest.mark.parametrize("key", ["x-api-key", '"x-auth-token"', "cookie"])
def test_a_secret_inside_of_a_mapping_is_left_out_of_the_command_line(before: str, key: str) -> None:
    value = f"headers={{extra: {{x-lab: a, {key}: {SECRET}}}}}"
    typed = ["smfleet", "run", *(["--set", value] if before == "--set" else [before + value])]
    shown = command_without_secrets(typed)
    assert SECRET not in " ".join(shown)
    assert shown[-1].endswith("headers=(removed)")


def test_a_mapping_without_secrets_stays_in_the_command_line() -> None:
    typed = ["run", "--set", "load={stages: [{rate: 10/s, for: 3s}]}", "--set", "authentication.kind=none"]
    assert command_without_secrets(typed) == typed


def test_a_manifest_has_all_thresholds_and_no_secret_of_profile_targets_or_command() -> None:
    profile = brief(thresholds=["failed == 0"], headers={"extra": {"x-api-key": SECRET, "x-lab": "yes"}})
    options = RunOptions(
        profile=profile,
        thresholds=["success >= 99%"],
        command=["smfleet", "run", "--target", f"http://me:{SECRET}@chf:80/a"],
    )
    facts = replace(FACTS, targets=(f"http://me:{SECRET}@chf:80/a",), seed=9)
    manifest = build_manifest(options, facts, run_id="1", epoch=5, notes=["so"])
    assert SECRET not in orjson.dumps(manifest).decode()
    assert manifest["thresholds"] == ["failed == 0", "success >= 99%"]
    assert (manifest["targets"], manifest["seed"], manifest["epoch"]) == (["http://…@chf:80/a"], 9, 5)
    assert manifest["profile"]["headers"]["extra"]["x-lab"] == "yes"
    assert {"platform", "python", "cpus", "memory_bytes", "native"} == manifest["machine"].keys()


def test_where_a_secret_is_may_be_written_down_and_what_it_is_may_not() -> None:
    typed = [
        "--set=authentication.client_secret.env=NAME", "authentication.token.file=/run/token", f"--api-token={SECRET}",
        "--api-token", SECRET, f"--set=headers.extra.x-api-key={SECRET}", f"http://me:{SECRET}@chf/ledger",
    ]  # fmt: skip
    assert command_without_secrets(typed) == [
        "--set=authentication.client_secret.env=NAME", "authentication.token.file=/run/token", "--api-token=(removed)",
        "--api-token", "(removed)", "--set=headers.extra.x-api-key=(removed)", "http://chf/ledger",
    ]  # fmt: skip


def test_bodies_and_headers_are_shown_without_credentials() -> None:
    text = f'{{"access_token":"{SECRET}","detail":"Bearer {SECRET} of eyJhbGciOiJFUzI1NiJ9.e30.c2ln at {SECRET}", "cause":"NO"}}'
    shown = without_credentials(text, [SECRET])
    assert SECRET not in shown
    assert "eyJ" not in shown
    assert '"cause":"NO"' in shown


# -- disks --------------------------------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_grown_is_told_once_and_not_tried_again(tmp_path: Path) -> None:
    told: list[str] = []
    lines = Lines(tmp_path / "none" / "events.ndjson", told.append)
    for _ in range(3):
        lines.write({"at_s": 1})
    assert told == [f"events cannot be written to {tmp_path / 'none'}: No such file or directory"]


def test_a_line_of_which_a_part_was_written_is_the_last_one(tmp_path: Path) -> None:
    """A full disk takes what still fits."""

    class FullDisk:
        def write(self, line: bytes) -> int:
            return len(line) - 1

    told: list[str] = []
    lines = Lines(tmp_path / "events.ndjson", told.append)
    lines.write({"at_s": 1})
    lines.close()
    lines._file = FullDisk()  # type: ignore[assignment]
    for _ in range(3):
        lines.write({"at_s": 2})
    assert told == [f"events cannot be written to {tmp_path}: No space left on device"]
    assert (lines.lost, lines.count) == (True, 1)


def test_the_last_event_that_is_kept_says_that_it_is_the_last(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, kept=True)
    events = RunEvents(folder, Silence())
    for number in range(MOST_EVENTS + 10):
        events.tell("control", f"rate {number}%", at_s=number)
    folder.close()
    assert rows(tmp_path / "events.ndjson") == events.kept
    assert [event["text"] for event in events.kept[-2:]] == [
        "rate 998%",
        "1,000 events: what follows is not written down any more",
    ]


def test_a_folder_without_room_for_the_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / ".manifest.json").symlink_to("/dev/full")
    with pytest.raises(RunError, match=f"manifest.json cannot be written to {tmp_path}: No space left on device"):
        RunFolder(tmp_path, kept=True).write_manifest({})


@pytest.mark.anyio
async def test_a_report_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """By a full disk for example, which here is the device of that name. The run and its summary count all the same."""
    follower, out = Follower(), tmp_path / "out"

    async def fill() -> None:
        await follower.begun.wait()
        (out / "report.html").symlink_to("/dev/full")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fill)
        result = await conducted(brief(), out=out, observer=follower)
    assert result.unwritten == f"the reports cannot be written to {out}: No space left on device"
    assert (out / "summary.json").exists()
