"""Tariff switches: the times of day at which the price of a unit changes, and the next one after a moment."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache


class Switches:
    """Times of day (`HH:MM`, UTC); at least one."""

    __slots__ = ("_times",)

    def __init__(self, times: Iterable[str]) -> None:
        self._times = sorted(set(times))

    def after(self, stamp: str) -> bytes:
        """The first switch after that time stamp of a message (DateTime, UTC where it has no zone); b"" if it is no day.

        It is the clock of the SMF that counts: the SMF cuts its containers by it, and in a run whose sessions live faster
        than the wall clock, the next switch comes sooner.
        """
        try:
            day, clock = _utc(stamp)
            time = next((time for time in self._times if time > clock), None)
            return f"{day}T{time}:00Z".encode() if time else f"{_next_day(day)}T{self._times[0]}:00Z".encode()
        except (ValueError, OverflowError):
            return b""


def _utc(stamp: str) -> tuple[str, str]:
    """Day and time of day, to the minute."""
    if stamp[-6] in "+-":
        stamp = datetime.fromisoformat(stamp).astimezone(UTC).isoformat()
    return stamp[:10], stamp[11:16]


@lru_cache(maxsize=64)
def _next_day(day: str) -> str:
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()
