"""One engine: a fleet on an event loop, with its connections, its timer and its intervals."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ssl
import time
from collections.abc import Callable
from dataclasses import asdict
from io import FileIO
from pathlib import Path
from typing import Any

from simulator.config import Profile
from simulator.config.security import NoAuthentication
from simulator.fleet.chfs import Destination
from simulator.fleet.conformance import ConformanceSample
from simulator.fleet.connections import FleetConnections
from simulator.fleet.draws import seed_key, session_key
from simulator.fleet.fleet import Fleet, Share
from simulator.fleet.journal import PERIOD_S, Journal
from simulator.fleet.messages import Configure, Control
from simulator.fleet.network_functions import NetworkFunction, build_network_functions
from simulator.fleet.notify_server import NotifyServer
from simulator.fleet.phases import Phases
from simulator.fleet.samples import FailureSamples
from simulator.fleet.tokens import Tokens
from simulator.fleet.trace import Trace, TraceFile
from simulator.fleet.vitals import GarbagePauses, timer_floor_us
from simulator.fleet.witnesses import NOBODY, Witnesses
from simulator.http2 import Target, client_tls, without_user
from simulator.measure import INTERVAL_S, Merge, Phase, Recorder, Snapshot
from simulator.n40.conformance import SchemaCheck
from simulator.n40.flow import NEVER
from simulator.n40.notification import Notification, NotificationKind

NS_PER_S = 1_000_000_000
TIMER_FLOOR_NS = 1_000_000
"""uvloop's timers count in milliseconds; what is due within one is waited for together."""


def split_root(target: str) -> tuple[Target, bytes]:
    """Split an API root into where to connect and the path under which the API begins. Raises ValueError."""
    scheme, separator, rest = target.partition("://")
    authority, slash, path = rest.partition("/")
    root = (slash + path).rstrip("/")
    if separator and any(character <= " " or character in "?#" or not character.isascii() for character in root):
        raise ValueError(
            f"target {without_user(target)!r}: the path of an API root has no query, blanks or letters beyond ASCII"
        )
    return Target.parse(scheme + separator + authority), root.encode()


def _schemas(folder: Path) -> SchemaCheck:
    from simulator.config.openapi import load_schemas  # noqa: PLC0415 - few runs need it

    return load_schemas(folder)


