"""One-time events: IEC (charged before delivery) and PEC (charged after it), for short messages (TS 32.290 5.3)."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.n40 import triggers
from simulator.n40.answers import (
    GRANT_NOT_ASKED_FOR,
    GRANT_TOO_MUCH,
    WRONG_SEQUENCE,
    Action,
    ChargingAnswer,
    Outcome,
    trouble_of_answer,
)
from simulator.n40.conditions import Conditions
from simulator.n40.failure import NO_HANDLING, FailurePolicy, Handling, Trouble
from simulator.n40.flow import NEVER
from simulator.n40.messages import EventMessages
from simulator.n40.request import Operation, Request
from simulator.n40.timestamps import Timestamps
from simulator.n40.usage_record import REPEAT_REFUSED, RUN_ENDED, End, UsageRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class EventContext:
    """What the events of one usage at one SMSF share; `immediate` is IEC, otherwise PEC."""

    messages: EventMessages
    timestamps: Timestamps
    resource: bytes
    rating_group: int
    immediate: bool
    first_sequence: int = 0
    failure: FailurePolicy = NO_HANDLING


class OneTimeEvent:
    """One event, with the interface of a charging session: a single request, then it is over.

    IEC: the units are used when the CHF has debited them. PEC: they have been used already. An IEC that is never answered
    uses nothing (no message is sent on credit), and its units are in doubt.
    """

    lost = None
    """An event is over with its only answer: nothing is lost on the way."""

    __slots__ = (
        "_unsent",
        "acknowledged",
        "charging_id",
        "context",
        "created",
        "doubt",
        "end",
        "outstanding",
        "recipient",
        "reference",
        "subscriber",
        "units",
        "why",
    )

    def __init__(self, context: EventContext, subscriber: int, charging_id: int, units: int, recipient: int) -> None:
        self.context = context
        self.subscriber = subscriber
        self.charging_id = charging_id
        self.units = units
        self.recipient = recipient
        self.reference = b""
        self.acknowledged = 0
        self.doubt = 0
        self.why = ""  # it is in doubt
        self.created = b""  # the time stamp, where messages hold no other name for the event
        self.outstanding: Request | None = None
        self._unsent = False
        self.end: End | None = None

    def next_deadline(self) -> int:
        """Return NEVER: an event waits for nothing but its answer."""
        return NEVER

    def next_request(self) -> Request | None:
        """Return the request to send now, once."""
        if self._unsent:
            self._unsent = False
            return self.outstanding
        return None

    def next_records(self) -> list[UsageRecord]:
        """Return what it used and reported, once it is over."""
        if self.end is None:
            return []
        context = self.context
        used = self.acknowledged if context.immediate and self.end is not End.UNCHARGED else self.units
        record = UsageRecord(
            self.reference,
            context.rating_group,
            "serviceSpecificUnits",
            used,
            self.doubt if self.end is End.UNCHARGED else self.units,
            self.acknowledged,
            self.doubt,
            self.end,
            self.created,
            doubts=((self.doubt, 0, self.why),) if self.doubt else (),
        )
        return [record]

    def start(self, now: int) -> None:
        """Ask to debit (IEC), or report what was sent (PEC)."""
        context = self.context
        stamp = context.timestamps.stamp(now)
        if not context.messages.names_sessions:
            self.created = stamp
        units = self._debit() if context.immediate else self._report(stamp)
        body = context.messages.event(
            self.subscriber, self.charging_id, self.recipient, stamp, context.first_sequence, units, self.units
        )
        self.outstanding = Request(0, Operation.EVENT, now, context.first_sequence, context.resource, body)
        self._unsent = True

    def _debit(self) -> bytes:
        requested = b'"requestedUnit":{"serviceSpecificUnits":%d}' % self.units
        return self.context.messages.usage(self.context.rating_group, requested, b"")

    def _report(self, stamp: bytes) -> bytes:
        messages = self.context.messages
        amount = messages.sent(self.units, stamp)
        container = messages.container(b"OFFLINE_CHARGING", triggers.FINAL, stamp, amount, 1, b"")
        return messages.usage(self.context.rating_group, b"", container)

    def on_time(self, now: int) -> None:
        """Nothing happens by itself."""

    def on_answer(self, request_id: int, answer: ChargingAnswer, now: int) -> None:  # noqa: ARG002
        """The CHF debited, refused, or answered something that cannot be read."""
        if self.outstanding is None or request_id != self.outstanding.id:
            return
        self.outstanding = None
        self.reference = answer.reference
        if answer.action is Action.GO_ON and answer.outcome is Outcome.OK:
            self._watch_promises(answer)
            self.acknowledged = self._debited(answer)
            self.end = End.COMPLETED
            return
        if answer.action is Action.FAILURE:
            self._fail(trouble_of_answer(answer), processed=answer.may_have_charged)
            return
        if answer.may_have_charged:
            self._leave_in_doubt(REPEAT_REFUSED)
        if answer.outcome is Outcome.FAILED:
            self.end = End.FAILED
        else:
            self.end = End.UNCHARGED if answer.action is Action.UNCHARGED else End.DENIED

    def _watch_promises(self, answer: ChargingAnswer) -> None:
        """Note what a CHF must not do: answer another question, or grant what nobody asked for, or more."""
        if answer.sequence is not None and answer.sequence != self.context.first_sequence:
            answer.broken = WRONG_SEQUENCE
        for group in answer.groups:
            granted = None if group.grantedUnit is None else group.grantedUnit.serviceSpecificUnits
            if granted and not (self.context.immediate and group.ratingGroup == self.context.rating_group):
                answer.broken = GRANT_NOT_ASKED_FOR
            elif granted and granted > self.units:
                answer.broken = GRANT_TOO_MUCH

    def _debited(self, answer: ChargingAnswer) -> int:
        """How many units an IEC answer granted; a CHF that names no amount has granted what was asked."""
        if self.context.immediate:
            for group in answer.groups:
                units = None if group.grantedUnit is None else group.grantedUnit.serviceSpecificUnits
                if group.ratingGroup == self.context.rating_group and units is not None:
                    return min(self.units, units)
        return self.units

    def handling(self, operation: Operation, trouble: Trouble) -> Handling:
        """What the profile says about that trouble."""
        return self.context.failure.of(operation, trouble)

    @property
    def failover(self) -> bool:
        """An event that was not charged anywhere may go anywhere; one that may have been is not asked for elsewhere."""
        return self.context.failure.failover

    def on_change(self, names: tuple[str, ...], conditions: Conditions, step: int, now: int) -> None:
        """Nothing changes during an event."""

    def on_notify(self, rating_groups: tuple[int, ...] | None, now: int, *, abort: bool) -> None:
        """An event is over before a CHF could want anything of it."""

    def on_failure(
        self,
        request_id: int,
        now: int,  # noqa: ARG002
        *,
        processed: bool,
        trouble: Trouble = Trouble.TIMEOUT,
    ) -> None:
        """No answer will come; `processed` tells whether the CHF may have charged all the same."""
        if self.outstanding is None or request_id != self.outstanding.id:
            return
        self.outstanding = None
        self._fail(trouble, processed=processed)

    def _fail(self, trouble: Trouble, *, processed: bool) -> None:
        """Under CONTINUE the message is sent all the same, uncharged."""
        if processed:
            self._leave_in_doubt(trouble)
        goes_on = self.handling(Operation.EVENT, trouble) is Handling.CONTINUE
        self.end = End.UNCHARGED if goes_on else End.FAILED

    def _leave_in_doubt(self, why: str) -> None:
        self.doubt, self.why = self.units, why

    def stop(self, now: int) -> None:
        """An event cannot be cut short: its answer ends it."""

    def abandon(self, now: int, *, doubt: bool) -> None:  # noqa: ARG002
        """The run stops before the answer came; `doubt`: it may be charged all the same."""
        if self.end is None:
            self.outstanding = None
            if doubt:
                self._leave_in_doubt(RUN_ENDED)
            self.end = End.OPEN
