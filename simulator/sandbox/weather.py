"""The weather: decides what happens to a request, and in what state an endpoint is. No input, output or clock.

Each fault's window counts from its own start: the start of the timeline for those of the configuration, the moment of their
arrival for those that come later, and for all of them whenever the timeline is started again.

Chance is a hash of the seed, the fault, and the how-manieth request it fits: the same requests in the same order meet the
same weather.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from simulator.config import Fault, Servers
from simulator.config.faults import ENDPOINT_KINDS, subscriber_range
from simulator.sandbox.capacity import Capacity
from simulator.sandbox.moods import MOOD_KINDS, Mood

MOST_RULES: Final = 10_000
MOST_MOODS: Final = 1000
"""Combinations that are kept ready."""
LEAD: Final = 50_000_000
"""ns before its window opens that a fault wants to be asked about requests: a timer of the loop may be late."""
ALL_OPERATIONS: Final = ("create", "update", "release", "event")
"""Of N40, if a fault names none."""

_NS_PER_S: Final = 1_000_000_000
_TO_UNIT: Final = 2.0**-53
_SHARE: Final = 0
_DELAY: Final = 1

_ENDINGS: Final = frozenset(
    {"status", "silence", "lose_answer", "reset_connection", "reset_stream", "goaway", "redirect"}
)
"""What takes the place of an answer; the first in the list has the word. (A GOAWAY that is graceful lets it be answered.)"""
_DAMAGES: Final = frozenset({"truncate", "garbage", "content_type", "wrong_sequence", "overload"})
"""What is done to an answer."""


class Rule:
    """A fault with its place in time, and its chance."""

    __slots__ = ("_key", "begin", "begun", "end", "fault", "fits", "kind", "number", "once", "operations", "span")

    def __init__(self, number: int, fault: Fault, seed: int) -> None:
        self.number = number
        self.fault = fault
        self.kind = fault.kind
        self.begin: int | None = None
        """ns; None: its time does not run yet."""
        self.end: int | None = None
        self.begun = False
        """Whether somebody was told that it has begun."""
        self.fits = 0
        """Requests that it fitted so far, chance aside."""
        self.operations = frozenset(fault.operations or ALL_OPERATIONS)
        self.span = None if fault.subscribers is None else subscriber_range(fault.subscribers)
        self.once = self.kind in {"notify", "credit"} or (self.kind == "goaway" and not fault.picks_requests)
        """Whether it happens when its window begins, and not again."""
        self._key = blake2b(b"%d %d" % (seed, number), digest_size=16).digest()

    def start(self, now: int) -> None:
        """Its time runs from `now`."""
        self.begin = now + int(self.fault.from_ * _NS_PER_S)
        self.end = None if self.fault.until is None else now + int(self.fault.until * _NS_PER_S)
        self.begun = False

    def is_on(self, now: int) -> bool:
        """Whether its window is open."""
        return self.begin is not None and self.begin <= now and (self.end is None or now < self.end)

    def is_coming(self, now: int) -> bool:
        """Whether its window is open, or opens very soon."""
        return self.begin is not None and self.begin - LEAD <= now and (self.end is None or now < self.end)

    def moments(self) -> Iterator[int]:
        """When something changes."""
        if self.begin is not None:
            yield self.begin - LEAD
            yield self.begin
        if self.end is not None:
            yield self.end

    def is_at(self, endpoint: int) -> bool:
        """Whether it is for that endpoint."""
        return self.fault.endpoint in (None, endpoint)

    def strikes(self, operation: str, subscriber: str) -> bool:
        """Whether the next request is hit; one that does not fit is not counted."""
        if operation not in self.operations:
            return False
        if self.fault.subscribers is not None and not self._is_subscriber(subscriber):
            return False
        self.fits += 1
        share = self.fault.share
        return share >= 1.0 or self.draw(_SHARE) < share

    def chooses(self, subscriber: str) -> bool:
        """Whether it is for that subscriber, of whom its share is; no requests are counted."""
        if self.fault.subscribers is not None and not self._is_subscriber(subscriber):
            return False
        digest = blake2b(subscriber.encode(), key=self._key, digest_size=8).digest()
        return (int.from_bytes(digest, "little") >> 11) * _TO_UNIT < self.fault.share

    def draw(self, purpose: int) -> float:
        """A number in [0, 1) of the request that was counted last."""
        digest = blake2b(b"%d %d" % (self.fits, purpose), key=self._key, digest_size=8).digest()
        return (int.from_bytes(digest, "little") >> 11) * _TO_UNIT

    def _is_subscriber(self, subscriber: str) -> bool:
        if self.span is None:
            return subscriber in {self.fault.subscribers, f"imsi-{self.fault.subscribers}"}
        first, last = self.span
        digits = subscriber.removeprefix("imsi-")
        return len(digits) == len(first) and first <= digits <= last


@dataclass(slots=True)
class Fate:
    """What happens to one request."""

    delay: int = 0
    """ns until it is dealt with."""
    ending: Fault | None = None
    """What comes instead of its answer."""
    mood: Mood | None = None
    """How it is charged, if not by the book."""
    damages: tuple[Fault, ...] = ()
    """What is done to its answer."""

    @property
    def is_charged(self) -> bool:
        """Whether the charging function sees the request at all."""
        ending = self.ending
        if ending is None:
            return True
        if ending.reset_connection is not None:
            return ending.reset_connection.charged
        if ending.reset_stream is not None:
            return ending.reset_stream.charged
        return ending.lose_answer is not None or ending.goaway is not None


FAIR: Final = Fate()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """The state of an endpoint as a whole."""

    down: bool = False
    max_streams: int | None = None
    window_closed: bool = False


class Weather:
    """All faults of a sandbox. Endpoints are counted from 1, times are ns; `counts` is what happened, by kind.

    A request is counted by what happened to it, a grant, result code or final unit by rating group, `charge_repeats` by
    repeat that was charged again, credit by account, GOAWAY by connection, and what comes over endpoints by endpoint and window.
    """

    def __init__(
        self, faults: Sequence[Fault] = (), *, seed: int = 1, servers: Servers | None = None, endpoints: int = 1
    ) -> None:
        self._seed = seed
        self._numbers = 0
        self._rules: list[Rule] = []
        self._moods: dict[tuple[int, ...], Mood] = {}
        self.counts: Counter[str] = Counter()
        self.endpoints = endpoints
        self.capacities = [
            None if servers is None else Capacity(servers, seed=seed + number) for number in range(endpoints)
        ]
        """By endpoint; the first is that of endpoint 1."""
        self._append(faults)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules)

    def __len__(self) -> int:
        return len(self._rules)

    # the list

    def start(self, now: int) -> None:
        """All windows count from `now`; chance begins again."""
        for rule in self._rules:
            rule.start(now)
            rule.fits = 0

    def add(self, faults: Sequence[Fault], now: int) -> list[int]:
        """Append faults whose windows count from `now`; their numbers. OverflowError when there are too many."""
        if len(self._rules) + len(faults) > MOST_RULES:
            raise OverflowError(f"there are {len(self._rules)} faults already")
        rules = self._append(faults)
        for rule in rules:
            rule.start(now)
        return [rule.number for rule in rules]

    def remove(self, number: int | None = None) -> int:
        """Remove one fault, or all; how many were removed."""
        before = len(self._rules)
        self._rules = [rule for rule in self._rules if number is not None and rule.number != number]
        return before - len(self._rules)

    def _append(self, faults: Iterable[Fault]) -> list[Rule]:
        rules = []
        for fault in faults:
            self._numbers += 1
            rules.append(Rule(self._numbers, fault, self._seed))
        self._rules = [*self._rules, *rules]
        return rules

    # endpoints

    def conditions(self, endpoint: int, now: int) -> Conditions:
        """In what state an endpoint has to be."""
        here = [rule.fault for rule in self._rules if rule.is_on(now) and rule.is_at(endpoint)]
        return Conditions(
            down=any(fault.outage is not None for fault in here),
            max_streams=min((fault.max_streams for fault in here if fault.max_streams is not None), default=None),
            window_closed=any(fault.close_window is not None for fault in here),
        )

    def begun(self, now: int) -> list[Rule]:
        """What happens once and is due since this was last asked: GOAWAYs, storms of notifications, top-ups."""
        due = [rule for rule in self._rules if rule.once and not rule.begun and rule.is_on(now)]
        for rule in due:
            rule.begun = True
        return due

    def next_change(self, now: int) -> int | None:
        """When a window begins (or is about to) or ends next."""
        moments = (moment for rule in self._rules for moment in rule.moments())
        return min((moment for moment in moments if moment > now), default=None)

    def touches_requests(self, endpoint: int, now: int) -> bool:
        """Whether requests of that endpoint have to be decided upon, one by one, now or very soon."""
        if self.capacities[endpoint - 1] is not None:
            return True
        return any(_picks(rule) and rule.is_coming(now) and rule.is_at(endpoint) for rule in self._rules)

    # requests

    def asks_for_subscribers(self) -> bool:
        """Whether `decide` has to know who it is."""
        return any(rule.fault.subscribers is not None and _picks(rule) for rule in self._rules)

    def decide(self, operation: str, subscriber: str, endpoint: int, now: int) -> Fate:
        """What happens to a request that came in at `now`: each fault that fits has its chance."""
        struck = [
            rule
            for rule in self._rules
            if _picks(rule) and rule.is_on(now) and rule.is_at(endpoint) and rule.strikes(operation, subscriber)
        ]
        if not struck:
            return FAIR
        fate = Fate(mood=self._mood([rule for rule in struck if rule.kind in MOOD_KINDS]))
        for rule in struck:
            self._befall(fate, rule)
        return fate

    def _befall(self, fate: Fate, rule: Rule) -> None:
        kind, fault = rule.kind, rule.fault
        if fault.delay is not None:
            fate.delay += int(fault.delay.quantile(rule.draw(_DELAY)) * _NS_PER_S)
            self.counts[kind] += 1
        elif kind in _ENDINGS:
            if fate.ending is None:
                fate.ending = fault
                self.counts[kind] += 1
        elif kind in _DAMAGES:
            fate.damages = (*fate.damages, fault)

    def _mood(self, rules: list[Rule]) -> Mood | None:
        if not rules:
            return None
        numbers = tuple(rule.number for rule in rules)
        mood = self._moods.get(numbers)
        if mood is None:
            if len(self._moods) >= MOST_MOODS:
                self._moods.clear()
            mood = self._moods[numbers] = Mood([rule.fault for rule in rules], self.counts)
        return mood


def _picks(rule: Rule) -> bool:
    return not rule.once and rule.kind not in ENDPOINT_KINDS
