"""What a charging session leaves behind for the audit."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple


class End(StrEnum):
    """How a charging session ended."""

    COMPLETED = "completed"
    DENIED = "denied"
    FAILED = "failed"
    GONE = "gone"  # the CHF no longer knew it
    ABORTED = "aborted"  # the CHF wanted it ended (ABORT_CHARGING)
    UNCHARGED = "uncharged"  # charging does not apply, or traffic went on without it
    OPEN = "open"  # the run stopped before it was released


CHECKSUM_MODULUS: Final = (1 << 61) - 1
"""A prime that leaves sums small integers of the machine."""

REPEAT_REFUSED: Final = "repeat refused"
RUN_ENDED: Final = "run ended"
"""Why a report can be in doubt, besides the trouble that its last attempt met (see `failure.Trouble`)."""

Doubt = tuple[int, int, str]
"""A report that the CHF may have charged: its units, their checksum, and why nobody knows."""


class UsageRecord(NamedTuple):
    """What one charging session (or one-time event) used and reported in one rating group, for the audit.

    `used` comes from the usage model; `reported` is what was handed over for sending, `acknowledged` what the CHF confirmed,
    `doubt` what was sent and never answered. `reference` is empty where the CHF never gave one; `created` is the time stamp of
    its Create where messages hold no other name for it, else empty.

    `checksum` is the sum of units x (localSequenceNumber + 1) over the acknowledged containers, modulo `CHECKSUM_MODULUS`; None
    where containers cannot be told apart. `containers` is the last localSequenceNumber of the session, in whatever rating
    group. `doubts` are the reports that make up `doubt`, one by one.
    """

    reference: bytes
    rating_group: int
    unit: str
    used: int
    reported: int
    acknowledged: int
    doubt: int
    end: End
    created: bytes = b""
    checksum: int | None = None
    containers: int = 0
    doubts: tuple[Doubt, ...] = ()
