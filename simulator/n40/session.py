"""The charging session of a PDU session: SCUR, that is Create, Updates and Release (TS 32.290 5.4, TS 32.255 5.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from simulator.n40 import triggers
from simulator.n40.answers import (
    GRANT_AFTER_FINAL,
    GRANT_NOT_ASKED_FOR,
    WRONG_SEQUENCE,
    Action,
    ChargingAnswer,
    Outcome,
    trouble_of_answer,
)
from simulator.n40.circumstances import Circumstances, volume_used
from simulator.n40.conditions import Conditions
from simulator.n40.failure import HANDLINGS, NO_HANDLING, FailurePolicy, Handling, Trouble
from simulator.n40.flow import NEVER, NS_PER_S
from simulator.n40.grants import Success
from simulator.n40.identities import Identity
from simulator.n40.messages import SessionMessages
from simulator.n40.rating_group import RatingGroup, State
from simulator.n40.request import Operation, Request, asked_for
from simulator.n40.timestamps import Timestamps
from simulator.n40.triggers import GROUP_TRIGGERS, SESSION_TRIGGERS, TriggerSet
from simulator.n40.usage_record import CHECKSUM_MODULUS, REPEAT_REFUSED, RUN_ENDED, End, UsageRecord

UNKNOWN: Final = -1
"""A moment that has to be worked out."""

MAX_CREATES: Final = 5
"""How often one PDU session asks for a charging session: the first time, after a refusal for credit, after the CHF lost it."""


# Globals, because looking up an enum's member costs ten times as much.
_OK: Final = Outcome.OK
_GO_ON: Final = Action.GO_ON
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


class ChargingSession:
    """One charging session as a state machine (the interface is the same for every kind of charging).

    In: `start`, `on_time`, `on_answer`, `on_failure`, `on_change`, `on_notify`, `stop`. Out: `next_deadline`, `next_request`,
    `next_records`. One request is outstanding at most; what fires meanwhile joins the next report.
    """

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

    # -- out ----------------------------------------------------------------------------------------------------------

    def next_deadline(self) -> int:
        """When `on_time` is due, in session time; NEVER while an answer is awaited, which catches up by itself."""
        if self.outstanding is not None or self.end is not None:
            return NEVER
        self._due = due = self._next_moment()
        return due

    def _next_moment(self) -> int:
        return self.retry_at if self.retry_at != NEVER else self._next_of_groups()

    def _next_of_groups(self) -> int:
        """When something happens by itself: to a quota, to a container, or at a limit of the session."""
        moment = NEVER
        for group in self.groups:
            due = group.deadline()
            if due < moment:
                moment = due
        if self.circumstances is not None:
            moment = self.circumstances.next_limit(moment, self.groups)
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
            report = self._kept()
            kept = report is not None and report.repeated
            self._settle(RUN_ENDED if doubt or kept else "")
            self._finish(End.OPEN)

    def _records(self, end: End) -> list[UsageRecord]:
        return [self._record(group, group.flow.used - group.base, end) for group in self.groups]

    def _record(self, group: RatingGroup, used: int, end: End) -> UsageRecord:
        return UsageRecord(
            self.reference, group.spec.rating_group, group.spec.unit, used, group.sent, group.acknowledged, group.doubt, end,
            self.created, group.checksum if self.context.counts_containers else None, self.local_sequence, group.doubts,
        )  # fmt: skip

    # -- in -----------------------------------------------------------------------------------------------------------

    def start(self, now: int) -> None:
        """The PDU session begins: ask for a charging session, with units for the rating groups that have traffic now."""
        self.started = now
        context = self.context
        if not context.create_without_units:
            for group in self.groups:
                if group.flow.wants:
                    group.state = State.ASKING
        if context.group_triggers.has_limits:
            for group in self.groups:
                group.arm(context.group_triggers, now)
        if context.session_triggers.has_limits:
            self._circumstances(now)
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
            if self.retry_at == NEVER:
                self._advance(moment)
                self._act(moment)
            else:
                self._catch_up(moment)
                self.retry_at = NEVER
                self._ask_again(moment)
            moment = UNKNOWN

    def _advance(self, moment: int) -> None:
        """Let traffic run to a moment before which nothing happens, and close the containers that end there."""
        self._at = moment
        for group in self.groups:
            group.advance(moment)
            if group.split is not None and group.split.due is not None:
                self._close(group, group.split.due, moment)
        if self.circumstances is not None:
            self.circumstances.check_limits(moment, self.groups)

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

    def on_failure(self, request_id: int, now: int, *, processed: bool, trouble: Trouble = Trouble.TIMEOUT) -> None:
        """No answer will come. `processed` tells whether the CHF may have acted on the request all the same."""
        request = self._answered(request_id, now)
        if request is not None:
            self._on_trouble(request, trouble, processed, now)

    def on_change(self, names: tuple[str, ...], conditions: Conditions, step: int, now: int) -> None:
        """The charging conditions change, which fires these triggers: what was used before is told as it was then.

        `step` is how often the device has moved to other cells.
        """
        if self.end is not None:
            return
        if now != self._at:
            self._catch_up(now)
        self._due = UNKNOWN
        circumstances = self._circumstances(now)
        if self.reference and not self.stopping:
            reason = circumstances.on_change(names)
            if reason:
                for group in self.groups:
                    self._close(group, reason, now)
        circumstances.messages = self.context.messages.under(conditions)
        circumstances.step = step
        self._go_on_if_free(now)

    def on_notify(self, rating_groups: tuple[int, ...] | None, now: int, *, abort: bool) -> None:
        """The CHF wants to be asked again for some rating groups (None: for all), or wants the session ended."""
        if self.end is not None or self.stopping:
            return
        if now != self._at:
            self._catch_up(now)
        self._due = UNKNOWN
        if abort:
            self.verdict = self.verdict or End.ABORTED
            self.stop(now)
            return
        if self.verdict is End.UNCHARGED:
            return  # it has nothing to report
        for group in self.groups:
            if rating_groups is None or group.spec.rating_group in rating_groups:
                group.reauthorise()
        self._go_on_if_free(now)

    def _go_on_if_free(self, now: int) -> None:
        if self.outstanding is None and self.retry_at == NEVER:
            self._act(now)

    def handling(self, operation: Operation, trouble: Trouble) -> Handling:
        """What the CHF, or else the profile, says about that trouble."""
        circumstances = self.circumstances
        if circumstances is not None and circumstances.handling is not None:
            return circumstances.handling
        return self.context.failure.of(operation, trouble)

    @property
    def failover(self) -> bool:
        """Whether this session may move to another CHF."""
        circumstances = self.circumstances
        if circumstances is not None and circumstances.failover is not None:
            return circumstances.failover
        return self.context.failure.failover

    def stop(self, now: int) -> None:
        """The PDU session ends (or the run drains): report what is left and release."""
        if self.end is not None or self.stopping:
            return
        self.stopping = True
        self._due = UNKNOWN
        if self.retry_at == NEVER and self.outstanding is None:
            self._release(now)
            return
        self._catch_up(now)
        for group in self.groups:
            group.flow.end()  # whatever the answer grants
        if self.retry_at != NEVER:
            self.retry_at = NEVER
            report = self._kept()
            if report is not None:
                self._repeat(report, now)
            else:
                self._finish_badly(End.DENIED)

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
        while (moment := self._next_of_groups()) < now:
            self._advance(moment)
        self._advance(now)

    def _on_success(self, request: Request, answer: ChargingAnswer, now: int) -> None:
        if answer.reference:
            self._take_reference(answer)
        if answer.settings is not None:
            self._take_settings(answer.settings, now)
        answered = 0
        for group in self.groups:
            group.acknowledge()
            group.lenient = False
            if group.split is not None:
                group.split.sent = b""
            if group.asked:
                group.asked = False
                if group.state is not _STOPPED:
                    answered += self._apply(group, answer, request, now)
        number = answer.sequence
        if number is not None and number != request.sequence:
            answer.broken = WRONG_SEQUENCE
        if answered != len(answer.groups):
            self._watch_grants(request, answer)
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

    def _take_settings(self, settings: Success, now: int) -> None:
        """What a CHF says about the whole session: its triggers, failure handling, failover, inactivity timer."""
        circumstances = self._circumstances(now)
        if settings.triggers is not None:
            armed = self.context.session_triggers.answered(settings.triggers)
            circumstances.arm(armed, now, volume_used(self.groups))
        result, pdu_session = settings.invocationResult, settings.pDUSessionChargingInformation
        if result is not None and result.failureHandling is not None:
            circumstances.handling = HANDLINGS.get(result.failureHandling, circumstances.handling)
        if settings.sessionFailover is not None:
            circumstances.failover = settings.sessionFailover == "FAILOVER_SUPPORTED"
        if pdu_session is not None and pdu_session.unitCountInactivityTimer is not None:
            circumstances.inactivity = pdu_session.unitCountInactivityTimer

    def _circumstances(self, now: int) -> Circumstances:
        if self.circumstances is None:
            self.circumstances = Circumstances(self.context.messages, self.context.session_triggers, now)
        return self.circumstances

    def _watch_grants(self, request: Request, answer: ChargingAnswer) -> None:
        """Note a grant that nobody asked for."""
        asked = asked_for(request.body)
        for information in answer.groups:
            units = information.grantedUnit
            if units is not None and units.is_something and information.ratingGroup not in asked:
                answer.broken = GRANT_NOT_ASKED_FOR
                for group in self.groups:
                    if group.state is _STOPPED and group.spec.rating_group == information.ratingGroup:
                        answer.broken = GRANT_AFTER_FINAL

    def _apply(self, group: RatingGroup, answer: ChargingAnswer, request: Request, now: int) -> int:
        """Give the group what was answered for it; where nothing was, ask again, at once only after a Create.

        Return how many of the answer's entries were for it, 1 or 0.
        """
        group.asks = False
        group.trigger = None
        number = group.spec.rating_group
        for information in answer.groups:
            if information.ratingGroup == number:
                group.on_grant(information, now, self.context.retry_after)
                if information.triggers is not None:
                    group.arm(self.context.group_triggers.answered(information.triggers), now)
                units = information.grantedUnit
                if units is not None and units.tariffTimeChange is not None:
                    self._change_tariff(group, units.tariffTimeChange, now)
                if self.circumstances is not None and self.circumstances.inactivity:
                    group.limit_silence(self.circumstances.inactivity)
                if group.forced:
                    group.forced = False
                    group.reauthorise()
                return 1
        group.drop_quota(State.WITHOUT)
        # Some CHFs grant nothing on Create: the first Update asks.
        group.expires_at = now if request.operation is _CREATE else now + self.context.retry_after
        return 0

    def _change_tariff(self, group: RatingGroup, text: str, now: int) -> None:
        moment = self.context.timestamps.moment_of(text)
        if moment is not None:
            group.change_tariff(moment, now)

    def _stop_group(self, rating_group: int, code: str) -> None:
        for group in self.groups:
            if group.spec.rating_group == rating_group and group.state is not _STOPPED:
                group.stop(code)

    def _on_refusal(self, request: Request, answer: ChargingAnswer, now: int) -> None:
        if answer.action is Action.FAILURE:
            self._on_trouble(request, trouble_of_answer(answer), answer.may_have_charged, now)
            return
        self._settle(REPEAT_REFUSED if answer.may_have_charged else "")
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
            group.drop_quota(_OFFLINE)
            group.drop_unsent()
            group.trigger, group.asks, group.asked, group.split = None, False, False, None

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
        self.lost = (self.lost or []) + [self._record(group, group.sent, End.GONE) for group in self.groups]
        for group in self.groups:
            group.begin_again()
        self.reference = self.path = b""
        self.origin = None
        self._create(now)

    def _on_trouble(self, request: Request, trouble: Trouble, processed: bool, now: int) -> None:
        """No usable answer, and no other attempt helps: end the session, or go on all the same."""
        goes_on = not self.stopping and self.handling(request.operation, trouble) is Handling.CONTINUE
        if goes_on and request.operation is not _RELEASE and self._circumstances(now).goes_on():
            if request.operation is _UPDATE:
                self._keep(request, processed, now)
            else:
                self._go_without_session(now)
            return
        self._settle(trouble if processed else "")
        self._give_up(request, End.FAILED, now)

    def _keep(self, request: Request, processed: bool, now: int) -> None:
        """Traffic goes on. The report is told again later, word for word: a CHF that has charged it will not do so twice."""
        request.repeated = request.repeated or processed
        self._circumstances(now).kept = request
        self.retry_at = now + self.context.failure.retry_every
        for group in self.groups:
            group.go_on_without()

    def _go_without_session(self, now: int) -> None:
        """Create failed: traffic is not charged, until the CHF can be asked again."""
        self._go_uncharged()
        if self.context.failure.recreate_after != NEVER:
            self.retry_at = now + self.context.failure.recreate_after

    def _ask_again(self, now: int) -> None:
        report = self._kept()
        if report is not None:
            self._repeat(report, now)
            return
        if self.verdict is End.UNCHARGED:
            self._enter_uncharged()
            if all(group.flow.finished for group in self.groups):
                self._finish(End.UNCHARGED)
                return
        self._create(now)

    def _kept(self) -> Request | None:
        return None if self.circumstances is None else self.circumstances.kept

    def _repeat(self, request: Request, now: int) -> None:
        self._circumstances(now).kept = None
        request.due = now
        self.outstanding = request
        self._unsent = True

    def _enter_uncharged(self) -> None:
        """What was used without a charging session stands in a record of its own; the next one begins after it."""
        self.verdict = None
        records = self.lost or []
        for group in self.groups:
            units = group.uncharged()
            if units:
                spec = group.spec
                records.append(UsageRecord(b"", spec.rating_group, spec.unit, units, 0, 0, 0, End.UNCHARGED))
            group.state = State.ASKING if group.flow.wants else State.SILENT
        self.lost = records

    def _give_up(self, request: Request, end: End, now: int) -> None:
        """End the session for good: a failed Release or Create just ends it, otherwise it is released."""
        if request.operation is _UPDATE:
            self.verdict = self.verdict or end
            self._release(now)
        else:
            self._finish_badly(end)

    def _settle(self, doubt: str) -> None:
        """Book the units of a report that was not confirmed: in doubt for a reason, or without one still to be reported."""
        for group in self.groups:
            group.settle(doubt)

    def _finish_badly(self, end: End) -> None:
        """The last request failed, so what was left has not been told; even where the CHF wanted the session ended."""
        verdict = self.verdict
        self._finish(end if verdict is None or verdict is End.ABORTED else verdict)

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
        if self.circumstances is not None and self.circumstances.fired:
            self._update(now)
            return
        finished = denied = False
        for group in self.groups:
            if group.state is not _STOPPED:
                if group.flow.used < group.flow.volume:
                    return
                finished = True
            elif group.denied:
                denied = True
        context = self.context
        if finished or (context.release_when_denied if denied else context.release_when_stopped):
            self._release(now)

    # -- requests -----------------------------------------------------------------------------------------------------

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

    def _release(self, now: int) -> None:
        if not self.reference or self.verdict is End.UNCHARGED:
            self._catch_up(now)
            self._finish(self.verdict or End.COMPLETED)
            return
        self.stopping = True
        context = self.context
        stamp = context.timestamps.stamp(now)
        who = self._who()
        messages = self._messages()
        last = triggers.FINAL if self.verdict is None or self.verdict is End.ABORTED else triggers.ABNORMAL_RELEASE
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
        if units > 0:
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
