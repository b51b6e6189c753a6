"""The engine as a process, driven by hand over its pipes against a real charging function on a socket."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import anyio
import orjson
import pytest
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from simulator.config import Profile, load_plan
from simulator.fleet import messages
from simulator.fleet.engine import Engine
from simulator.fleet.messages import Message, decode
from simulator.fleet.process import FULL_PIPE, Commands, Reports, read_commands
from simulator.http2 import PoolLimits
from simulator.measure import Recorder, Snapshot
from simulator.sandbox.chf import Chf
from simulator.sandbox.n40_server import serve_n40
from simulator.version import __version__
from tests.world import CALL, DOWNLOAD, MESSAGE, traffic

pytestmark = pytest.mark.anyio

M = TypeVar("M", bound=Message)
ENGINE = [sys.executable, "-m", "simulator.fleet.process"]


def configure(profile: Profile, target: str, records: Path, /, **fields: Any) -> messages.Configure:
    usual: dict[str, Any] = {
        "protocol": messages.PROTOCOL,
        "version": __version__,
        "profile": profile.model_dump(mode="json"),
        "seed": 1,
        "worker": 0,
        "workers": 1,
        "targets": [target],
        "records": str(records),
    }
    return messages.Configure(**usual | fields)


class Driver:
    """Drives one engine process: tells it things, and hears what it reports."""

    def __init__(self, process: Process, target: str, folder: Path) -> None:
        assert process.stdout is not None
        self.process = process
        self.target = target
        self.records = folder / "records.ndjson"
        self._lines = BufferedByteReceiveStream(process.stdout)
        self.heard: list[Message] = []

    async def tell(self, *commands: Message | bytes) -> None:
        assert self.process.stdin is not None
        for command in commands:
            await self.process.stdin.send(command if isinstance(command, bytes) else command.encode())

    async def hear(self, kind: type[M]) -> M:
        """The next report of this kind."""
        with anyio.fail_after(20):
            while True:
                report = decode(await self._lines.receive_until(b"\n", messages.MAX_LINE))
                self.heard.append(report)
                if isinstance(report, kind):
                    return report

    async def hear_the_end(self) -> int:
        """Everything up to the end of the pipe; the process's exit code."""
        with anyio.fail_after(20):
            try:
                while True:
                    self.heard.append(decode(await self._lines.receive_until(b"\n", messages.MAX_LINE)))
            except anyio.IncompleteRead:
                return await self.process.wait()

    def configure(self, profile: Profile, /, **fields: Any) -> messages.Configure:
        return configure(profile, self.target, self.records, **fields)

    def counted(self, *labels: str) -> int:
        """A counter over all snapshots that were heard."""
        return sum(
            Snapshot.from_wire(report.snapshot).count(*labels)
            for report in self.heard
            if isinstance(report, messages.SnapshotReport)
        )

    def kinds(self) -> list[str]:
        return [report.TYPE for report in self.heard]


def start() -> messages.Start:
    return messages.Start(t0=time.monotonic_ns() + 20_000_000, epoch=time.time_ns() + 20_000_000)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def chf() -> Chf:
    return Chf(load_plan(None), pace=None, epoch=time.time_ns() - time.monotonic_ns())


Drive = Callable[..., Awaitable[Driver]]


@pytest.fixture
async def drive(chf: Chf, tmp_path: Path) -> AsyncIterator[Drive]:
    """`await drive()` starts an engine against a sandbox's charging function in this process."""
    server = await serve_n40(chf, "127.0.0.1", 0)
    processes: list[Process] = []

    async def start_engine(command: list[str] = ENGINE) -> Driver:
        process = await anyio.open_process(command, stderr=subprocess.PIPE)
        processes.append(process)
        return Driver(process, f"http://127.0.0.1:{server.port}", tmp_path)

    try:
        yield start_engine
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await process.aclose()
        await server.aclose()


async def last_words(driver: Driver) -> str:
    assert driver.process.stderr is not None
    return b"".join([chunk async for chunk in driver.process.stderr]).decode()


SHORT = {"call": CALL | {"length": "2s"}, "download": DOWNLOAD, "message": MESSAGE}