class Engine:
    """Runs one worker's share of a profile.

    `on_snapshot` gets every interval, `on_finished` tells when all is done, `on_error` why it cannot go on, in one line, and
    `on_event` what a person should know at once: about what, and what happened. `on_sample` gets some failed attempts.
    """

    def __init__(
        self,
        command: Configure,
        on_snapshot: Callable[[Snapshot], None],
        on_finished: Callable[[], None],
        on_error: Callable[[str], None],
        on_event: Callable[[str, str], None],
        on_sample: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.profile = Profile.model_validate(command.profile)
        self._command = command
        self._on_snapshot = on_snapshot
        self._on_finished = on_finished
        self._on_error = on_error
        self._on_event = on_event
        self._on_sample = on_sample
        self._witnesses = NOBODY
        self._finished = asyncio.Event()
        targets = [split_root(target) for target in command.targets]
        self._destinations = [
            Destination(scheme=target.scheme.encode(), authority=target.authority, root=root)
            for target, root in targets
        ]
        if len({destination.root for destination in self._destinations}) > 1:
            raise ValueError("targets: all CHFs need the same path, because a session keeps its path when it moves")
        if any(target.scheme == "https" for target, _ in targets):
            self._tls()  # what is wrong with it is said now
        self._schema = None if command.openapi is None else _schemas(Path(command.openapi))
        seed = seed_key(command.seed)
        self._key = session_key(seed, command.worker, command.workers)
        self._connections = FleetConnections(
            [target for target, _ in targets],
            self.profile.connections,
            codec=command.codec,
            tls=self._tls,
            key=self._key,
        )
        self._fleet: Fleet | None = None
        self._records: FileIO | None = None
        self._journal: FileIO | None = None
        self._notified: NotifyServer | None = None
        self._tokens: Tokens | None = None
        self._functions: dict[str, list[NetworkFunction]] = {}
        self._counted: dict[str, int] = {}
        self._armed_for = 0
        self._timer: asyncio.TimerHandle | None = None
        self._interval: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None
        self._boundary: asyncio.TimerHandle | None = None
        self._phase_until = NEVER
        self._lag = 0
        self._pauses = GarbagePauses()
        self._timer_floor_us = 0.0
        self._floor: asyncio.Task[None] | None = None

    def _tls(self) -> ssl.SSLContext:
        """The context for every https origin. Raises ValueError."""
        command = self._command
        return client_tls(
            ca_file=command.ca_file, certificate=command.certificate, key=command.key, insecure=command.insecure
        )

    async def open(self) -> None:
        """Connect. Raises TargetError."""
        self._loop = asyncio.get_running_loop()
        try:
            await self._listen()
            base = None if self._notified is None else self._notified.base_uri
            self._functions = build_network_functions(self.profile, self._command.worker, base)
            functions = [each for instances in self._functions.values() for each in instances]
            # Buffered by the books, which hand over whole batches.
            self._records = Path(self._command.records).open("ab", buffering=0)  # noqa: ASYNC230, SIM115
            if self._command.journal is not None:
                self._journal = Path(self._command.journal).open("ab", buffering=0)  # noqa: ASYNC230, SIM115
            await self._authenticate(functions)
            await self._connections.open(functions)
        except BaseException:
            self._close_files()
            await self._close()
            raise

    async def _listen(self) -> None:
        """Be there for the CHF's notifications. Raises NotifyError."""
        if self.profile.notify.enabled:
            self._notified = await NotifyServer.open(
                self.profile.notify,
                self._command.worker,
                self._on_notify,
                codec=self._command.codec,
            )

    async def _authenticate(self, functions: list[NetworkFunction]) -> None:
        """Get the first tokens, where the profile wants any. Raises TokenError."""
        authentication = self.profile.authentication
        if isinstance(authentication, NoAuthentication):
            return
        self._tokens = Tokens(
            authentication,
            functions,
            targets=[destination.origin.decode() for destination in self._destinations],
            tls=self._tls,
            draw=self._connections.draw,
            on_note=lambda text: self._on_event("authentication", text),
        )
        await self._tokens.open()

    def _on_notify(self, charging_id: int, notification: Notification) -> bool:
        if self._fleet is None:
            return False
        abort = notification.kind is NotificationKind.ABORT_CHARGING
        return self._fleet.on_notify(charging_id, notification.rating_groups, time.monotonic_ns(), abort=abort)

    def start(self, t0: int, epoch: int) -> None:
        """Begin the load at `t0`; see `Start`."""
        command = self._command
        self.recorder = Recorder(t0)
        self._witnesses = self._witnesses_from(t0)
        self._fleet = Fleet(
            self.profile,
            seed=command.seed,
            share=Share(index=command.worker, workers=command.workers),
            destinations=self._destinations,
            recorder=self.recorder,
            transmit=self._connections.transmit,
            write_record=self._write_record,
            t0=t0,
            epoch=epoch,
            wake=self._wake,
            on_finished=self._finish,
            tell=self._on_event,
            functions=self._functions,
            tokens=self._tokens,
            sample=self._sample(self.recorder),
            witnesses=self._witnesses,
        )
        self._t0 = t0
        self._phases = Phases(self._fleet.timeline, self.profile.load)
        self._idle_cpu_s = time.process_time()  # start-up and imports are no part of the load
        self._begin_phase(t0)
        # Nothing on the hot path makes reference cycles; a full collection over a million open sessions would stop the
        # engine for a second. Young objects are still collected, once an interval.
        gc.collect()
        gc.freeze()
        gc.disable()
        self._pauses.take()
        self._floor = self._loop.create_task(self._measure_timer_floor(t0))
        self._interval = self._loop.call_later(INTERVAL_S, self._cut)
        self._writing = self._loop.call_later(PERIOD_S, self._keep_writing)
        if self._fleet.finished:
            self._finish()  # no session of the run is this worker's
        else:
            self._wake(self._fleet.next_deadline())

    def _sample(self, recorder: Recorder) -> ConformanceSample | None:
        command = self._command
        return (
            ConformanceSample(command.conformance, self._schema, recorder, self._on_event)
            if command.conformance
            else None
        )

    def _witnesses_from(self, t0: int) -> Witnesses:
        traces = {number: TraceFile(Path(file)) for number, file in self._command.traces}
        return Witnesses(
            journal=None if self._journal is None else Journal(self._write_journal),
            samples=None if self._on_sample is None else FailureSamples(t0, self._key, self._on_sample),
            trace=Trace(t0, traces) if traces else None,
        )

    # -- on disk ------------------------------------------------------------------------------------------------------

    def _write_record(self, lines: bytes) -> None:
        assert self._records is not None
        self._write(self._records, lines, f"records cannot be written to {self._command.records}")

    def _write_journal(self, lines: bytes) -> None:
        assert self._journal is not None
        self._write(self._journal, lines, f"the journal cannot be written to {self._command.journal}")

    def _write(self, file: FileIO, lines: bytes, trouble: str) -> None:
        """All of it, though the system may take it in pieces. Without its books an engine cannot go on."""
        left = memoryview(lines)
        try:
            while left:
                left = left[file.write(left) :]
        except OSError as error:
            self._on_error(f"{trouble}: {error.strerror}")

    def write_down(self) -> None:
        """Leave on disk what has ended and what is open, as of now."""
        if self._fleet is not None:
            self._fleet.books.flush()
        if self._witnesses.journal is not None:
            self._witnesses.journal.flush()

    def _keep_writing(self) -> None:
        self._writing = self._loop.call_later(PERIOD_S, self._keep_writing)
        self.write_down()

    def _close_files(self) -> None:
        for file in (self._records, self._journal):
            if file is not None:
                file.close()
        if self._witnesses.trace is not None:
            self._witnesses.trace.close()

    # -- time ---------------------------------------------------------------------------------------------------------

    def _wake(self, moment: int) -> None:
        """Be there at `moment`, or earlier."""
        assert self._fleet is not None
        now = time.monotonic_ns()
        delay = max(moment - now, TIMER_FLOOR_NS)
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = now + delay
        self._fleet.awake_until = moment
        self._timer = self._loop.call_later(delay / NS_PER_S, self._on_timer)

    def _on_timer(self) -> None:
        fleet = self._fleet
        assert fleet is not None
        self._timer = None
        now = time.monotonic_ns()
        self._lag = max(self._lag, now - self._armed_for)
        if now >= self._phase_until:
            self._change_phase()
        fleet.awake_until = 0  # what is scheduled meanwhile is seen below
        fleet.on_time(now)
        self._wake(fleet.next_deadline())

    async def _measure_timer_floor(self, t0: int) -> None:
        self._timer_floor_us = await timer_floor_us(t0)

    def _finish(self) -> None:
        if not self._finished.is_set():
            self._finished.set()
            self._on_finished()

    # -- the course of the load ---------------------------------------------------------------------------------------

    def control(self, command: Control) -> bool:
        """Change the load; tell whether that could be done."""
        if self._fleet is None:
            return False
        now = time.monotonic_ns()
        if not self._fleet.control(command.at, command.action, command.value, now):
            return False
        if self.recorder.phase != Phase.DRAIN:
            self._await_boundary()
        self._wake(self._fleet.next_deadline())
        return True

    def _change_phase(self) -> None:
        """An interval ends where a phase does."""
        if self.recorder.phase != Phase.DRAIN:
            self._take_interval()
            self._begin_phase(time.monotonic_ns())

    def _begin_phase(self, now: int) -> None:
        self.recorder.phase = self._phases.at(now)
        self._await_boundary()

    def _await_boundary(self) -> None:
        """Be there when the next phase begins: commands move that moment."""
        if self._boundary is not None:
            self._boundary.cancel()
            self._boundary = None
        self._phase_until = self._phases.until(time.monotonic_ns())
        if self._phase_until < NEVER:
            delay = max(0, self._phase_until - time.monotonic_ns())
            self._boundary = self._loop.call_later(delay / NS_PER_S, self._on_boundary)

    def _on_boundary(self) -> None:
        self._boundary = None
        if time.monotonic_ns() >= self._phase_until:
            self._change_phase()
        else:  # a timer of whole milliseconds may come early
            self._await_boundary()

    # -- intervals ----------------------------------------------------------------------------------------------------

    def _cut(self) -> None:
        self._interval = self._loop.call_later(INTERVAL_S, self._cut)
        self._take_interval()

    def _take_interval(self) -> None:
        fleet, recorder = self._fleet, self.recorder
        assert fleet is not None
        self.write_down()
        now = time.monotonic_ns()
        fleet.set_gauges(now)
        counters = recorder.counters
        self._connections.measure(self._count, recorder.gauge)
        self._count_growth()
        recorder.gauge("loop_lag_us", self._lag / 1000, Merge.MAX)
        longest, whole = self._pauses.take()
        recorder.gauge("gc_pause_us", longest, Merge.MAX)
        recorder.gauge("timer_floor_us", self._timer_floor_us, Merge.MAX)
        if whole:
            counters["gc_us"] += whole
        recorder.gauge("cpu_s", time.process_time() - self._idle_cpu_s)
        self._lag = 0
        if counters or now > self._t0:
            self._on_snapshot(recorder.cut(now))
        gc.collect(0)

    def _count(self, name: str, grown: int) -> None:
        self.recorder.counters[name] += grown

    def _count_growth(self) -> None:
        """Notifications and tokens since the last cut."""
        totals: dict[str, int] = {}
        if self._notified is not None:
            totals = {
                f"notifies|{kind or 'unreadable'}|{status}": count
                for (kind, status), count in self._notified.counts.items()
            }
        if self._tokens is not None:
            totals |= {f"tokens|{name}": count for name, count in asdict(self._tokens.statistics()).items()}
        for name, total in totals.items():
            if total != self._counted.get(name, 0):
                self._count(name, total - self._counted.get(name, 0))
                self._counted[name] = total

    # -- the end ------------------------------------------------------------------------------------------------------

    async def drain(self, timeout_s: float) -> int:
        """Release what is open; return how many sessions are left open at the CHF."""
        if self._fleet is None:
            return await self.stop()
        now = time.monotonic_ns()
        self._take_interval()
        self.recorder.phase = Phase.DRAIN
        self._fleet.drain(now, int(timeout_s * NS_PER_S))
        self._wake(now)
        end = now + int(timeout_s * NS_PER_S)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._finished.wait(), (end - time.monotonic_ns()) / NS_PER_S)
        return await self.stop()

    async def stop(self) -> int:
        """Stop at once; return how many sessions are left open at the CHF."""
        fleet = self._fleet
        if fleet is None:
            await self._close()
            return 0
        for timer in (self._timer, self._interval, self._writing, self._boundary):
            if timer is not None:
                timer.cancel()
        fleet.stop()
        await self._close()
        fleet.abandon(time.monotonic_ns())
        if self._witnesses.samples is not None:
            self._witnesses.samples.finish()
        if self._witnesses.trace is not None:
            for problem in self._witnesses.trace.problems():
                self._on_event("trace:", problem)
        self._take_interval()
        self._close_files()
        return fleet.abandoned

    async def _close(self) -> None:
        """Close what is open: what is under way fails, and nobody is notified any more."""
        self._pauses.close()
        if self._floor is not None:
            self._floor.cancel()
        await self._connections.aclose()
        if self._tokens is not None:
            await self._tokens.aclose()
        if self._notified is not None:
            await self._notified.aclose()
