"""Sessions that a killed run left open at the CHF are released from its folder alone, once, by valid messages."""

from __future__ import annotations

import gzip
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil  # type: ignore[import-untyped]
import pytest

from simulator.measure import Snapshot
from simulator.run.folder import run_folder
from simulator.run.options import RunError, RunOptions
from simulator.run.orphans import PastRun
from simulator.run.releasing import LAST_SEQUENCE, ReleaseOptions, release_orphans
from tests.run.rig import brief, charging, conducted, peer, sandbox_core, sandbox_process, steady, url
from tests.run.test_folder import rows, smfleet, started

pytestmark = pytest.mark.anyio

LONG = """
name: long
subscribers: {count: 1000}
network_functions: {smf: {kind: SMF, count: 2}}
usages:
  browsing:
    service: data
    length: 1h
    sessions: 2
    rating_groups: [{rating_group: 300, requested: 1MB, throughput: 24Mbps}]
  call:
    service: voice
    length: 1h
    rating_groups: [{rating_group: 100, requested: 60s}]
mix: {browsing: 1, call: 1}
load: {mode: closed, devices: 120, duration: 60s}
"""
"""A hundred and twenty sessions that are open for as long as anybody looks."""


def open_at(chf: dict[str, Any]) -> int:
    return int(httpx.get(f"{chf['management']}/sessions", trust_env=False).json()["open"])


@contextmanager
def killed_run(folder: Path, chf: dict[str, Any], *, engines_too: bool, sessions: int = 120) -> Iterator[Path]:
    """A run that is killed with -9 while so many sessions are open; yields the folder that it left."""
    profile = folder / "long.yaml"
    profile.write_text(LONG)
    out = folder / "out"
    arguments = ["run", str(profile), "--workers", "2", "--target", chf["n40"], "--out", str(out), "--quiet"]
    with started(folder, *arguments) as driver:
        deadline = time.monotonic() + 20
        while open_at(chf) < sessions:
            assert time.monotonic() < deadline, open_at(chf)
            time.sleep(0.05)
        time.sleep(0.7)  # an interval
        engines = psutil.Process(driver.pid).children()
        for process in [driver, *engines] if engines_too else [driver]:
            os.kill(process.pid, signal.SIGKILL)
        driver.wait(10)
        psutil.wait_procs(engines, 10)
        yield out


def everything_of(folder: Path) -> list[Snapshot]:
    found = []
    for row in rows(folder / "intervals.ndjson"):
        row.pop("worker")
        found.append(Snapshot.from_wire(row))
    return found


@pytest.mark.parametrize("engines_too", [True, False], ids=["all killed", "driver killed"])
def test_a_killed_run_leaves_its_intervals_and_its_sessions_are_released(tmp_path: Path, *, engines_too: bool) -> None:
    with sandbox_process() as chf, killed_run(tmp_path, chf, engines_too=engines_too) as out:
        assert open_at(chf) == 120
        assert sum(each.count("requests", "create") for each in everything_of(out)) == 120
        assert not (out / "summary.json").exists()
        first = smfleet(tmp_path, "release-orphans", str(out), "--rate", "1000/s")
        assert (first.returncode, first.stderr) == (0, "")
        assert first.stdout.startswith("120 released (without usage")
        assert open_at(chf) == 0
        again = smfleet(tmp_path, "release-orphans", str(out))
        assert again.returncode == 0
        assert again.stdout.startswith("0 released")
        assert len(rows(out / "released.ndjson")) == 120


