"""The processes of a benchmark: started, pinned to a core, asked for their CPU time and memory, and never left behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from simulator.config import Profile
from simulator.fleet import messages
from simulator.measure import Snapshot
from simulator.version import __version__
from tests.performance.answers import COLLECTION

CLIENT, SERVER = 0, 1
"""Which core a process gets: clients and servers do not share one, so that neither waits for the other's turn."""
START_TIMEOUT_S = 20.0
END_TIMEOUT_S = 3.0


class BenchError(Exception):
    """A measurement could not be made; one line for the user."""


class Child:
    """A process on one side of the measurement; it is gone when the block ends."""

    def __init__(self, command: Sequence[str], side: int) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._name = " ".join(Path(part).name for part in command[:3])
        self._measured = psutil.Process(self._process.pid)
        _pin(self._process.pid, side)

    @property
    def cpu_s(self) -> float:
        """User and system time since the process was started."""
        try:
            times = self._measured.cpu_times()
        except psutil.Error:
            raise BenchError(f"{self._name} ended early") from None
        return float(times.user + times.system)

    @property
    def rss(self) -> int:
        """Resident octets."""
        rss: int = self._measured.memory_info().rss
        return rss

    def write_line(self, line: str) -> None:
        """Write to its stdin."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise BenchError(f"{self._name} ended early") from None

    def read_line(self, timeout_s: float = START_TIMEOUT_S) -> str:
        """Read from its stdout; a process that is silent for too long is killed."""
        assert self._process.stdout is not None
        watchdog = threading.Timer(timeout_s, self._process.kill)
        watchdog.start()
        try:
            line = self._process.stdout.readline()
        finally:
            watchdog.cancel()
        if not line:
            raise BenchError(f"{self._name} said nothing")
        return line

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process.stdin is not None:
            with suppress(BrokenPipeError):
                process.stdin.close()
        try:
            process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _pin(pid: int, side: int) -> None:
    """Give a process a core of its own, where the system can and there are two."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) > 1:
            os.sched_setaffinity(pid, {cores[side]})


class Peer(Child):
    """The fixed peer; see `peer`."""

    def __init__(self, *rating_groups: int) -> None:
        super().__init__([sys.executable, "-m", "tests.performance.peer", *map(str, rating_groups)], SERVER)
        self.url = f"http://127.0.0.1:{int(self.read_line())}"

    def ask(self, question: str) -> Any:
        """Ask for `first` or `creates`; see `peer.Log`."""
        self.write_line(question)
        return json.loads(self.read_line())

    def count(self) -> int:
        """Requests so far."""
        return int(self.ask("count"))


class Sandbox(Child):
    """The sandbox CHF with its default plan; `settings` are fields of `SandboxSettings`."""

    def __init__(self, **settings: Any) -> None:
        super().__init__([sys.executable, "-m", "simulator.sandbox"], SERVER)
        self.write_line(json.dumps(settings))
        ready = json.loads(self.read_line())["ready"]
        self.url, self.management = str(ready["n40"]), str(ready["management"])


class Engine(Child):
    """An engine process, driven over its line protocol. `snapshots` fills while it runs."""

    def __init__(self) -> None:
        self.launched = time.monotonic_ns()
        super().__init__([sys.executable, "-m", "simulator.fleet.process"], CLIENT)
        self.snapshots: list[Snapshot] = []
        self.requests = 0
        """Answered requests, as of the last snapshot."""
        self._changed = threading.Condition()
        self._seen: set[str] = set()
        self._problem = ""
        self._listener = threading.Thread(target=self._listen, daemon=True)

    def start(self, profile: Profile, target: str, *, head_start_s: float = 0.0, ca_file: str | None = None) -> int:
        """Configure and start it; return its t0 (monotonic ns)."""
        configure = messages.Configure(
            protocol=messages.PROTOCOL,
            version=__version__,
            profile=profile.model_dump(mode="json"),
            seed=profile.seed,
            worker=0,
            workers=1,
            targets=[target],
            records=os.devnull,
            ca_file=ca_file,
        )
        self._listener.start()
        self._send(configure)
        self._wait_for("ready", START_TIMEOUT_S)
        t0 = time.monotonic_ns() + int(head_start_s * 1e9)
        self._send(messages.Start(t0=t0, epoch=time.time_ns() + int(head_start_s * 1e9)))
        return t0

    def stop(self) -> None:
        """Stop it at once."""
        self._send(messages.Stop())
        self._wait_for("bye", END_TIMEOUT_S)

    def after_snapshot(self, timeout_s: float = 5.0) -> int:
        """Wait for the end of an interval; return how many requests have been answered until then."""
        number = len(self.snapshots)
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.snapshots) > number or self._problem, timeout_s):
                raise BenchError("the engine reports no intervals")
        if self._problem:
            raise BenchError(self._problem)
        return self.requests

    def _send(self, command: messages.Message) -> None:
        self.write_line(command.encode().decode().rstrip())

    def _wait_for(self, kind: str, timeout_s: float) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: kind in self._seen or self._problem, timeout_s):
                raise BenchError(f"the engine did not say {kind} within {timeout_s:g} s")
        if self._problem:
            raise BenchError(self._problem)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            report = messages.decode(line.encode())
            with self._changed:
                self._seen.add(report.TYPE)
                if isinstance(report, messages.SnapshotReport):
                    snapshot = Snapshot.from_wire(report.snapshot)
                    self.snapshots.append(snapshot)
                    self.requests += snapshot.count("requests")
                elif isinstance(report, messages.Error):
                    self._problem = f"engine: {report.text}"
                self._changed.notify_all()
        with self._changed:
            if "bye" not in self._seen:
                self._problem = self._problem or "the engine died"
            self._changed.notify_all()


def find_h2load() -> str | None:
    """Where h2load is, None if it is not installed."""
    return shutil.which("h2load")


class H2load(Child):
    """h2load, sending one Create again and again over eight connections with fifty streams each, as fast as it can.

    On an idle machine it is faster than the peer. That does not spoil the yardstick: its CPU time per request is lowest
    then (5 us; 6 us against nghttpd, which keeps up with it, and 6 to 8 us when `--rps` holds it back), so the engine is
    measured against its best.
    """

    def __init__(self, program: str, url: str, create: Path, duration_s: int) -> None:
        command = [program, "-c", "8", "-m", "50", "-D", str(duration_s), "-d", str(create)]
        command += ["-H", "content-type: application/json", "-H", "accept: application/json, application/problem+json"]
        super().__init__([*command, url + COLLECTION.decode()], CLIENT)


class HttpxClient(Child):
    """An httpx client that sends sessions of the same messages; see `httpx_client`."""

    def __init__(self, url: str) -> None:
        super().__init__([sys.executable, "-m", "tests.performance.httpx_client", url], CLIENT)


def until(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Poll, a hundred times a second."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise BenchError(f"{what}: not within {timeout_s:g} s")
        time.sleep(0.01)
