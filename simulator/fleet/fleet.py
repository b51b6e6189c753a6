"""The fleet: starts sessions when they are due, lets their time pass, and turns their requests into exchanges.

No sockets and no clock: `now` is wall time (monotonic ns), exchanges go out through `transmit`, and their results come back
through `Exchange.on_done`. So a whole fleet runs in virtual time against a charging function in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from simulator.config import Profile
from simulator.config.profile import FILL_PER_S
from simulator.fleet.books import Books
from simulator.fleet.chfs import Chf, Chfs, Destination
from simulator.fleet.conformance import ConformanceSample
from simulator.fleet.devices import Attachment
from simulator.fleet.dispatch import Dispatch, Owner, Transmit
from simulator.fleet.network_functions import NetworkFunction, build_network_functions
from simulator.fleet.pace import NowTimestamps, Pace, at_time_of_day, timestamps
from simulator.fleet.population import Population, Start
from simulator.fleet.scheduler import Schedule
from simulator.fleet.series import Series
from simulator.fleet.session import Changes, LiveSession
from simulator.fleet.timeline import Timeline
from simulator.fleet.tokens import Tokens
from simulator.fleet.usage import Usage, build_usages
from simulator.fleet.witnesses import NOBODY, Witnesses
from simulator.measure import Merge, Recorder, key
from simulator.n40 import ChargingAnswer, End, Operation, Request, Trouble
from simulator.n40.answers import Action
from simulator.n40.flow import NEVER

NS_PER_S: Final = 1_000_000_000
LATEST_START: Final = NS_PER_S
"""An arrival that could not be started within a second is dropped and counted: catching up in a burst would hurt the CHF."""
PUNCTUAL: Final = NS_PER_S // 50
"""So late an arrival may be without any care; after a longer delay, what is due begins at twice the intended rate at most."""
CATCH_UP: Final = 2
DROPPED_PAUSE: Final = NS_PER_S // 10
"""A device of a closed loop that could not start tries again after so long, however little it thinks."""
FLAT_OUT_HORIZON: Final = 86_400 * NS_PER_S
# Globals, because looking up an enum's member costs ten times as much.
_CREATE: Final = Operation.CREATE
_RELEASE: Final = Operation.RELEASE
_GO_ON: Final = Action.GO_ON
_GONE: Final = Action.GONE
GOOD_ENDS: Final = (End.COMPLETED, End.UNCHARGED, End.ABORTED)
Tell = Callable[[str, str], None]
"""Something that a person should know at once: what it is about, and what happened."""


def _say_nothing(_subject: str, _text: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Which part of the fleet this is: worker `index` of `workers`."""

    index: int = 0
    workers: int = 1


