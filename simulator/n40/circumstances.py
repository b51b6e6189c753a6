"""Where a session is and what it has been told: made when something differs from what all sessions of its usage begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simulator.n40.failure import MAX_CONTINUED, Handling
from simulator.n40.flow import NEVER
from simulator.n40.rating_group import RatingGroup
from simulator.n40.request import Request
from simulator.n40.triggers import CHANGES, DEFERRED, IMMEDIATE, OFF, TriggerSet, fired

if TYPE_CHECKING:
    from simulator.n40.messages import SessionMessages

NOTHING: Final = b""


class Circumstances:
    """Of one session. `messages` renders for the radio, node and quality of service of now, `step` is how far the device moved.

    `fired` are the triggers of the whole session that the next report tells at its top, as a JSON list without brackets.
    """

    __slots__ = (
        "changes", "continued", "failover", "fired", "handling", "inactivity", "kept", "limits_from", "messages", "step",
        "time_at", "triggers",
    )  # fmt: skip

    def __init__(self, messages: SessionMessages, triggers: TriggerSet, now: int) -> None:
        self.messages = messages
        self.step = 0
        self.fired = NOTHING
        self.changes = 0  # in charging conditions, since the last report of the session
        self.kept: Request | None = None  # a report without an answer, to be repeated (failure handling CONTINUE)
        self.continued = 0  # how often the session went on without an answer
        self.handling: Handling | None = None  # what the CHF said
        self.failover: bool | None = None
        self.inactivity = 0  # unit count inactivity timer in seconds, 0: none
        self.limits_from = NEVER  # units used in all rating groups when the limit of volume began to count
        self.time_at = NEVER
        self.triggers = triggers
        self.restart(now, 0)

    def goes_on(self) -> bool:
        """Whether the session may go on without an answer once more."""
        self.continued += 1
        return self.continued <= MAX_CONTINUED

    def arm(self, triggers: TriggerSet, now: int, used: int) -> None:
        """Put other triggers in force; limits count from now."""
        self.triggers = triggers
        self.restart(now, used)

    def restart(self, now: int, used: int) -> None:
        """A report of the session leaves: limits begin again."""
        triggers = self.triggers
        self.changes = 0
        self.time_at = now + triggers.time_limit if triggers.time_limit != NEVER else NEVER
        self.limits_from = used if triggers.volume_limit != NEVER else NEVER

    def fire(self, *names: str) -> None:
        """The next report says at its top that these triggers of the session fired, each once however long it has to wait."""
        for name in names:
            more = fired((name,), IMMEDIATE)[1:-1]
            if more not in self.fired:
                self.fired = self.fired + b"," + more if self.fired else more

    def on_change(self, names: tuple[str, ...]) -> bytes:
        """Some conditions change: return the triggers that close the containers, as JSON; empty: nothing has to be closed."""
        category = self.triggers.strongest(names)
        if category is OFF:
            return NOTHING
        on = tuple([name for name in names if self.triggers.category(name) is not OFF])
        if category is IMMEDIATE:
            self.fire(*on)
            return fired(on, IMMEDIATE)
        self.changes += 1
        if self.changes >= self.triggers.max_changes:
            self.fire(CHANGES)
        return fired(on, DEFERRED)

    def next_limit(self, moment: int, groups: list[RatingGroup]) -> int:
        """When a limit of the session is reached, if that is before `moment`, until which all traffic stays in its bursts."""
        if self.time_at < moment:
            moment = self.time_at
        if NEVER in (self.limits_from, moment):
            return moment
        least = max(group.flow.clock for group in groups)
        limit = self.limits_from + self.triggers.volume_limit
        if _used_by(moment, groups) < limit:
            return moment
        while least < moment:
            middle = (least + moment) // 2
            if _used_by(middle, groups) >= limit:
                moment = middle
            else:
                least = middle + 1
        return moment

    def check_limits(self, now: int, groups: list[RatingGroup]) -> None:
        """Fire what has been reached by now."""
        reached = []
        if now >= self.time_at:
            self.time_at = NEVER
            reached.append("TIME_LIMIT")
        if self.limits_from != NEVER and volume_used(groups) >= self.limits_from + self.triggers.volume_limit:
            self.limits_from = NEVER
            reached.append("VOLUME_LIMIT")
        if reached:
            self.fire(*reached)


def volume_used(groups: list[RatingGroup]) -> int:
    """Octets used so far in all rating groups."""
    return sum([group.flow.used for group in groups if group.spec.unit == "totalVolume"])


def _used_by(moment: int, groups: list[RatingGroup]) -> int:
    return sum([group.flow.used_by(moment, group.ceiling()) for group in groups if group.spec.unit == "totalVolume"])
