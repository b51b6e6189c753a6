"""Releases what a run left open at the CHF: a Release for each, at a bounded rate, written down as it is answered."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from simulator.config import Profile
from simulator.config.security import NoAuthentication
from simulator.fleet.chfs import Destination
from simulator.fleet.connections import FleetConnections
from simulator.fleet.dispatch import ACCEPT, CONTENT_TYPE, GZIP, METHOD
from simulator.fleet.draws import seed_key
from simulator.fleet.engine import split_root
from simulator.fleet.network_functions import NetworkFunction, build_network_functions
from simulator.fleet.pace import NowTimestamps, Pace, at_time_of_day, timestamps
from simulator.fleet.services import sbi_headers
from simulator.fleet.token_life import TokenError
from simulator.fleet.tokens import Tokens
from simulator.fleet.usage import Usage, build_usages
from simulator.http2 import Answer, Exchange, Failure, Header, TargetError, client_tls
from simulator.n40 import Operation, SessionContext, Timestamps, read_answer
from simulator.n40.answers import Action
from simulator.n40.sbi import compressed
from simulator.n40.triggers import ABNORMAL_RELEASE
from simulator.run.folder import JOURNAL, Lines
from simulator.run.options import RunError
from simulator.run.orphans import FAILED, RELEASED, RELEASED_FILE, UNKNOWN, Orphan, PastRun
from simulator.run.secrets import headers_removed

LAST_SEQUENCE: Final = (1 << 31) - 1
"""invocationSequenceNumber of these Releases: above what any session counts up to, and small enough for a signed integer of 32
bits. A second Release of a session has the same, so a CHF can tell that it is the same one."""
MOST_UNDER_WAY: Final = 256
ATTEMPTS: Final = 3
"""Where the CHF provably did not process the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseOptions:
    """What to release and how. `targets` are API roots in the order of the run's, none for those of the run itself."""

    folder: Path
    targets: Sequence[str] = ()
    rate: float = 200.0
    force: bool = False
    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    insecure: bool = False
    codec: str = "ngh2"


@dataclass(slots=True)
class Released:
    """What came of it. `unnamed` is how many more the CHF may have, at most; `first_problem` is that of the first that failed."""

    released: int = 0
    unknown: int = 0
    failed: int = 0
    unnamed: int = 0
    first_problem: str = ""


class Requests:
    """Makes the Releases of a run's sessions, as its network functions would have."""

    def __init__(self, run: PastRun, root: bytes) -> None:
        profile = run.profile
        self._subscribers = profile.subscribers.count
        self._epoch = run.epoch
        self._pace = Pace(0, profile.pace)
        self._stamps = timestamps(profile.timestamps, at_time_of_day(run.epoch, profile.session_clock), profile.pace)
        self._usages = [self._usages_of(profile, worker, root) for worker in range(run.workers)]

    def _usages_of(self, profile: Profile, worker: int, root: bytes) -> dict[str, Usage]:
        functions = build_network_functions(profile, worker)
        return {usage.name: usage for usage in build_usages(profile, functions, self._stamps, root)}

    def of(self, orphan: Orphan, utc: int) -> tuple[NetworkFunction, str, bytes, bytes]:
        """Return who sends it, for whom, its path and its body, at `utc` ns since 1970. Raises RunError."""
        usage = self._usages[orphan.worker].get(orphan.usage)
        if orphan.subscriber >= self._subscribers or (usage is not None and orphan.slot >= usage.slots):
            raise RunError(
                f"{JOURNAL.format(orphan.worker)}: session {orphan.number}: the profile has no such subscriber or slot"
            )
        context = None if usage is None else usage.context(orphan.subscriber, orphan.slot)
        if usage is None or not isinstance(context, SessionContext):
            raise RunError(
                f"{JOURNAL.format(orphan.worker)}: the profile has no sessions of the usage {orphan.usage!r}"
            )
        messages, reference = context.messages, orphan.reference.encode("latin-1")
        body = messages.release(
            messages.identify(orphan.subscriber),
            orphan.number & 0xFFFFFFFF,
            self._stamp(self._stamps, utc),
            LAST_SEQUENCE,
            ABNORMAL_RELEASE,
            b"",  # what was used is not known, so nothing is said about it
            context.timestamps.stamp(orphan.started),
        )
        path = orphan.path.encode("latin-1") or context.resource + b"/" + reference
        subscriber = messages.subscriber_identifier(orphan.subscriber)
        return usage.function(orphan.subscriber), subscriber, path + b"/release", body

    def _stamp(self, stamps: Timestamps, utc: int) -> bytes:
        if isinstance(stamps, NowTimestamps):
            stamps.set_now(utc - self._epoch)
        return stamps.stamp(self._pace.session_time(utc - self._epoch))


