"""When a network function's token is asked for, renewed, and asked for again after a failure. No sockets, no clock.

     begin             received               renew_at, or refused by the CHF
NONE ─────> RENEWING ────────────> VALID ──────────────────┐
             ^  │  ^                                       │
             │  │  └───────────────────────────────────────┘
             │  └─ failed ─> FAILED ─┐
             └────── back-off ───────┘
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from simulator.http2 import Header
from simulator.http2.backoff import Backoff

NS_PER_S: Final = 1_000_000_000
NEVER: Final = 1 << 62
SPREAD: Final = 0.1
"""Share of a token's lifetime by which it may be renewed earlier, drawn each time: a fleet must not renew in step."""
LONGEST_TOKEN: Final = 16_384
_TOKEN: Final = re.compile(r"[!-~]+")
YOUNG_NS: Final = NS_PER_S
"""A token that the CHF refuses is renewed when it is that old, no earlier: or one that refuses all has us ask all the time."""
BACKOFF_MIN_S: Final = 1.0
BACKOFF_MAX_S: Final = 60.0

WhenDone = Callable[[bool], None]
"""Told once whether there is a newer token."""


class TokenState(StrEnum):
    """Where a network function stands with its token. An older token stays in use while a renewal is under way or has failed."""

    NONE = "none"
    VALID = "valid"
    RENEWING = "renewing"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A token and how long it lives; None: nobody said."""

    value: str = field(repr=False)
    lifetime_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenStatistics:
    """What became of token requests. `refused` counts answers of the CHF that did not accept a token."""

    requested: int = 0
    renewed: int = 0
    """Tokens after the first."""
    failed: int = 0
    refused: int = 0

    def __add__(self, other: TokenStatistics) -> TokenStatistics:
        return TokenStatistics(
            requested=self.requested + other.requested,
            renewed=self.renewed + other.renewed,
            failed=self.failed + other.failed,
            refused=self.refused + other.refused,
        )


class TokenError(Exception):
    """There is no token; the message is one line that says why, and never holds a secret."""


def sendable(token: str) -> bool:
    """Whether a token can stand in a header: printable ASCII without blanks, of a bounded length."""
    return len(token) <= LONGEST_TOKEN and _TOKEN.fullmatch(token) is not None


def bearer(token: str) -> Header:
    """Return the header of a request with a token (RFC 6750 2.1)."""
    return b"authorization", b"Bearer " + token.encode("ascii")


class TokenLife:
    """See the module. `now` is monotonic ns; `draw` gives numbers in [0, 1)."""

    __slots__ = (
        "_backoff",
        "_draw",
        "_failed",
        "_issued",
        "_refused",
        "_renew_at",
        "_requested",
        "_waiting",
        "generation",
        "header",
        "next_request",
        "state",
    )

    def __init__(self, renew_at: float, draw: Callable[[], float]) -> None:
        self.state = TokenState.NONE
        self.header: Header | None = None
        self.generation = 0
        self.next_request = NEVER
        """When `begin` is due, unless a renewal is under way."""
        self._renew_at = renew_at
        self._draw = draw
        self._backoff = Backoff(BACKOFF_MIN_S, BACKOFF_MAX_S, draw)
        self._issued = 0
        self._waiting: list[WhenDone] = []  # at most one for each request under way
        self._requested = self._failed = self._refused = 0

    def begin(self) -> None:
        """A token is being asked for; `received` or `failed` follows."""
        assert self.state is not TokenState.RENEWING, "one renewal at a time"
        self.state = TokenState.RENEWING
        self._requested += 1

    def received(self, token: AccessToken, now: int) -> None:
        """There is a newer token."""
        assert self.state is TokenState.RENEWING
        self.state = TokenState.VALID
        self.header = bearer(token.value)
        self.generation += 1
        self._issued = now
        self._backoff.reset()
        self.next_request = NEVER
        if token.lifetime_s is not None:
            wait_s = token.lifetime_s * (self._renew_at - SPREAD * self._draw())
            self.next_request = now + max(YOUNG_NS, int(wait_s * NS_PER_S))
        self._tell(True)

    def failed(self, now: int) -> None:
        """No newer token could be had; the present one, if any, stays in use. Asks again after a while."""
        assert self.state is TokenState.RENEWING
        self.state = TokenState.FAILED
        self._failed += 1
        self.next_request = now + int(self._backoff.next_delay_s() * NS_PER_S)
        self._tell(False)

    def on_unauthorized(self, generation: int, now: int, when_done: WhenDone) -> None:
        """The CHF refused the token of that generation.

        However many requests that befalls, they cause one renewal. What was sent with an older token than the present one
        causes none, and neither does a refusal while the token server is being spared after a failure.
        """
        self._refused += 1
        if generation < self.generation:
            when_done(True)
        elif self.state is TokenState.RENEWING:
            self._waiting.append(when_done)
        elif self.state is not TokenState.VALID:
            when_done(False)
        else:
            self._waiting.append(when_done)
            self.next_request = max(now, self._issued + YOUNG_NS)

    def close(self) -> None:
        """Nothing more will come."""
        self.next_request = NEVER
        self._tell(False)

    def _tell(self, newer: bool) -> None:
        waiting, self._waiting = self._waiting, []
        for when_done in waiting:
            when_done(newer)

    def statistics(self) -> TokenStatistics:
        """What became of requests up to now."""
        return TokenStatistics(
            requested=self._requested,
            renewed=max(0, self.generation - 1),
            failed=self._failed,
            refused=self._refused,
        )
