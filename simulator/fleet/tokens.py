"""The tokens of an engine's network functions: each has one of its own, renews it before it expires, and says when it cannot."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from simulator.config.errors import ConfigError
from simulator.config.security import OAuth2, Secret, StaticToken, TokenAudience
from simulator.fleet.network_functions import NetworkFunction
from simulator.fleet.token_life import (
    NEVER,
    NS_PER_S,
    AccessToken,
    TokenError,
    TokenLife,
    TokenState,
    TokenStatistics,
    WhenDone,
    bearer,
    sendable,
)
from simulator.http2 import Header

if TYPE_CHECKING:
    from simulator.fleet.token_client import TokenClient

LONGEST_TIMER_S: Final = 86_400.0

NF_TYPES: Final = {"SMSF": "SMSF", "AMF": "AMF", "CEF": "CEF", "NEF": "NEF", "IMS_Node": "IMS_AS"}
"""What an NRF calls a node (TS 29.510 6.1.6.3.3); all others are SMF."""

OnProblem = Callable[[str, str], None]
"""Told of a network function's key and why it has no newer token; "" when it has one again."""


class TokenKeeper(Protocol):
    """A network function's token."""

    @property
    def header(self) -> Header | None:
        """What every request carries; None: nothing."""

    @property
    def generation(self) -> int:
        """Which token it is, counted up."""

    async def open(self) -> None:
        """Get the first token. Raises TokenError."""

    def on_unauthorized(self, generation: int, when_done: WhenDone) -> None:
        """The CHF answered 401 to a request that carried the token of that generation.

        `when_done` is told once, perhaps at once, whether there is a newer token.
        """

    async def aclose(self) -> None:
        """Give up what is under way."""

    def statistics(self) -> TokenStatistics:
        """What became of token requests up to now."""


class FixedToken:
    """A token that came from somewhere else: there is no other."""

    def __init__(self, token: str) -> None:
        self.header: Header | None = bearer(token)
        self.generation = 0
        self._refused = 0

    async def open(self) -> None:
        """It is there already."""

    def on_unauthorized(self, generation: int, when_done: WhenDone) -> None:  # noqa: ARG002 - see TokenKeeper
        """There is no newer one."""
        self._refused += 1
        when_done(False)

    async def aclose(self) -> None:
        """Nothing is under way."""

    def statistics(self) -> TokenStatistics:
        """How often it was refused."""
        return TokenStatistics(refused=self._refused)