async def test_what_is_left_open_out_of_drain_time_is_released_by_valid_messages(tmp_path: Path) -> None:
    """To the CHF at the address that its Location named, by the network function that opened it, above all its numbers."""
    core = sandbox_core()
    handle = charging(core)
    seen: list[tuple[str, dict[str, Any]]] = []
    releases_work = False

    def watch(request: Any) -> None:
        path = request.path.decode()
        if path.endswith("/release") and not releases_work:
            return None  # and no answer
        seen.append((path, orjson.loads(request.body)))
        return handle(request)

    out = tmp_path / "out"
    async with peer(watch) as server:
        profile = steady(load={"rate": "20/s", "start_open": 40, "duration": "1s"}, timeouts={"drain": "1s"})
        result = await conducted(profile, targets=[url(server)], out=out)
        assert f"smfleet release-orphans {out} releases them" in result.summary["notes"]
        releases_work = True
        opened = {}
        for _, body in seen:
            key = (body["subscriberIdentifier"], body["pDUSessionChargingInformation"]["chargingId"])
            opened.setdefault(key, body)
        seen.clear()
        done = await release_orphans(ReleaseOptions(folder=out, targets=[url(server)]), lambda text: None)
    assert done.failed == done.unknown == 0
    assert done.released == len(seen) == len(opened) > 0
    assert len(core.sessions) == 0
    for _, body in seen:
        information = body["pDUSessionChargingInformation"]
        create = opened[body["subscriberIdentifier"], information["chargingId"]]
        assert body["nfConsumerIdentification"] == create["nfConsumerIdentification"]
        assert (
            information["pduSessionInformation"]["pduSessionID"]
            == create["pDUSessionChargingInformation"]["pduSessionInformation"]["pduSessionID"]
        )
        assert body["invocationSequenceNumber"] == LAST_SEQUENCE > 1_000_000
        assert "multipleUnitUsage" not in body
        assert body["triggers"][0]["triggerType"] == "ABNORMAL_RELEASE"


async def test_a_release_that_fails_is_tried_again_by_the_next_call(tmp_path: Path) -> None:
    handle = charging(sandbox_core())
    broken = True

    def watch(request: Any) -> None:
        if request.path.endswith(b"/release") and broken:
            request.respond(503, [], b"")
        else:
            handle(request)

    out = tmp_path / "out"
    async with peer(watch) as server:
        profile = steady(load={"rate": "20/s", "start_open": 10, "duration": "1s"}, timeouts={"drain": "1s"})
        await conducted(profile, targets=[url(server)], out=out)
        options = ReleaseOptions(folder=out, targets=[url(server)], rate=1000)
        first = await release_orphans(options, lambda text: None)
        broken = False
        second = await release_orphans(options, lambda text: None)
        third = await release_orphans(options, lambda text: None)
    assert (first.released, first.first_problem) == (0, "HTTP_503")
    assert first.failed == second.released > 0
    assert (third.released, third.unknown, third.failed) == (0, 0, 0)


async def test_a_release_without_an_answer_may_have_been_made_and_is_not_repeated(tmp_path: Path) -> None:
    handle = charging(sandbox_core())
    releases: list[bytes] = []

    def watch(request: Any) -> None:
        if request.path.endswith(b"/release"):
            releases.append(request.path)
        else:
            handle(request)

    out = tmp_path / "out"
    async with peer(watch) as server:
        profile = steady(
            load={"rate": "20/s", "start_open": 10, "duration": "500ms"},
            timeouts={"request": "300ms", "drain": "500ms"},
        )
        await conducted(profile, targets=[url(server)], out=out)
        releases.clear()
        done = await release_orphans(ReleaseOptions(folder=out, targets=[url(server)], rate=1000), lambda text: None)
    assert done.failed == len(releases) == len(set(releases)) > 0
    assert done.first_problem.startswith("TIMEOUT")


async def test_each_release_goes_to_the_chf_that_has_the_session_and_no_faster_than_was_said(tmp_path: Path) -> None:
    at: dict[str, list[str]] = {"first": [], "second": []}
    bodies: list[Any] = []

    def noting(name: str) -> Any:
        def note(request: Any) -> None:
            at[name].append(request.path.decode())
            bodies.append(orjson.loads(gzip.decompress(request.body)))
            assert request.header(b"content-encoding") == b"gzip"
            request.respond(204, [], b"")

        return note

    out = tmp_path / "out"
    async with peer(charging(sandbox_core())) as server:
        await conducted(steady(load={"rate": "20/s", "duration": "300ms"}, gzip=True), targets=[url(server)], out=out)
    line = {"usage": "browsing", "subscriber": 0, "slot": 0, "started": 0}
    rows_ = [line | {"number": number, "ref": f"r{number}", "chf": 1 + number % 2} for number in range(12)]
    rows_[4] |= {"path": "/elsewhere/v3/chargingdata/r4"}
    (out / "journal-0.ndjson").write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in rows_))
    async with peer(noting("first")) as first, peer(noting("second")) as second:
        begun = time.monotonic()
        options = ReleaseOptions(folder=out, targets=[url(first), url(second)], rate=20)
        done = await release_orphans(options, lambda text: None)
        passed = time.monotonic() - begun
    assert done.released == 12
    assert {path.split("/")[-2] for path in at["first"]} == {f"r{number}" for number in range(0, 12, 2)}
    assert {path.split("/")[-2] for path in at["second"]} == {f"r{number}" for number in range(1, 12, 2)}
    assert "/elsewhere/v3/chargingdata/r4/release" in at["first"]
    assert len({path.split("/r")[0] for path in at["second"]}) == 1
    assert len(bodies) == 12
    assert passed > 0.54, "eleven gaps of a twentieth of a second"


