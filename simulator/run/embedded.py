"""The embedded sandbox: a child process of the run, restarted once if it dies, and the books that it keeps."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import httpx
import orjson
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from simulator.config import Profile, rating_plan
from simulator.fleet.services import collection
from simulator.run.engines import end_process

START_TIMEOUT_S = 20.0
SPOOL = "ledger-[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f].ndjson"
"""Where the sandbox keeps its ledger while it runs."""
PROMISES = {"negative_balance": "NEGATIVE_BALANCE", "reserved_too_much": "RESERVED_TOO_MUCH"}
"""What a sandbox must not do and tells about itself, and its names in a summary."""
UNDELIVERED = {
    "failed": "",
    "not_allowed": "their hosts may not be notified",
    "no_uri": "their sessions name no notifyUri",
}
"""What can become of a notification besides an answer, and why; "": as the sandbox says."""


class SandboxFailedError(Exception):
    """The sandbox could not be started; one line for the user."""


class EmbeddedSandbox:
    """The charging function of a run without a target. `n40` and `management` are its addresses, `endpoints` all of N40's."""

    def __init__(self, profile: Profile, folder: Path, seed: int = 1, **settings: Any) -> None:
        self._settings: dict[str, Any] = {
            "plan": rating_plan(profile).model_dump(mode="json"),
            "pace": profile.pace if profile.pace is not None else "flat-out",
            "ledger_folder": str(folder),
            "collections": [collection(profile).decode()],
            "seed": seed,
            "starts_at_once": False,
            **profile.sandbox.model_dump(mode="json", include={"endpoints", "stores", "servers", "quirks", "faults"}),
            **settings,
        }
        self._t0: int | None = None
        self._errors = folder / "sandbox.stderr"
        self._process: Process | None = None
        self.n40 = ""
        self.management = ""
        self.endpoints: list[str] = []

    async def start(self) -> None:
        """Start it and wait until it listens. Raises SandboxFailedError."""
        with self._errors.open("ab") as stderr:
            self._process = process = await anyio.open_process(
                [sys.executable, "-m", "simulator.sandbox"],
                start_new_session=True,  # Ctrl-C must not end it before the drain
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with anyio.fail_after(START_TIMEOUT_S):
                await process.stdin.send(orjson.dumps(self._settings) + b"\n")
                line = await BufferedByteReceiveStream(process.stdout).receive_until(b"\n", 65_536)
        except (anyio.IncompleteRead, anyio.BrokenResourceError, anyio.EndOfStream, TimeoutError):
            raise SandboxFailedError(self._last_words() or "the sandbox did not start") from None
        ready = orjson.loads(line)["ready"]
        self.n40, self.management, self.endpoints = ready["n40"], ready["management"], ready["endpoints"]

    async def start_weather(self, t0: int) -> None:
        """The faults' time counts from `t0` (monotonic ns). A sandbox that died meanwhile is not asked twice."""
        self._t0 = t0
        with suppress(httpx.HTTPError):  # whoever watches it will see that it is gone
            async with httpx.AsyncClient(trust_env=False) as client:
                await client.post(f"{self.management}/faults/clock", json={"t0": t0})

    async def wait(self) -> None:
        """Return when the process has died."""
        assert self._process is not None
        await self._process.wait()

    async def restart(self) -> None:
        """Start it again at the same addresses, with empty books. Raises SandboxFailedError."""
        assert self._process is not None
        await self._process.aclose()  # it is dead; its pipes are not closed yet
        self._settings["ports"] = [int(address.rpartition(":")[2]) for address in self.endpoints]
        self._settings["management_port"] = int(self.management.rpartition(":")[2])
        await self.start()
        if self._t0 is not None:
            await self.start_weather(self._t0)

    async def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            await end_process(self._process)
        if self._errors.exists() and not self._errors.stat().st_size:
            self._errors.unlink()
        for spool in self._errors.parent.glob(
            SPOOL
        ):  # what is worth keeping of it has been read over its management API
            spool.unlink()

    def _last_words(self) -> str:
        lines = self._errors.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


@asynccontextmanager
async def embedded_sandbox(
    profile: Profile, folder: Path, seed: int = 1, **settings: Any
) -> AsyncIterator[EmbeddedSandbox]:
    """Run a sandbox for the length of the block; `settings` are more fields of its settings. Raises SandboxFailedError."""
    sandbox = EmbeddedSandbox(profile, folder, seed, **settings)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(sandbox.stop)
        await sandbox.start()
        yield sandbox


async def read_ledger(url: str) -> AsyncIterator[bytes]:
    """The octets of a ledger that a management API serves, as NDJSON, in pieces. Raises httpx.HTTPError."""
    timeout = httpx.Timeout(10.0, read=60.0)
    async with httpx.AsyncClient(timeout=timeout, trust_env=False) as client, client.stream("GET", url) as answer:
        if not answer.is_success:
            raise httpx.HTTPError(f"answered {answer.status_code} {answer.reason_phrase}".rstrip())
        async for chunk in answer.aiter_bytes(1 << 20):
            yield chunk


async def read_promises(ledger: str) -> dict[str, int]:
    """How often the sandbox broke its promises so far, as /totals beside its ledger tells; nothing where there is none."""
    promises: Any = (await _read_totals(ledger)).get("promises")
    try:
        return {name: int(promises[field]) for field, name in PROMISES.items() if field in promises}
    except (TypeError, ValueError):
        return {}  # another CHF's books


async def read_undelivered(ledger: str) -> tuple[int, str]:
    """How many notifications the sandbox could not deliver so far, as /totals beside its ledger tells, and why."""
    notifications: Any = (await _read_totals(ledger)).get("notifications")
    try:
        problem = str(notifications["last_problem"])
        results: list[dict[str, int]] = list(notifications["results"].values())
        counts = {outcome: sum([int(each.get(outcome, 0)) for each in results]) for outcome in UNDELIVERED}
    except (AttributeError, KeyError, TypeError, ValueError):
        return 0, ""
    words = [UNDELIVERED[outcome] or problem for outcome, count in counts.items() if count]
    return sum(counts.values()), "; ".join(words)


async def _read_totals(ledger: str) -> dict[str, Any]:
    """What the management API with that ledger says at /totals; nothing where there is none."""
    place, _, last = ledger.rpartition("/")
    if last != "ledger":
        return {}
    try:
        async with httpx.AsyncClient(timeout=10.0, trust_env=False) as client:
            answer = await client.get(f"{place}/totals")
        totals = answer.json() if answer.is_success else None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        totals = None
    return totals if isinstance(totals, dict) else {}
