"""What a CHF in trouble says in its headers: Retry-After (RFC 9110 10.2.3) and 3gpp-Sbi-Oci (TS 29.500 5.2.3.2.9)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

MAX_HEADER: Final = 2048
_TIMESTAMP: Final = re.compile(rb'Timestamp: *"([^"]{1,60})"')
_VALIDITY: Final = re.compile(rb"Period-of-Validity: *(\d{1,9})s")
_REDUCTION: Final = re.compile(rb"Overload-Reduction-Metric: *(\d{1,3})%")


class OverloadInformation(NamedTuple):
    """`reduction` in per cent of what would be sent, for `validity_s` seconds; `timestamp` is seconds since 1970."""

    timestamp: float
    validity_s: float
    reduction: int


def read_overload(value: bytes) -> OverloadInformation | None:
    """Read a 3gpp-Sbi-Oci header; None where it cannot be read."""
    if len(value) > MAX_HEADER:
        return None
    stamp, validity, reduction = (form.search(value) for form in (_TIMESTAMP, _VALIDITY, _REDUCTION))
    if stamp is None or validity is None or reduction is None or int(reduction[1]) > 100:
        return None
    moment = _date(stamp[1].decode("ascii", "replace"))
    return None if moment is None else OverloadInformation(moment.timestamp(), float(validity[1]), int(reduction[1]))


def read_retry_after(value: bytes, now: float) -> float:
    """Seconds to wait; `now` is seconds since 1970, for a header that holds a date. 0 where it cannot be read."""
    text = value.strip().decode("ascii", "replace")
    if text.isdecimal() and len(text) <= 9:
        return float(text)
    moment = _date(text)
    return 0.0 if moment is None else max(0.0, moment.timestamp() - now)


def _date(text: str) -> datetime | None:
    """`Sun, 22 Nov 2026 10:00:00.123 GMT`, with or without the fraction, or RFC 3339."""
    try:
        moment = (
            parsedate_to_datetime(re.sub(r"\.(\d{1,9})(?= )", "", text))
            if "," in text
            else datetime.fromisoformat(text)
        )
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    fraction = re.search(r"\.(\d{1,6})", text) if "," in text else None
    if fraction is not None:
        moment = moment.replace(microsecond=int(fraction[1].ljust(6, "0")))
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
