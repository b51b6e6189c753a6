"""The fleet: starts sessions when they are due, lets their time pass, and turns their requests into exchanges.

No sockets and no clock: `now` is wall time (monotonic ns), exchanges go out through `transmit`, and their results come back
through `Exchange.on_done`. So a whole fleet runs in virtual time against a charging function in memory.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from simulator.config import Profile
from simulator.config.profile import FILL_PER_S
from simulator.fleet.books import Books
from simulator.fleet.network_functions import NetworkFunction, build_network_functions
from simulator.fleet.pace import NowTimestamps, Pace, timestamps
from simulator.fleet.population import Population, Start
from simulator.fleet.scheduler import Schedule
from simulator.fleet.series import Series
from simulator.fleet.services import message_form
from simulator.fleet.session import LiveSession
from simulator.fleet.usage import Usage, build_usages
from simulator.http2 import Answer, Exchange, Failure, FailureKind
from simulator.measure import Recorder
from simulator.n40 import Delivery, DeliveryPolicy, End, Operation, Request, read_answer
from simulator.n40.flow import NEVER

NS_PER_S: Final = 1_000_000_000
LATEST_START: Final = NS_PER_S
"""An arrival that could not be started within a second is dropped and counted: catching up in a burst would hurt the CHF."""
_RELEASE: Final = Operation.RELEASE
FLAT_OUT_HORIZON: Final = 86_400 * NS_PER_S
GOOD_ENDS: Final = (End.COMPLETED, End.UNCHARGED)
METHOD: Final = (b":method", b"POST")
CONTENT_TYPE: Final = (b"content-type", b"application/json")
ACCEPT: Final = (b"accept", b"application/json, application/problem+json")
UNANSWERED: Final = "unanswered"
"""What becomes of a request that is under way when the run stops."""
NO_ANSWER: Final = frozenset(
    {FailureKind.TIMEOUT, FailureKind.OVERFLOW, FailureKind.CONNECT_FAILED, FailureKind.CLOSED}
)
"""Failures after which nothing was sent and there is no point in another attempt at once, where they are safe to repeat."""

Transmit = Callable[[NetworkFunction, Exchange, "bytes | None", int], None]
"""Send an exchange of a network function, to the configured target or to the origin that a Location named; at `now`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Which part of the fleet this is: worker `index` of `workers`."""

    index: int = 0
    workers: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where requests go: the pseudo headers of the target, and the path under which its API begins."""

    scheme: bytes
    authority: bytes
    root: bytes = b""

    @property
    def origin(self) -> bytes:
        """Scheme and authority, as an absolute Location would name them."""
        return self.scheme + b"://" + self.authority.lower()


