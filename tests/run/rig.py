"""Runs with real engine processes, against charging functions on sockets of this process or of another one."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
import psutil  # type: ignore[import-untyped]

from simulator.config import Profile, load_plan
from simulator.http2 import Server, ServerLimits, ServerRequest
from simulator.measure import Totals
from simulator.report import RunFacts
from simulator.run.conductor import conduct
from simulator.run.options import Progress, Result, RunOptions
from simulator.sandbox.chf import Chf
from tests.world import CALL, DOWNLOAD, MESSAGE, traffic

USAGES = {"call": CALL, "download": DOWNLOAD, "message": MESSAGE}


def brief(**fields: Any) -> Profile:
    """Forty sessions and events of five devices, as fast as they are answered."""
    load = fields.pop("load", {"mode": "closed", "devices": 5, "sessions": 40, "duration": "10s"})
    return traffic(load, usages=USAGES, **{"pace": "flat-out", **fields})


def steady(**fields: Any) -> Profile:
    """Calls and downloads that go on for as long as the run does; each report is answered before the next is due."""
    load = {"rate": "50/s", "start_open": 100, "duration": "60s"} | fields.pop("load", {})
    usage = {
        "service": "data",
        "length": "1h",
        "rating_groups": [{"rating_group": 300, "requested": "1MB", "throughput": "24Mbps"}],
    }
    return traffic(load, usages={"browsing": usage}, **fields)


async def conducted(profile: Profile, **options: Any) -> Result:
    """A run inside this event loop."""
    with anyio.fail_after(30):
        return await conduct(RunOptions(profile=profile, **options))


class Follower:
    """An observer that can be waited for."""

    def __init__(self) -> None:
        self.facts: RunFacts | None = None
        self.totals: Totals | None = None
        self.notes: list[str] = []
        self.ended = False
        self.progress = Progress()
        self.begun = asyncio.Event()
        self._changed = asyncio.Event()

    def begin(self, facts: RunFacts, totals: Totals) -> None:
        self.facts, self.totals = facts, totals
        self.begun.set()

    def tick(self, now: int, progress: Progress) -> None:
        self.progress = progress
        self._changed.set()

    def note(self, text: str) -> None:
        self.notes.append(text)
        self._changed.set()

    def end(self) -> None:
        self.ended = True

    async def until(self, condition: Callable[[Totals], bool]) -> None:
        """Wait until what has been measured fulfils the condition."""
        await self.begun.wait()
        assert self.totals is not None
        while not condition(self.totals):
            self._changed.clear()
            await self._changed.wait()


def sound(result: Result) -> bool:
    """Whether it passed; on a busy machine the generator may rightly call itself the limit, and nothing else may be wrong."""
    reasons = result.summary["generator"]["reasons"]
    return result.passed or (result.verdict == "invalid" and list(result.why) == reasons != [])


def completed(result: Result) -> int:
    return int(result.summary["sessions"]["completed"])


def units(result: Result, what: str) -> dict[str, int]:
    """One map of the audit, without zeros."""
    return {unit: amount for unit, amount in result.summary["audit"][f"{what}_units"].items() if amount}


# -- charging functions -------------------------------------------------------------------------------------------------

Handler = Callable[[ServerRequest], None]


def sandbox_core() -> Chf:
    return Chf(load_plan(None), pace=None, epoch=time.time_ns() - time.monotonic_ns())


def charging(chf: Chf) -> Handler:
    """The sandbox's core as the handler of a server."""

    def handle(request: ServerRequest) -> None:
        reply = chf.handle(request.method, request.path, request.headers, request.body, time.monotonic_ns())
        request.respond(reply.status, list(reply.headers), reply.body)

    return handle


@asynccontextmanager
async def peer(handler: Handler, *, port: int = 0, tls: Any = None) -> AsyncIterator[Server]:
    """A charging function in this process, on a socket; when the block ends, what is unanswered is cut off."""
    server = await Server.serve(
        handler, "127.0.0.1", port, tls=tls, limits=ServerLimits(max_body_octets=4 << 20, close_timeout_s=0.05)
    )
    try:
        yield server
    finally:
        await server.aclose()


def url(server: Server, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{server.port}"


@contextmanager
def sandbox_process(**settings: Any) -> Iterator[dict[str, Any]]:
    """A sandbox of its own, as a user starts one beside the run; yields its addresses."""
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator.sandbox"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(settings) + "\n")
        process.stdin.flush()
        addresses: dict[str, Any] = json.loads(process.stdout.readline())["ready"]
        try:
            yield addresses
        finally:
            process.terminate()
            process.wait(timeout=10)


def children(module: str) -> list[psutil.Process]:
    """The child processes of this process that run a module."""
    return [each for each in psutil.Process().children(recursive=True) if module in each.cmdline()]


def child(module: str) -> psutil.Process:
    """The only one of them."""
    (found,) = children(module)
    return found
