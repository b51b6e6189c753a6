"""A session that is open: the charging session and what the fleet needs to keep it going."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.n40 import ChargingSession, Delivery, OneTimeEvent, Request
from simulator.n40.flow import NEVER

if TYPE_CHECKING:
    from simulator.fleet.changes import DueChange
    from simulator.fleet.network_functions import NetworkFunction
    from simulator.fleet.usage import Usage


class LiveSession:
    """One open session of a device.

    `ends_at` and `clock` are session time; `clock` is used at flat-out pace only, where each session's time jumps from one
    deadline to the next. `request` is on its way, with `due` its intended moment in wall time; `delivery` is None until
    an attempt fails.
    """

    __slots__ = (
        "again_at",
        "change_at",
        "chf",
        "clock",
        "delivery",
        "device",
        "due",
        "due_change",
        "ends_at",
        "first_sent",
        "function",
        "key",
        "moved",
        "number",
        "rebased",
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
        key: bytes,
        device: int = -1,
    ) -> None:
        self.session = session
        self.usage = usage
        self.function = function
        self.number = number
        self.slot = slot
        self.ends_at = ends_at
        self.key = key
        self.due_change: DueChange | None = None  # the next change of charging conditions
        self.change_at = NEVER  # and when, in session time
        self.device = device  # in closed mode, the device that starts another session when this one has ended
        self.request: Request | None = None
        self.due = 0
        self.delivery: Delivery | None = None
        self.again_at = 0  # when a request that has to wait is tried again; 0: none is
        self.chf = 0  # the place of the CHF that has the session
        self.token = 0  # the generation of the token that the request carried
        self.moved = 0  # how often the request that is on its way went to another CHF
        self.rebased = False  # moved there, so that the origin of its Location is no longer right
        self.first_sent = 0
        self.clock = 0

    def plan_change(self, started: int) -> None:
        """Find out when the charging conditions change next; `started` is the session's start."""
        source = self.usage.changes
        self.due_change = None if source is None else source.next_change(self.key, self.due_change)
        self.change_at = NEVER if self.due_change is None else started + self.due_change.moment

    def next_deadline(self) -> int:
        """When this session has to be looked at, in session time."""
        deadline = self.session.next_deadline()
        if self.change_at < deadline:
            deadline = self.change_at
        return deadline if deadline < self.ends_at else self.ends_at

    def catch_up(self, now: int) -> None:
        """What fell due while an answer was awaited happened at exactly its own moment: changes, and the session's end."""
        while self.change_at <= now and self.change_at < self.ends_at:
            self.change()
        if now >= self.ends_at:
            self.session.stop(self.ends_at)
            self.ends_at = self.change_at = NEVER

    def change(self) -> None:
        """The charging conditions change, at the moment when they are due to."""
        due, session = self.due_change, self.session
        assert due is not None
        assert isinstance(session, ChargingSession)
        moment = self.change_at
        session.on_time(moment)
        session.on_change(due.change.triggers, due.change.conditions, due.change.step, moment)
        self.plan_change(session.started)

    def on_time(self, now: int) -> None:
        """Let session time pass; a PDU session that has reached its end is stopped at exactly that moment."""
        while self.change_at <= now and self.change_at < self.ends_at:
            self.change()
        if now >= self.ends_at:
            self.session.on_time(self.ends_at)
            self.session.stop(self.ends_at)
            self.ends_at = self.change_at = NEVER
        else:
            self.session.on_time(now)