async def test_an_engine_is_told_what_to_do_and_reports_what_it_did(drive: Drive, chf: Chf) -> None:
    profile = traffic({"rate": "100/s", "sessions": 40, "duration": "10s"}, usages=SHORT, pace="60x")
    driver = await drive()
    await driver.tell(driver.configure(profile))
    ready = await driver.hear(messages.Ready)
    assert (ready.worker, ready.version) == (0, __version__)
    await driver.tell(start())
    finished = await driver.hear(messages.Event)
    assert finished.name == "finished"
    await driver.tell(messages.Drain(timeout_s=5))
    assert (await driver.hear(messages.Drained)).open == 0
    assert await driver.hear_the_end() == 0
    assert driver.kinds()[-2:] == ["drained", "bye"]
    assert await last_words(driver) == ""
    assert driver.counted("sessions", "started") == driver.counted("sessions", "completed") == 40
    answered = sum(count for (_, status), count in chf.requests.items() if str(status).startswith("2"))
    assert driver.counted("requests") == answered > 60
    snapshots = [report.snapshot for report in driver.heard if isinstance(report, messages.SnapshotReport)]
    assert [snapshot["number"] for snapshot in snapshots] == list(range(1, len(snapshots) + 1))
    records = [orjson.loads(line) for line in driver.records.read_bytes().splitlines()]
    assert len(records) == 40
    assert sum(record["used"] for record in records) == sum(
        driver.counted("units", "used", unit) for unit in ("time", "totalVolume", "serviceSpecificUnits")
    )


async def test_a_drain_releases_what_is_open(drive: Drive, chf: Chf) -> None:
    profile = traffic({"rate": "100/s", "start_open": 50, "duration": "60s"}, usages={"call": CALL | {"length": "1h"}})
    driver = await drive()
    await driver.tell(driver.configure(profile))
    await driver.hear(messages.Ready)
    await driver.tell(start())
    await driver.hear(messages.SnapshotReport)
    assert chf.created >= 50
    await driver.tell(messages.Drain(timeout_s=4))
    assert (await driver.hear(messages.Drained)).open == 0
    assert await driver.hear_the_end() == 0
    assert not len(chf.sessions)
    assert chf.ended["released"] == chf.created == driver.counted("sessions", "completed")
    phases = [report.snapshot["phase"] for report in driver.heard if isinstance(report, messages.SnapshotReport)]
    assert phases == sorted(phases, reverse=True), "load, then drain"
    assert phases[-1] == "drain"


async def test_a_stop_leaves_sessions_open_and_says_how_many(drive: Drive, chf: Chf) -> None:
    profile = traffic({"rate": "1/s", "start_open": 50, "duration": "60s"}, usages={"call": CALL | {"length": "1h"}})
    driver = await drive()
    await driver.tell(driver.configure(profile))
    await driver.hear(messages.Ready)
    await driver.tell(start())
    await driver.hear(messages.SnapshotReport)
    await driver.tell(messages.Drain(timeout_s=60), messages.Stop())
    left = (await driver.hear(messages.Drained)).open
    # The drain may have sent its first release, which the CHF then answers to nobody.
    assert len(chf.sessions) <= left <= len(chf.sessions) + 1
    assert left > 40
    assert await driver.hear_the_end() == 0
    assert driver.kinds().count("drained") == 1
    ends = [orjson.loads(line)["end"] for line in driver.records.read_bytes().splitlines()]
    assert ends.count("open") == left


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
async def test_a_full_disk_ends_an_engine_with_one_line(drive: Drive) -> None:
    profile = traffic({"rate": "200/s", "duration": "60s"}, usages={"message": MESSAGE})
    driver = await drive()
    await driver.tell(driver.configure(profile, records="/dev/full"))
    await driver.hear(messages.Ready)
    await driver.tell(start())
    error = await driver.hear(messages.Error)
    assert error.text == "records cannot be written to /dev/full: No space left on device"
    assert await driver.hear_the_end() == 0


async def test_a_mistake_of_ours_in_a_callback_is_told_and_ends_the_engine() -> None:
    """Otherwise a timer would be dead, and the load would stop without a word."""
    reports = Noted()
    commands = Commands(reports)
    loop = asyncio.get_running_loop()
    commands.on_exception(loop, {"message": "a peer's transport", "exception": OSError(), "transport": None})
    assert not commands.over.is_set()
    commands.on_exception(loop, {"message": "in a callback", "exception": KeyError("burst")})
    commands.on_exception(loop, {"message": "once more", "exception": KeyError("burst")})
    assert commands.over.is_set()
    assert [report.text for report in reports.sent if isinstance(report, messages.Error)] == [
        "internal error: KeyError: 'burst'"
    ]


