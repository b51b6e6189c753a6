"""The sandbox as a service: N40 and management on one event loop, until it is cancelled; and as a child process."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import json
import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, BinaryIO, Self

import anyio
from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from simulator.config import NotifyStorm, RatingPlan, load_plan
from simulator.config.errors import located, problem
from simulator.config.faults import (
    MOST_ENDPOINTS,
    EndpointCount,
    Fault,
    Faults,
    Servers,
    Stores,
    wrong_counters,
    wrong_endpoints,
)
from simulator.config.model import Model, message_of
from simulator.config.quantities import Pace, SomeDuration
from simulator.config.quirks import BY_THE_BOOK, AnyQuirks
from simulator.http2 import client_tls, server_tls
from simulator.sandbox.chf import Chf, LocationForm
from simulator.sandbox.endpoints import Endpoints
from simulator.sandbox.management import management_app
from simulator.sandbox.notifier import Hosts, Notifier, Storm
from simulator.sandbox.sessions import Session
from simulator.sandbox.tokens import Tokens
from simulator.sandbox.weather import Weather
from simulator.web import authority, serving

EXIT_OK = 0
EXIT_CANNOT_RUN = 2
_STEP_S = 1.0
"""How often the sandbox at least looks for sessions that expire, and brings its ledger to the file."""

MAX_PORT = 65_535

Port = Annotated[int, Field(ge=0, le=MAX_PORT)]


class TokenSettings(Model):
    """Bearer tokens that every N40 request needs; they are given out at /oauth2/token, beside N40."""

    lifetime: SomeDuration = 3600.0
    """Seconds of the wall clock."""
    clients: dict[str, SecretStr] = Field(default_factory=dict)
    """Secrets by client id; none: any NF instance gets a token."""

    @field_serializer("clients", when_used="json")
    def _tell_the_child(self, clients: dict[str, SecretStr]) -> dict[str, str]:
        return {name: secret.get_secret_value() for name, secret in clients.items()}


class SandboxSettings(Model):
    """How one sandbox is run. Port 0 takes a free one."""

    plan: RatingPlan
    host: str = "127.0.0.1"
    port: Port = 0
    management_host: str = "127.0.0.1"
    management_port: Port = 0
    pace: Pace = 1.0
    """How fast session time passes, for the expiry of sessions."""
    location: LocationForm = LocationForm.ABSOLUTE
    certificate: Path | None = None
    """With it, and its key, N40 is spoken over TLS."""
    key: Path | None = None
    client_ca: Path | None = None
    """With it, a client must have a certificate of this CA."""
    ledger_folder: Path | None = None
    """Where `ledger-….ndjson` is written, one per start and store; a temporary file without it."""
    endpoints: EndpointCount = 1
    """Addresses of N40: `port` and those that follow it, or free ones."""
    ports: list[Port] = Field(default_factory=list)
    """Of the endpoints, if they are not to be those."""
    stores: Stores = "shared"
    """Whether all endpoints have one set of accounts, sessions and books, or one each."""
    collections: list[str] = Field(default_factory=list)
    """Paths of chargingdata in dialects of one's own, served besides those that are known."""
    seed: int = 1
    """Of all chance."""
    servers: Servers | None = None
    quirks: AnyQuirks = BY_THE_BOOK
    faults: Faults = Field(default_factory=list)
    starts_at_once: bool = True
    """Whether the faults' time runs from the beginning, or somebody will say `POST /faults/clock`."""

    tokens: TokenSettings | None = None
    """With it, N40 requests need a bearer token."""
    notify_hosts: list[str] = Field(default_factory=list)
    """Hosts that may be notified besides loopback: names, addresses, networks such as 10.0.0.0/8."""
    notify_ca: Path | None = None
    """The CA of consumers that are notified over TLS; without it `client_ca`, or else those that the system trusts."""

    @field_validator("faults")
    @classmethod
    def _known_endpoints_and_balances(cls, faults: list[Fault], info: ValidationInfo) -> list[Fault]:
        wrong = wrong_endpoints(faults, info.data.get("endpoints", MOST_ENDPOINTS))
        plan: RatingPlan | None = info.data.get("plan")
        wrong += [] if plan is None else wrong_counters(faults, plan.balances)
        if wrong:
            raise located(wrong)
        return faults

    @model_validator(mode="after")
    def _ports_suffice(self) -> Self:
        if self.ports and len(self.ports) != self.endpoints:
            raise problem(f"expected {self.endpoints} ports, one per endpoint, got {len(self.ports)}")
        if self.port and self.port + self.endpoints - 1 > MAX_PORT:
            raise problem(f"{self.endpoints} endpoints from port {self.port} on would go beyond {MAX_PORT}")
        return self

    @property
    def all_ports(self) -> list[int]:
        """By endpoint."""
        following = [self.port + i if self.port else 0 for i in range(self.endpoints)]
        return self.ports or following

    @field_validator("key", "client_ca")
    @classmethod
    def _with_certificate(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        """Without a certificate there is no TLS, and they would be ignored in silence."""
        if file is not None and info.data.get("certificate") is None:
            raise problem("needs a certificate: without one, N40 is not spoken over TLS")
        return file


class Ready(Model):
    """Where a sandbox can be reached."""

    n40: str
    """The first endpoint."""
    management: str
    endpoints: list[str]
    """All of them, the first included."""


class SandboxError(Exception):
    """The sandbox cannot start; the message is one line for the user."""


async def serve_sandbox(settings: SandboxSettings, *, on_ready: Callable[[Ready], None]) -> None:
    """Runs a sandbox until cancelled; `on_ready` is called once it listens. Raises SandboxError if it cannot."""
    with contextlib.ExitStack() as stack:
        stores = _stores(settings, stack)
        weather = Weather(settings.faults, seed=settings.seed, servers=settings.servers, endpoints=settings.endpoints)
        notifiers = [_notifier(chf, settings) for chf in stores]
        endpoints = Endpoints(stores, weather, quirks=settings.quirks, on_storm=functools.partial(_blow, notifiers))
        async with _n40(endpoints, settings) as addresses, _management(endpoints, notifiers, settings) as management:
            if settings.starts_at_once:
                endpoints.start(time.monotonic_ns())
            on_ready(Ready(n40=addresses[0], management=management, endpoints=addresses))
            _spare_collections()
            try:
                async with anyio.create_task_group() as tasks:
                    for notifier in notifiers:
                        tasks.start_soon(notifier.run)
                    await _expire(stores)
            finally:
                for chf in stores:
                    chf.ledger.flush()


def _stores(settings: SandboxSettings, stack: contextlib.ExitStack) -> list[Chf]:
    """The charging functions behind the endpoints: one for all, or one each. No two ever make the same reference."""
    instance = secrets.token_hex(3)
    count = settings.endpoints if settings.stores == "separate" else 1
    instances = [instance] if count == 1 else [f"{instance}.{number}" for number in range(1, count + 1)]
    location = settings.quirks.location
    tokens = _tokens(settings.tokens)
    return [
        Chf(
            settings.plan,
            pace=settings.pace,
            epoch=time.time_ns() - time.monotonic_ns(),
            instance=instance,
            location=settings.location if location is None else LocationForm(location),
            spool=stack.enter_context(_spool(settings.ledger_folder, instance)),
            tokens=tokens,
            collections=[path.encode() for path in settings.collections],
        )
        for instance in instances
    ]


def _tokens(settings: TokenSettings | None) -> Tokens | None:
    if settings is None:
        return None
    return Tokens(settings.lifetime, {name: secret.get_secret_value() for name, secret in settings.clients.items()})


def _notifier(chf: Chf, settings: SandboxSettings) -> Notifier:
    make_tls = functools.partial(
        client_tls, ca_file=settings.notify_ca or settings.client_ca, certificate=settings.certificate, key=settings.key
    )
    notifier = Notifier(chf.sessions, hosts=Hosts(settings.notify_hosts), make_tls=make_tls)

    def ask_again(session: Session, rating_groups: list[int]) -> None:
        notifier.notify(session, "REAUTHORIZATION", rating_groups)

    chf.on_credit = ask_again
    return notifier


def _blow(notifiers: Sequence[Notifier], storm: NotifyStorm, endpoint: int | None, until: int | None) -> None:
    """Notifies the sessions of that endpoint's store, or of all stores, until it is over."""
    chosen = notifiers if endpoint is None else [notifiers[(endpoint - 1) % len(notifiers)]]
    for notifier in chosen:
        begun = notifier.storm(storm.type, storm.rate / len(chosen), storm.share)
        if until is not None:
            left_s = max(0.0, (until - time.monotonic_ns()) / 1e9)
            asyncio.get_running_loop().call_later(left_s, _end_storm, notifier, begun)


def _end_storm(notifier: Notifier, storm: Storm) -> None:
    if notifier.blowing is storm:
        notifier.stop()


@contextlib.asynccontextmanager
async def _n40(endpoints: Endpoints, settings: SandboxSettings) -> AsyncIterator[list[str]]:
    ports = settings.all_ports
    try:
        try:
            tls = None
            if settings.certificate is not None:
                tls = server_tls(settings.certificate, settings.key or settings.certificate, settings.client_ca)
            await endpoints.listen(settings.host, ports, tls)
        except ValueError as error:
            raise SandboxError(f"sandbox: {error}") from None
        except OSError as error:
            port = ports[sum(bool(endpoint.address) for endpoint in endpoints) % len(ports)]
            raise _cannot_listen("N40", settings.host, port, error) from None
        yield [endpoint.address for endpoint in endpoints]
    finally:
        with anyio.CancelScope(shield=True):
            await endpoints.aclose()


@contextlib.asynccontextmanager
async def _management(
    endpoints: Endpoints, notifiers: Sequence[Notifier], settings: SandboxSettings
) -> AsyncIterator[str]:
    host, port = settings.management_host, settings.management_port
    app = management_app(*endpoints.stores, notifiers=notifiers, endpoints=endpoints)
    async with contextlib.AsyncExitStack() as stack:
        try:
            address = await stack.enter_async_context(serving(app, host, port))
        except OSError as error:
            raise _cannot_listen("management", host, port, error) from None
        yield address


async def _expire(stores: Sequence[Chf]) -> None:
    while True:
        now = time.monotonic_ns()
        wait = _STEP_S
        for chf in stores:
            chf.on_time(now)
            chf.ledger.flush()
            deadline = chf.next_deadline()
            wait = wait if deadline is None else min(wait, max(0.0, (deadline - now) / 1e9))
        await anyio.sleep(wait)


def _spare_collections() -> None:
    """What lives now lives on, and charging makes no cycles: rare collections, without pauses among 100,000 sessions."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)


@contextlib.contextmanager
def _spool(folder: Path | None, instance: str) -> Iterator[BinaryIO]:
    try:
        if folder is None:
            file: BinaryIO = tempfile.TemporaryFile(prefix="smfleet-ledger-")  # noqa: SIM115 - closed below
        else:
            folder.mkdir(parents=True, exist_ok=True)
            file = (folder / f"ledger-{instance}.ndjson").open("w+b")
    except OSError as error:
        raise SandboxError(f"sandbox: the ledger cannot be written: {error}") from None
    with file:
        yield file


def _cannot_listen(what: str, host: str, port: int, error: OSError) -> SandboxError:
    # asyncio wraps the system's words in its own, which name the address once more.
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
    return SandboxError(f"sandbox: cannot listen for {what} on {authority(host, port)}: {reason}")


def run_sandbox(settings: SandboxSettings, *, on_ready: Callable[[Ready], None], end_with_input: bool = False) -> None:
    """Runs a sandbox until SIGTERM, SIGINT or (`end_with_input`) the end of stdin. Raises SandboxError if it cannot."""
    serve = functools.partial(_serve_until_told, settings, on_ready=on_ready, end_with_input=end_with_input)
    anyio.run(serve, backend_options={"use_uvloop": sys.platform != "win32"})


async def _serve_until_told(
    settings: SandboxSettings, *, on_ready: Callable[[Ready], None], end_with_input: bool
) -> None:
    failure: SandboxError | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_end_on_signal, tasks.cancel_scope)
        if end_with_input:
            tasks.start_soon(_end_with_input, tasks.cancel_scope)
        try:
            await serve_sandbox(settings, on_ready=on_ready)
        except SandboxError as error:
            failure = error  # raised below, because a task group would wrap it
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


def main() -> int:
    """A child process: one line of settings (JSON; `{}` for the defaults) comes in, one line of addresses goes out.

    It then serves until SIGTERM, SIGINT or the end of its input. Exit code 0, or 2 with one line on stderr.
    """
    try:
        settings = _read_settings(sys.stdin.readline())
        run_sandbox(settings, on_ready=_say_ready, end_with_input=True)
    except SandboxError as error:
        print(error, file=sys.stderr)
        return EXIT_CANNOT_RUN
    except KeyboardInterrupt:
        pass
    return EXIT_OK


def _read_settings(line: str) -> SandboxSettings:
    try:
        given = json.loads(line or "{}")
        if isinstance(given, dict) and "plan" not in given:
            return SandboxSettings(plan=load_plan(), **given)
        return SandboxSettings.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "".join(f"{part}: " for part in first["loc"])
        raise SandboxError(f"sandbox: settings: {place}{message_of(first)}") from None
    except ValueError as error:
        raise SandboxError(f"sandbox: settings: not JSON: {error}") from None


def _say_ready(ready: Ready) -> None:
    sys.stdout.write(json.dumps({"ready": ready.model_dump()}) + "\n")
    sys.stdout.flush()


async def _end_on_signal(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()
            return


async def _end_with_input(scope: anyio.CancelScope) -> None:
    """Who started this process and went away, closed its input. Not in a thread: that could not be interrupted."""
    with contextlib.suppress(OSError):  # a file or /dev/null cannot be waited for, and is at its end
        descriptor = sys.stdin.fileno()
        while True:
            await anyio.wait_readable(descriptor)
            if not os.read(descriptor, 4096):
                break
    scope.cancel()