async def test_releases_carry_the_token_of_the_profile(tmp_path: Path) -> None:
    handle = charging(sandbox_core())
    tokens: list[bytes | None] = []
    over = False

    def watch(request: Any) -> None:
        if request.path.endswith(b"/release"):
            if not over:
                return request.respond(503, [], b"")  # type: ignore[no-any-return]
            tokens.append(request.header(b"authorization"))
        return handle(request)

    (tmp_path / "token").write_text("abc")
    authentication = {"kind": "token", "token": {"file": str(tmp_path / "token")}}
    out = tmp_path / "out"
    async with peer(watch) as server:
        load = {"rate": "20/s", "start_open": 10, "duration": "1s"}
        profile = steady(load=load, timeouts={"drain": "1s"}, authentication=authentication)
        await conducted(profile, targets=[url(server)], out=out)
        over = True
        done = await release_orphans(ReleaseOptions(folder=out, rate=1000), lambda text: None)
    assert done.released == len(tokens) > 0
    assert set(tokens) == {b"Bearer abc"}
    assert not [file.name for file in out.iterdir() if b"Bearer abc" in file.read_bytes()]


async def test_a_run_that_ended_in_order_left_nothing_open(tmp_path: Path) -> None:
    async with peer(charging(sandbox_core())) as server:
        await conducted(brief(), targets=[url(server)], out=tmp_path / "out")
        done = await release_orphans(ReleaseOptions(folder=tmp_path / "out"), lambda text: None)
    assert (done.released, done.unknown, done.failed, done.unnamed) == (0, 0, 0, 0)


async def test_creates_that_were_never_answered_are_told(tmp_path: Path) -> None:
    """The CHF may have opened their sessions, and nobody knows their names."""
    handle = charging(sandbox_core())

    def swallow(request: Any) -> None:
        if b"oneTimeEvent" in request.body:
            handle(request)

    async with peer(swallow) as server:
        profile = brief(timeouts={"request": "100ms", "drain": "1s"})
        await conducted(profile, targets=[url(server)], out=tmp_path / "out")
        done = await release_orphans(ReleaseOptions(folder=tmp_path / "out"), lambda text: None)
    assert done.released == 0
    creates = {row["number"] for row in rows(tmp_path / "out" / "records-0.ndjson") if row["operation"] == "SCUR"}
    assert done.unnamed == len(creates) > 0


def test_a_folder_whose_run_goes_on_is_refused(tmp_path: Path) -> None:
    manifest = {
        "format": 1, "profile": brief().model_dump(mode="json"), "seed": 1, "workers": 1, "epoch": 0, "targets": [],
        "sandbox": False, "driver_pid": os.getpid(),
    }  # fmt: skip
    (tmp_path / "manifest.json").write_bytes(orjson.dumps(manifest))
    with pytest.raises(RunError, match=rf"its run is still going \(process {os.getpid()}\); --force"):
        PastRun(tmp_path)
    assert list(PastRun(tmp_path, force=True).orphans()) == []


def test_a_driver_that_was_killed_and_not_yet_buried_is_not_going_on(tmp_path: Path) -> None:
    driver = subprocess.Popen([sys.executable, "-c", ""])
    try:
        os.waitid(os.P_PID, driver.pid, os.WEXITED | os.WNOWAIT)  # it is over, and left as it is
        manifest = {
            "format": 1, "profile": brief().model_dump(mode="json"), "seed": 1, "workers": 1, "epoch": 0, "targets": [],
            "sandbox": False, "driver_pid": driver.pid,
        }  # fmt: skip
        (tmp_path / "manifest.json").write_bytes(orjson.dumps(manifest))
        assert list(PastRun(tmp_path).orphans()) == []
    finally:
        driver.wait(10)


