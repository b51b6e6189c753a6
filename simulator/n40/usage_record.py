"""What a charging session leaves behind for the audit."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class End(StrEnum):
    """How a charging session ended."""

    COMPLETED = "completed"
    DENIED = "denied"
    FAILED = "failed"
    GONE = "gone"  # the CHF no longer knew it
    ABORTED = "aborted"  # the CHF wanted it ended (ABORT_CHARGING)
    UNCHARGED = "uncharged"  # charging does not apply, or traffic went on without it
    OPEN = "open"  # the run stopped before it was released


class UsageRecord(NamedTuple):
    """What one charging session (or one-time event) used and reported in one rating group, for the audit.

    `used` comes from the usage model; `reported` is what was handed over for sending, `acknowledged` what the CHF confirmed,
    `doubt` what was sent and never answered. `reference` is empty where the CHF never gave one.
    """

    reference: bytes
    rating_group: int
    unit: str
    used: int
    reported: int
    acknowledged: int
    doubt: int
    end: End
