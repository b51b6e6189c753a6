"""A session that is open: the charging session and what the fleet needs to keep it going."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.n40 import ChargingSession, Delivery, OneTimeEvent, Request
from simulator.n40.flow import NEVER

if TYPE_CHECKING:
    from simulator.fleet.changes import ChangeSource, DueChange
    from simulator.fleet.network_functions import NetworkFunction
    from simulator.fleet.usage import Usage


class Changes:
    """The changes of charging conditions of one session: the next one, and when it is due (session time, NEVER: no more)."""

    __slots__ = ("_key", "_source", "_started", "at", "due")

    def __init__(self, source: ChangeSource, key: bytes, started: int) -> None:
        self._source = source
        self._key = key
        self._started = started
        self.due: DueChange | None = None
        self.at = NEVER
        self.plan()

    def plan(self) -> None:
        """Find out what comes next."""
        self.due = self._source.next_change(self._key, self.due)
        self.at = NEVER if self.due is None else self._started + self.due.moment


class LiveSession:
    """One open session of a device.

    `ends_at` and `clock` are session time; `clock` is used at flat-out pace only, where each session's time jumps from one
    deadline to the next. `request` is on its way, with `due` its intended moment in wall time; `delivery` is None until
    an attempt fails.
    """

    __slots__ = (
        "changes",
        "chf",
        "clock",
        "delivery",
        "device",
        "due",
        "ends_at",
        "first_sent",
        "function",
        "moved",
        "number",
        "rebased",
        "released",
        "request",
        "session",
        "slot",
        "token",
        "usage",
    )

    def __init__(
        self,
        session: ChargingSession | OneTimeEvent,
        usage: Usage,
        function: NetworkFunction,
        number: int,
        slot: int,
        ends_at: int,
        device: int = -1,
    ) -> None:
        self.session = session
        self.usage = usage
        self.function = function
        self.number = number
        self.slot = slot
        self.ends_at = ends_at
        self.changes: Changes | None = None  # of charging conditions that are still to come
        self.device = device  # in closed mode, the device that starts another session when this one has ended
        self.request: Request | None = None
        self.due = 0
        self.delivery: Delivery | None = None
        self.chf = 0  # the place of the CHF that has the session
        self.token = 0  # the generation of the token that the request carried
        self.moved = 0  # how often the request that is on its way went to another CHF
        self.rebased = False  # moved there, so that the origin of its Location is no longer right
        self.released = False  # the CHF has confirmed that it is over
        self.first_sent = 0
        self.clock = 0

    @property
    def change_at(self) -> int:
        """When the charging conditions change next, in session time; NEVER where they do not, or the session ends before that."""
        if self.changes is None or self.changes.at >= self.ends_at:
            return NEVER
        return self.changes.at

    def next_deadline(self) -> int:
        """When this session has to be looked at, in session time."""
        deadline = self.session.next_deadline()
        if self.changes is not None and self.changes.at < deadline:
            deadline = self.changes.at
        return deadline if deadline < self.ends_at else self.ends_at

    def catch_up(self, now: int) -> None:
        """What fell due while an answer was awaited happened at exactly its own moment: changes, and the session's end."""
        if self.changes is not None:
            self._change_until(self.changes, now)
        if now >= self.ends_at:
            self.session.stop(self.ends_at)
            self._end()

    def on_time(self, now: int) -> None:
        """Let session time pass; a PDU session that has reached its end is stopped at exactly that moment."""
        if self.changes is not None:
            self._change_until(self.changes, now)
        if now >= self.ends_at:
            self.session.on_time(self.ends_at)
            self.session.stop(self.ends_at)
            self._end()
        else:
            self.session.on_time(now)

    def _end(self) -> None:
        self.ends_at = NEVER
        self.changes = None

    def _change_until(self, changes: Changes, now: int) -> None:
        """The charging conditions change, each time at the moment when they are due to."""
        session = self.session
        assert isinstance(session, ChargingSession)
        while changes.due is not None and changes.at <= now and changes.at < self.ends_at:
            change, moment = changes.due.change, changes.at
            session.on_time(moment)
            session.on_change(change.triggers, change.conditions, change.step, moment)
            changes.plan()
