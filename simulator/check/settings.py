"""What a check needs to know of the charging function and of the subscribers there."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Final

from simulator.http2 import Target
from simulator.n40.conformance import SchemaCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingGroups:
    """Rating groups that the charging function knows, and one that it does not."""

    data: int = 300
    """Volume."""
    data2: int = 310
    """Volume, in the same session."""
    voice: int = 100
    """Time."""
    sms: int = 200
    """Service specific units."""
    unknown: int = 999_999


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSettings:
    """`token` is sent as bearer token and never shown. `management` is the API that can make the CHF notify."""

    target: Target
    tls: ssl.SSLContext | None = None
    token: str = ""
    collection: str = "/nchf-convergedcharging/v3/chargingdata"
    subscriber: str = "imsi-001010000000001"
    unknown_subscriber: str = "imsi-001019999999999"
    broke_subscriber: str = "imsi-001010000000002"
    groups: RatingGroups = field(default_factory=RatingGroups)
    mcc: str = "001"
    mnc: str = "01"
    management: str = ""
    notify_host: str = "127.0.0.1"
    """Where the check listens for notifications, and what it calls itself in notifyUri."""
    schema: SchemaCheck | None = None
    timeout_s: float = 5.0
    """For one exchange."""
    idle_s: float = 2.0
    """How long a connection is left alone to see whether it is kept."""


CASE_TIMEOUT_FACTOR: Final = 12
"""A case is over after so many times the time of an exchange, and the idle time."""
