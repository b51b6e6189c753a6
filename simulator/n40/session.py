"""The charging session of a PDU session: SCUR, that is Create, Updates and Release (TS 32.290 5.4, TS 32.255 5.2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from simulator.n40 import triggers
from simulator.n40.answers import Action, ChargingAnswer, Outcome
from simulator.n40.flow import NEVER, NS_PER_S
from simulator.n40.identities import Identity
from simulator.n40.messages import SessionMessages
from simulator.n40.rating_group import RatingGroup, State
from simulator.n40.request import Operation, Request
from simulator.n40.timestamps import Timestamps

UNKNOWN: Final = -1
"""A moment that has to be worked out."""

MAX_CREATES: Final = 5
"""How often one PDU session asks for a charging session: the first time, after a refusal for credit, after the CHF lost it."""


class End(StrEnum):
    """How a charging session ended."""

    COMPLETED = "completed"
    DENIED = "denied"
    FAILED = "failed"
    GONE = "gone"  # the CHF no longer knew it
    UNCHARGED = "uncharged"  # the CHF said that charging does not apply
    OPEN = "open"  # the run stopped before it was released


# Globals, because looking up an enum's member costs ten times as much.
_OK: Final = Outcome.OK
_GO_ON: Final = Action.GO_ON
_CREATE: Final = Operation.CREATE
_UPDATE: Final = Operation.UPDATE
_RELEASE: Final = Operation.RELEASE
_STOPPED: Final = State.STOPPED


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionContext:
    """What the sessions of one usage at one network function share.

    `resource` is the path of the chargingdata collection, `retry_after` how long (ns of session time) a subscriber without
    credit waits before asking again, `release_when_stopped` whether a session whose rating groups have all been stopped is
    released at once. `counts_containers`: localSequenceNumber counts over the session, instead of always being 1.
    `create_without_units`: the first Update asks for units.
    """

    messages: SessionMessages
    timestamps: Timestamps
    resource: bytes
    retry_after: int = 30 * NS_PER_S
    release_when_stopped: bool = True
    first_sequence: int = 0
    counts_containers: bool = True
    create_without_units: bool = False


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


class ChargingSession:
    """One charging session as a state machine (the interface is the same for every kind of charging).

    In: `start`, `on_time`, `on_answer`, `on_failure`, `stop`. Out: `next_deadline`, `next_request`, `next_records`. One request
    is outstanding at most; what fires meanwhile joins the next report.
    """

    __slots__ = (
        "_at",
        "_due",
        "_unsent",
        "charging_id",
        "context",
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
        self.retry_at = NEVER
        self.started = 0
        self.stopping = False
        self._at = UNKNOWN  # the moment up to which traffic has run
        self._due = UNKNOWN
        self.verdict: End | None = None  # why it is being released, where that is not the normal end
        self.end: End | None = None
        self.lost: list[UsageRecord] | None = None  # records of charging sessions that the CHF lost

    # -- out ----------------------------------------------------------------------------------------------------------

    def next_deadline(self) -> int:
        """When `on_time` is due, in session time; NEVER while an answer is awaited, which catches up by itself."""
        if self.outstanding is not None or self.end is not None:
            return NEVER
        self._due = due = self._next_moment()
        return due

    def _next_moment(self) -> int:
        if self.retry_at != NEVER:
            return self.retry_at
        moment = NEVER
        for group in self.groups:
            due = group.deadline()
            if due < moment:
                moment = due
        return moment

    def next_request(self) -> Request | None:
        """Return the request to send now, once."""
        if self._unsent:
            self._unsent = False
            return self.outstanding
        return None

    def next_records(self) -> list[UsageRecord]:
        """Return the records of charging sessions that are over, once."""
        records = self.lost or []
        self.lost = None
        if self.end is not None:
            records = records + self._records(self.end)
            self.groups = []
        return records

    def abandon(self, now: int, *, doubt: bool) -> None:
        """The run stops here and the session is left open; `doubt`: a report is on its way that may be charged."""
        if self.end is None:
            self._catch_up(now)
            self._settle(doubt=doubt)
            self._finish(End.OPEN)

    def _records(self, end: End) -> list[UsageRecord]:
        return [
            UsageRecord(
                self.reference, group.spec.rating_group, group.spec.unit, group.flow.used - group.base, group.reported,
                group.acknowledged, group.doubt, end,
            )
            for group in self.groups
        ]  # fmt: skip

    # -- in -----------------------------------------------------------------------------------------------------------

    def start(self, now: int) -> None:
        """The PDU session begins: ask for a charging session, with units for the rating groups that have traffic now."""
        self.started = now
        for group in self.groups:
            if group.flow.wants:
                group.state = State.ASKING
        self._create(now)

    def on_time(self, now: int) -> None:
        """Let time pass until `now`, or until the first moment that needs the CHF: its report holds that moment's usage."""
        moment = self._due  # what next_deadline has just told, if nothing has happened since
        self._due = UNKNOWN
        while self.outstanding is None and self.end is None:
            if moment == UNKNOWN:
                moment = self._next_moment()
            if moment > now:
                return
            self._at = moment
            for group in self.groups:
                group.advance(moment)
            if self.retry_at == NEVER:
                self._act(moment)
            else:
                self.retry_at = NEVER
                self._create(moment)
            moment = UNKNOWN

    def on_answer(self, request_id: int, answer: ChargingAnswer, now: int) -> None:
        """The CHF answered the outstanding request; answers to anything else are ignored."""
        request = self._answered(request_id, now)
        if request is None:
            return
        if answer.action is _GO_ON:
            self._on_success(request, answer, now)
        else:
            self._on_refusal(request, answer, now)
        if self.end is None and self.outstanding is None:
            self._go_on(now)

    def on_failure(self, request_id: int, now: int, *, processed: bool) -> None:
        """No answer will come. `processed` tells whether the CHF may have acted on the request all the same."""
        request = self._answered(request_id, now)
        if request is None:
            return
        self._settle(doubt=processed)
        self._give_up(request, End.FAILED, now)

    def stop(self, now: int) -> None:
        """The PDU session ends (or the run drains): report what is left and release."""
        if self.end is not None or self.stopping:
            return
        self.stopping = True
        self._due = UNKNOWN
        if self.retry_at != NEVER:
            self._finish(End.DENIED)
        elif self.outstanding is None:
            self._release(now)
        else:
            self._catch_up(now)
            for group in self.groups:
                group.flow.end()  # whatever the answer grants

    # -- answers ------------------------------------------------------------------------------------------------------

    def _answered(self, request_id: int, now: int) -> Request | None:
        request = self.outstanding
        if request is None or request.id != request_id:
            return None
        if now != self._at:
            self._catch_up(now)
        self._due = UNKNOWN
        self.outstanding = None
        self._unsent = False
        return request

    def _catch_up(self, now: int) -> None:
        """Traffic went on while the answer was awaited, within what was left of the quotas."""
        while (moment := self._next_moment()) < now:
            for group in self.groups:
                group.advance(moment)
        for group in self.groups:
            group.advance(now)
        self._at = now

    def _on_success(self, request: Request, answer: ChargingAnswer, now: int) -> None:
        if answer.reference:
            self._take_reference(answer)
        for group in self.groups:
            group.acknowledged += group.pending
            group.pending = group.pending_busy = 0
            if group.asked:
                group.asked = False
                if group.state is not _STOPPED:
                    self._apply(group, answer, request, now)
        if request.operation is _RELEASE:
            self._finish(self.verdict or End.COMPLETED)
        elif answer.outcome is not _OK:
            for information in answer.groups:
                if information.refused:
                    self._stop_group(information.ratingGroup, information.code)

    def _take_reference(self, answer: ChargingAnswer) -> None:
        self.reference = answer.reference
        self.origin = answer.origin
        usual = self.context.resource + b"/" + answer.reference
        self.path = answer.path if answer.path and answer.path != usual else b""

    def _apply(self, group: RatingGroup, answer: ChargingAnswer, request: Request, now: int) -> None:
        """Give the group what was answered for it; where nothing was, ask again, at once only after a Create."""
        group.asks = False
        group.trigger = None
        for information in answer.groups:
            if information.ratingGroup == group.spec.rating_group:
                group.on_grant(information, now, self.context.retry_after)
                return
        group.drop_quota(State.WITHOUT)
        # Some CHFs grant nothing on Create: the first Update asks.
        group.expires_at = now if request.operation is _CREATE else now + self.context.retry_after

    def _stop_group(self, rating_group: int, code: str) -> None:
        for group in self.groups:
            if group.spec.rating_group == rating_group and group.state is not _STOPPED:
                group.stop(code)

    def _on_refusal(self, request: Request, answer: ChargingAnswer, now: int) -> None:
        self._settle(doubt=answer.may_have_charged)
        match answer.action:
            case Action.UNCHARGED:
                self._go_uncharged()
            case Action.NO_CREDIT:
                self._no_credit(request, now)
            case Action.GONE:
                self._gone(request, now)
            case _:
                self._give_up(request, End.FAILED if answer.outcome is Outcome.FAILED else End.DENIED, now)

    def _go_uncharged(self) -> None:
        """The CHF says that charging does not apply: traffic goes on, and nothing more is reported."""
        self.verdict = End.UNCHARGED
        for group in self.groups:
            group.drop_quota(State.OFFLINE)
            group.trigger, group.asks = None, False

    def _no_credit(self, request: Request, now: int) -> None:
        """Without credit at the start: ask again later. Later on: online traffic stops until somebody tops up."""
        if request.operation is _CREATE:
            if self.creates >= MAX_CREATES or self.stopping:
                self._finish(End.DENIED)
            else:
                self.retry_at = now + self.context.retry_after
        elif request.operation is _UPDATE:
            for group in self.groups:
                if group.asked:
                    group.asked = False
                    group.stop("QUOTA_LIMIT_REACHED")
        else:
            self._finish(End.DENIED)

    def _gone(self, request: Request, now: int) -> None:
        """The CHF does not know the session; while the PDU session lives, a new one takes over what is unreported."""
        if request.operation is not _UPDATE or self.stopping or self.creates >= MAX_CREATES:
            self._finish(End.GONE)
            return
        records = []
        for group in self.groups:
            records.append(
                UsageRecord(
                    self.reference, group.spec.rating_group, group.spec.unit, group.reported, group.reported,
                    group.acknowledged, group.doubt, End.GONE,
                )
            )  # fmt: skip
            group.base += group.reported
            group.reported = group.acknowledged = group.doubt = 0
            group.trigger = None
            group.drop_quota(State.ASKING if group.flow.wants else State.SILENT)
        self.lost = (self.lost or []) + records
        self.reference = self.path = b""
        self.origin = None
        self._create(now)

    def _give_up(self, request: Request, end: End, now: int) -> None:
        """End the session for good: a failed Release or Create just ends it, otherwise it is released."""
        if request.operation is _UPDATE:
            self.verdict = self.verdict or end
            self._release(now)
        else:
            self._finish(self.verdict or end)

    def _settle(self, *, doubt: bool) -> None:
        """Book the units of a report that was not confirmed: in doubt, or still to be reported."""
        for group in self.groups:
            group.settle(doubt=doubt)

    def _finish(self, end: End) -> None:
        self.end = end
        self.outstanding = None
        self._unsent = False

    # -- what to do next ----------------------------------------------------------------------------------------------

    def _go_on(self, now: int) -> None:
        """After an answer: release if the session is to stop, else report what fired meanwhile."""
        if self.retry_at != NEVER:
            if self.stopping:
                self._finish(End.DENIED)
        elif self.stopping:
            self._release(now)
        else:
            self._act(now)

    def _act(self, now: int) -> None:
        """Report what has fired; release when all is used, or nothing may be used any more."""
        for group in self.groups:
            if group.trigger is not None:
                self._update(now)
                return
        finished = False
        for group in self.groups:
            if group.state is not _STOPPED:
                if group.flow.used < group.flow.volume:
                    return
                finished = True
        if finished or self.context.release_when_stopped:
            self._release(now)

    # -- requests -----------------------------------------------------------------------------------------------------

    def _send(self, operation: Operation, now: int, path: bytes, body: bytes) -> None:
        self.outstanding = Request(self.sequence, operation, now, self.sequence, path, body, self.origin)
        self._unsent = True
        self.sequence += 1

    def _address(self) -> bytes:
        return self.path or self.context.resource + b"/" + self.reference

    def _create(self, now: int) -> None:
        context = self.context
        # Creates of one PDU session differ in nothing but their time stamp: two within a millisecond would be one and its repeat.
        stamp = context.timestamps.later(now, self.creates) if self.creates else context.timestamps.stamp(now)
        self.creates += 1
        self.sequence = context.first_sequence  # every Create opens a charging session of its own
        self.local_sequence = 0
        units = []
        for group in self.groups:
            group.trigger, group.asks, group.asked = None, False, group.state is State.ASKING
            if group.asked:
                group.asked_at, group.asked_busy_at = group.base, group.reported_busy * NS_PER_S
                units.append(context.messages.usage(group.spec.rating_group, group.spec.requested_unit, b""))
        body = context.messages.create(
            context.messages.identify(self.subscriber),
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
        who = context.messages.identify(self.subscriber)
        units = [self._report(group, group.trigger, stamp, now, who) for group in self.groups if group.trigger]
        started = context.timestamps.stamp(self.started)
        body = context.messages.update(who, self.charging_id, stamp, self.sequence, b"", b",".join(units), started)
        self._send(_UPDATE, now, self._address() + b"/update", body)

    def _release(self, now: int) -> None:
        if not self.reference or self.verdict is End.UNCHARGED:
            for group in self.groups:
                group.advance(now)
            self._finish(self.verdict or End.COMPLETED)
            return
        self.stopping = True
        context = self.context
        stamp = context.timestamps.stamp(now)
        who = context.messages.identify(self.subscriber)
        last = triggers.ABNORMAL_RELEASE if self.verdict else triggers.FINAL
        units = []
        for group in self.groups:
            group.advance(now)
            group.asks = False
            units.append(self._report(group, last, stamp, now, who))
            group.drop_quota(_STOPPED)  # traffic has ended; none passes while the answer is awaited
        started = context.timestamps.stamp(self.started)
        body = context.messages.release(
            who, self.charging_id, stamp, self.sequence, triggers.FINAL, b",".join(units), started
        )
        self._send(_RELEASE, now, self._address() + b"/release", body)

    def _report(self, group: RatingGroup, trigger: bytes, stamp: bytes, now: int, who: Identity) -> bytes:
        """One multipleUnitUsage: a container with what was used since the last report, and a request for more."""
        if group.flow.clock != now:
            group.advance(now)
        group.trigger = None
        flow, spec = group.flow, group.spec
        units = flow.used - group.base - group.reported
        group.pending = units
        group.reported += units
        if self.context.counts_containers or not self.local_sequence:
            self.local_sequence += 1
        messages = self.context.messages
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
        requested = b""
        if group.asks:
            group.asks, group.asked = False, True
            group.asked_at, group.asked_busy_at = group.base + group.reported, group.reported_busy * NS_PER_S
            requested = spec.requested_unit
        indicator = b"OFFLINE_CHARGING" if group.state is State.OFFLINE else b"ONLINE_CHARGING"
        container = messages.container(indicator, trigger, stamp, amount, self.local_sequence, information)
        return messages.usage(spec.rating_group, requested, container)
