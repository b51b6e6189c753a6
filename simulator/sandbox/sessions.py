"""Charging sessions: what the charging function holds for each ChargingDataRef."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from simulator.sandbox.accounts import Account
from simulator.sandbox.rating import Quota
from simulator.sandbox.repeats import AnswerHistory

MAX_OPEN: Final = 2_000_000


class Session:
    """One open charging session: 720 octets with two rating groups (measured), its account 460 more.

    A `notifyUri` of 50 characters adds 110. Keeping its common beginning once would save 50 of them, 4 % of a session, and
    is not worth a second string. Its quotas are a tuple: a session has few, and a dictionary would be half of its size.
    """

    __slots__ = ("account", "answers", "charging_id", "notify_uri", "quotas", "reference", "sequence", "touched")

    def __init__(self, reference: bytes, account: Account, charging_id: int | str, sequence: int) -> None:
        self.reference = reference
        self.account = account
        self.charging_id = charging_id
        self.sequence = sequence
        """The highest invocationSequenceNumber that was answered."""
        self.touched = 0
        """When it was last created or updated (ns)."""
        self.notify_uri = ""
        """Where notifications of this session go; empty: nowhere."""
        self.quotas: tuple[Quota, ...] = ()
        self.answers: AnswerHistory | None = None

    def quota(self, number: int) -> Quota | None:
        """The quota of that rating group, if the session has one."""
        for quota in self.quotas:
            if quota.number == number:
                return quota
        return None

    def give_back(self) -> None:
        """Ends all grants."""
        for quota in self.quotas:
            quota.give_back()


class Sessions:
    """The open sessions, the one that was silent for longest first; all expire after the same `idle` (ns; None: never)."""

    __slots__ = ("_idle", "_open")

    def __init__(self, idle: int | None) -> None:
        self._open: OrderedDict[bytes, Session] = OrderedDict()
        self._idle = idle

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._open.values())

    def get(self, reference: bytes) -> Session | None:
        """The open session with that reference."""
        return self._open.get(reference)

    def add(self, session: Session, now: int) -> None:
        """Opens a session."""
        session.touched = now
        self._open[session.reference] = session

    def touch(self, session: Session, now: int) -> None:
        """Starts that session's idle time again."""
        session.touched = now
        self._open.move_to_end(session.reference)

    def remove(self, session: Session) -> None:
        """Closes a session."""
        del self._open[session.reference]

    def next_expiry(self) -> int | None:
        """When the next session expires if nothing is heard of it (ns)."""
        oldest = next(iter(self._open.values()), None)
        return None if oldest is None or self._idle is None else oldest.touched + self._idle

    def expired(self, now: int) -> Session | None:
        """One session whose idle time is over, None if there is no more."""
        expiry = self.next_expiry()
        return next(iter(self._open.values())) if expiry is not None and expiry <= now else None
