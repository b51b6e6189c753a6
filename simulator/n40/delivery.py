"""From a request to attempts on the wire: deadline, repeats, redirects, new tokens, waiting, and other CHFs. Wall time, pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from simulator.n40.failure import Handling
from simulator.n40.messages import marked_as_repeat
from simulator.n40.request import Operation, Request

MAX_UNPROCESSED: Final = 10
"""How often a request that provably was not processed is sent again before it counts as failed."""
MAX_REDIRECTS: Final = 5
MAX_WAITS: Final = 2
"""How often one request waits as long as a CHF wants it to (Retry-After)."""


class Step(IntEnum):
    """What comes after an attempt that brought nothing usable."""

    GIVE_UP = 0  # what it brought is what the session gets
    AGAIN = 1  # the same attempt, at the same place
    NEXT_CHF = 2
    REDIRECT = 3
    WAIT = 4  # again, when the time that the CHF named is over
    RENEW = 5  # again, with a new token


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPolicy:
    """`timeout` of one attempt in ns; `repeats` after a timeout or a lost connection, at each CHF.

    `longest_wait` is the longest Retry-After in ns that is waited for, `marks_repeats` whether the release has
    retransmissionIndicator.
    """

    timeout: int
    repeats: int = 1
    longest_wait: int = 60_000_000_000
    marks_repeats: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Chances:
    """What could be done about a failed attempt: how it is to be handled, whether another CHF is there and may be asked."""

    handling: Handling = Handling.TERMINATE
    failover: bool = False
    another_chf: bool = False


class Delivery:
    """The attempts of one request (N40: a repeat is identical except for retransmissionIndicator).

    An attempt that provably was not processed (RFC 9113 8.7: refused, above GOAWAY's last id, never sent; a redirect, 401, 429)
    is made again as it was; one that may have been processed is marked as a repeat, for the rest of its life.
    """

    __slots__ = (
        "_repeats_here", "again_at", "attempts", "origin", "path", "policy", "processed", "redirects", "renewed", "repeats",
        "request", "retried", "stays", "unprocessed", "waits",
    )  # fmt: skip

    def __init__(self, request: Request, policy: DeliveryPolicy) -> None:
        self.request = request
        self.policy = policy
        self.attempts = 1
        self.processed = request.repeated  # whether a CHF may have seen an attempt
        self.repeats = 1 if request.repeated else 0  # attempts that may have been processed
        self._repeats_here = 0
        self.unprocessed = 0
        self.redirects = 0
        self.waits = 0
        self.renewed = False
        self.retried = False
        self.again_at = 0  # wall time at which an attempt that has to wait is made; 0: none has to
        self.path = b""  # where a redirect leads
        self.origin: bytes | None = None
        self.stays = False  # whether the session stays where the redirect leads

    @property
    def body(self) -> bytes:
        """What the next attempt sends."""
        body = self.request.body
        return marked_as_repeat(body) if self.processed and self.policy.marks_repeats else body

    def on_failure(self, chances: Chances, *, safe: bool, hopeless: bool) -> Step:
        """No answer. `safe`: the attempt provably was not processed; `hopeless`: there is no point in another one here."""
        if safe:
            self.unprocessed += 1
            if self.unprocessed > MAX_UNPROCESSED:
                return Step.GIVE_UP
            if not hopeless:
                return Step.AGAIN
        else:
            self.processed = True
            self.repeats += 1
            if self._repeats_here < self.policy.repeats:
                self._repeats_here += 1
                return Step.AGAIN
        return self._elsewhere(chances, processed=self.processed)

    def on_redirect(self, origin: bytes | None, path: bytes) -> Step:
        """307 or 308 with a Location that can be followed (RFC 9110 15.4.8, 15.4.9); not by an event that may be charged here."""
        self.redirects += 1
        stays = self.processed and self.request.operation is Operation.EVENT and origin is not None
        if stays or self.redirects > MAX_REDIRECTS:
            return Step.GIVE_UP
        self.origin, self.path = origin or self.origin, path
        return Step.REDIRECT

    def on_unauthorized(self) -> Step:
        """401: one new token, one more attempt."""
        if self.renewed:
            return Step.GIVE_UP
        self.renewed = True
        return Step.RENEW

    def on_trouble(self, chances: Chances, *, processed: bool, wait: int) -> Step:
        """An answer that says that the CHF failed; `wait` is its Retry-After in ns, 0: none."""
        step = self._after_trouble(chances, wait, processed=processed)
        if processed and step is not Step.GIVE_UP:
            self.processed = True
            self.repeats += 1
        return step

    def _after_trouble(self, chances: Chances, wait: int, *, processed: bool) -> Step:
        step = self._elsewhere(chances, processed=processed or self.processed)
        if step is Step.NEXT_CHF:
            return step
        if 0 < wait <= self.policy.longest_wait and self.waits < MAX_WAITS:
            self.waits += 1
            return Step.WAIT
        if chances.handling is Handling.RETRY_AND_TERMINATE and not wait and not self.retried:
            self.retried = True
            return Step.AGAIN
        return Step.GIVE_UP

    def _elsewhere(self, chances: Chances, *, processed: bool) -> Step:
        """Another CHF: for a session that is open, failure handling and failover must allow it (TS 32.290 5.4.6).

        What begins a session, and has not been processed anywhere, goes to the next CHF in any case. A Create charges nothing
        and may begin a second one; an event that may have been charged is recognised for certain only where that was.
        """
        if not chances.another_chf:
            return Step.GIVE_UP
        retries = chances.handling is Handling.RETRY_AND_TERMINATE
        operation = self.request.operation
        if operation is Operation.EVENT:
            moves = not processed
        elif operation is Operation.CREATE:
            moves = retries or not processed
        else:
            moves = retries and chances.failover
        if not moves:
            return Step.GIVE_UP
        self._repeats_here = 0
        self.origin, self.path = None, b""
        return Step.NEXT_CHF
