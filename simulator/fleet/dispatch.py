"""Turns the requests of sessions into exchanges with the CHFs, attempt by attempt, until the session can be told something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from simulator.config import Profile
from simulator.config.headers import Headers
from simulator.fleet.chfs import Chfs
from simulator.fleet.conformance import ConformanceSample
from simulator.fleet.network_functions import NetworkFunction
from simulator.fleet.pace import Pace
from simulator.fleet.series import Series
from simulator.fleet.services import message_form, sbi_headers
from simulator.fleet.session import LiveSession
from simulator.fleet.tokens import Tokens
from simulator.fleet.witnesses import NOBODY, Witnesses
from simulator.http2 import Answer, Exchange, Failure, FailureKind, Header
from simulator.measure import Recorder
from simulator.n40 import (
    ChargingAnswer,
    ChargingSession,
    Delivery,
    DeliveryPolicy,
    Operation,
    Outcome,
    Request,
    Trouble,
    read_answer,
)
from simulator.n40.answers import Action, split_location
from simulator.n40.delivery import Chances, Step
from simulator.n40.failure import Handling, trouble_of
from simulator.n40.overload import read_overload, read_retry_after
from simulator.n40.sbi import compressed

NS_PER_S: Final = 1_000_000_000
METHOD: Final = (b":method", b"POST")
CONTENT_TYPE: Final = (b"content-type", b"application/json")
ACCEPT: Final = (b"accept", b"application/json, application/problem+json")
GZIP: Final = (b"content-encoding", b"gzip")
UNANSWERED: Final = "unanswered"
"""What becomes of a request that is under way when the run stops."""
HOPELESS: Final = frozenset({FailureKind.TIMEOUT, FailureKind.OVERFLOW, FailureKind.CONNECT_FAILED, FailureKind.CLOSED})
"""Failures after which nothing was sent and there is no point in another attempt at once, where they are safe to repeat."""
REDIRECTS: Final = (307, 308)
TARGET_NF: Final = b"3gpp-sbi-target-nf-id"
"""Which NF instance a redirect leads to (TS 29.500 5.2.3.2)."""
# Globals, because looking up an enum's member costs ten times as much.
_CREATE: Final = Operation.CREATE
_EVENT: Final = Operation.EVENT
_RELEASE: Final = Operation.RELEASE
_UPDATE: Final = Operation.UPDATE
_RETRY: Final = Handling.RETRY_AND_TERMINATE
_FAILURE: Final = Action.FAILURE
_FAILED: Final = Outcome.FAILED

Transmit = Callable[[NetworkFunction, Exchange, int, "bytes | None", int], None]
"""Send an exchange of a network function, to the CHF at that place or to the origin that a Location named; at `now`."""


class Owner:
    """Whose requests are sent, and who is told how each of them ended. No Protocol: calls through one are slow once compiled."""

    def on_answer(self, live: LiveSession, request: Request, answer: ChargingAnswer, now: int) -> None:
        """The CHF answered."""
        raise NotImplementedError

    def on_failure(self, live: LiveSession, request: Request, trouble: Trouble, now: int, *, processed: bool) -> None:
        """No answer will come; `processed`: a CHF may have acted on the request all the same."""
        raise NotImplementedError

    def leave_open(self, live: LiveSession, now: int, *, doubt: bool) -> None:
        """The run stops with this session open; `doubt`: a report is on its way that may be charged."""
        raise NotImplementedError

    def wait(self, live: LiveSession, moment: int) -> None:
        """Call `send_again` at that moment."""
        raise NotImplementedError

    def set_now(self, now: int) -> None:
        """Something happens now, wall time."""
        raise NotImplementedError


class Dispatch:
    """Sends for a fleet, which is told how each request ended. `epoch` is the UTC time in ns at `pace.t0`."""

    def __init__(
        self,
        profile: Profile,
        *,
        owner: Owner,
        chfs: Chfs,
        pace: Pace,
        recorder: Recorder,
        series: Series,
        transmit: Transmit,
        epoch: int,
        tokens: Tokens | None,
        sample: ConformanceSample | None,
        witnesses: Witnesses = NOBODY,
    ) -> None:
        self._owner = owner
        self._chfs = chfs
        self._several = len(chfs.all) > 1
        self._pace = pace
        self._epoch = epoch
        self._counters = recorder.counters
        self._series = series
        self._transmit = transmit
        self._policy = DeliveryPolicy(
            timeout=int(profile.timeouts.request * NS_PER_S),
            repeats=profile.repeats,
            longest_wait=int(profile.failure.longest_wait * NS_PER_S),
            marks_repeats=message_form(profile).marks_repeats,
        )
        self._tokens = tokens
        self._sample = sample
        self._samples = witnesses.samples
        self._trace = witnesses.trace
        self._journal = witnesses.journal
        self._rebase = profile.dialect.location != "uri"  # of Location only the path is kept
        self._gzip = profile.gzip
        self._sbi = sbi_headers(profile)
        self._plain = not self._gzip and tokens is None and profile.headers == Headers()
        self.awaiting = 0
        self.most_awaiting = 0
        self.stopping = False

    def send(self, live: LiveSession, request: Request, now: int) -> None:
        """Send what a session wants sent."""
        live.request = request
        live.due = now if self._pace.flat_out else min(now, self._pace.wall_time(request.due))
        live.first_sent = 0
        if self._several:
            self._avoid_a_dead_one(live, request, now)
        if request.repeated:
            live.delivery = Delivery(request, self._policy)
            self._attempt(live, request, live.delivery.body, now)
        else:
            self._attempt(live, request, request.body, now)

    def _avoid_a_dead_one(self, live: LiveSession, request: Request, now: int) -> None:
        """A report to a CHF that is known to be down goes to another one at once, where the session may move at all."""
        place = self._chfs.refuge(live.chf, now)
        session = live.session
        if place is None or request.operation is _CREATE or request.operation is _EVENT:
            return
        if session.failover and session.handling(request.operation, Trouble.CONNECTION) is _RETRY:
            self._move(live, place)

    def _move(self, live: LiveSession, place: int) -> None:
        self._counters[f"failovers|{live.chf + 1}|{place + 1}"] += 1
        live.chf, live.rebased, live.moved = place, True, live.moved + 1
        if self._journal is not None:
            self._journal.enter(live)

    def send_again(self, live: LiveSession, delivery: Delivery, now: int) -> None:
        """The time that the CHF wanted to be left alone is over, or there is a new token."""
        delivery.again_at = 0
        delivery.attempts += 1
        if live.request is not None:
            self._attempt(live, live.request, delivery.body, now)

    def _attempt(self, live: LiveSession, request: Request, body: bytes, now: int) -> None:
        place, origin, path = live.chf, request.origin, request.path
        if live.delivery is not None and live.delivery.path:
            origin, path = live.delivery.origin or origin, live.delivery.path
        elif live.rebased:
            origin = None
        chf = self._chfs.all[place]
        scheme, authority = chf.scheme, chf.authority
        if origin is not None:
            known = self._chfs.of_origin(origin)
            if known is not None:
                place, origin = known, None
                chf = self._chfs.all[place]
                scheme, authority = chf.scheme, chf.authority
            else:
                named, _, host = origin.partition(b"://")
                scheme, authority = (b":scheme", named), (b":authority", host)
        if self._gzip:
            body = compressed(body)
        headers = [
            METHOD,
            scheme,
            authority,
            (b":path", path),
            CONTENT_TYPE,
            ACCEPT,
            (b"content-length", b"%d" % len(body)),
        ]
        if not self._plain:
            self._add_headers(live, headers, origin or chf.origin, now)
        self.awaiting += 1
        if self.awaiting > self.most_awaiting:
            self.most_awaiting = self.awaiting
        exchange = Exchange(headers, body, now + self._policy.timeout, self._on_done, live)
        if self._trace is not None:
            self._trace.sent(live, request, exchange, now)
        self._transmit(live.function, exchange, place, origin, now)

    def _add_headers(self, live: LiveSession, headers: list[Header], origin: bytes, now: int) -> None:
        """What a profile wants sent besides, and the token where it may go."""
        if self._gzip:
            headers.append(GZIP)
        messages = live.session.context.messages
        utc = self._epoch + now - self._pace.t0
        headers += self._sbi.render(messages.subscriber_identifier(live.session.subscriber), utc, self._policy.timeout)
        if self._tokens is not None:
            keeper = self._tokens.keepers[live.function.key]
            live.token = keeper.generation
            token = keeper.header
            if token is not None and self._tokens.may_send_to(origin):
                headers.append(token)

    # -- what came of it ----------------------------------------------------------------------------------------------

    def _on_done(self, exchange: Exchange, result: Answer | Failure, now: int) -> None:
        self.awaiting -= 1
        live = exchange.context
        assert type(live) is LiveSession
        request = live.request
        if request is None or live.session.end is not None:
            return  # it was left open
        self._owner.set_now(now)
        if self._trace is not None:
            self._trace.done(live, request, exchange, result, now)
        if not live.first_sent:
            live.first_sent = exchange.sent
        if isinstance(result, Failure):
            if self.stopping:
                self._series.failed(live, request.operation, exchange, UNANSWERED, now)
                processed = live.delivery is not None and live.delivery.processed
                self._owner.leave_open(live, now, doubt=processed or not result.safe_to_repeat)
            else:
                self._on_failure(live, request, exchange, result, now)
        else:
            self._on_answer(live, request, exchange, result, now)

    def _on_answer(self, live: LiveSession, request: Request, exchange: Exchange, result: Answer, now: int) -> None:
        location = None
        for name, value in result.headers:
            if name == b"location":
                if request.operation is not _RELEASE:
                    location = value
            elif name == b"3gpp-sbi-oci":
                self._on_overload(live, value, now)
        answer = read_answer(request.operation, result.status, location, result.body)
        if answer.origin is not None and (self._rebase or answer.origin == self._chfs.all[live.chf].origin):
            answer.origin = None  # where the session is anyway
        if self._sample is not None:
            self._sample.look(request, result.status, result.headers, result.body)
        if answer.action is _FAILURE and self._comes_again(
            live, request, exchange, result, answer.cause, now, processed=not answer.unprocessed
        ):
            return
        chf = self._chfs.all[live.chf]
        if chf.failures and result.status < 500:
            self._chfs.on_life(chf)
        if self._several:
            chf.requests += 1
        if answer.outcome is _FAILED and self._samples is not None:
            self._samples.take(live, request, exchange, result, answer.cause, now)
        if live.delivery is not None:
            self._end_delivery(live, live.delivery, answer, result.status)
        self._series.answered(live, request.operation, exchange, answer, now)
        live.request = None
        self._owner.on_answer(live, request, answer, now)

    def _end_delivery(self, live: LiveSession, delivery: Delivery, answer: ChargingAnswer, status: int) -> None:
        answer.repeats = delivery.repeats
        if answer.reference:
            # A relative Location is relative to where the answer came from.
            live.rebased = live.rebased and answer.origin is None
            if answer.origin is None and delivery.origin is not None and 200 <= status < 300:
                answer.origin = delivery.origin
        elif delivery.stays and delivery.request.operation is _UPDATE and 200 <= status < 300:
            self._stay(live, delivery)
        live.delivery = None

    def _stay(self, live: LiveSession, delivery: Delivery) -> None:
        """The session is at the address that an Update was redirected to from now on (RFC 9110 15.4.9, TS 29.500 6.10.9)."""
        session = live.session
        assert isinstance(session, ChargingSession)
        session.path = delivery.path.removesuffix(b"/update")
        if delivery.origin is None:
            return
        place = self._chfs.of_origin(delivery.origin)
        if place is None:
            session.origin = delivery.origin
        else:
            live.chf = place
        live.rebased = place is not None
        if self._journal is not None:
            self._journal.enter(live)

    def _on_failure(self, live: LiveSession, request: Request, exchange: Exchange, failure: Failure, now: int) -> None:
        delivery = live.delivery = live.delivery or Delivery(request, self._policy)
        safe = failure.safe_to_repeat
        trouble = Trouble.TIMEOUT if failure.kind is FailureKind.TIMEOUT else Trouble.CONNECTION
        chf = self._chfs.all[live.chf]
        if failure.kind is not FailureKind.OVERFLOW and failure.kind is not FailureKind.REFUSED:
            self._chfs.on_failure(chf, failure.kind.upper(), now)
        if self._samples is not None:
            self._samples.take(live, request, exchange, failure, failure.kind.upper(), now)
        chances = self._chances(live, request, trouble, now)
        step = delivery.on_failure(chances, safe=safe, hopeless=safe and failure.kind in HOPELESS)
        if step is not Step.GIVE_UP:
            self._series.repeated(live, request.operation, exchange, now)
            self._take(step, live, request, delivery, now)
            return
        if self._several:
            chf.requests += 1
            chf.failed += 1
        self._series.failed(live, request.operation, exchange, failure.kind, now)
        live.request = live.delivery = None
        self._owner.on_failure(live, request, trouble, now, processed=delivery.processed)

    def _comes_again(
        self,
        live: LiveSession,
        request: Request,
        exchange: Exchange,
        result: Answer,
        cause: str,
        now: int,
        *,
        processed: bool,
    ) -> bool:
        """Whether an answer that is no use leads to another attempt; if not, the session is told."""
        status = result.status
        delivery = live.delivery = live.delivery or Delivery(request, self._policy)
        wait = 0
        if status in REDIRECTS:
            step = self._follow(live, delivery, result)
        elif status == 401:
            step = self._renew(live, delivery, exchange, result, now)
        else:
            wait = self._retry_after(live, result, now)
            step = self._after_trouble(live, request, delivery, result.status, wait, now, processed=processed)
        if step is Step.GIVE_UP:
            return False
        led_on = status in REDIRECTS or status == 401
        if led_on or step is Step.WAIT:
            self._series.followed(live, request.operation, exchange, now)
        else:
            self._series.repeated(live, request.operation, exchange, now)
        self._counters[f"answers_followed|{status}"] += 1
        if self._samples is not None and not led_on:
            self._samples.take(live, request, exchange, result, cause, now)
        if step is Step.WAIT:
            self._owner.wait(live, now + wait)
        elif step is not Step.RENEW:
            self._take(step, live, request, delivery, now)
        return True

    def _after_trouble(
        self,
        live: LiveSession,
        request: Request,
        delivery: Delivery,
        status: int,
        wait: int,
        now: int,
        *,
        processed: bool,
    ) -> Step:
        chf = self._chfs.all[live.chf]
        if status >= 500 and not wait:  # one that says when to come again is alive
            self._chfs.on_failure(chf, f"HTTP_{status}", now)
        trouble = Trouble.UNREADABLE if status < 300 else trouble_of(status)
        step = delivery.on_trouble(self._chances(live, request, trouble, now), processed=processed, wait=wait)
        if self._several and step is Step.GIVE_UP:
            chf.failed += 1
        return step

    def _take(self, step: Step, live: LiveSession, request: Request, delivery: Delivery, now: int) -> None:
        if step is Step.NEXT_CHF:
            place = self._chfs.next_after(live.chf, live.moved, now)
            assert place is not None
            self._move(live, place)
        delivery.attempts += 1
        self._attempt(live, request, delivery.body, now)

    def _chances(self, live: LiveSession, request: Request, trouble: Trouble, now: int) -> Chances:
        session = live.session
        return Chances(
            handling=session.handling(request.operation, trouble),
            failover=session.failover,
            another_chf=self._several and self._chfs.next_after(live.chf, live.moved, now) is not None,
        )

    def _follow(self, live: LiveSession, delivery: Delivery, result: Answer) -> Step:
        location, instance = result.header(b"location"), result.header(TARGET_NF)
        origin_and_path = None if location is None else split_location(location)
        if origin_and_path is None:
            return Step.GIVE_UP
        if instance is not None:
            self._chfs.on_redirect(self._chfs.all[live.chf], instance)
        delivery.stays = result.status == 308 or instance is not None
        return delivery.on_redirect(*origin_and_path)

    def _renew(self, live: LiveSession, delivery: Delivery, exchange: Exchange, result: Answer, now: int) -> Step:
        """A new token, once: then the request is sent again, or else this answer is what the session gets."""
        if self._tokens is None or delivery.on_unauthorized() is Step.GIVE_UP:
            return Step.GIVE_UP
        request = delivery.request

        def when_done(renewed: bool) -> None:
            if live.request is not request or live.session.end is not None:
                return  # the run has stopped meanwhile
            if renewed:
                self._owner.wait(live, now)
            else:
                self._on_answer(live, request, exchange, result, now)

        self._tokens.keepers[live.function.key].on_unauthorized(live.token, when_done)
        return Step.RENEW

    def _retry_after(self, live: LiveSession, result: Answer, now: int) -> int:
        """Ns that the CHF wants to be left alone by this request; by new sessions as well."""
        value = result.header(b"retry-after")
        if value is None:
            return 0
        utc_s = (self._epoch + now - self._pace.t0) / NS_PER_S
        wait = int(read_retry_after(value, utc_s) * NS_PER_S)
        if wait:
            self._chfs.on_retry_after(self._chfs.all[live.chf], min(wait, self._policy.longest_wait), now)
        return wait

    def _on_overload(self, live: LiveSession, value: bytes, now: int) -> None:
        overload = read_overload(value)
        if overload is not None:
            self._chfs.on_overload(self._chfs.all[live.chf], overload, now)
