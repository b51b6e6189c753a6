"""Repeats: requests that were already answered, and are answered again without charging again.

What identifies a repeat (TS 32.290 and N40 practice; `retransmissionIndicator` is only a hint and is not needed):

* Update and Release: the ChargingDataRef, the operation and the `invocationSequenceNumber`.
* Create and one-time events, which have no reference yet, and where charging twice really happens: the network function
  (`nFName`, or else its address), the subscriber, `invocationTimeStamp`, `invocationSequenceNumber`, the kind of event,
  and the consumer's own identifier: `pDUSessionChargingInformation.chargingId`, `iMSChargingInformation.userSessionID`
  or `sMSChargingInformation.messageReference`. Where a message has no such identifier (the `totogi` dialect has none),
  what it asks for and reports takes its place: it is all in which two sessions of one device can differ that begin in
  the same millisecond. Two Creates that agree in all of these *are* one Create.

Otherwise the content is not compared. A refusal for want of credit (403) is remembered like any other answer. An unknown
subscriber (404) and a bad request (400) are not: they changed nothing, and the same octets get the same answer again,
until somebody creates the account.

A session remembers its last `SESSION_ANSWERS` answers (an SMF has one request outstanding, TS 32.290 5.3.2.2, so the
last one would do if the network kept the order). A number that is not remembered and not above the last one is refused
with 400 and charges nothing. A number that skips some is taken: the requests between were given up by the SMF, which
carries their usage over into this one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from hashlib import blake2b
from typing import Final, Generic, Protocol, TypeVar

import msgspec

from simulator.sandbox.answers import Answer
from simulator.sandbox.messages import Create

SESSION_ANSWERS: Final = 4
MAX_AGE: Final = 60 * 1_000_000_000
"""How long (ns, by the sandbox's clock) Creates, events and ended sessions are remembered at most."""
MAX_COUNT: Final = 200_000
"""How many of them, each; the oldest are forgotten first."""


FORGOTTEN_A_TURN: Final = 1000


class Kept(Protocol):
    """Something that knows when it was put into a memory (ns)."""

    at: int


K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Kept)


class Memory(Generic[K, V]):
    """A map that forgets by age and by count, a little with every entry, so that no request pays for many."""

    __slots__ = ("_entries", "_max_age", "_max_count")

    def __init__(self, max_age: int = MAX_AGE, max_count: int = MAX_COUNT) -> None:
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._max_age = max_age
        self._max_count = max_count

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """What is remembered under that key."""
        return self._entries.get(key)

    def put(self, key: K, value: V, now: int) -> None:
        """Remembers; forgets the oldest entry if it is too old or one too many, two at most, to catch up."""
        entries = self._entries
        value.at = now
        entries[key] = value
        for _ in range(2):
            oldest = next(iter(entries.values()))
            if len(entries) <= self._max_count and now - oldest.at <= self._max_age:
                return
            entries.popitem(last=False)

    def forget(self, now: int) -> None:
        """Forgets what is too old, a bounded number at a time."""
        entries = self._entries
        for _ in range(FORGOTTEN_A_TURN):
            if not entries or now - next(iter(entries.values())).at <= self._max_age:
                return
            entries.popitem(last=False)


CreateIdentity = tuple[str, str, str, int, str, int | str | bytes]


def create_identity(request: Create, charging_id: int | str) -> CreateIdentity:
    """What two Creates or one-time events have in common if one is a repeat of the other."""
    return (
        request.network_function(),
        request.subscriber,
        request.stamp,
        request.sequence,
        (request.event_kind or "event") if request.is_event else "",
        _content(request) if charging_id == "" else charging_id,
    )


def _content(request: Create) -> bytes:
    """A digest of what is asked for and reported; unlike the octets of a message, a repeat has the same one."""
    return blake2b(msgspec.json.encode(request.usages), digest_size=16).digest()


class AnswerHistory:
    """The last answers of one charging session, the newest last."""

    __slots__ = ("_answers", "at")

    def __init__(self) -> None:
        self._answers: tuple[Answer, ...] = ()
        self.at = 0

    def find(self, operation: str, sequence: int) -> Answer | None:
        """The answer to that operation and number, if it is still known."""
        for answer in self._answers:
            if answer.sequence == sequence and answer.operation == operation:
                return answer
        return None

    def add(self, answer: Answer) -> None:
        """Remembers one more answer, at the expense of the oldest."""
        self._answers = (*self._answers[1 - SESSION_ANSWERS :], answer)