async def test_an_engine_tells_how_it_is(drive: Drive) -> None:
    """What the verdict on the generator is made of comes from the engine itself."""
    profile = traffic(
        {"rate": "200/s", "duration": "60s"}, usages={"message": MESSAGE}, connections={"per_network_function": 3}
    )
    driver = await drive()
    await driver.tell(driver.configure(profile))
    await driver.hear(messages.Ready)
    await driver.tell(start())
    told = [Snapshot.from_wire((await driver.hear(messages.SnapshotReport)).snapshot) for _ in range(3)]
    cpu = [snapshot.gauge("cpu_s") for snapshot in told]
    assert 0 < cpu[0] < cpu[1] < cpu[2] < 3
    assert all(0 < snapshot.gauge("loop_lag_us") < 1_000_000 for snapshot in told)
    assert told[-1].gauge("connections_open") == 3 * 3  # of two SMFs and an SMSF


async def test_the_profile_and_the_command_reach_the_connections(tmp_path: Path) -> None:
    bounds = {"per_network_function": 3, "streams": 7, "waiting": 11, "keepalive": "13s", "connect_timeout": "2s"}
    profile = traffic({"rate": "1/s"}, connections=bounds)
    command = configure(profile, "http://127.0.0.1:1", tmp_path / "records", codec="h2")
    engine = Engine(command, lambda snapshot: None, lambda: None, lambda text: None, lambda subject, text: None)
    connections = engine._connections
    assert connections._limits == PoolLimits(
        connections=3, streams=7, waiting=11, keepalive_s=13.0, connect_timeout_s=2.0, backoff_max_s=2.0
    )
    assert connections._pool(connections._targets[0], "smf-1")._codec == "h2"


async def test_the_warm_up_is_a_phase_of_its_own(drive: Drive) -> None:
    profile = traffic({"rate": "20/s", "duration": "60s", "warmup": "600ms"}, usages={"message": MESSAGE})
    driver = await drive()
    await driver.tell(driver.configure(profile))
    await driver.hear(messages.Ready)
    await driver.tell(start())
    phases = [(await driver.hear(messages.SnapshotReport)).snapshot["phase"] for _ in range(4)]
    assert phases == ["warmup", "warmup", "steady", "steady"]


async def test_intervals_end_where_phases_do(drive: Drive) -> None:
    """Whoever is late by more than an interval has mixed them."""
    load = {"rate": "200/s", "duration": "1300ms", "warmup": "300ms", "cooldown": "400ms", "spacing": "constant"}
    driver = await drive()
    await driver.tell(driver.configure(traffic(load, usages={"message": MESSAGE})))
    await driver.hear(messages.Ready)
    await driver.tell(start())
    await driver.hear(messages.Event)
    await driver.tell(messages.Drain(timeout_s=2))
    await driver.hear_the_end()
    snapshots = [
        Snapshot.from_wire(each.snapshot) for each in driver.heard if isinstance(each, messages.SnapshotReport)
    ]
    assert list(dict.fromkeys(each.phase for each in snapshots)) == ["warmup", "steady", "cooldown", "drain"]
    begins = {phase: min(each.start_s for each in snapshots if each.phase == phase) for phase in ("steady", "cooldown")}
    assert begins["steady"] == pytest.approx(0.3, abs=0.1)
    assert begins["cooldown"] == pytest.approx(0.9, abs=0.1)
    for phase, begun in (("warmup", 59), ("steady", 120)):
        ours = [each for each in snapshots if each.phase == phase]
        late = 200 * (max(each.end_s for each in ours) - (0.3 if phase == "warmup" else 0.9))
        assert begun - 21 <= sum(each.count("arrivals", "intended") for each in ours) <= begun + 1 + late


async def test_commands_change_the_load_while_it_runs_and_nonsense_ends_nothing(drive: Drive) -> None:
    profile = traffic({"rate": "100/s", "duration": "60s", "spacing": "constant"}, usages={"message": MESSAGE})
    driver = await drive()
    await driver.tell(driver.configure(profile), messages.Control(at=0, action="pause"))
    await driver.hear(messages.Ready)
    begin = start()
    await driver.tell(begin)

    def at(seconds: float, action: str, value: float | None = None) -> messages.Control:
        return messages.Control(at=begin.t0 + int(seconds * 1e9), action=action, value=value)

    await driver.tell(
        at(0.2, "dance"), at(0.2, "rate", -1.0), at(0.5, "pause"), at(1.5, "resume"), at(2.0, "rate", 3.0)
    )
    snapshots: list[Snapshot] = []
    while not snapshots or snapshots[-1].end_s < 2.9:
        snapshots.append(Snapshot.from_wire((await driver.hear(messages.SnapshotReport)).snapshot))
    intended = sum(each.count("arrivals", "intended") for each in snapshots)
    # 50 before the pause, 50 after it, then 300 a second
    assert intended == pytest.approx(100 + 300 * (snapshots[-1].end_s - 2), abs=20)
    assert next(each.gauges["offered_rate"].value for each in snapshots if each.end_s > 2.1) == pytest.approx(300.0)
    assert [each.fields["text"] for each in driver.heard if isinstance(each, messages.Event)] == [
        f"{action} is not done: it is unknown, or comes before the start" for action in ("pause", "dance", "rate")
    ]
    await driver.tell(at(0.1, "pause"))  # long past
    await driver.tell(messages.Drain(timeout_s=2))
    assert await driver.hear_the_end() == 0