class Releaser:
    """Sends for one past run. `tell` gets a line for people now and then."""

    def __init__(self, run: PastRun, options: ReleaseOptions, tell: Callable[[str], None]) -> None:
        self._run = run
        self._options = options
        self._tell = tell
        self._result = Released()
        profile = run.profile
        targets = [split_root(target) for target in options.targets or run.manifest["targets"]]
        self._destinations = [
            Destination(scheme=target.scheme.encode(), authority=target.authority, root=root)
            for target, root in targets
        ]
        self._requests = Requests(run, self._destinations[0].root)
        functions = build_network_functions(profile, 0)  # connections are the same for all workers
        self._functions = [each for instances in functions.values() for each in instances]
        self._connections = FleetConnections(
            [target for target, _ in targets],
            profile.connections,
            codec=options.codec,
            tls=self._tls,
            key=seed_key(int(run.manifest["seed"])),
        )
        removed = headers_removed(run.manifest["profile"])
        if removed:
            tell(f"headers that were not written down are not sent: {', '.join(removed)}")
        self._sbi = sbi_headers(_without_headers(profile, removed))
        self._tokens: Tokens | None = None
        self._timeout = int(profile.timeouts.request * 1e9)
        self._places = asyncio.Semaphore(MOST_UNDER_WAY)
        self._trouble: list[str] = []
        _end_of_lines(run.folder / RELEASED_FILE)
        self._file = Lines(run.folder / RELEASED_FILE, self._trouble.append)

    def _tls(self) -> ssl.SSLContext:
        options = self._options
        return client_tls(
            ca_file=options.ca_file, certificate=options.certificate, key=options.key, insecure=options.insecure
        )

    async def release(self) -> Released:
        """Release everything. Raises RunError."""
        try:
            await self._open()
            await self._send_all()
        finally:
            await self._connections.aclose()
            if self._tokens is not None:
                await self._tokens.aclose()
            self._file.close()
        if self._trouble:
            raise RunError(self._trouble[0])
        self._result.unnamed = self._run.unnamed()
        return self._result

    async def _open(self) -> None:
        authentication = self._run.profile.authentication
        try:
            if not isinstance(authentication, NoAuthentication):
                self._tokens = Tokens(
                    authentication,
                    self._functions,
                    targets=[each.origin.decode() for each in self._destinations],
                    tls=self._tls,
                    draw=self._connections.draw,
                    on_note=self._tell,
                )
                await self._tokens.open()
            await self._connections.open(self._functions)
        except (TargetError, TokenError, ValueError) as error:
            raise RunError(str(error)) from None

    async def _send_all(self) -> None:
        begin, sent = time.monotonic(), 0
        async with asyncio.TaskGroup() as tasks:
            for orphan in self._orphans():
                await asyncio.sleep(max(0.0, begin + sent / self._options.rate - time.monotonic()))
                await self._places.acquire()
                tasks.create_task(self._release(orphan))
                sent += 1
                if self._trouble:
                    break  # such as: what is released cannot be written down

    def _orphans(self) -> Iterator[Orphan]:
        """Those of the run, up to a line that cannot be read: what is under way by then is still waited for."""
        try:
            yield from self._run.orphans()
        except RunError as error:
            self._trouble.append(str(error))

    async def _release(self, orphan: Orphan) -> None:
        try:
            result: Answer | Failure | None = None
            for _ in range(ATTEMPTS):
                result = await self._attempt(orphan)
                if isinstance(result, Answer) or not result.safe_to_repeat:
                    break
            assert result is not None
            self._enter(orphan, result)
        except RunError as error:
            self._trouble.append(str(error))
        finally:
            self._places.release()

    async def _attempt(self, orphan: Orphan) -> Answer | Failure:
        now, utc = time.monotonic_ns(), time.time_ns()
        function, subscriber, path, body = self._requests.of(orphan, utc)
        place = orphan.chf - 1 if orphan.chf <= len(self._destinations) else 0
        destination = self._destinations[place]
        origin = orphan.origin.encode("latin-1") or None
        if origin is None:
            scheme, authority = destination.scheme, destination.authority
        else:
            scheme, _, authority = origin.partition(b"://")
        if self._run.profile.gzip:
            body = compressed(body)
        headers: list[Header] = [
            METHOD, (b":scheme", scheme), (b":authority", authority), (b":path", path), CONTENT_TYPE, ACCEPT,
            (b"content-length", b"%d" % len(body)),
        ]  # fmt: skip
        if self._run.profile.gzip:
            headers.append(GZIP)
        headers += self._sbi.render(subscriber, utc, self._timeout)
        if self._tokens is not None and self._tokens.may_send_to(origin or destination.origin):
            token = self._tokens.keepers[function.key].header
            if token is not None:
                headers.append(token)
        done: asyncio.Future[Answer | Failure] = asyncio.get_running_loop().create_future()

        def answered(_exchange: Exchange, result: Answer | Failure, _now: int) -> None:
            if not done.done():  # it is, where Ctrl-C came first
                done.set_result(result)

        exchange = Exchange(headers, body, now + self._timeout, answered)
        self._connections.transmit(function, exchange, place, origin, now)
        return await done

    def _enter(self, orphan: Orphan, result: Answer | Failure) -> None:
        """Count it and write it down."""
        if isinstance(result, Answer):
            answer = read_answer(Operation.RELEASE, result.status, None, result.body)
            outcome = {Action.GO_ON: RELEASED, Action.GONE: UNKNOWN}.get(answer.action, FAILED)
            status, cause = result.status, answer.cause
        else:
            outcome, status, cause = FAILED, None, result.kind.upper()
        setattr(self._result, outcome, getattr(self._result, outcome) + 1)
        if outcome == FAILED and not self._result.first_problem:
            self._result.first_problem = cause if isinstance(result, Answer) else f"{cause}: {result.detail}"
        self._file.write(
            {
                "ref": orphan.reference, "number": orphan.number, "usage": orphan.usage, "outcome": outcome,
                "status": status, "cause": cause,
            }
        )  # fmt: skip


