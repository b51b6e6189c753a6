"""A fleet and a charging function in one virtual clock: exchanges take a given time each way, nothing sleeps, no sockets."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from simulator.audit import Audit, Auditor
from simulator.config import Profile, load_plan, load_profile
from simulator.fleet.chfs import Destination
from simulator.fleet.fleet import Fleet, Share
from simulator.fleet.witnesses import NOBODY, Witnesses
from simulator.http2 import Answer, Exchange, Failure, FailureKind
from simulator.measure import Recorder, Totals
from simulator.sandbox.chf import Chf
from simulator.sandbox.moods import Mood

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
START = 1_000 * SECOND
EPOCH = 1_795_000_000 * SECOND

Weather = Callable[["Message"], "str"]
"""What happens to a message. "": all is well. "lost": the request never arrives. "answer lost": the charge was made and nobody
hears. "refused": the stream is refused. "unreachable": there is no connection. "garbage": the charge was made and the answer
cannot be read. A status such as "500", with headers in further lines: the CHF says so without doing anything."""


@dataclass(slots=True)
class Message:
    """One attempt as the world saw it."""

    at: int
    worker: int
    path: str
    body: dict[str, Any]
    raw: bytes
    attempt: int
    status: int = 0
    answer: bytes = b""
    chf: int = 0

    @property
    def operation(self) -> str:
        """create, event, update or release."""
        action = self.path.rpartition("/")[2]
        if action in {"update", "release"}:
            return action
        return "event" if self.body.get("oneTimeEvent") else "create"

    @property
    def session(self) -> tuple[str, int]:
        """Subscriber and charging id (of an event: its message reference, of a call the number in its user session id)."""
        if "iMSChargingInformation" in self.body:
            call = self.body["iMSChargingInformation"]["userSessionID"]
            return self.body["subscriberIdentifier"], int(call.partition("@")[0], 16)
        information = self.body.get("pDUSessionChargingInformation") or self.body["sMSChargingInformation"]
        number = information["chargingId"] if "chargingId" in information else information["messageReference"]
        return self.body["subscriberIdentifier"], int(number)

    def reported(self) -> dict[tuple[int, str], int]:
        """Used units by rating group and unit."""
        found: dict[tuple[int, str], int] = {}
        for usage in self.body.get("multipleUnitUsage", ()):
            for container in usage.get("usedUnitContainer", ()):
                for name in ("totalVolume", "serviceSpecificUnits", "time"):
                    if name in container:
                        key = (usage["ratingGroup"], name)
                        found[key] = found.get(key, 0) + container[name]
                        break
        return found


@dataclass
class World:
    """`workers` fleets of one profile against one CHF; `run()` lets time pass until nothing is open, or the time is over."""

    profile: Profile
    workers: int = 1
    seed: int = 1
    latency: int = 5 * MILLISECOND
    weather: Weather = lambda message: ""
    chf: Chf | None = None
    names: tuple[bytes, ...] = (b"chf.example:80",)
    separate: bool = False
    events_told: list[str] = field(default_factory=list)
    keep: bool = True
    mood: Mood | None = None
    witnesses: Witnesses = NOBODY
    messages: list[Message] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.now = START
        self.events: list[tuple[int, int, Callable[[], None]]] = []
        self.order = itertools.count()
        self.chf = self.chf or Chf(load_plan(None), pace=self.profile.pace, epoch=EPOCH - START)
        others = [
            Chf(load_plan(None), pace=self.profile.pace, epoch=EPOCH - START, instance=f"other{number}")
            for number in range(1, len(self.names))
        ]
        self.stores = [self.chf, *others] if self.separate else [self.chf] * len(self.names)
        self.recorders = [Recorder(START) for _ in range(self.workers)]
        self.fleets = [self._fleet(index) for index in range(self.workers)]
        self.attempts: dict[bytes, int] = {}
        self.exchanges: list[Exchange] = []
        self.measured = Totals()

    def _fleet(self, index: int) -> Fleet:
        return Fleet(
            self.profile,
            seed=self.seed,
            share=Share(index=index, workers=self.workers),
            destinations=[Destination(scheme=b"http", authority=name) for name in self.names],
            recorder=self.recorders[index],
            transmit=lambda function, exchange, place, origin, now: self._transmit(index, place, exchange),
            write_record=lambda lines: self.records.extend(map(orjson.loads, lines.splitlines())),
            t0=START,
            epoch=EPOCH,
            wake=lambda moment: None,
            on_finished=lambda: None,
            tell=lambda subject, text: self.events_told.append(f"{subject} {text}"),
            witnesses=self.witnesses,
        )

    def _at(self, moment: int, what: Callable[[], None]) -> None:
        heapq.heappush(self.events, (moment, next(self.order), what))

    def _transmit(self, worker: int, place: int, exchange: Exchange) -> None:
        path = dict(exchange.headers)[b":path"]
        plain = exchange.body.replace(b'"retransmissionIndicator":true,', b"")
        self.attempts[path + plain] = attempt = self.attempts.get(path + plain, 0) + 1
        message = Message(self.now, worker, path.decode(), orjson.loads(exchange.body), exchange.body, attempt)
        message.chf = place
        if self.keep:
            self.messages.append(message)
            self.exchanges.append(exchange)
        exchange.sent = self.now
        fate = self.weather(message)
        if fate in ("lost", "answer lost"):
            if fate == "answer lost":
                self._at(self.now + self.latency // 2, lambda: self._handle(exchange, message, None))
            failure = Failure(FailureKind.TIMEOUT, "no answer")
            self._at(exchange.deadline, lambda: exchange.on_done(exchange, failure, self.now))
        elif fate == "refused":
            failure = Failure(FailureKind.REFUSED, "refused", safe_to_repeat=True)
            self._at(self.now + self.latency, lambda: exchange.on_done(exchange, failure, self.now))
        elif fate == "unreachable":
            failure = Failure(FailureKind.CONNECT_FAILED, "refused", safe_to_repeat=True)
            self._at(self.now + self.latency, lambda: exchange.on_done(exchange, failure, self.now))
        elif fate[:3].isdecimal():
            status, *headers = fate.split("\n")
            fields = [(name.encode(), value.encode()) for name, _, value in (each.partition(": ") for each in headers)]
            answer = Answer(int(status), fields, b"")
            self._at(self.now + self.latency, lambda: exchange.on_done(exchange, answer, self.now))
        else:
            assert fate in ("", "garbage"), fate
            back = self.latency - self.latency // 2
            garbled = fate == "garbage"
            self._at(
                self.now + self.latency // 2, lambda: self._handle(exchange, message, self.now + back, garbled=garbled)
            )

    def _handle(self, exchange: Exchange, message: Message, answered_at: int | None, *, garbled: bool = False) -> None:
        chf = self.stores[message.chf]
        reply = chf.handle(
            b"POST", dict(exchange.headers)[b":path"], exchange.headers, exchange.body, self.now, self.mood
        )
        message.status, message.answer = reply.status, reply.body
        if answered_at is not None:
            answer = Answer(reply.status, list(reply.headers), b"<html>" if garbled else reply.body)
            self._at(answered_at, lambda: exchange.on_done(exchange, answer, self.now))

    def run(self, seconds: float | None = None) -> World:
        """Let time pass: to the end of the load, through the drain, until all is over. Returns itself."""
        end = START + int((seconds or self.profile.load.duration) * SECOND)
        self._pass_until(end)
        self.now = max(self.now, end)
        timeout = int(self.profile.timeouts.drain * SECOND)
        for fleet in self.fleets:
            fleet.drain(self.now, timeout)
        self._pass_until(self.now + timeout)
        for fleet in self.fleets:
            fleet.abandon(self.now)
            fleet.books.flush()
        return self

    def run_until(self, seconds: float) -> None:
        """Let time pass until so many seconds after the start; nothing is drained."""
        self._pass_until(START + int(seconds * SECOND))

    def _pass_until(self, end: int) -> None:
        while not all(fleet.finished for fleet in self.fleets):
            moment = min(
                [fleet.next_deadline() for fleet in self.fleets] + [self.events[0][0] if self.events else end + 1]
            )
            if moment > end:
                return
            self.now = max(self.now, moment)
            while self.events and self.events[0][0] <= self.now:
                heapq.heappop(self.events)[2]()
            for chf in self.stores:
                chf.on_time(self.now)
            for fleet in self.fleets:
                fleet.on_time(self.now)

    @property
    def totals(self) -> Totals:
        """What was measured up to now, over all workers."""
        for index, (fleet, recorder) in enumerate(zip(self.fleets, self.recorders, strict=True)):
            fleet.set_gauges(self.now)
            self.measured.add(index, recorder.cut(self.now))
        return self.measured

    def audit(self) -> Audit:
        """What the real auditor says about the fleet's records and the CHF's ledger."""
        auditor = Auditor()
        auditor.add_records(self.records)
        for chf in self.stores if self.separate else self.stores[:1]:
            auditor.add_ledger(chf.ledger_records())
        return auditor.finish()

    def sent(self, operation: str) -> list[Message]:
        """Messages of one operation, in order of sending."""
        return [message for message in self.messages if message.operation == operation]

    def count(self, name: str) -> int:
        """The sum of all counters that begin with these labels."""
        return sum(value for key, value in self.counters().items() if key == name or key.startswith(name + "|"))

    def counters(self) -> dict[str, int]:
        """All counters of all workers."""
        return self.totals.run.counters


def profile(*overrides: str, base: str = "demo") -> Profile:
    """A shipped profile with fields overridden."""
    return load_profile(base, overrides)


def by_session(messages: list[Message]) -> dict[tuple[str, int], list[Message]]:
    """Messages of each session, in order of sending."""
    sessions: dict[tuple[str, int], list[Message]] = {}
    for message in messages:
        sessions.setdefault(message.session, []).append(message)
    return sessions


def traffic(load: dict[str, Any], *, usages: dict[str, Any] | None = None, **fields: Any) -> Profile:
    """A profile of calls of ten seconds in real time, unless told otherwise."""
    usages = usages or {"call": CALL}
    duration = {} if {"stages", "streams"} & load.keys() else {"duration": "20s"}
    return Profile.model_validate(
        {
            "name": "test",
            "subscribers": {"count": 1000},
            "network_functions": {"smf": {"kind": "SMF", "count": 2}, "smsf": {"kind": "SMSF"}},
            "usages": usages,
            "mix": dict.fromkeys(usages, 1),
            "load": {**duration, **load},
        }
        | fields
    )


CALL = {"service": "voice", "length": "10s", "rating_groups": [{"rating_group": 100, "requested": "60s"}]}
DOWNLOAD = {
    "service": "data",
    "rating_groups": [
        {"rating_group": 300, "requested": "1MB", "volume": {"choice": ["2MB", "5MB"]}, "throughput": "8Mbps"}
    ],
}
MESSAGE = {"service": "sms", "rating_groups": [{"rating_group": 200}]}
REPORT = {"service": "sms", "charging": "PEC", "rating_groups": [{"rating_group": 200}]}
