"""The charging session of a PDU session: SCUR, that is Create, Updates and Release (TS 32.290 5.4, TS 32.255 5.2)."""

from __future__ import annotations

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
from simulator.n40.circumstances import volume_used
from simulator.n40.conditions import Conditions
from simulator.n40.failure import HANDLINGS, Handling, Trouble
from simulator.n40.flow import NEVER
from simulator.n40.grants import Success
from simulator.n40.rating_group import RatingGroup, State
from simulator.n40.reporting import UNKNOWN, Reporting
from simulator.n40.request import Operation, Request, asked_for
from simulator.n40.usage_record import REPEAT_REFUSED, RUN_ENDED, End, UsageRecord

MAX_CREATES: Final = 5
"""How often one PDU session asks for a charging session: the first time, after a refusal for credit, after the CHF lost it."""


# Globals, because looking up an enum's member costs ten times as much.
_OK: Final = Outcome.OK
_GO_ON: Final = Action.GO_ON
_CREATE: Final = Operation.CREATE
_UPDATE: Final = Operation.UPDATE
_RELEASE: Final = Operation.RELEASE
_STOPPED: Final = State.STOPPED
_OFFLINE: Final = State.OFFLINE
_COMPLETED: Final = End.COMPLETED
_UNCHARGED: Final = End.UNCHARGED


class ChargingSession(Reporting):
    """One charging session as a state machine (the interface is the same for every kind of charging).

    In: `start`, `on_time`, `on_answer`, `on_failure`, `on_change`, `on_notify`, `stop`. Out: `next_deadline`, `next_request`,
    `next_records`. One request is outstanding at most; what fires meanwhile joins the next report.
    """

    __slots__ = ()

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
        if self.verdict is _UNCHARGED:
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
        forced = False
        for group in self.groups:
            group.acknowledge()
            forced = forced or group.forced
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
            self._finish(self.verdict or _COMPLETED)
        elif answer.outcome is not _OK:
            for information in answer.groups:
                if information.refused:
                    self._stop_group(information.ratingGroup, information.code)
        if forced:
            self._reauthorise_forced()

    def _reauthorise_forced(self) -> None:
        """The CHF wanted to be asked again while its answer was on its way: whatever that says, it may have been made before."""
        for group in self.groups:
            if group.forced:
                group.forced = False
                group.reauthorise()

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
        self.verdict = _UNCHARGED
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
            self._reauthorise_forced()
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
        if self.verdict is _UNCHARGED:
            self._enter_uncharged()
            if all(group.flow.finished for group in self.groups):
                self._finish(_UNCHARGED)
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
                records.append(UsageRecord(b"", spec.rating_group, spec.unit, units, 0, 0, 0, _UNCHARGED))
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

    def _release(self, now: int) -> None:
        """The charging session is over: release it, where the CHF has one."""
        if not self.reference or self.verdict is _UNCHARGED:
            self._catch_up(now)
            self._finish(self.verdict or _COMPLETED)
            return
        self.stopping = True
        is_normal = self.verdict is None or self.verdict is End.ABORTED
        self._send_release(now, triggers.FINAL if is_normal else triggers.ABNORMAL_RELEASE)