class Fleet(Owner):
    """One worker's devices. `epoch` is the UTC time in ns at `t0`; for `wake` and `awake_until` see `Schedule`.

    `on_finished` is called when nothing is open and nothing will start any more. `functions` are the network functions of this
    worker, made for it by default, `tokens` theirs; `sample` looks at some of the answers.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        seed: int,
        share: Share,
        destinations: Sequence[Destination],
        recorder: Recorder,
        transmit: Transmit,
        write_record: Callable[[bytes], None],
        t0: int,
        epoch: int,
        wake: Callable[[int], None],
        on_finished: Callable[[], None],
        tell: Tell = _say_nothing,
        functions: dict[str, list[NetworkFunction]] | None = None,
        tokens: Tokens | None = None,
        sample: ConformanceSample | None = None,
        witnesses: Witnesses = NOBODY,
    ) -> None:
        self.profile = profile
        self.pace = Pace(t0, profile.pace)
        self.recorder = recorder
        self.books = Books(recorder, write_record)
        self.functions = build_network_functions(profile, share.index) if functions is None else functions
        stamps = timestamps(profile.timestamps, at_time_of_day(epoch, profile.session_clock), profile.pace)
        self._present = stamps if isinstance(stamps, NowTimestamps) else None  # has to be told the time
        self._chfs = Chfs(
            destinations,
            down_after=profile.failure.down_after,
            recheck=int(profile.failure.recheck * NS_PER_S),
            tell=self._on_chf,
        )
        self._tell = tell
        self._usages = build_usages(profile, self.functions, stamps, destinations[0].root)
        self._slots = sum(usage.slots for usage in self._usages)  # of one device
        self._population = Population(profile, seed, share.index, share.workers)
        self._on_finished = on_finished
        self._counters = recorder.counters
        self._schedule: Schedule[LiveSession | Start] = Schedule(wake)
        self._pending = 0  # starts in the schedule that will begin a session
        # Bounds and rates are the whole fleet's. The devices of a closed loop are as many as are allowed.
        self._workers = share.workers
        closed = profile.load.mode == "closed"
        self._most_open_allowed = (
            profile.load.max_in_flight if closed else -(-profile.load.max_in_flight // share.workers)
        )
        self.timeline = Timeline(profile.load.timeline, t0)
        self._residuals = self._population.open_at_start()
        self._next_residual = next(self._residuals, None)
        self._arrivals = self._population.arrivals(self.timeline)
        self._next_arrival = self._arrivals.take()
        self._next_start = self._sooner()
        self._stalled_from = self._stalled_until = 0
        self._not_before = 0  # what is behind its time begins no earlier than this
        self._attachment = Attachment(self.timeline, profile.load.most_devices) if closed else None
        self._halts = any(stage.halted for stage in profile.load.timeline)
        self._held: list[Start] = []  # of devices, while the load is paused
        self._paused_at = self._resumed_at = t0
        self._numbers: dict[int, int] = {}  # of the last session of each device, where they come and go
        self._devices_change = closed  # in stages, and by commands at any time
        self._open: dict[int, LiveSession] = {}
        self._most_open = 0
        self._draining = False
        self._dispatch = Dispatch(
            profile,
            owner=self,
            chfs=self._chfs,
            pace=self.pace,
            recorder=recorder,
            series=Series(recorder, self._usages),
            transmit=transmit,
            epoch=epoch,
            tokens=tokens,
            sample=sample,
            witnesses=witnesses,
        )
        self._journal = witnesses.journal
        self._trace = witnesses.trace
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
        if self._open or self._next_start is not None or self._pending:
            return False
        if self._draining:
            return True
        return not self.timeline.paused and (self._attachment is None or self._attachment.moment == NEVER)

    def next_deadline(self) -> int:
        """When `on_time` is due, in wall time."""
        scheduled = self._schedule.next()
        moment = NEVER if scheduled is None else scheduled
        if self._next_start is not None:
            moment = min(moment, max(self.pace.t0 + self._next_start.moment, self._not_before))
        if self._attachment is not None and not self._draining:
            moment = min(moment, self._attachment.moment)
        return moment

    def set_gauges(self, now: int) -> None:
        """Put levels at `now` into the recorder, before a cut: first the highest since the last cut, then what is now."""
        for name, peak, level in (
            ("sessions_open", self._most_open, len(self._open) + self.abandoned),
            ("in_flight", self._dispatch.most_awaiting, self._dispatch.awaiting),
        ):
            self.recorder.gauge(name, peak)
            self.recorder.gauge(name, level)
        self.recorder.gauge("offered_rate", self.timeline.rate_at(now) / self._workers)
        self.recorder.gauge("stage", self.timeline.stage_at(now), Merge.LAST)
        if self._attachment is not None:
            self.recorder.gauge("devices", self._attachment.count / self._workers)
        self._most_open = len(self._open)
        self._dispatch.most_awaiting = self._dispatch.awaiting
        self._measure_chfs(now)

    def _measure_chfs(self, now: int) -> None:
        """How each CHF is seen, where there are several or something is the matter."""
        for chf in self._chfs.all:
            name = str(chf.number)
            for what, count in (("requests", chf.requests), ("failed", chf.failed)):
                if count:
                    self._counters[key("chf", name, what)] += count
            chf.requests = chf.failed = 0
            self.recorder.gauge(key("chf_down", name), float(chf.down))
            self.recorder.gauge(key("chf_spared", name), float(chf.spared(now)), Merge.MAX)

    # -- in -----------------------------------------------------------------------------------------------------------

    def on_time(self, now: int) -> None:
        """Start what is due and let time pass for the sessions that asked to be woken."""
        self.set_now(now)
        if self._attachment is not None and self._attachment.moment <= now and not self._draining:
            self._change_devices(self._attachment, now)
        start = self._next_start
        while start is not None and self.pace.t0 + start.moment <= now:
            late = now - self.pace.t0 - start.moment
            if PUNCTUAL < late <= LATEST_START and now < self._not_before:
                break
            self._begin(start, now)
            following = self._go_on()
            if PUNCTUAL < late <= LATEST_START and following is not None:
                gap = (following.moment - start.moment) // CATCH_UP
                self._not_before = gap + (self._not_before if self._not_before > now - PUNCTUAL else now)
            start = following
        while (due := self._schedule.due(now)) is not None:
            _, item = due
            if isinstance(item, Start):
                if not self._draining:
                    self._begin_of_device(item, now)
            elif item.session.end is None:
                if item.delivery is not None and 0 < item.delivery.again_at <= now:
                    self._dispatch.send_again(item, item.delivery, now)
                else:
                    self._wake(item, now)
        if self.finished:
            self._on_finished()

    # -- arrivals -----------------------------------------------------------------------------------------------------

    def _sooner(self) -> Start | None:
        """What starts next: a session that is found open, or an arrival."""
        residual, arrival = self._next_residual, self._next_arrival
        if residual is None or (arrival is not None and arrival.moment < residual.moment):
            return arrival
        return residual

    def _go_on(self) -> Start | None:
        """The next start has begun, or was dropped: look for the one after it."""
        if self._next_start is self._next_arrival:
            self._next_arrival = self._arrivals.take()
        else:
            self._next_residual = next(self._residuals, None)
        self._next_start = self._sooner()
        return self._next_start

    def control(self, at: int, action: str, value: float | None, now: int) -> bool:
        """Change what comes after `at`; tell whether that is a command. What has begun by `now` has begun."""
        paused = self.timeline.paused
        if not self.timeline.control(at, action, value):
            return False
        if self.timeline.paused != paused:
            self._note_pause(self.timeline.anchor_at(NEVER).wall)
        if self._draining:
            return True
        self._next_arrival = self._arrivals.take_again()
        self._next_start = self._sooner()
        self._halts = True
        if self._attachment is not None:
            self._attachment.look()
        if not self.timeline.paused:
            self._let_go(now)
        return True

    # -- devices of a closed loop -------------------------------------------------------------------------------------

    def _change_devices(self, attachment: Attachment, now: int) -> None:
        """Devices attach and detach, as many as are due."""
        population = self._population
        while attachment.moment <= now:
            moment, jumped = attachment.moment - self.pace.t0, attachment.jumped
            change = attachment.step()
            device = change if change >= 0 else -1 - change
            if not population.owns(device):
                continue
            if change < 0:
                self._detach(device, now)
                continue
            number = population.next_number(device, self._numbers.get(device, -1))
            if moment == 0 and self.profile.load.equilibrium:
                self._add_start(population.found(device))
            elif jumped:
                self._add_start(population.next_of(device, number, moment))
            else:
                self._add_start(population.begin_at_once(device, number, moment))

    def _add_start(self, start: Start | None) -> None:
        if start is None:
            return
        if self._devices_change:
            self._numbers[start.device] = start.number
        self._pending += 1
        self._schedule.add(self.pace.t0 + start.moment, start)

    def _detach(self, device: int, now: int) -> None:
        """A device goes: its session is released."""
        live = self._live_of(device)
        if live is not None and live.usage.is_session:
            live.ends_at = min(live.ends_at, max(live.clock, self.pace.session_time(now)))
            self._schedule.add(now, live)

    def _live_of(self, device: int) -> LiveSession | None:
        """The open session of a device."""
        number = self._numbers.get(device, -1)
        first = self._population.subscriber_of(device) * self._slots
        for slot in range(first, first + self._slots):
            live = self._open.get(slot)
            if live is not None and live.device == device and live.number == number:
                return live
        return None

    def _is_there(self, device: int, number: int) -> bool:
        """Whether a device has not gone since it began, or was to begin, a session."""
        if not self._devices_change:
            return True
        assert self._attachment is not None
        return device < self._attachment.count and self._numbers.get(device) == number

    def _begin_of_device(self, start: Start, now: int) -> None:
        """A device has thought for long enough: it begins its session, unless it is gone, or the load is paused or over."""
        if self._halts:
            again = self.timeline.after_halt(now, self.pace.t0 + start.moment)
            if again == NEVER and self.timeline.paused:
                self._held.append(start)
                return
            if again == NEVER:  # it goes on soon: that command is here already
                again = self._after_pause(start)
            if again > now:
                self._schedule.add(again, _moved(start, again - self.pace.t0))
                return
        if not self.pace.flat_out:
            due = self.pace.t0 + start.moment
            again = self._spread(due, now)
            if again > now:
                self._schedule.add(again, start)
                return
        self._pending -= 1
        if self._is_there(start.device, start.number) and self.pace.t0 + start.moment < self.timeline.end:
            self._begin(start, now)

    def _spread(self, due: int, now: int) -> int:
        """When a device that is late begins: what fell due while the engine stood still comes in half the time that it had."""
        if not PUNCTUAL < now - due <= LATEST_START:
            return due
        if not self._stalled_from <= due <= self._stalled_until:
            self._stalled_from, self._stalled_until = due, now
        return self._stalled_until + (due - self._stalled_from) // CATCH_UP

    def _note_pause(self, moment: int) -> None:
        """The last command begins a pause, or ends it."""
        if self.timeline.paused:
            self._paused_at = moment
        else:
            self._resumed_at = moment

    def _let_go(self, now: int) -> None:
        """The load is no longer paused, or will soon be no more."""
        held, self._held = self._held, []
        for start in held:
            moment = self._after_pause(start)
            self._schedule.add(max(moment, now), _moved(start, moment - self.pace.t0))

    def _after_pause(self, start: Start) -> int:
        """When a start that fell into the pause is due: as long after it as it was after its beginning, on every worker."""
        return self._resumed_at + max(0, self.pace.t0 + start.moment - self._paused_at)

    # -- the end ------------------------------------------------------------------------------------------------------

    def drain(self, now: int, timeout: int) -> None:
        """Start nothing more, and release what is open at a steady rate, well within `timeout` ns."""
        self.on_time(now)  # what is due by now is started, or a counted drop, however far behind this engine is
        while (start := self._next_start) is not None and self.pace.t0 + start.moment <= now:
            self._drop(start, "late", now)
            self._go_on()
        self._draining = True
        self._next_start = None
        self._pending = 0
        lives = [live for live in self._open.values() if live.usage.is_session]
        rate = (self.profile.load.mean_per_s or FILL_PER_S) / self._workers
        window = min(timeout // 2, int(len(lives) / rate * NS_PER_S))
        for position, live in enumerate(lives):
            moment = now + window * position // max(1, len(lives))
            live.ends_at = min(live.ends_at, max(live.clock, self.pace.session_time(moment)))
            self._schedule.add(moment, live)

    def stop(self) -> None:
        """The drain's time is over: what fails from here on, because the connections are closed, is not tried again."""
        self._draining = self._dispatch.stopping = True

    def abandon(self, now: int) -> None:
        """Sessions that are still open stay open at the CHF, and are entered as such."""
        for live in list(self._open.values()):
            self.leave_open(live, now, doubt=live.request is not None)

    def leave_open(self, live: LiveSession, now: int, *, doubt: bool) -> None:
        """The run stops with this session open; `doubt`: a report is on its way that may be charged."""
        live.request = None
        live.session.abandon(min(self._moment(live, now), live.ends_at), doubt=doubt)
        del self._open[live.slot]
        self.abandoned += 1
        self._count_end(live)

    def on_notify(self, charging_id: int, rating_groups: tuple[int, ...] | None, now: int, *, abort: bool) -> bool:
        """A CHF notifies a session; tell whether it is there."""
        live = self._find(charging_id)
        if live is None or live.session.end is not None:
            return False
        self.set_now(now)
        if self._trace is not None:
            self._trace.notified(live, rating_groups, now, abort=abort)
        moment = self._moment(live, now)
        if moment < live.ends_at:
            live.session.on_notify(rating_groups, moment, abort=abort)
            self._proceed(live, now)
        return True

    def _find(self, charging_id: int) -> LiveSession | None:
        """The session with that charging id. It follows from that whose it is, so no table of them all is kept."""
        first = self._population.subscriber_of(charging_id) * self._slots
        for slot in range(first, first + self._slots):
            live = self._open.get(slot)
            if live is not None and live.session.charging_id == charging_id:
                return live
        return None

    def _on_chf(self, chf: Chf, what: str) -> None:
        self._tell(f"CHF {chf.number} ({chf.origin.decode()})", what)

    # -- sessions -----------------------------------------------------------------------------------------------------

    def _begin(self, start: Start, now: int) -> None:
        """Start one session, unless its time has passed, its subscriber has no more place for this usage, or too many are open.

        Sessions that are open from the beginning are no arrivals.
        """
        if self._draining:
            return
        usage = self._usages[start.usage]
        slot = self._free_slot(start.subscriber, usage)
        place = self._chfs.choose(now)
        reason = self._obstacle(start, slot, place, now)
        if reason:
            self._drop(start, reason, now)
            return
        if not start.residual:
            self._counters["arrivals|intended"] += 1
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
        live.chf = place
        self._open[slot] = live
        self._most_open = max(self._most_open, len(self._open))
        session.start(moment)
        if usage.changes is not None:
            live.changes = Changes(usage.changes, start.key, moment)
        self._proceed(live, now)

    def _drop(self, start: Start, reason: str, now: int) -> None:
        if not start.residual:
            self._counters["arrivals|intended"] += 1
        self._counters[f"arrivals|dropped|{reason}"] += 1
        self._again(start.device, start.number, now + DROPPED_PAUSE)

    def _free_slot(self, subscriber: int, usage: Usage) -> int:
        """A place for one more session of that usage at the device; the last one, which is taken, if there is none."""
        slot = subscriber * self._slots + usage.first_slot
        last = slot + usage.slots - 1
        while slot < last and slot in self._open:
            slot += 1
        return slot

    def _obstacle(self, start: Start, slot: int, place: int, now: int) -> str:
        """Why a session cannot start, "" if it can."""
        if now - self.pace.t0 - start.moment > LATEST_START:
            return "late"
        if slot in self._open:
            return "busy"
        if len(self._open) >= self._most_open_allowed:
            return "limit"
        if self._chfs.limited and self._chfs.throttles(place, start.key, now):
            return "throttled"
        return ""

    def _wake(self, live: LiveSession, now: int) -> None:
        live.on_time(self.pace.session_time(now))
        self._proceed(live, now)

    def _proceed(self, live: LiveSession, now: int) -> None:
        """After a session was told something: send what it wants sent, see it off, or come back when it is due."""
        session = live.session
        while True:
            request = session.next_request()
            if request is not None:
                self._dispatch.send(live, request, now)
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
        until = min(live.change_at, live.ends_at)
        until = min(until, live.clock + FLAT_OUT_HORIZON)  # compiled, two are compared in place, three are not
        session.on_time(until)
        if session.outstanding is not None:
            live.clock = max(live.clock, session.outstanding.due)
        elif session.end is None:
            live.clock = until
            if until == live.change_at:
                live.on_time(until)
            else:
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
        if self._journal is not None and not live.released:
            self._journal.leave_open(live)
        self.books.enter(live, live.session.next_records())

    def _again(self, device: int, number: int, now: int) -> None:
        """Closed loop: the device thinks, then starts its next session."""
        if device < 0 or self._draining or not self._is_there(device, number):
            return
        population = self._population
        self._add_start(population.next_of(device, population.next_number(device, number), now - self.pace.t0))

    # -- what came of a request ---------------------------------------------------------------------------------------

    def on_answer(self, live: LiveSession, request: Request, answer: ChargingAnswer, now: int) -> None:
        """The CHF answered."""
        moment = self._catch_up(live, now)
        session = live.session
        session.on_answer(request.id, answer, moment)
        if answer.broken:
            self._counters["promises_broken|" + answer.broken] += 1
        if request.operation is _CREATE:
            if self._journal is not None:
                self._journal.enter(live)
        elif request.operation is _RELEASE:
            live.released = answer.action is _GO_ON or answer.action is _GONE
        if session.lost is not None:
            self.books.enter(live, session.next_records())
        self._proceed(live, now)

    def on_failure(self, live: LiveSession, request: Request, trouble: Trouble, now: int, *, processed: bool) -> None:
        """No answer will come; `processed`: a CHF may have acted on the request all the same."""
        moment = self._catch_up(live, now)
        live.session.on_failure(request.id, moment, processed=processed, trouble=trouble)
        self._proceed(live, now)

    def _catch_up(self, live: LiveSession, now: int) -> int:
        """What happened to the PDU session while the answer was awaited; return session time at `now`."""
        live.moved = 0
        moment = self._moment(live, now)
        live.catch_up(moment)
        return moment

    def wait(self, live: LiveSession, moment: int) -> None:
        """Send a session's request again at that moment."""
        assert live.delivery is not None
        live.delivery.again_at = moment
        self._schedule.add(moment, live)

    def set_now(self, now: int) -> None:
        """Tell the stamps the time, where they cannot derive it."""
        if self._present is not None:
            self._present.set_now(now - self.pace.t0)


def _moved(start: Start, moment: int) -> Start:
    """The same start at another moment."""
    return Start(moment, start.number, start.subscriber, start.usage, start.key, start.residual, start.device)
