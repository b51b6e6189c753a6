"""An engine as a process: commands come as lines on stdin, reports leave as lines on stdout, and EOF on stdin ends it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any, cast

from simulator.fleet import messages
from simulator.fleet.engine import Engine
from simulator.fleet.messages import MAX_LINE, Message, MessageError
from simulator.fleet.notify_server import NotifyError
from simulator.fleet.token_life import TokenError
from simulator.http2 import TargetError
from simulator.measure import Snapshot
from simulator.version import __version__

FULL_PIPE = 256 << 10
"""Octets that may wait in the pipe to the driver; beyond, intervals are kept back and added up."""


class Reports(asyncio.Protocol):
    """The pipe to the driver."""

    def __init__(self) -> None:
        self.worker = 0
        self._transport: asyncio.WriteTransport | None = None
        self._closed = asyncio.Event()
        self._kept: Snapshot | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The pipe is open."""
        # A cast, because uvloop's transports do not derive from asyncio's.
        self._transport = cast("asyncio.WriteTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Everything is written, or the driver is gone."""
        self._closed.set()

    async def aclose(self) -> None:
        """Wait until everything is written."""
        if self._transport is not None:
            self._transport.close()
            await self._closed.wait()

    def send(self, message: Message) -> None:
        """Report something."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(message.encode())

    def send_snapshot(self, snapshot: Snapshot) -> None:
        """Report an interval; while the driver does not read, intervals are added up instead."""
        if self._kept is not None and self._kept.phase != snapshot.phase:
            self.send_kept()  # there are few phases, and each is judged by itself
        if self._kept is not None:
            self._kept.merge_newer(snapshot)
            snapshot = self._kept
        self._kept = snapshot
        if self._transport is None or self._transport.get_write_buffer_size() <= FULL_PIPE:
            self.send_kept()

    def send_kept(self) -> None:
        """Report what was kept back, however full the pipe is: the load is over."""
        if self._kept is not None:
            self.send(messages.SnapshotReport(worker=self.worker, snapshot=self._kept.to_wire()))
            self._kept = None


class Commands:
    """Carries out the driver's commands, one after the other."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports
        self._engine: Engine | None = None
        self._draining: asyncio.Task[None] | None = None
        self.over = asyncio.Event()

    async def carry_out(self, line: bytes) -> None:
        """Carry out one command; what goes wrong is reported as one line."""
        try:
            await self._carry_out(messages.decode(line))
        except (TargetError, TokenError, NotifyError, MessageError, ValueError, OSError) as error:
            self.give_up(str(error))

    def on_exception(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A mistake of ours in a callback: the run has to know, because a timer or a session may be dead."""
        loop.default_exception_handler(context)
        error = context.get("exception")
        if error is not None and "transport" not in context:
            self.give_up(f"internal error: {type(error).__name__}: {' '.join(str(error).split())}")

    def give_up(self, text: str) -> None:
        """Say in one line why this engine cannot go on."""
        if self.over.is_set():
            return
        self._reports.send_kept()
        self._reports.send(messages.Error(worker=self._reports.worker, text=text))
        self.over.set()

    async def _carry_out(self, command: Message) -> None:
        match command:
            case messages.Configure():
                await self._configure(command)
            case messages.Start():
                if self._engine is None:
                    raise MessageError("start comes before configure")
                self._engine.start(command.t0, command.epoch)
            case messages.Control():
                if self._engine is None or not self._engine.control(command):
                    self._on_event("control", f"{command.action} is not done: it is unknown, or comes before the start")
            case messages.Drain():
                self._draining = asyncio.get_running_loop().create_task(self._drain(command.timeout_s))
                self._draining.add_done_callback(self._on_drain_over)
            case messages.Stop():
                if self._draining is not None:
                    self._draining.cancel()
                await self._drain(0)
            case _:
                raise MessageError(f"{command.TYPE} is no command")

    async def _configure(self, command: messages.Configure) -> None:
        self._reports.worker = command.worker
        if (command.protocol, command.version) != (messages.PROTOCOL, __version__):
            raise MessageError(
                f"this engine is version {__version__} (protocol {messages.PROTOCOL}), "
                f"the driver is version {command.version} (protocol {command.protocol})"
            )
        self._engine = Engine(
            command, self._reports.send_snapshot, self._on_finished, self.give_up, self._on_event, self._on_sample
        )
        await self._engine.open()
        self._reports.send(messages.Ready(worker=command.worker, version=__version__))

    def _on_drain_over(self, drain: asyncio.Task[None]) -> None:
        if not drain.cancelled() and (error := drain.exception()) is not None:
            self.on_exception(drain.get_loop(), {"message": "the drain failed", "exception": error})

    def _on_finished(self) -> None:
        self._reports.send(messages.Event(worker=self._reports.worker, name="finished"))

    def _on_event(self, subject: str, text: str) -> None:
        fields = {"subject": subject, "text": text}
        self._reports.send(messages.Event(worker=self._reports.worker, name="note", fields=fields))

    def _on_sample(self, sample: dict[str, Any]) -> None:
        self._reports.send(messages.Sample(worker=self._reports.worker, sample=sample))

    def on_driver_gone(self) -> None:
        """Nobody will say anything any more: leave what is known on disk."""
        if self._engine is not None:
            self._engine.write_down()

    async def _drain(self, timeout_s: float) -> None:
        left = 0
        if self._engine is not None:
            left = await (self._engine.drain(timeout_s) if timeout_s else self._engine.stop())
        self._reports.send_kept()
        self._reports.send(messages.Drained(worker=self._reports.worker, open=left))
        self._reports.send(messages.Bye(worker=self._reports.worker))
        self.over.set()


async def serve() -> None:
    """Be an engine until told to stop, or until the driver is gone."""
    loop = asyncio.get_running_loop()
    # Reports leave on a duplicate of stdout, which then points at stderr: a stray print breaks nothing.
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    _, reports = await loop.connect_write_pipe(Reports, out)
    reader = asyncio.StreamReader(limit=MAX_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    commands = Commands(reports)
    loop.set_exception_handler(commands.on_exception)
    reading = loop.create_task(read_commands(reader, commands))
    over = loop.create_task(commands.over.wait())
    await asyncio.wait({reading, over}, return_when=asyncio.FIRST_COMPLETED)
    if not commands.over.is_set():
        commands.on_driver_gone()
    reading.cancel()
    over.cancel()
    await reports.aclose()


async def read_commands(reader: asyncio.StreamReader, commands: Commands) -> None:
    """Carry out what the driver says until it says nothing more."""
    try:
        while line := await reader.readline():
            await commands.carry_out(line)
    except ValueError:
        commands.give_up(f"a command is longer than {MAX_LINE:,} octets")


def main() -> None:
    """Run an engine process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle: it drains
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        asyncio.run(serve())
    else:
        uvloop.run(serve())


if __name__ == "__main__":
    main()
