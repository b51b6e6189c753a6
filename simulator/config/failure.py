"""What the fleet does when a CHF fails it, in a profile (TS 32.290 5.4.6)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field

from simulator.config.errors import did_you_mean, problem, shown
from simulator.config.model import Model
from simulator.config.quantities import Duration, SomeCount, SomeDuration

Handling = Literal["TERMINATE", "CONTINUE", "RETRY_AND_TERMINATE"]
HANDLINGS: tuple[Handling, ...] = get_args(Handling)


class ByTrouble(Model):
    """Handling by kind of trouble; what is left out follows `failure.handling`."""

    timeout: Handling | None = None
    """No answer in time, or 408."""
    connection: Handling | None = None
    """No connection, or it was lost, or the stream was reset."""
    server_error: Handling | None = None
    """5xx other than 503."""
    overload: Handling | None = None
    """429 and 503, after Retry-After."""
    unreadable: Handling | None = None
    """An answer that says nothing, or a redirect that leads nowhere."""
    unauthorized: Handling | None = None
    """401, and a new token changed nothing."""


def _everywhere(given: Any) -> Any:
    """One word stands for all kinds of trouble."""
    if isinstance(given, str) and given not in HANDLINGS:
        raise problem(f"expected {' or '.join(HANDLINGS)}, got {shown(given)}{did_you_mean(given, HANDLINGS)}")
    return dict.fromkeys(ByTrouble.model_fields, given) if isinstance(given, str) else given


ForOperation = Annotated[ByTrouble, BeforeValidator(_everywhere)]


class Failure(Model):
    """A CHF may override handling and failover in its answers."""

    handling: Handling = "TERMINATE"
    create: ForOperation = ByTrouble()
    update: ForOperation = ByTrouble()
    release: ForOperation = ByTrouble()
    event: ForOperation = ByTrouble()
    session_failover: bool = False
    """Whether a session that is open may move to another CHF."""
    retry_every: SomeDuration = 10.0
    """Session time between two attempts at a report while traffic goes on without an answer (CONTINUE)."""
    recreate_after: SomeDuration | None = None
    """Session time after which a session that goes on without a charging session asks for one again; null: never."""
    down_after: Annotated[SomeCount, Field(le=1000)] = 3
    """Failures in a row after which a CHF counts as down."""
    recheck: SomeDuration = 5.0
    """Seconds until a CHF that is down is tried again."""
    longest_wait: Duration = 60.0
    """Seconds of Retry-After that a request waits for at most; a longer one counts as failed at once."""