def test_what_is_open_is_what_was_entered_last_less_what_is_known_to_be_over(tmp_path: Path) -> None:
    manifest = {
        "format": 1, "profile": brief().model_dump(mode="json"), "seed": 1, "workers": 1, "epoch": 0, "targets": [],
        "sandbox": False, "driver_pid": 0,
    }  # fmt: skip

    def write(name: str, *found: dict[str, Any]) -> None:
        (tmp_path / name).write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in found))

    line = {"usage": "call", "subscriber": 0, "slot": 0, "chf": 1, "started": 0}
    write("manifest.json", manifest)
    write(
        "journal-0.ndjson",
        *(line | {"number": number, "ref": f"r{number}"} for number in range(6)),
        line | {"number": 5, "ref": "r5", "chf": 2, "origin": "http://moved"},
    )
    record = {"operation": "SCUR", "end": "completed"}
    write(
        "records-0.ndjson",
        record | {"number": 0, "ref": "r0", "released": True},
        record | {"number": 1, "ref": "r1", "released": False, "end": "failed"},
        record | {"number": 7, "ref": None, "released": False, "end": "failed"},
    )
    write(
        "released.ndjson",
        *({"ref": f"r{n}", "outcome": each} for n, each in ((2, "released"), (3, "unknown"), (4, "failed"))),
    )
    write(
        "intervals.ndjson",
        *(
            {"worker": 0, **Snapshot(number=number, counters={"sessions|started|call": count}).to_wire()}
            for number, count in ((1, 6), (2, 3))
        ),
    )
    past = PastRun(tmp_path, force=True)
    assert sorted((each.reference, each.chf, each.origin) for each in past.orphans()) == [
        ("r1", 1, ""), ("r3", 1, ""), ("r4", 1, ""), ("r5", 2, "http://moved"),
    ]  # fmt: skip
    assert past.unnamed() == 1 + (9 - 7) + 3, "without a reference; in no file; as many again as in the last interval"
    (tmp_path / "summary.json").write_text("{}")
    assert PastRun(tmp_path).unnamed() == 1, "a run that ended in order has told all"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "manifest.json: No such file or directory: this is no folder of a run"),
        ("{", "manifest.json: no JSON"),
        ("{}", "expected a manifest of format 1"),
        ('{"format": 1}', "epoch, profile, sandbox, seed, targets, workers: missing"),
    ],
)
def test_what_is_no_folder_of_a_run_is_said(tmp_path: Path, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(RunError, match=words):
        PastRun(tmp_path)


async def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    async with peer(charging(sandbox_core())) as server:
        await conducted(brief(), targets=[url(server)], out=tmp_path / "out")
    line = {"number": 1, "usage": "call", "subscriber": 0, "slot": 0, "ref": "a", "chf": 1, "started": 0}
    whole = orjson.dumps(line) + b"\n"
    (tmp_path / "out" / "journal-0.ndjson").write_bytes(whole + whole.replace(b'"a"', b'"b"')[:-20])
    assert [each.reference for each in PastRun(tmp_path / "out").orphans()] == ["a"]


LINE = {"number": 1, "usage": "call", "subscriber": 0, "slot": 0, "ref": "a", "chf": 1, "started": 0}


def a_folder(folder: Path, journal: bytes, **manifest: Any) -> Path:
    """What a run has left that was killed with these lines in its journal."""
    said = {
        "format": 1, "profile": brief().model_dump(mode="json"), "seed": 1, "workers": 1, "epoch": 0, "targets": [],
        "sandbox": False,
    }  # fmt: skip
    (folder / "manifest.json").write_bytes(orjson.dumps(said | manifest))
    (folder / "journal-0.ndjson").write_bytes(journal)
    return folder


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"ref": None}, "line 2: ref: "),
        ({"ref": "\u20ac"}, "line 2: ref: "),
        ({"number": "x"}, "line 2: number: "),
        ({"number": 1 << 63}, "line 2: number: "),
        ({"started": 1 << 62}, "line 2: started: "),
        ({"chf": 0}, "line 2: chf: "),
        ({"slot": -1}, "line 2: slot: "),
        ({"hello": 1}, "line 2: hello: "),
        ({"subscriber": 10**12}, "session 1: the profile has no such subscriber or slot"),
        ({"slot": 99}, "session 1: the profile has no such subscriber or slot"),
    ],
)
async def test_a_journal_that_is_none_is_said_in_a_line(tmp_path: Path, wrong: dict[str, Any], words: str) -> None:
    lines = [orjson.dumps(LINE | {"ref": "b"}), orjson.dumps(LINE)[:-1] + b"," + orjson.dumps(wrong)[1:]]
    async with peer(charging(sandbox_core())) as server:
        options = ReleaseOptions(folder=a_folder(tmp_path, b"\n".join(lines) + b"\n"), targets=[url(server)], rate=1000)
        with pytest.raises(RunError, match=re.escape(words)):
            await release_orphans(options, lambda text: None)


