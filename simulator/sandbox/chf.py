"""The charging function: `handle(request, now)` parses, checks, rates, reserves, debits and answers. No input or output.

TS 32.291 5.1 (operations), TS 32.290 5.3 (session and event based charging), TS 29.500 5.2.7 (errors).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, BinaryIO, Final

from simulator.config import RatingPlan
from simulator.sandbox import ledger, requests
from simulator.sandbox.accounts import Account, Accounts
from simulator.sandbox.answers import Answer, Header, Problem, Reply, Timestamps
from simulator.sandbox.encodings import decoded
from simulator.sandbox.ledger import Ledger
from simulator.sandbox.messages import MAX_RATING_GROUPS, Container, Create, Report, Units, Usage
from simulator.sandbox.moods import Mood
from simulator.sandbox.paths import COLLECTION, TOKENS, Paths, Place
from simulator.sandbox.rating import CHECKSUM_MODULUS, Quota, event_granted, not_granted
from simulator.sandbox.repeats import AnswerHistory, CreateIdentity, Memory, create_identity
from simulator.sandbox.sessions import MAX_OPEN, Session, Sessions
from simulator.sandbox.tariffs import Tariffs
from simulator.sandbox.tokens import Tokens

__all__ = ["COLLECTION", "EXPIRIES_A_TURN", "MAX_BODY", "Chf", "LocationForm"]

_JSON: Final = (b"content-type", b"application/json")
EXPIRIES_A_TURN: Final = 1000
MAX_BODY: Final = 1 << 20
"""Octets; a request with 256 rating groups and ten containers each has about half of that."""

_DENIALS: Final = (b'"QUOTA_LIMIT_REACHED"}', b'"RATING_FAILED"}')
_NS_PER_S: Final = 1_000_000_000


class LocationForm(StrEnum):
    """How `Location` tells the ChargingDataRef; all three are seen in the field."""

    PATH = "path"
    ABSOLUTE = "absolute"
    BARE = "bare"


class Chf:
    """One charging function: accounts, open sessions, books.

    `pace` scales the idle time after which a session expires (session seconds to seconds of `now`); None, flat-out,
    leaves it as it is. Times in grants stay session seconds. `epoch` added to `now` is nanoseconds since 1970.
    `instance` begins every ChargingDataRef, so that one that was made before a restart is not taken for a new one.
    `spool` takes the records of ended sessions (memory if there is none). With `tokens`, requests need one of them.
    `collections` are paths of chargingdata in other dialects.
    """

    def __init__(
        self,
        plan: RatingPlan,
        *,
        pace: float | None = 1.0,
        epoch: int = 0,
        instance: str = "1",
        location: LocationForm = LocationForm.PATH,
        spool: BinaryIO | None = None,
        tokens: Tokens | None = None,
        collections: Iterable[bytes] = (),
    ) -> None:
        tariffs = Tariffs.of(plan)
        self.tariffs = tariffs
        self.accounts = Accounts(tariffs.initial_balances)
        self.sessions = Sessions(_idle_time(tariffs.session_expiry_s, pace))
        self.ledger = Ledger(spool)
        self.requests: Counter[tuple[str, int | str]] = Counter()
        """Requests by operation and outcome (an HTTP status, or `repeated`)."""
        self.ended: Counter[str] = Counter()
        """Sessions by how they ended: released, expired."""
        self.created = 0
        self.sequence_gaps = 0
        self.tokens = tokens
        self.on_credit: Callable[[Session, list[int]], None] | None = None
        """Called with a session, and those of its rating groups that were short of what was just credited."""
        self._short: dict[str, dict[bytes, Session]] = {}
        """Sessions with a rating group that is short of credit, by subscriber; some of them may no longer be."""
        self._paths = Paths(collections)
        self._creates: Memory[CreateIdentity, Answer] = Memory()
        self._closed: Memory[bytes, AnswerHistory] = Memory()
        self._timestamps = Timestamps(epoch)
        self._location = location
        self._instance = instance.encode()
        self._references = 0
        self._mood: Mood | None = None
        """Of the request that is being answered."""

    def handle(
        self,
        method: bytes,
        path: bytes,
        headers: Iterable[Header],
        body: bytes,
        now: int,
        mood: Mood | None = None,
    ) -> Reply:
        """Answers one N40 request; every request gets a reply, whatever its octets are.

        `path` is `:path`, `headers` may hold pseudo header fields, `now` is in ns and never goes back; `mood` is how it is
        charged, if not by the book.
        """
        self._mood = mood
        operation = "other"
        try:
            if self.tokens is not None and path == TOKENS:
                return self._issue(self.tokens, method, headers, body, now)
            operation, reference, place = self._paths.route(method, path)
            if self.tokens is not None:
                self.tokens.check(headers, now)
            body = _check_form(headers, body)
            if operation == "create":
                operation, reply = self._create(body, place, headers, now)
            elif operation == "update":
                reply = self._update(reference, body, place, now)
            else:
                reply = self._release(reference, body, place, now)
        except Problem as problem:
            reply = problem.reply()
            self.requests[operation, reply.status] += 1
        return reply

    def _issue(self, tokens: Tokens, method: bytes, headers: Iterable[Header], body: bytes, now: int) -> Reply:
        reply = tokens.issue(method, headers, body, now)
        self.requests["token", reply.status] += 1
        return reply

    def on_time(self, now: int) -> None:
        """Ends sessions that nobody updated for too long and gives their reservations back.

        At most `EXPIRIES_A_TURN` of them; call again while `next_deadline() <= now`, and answer requests in between.
        """
        for _ in range(EXPIRIES_A_TURN):
            session = self.sessions.expired(now)
            if session is None:
                break
            self._end(session, "expired")
        self._creates.forget(now)
        self._closed.forget(now)

    def next_deadline(self) -> int | None:
        """When `on_time` has something to do (ns), None if never."""
        return self.sessions.next_expiry()

    def stamp(self, now: int) -> bytes:
        """`invocationTimeStamp` of an answer that is given now."""
        return self._timestamps.text(now)

    def ledger_records(self) -> Iterator[dict[str, Any]]:
        """The books, ended sessions first; see `ledger` for the fields."""
        return ledger.parse(self.ledger.chunks(self.sessions))

    # Credit

    def credit(self, account: Account, amounts: Mapping[str, int]) -> None:
        """Adds to balances, and calls `on_credit` for the sessions that were short of them, if the plan says so."""
        for counter, amount in amounts.items():
            account.balance(counter).total += amount
        if self.on_credit is None or not self.tariffs.notifies_on_credit:
            return
        for session in list(self._short.get(account.subscriber, {}).values()):
            short = [quota.number for quota in session.quotas if quota.short and quota.group.counter in amounts]
            if short:
                self.on_credit(session, short)

    def _note_short(self, session: Session) -> None:
        self._short.setdefault(session.account.subscriber, {})[session.reference] = session

    def _forget_short(self, session: Session) -> None:
        subscriber = session.account.subscriber
        sessions = self._short.get(subscriber)
        if sessions is not None:
            sessions.pop(session.reference, None)
            if not sessions:
                del self._short[subscriber]

    # Create and one-time events

    def _create(self, body: bytes, place: Place, headers: Iterable[Header], now: int) -> tuple[str, Reply]:
        request = requests.read_create(body)
        operation = "create" if request.one_time_event is None else "event"
        charging_id = request.charging_id()
        identity = create_identity(request, charging_id)
        if charging_id == "":  # the books still need a name for it
            charging_id = request.stamp
        known = self._creates.get(identity)
        if known is not None and not self._charges_again():
            self.requests[operation, "repeated"] += 1
            return operation, known.reply()
        reference = self._next_reference()
        try:
            account = self._account(request.subscriber)
            session = Session(reference, account, charging_id, request.sequence)
            terms = b""
            if operation == "create":
                information = self._open(session, request, place, now)
                tariffs = self.tariffs
                terms = tariffs.session_terms if request.pdu_session is None else tariffs.pdu_session_terms
            elif request.action == "TOP_UP" and place.is_totogi:
                information = self._top_up(account, request)
            else:
                information = self._charge_event(session, request)
        except Problem as problem:
            answer = Answer(operation, problem.status, request.sequence, b"", refusal=problem.reply())
        else:
            stamp = self._timestamps.text(now)
            base = b"" if place.is_totogi else self._base(headers, place)
            answer = Answer(operation, 201, request.sequence, stamp, information, reference, base, terms=terms)
        if answer.status not in (404, 503):
            self._creates.put(identity, answer, now)
        self.requests[operation, answer.status] += 1
        return operation, answer.reply()

    def _open(self, session: Session, request: Create, place: Place, now: int) -> tuple[bytes, ...]:
        if len(self.sessions) >= MAX_OPEN:
            raise Problem(503, "NF_CONGESTION", "too many sessions are open", headers=[(b"retry-after", b"10")])
        session.notify_uri = request.notify_uri
        information = self._charge(session, request, place)
        if _is_denied(information) and not any(quota.units for quota in session.quotas):
            self._forget_short(session)
            raise Problem(403, "QUOTA_LIMIT_REACHED", f"no credit for {session.account.subscriber}")
        self.sessions.add(session, now)
        self.created += 1
        return information

    def _top_up(self, account: Account, request: Create) -> tuple[bytes, ...]:
        """Credits what is asked for, priced as usage of that rating group would be (dialect `totogi`)."""
        information = []
        for usage in request.usages:
            group = self.tariffs.find(usage.rating_group)
            if group is None or group.counter is None or usage.requested is None:
                information.append(not_granted(usage.rating_group, b"RATING_FAILED"))
                continue
            units = usage.requested.amount(group.unit)
            self.credit(account, {group.counter: group.cost(units)})
            information.append(event_granted(usage.rating_group, group.unit, units))
        return tuple(information)

    def _charge_event(self, session: Session, request: Create) -> tuple[bytes, ...]:
        """Immediate charging (IEC) debits what is asked for, post event charging (PEC) what was used."""
        information = []
        for usage in request.usages:
            quota = session.quota(usage.rating_group) or self._open_quota(session, usage)
            if not quota.group.rated:
                _debit_event(quota, usage)
                information.append(not_granted(usage.rating_group, b"RATING_FAILED"))
            elif usage.requested is None or request.one_time_event == "PEC":
                _debit_event(quota, usage)
                information.append(b'{"ratingGroup":%d,"resultCode":"SUCCESS"}' % usage.rating_group)
            else:
                wanted = usage.requested.amount(quota.group.unit)
                bought = quota.buy(wanted) if self._mood is None else self._mood.buy(quota, wanted)
                information.append(bought or not_granted(usage.rating_group, b"QUOTA_LIMIT_REACHED"))
        self.ledger.close_session(session, b"event")
        if _is_denied(information):
            raise Problem(403, "QUOTA_LIMIT_REACHED", f"no credit for {session.account.subscriber}")
        return tuple(information)

    def _account(self, subscriber: str) -> Account:
        account = self.accounts.find(subscriber)
        if account is None:
            raise Problem(404, "USER_UNKNOWN", f"there is no account {subscriber}")
        return account

    def _next_reference(self) -> bytes:
        self._references += 1
        return b"%b-%x" % (self._instance, self._references)

    def _base(self, headers: Iterable[Header], place: Place) -> bytes:
        """What stands before the reference in `Location`."""
        if self._location is LocationForm.PATH:
            return place.items
        if self._location is LocationForm.BARE:
            return b""
        fields = dict(headers)
        authority = fields.get(b":authority") or fields.get(b"host") or b"localhost"
        return fields.get(b":scheme", b"http") + b"://" + authority + place.items

    # Update and Release

    def _update(self, reference: bytes, body: bytes, place: Place, now: int) -> Reply:
        request = requests.read_report(body)
        session = self.sessions.get(reference)
        if session is None or request.sequence <= session.sequence:
            return self._repeated(reference, session, "update", request, place)
        _check_belonging(session, request)
        if request.notify_uri and request.notify_uri != session.notify_uri:
            session.notify_uri = request.notify_uri
        information = self._charge(session, request, place)
        self.sessions.touch(session, now)
        answer = Answer("update", 200, request.sequence, self._timestamps.text(now), information)
        if place.is_totogi:
            answer.reference = reference
        self._remember(session, answer)
        return answer.reply()

    def _release(self, reference: bytes, body: bytes, place: Place, now: int) -> Reply:
        request = requests.read_report(body)
        session = self.sessions.get(reference)
        if session is None or request.sequence <= session.sequence:
            return self._repeated(reference, session, "release", request, place)
        _check_belonging(session, request)
        for usage in request.usages:
            if usage.containers:
                quota = session.quota(usage.rating_group) or self._open_quota(session, usage)
                self._debit(quota, usage)
        answer = Answer("release", 204, request.sequence, b"")
        history = self._remember(session, answer)
        self._closed.put(reference, history, now)
        self._end(session, "released")
        return answer.reply()

    def _repeated(
        self, reference: bytes, session: Session | None, operation: str, request: Report, place: Place
    ) -> Reply:
        """The answer that a request of an open session, or of one that was just released, was given before."""
        history = self._closed.get(reference) if session is None else session.answers
        known = None if history is None else history.find(operation, request.sequence)
        if known is not None and self._charges_again():
            return self._charge_again(reference, session, known, request, place)
        if known is not None:
            self.requests[operation, "repeated"] += 1
            return known.reply()
        if session is None:
            detail = f"there is no charging session {reference.decode('ascii', 'replace')}"
            raise Problem(404, "CONTEXT_NOT_FOUND", detail)
        _check_subscriber(session, request)
        reason = f"must be above {session.sequence}, the last one answered, or repeat a recent request"
        raise Problem(400, "MANDATORY_IE_INCORRECT", reason, invalid=[("/invocationSequenceNumber", reason)])

    def _charges_again(self) -> bool:
        return self._mood is not None and self._mood.charges_again()

    def _charge_again(
        self, reference: bytes, session: Session | None, known: Answer, request: Report, place: Place
    ) -> Reply:
        """A faulty charging function takes a repeat for something new."""
        self.requests[known.operation, "charged again"] += 1
        if session is not None:
            information = self._charge(session, request, place)
            again = Answer(known.operation, known.status, known.sequence, known.stamp, information)
            again.reference = known.reference
            return again.reply()
        account = self.accounts.find(request.subscriber)
        if account is not None:
            twin = Session(reference, account, "", request.sequence)
            for usage in request.usages:
                if usage.containers:
                    self._debit(twin.quota(usage.rating_group) or self._open_quota(twin, usage), usage)
            self.ledger.close_session(twin, b"released")
        return known.reply()

    def _remember(self, session: Session, answer: Answer) -> AnswerHistory:
        self.sequence_gaps += answer.sequence > session.sequence + 1
        session.sequence = answer.sequence
        if session.answers is None:
            session.answers = AnswerHistory()
        session.answers.add(answer)
        self.requests[answer.operation, answer.status] += 1
        return session.answers

    def _end(self, session: Session, how: str) -> None:
        session.give_back()
        self.sessions.remove(session)
        if self._short:
            self._forget_short(session)
        self.ledger.close_session(session, how.encode())
        self.ended[how] += 1

    # Rating

    def _charge(self, session: Session, request: Report, place: Place) -> tuple[bytes, ...]:
        """Debits what was used, then grants what is asked for: all debits first, so that no grant takes their credit."""
        asking = []
        for usage in request.usages:
            quota = session.quota(usage.rating_group) or self._open_quota(session, usage)
            if usage.containers:
                self._debit(quota, usage)
            if usage.requested is not None:
                asking.append((quota, usage.requested))
        information = []
        mood = self._mood
        for quota, requested in asking:
            group = quota.group
            wanted = requested.amount(group.unit)
            if not wanted and place.is_totogi and requested.kinds():
                quota.give_back()
                information.append(event_granted(quota.number, group.unit, 0))
                continue
            if group.switches is not None:
                group.look_at_the_clock(request.stamp)
            information.append(quota.grant(wanted) if mood is None else mood.grant(quota, wanted))
            if quota.short:
                self._note_short(session)
        return tuple(information)

    def _debit(self, quota: Quota, usage: Usage) -> None:
        unit = quota.group.unit
        online = aside = checksum = 0
        for container in usage.containers:
            units = container.amount(unit)
            checksum += units * (container.number + 1)
            if container.indicator == "ONLINE_CHARGING":
                online += units
            else:
                aside += units
        _count(quota, usage.containers, checksum)
        quota.debit(online)
        if aside:
            quota.debit_aside(aside)
        if usage.requested is None and usage.returns_quota():
            quota.give_back()

    def _open_quota(self, session: Session, usage: Usage) -> Quota:
        # A rating group that the plan does not know is still counted, in the kind of unit that was reported.
        units: Sequence[Units] = usage.containers or ([usage.requested] if usage.requested else [])
        group = self.tariffs.find(usage.rating_group) or self.tariffs.unrated(units)
        balance = None if group.counter is None else session.account.balance(group.counter)
        quota = Quota(usage.rating_group, group, balance, group.validity_in(session.reference))
        session.quotas = (*session.quotas, quota)
        return quota


def _idle_time(session_expiry_s: float, pace: float | None) -> int | None:
    """The idle time after which a session expires, in ns of `now`; None: never."""
    return int(session_expiry_s * _NS_PER_S / (pace or 1.0)) if session_expiry_s else None


def _count(quota: Quota, containers: Sequence[Container], checksum: int) -> None:
    quota.reports += 1
    quota.containers += len(containers)
    quota.checksum = (quota.checksum + checksum) % CHECKSUM_MODULUS


def _debit_event(quota: Quota, usage: Usage) -> None:
    """What an event used was never granted."""
    units = checksum = 0
    for container in usage.containers:
        amount = container.amount(quota.group.unit)
        units += amount
        checksum += amount * (container.number + 1)
    _count(quota, usage.containers, checksum)
    quota.debit_aside(units)


def _check_form(headers: Iterable[Header], body: bytes) -> bytes:
    """The body as it was before it was coded."""
    if len(body) > MAX_BODY:
        raise Problem(413, None, f"the body is larger than {MAX_BODY} octets")
    if not body.startswith(b"{"):  # JSON that is sent as it is begins so, and need not be looked at more closely
        body = decoded(headers, body, MAX_BODY)
    if _JSON in headers:  # as nearly everybody writes it
        return body
    for name, value in headers:
        if name == b"content-type":
            if value.partition(b";")[0].strip().lower() != _JSON[1]:
                raise Problem(
                    415, None, "the body must be application/json", headers=[(b"accept", b"application/json")]
                )
            break
    return body


def _check_belonging(session: Session, request: Report) -> None:
    """Whether a new report can be one of this session."""
    if request.subscriber != session.account.subscriber:
        _check_subscriber(session, request)
    if len(session.quotas) + len(request.usages) > MAX_RATING_GROUPS:
        _bound_rating_groups(session, request)


def _check_subscriber(session: Session, request: Report) -> None:
    if request.subscriber and request.subscriber != session.account.subscriber:
        reason = "is not the subscriber of this charging session"
        raise Problem(400, "OPTIONAL_IE_INCORRECT", reason, invalid=[("/subscriberIdentifier", reason)])


def _bound_rating_groups(session: Session, request: Report) -> None:
    groups = {quota.number for quota in session.quotas} | {usage.rating_group for usage in request.usages}
    if len(groups) > MAX_RATING_GROUPS:
        reason = f"with those of the session there are more than {MAX_RATING_GROUPS} rating groups"
        raise Problem(400, "OPTIONAL_IE_INCORRECT", reason, invalid=[("/multipleUnitUsage", reason)])


def _is_denied(information: Sequence[bytes]) -> bool:
    """Whether rating groups asked for quota, none got any, and credit was the reason for at least one."""
    return (
        bool(information)
        and all(entry.endswith(_DENIALS) for entry in information)
        and any(entry.endswith(_DENIALS[0]) for entry in information)
    )