class RenewedToken:
    """A token of a token server; `fetch` gets one. See `TokenLife` for when."""

    def __init__(
        self, key: str, life: TokenLife, fetch: Callable[[], Awaitable[AccessToken]], on_problem: OnProblem
    ) -> None:
        self._key = key
        self._life = life
        self._fetch = fetch
        self._on_problem = on_problem
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def header(self) -> Header | None:
        """See TokenKeeper."""
        return self._life.header

    @property
    def generation(self) -> int:
        """See TokenKeeper."""
        return self._life.generation

    async def open(self) -> None:
        """Get the first token. Raises TokenError; then nothing more is tried."""
        self._life.begin()
        problem = await self._ask()
        if problem:
            raise TokenError(f"token for {self._key}: {problem}")
        self._look()

    def on_unauthorized(self, generation: int, when_done: WhenDone) -> None:
        """See TokenKeeper."""
        self._life.on_unauthorized(generation, time.monotonic_ns(), when_done)
        self._look()

    async def _ask(self) -> str:
        """Ask once; return why there is no newer token, "" if there is."""
        try:
            token = await self._fetch()
        except TokenError as error:
            self._life.failed(time.monotonic_ns())
            return str(error)
        self._life.received(token, time.monotonic_ns())
        return ""

    async def _renew(self) -> None:
        problem = await self._ask()
        self._on_problem(self._key, problem)
        self._look()

    def _look(self) -> None:
        """Renew the token if that is due, or see to it that it will be."""
        life = self._life
        if life.state is TokenState.RENEWING or life.next_request == NEVER:
            return
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
        delay_s = (life.next_request - time.monotonic_ns()) / NS_PER_S
        if delay_s > 0:
            self._timer = loop.call_later(min(delay_s, LONGEST_TIMER_S), self._look)
        else:
            life.begin()
            self._task = loop.create_task(self._renew())
            self._task.add_done_callback(_tell_the_loop)

    async def aclose(self) -> None:
        """Give up what is under way; who waits for it hears that there is no newer token."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._life.close()

    def statistics(self) -> TokenStatistics:
        """What became of token requests up to now."""
        return self._life.statistics()


def _tell_the_loop(task: asyncio.Task[None]) -> None:
    """A mistake of ours must not wait until somebody looks at the task."""
    if not task.cancelled() and (error := task.exception()) is not None:
        task.get_loop().call_exception_handler({"message": "a token could not be renewed", "exception": error})


class Tokens:
    """The keepers of an engine's network functions.

    `targets` are the origins of the configured CHFs, `tls` makes a context for an https token server, `draw` gives numbers in
    [0, 1), `on_note` is told in one line what a person should know: what is wrong with many network functions is told once.
    Raises TokenError where a secret cannot be read, ValueError where TLS cannot be used.
    """

    def __init__(
        self,
        authentication: StaticToken | OAuth2,
        functions: Sequence[NetworkFunction],
        *,
        targets: Sequence[str],
        tls: Callable[[], ssl.SSLContext],
        draw: Callable[[], float],
        on_note: Callable[[str], None],
    ) -> None:
        self._on_note = on_note
        self._problems: dict[str, str] = {}
        self._client: TokenClient | None = None
        self._audience = TokenAudience(targets, authentication.allowed_hosts)
        self.keepers: dict[str, TokenKeeper] = {}
        """By the keys of the network functions."""
        if isinstance(authentication, OAuth2):
            from simulator.fleet.token_client import TokenClient  # noqa: PLC0415 - httpx takes 70 ms, and few need it

            self._client = TokenClient(authentication, self._secret(authentication), tls)
            self.keepers = {each.key: self._renewed(authentication, self._client, each, draw) for each in functions}
        else:
            token = self._token(authentication)
            self.keepers = {each.key: FixedToken(token) for each in functions}

    def _token(self, authentication: StaticToken) -> str:
        token = self._read(authentication.token)
        if not sendable(token):
            raise TokenError(f"authentication: {authentication.token.place} holds no token: a header cannot carry it")
        return token

    def _secret(self, authentication: OAuth2) -> str | None:
        return None if authentication.client_secret is None else self._read(authentication.client_secret)

    def _read(self, secret: Secret) -> str:
        try:
            content = secret.read()
        except ConfigError as error:
            raise TokenError(str(error)) from None
        if note := secret.note():
            self._on_note(note)
        return content

    def _renewed(
        self, authentication: OAuth2, client: TokenClient, function: NetworkFunction, draw: Callable[[], float]
    ) -> RenewedToken:
        identity = function.identity
        fetch = partial(client.fetch, identity.instance_id, NF_TYPES.get(identity.node_functionality, "SMF"))
        return RenewedToken(function.key, TokenLife(authentication.renew_at, draw), fetch, self._on_problem)

    def _on_problem(self, key: str, problem: str) -> None:
        """Say what is wrong when it is first so for anybody, and again only after it was mended for all."""
        before = self._problems.pop(key, "")
        if problem and problem != before and problem not in self._problems.values():
            self._on_note(f"token for {key}: {problem}")
        if problem:
            self._problems[key] = problem

    async def open(self) -> None:
        """Get the first token of every network function. Raises TokenError."""
        first, *others = self.keepers.values()
        await first.open()  # a server that does not answer is asked once, not a thousand times
        problem: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                for keeper in others:
                    tasks.create_task(keeper.open())
        except* TokenError as group:
            problem = group.exceptions[0]
        if problem is not None:
            raise problem

    def may_send_to(self, origin: bytes) -> bool:
        """Whether requests to `scheme://authority` carry the token; see `TokenAudience`."""
        return self._audience.may_send_to(origin)

    def statistics(self) -> TokenStatistics:
        """The sum over all network functions."""
        return sum((keeper.statistics() for keeper in self.keepers.values()), TokenStatistics())

    async def aclose(self) -> None:
        """Give up what is under way and close the connections to the token server."""
        for keeper in self.keepers.values():
            await keeper.aclose()
        if self._client is not None:
            await self._client.aclose()
