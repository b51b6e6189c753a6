"""What a charging session says: its Create, Updates and Release, with containers, triggers and requests for units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from simulator.n40 import triggers
from simulator.n40.circumstances import Circumstances, volume_used
from simulator.n40.failure import NO_HANDLING, FailurePolicy
from simulator.n40.flow import NEVER, NS_PER_S
from simulator.n40.identities import Identity
from simulator.n40.messages import SessionMessages
from simulator.n40.rating_group import RatingGroup, State
from simulator.n40.request import Operation, Request
from simulator.n40.timestamps import Timestamps
from simulator.n40.triggers import GROUP_TRIGGERS, SESSION_TRIGGERS, TriggerSet
from simulator.n40.usage_record import CHECKSUM_MODULUS, End, UsageRecord

UNKNOWN: Final = -1
"""A moment that has to be worked out."""

# Globals, because looking up an enum's member costs ten times as much.
_CREATE: Final = Operation.CREATE
_UPDATE: Final = Operation.UPDATE
_RELEASE: Final = Operation.RELEASE
_STOPPED: Final = State.STOPPED
_GRANTED: Final = State.GRANTED
_OFFLINE: Final = State.OFFLINE
_SUSPENDED: Final = State.SUSPENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionContext:
    """What the sessions of one usage at one network function share.

    `resource` is the path of the chargingdata collection, `retry_after` how long (ns of session time) a subscriber without
    credit waits before asking again. A session without service is released at once, or kept until the CHF notifies:
    `release_when_stopped` says so where final units ended it, `release_when_denied` where a result code did.
    `counts_containers` is False where localSequenceNumber is always 1.
    """

    messages: SessionMessages
    timestamps: Timestamps
    resource: bytes
    retry_after: int = 30 * NS_PER_S
    release_when_stopped: bool = True
    release_when_denied: bool = True
    create_without_units: bool = False
    first_sequence: int = 0
    counts_containers: bool = True
    failure: FailurePolicy = NO_HANDLING
    session_triggers: TriggerSet = SESSION_TRIGGERS
    group_triggers: TriggerSet = GROUP_TRIGGERS


class Reporting:
    """The state of a charging session, and the requests that it makes out of it; `ChargingSession` decides when."""

    __slots__ = (
        "_at",
        "_due",
        "_unsent",
        "charging_id",
        "circumstances",
        "context",
        "created",
        "creates",
        "end",
        "groups",
        "local_sequence",
        "lost",
        "origin",
        "outstanding",
        "path",
        "reference",
        "retry_at",
        "sequence",
        "started",
        "stopping",
        "subscriber",
        "verdict",
    )  # fmt: skip

    def __init__(self, context: SessionContext, subscriber: int, charging_id: int, groups: list[RatingGroup]) -> None:
        self.context = context
        self.subscriber = subscriber
        self.charging_id = charging_id
        self.groups = groups
        self.reference = b""
        self.path = b""  # only where Location named another path than the collection's
        self.origin: bytes | None = None
        self.sequence = context.first_sequence
        self.local_sequence = 0
        self.outstanding: Request | None = None
        self._unsent = False
        self.creates = 0
        self.created = b""  # the time stamp of the Create, where messages hold no other name for the charging session
        self.retry_at = NEVER  # when to ask again: for a charging session, or for the answer to a report that was kept
        self.circumstances: Circumstances | None = None
        self.started = 0
        self.stopping = False
        self._at = UNKNOWN  # the moment up to which traffic has run
        self._due = UNKNOWN
        self.verdict: End | None = None  # why it is being released, where that is not the normal end
        self.end: End | None = None
        self.lost: list[UsageRecord] | None = None  # records of charging sessions that the CHF lost

    def _circumstances(self, now: int) -> Circumstances:
        if self.circumstances is None:
            self.circumstances = Circumstances(self.context.messages, self.context.session_triggers, now)
        return self.circumstances

    def _send(self, operation: Operation, now: int, path: bytes, body: bytes) -> None:
        self.outstanding = Request(self.sequence, operation, now, self.sequence, path, body, self.origin)
        self._unsent = True
        self.sequence += 1

    def _address(self) -> bytes:
        return self.path or self.context.resource + b"/" + self.reference

    def _who(self) -> Identity:
        circumstances = self.circumstances
        if circumstances is None:
            return self.context.messages.identify(self.subscriber)
        return circumstances.messages.identify(self.subscriber, circumstances.step)

    def _messages(self) -> SessionMessages:
        circumstances = self.circumstances
        return self.context.messages if circumstances is None else circumstances.messages

    def _create(self, now: int) -> None:
        context = self.context
        # Creates of one PDU session differ in nothing but their time stamp: two within a millisecond would be one and its repeat.
        stamp = context.timestamps.later(now, self.creates) if self.creates else context.timestamps.stamp(now)
        self.creates += 1
        if not context.messages.names_sessions:
            self.created = stamp
        self.sequence = context.first_sequence  # every Create opens a charging session of its own
        self.local_sequence = 0
        messages = self._messages()
        units = []
        for group in self.groups:
            group.trigger, group.asks, group.asked = None, False, group.state is State.ASKING
            if group.asked:
                group.asked_at, group.asked_busy_at = group.base, group.reported_busy * NS_PER_S
                units.append(messages.usage(group.spec.rating_group, group.spec.requested_unit, b""))
        body = messages.create(
            self._who(),
            self.charging_id,
            stamp,
            self.sequence,
            b",".join(units),
            context.timestamps.stamp(self.started),
        )
        self._send(_CREATE, now, context.resource, body)

    def _update(self, now: int) -> None:
        context = self.context
        stamp = context.timestamps.stamp(now)
        who = self._who()
        messages = self._messages()
        fired = b""
        if self.circumstances is not None:
            fired = self._take_fired(self.circumstances, now)
        units = []
        for group in self.groups:
            if fired and group.state is _GRANTED and group.split is not None and group.split.closed:
                group.asks = True
            if group.trigger is not None or (group.split is not None and group.split.closed):
                units.append(self._report(group, group.trigger, stamp, now, who, messages))
        started = context.timestamps.stamp(self.started) if messages.updates_tell_start else b""
        body = messages.update(who, self.charging_id, stamp, self.sequence, fired, b",".join(units), started)
        self._send(_UPDATE, now, self._address() + b"/update", body)

    def _take_fired(self, circumstances: Circumstances, now: int) -> bytes:
        """The triggers of the session for the top of its report, which closes all containers where one of them fired."""
        if not circumstances.fired:
            return b""
        fired = b"[" + circumstances.fired + b"]"
        circumstances.fired = b""
        for group in self.groups:
            if group.trigger is None:
                self._close(group, fired, now)
        circumstances.restart(now, volume_used(self.groups))
        return fired

    def _send_release(self, now: int, last: bytes) -> None:
        """Report what is left of every rating group, and ask for nothing."""
        context = self.context
        stamp = context.timestamps.stamp(now)
        who = self._who()
        messages = self._messages()
        units = []
        for group in self.groups:
            group.advance(now)
            group.asks = False
            units.append(self._report(group, last, stamp, now, who, messages))
            group.drop_quota(_STOPPED)  # traffic has ended; none passes while the answer is awaited
        started = context.timestamps.stamp(self.started)
        body = messages.release(who, self.charging_id, stamp, self.sequence, last, b",".join(units), started)
        self._send(_RELEASE, now, self._address() + b"/release", body)

    def _close(self, group: RatingGroup, reason: bytes, now: int) -> None:
        """A container ends and waits for the next report."""
        split = group.splits()
        split.due = None
        units = group.unclosed
        if units > 0 and split.closed_count < triggers.MAX_HELD:
            stamp = self.context.timestamps.stamp(now)
            container = self._container(group, reason, stamp, self._who(), self._messages())
            split.closed = split.closed + b"," + container if split.closed else container
            split.closed_units += units
            split.closed_checksum += self._checksum(units)
            split.closed_count += 1
        if split.closed_count >= triggers.MAX_BUFFERED and not self._circumstances(now).fired:
            self._circumstances(now).fire(triggers.CHANGES)
        split.open_container(now, group.flow.used, group.spec.unit)

    def _report(
        self,
        group: RatingGroup,
        trigger: bytes | None,
        stamp: bytes,
        now: int,
        who: Identity,
        messages: SessionMessages,
    ) -> bytes:
        """One multipleUnitUsage: containers with what was used since the last report, and a request for more."""
        if group.flow.clock != now:
            group.advance(now)
        group.trigger = None
        pending, checksum, containers = 0, 0, b""
        if trigger is not None:
            pending = group.unclosed
            containers = self._container(group, trigger, stamp, who, messages)
            checksum = self._checksum(pending)
        split = group.split
        if split is not None:
            if split.closed:
                pending += split.closed_units
                checksum += split.closed_checksum
                containers = split.closed + b"," + containers if containers else split.closed
                split.closed, split.closed_count, split.closed_units, split.closed_checksum = b"", 0, 0, 0
            split.sent = containers
            if trigger is not None:
                split.open_container(now, group.flow.used, group.spec.unit)
        group.pending, group.pending_checksum = pending, checksum
        requested = b""
        if group.asks:
            group.asks, group.asked = False, True
            group.asked_at, group.asked_busy_at = group.base + group.reported, group.reported_busy * NS_PER_S
            requested = group.spec.requested_unit
        return messages.usage(group.spec.rating_group, requested, containers)

    def _checksum(self, units: int) -> int:
        """What the container that was closed last adds to the checksum of its rating group."""
        return units * (self.local_sequence + 1) % CHECKSUM_MODULUS

    def _container(
        self, group: RatingGroup, trigger: bytes, stamp: bytes, who: Identity, messages: SessionMessages
    ) -> bytes:
        """What was used since the last container, which ends here."""
        flow, spec = group.flow, group.spec
        units = flow.used - group.base - group.reported
        group.reported += units
        self.local_sequence += 1
        if spec.unit == "totalVolume":
            seconds = group.take_busy()
            uplink = units * spec.uplink_permille // 1000
            amount = messages.volume(seconds, units, uplink)
        else:
            amount = b'"%b":%d' % (spec.unit.encode(), units)
        information = b""
        if flow.first_use != NEVER:
            stamps = self.context.timestamps
            information = messages.container_information(
                who, stamps.stamp(flow.first_use), stamps.stamp(flow.last_use), spec.five_qi
            )
            flow.first_use = NEVER  # the next container begins
        indicator = b"ONLINE_CHARGING"
        if group.state is _OFFLINE:
            indicator = b"OFFLINE_CHARGING"
        elif group.state is _SUSPENDED:
            indicator = b"QUOTA_MANAGEMENT_SUSPENDED"
        number = self.local_sequence if self.context.counts_containers else 1
        return messages.container(indicator, trigger, stamp, amount, number, information)
