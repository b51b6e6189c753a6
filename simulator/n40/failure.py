"""What a session does when the CHF fails it: failure handling by operation and kind of trouble (TS 32.290, RFC 8506 5.7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from simulator.n40.flow import NEVER, NS_PER_S
from simulator.n40.request import Operation

MAX_CONTINUED: Final = 100
"""How often one session goes on without an answer under CONTINUE; then it ends."""


class Handling(StrEnum):
    """FailureHandling of TS 32.291 6.1.6.3."""

    TERMINATE = "TERMINATE"
    CONTINUE = "CONTINUE"
    RETRY_AND_TERMINATE = "RETRY_AND_TERMINATE"


HANDLINGS: Final = {handling.value: handling for handling in Handling}


class Trouble(StrEnum):
    """Why an operation has no usable answer."""

    TIMEOUT = "timeout"  # none came in time, or 408
    CONNECTION = "connection"  # none could be made, or it was lost, or the stream was reset
    SERVER_ERROR = "server_error"  # 5xx other than 503
    OVERLOAD = "overload"  # 429, 503
    UNREADABLE = "unreadable"  # an answer that says nothing, or a redirect that leads nowhere
    UNAUTHORIZED = "unauthorized"  # 401, and a new token changed nothing

    __hash__ = str.__hash__  # see Operation


def trouble_of(status: int) -> Trouble:
    """The kind of trouble that a status tells."""
    if status in (429, 503):
        return Trouble.OVERLOAD
    if status == 408:
        return Trouble.TIMEOUT
    if status == 401:
        return Trouble.UNAUTHORIZED
    return Trouble.SERVER_ERROR if status >= 500 else Trouble.UNREADABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class FailurePolicy:
    """What the profile says; a CHF may override handling and failover for a session.

    `table` holds what differs from `handling`. `failover`: a session may move to another CHF. `retry_every` is the session time
    (ns) between two attempts under CONTINUE; `recreate_after` the same until a session that goes on without a charging session
    asks for one again, NEVER: it does not.
    """

    handling: Handling = Handling.TERMINATE
    table: Mapping[tuple[Operation, Trouble], Handling] = field(default_factory=dict)
    failover: bool = False
    retry_every: int = 10 * NS_PER_S
    recreate_after: int = NEVER

    def of(self, operation: Operation, trouble: Trouble) -> Handling:
        """What to do about that trouble with that operation."""
        return self.table.get((operation, trouble), self.handling)


NO_HANDLING: Final = FailurePolicy()