class Fleet:
    """One worker's devices. `epoch` is the UTC time in ns at `t0`; for `wake` and `awake_until` see `Schedule`.

    `on_finished` is called when nothing is open and nothing will start any more.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        seed: int,
        share: Share,
        destination: Destination,
        recorder: Recorder,
        transmit: Transmit,
        write_record: Callable[[bytes], None],
        t0: int,
        epoch: int,
        wake: Callable[[int], None],
        on_finished: Callable[[], None],
    ) -> None:
        self.profile = profile
        self.pace = Pace(t0, profile.pace)
        self.recorder = recorder
        self.books = Books(recorder, write_record)
        self.functions = build_network_functions(profile, share.index)
        stamps = timestamps(profile.timestamps, epoch, profile.pace)
        self._present = stamps if isinstance(stamps, NowTimestamps) else None  # has to be told the time
        self._origin = destination.origin
        self._scheme = (b":scheme", destination.scheme)
        self._authority = (b":authority", destination.authority)
        self._usages = build_usages(profile, self.functions, stamps, destination.root)
        self._slots = sum(usage.slots for usage in self._usages)  # of one device
        self._series = Series(recorder, self._usages)
        self._population = Population(profile, seed, share.index, share.workers)
        self._transmit = transmit
        self._on_finished = on_finished
        self._counters = recorder.counters
        self._policy = DeliveryPolicy(
            timeout=int(profile.timeouts.request * NS_PER_S),
            repeats=profile.repeats,
            marks_repeats=message_form(profile).marks_repeats,
        )
        self._schedule: Schedule[LiveSession | Start] = Schedule(wake)
        self._pending = 0  # starts in the schedule that will begin a session
        # Bounds and rates are the whole fleet's. The devices of a closed loop are as many as are allowed.
        self._workers = share.workers
        closed = profile.load.mode == "closed"
        self._most_open_allowed = (
            profile.load.max_in_flight if closed else -(-profile.load.max_in_flight // share.workers)
        )
        self._arrivals = self._merge()
        self._next_start = next(self._arrivals, None)
        self._open: dict[int, LiveSession] = {}
        self._awaiting = 0
        self._most_open = 0
        self._most_awaiting = 0
        self._draining = False
        self._stopping = False
        self.abandoned = 0
        """Sessions that were left open at the CHF."""

    # -- out ----------------------------------------------------------------------------------------------------------

    @property
    def open_sessions(self) -> int:
        """PDU sessions and events that have begun and not ended."""
        return len(self._open)

    @property
    def awake_until(self) -> int:
        """When `on_time` will be called in any case."""
        return self._schedule.awake_until

    @awake_until.setter
    def awake_until(self, moment: int) -> None:
        self._schedule.awake_until = moment

    @property
    def finished(self) -> bool:
        """Whether nothing is open and nothing will start any more."""
        return not self._open and self._next_start is None and not self._pending

    def next_deadline(self) -> int:
        """When `on_time` is due, in wall time."""
        scheduled = self._schedule.next()
        moment = NEVER if scheduled is None else scheduled
        if self._next_start is not None:
            moment = min(moment, self.pace.t0 + self._next_start.moment)
        return moment

    def set_gauges(self) -> None:
        """Put levels into the recorder, before a cut: first the highest since the last cut, then what is now."""
        for name, peak, level in (
            ("sessions_open", self._most_open, len(self._open) + self.abandoned),
            ("in_flight", self._most_awaiting, self._awaiting),
        ):
            self.recorder.gauge(name, peak)
            self.recorder.gauge(name, level)
        self._most_open = len(self._open)
        self._most_awaiting = self._awaiting

    # -- in -----------------------------------------------------------------------------------------------------------

    def on_time(self, now: int) -> None:
        """Start what is due and let time pass for the sessions that asked to be woken."""
        if self._present is not None:
            self._present.set_now(now - self.pace.t0)
        start = self._next_start
        while start is not None and self.pace.t0 + start.moment <= now:
            self._begin(start, now)
            start = self._next_start = next(self._arrivals, None)
        while (due := self._schedule.due(now)) is not None:
            _, item = due
            if isinstance(item, Start):
                if not self._draining:
                    self._pending -= 1
                    self._begin(item, now)
            elif item.session.end is None:
                self._wake(item, now)
        if self.finished:
            self._on_finished()

    def drain(self, now: int, timeout: int) -> None:
        """Start nothing more, and release what is open at a steady rate, well within `timeout` ns."""
        self.on_time(now)  # what is due by now is started, or a counted drop, however far behind this engine is
        self._draining = True
        self._next_start = None
        self._pending = 0
        lives = [live for live in self._open.values() if live.usage.is_session]
        rate = (self.profile.load.rate or FILL_PER_S) / self._workers
        window = min(timeout // 2, int(len(lives) / rate * NS_PER_S))
        for position, live in enumerate(lives):
            moment = now + window * position // max(1, len(lives))
            live.ends_at = min(live.ends_at, max(live.clock, self.pace.session_time(moment)))
            self._schedule.add(moment, live)

    def stop(self) -> None:
        """The drain's time is over: what fails from here on, because the connections are closed, is not tried again."""
        self._draining = self._stopping = True

    def abandon(self, now: int) -> None:
        """Sessions that are still open stay open at the CHF, and are entered as such."""
        for live in list(self._open.values()):
            self._leave_open(live, now, doubt=live.request is not None)

    def _leave_open(self, live: LiveSession, now: int, *, doubt: bool) -> None:
        live.request = None
        live.session.abandon(min(self._moment(live, now), live.ends_at), doubt=doubt)
        del self._open[live.slot]
        self.abandoned += 1
        self._count_end(live)

    # -- sessions -----------------------------------------------------------------------------------------------------

    def _merge(self) -> Iterator[Start]:
        """All starts in order of time."""
        if self.profile.load.mode == "closed":
            for start in self._population.devices():
                self._pending += 1
                self._schedule.add(self.pace.t0 + start.moment, start)
            return iter(())
        return heapq.merge(self._population.open_at_start(), self._population.arrivals(), key=itemgetter(0))

    def _begin(self, start: Start, now: int) -> None:
        """Start one session, unless its time has passed, its subscriber has no more place for this usage, or too many are open.

        Sessions that are open from the beginning are no arrivals.
        """
        if self._draining:
            return
        if not start.residual:
            self._counters["arrivals|intended"] += 1
        usage = self._usages[start.usage]
        slot = self._free_slot(start.subscriber, usage)
        reason = self._obstacle(start, slot, now)
        if reason:
            self._counters[f"arrivals|dropped|{reason}"] += 1
            self._again(start.device, start.number, now)
            return
        if not start.residual:
            self._counters["arrivals|started"] += 1
        self._counters[usage.started] += 1
        moment = self.pace.session_time(self.pace.t0 + start.moment)
        session, ends_at = usage.start(
            start.subscriber,
            start.number,
            start.key,
            moment,
            self._population.subscribers,
            slot % self._slots - usage.first_slot,
            residual=start.residual,
        )
        function = usage.function(start.subscriber)
        live = LiveSession(session, usage, function, start.number, slot, ends_at, start.device)
        live.clock = moment
        self._open[slot] = live
        self._most_open = max(self._most_open, len(self._open))
        session.start(moment)
        self._proceed(live, now)

    def _free_slot(self, subscriber: int, usage: Usage) -> int:
        """A place for one more session of that usage at the device; the last one, which is taken, if there is none."""
        slot = subscriber * self._slots + usage.first_slot
        last = slot + usage.slots - 1
        while slot < last and slot in self._open:
            slot += 1
        return slot

    def _obstacle(self, start: Start, slot: int, now: int) -> str:
        """Why a session cannot start, "" if it can."""
        if now - self.pace.t0 - start.moment > LATEST_START:
            return "late"
        if slot in self._open:
            return "busy"
        return "limit" if len(self._open) >= self._most_open_allowed else ""

    def _wake(self, live: LiveSession, now: int) -> None:
        live.on_time(self.pace.session_time(now))
        self._proceed(live, now)

    def _proceed(self, live: LiveSession, now: int) -> None:
        """After a session was told something: send what it wants sent, see it off, or come back when it is due."""
        session = live.session
        while True:
            request = session.next_request()
            if request is not None:
                self._send(live, request, now)
                return
            if session.end is not None:
                self._see_off(live, now)
                return
            if session.outstanding is not None:
                return
            if not self.pace.flat_out:
                deadline = live.next_deadline()
                if deadline < NEVER:
                    self._schedule.add(self.pace.wall_time(deadline), live)
                return
            self._jump(live)

    def _moment(self, live: LiveSession, now: int) -> int:
        """Session time at `now`."""
        return live.clock if self.pace.flat_out else self.pace.session_time(now)

    @staticmethod
    def _jump(live: LiveSession) -> None:
        """Flat out: no waiting; a session that would do nothing for a day is over."""
        session = live.session
        until = min(live.ends_at, live.clock + FLAT_OUT_HORIZON)
        session.on_time(until)
        if session.outstanding is not None:
            live.clock = max(live.clock, session.outstanding.due)
        elif session.end is None:
            live.clock = until
            session.stop(until)

    def _see_off(self, live: LiveSession, now: int) -> None:
        del self._open[live.slot]
        self._count_end(live)
        self._again(live.device, live.number, now)
        if self.finished:
            self._on_finished()

    def _count_end(self, live: LiveSession) -> None:
        end = live.session.end
        if end in GOOD_ENDS:
            self._counters[live.usage.completed] += 1
        else:
            self._counters[f"sessions|failed|{live.usage.name}|{end}"] += 1
        self.books.enter(live, live.session.next_records())

    def _again(self, device: int, number: int, now: int) -> None:
        """Closed loop: the device thinks, then starts its next session."""
        if device < 0 or self._draining:
            return
        start = self._population.next_of(device, number + (self.profile.load.devices or 0), now - self.pace.t0)
        if start is not None and start.moment < self.profile.load.duration * NS_PER_S:
            self._pending += 1
            self._schedule.add(self.pace.t0 + start.moment, start)

    # -- requests -----------------------------------------------------------------------------------------------------

    def _send(self, live: LiveSession, request: Request, now: int) -> None:
        live.request = request
        live.due = now if self.pace.flat_out else min(now, self.pace.wall_time(request.due))
        live.first_sent = 0
        self._attempt(live, request, request.body, now)

    def _attempt(self, live: LiveSession, request: Request, body: bytes, now: int) -> None:
        origin, scheme, authority = None, self._scheme, self._authority
        if request.origin is not None and request.origin != self._origin:
            origin = request.origin
            named, _, host = origin.partition(b"://")
            scheme, authority = (b":scheme", named), (b":authority", host)
        headers = [
            METHOD,
            scheme,
            authority,
            (b":path", request.path),
            CONTENT_TYPE,
            ACCEPT,
            (b"content-length", b"%d" % len(body)),
        ]
        self._awaiting += 1
        if self._awaiting > self._most_awaiting:
            self._most_awaiting = self._awaiting
        exchange = Exchange(headers, body, now + self._policy.timeout, self._on_done, live)
        self._transmit(live.function, exchange, origin, now)

    def _on_done(self, exchange: Exchange, result: Answer | Failure, now: int) -> None:
        self._awaiting -= 1
        live = exchange.context
        assert type(live) is LiveSession
        request = live.request
        if request is None or live.session.end is not None:
            return  # it was left open
        if self._present is not None:
            self._present.set_now(now - self.pace.t0)
        if not live.first_sent:
            live.first_sent = exchange.sent
        if isinstance(result, Failure):
            if self._stopping:
                self._series.failed(live, request.operation, exchange, UNANSWERED, now)
                processed = live.delivery is not None and live.delivery.processed
                self._leave_open(live, now, doubt=processed or not result.safe_to_repeat)
            else:
                self._on_failure(live, request, exchange, result, now)
        else:
            self._on_answer(live, request, exchange, result, now)

    def _on_answer(self, live: LiveSession, request: Request, exchange: Exchange, result: Answer, now: int) -> None:
        location = None
        if request.operation is not _RELEASE:
            for name, value in result.headers:
                if name == b"location":
                    location = value
                    break
        answer = read_answer(request.operation, result.status, location, result.body)
        if live.delivery is not None:
            answer.repeats = live.delivery.repeats
            live.delivery = None
        self._series.answered(live, request.operation, exchange, answer, now)
        live.request = None
        moment = self._moment(live, now)
        if moment >= live.ends_at:
            live.end()
        session = live.session
        session.on_answer(request.id, answer, moment)
        if session.lost is not None:
            self.books.enter(live, session.next_records())
        self._proceed(live, now)

    def _on_failure(self, live: LiveSession, request: Request, exchange: Exchange, failure: Failure, now: int) -> None:
        delivery = live.delivery = live.delivery or Delivery(request, self._policy)
        safe = failure.safe_to_repeat
        hopeless = safe and failure.kind in NO_ANSWER
        if not hopeless and delivery.again(safe=safe):
            self._series.repeated(live, request.operation, exchange, now)
            self._attempt(live, request, delivery.body, now)
            return
        self._series.failed(live, request.operation, exchange, failure.kind, now)
        live.request = live.delivery = None
        moment = self._moment(live, now)
        if moment >= live.ends_at:
            live.end()
        live.session.on_failure(request.id, moment, processed=delivery.processed or not safe)
        self._proceed(live, now)