@pytest.mark.parametrize("configured", [False, True])
async def test_the_end_of_its_input_ends_an_engine(drive: Drive, configured: bool) -> None:
    driver = await drive()
    if configured:
        await driver.tell(driver.configure(traffic({"rate": "100/s"})))
        await driver.hear(messages.Ready)
        await driver.tell(start())
        await driver.hear(messages.SnapshotReport)
    assert driver.process.stdin is not None
    await driver.process.stdin.aclose()
    assert await driver.hear_the_end() == 0
    assert await last_words(driver) == ""


async def test_ctrl_c_is_the_drivers_to_handle(drive: Drive) -> None:
    driver = await drive()
    await driver.tell(driver.configure(traffic({"rate": "100/s"})))
    await driver.hear(messages.Ready)
    driver.process.send_signal(signal.SIGINT)
    await driver.tell(messages.Drain(timeout_s=1))
    await driver.hear(messages.Bye)
    assert await driver.hear_the_end() == 0


async def test_a_stray_print_does_not_break_the_protocol(drive: Drive) -> None:
    script = (
        "import os, simulator.fleet.process as process, simulator.fleet.engine as engine\n"
        "start = engine.Engine.start\n"
        "def chatty(self, *moments):\n"
        "    print('stray print', flush=True); os.write(1, b'stray octets\\n')\n"
        "    start(self, *moments)\n"
        "engine.Engine.start = chatty\n"
        "process.main()\n"
    )
    driver = await drive([sys.executable, "-c", script])
    await driver.tell(driver.configure(traffic({"rate": "100/s", "sessions": 3}, pace="flat-out")))
    await driver.hear(messages.Ready)
    await driver.tell(start())
    await driver.hear(messages.Event)
    await driver.tell(messages.Drain(timeout_s=1))
    assert await driver.hear_the_end() == 0
    assert driver.kinds()[-1] == "bye"
    assert (await last_words(driver)).split("\n")[:2] == ["stray print", "stray octets"]


# -- what it cannot do --------------------------------------------------------------------------------------------------


async def test_a_worker_without_any_session_of_the_run_has_finished_at_once(drive: Drive) -> None:
    """One session and two workers: one of them has nothing to do, and the run does not wait for it."""
    profile = traffic({"rate": "100/s", "sessions": 1, "duration": "60s"}, usages={"message": MESSAGE})
    heard = []
    for worker in range(2):
        driver = await drive()
        await driver.tell(driver.configure(profile, worker=worker, workers=2))
        await driver.hear(messages.Ready)
        await driver.tell(start())
        heard.append((await driver.hear(messages.Event)).name)
        await driver.tell(messages.Drain(timeout_s=1))
        assert await driver.hear_the_end() == 0
    assert heard == ["finished", "finished"]


async def test_a_wrong_command_is_answered_with_one_line_and_the_end(drive: Drive) -> None:
    driver = await drive()
    await driver.tell(b"what?\n")
    assert "not JSON" in (await driver.hear(messages.Error)).text
    assert await driver.hear_the_end() == 0
    assert await last_words(driver) == ""


