"""A session that is open: the charging session and what the fleet needs to keep it going."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.n40 import ChargingSession, Delivery, OneTimeEvent, Request
from simulator.n40.flow import NEVER

if TYPE_CHECKING:
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
        "request",
        "session",
        "slot",
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
        self.device = device  # in closed mode, the device that starts another session when this one has ended
        self.request: Request | None = None
        self.due = 0
        self.delivery: Delivery | None = None
        self.again_at = 0  # when a request that has to wait is tried again; 0: none is
        self.chf = 0  # the place of the CHF that has the session
        self.moved = 0  # how often the request that is on its way went to another CHF
        self.rebased = False  # moved there, so that the origin of its Location is no longer right
        self.first_sent = 0
        self.clock = 0

    def next_deadline(self) -> int:
        """When this session has to be looked at, in session time."""
        deadline = self.session.next_deadline()
        return deadline if deadline < self.ends_at else self.ends_at

    def end(self) -> None:
        """A PDU session whose end passed while an answer was awaited ended at exactly that moment."""
        self.session.stop(self.ends_at)
        self.ends_at = NEVER

    def on_time(self, now: int) -> None:
        """Let session time pass; a PDU session that has reached its end is stopped at exactly that moment."""
        if now >= self.ends_at:
            self.session.on_time(self.ends_at)
            self.session.stop(self.ends_at)
            self.ends_at = NEVER
        else:
            self.session.on_time(now)