def _end_of_lines(file: Path) -> None:
    """Take away a last line that was cut off, by a full disk for example: what is appended would be unreadable with it.

    Raises RunError.
    """
    try:
        with file.open("r+b") as lines:
            end = 0
            for line in lines:
                end += len(line) if line.endswith(b"\n") else 0
            lines.truncate(end)
    except FileNotFoundError:
        return
    except OSError as error:
        raise RunError(f"{file}: {error.strerror}") from None


def _without_headers(profile: Profile, names: Sequence[str]) -> Profile:
    extra = {name: value for name, value in profile.headers.extra.items() if name not in names}
    return profile.model_copy(update={"headers": profile.headers.model_copy(update={"extra": extra})})


async def release_orphans(options: ReleaseOptions, tell: Callable[[str], None]) -> Released:
    """Release what the run of a folder left open. Raises RunError."""
    run = PastRun(options.folder, force=options.force)
    if run.manifest["sandbox"] and not options.targets:
        raise RunError(f"{options.folder}: its sandbox is gone with all its sessions; --target names another CHF")
    if not options.targets and not run.manifest["targets"]:
        raise RunError(f"{options.folder}: its manifest names no CHF to release them at: --target names one")
    try:
        releaser = Releaser(run, options, tell)
    except ValueError as error:
        raise RunError(str(error)) from None
    return await releaser.release()