class Noted(Reports):
    """Reports that stay here."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Message] = []

    def send(self, message: Message) -> None:
        self.sent.append(message)


async def refusal(line: bytes) -> str:
    """What an engine says to a command that ends it."""
    reports = Noted()
    commands = Commands(reports)
    await commands.carry_out(line)
    assert commands.over.is_set()
    (error,) = reports.sent
    assert isinstance(error, messages.Error)
    return error.text


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"type":"fire"}\n', "unknown type of message"),
        (messages.Bye(worker=0).encode(), "bye is no command"),
        (messages.Start(t0=1, epoch=1).encode(), "start comes before configure"),
    ],
    ids=["unknown", "a report", "start first"],
)
async def test_what_is_no_command_is_refused_with_its_reason(line: bytes, why: str) -> None:
    text = await refusal(line)
    assert why in text
    assert "\n" not in text


async def test_a_line_without_end_is_refused() -> None:
    reader = asyncio.StreamReader(limit=1000)
    reader.feed_data(b"x" * 10_000)
    reports = Noted()
    commands = Commands(reports)
    await read_commands(reader, commands)
    assert commands.over.is_set()
    assert [report.TYPE for report in reports.sent] == ["error"]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"version": "0.0.0"}, rf"this engine is version {re.escape(__version__)} .* 0\.0\.0"),
        ({"protocol": messages.PROTOCOL + 1}, r"\(protocol 1\).*\(protocol 2\)"),
        ({"targets": ["http://127.0.0.1:1"]}, "refused"),
        ({"targets": ["gopher://x"]}, "gopher"),
        ({"targets": ["http://127.0.0.1:80/a?b"]}, "query"),
        ({"targets": ["https://127.0.0.1:1"], "ca_file": "/no/such.pem"}, "no such file: /no/such.pem"),
        ({"records": "/no/such/folder/records"}, "No such file"),
        ({"profile": {"name": "empty"}}, "network_functions"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_what_cannot_be_configured_is_refused_with_its_reason(
    fields: dict[str, Any], why: str, tmp_path: Path
) -> None:
    line = configure(traffic({"rate": "1/s"}), "http://127.0.0.1:1", tmp_path / "records", **fields).encode()
    assert re.search(why, await refusal(line))


# -- a pipe that nobody reads -------------------------------------------------------------------------------------------


@asynccontextmanager
async def unread_pipe() -> AsyncIterator[tuple[Reports, int]]:
    read_end, write_end = os.pipe()
    loop = asyncio.get_running_loop()
    transport, reports = await loop.connect_write_pipe(Reports, os.fdopen(write_end, "wb", buffering=0))
    try:
        yield reports, read_end
    finally:
        if not transport.is_closing():
            transport.abort()
        os.close(read_end)


async def test_while_the_driver_does_not_read_intervals_add_up_and_nothing_is_lost() -> None:
    async with unread_pipe() as (reports, read_end):
        recorder = Recorder(0)
        octets = 0
        for number in range(1, 201):
            recorder.counters["requests"] += number
            recorder.counters["padding|" + "x" * 5_000] += 1
            reports.send_snapshot(recorder.cut(number * 500_000_000))
            octets += 5_000
        assert octets > 2 * FULL_PIPE
        await Commands(reports).carry_out(messages.Stop().encode())
        reading = asyncio.get_running_loop().run_in_executor(None, read_to_the_end, read_end)
        await reports.aclose()
        *snapshots, _, bye = [decode(line) for line in (await reading).splitlines()]
    assert isinstance(bye, messages.Bye)
    told = [Snapshot.from_wire(report.snapshot) for report in snapshots if isinstance(report, messages.SnapshotReport)]
    assert len(told) < 150, "intervals were kept back"
    assert sum(snapshot.count("requests") for snapshot in told) == sum(range(1, 201))
    assert told[-1].number == 200
    assert [later.start_s for later in told[1:]] == [earlier.end_s for earlier in told[:-1]]


async def test_intervals_of_two_phases_are_never_one() -> None:
    """What was offered before the drain must not look as if it belonged to the drain."""
    async with unread_pipe() as (reports, read_end):
        recorder = Recorder(0)
        for number in range(1, 201):
            recorder.phase = "steady" if number <= 150 else "drain"
            recorder.counters["arrivals|started"] += 1
            recorder.counters["padding|" + "x" * 5_000] += 1
            reports.send_snapshot(recorder.cut(number * 500_000_000))
        reports.send_kept()
        reading = asyncio.get_running_loop().run_in_executor(None, read_to_the_end, read_end)
        await reports.aclose()
        told = [decode(line) for line in (await reading).splitlines()]
    started = {"steady": 0, "drain": 0}
    for report in told:
        assert isinstance(report, messages.SnapshotReport)
        snapshot = Snapshot.from_wire(report.snapshot)
        started[snapshot.phase] += snapshot.count("arrivals", "started")
    assert started == {"steady": 150, "drain": 50}


def read_to_the_end(read_end: int) -> bytes:
    chunks = []
    while chunk := os.read(read_end, 65_536):
        chunks.append(chunk)
    return b"".join(chunks)
