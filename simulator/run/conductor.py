"""One run from start to finish: sandbox, engines, load, drain, audit, verdict."""

from __future__ import annotations

import secrets
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio

from simulator.audit import Audit, AuditError, join_books
from simulator.config.openapi import load_schemas
from simulator.config.profile import FILL_PER_S
from simulator.fleet import messages
from simulator.fleet.timeline import Timeline
from simulator.measure import Snapshot, Threshold, ThresholdError, Totals, Watch, parse_threshold
from simulator.report import RunFacts, build_summary
from simulator.report.files import write_reports
from simulator.report.run_folder import RunFolderError
from simulator.run.books import ChfBooks
from simulator.run.control_api import control_app, run_state
from simulator.run.embedded import EmbeddedSandbox, SandboxFailedError, embedded_sandbox
from simulator.run.engines import EngineError, EngineProcess, engine_process
from simulator.run.events import RunEvents
from simulator.run.folder import RunFolder, run_folder
from simulator.run.host import HostTicks, host_ticks, neighbours
from simulator.run.limits import check_limits
from simulator.run.manifest import build_manifest
from simulator.run.options import InterruptedRunError, Result, RunError, RunOptions
from simulator.run.steering import Steering, SteeringError
from simulator.run.tracing import traced_subscribers
from simulator.version import __version__
from simulator.web import serving

READY_TIMEOUT_S = 60.0
HEAD_START_NS = 150_000_000
"""Between the command to start and the start, so that all engines begin together."""
HEAD_START_WITH_WEATHER_NS = 750_000_000
"""Where the sandbox has to be told first when its faults begin."""
LOOK_S = 0.1
"""How often the load's end and what somebody wants is looked at."""
GRACE_S = 10.0
"""Beyond the drain's timeout, for the engines to close down."""


async def conduct(options: RunOptions) -> Result:
    """Run. Raises RunError where it cannot be done as asked."""
    thresholds = read_thresholds(options)
    if options.openapi is not None:
        load_schemas(options.openapi)  # the engines do so again; what is wrong with them is said now
    traced_subscribers(options.profile, options.traces)  # what is wrong is said before there is a folder
    with run_folder(options) as folder:
        return await Conductor(options, folder, thresholds).run()


def read_thresholds(options: RunOptions) -> list[Threshold]:
    """The profile's, and those that were given besides. Raises RunError."""
    read = []
    for source, texts in (
        (f"profile {options.profile.name}", options.profile.thresholds),
        ("--threshold", options.thresholds),
    ):
        for text in texts:
            try:
                read.append(parse_threshold(text))
            except ThresholdError as error:
                raise RunError(f"{source}: {error}") from None
    return read


