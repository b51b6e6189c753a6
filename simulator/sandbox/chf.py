"""The charging function: `handle(request, now)` parses, checks, rates, reserves, debits and answers. No input or output.

TS 32.291 5.1 (operations), TS 32.290 5.3 (session and event based charging), TS 29.500 5.2.7 (errors).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any, BinaryIO, Final

from simulator.config import RatingPlan
from simulator.sandbox import ledger, requests
from simulator.sandbox.accounts import Account, Accounts
from simulator.sandbox.answers import Answer, Header, Problem, Reply, Timestamps
from simulator.sandbox.ledger import Ledger
from simulator.sandbox.messages import MAX_RATING_GROUPS, Create, Report, Units, Usage
from simulator.sandbox.moods import Mood
from simulator.sandbox.rating import Quota, not_granted
from simulator.sandbox.repeats import AnswerHistory, CreateIdentity, Memory, create_identity
from simulator.sandbox.sessions import MAX_OPEN, Session, Sessions
from simulator.sandbox.tariffs import Tariffs

COLLECTION: Final = b"/nchf-convergedcharging/v3/chargingdata"
_ITEMS: Final = COLLECTION + b"/"
_JSON: Final = (b"content-type", b"application/json")
_ACTIONS: Final = {b"update": "update", b"release": "release"}
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
    `spool` takes the records of ended sessions (memory if there is none).
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
            operation, reference = _route(method, path)
            _check_form(headers, body)
            if operation == "create":
                operation, reply = self._create(body, headers, now)
            elif operation == "update":
                reply = self._update(reference, body, now)
            else:
                reply = self._release(reference, body, now)
        except Problem as problem:
            reply = problem.reply()
            self.requests[operation, reply.status] += 1
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

    # Create and one-time events

    def _create(self, body: bytes, headers: Iterable[Header], now: int) -> tuple[str, Reply]:
        request = requests.read_create(body)
        operation = "create" if request.one_time_event is None else "event"
        charging_id = request.charging_id()
        identity = create_identity(request, charging_id)
        known = self._creates.get(identity)
        if known is not None and not self._charges_again():
            self.requests[operation, "repeated"] += 1
            return operation, known.reply()
        reference = self._next_reference()
        try:
            account = self._account(request.subscriber)
            session = Session(reference, account, charging_id, request.sequence)
            charge = self._open if operation == "create" else self._charge_event
            information = charge(session, request, now)
        except Problem as problem:
            answer = Answer(operation, problem.status, request.sequence, b"", refusal=problem.reply())
        else:
            stamp = self._timestamps.text(now)
            answer = Answer(operation, 201, request.sequence, stamp, information, reference, self._base(headers))
        if answer.status not in (404, 503):
            self._creates.put(identity, answer, now)
        self.requests[operation, answer.status] += 1
        return operation, answer.reply()

    def _open(self, session: Session, request: Create, now: int) -> tuple[bytes, ...]:
        if len(self.sessions) >= MAX_OPEN:
            raise Problem(503, "NF_CONGESTION", "too many sessions are open", headers=[(b"retry-after", b"10")])
        information = self._charge(session, request.usages)
        if _is_denied(information) and not any(usage.containers for usage in request.usages):
            raise Problem(403, "QUOTA_LIMIT_REACHED", f"no credit for {session.account.subscriber}")
        self.sessions.add(session, now)
        self.created += 1
        return information

    def _charge_event(self, session: Session, request: Create, _now: int) -> tuple[bytes, ...]:
        """Immediate charging (IEC) debits what is asked for, post event charging (PEC) what was used."""
        information = []
        for usage in request.usages:
            quota = session.quota(usage.rating_group) or self._open_quota(session, usage)
            if not quota.group.rated:
                quota.debit(usage.used(quota.group.unit))
                information.append(not_granted(usage.rating_group, b"RATING_FAILED"))
            elif usage.requested is None or request.one_time_event == "PEC":
                quota.debit(usage.used(quota.group.unit))
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

    def _base(self, headers: Iterable[Header]) -> bytes:
        """What stands before the reference in `Location`."""
        if self._location is LocationForm.PATH:
            return _ITEMS
        if self._location is LocationForm.BARE:
            return b""
        fields = dict(headers)
        authority = fields.get(b":authority") or fields.get(b"host") or b"localhost"
        return fields.get(b":scheme", b"http") + b"://" + authority + _ITEMS

    # Update and Release

    def _update(self, reference: bytes, body: bytes, now: int) -> Reply:
        request = requests.read_report(body)
        session = self.sessions.get(reference)
        if session is None or request.sequence <= session.sequence:
            return self._repeated(reference, session, "update", request)
        _check_belonging(session, request)
        information = self._charge(session, request.usages)
        self.sessions.touch(session, now)
        answer = Answer("update", 200, request.sequence, self._timestamps.text(now), information)
        self._remember(session, answer)
        return answer.reply()

    def _release(self, reference: bytes, body: bytes, now: int) -> Reply:
        request = requests.read_report(body)
        session = self.sessions.get(reference)
        if session is None or request.sequence <= session.sequence:
            return self._repeated(reference, session, "release", request)
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

    def _repeated(self, reference: bytes, session: Session | None, operation: str, request: Report) -> Reply:
        """The answer that a request of an open session, or of one that was just released, was given before."""
        history = self._closed.get(reference) if session is None else session.answers
        known = None if history is None else history.find(operation, request.sequence)
        if known is not None and self._charges_again():
            return self._charge_again(reference, session, known, request)
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

    def _charge_again(self, reference: bytes, session: Session | None, known: Answer, request: Report) -> Reply:
        """A faulty charging function takes a repeat for something new."""
        self.requests[known.operation, "charged again"] += 1
        if session is not None:
            information = self._charge(session, request.usages)
            return Answer(known.operation, known.status, known.sequence, known.stamp, information).reply()
        account = self.accounts.find(request.subscriber)
        if account is not None:
            again = Session(reference, account, "", request.sequence)
            self._charge(again, [usage for usage in request.usages if usage.containers])
            again.give_back()
            self.ledger.close_session(again, b"released")
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
        self.ledger.close_session(session, how.encode())
        self.ended[how] += 1

    # Rating

    def _charge(self, session: Session, usages: list[Usage]) -> tuple[bytes, ...]:
        """Debits what was used, then grants what is asked for: all debits first, so that no grant takes their credit."""
        asking = []
        for usage in usages:
            quota = session.quota(usage.rating_group) or self._open_quota(session, usage)
            if usage.containers:
                self._debit(quota, usage)
            if usage.requested is not None:
                asking.append((quota, usage.requested))
        if self._mood is not None:
            grant = self._mood.grant
            return tuple([grant(quota, requested.amount(quota.group.unit)) for quota, requested in asking])
        return tuple([quota.grant(requested.amount(quota.group.unit)) for quota, requested in asking])

    def _debit(self, quota: Quota, usage: Usage) -> None:
        units = usage.used(quota.group.unit)
        if units > quota.granted and quota.balance is not None and usage.is_online():
            quota.overused += units - quota.granted
        quota.debit(units)
        if usage.requested is None and usage.returns_quota():
            quota.give_back()

    def _open_quota(self, session: Session, usage: Usage) -> Quota:
        # A rating group that the plan does not know is still counted, in the kind of unit that was reported.
        units: Sequence[Units] = usage.containers or ([usage.requested] if usage.requested else [])
        group = self.tariffs.find(usage.rating_group) or self.tariffs.unrated(units)
        balance = None if group.counter is None else session.account.balance(group.counter)
        quota = Quota(usage.rating_group, group, balance)
        session.quotas = (*session.quotas, quota)
        return quota


def _idle_time(session_expiry_s: float, pace: float | None) -> int | None:
    """The idle time after which a session expires, in ns of `now`; None: never."""
    return int(session_expiry_s * _NS_PER_S / (pace or 1.0)) if session_expiry_s else None


def _route(method: bytes, path: bytes) -> tuple[str, bytes]:
    """Operation and ChargingDataRef of a request."""
    if path == COLLECTION:
        operation, reference = "create", b""
    else:
        reference, _, action = path[len(_ITEMS) :].rpartition(b"/")
        known = _ACTIONS.get(action)
        if known is None or b"/" in reference or not reference or not path.startswith(_ITEMS):
            if b"?" in path:
                return _route(method, path.partition(b"?")[0])
            detail = f"there is nothing at this path; sessions are created at {COLLECTION.decode()}"
            raise Problem(404, "RESOURCE_URI_STRUCTURE_NOT_FOUND", detail)
        operation = known
    if method != b"POST":
        raise Problem(405, None, "only POST is possible here", headers=[(b"allow", b"POST")])
    return operation, reference


def _check_form(headers: Iterable[Header], body: bytes) -> None:
    if len(body) > MAX_BODY:
        raise Problem(413, None, f"the body is larger than {MAX_BODY} octets")
    if _JSON in headers:  # as nearly everybody writes it
        return
    for name, value in headers:
        if name == b"content-type":
            if value.partition(b";")[0].strip().lower() != _JSON[1]:
                raise Problem(
                    415, None, "the body must be application/json", headers=[(b"accept", b"application/json")]
                )
            return


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