@pytest.mark.parametrize(
    ("name", "line", "words"),
    [
        ("records-0.ndjson", b"{}", "records-0.ndjson, line 1: number: Field required"),
        ("released.ndjson", b"{}", "released.ndjson, line 1: ref: Field required"),
        ("intervals.ndjson", b"{}", "intervals.ndjson, line 1: no interval of a run"),
    ],
)
def test_a_line_of_another_file_is_said_too(tmp_path: Path, name: str, line: bytes, words: str) -> None:
    folder = a_folder(tmp_path, b"")
    (folder / name).write_bytes(line + b"\n")
    with pytest.raises(RunError, match=words):
        assert (list(PastRun(folder).orphans()), PastRun(folder).unnamed()) == ([], 0)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"workers": "x"}, "workers: "),
        ({"workers": 1 << 62}, "workers: "),
        ({"workers": -1}, "workers: "),
        ({"epoch": None}, "epoch: "),
        ({"targets": [None]}, r"targets\.0: "),
        ({"seed": "x"}, "seed: "),
    ],
)
def test_a_field_of_the_manifest_that_cannot_be_is_named(tmp_path: Path, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(RunError, match=f"manifest.json: {words}"):
        PastRun(a_folder(tmp_path, b"", **wrong))


@pytest.mark.parametrize("pid", [0, -1, 1 << 40])
def test_what_is_no_process_does_not_hold_up_the_releases(tmp_path: Path, pid: int) -> None:
    assert list(PastRun(a_folder(tmp_path, b"", driver_pid=pid)).orphans()) == []


async def test_the_next_call_goes_on_behind_a_line_that_was_cut_off(tmp_path: Path) -> None:
    """As a full disk leaves one: what is appended must not become part of it."""
    folder = a_folder(tmp_path, orjson.dumps(LINE) + b"\n" + orjson.dumps(LINE | {"ref": "b"}) + b"\n")
    done = b'{"ref":"b","outcome":"released"}\n'
    (folder / "released.ndjson").write_bytes(done + b'{"ref":"a","out')
    async with peer(charging(sandbox_core())) as server:
        options = ReleaseOptions(folder=folder, targets=[url(server)], rate=1000)
        first = await release_orphans(options, lambda text: None)
        second = await release_orphans(options, lambda text: None)
    assert [first.unknown, second.unknown] == [1, 1]
    assert [row["ref"] for row in rows(folder / "released.ndjson")] == ["b", "a", "a"]


async def test_what_another_chf_did_not_know_is_released_at_the_right_one(tmp_path: Path) -> None:
    folder = a_folder(tmp_path, orjson.dumps(LINE) + b"\n")
    handle = charging(sandbox_core())
    async with peer(lambda request: request.respond(404, [], b"")) as wrong, peer(handle) as right:
        for server, expected in ((wrong, 1), (right, 1)):
            options = ReleaseOptions(folder=folder, targets=[url(server)], rate=1000)
            done = await release_orphans(options, lambda text: None)
            assert done.released + done.unknown == expected


async def test_a_run_without_targets_needs_one(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no CHF to release them at: --target names one"):
        await release_orphans(ReleaseOptions(folder=a_folder(tmp_path, b"")), lambda text: None)


async def test_the_sandbox_of_a_run_is_gone_with_its_sessions(tmp_path: Path) -> None:
    await conducted(brief(), out=tmp_path / "out")
    with pytest.raises(RunError, match="its sandbox is gone with all its sessions; --target names another CHF"):
        await release_orphans(ReleaseOptions(folder=tmp_path / "out"), lambda text: None)


def test_the_journal_is_left_out_where_no_records_are_kept(tmp_path: Path) -> None:
    with run_folder(RunOptions(profile=brief())) as folder:
        assert folder.journal(0) is None
    with run_folder(RunOptions(profile=brief(), out=tmp_path / "out")) as folder:
        assert folder.journal(0) == tmp_path / "out" / "journal-0.ndjson"