class Conductor:
    """Holds what is known about one run while it goes."""

    def __init__(self, options: RunOptions, folder: RunFolder, thresholds: Sequence[Threshold]) -> None:
        self._options = options
        self._thresholds = thresholds
        self._watch = Watch(thresholds, options.workers)
        self._profile = options.profile
        self._folder = folder
        self._events = RunEvents(folder, options.observer)
        self._seed = options.profile.seed if options.seed is None else options.seed
        self._traced = traced_subscribers(options.profile, options.traces)
        self._totals = Totals()
        self._sandbox: EmbeddedSandbox | None = None
        self._engines: list[EngineProcess] = []
        self._notes: list[str] = []
        self._failures: list[str] = []
        self._unverifiable = ""
        self._interrupted = False
        self._stopped = False  # interrupted once more
        self._started = False
        self._measured = False  # the load is over and drained
        self._load_over = anyio.Event()
        self._all_ready = anyio.Event()
        self._all_gone = anyio.Event()
        self._books = ChfBooks(folder.path, options.ledger)
        self._host: HostTicks | None = None

    async def run(self) -> Result:
        """Do it; see the module."""
        problem: RunError | None = None
        async with anyio.create_task_group() as tasks:
            if self._options.handle_signals:
                tasks.start_soon(self._obey_signals)
            try:
                result = await self._run()
            except RunError as error:
                problem = error  # raised below, because a task group would wrap it
            except (OSError, ExceptionGroup) as error:
                problem = _disk_problem(error)
                if problem is None:
                    raise
            tasks.cancel_scope.cancel()
        if problem is not None:
            raise problem
        return result

    async def _run(self) -> Result:
        async with AsyncExitStack() as stack:
            embedded = not self._options.targets
            chfs = self._profile.sandbox.endpoints if embedded else len(self._options.targets)
            check_limits(self._profile, self._options.workers, chfs, sandbox=embedded)
            targets = await self._prepare_targets(stack)
            for worker in range(self._options.workers):
                self._engines.append(await stack.enter_async_context(engine_process(worker, self._folder.path)))
            facts = await self._load(targets)
            self._measured = True
            self._notes += self._folder.notes(self._traced)
            audit = await self._audit()
            broken = await self._books.promises_broken()
            self._notes += filter(None, [await self._books.undelivered()])
        facts = replace(
            facts,
            promises_broken=broken,
            notes=tuple(self._notes),
            events=tuple(self._events.kept),
            interrupted=self._interrupted,
            could_not_run="; ".join([*self._failures, *self._folder.trouble]),
            lost_workers=tuple(engine.worker for engine in self._engines if engine.given_up),
        )
        summary = build_summary(self._totals, facts, audit, self._thresholds, self._watch.lines())
        unwritten = self._folder.write_summary(summary)
        if not unwritten and self._folder.kept:
            unwritten = await anyio.to_thread.run_sync(self._write_reports)
        return Result(summary=summary, folder=self._folder.path if self._folder.kept else None, unwritten=unwritten)

    def _write_reports(self) -> str:
        """Return why they cannot be written, "" if they can."""
        try:
            write_reports(self._folder.path)
        except RunFolderError as error:
            return f"the reports cannot be written: {error}"
        except OSError as error:
            return f"the reports cannot be written to {self._folder.path}: {error.strerror}"
        return ""

    # -- before -------------------------------------------------------------------------------------------------------

    async def _prepare_targets(self, stack: AsyncExitStack) -> list[str]:
        options = self._options
        if not options.targets:
            try:
                self._sandbox = await stack.enter_async_context(
                    embedded_sandbox(self._profile, self._folder.path, self._seed)
                )
            except SandboxFailedError as error:
                raise RunError(str(error)) from None
            self._books = ChfBooks(self._folder.path, f"{self._sandbox.management}/ledger")
            return list(self._sandbox.endpoints)
        pace = self._profile.pace
        if pace is not None and pace != 1.0:
            self._notes.append(
                f"pace {pace:g}x: the CHF's timers (validity, quota holding) run out {pace:g} times as early as it granted them"
            )
        if not any(target.lower().startswith("https:") for target in options.targets):
            for option, given in (
                ("--ca-file", options.ca_file), ("--certificate", options.certificate), ("--key", options.key),
            ):  # fmt: skip
                if given is not None:
                    raise RunError(f"{option}: the target {options.targets[0]} is not https")
        elif options.key is not None and options.certificate is None:
            raise RunError("--key: needs --certificate")
        if options.insecure:
            self._notes.append("the CHF's certificate was not checked (--insecure)")
        if options.ledger is None:
            self._unverifiable = "the books of this CHF were not read"
        await self._books.open()
        return list(options.targets)

    async def _configure(self, targets: list[str]) -> None:
        options = self._options
        traces = [(number, str(self._folder.trace(name))) for name, number in self._traced.items()]
        for engine in self._engines:
            await engine.send(
                messages.Configure(
                    protocol=messages.PROTOCOL,
                    version=__version__,
                    profile=self._profile.model_dump(mode="json"),
                    seed=self._seed,
                    worker=engine.worker,
                    workers=options.workers,
                    targets=targets,
                    records=str(self._folder.records(engine.worker)),
                    codec=options.codec,
                    ca_file=_text(options.ca_file),
                    certificate=_text(options.certificate),
                    key=_text(options.key),
                    insecure=options.insecure,
                    conformance=options.conformance,
                    openapi=_text(options.openapi),
                    journal=_text(self._folder.journal(engine.worker)),
                    traces=traces,
                )
            )

    # -- the load -----------------------------------------------------------------------------------------------------

    async def _load(self, targets: list[str]) -> RunFacts:
        observer = self._options.observer
        failure: list[Exception] = []
        async with anyio.create_task_group() as tasks:
            for engine in self._engines:
                tasks.start_soon(self._listen, engine, failure)
            await self._configure(targets)
            try:
                with anyio.fail_after(READY_TIMEOUT_S):
                    await self._all_ready.wait()
            except TimeoutError:
                failure.append(RunError("the engines were not ready in time"))
            if failure or self._interrupted:
                tasks.cancel_scope.cancel()
            else:
                self._started = True
                facts = await self._start(targets)
                steering = self._steering(facts)
                observer.begin(facts, self._totals)
                if self._sandbox is not None:
                    tasks.start_soon(self._watch_sandbox, self._sandbox)
                tasks.start_soon(self._keep_ticking, steering)
                async with self._management(steering):
                    await self._until_over(steering.timeline)
                    steering.load_is_over()
                    await self._until_drained(failure)
                tasks.cancel_scope.cancel()
        if not self._started and self._interrupted:
            raise InterruptedRunError("interrupted before the load began")
        if failure:
            raise RunError(str(failure[0]))
        observer.end()
        left = sum(engine.left_open or 0 for engine in self._engines)
        if left:
            why = "stopped before they were released" if self._stopped else "the drain's time was over"
            self._notes.append(f"{left:,} sessions were left open at the CHF: {why}")
            if self._folder.kept and self._sandbox is None:
                self._notes.append(f"smfleet release-orphans {self._folder.path} releases them")
        return replace(facts, duration_s=(time.monotonic_ns() - facts.t0) / 1e9)

    async def _start(self, targets: list[str]) -> RunFacts:
        profile, options = self._profile, self._options
        wanted, possible = profile.load.start_open, int(FILL_PER_S * profile.load.planned_s)
        if wanted > possible:
            self._notes.append(
                f"{wanted - possible:,} of the {wanted:,} sessions to be found open were not set up: it takes a second for "
                f"{FILL_PER_S:,} of them, and the duration is {profile.load.planned_s:g} s"
            )
        self._host = host_ticks()
        weather = self._sandbox if self._profile.sandbox.faults else None
        head_start = HEAD_START_NS if weather is None else HEAD_START_WITH_WEATHER_NS
        t0 = time.monotonic_ns() + head_start
        self._events.t0_s = t0 / 1e9
        epoch = time.time_ns() + head_start
        facts = RunFacts(
            profile=profile.name,
            seed=self._seed,
            version=__version__,
            target=targets[0],
            targets=tuple(targets),
            sandbox=not options.targets,
            pace="flat-out" if profile.pace is None else f"{profile.pace:g}x",
            mode=profile.load.mode,
            subscribers=profile.subscribers.count,
            workers=options.workers,
            started_at=datetime.fromtimestamp(epoch / 1e9, UTC).isoformat(timespec="milliseconds"),
            t0=t0,
            planned_s=profile.load.planned_s,
        )
        self._folder.write_manifest(
            build_manifest(options, facts, run_id=secrets.token_hex(8), epoch=epoch, notes=self._notes)
        )
        if weather is not None:
            await weather.start_weather(t0)
        await self._send_to_all(messages.Start(t0=t0, epoch=epoch))
        return facts

    def _steering(self, facts: RunFacts) -> Steering:
        return Steering(
            Timeline(self._profile.load.timeline, facts.t0),
            send=self._send_to_all,
            stop=self._load_over.set,
            record=lambda text: self._events.tell("control", text),
        )

    async def _send_to_all(self, command: messages.Message) -> None:
        for engine in self._engines:
            await engine.send(command)

    @asynccontextmanager
    async def _management(self, steering: Steering) -> AsyncIterator[None]:
        """Be there for whoever asks over HTTP, if that is wanted."""
        port = self._options.management_port
        if port is None:
            yield
            return

        def state(now: int) -> dict[str, Any]:
            return run_state(self._profile.name, steering.progress(now), self._totals)

        async with AsyncExitStack() as stack:
            try:
                address = await stack.enter_async_context(serving(control_app(steering, state), "127.0.0.1", port))
            except OSError as error:
                self._failures.append(f"the management API cannot listen on port {port}: {error.strerror}")
                self._load_over.set()
            else:
                self._options.observer.note(f"management: {address}/run")
            yield

    async def _until_over(self, timeline: Timeline) -> None:
        """Wait for the end of the load, which commands move."""
        while not self._load_over.is_set() and (left := timeline.end - time.monotonic_ns()) > 0:
            with anyio.move_on_after(min(left / 1e9, LOOK_S)):
                await self._load_over.wait()

    async def _until_drained(self, failure: list[Exception]) -> None:
        self._load_over.set()
        self._notes += neighbours(
            self._host, host_ticks(), self._totals.gauge("cpu_s"), sandbox=self._sandbox is not None
        )
        timeout = self._profile.timeouts.drain
        await self._send_to_all(messages.Drain(timeout_s=timeout))
        with anyio.move_on_after(timeout + GRACE_S) as waiting:
            await self._all_gone.wait()
        if waiting.cancelled_caught:
            for engine in self._engines:
                if engine.alive and not engine.given_up:
                    self._give_up_on(engine, f"worker {engine.worker} did not end its drain", failure)

    async def _keep_ticking(self, steering: Steering) -> None:
        """Tell the observer where the load is, and carry out what it wants."""
        wishes = self._options.wishes
        while True:
            await anyio.sleep(LOOK_S)
            while wishes is not None and (wish := wishes.take()) is not None:
                try:
                    await steering.carry_out(wish, time.monotonic_ns())
                except SteeringError as error:
                    self._options.observer.note(str(error))
            now = time.monotonic_ns()
            self._options.observer.tick(now, steering.progress(now))

    async def _listen(self, engine: EngineProcess, failure: list[Exception]) -> None:
        try:
            async for report in engine.reports():
                if isinstance(report, messages.SnapshotReport):
                    self._folder.intervals.write({"worker": engine.worker, **report.snapshot})
                self._on_report(engine, report, failure)
        except EngineError as error:
            self._give_up_on(engine, str(error), failure)
            await engine.send(messages.Stop())
        if engine.left_open is None and not engine.given_up:
            words = engine.last_words()
            self._give_up_on(engine, f"worker {engine.worker} died{': ' + words if words else ''}", failure)
        self._note_progress(failed=bool(failure))

    def _on_report(self, engine: EngineProcess, report: messages.Message, failure: list[Exception]) -> None:
        match report:
            case messages.SnapshotReport():
                snapshot = Snapshot.from_wire(report.snapshot)
                self._totals.add(engine.worker, snapshot)
                for threshold in self._watch.add(engine.worker, snapshot):
                    self._abort(threshold)
            case messages.Ready():
                engine.ready = True
            case messages.Event(name="finished"):
                engine.finished = True
            case messages.Event(name="note"):
                self._events.on_engine(report)
            case messages.Sample():
                self._folder.keep_sample(engine.worker, report.sample)
            case messages.Drained():
                engine.left_open = report.open
            case messages.Error():
                self._give_up_on(engine, report.text, failure)
            case _:
                pass
        self._note_progress(failed=bool(failure))

    def _abort(self, threshold: Threshold) -> None:
        """It cannot hold any more, and says that the load is then over. In the drain there is nothing left to end."""
        if self._load_over.is_set():
            return
        self._events.tell("threshold", f"threshold {threshold.text}: cannot hold any more; releasing what is open")
        self._load_over.set()

    def _note_progress(self, *, failed: bool = False) -> None:
        if failed or all(engine.ready for engine in self._engines):
            self._all_ready.set()
        if all(engine.finished or not engine.alive for engine in self._engines):
            self._load_over.set()
        if not any(engine.alive for engine in self._engines):
            self._all_gone.set()

    def _give_up_on(self, engine: EngineProcess, text: str, failure: list[Exception]) -> None:
        """An engine cannot go on. Before the start there is no run without it.

        Later its share of the load and its open sessions are lost, and the run says so; what was measured until then is kept.
        """
        engine.given_up = True
        if not engine.ready:
            failure.append(EngineError(text))
            return
        self._failures.append(f"{text}; its share of the load was not offered, its open sessions are unaccounted for")
        self._unverifiable = self._unverifiable or text
        self._events.tell("worker", text)

    async def _watch_sandbox(self, sandbox: EmbeddedSandbox) -> None:
        await sandbox.wait()
        text = "the sandbox died and was restarted; what it had charged before is unverifiable"
        self._unverifiable = text
        self._notes.append(text)
        self._events.tell("sandbox", text)
        try:
            await sandbox.restart()
        except SandboxFailedError as error:
            self._failures.append(f"the sandbox died and could not be restarted: {error}")
            self._events.add("sandbox", self._failures[-1])
            self._load_over.set()
            return
        await sandbox.wait()
        self._failures.append("the sandbox died a second time")
        self._events.add("sandbox", self._failures[-1])
        self._load_over.set()

    async def _obey_signals(self) -> None:
        """The first Ctrl-C drains, the second stops at once; the audit that follows is made in any case."""
        with anyio.open_signal_receiver(*_ends()) as signals:
            async for _ in signals:
                if not self._started:
                    self._interrupted = True
                    self._all_ready.set()
                elif self._measured:
                    self._interrupted = True
                    self._options.observer.note("interrupted: the books are being joined, and then it ends")
                elif self._interrupted:
                    self._stopped = True
                    self._events.add("control", "interrupted once more: stopped at once")
                    for engine in self._engines:
                        await engine.send(messages.Stop())
                else:
                    self._interrupted = True
                    self._events.tell("control", "interrupted: releasing what is open; once more stops at once")
                    self._load_over.set()

    # -- after --------------------------------------------------------------------------------------------------------

    async def _audit(self) -> Audit | None:
        """Join the fleet's records with the CHF's ledger, where there is one to read."""
        unread = await self._books.close()
        unverifiable = self._unverifiable or unread
        try:
            return await anyio.to_thread.run_sync(join_books, self._folder.path, unverifiable)
        except (AuditError, sqlite3.Error) as error:
            self._failures.append(f"the books cannot be audited: {error}")
            return None


def _ends() -> list[signal.Signals]:
    """What asks a run to end; a terminal that is closed too, unless that is to be survived (nohup)."""
    ends = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        ends.append(signal.SIGHUP)
    return ends


def _disk_problem(error: Exception) -> RunError | None:
    """A line for what the system refused, however deep in groups of exceptions it is; None for a mistake of ours."""
    if isinstance(error, ExceptionGroup):
        found = [_disk_problem(each) for each in error.exceptions]
        return found[0] if all(found) else None
    if isinstance(error, OSError) and error.strerror:
        return RunError(f"{error.filename}: {error.strerror}" if error.filename else error.strerror)
    return None


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
