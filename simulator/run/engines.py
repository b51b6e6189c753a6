"""Engine processes as seen by the run: started, told what to do, listened to, and never left behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from simulator.fleet import messages
from simulator.fleet.messages import MAX_LINE, Message, MessageError

KILL_AFTER_S = 2.0


class EngineError(Exception):
    """An engine could not do what it was asked to; one line for the user."""


class EngineProcess:
    """One engine. Its stderr goes to a file, whose last line explains a death."""

    def __init__(self, process: Process, worker: int, errors: Path) -> None:
        self._process = process
        self._errors = errors
        self.worker = worker
        self.alive = True
        self.given_up = False
        self.ready = False
        self.finished = False
        self.left_open: int | None = None

    async def send(self, command: Message) -> None:
        """Tell it to do something; one that has died is not told."""
        assert self._process.stdin is not None
        try:
            await self._process.stdin.send(command.encode())
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            self.alive = False

    async def reports(self) -> AsyncIterator[Message]:
        """What it says, until it says goodbye or dies. Raises EngineError where it cannot go on."""
        assert self._process.stdout is not None
        lines = BufferedByteReceiveStream(self._process.stdout)
        while True:
            try:
                line = await lines.receive_until(b"\n", MAX_LINE)
                report = messages.decode(line)
            except (anyio.IncompleteRead, anyio.ClosedResourceError, anyio.BrokenResourceError):
                self.alive = False
                return
            except (anyio.DelimiterNotFound, MessageError) as error:
                self.alive = False
                raise EngineError(f"worker {self.worker}: an unreadable report: {error}") from None
            yield report

    def last_words(self) -> str:
        """Return the last line of its stderr."""
        try:
            lines = self._errors.read_text(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1] if lines else ""


@asynccontextmanager
async def engine_process(worker: int, folder: Path) -> AsyncIterator[EngineProcess]:
    """Start an engine; when the block ends it is gone, whatever happened."""
    errors = folder / f"engine-{worker}.stderr"
    with errors.open("wb") as stderr:
        process = await anyio.open_process(
            [sys.executable, "-m", "simulator.fleet.process"],
            start_new_session=True,  # Ctrl-C is the driver's to handle
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
    try:
        yield EngineProcess(process, worker, errors)
    finally:
        await end_process(process)
        with suppress(OSError):  # somebody may have taken the folder away
            if not errors.stat().st_size:
                errors.unlink()


async def end_process(process: Process) -> None:
    """Close its input, which ends it; kill it if that does not."""
    with anyio.CancelScope(shield=True):
        if process.stdin is not None:
            await process.stdin.aclose()
        with anyio.move_on_after(KILL_AFTER_S):
            await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()
        await process.aclose()
