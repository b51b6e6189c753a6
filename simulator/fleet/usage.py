"""Usages of a profile, ready to start sessions: what is shared is built once, what is drawn is drawn when it is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from simulator.config import Profile
from simulator.config.distributions import Distribution, Fixed
from simulator.config.profile import PDU_SESSION_KINDS
from simulator.config.profile import RatingGroup as RatingGroupConfig
from simulator.config.profile import Usage as UsageConfig
from simulator.config.triggers import Trigger
from simulator.fleet.changes import ChangeSource
from simulator.fleet.draws import Purpose, draw, uniform
from simulator.fleet.network_functions import NetworkFunction
from simulator.fleet.services import collection, wording
from simulator.n40 import (
    ChargingSession,
    EventMessages,
    FailurePolicy,
    Flow,
    GroupSpec,
    Handling,
    OneTimeEvent,
    Operation,
    Outcome,
    RatingGroup,
    SessionContext,
    SessionMessages,
    Timestamps,
    Trouble,
)
from simulator.n40.event import EventContext
from simulator.n40.flow import NEVER, NS_PER_S
from simulator.n40.triggers import GROUP_TRIGGERS, SESSION_TRIGGERS, Category, TriggerSet

SHORTEST_BURST: Final = 1_000_000
"""A burst and its pause last at least a millisecond, so that time always gets on."""

ENDLESS: Final = NEVER >> 1


class DrawnTraffic:
    """Bursts of one rating group, drawn from the laws of the profile. Rates are thousandths of a unit per second."""

    __slots__ = ("_burst", "_pause", "_purpose", "_start", "_throughput")

    def __init__(self, group: RatingGroupConfig, position: int) -> None:
        self._throughput = None if group.unit == "time" else group.throughput
        self._burst = group.burst
        self._pause = group.pause
        self._start = group.start
        self._purpose = position << 4  # rating groups of one session draw from different hashes

    def burst(self, key: bytes, index: int) -> tuple[int, int, int]:
        """Return (active ns, thousandths of a unit per second, pause ns)."""
        purpose = self._purpose
        rate = 1000
        if self._throughput is not None:
            rate = max(1, int(1000 * draw(self._throughput, key, Purpose.THROUGHPUT | purpose, index)))
        if self._burst is None:
            return ENDLESS, rate, 0
        active = draw(self._burst, key, Purpose.BURST | purpose, index)
        pause = 0.0 if self._pause is None else draw(self._pause, key, Purpose.PAUSE | purpose, index)
        return max(SHORTEST_BURST, int(active * NS_PER_S)), rate, int(pause * NS_PER_S)

    def first_pause(self, key: bytes) -> int:
        """Return ns of silence before the first burst."""
        return int(draw(self._start, key, Purpose.START | self._purpose) * NS_PER_S)


@dataclass(frozen=True, slots=True)
class SeriesKeys:
    """Where the requests of one operation and outcome are counted."""

    requests: str
    queue: list[int]
    service: list[int]
    response: list[int]


class DrawnDelivery:
    """The traffic of an ECUR: so many messages, the last of which is delivered when the drawn time is over."""

    __slots__ = ("_delivery", "_units")

    def __init__(self, units: Distribution, delivery: Distribution) -> None:
        self._units = units
        self._delivery = delivery

    def units(self, key: bytes) -> int:
        """Return how many messages are sent."""
        return max(1, round(draw(self._units, key, Purpose.UNITS)))

    def burst(self, key: bytes, index: int) -> tuple[int, int, int]:  # noqa: ARG002
        """Return one burst, as fast as delivery takes; the number of messages ends it."""
        duration = max(SHORTEST_BURST, int(draw(self._delivery, key, Purpose.DELIVERY) * NS_PER_S))
        return ENDLESS, max(1, self.units(key) * 1000 * NS_PER_S // duration), 0

    def first_pause(self, key: bytes) -> int:  # noqa: ARG002
        """Return 0: delivery begins at once."""
        return 0


class Usage:
    """One usage of a profile; `start` makes its sessions.

    A device has `slots` places for sessions of this usage, which are the places from `first_slot` on of all that it has.
    """

    __slots__ = (
        "_contexts",
        "_delivery",
        "_groups",
        "_length",
        "_units",
        "all_slots",
        "changes",
        "charging",
        "completed",
        "first_slot",
        "functions",
        "index",
        "is_session",
        "name",
        "series",
        "slots",
        "started",
    )

    def __init__(
        self,
        name: str,
        index: int,
        config: UsageConfig,
        functions: list[NetworkFunction],
        contexts: Sequence[Sequence[SessionContext | EventContext]],
        first_slot: int,
    ) -> None:
        self.name = name
        self.index = index
        self.charging = str(config.charging)
        self.is_session = self.charging in ("SCUR", "ECUR")
        self.functions = functions
        self.slots = config.sessions
        self.first_slot = first_slot
        self.all_slots = 0  # of one device, for all its usages; known when they are all built
        self.started = f"sessions|started|{name}"
        self.completed = f"sessions|completed|{name}"
        self.changes = ChangeSource(config.changes, functions[0].rat) if config.changes else None
        self._contexts = contexts  # by network function and place
        self._length = config.length
        self._units: Distribution = config.units or Fixed(1)
        self._delivery = None if config.delivery is None else DrawnDelivery(self._units, config.delivery)
        self._groups = [
            (_spec(group), DrawnTraffic(group, position), group) for position, group in enumerate(config.rating_groups)
        ]
        self.series: dict[tuple[Operation, Outcome], SeriesKeys] = {}

    def function(self, subscriber: int) -> NetworkFunction:
        """Return the network function that serves a subscriber in this usage."""
        return self.functions[subscriber % len(self.functions)]

    def context(self, subscriber: int, place: int) -> SessionContext | EventContext:
        """Return what the session of a subscriber in that place shares with others."""
        return self._contexts[subscriber % len(self._contexts)][place]

    def start(
        self, subscriber: int, number: int, key: bytes, now: int, subscribers: int, place: int, *, residual: bool
    ) -> tuple[ChargingSession | OneTimeEvent, int]:
        """Make a session and tell when it ends (session time; NEVER: when its volumes are used).

        `place` is the free one among the usage's slots. `residual` gives it what is left of a session that was found open,
        instead of a whole one.
        """
        context = self.context(subscriber, place)
        charging_id = number & 0xFFFFFFFF
        if isinstance(context, EventContext):
            units = max(1, round(draw(self._units, key, Purpose.UNITS)))
            recipient = int(uniform(key, Purpose.RECIPIENT) * subscribers)
            return OneTimeEvent(context, subscriber, charging_id, units, recipient), NEVER
        if self._delivery is not None:
            group = self._message_group(self._delivery, key, now)
            return ChargingSession(context, subscriber, charging_id, [group]), NEVER
        groups = [self._session_group(position, key, now, residual=residual) for position in range(len(self._groups))]
        ends_at = NEVER
        if self._length is not None:
            ends_at = now + int(_draw(self._length, key, Purpose.LENGTH, residual=residual) * NS_PER_S)
        return ChargingSession(context, subscriber, charging_id, groups), ends_at

    def _session_group(self, position: int, key: bytes, now: int, *, residual: bool) -> RatingGroup:
        spec, traffic, config = self._groups[position]
        wanted = until = NEVER
        if config.volume is not None:
            left = residual and self._length is None
            wanted = max(1, round(_draw(config.volume, key, Purpose.VOLUME | position << 4, residual=left)))
        if config.length is not None:
            length = draw(config.length, key, Purpose.GROUP_LENGTH | position << 4)
            until = now + traffic.first_pause(key) + int(length * NS_PER_S)
        return RatingGroup(spec, Flow(traffic, key, now, wanted, until))

    def _message_group(self, delivery: DrawnDelivery, key: bytes, now: int) -> RatingGroup:
        """The messages of one ECUR: as many are asked for as will be sent."""
        units = delivery.units(key)
        config = self._groups[0][2]
        spec = GroupSpec(rating_group=config.rating_group, unit="serviceSpecificUnits", requested=units)
        return RatingGroup(spec, Flow(delivery, key, now, units))


def _spec(group: RatingGroupConfig) -> GroupSpec:
    return GroupSpec(
        rating_group=group.rating_group,
        unit=str(group.unit),
        requested=group.requested,
        uplink_permille=round((group.uplink_share or 0.0) * 1000),
        five_qi=group.five_qi or 0,
    )


def _draw(law: Distribution, key: bytes, purpose: int, *, residual: bool = False) -> float:
    return law.equilibrium_quantile(uniform(key, purpose)) if residual else draw(law, key, purpose)


def mean_life_s(config: UsageConfig) -> float:
    """Return how long a session of this usage lives on average, in seconds of session time; 0 for an event."""
    if config.charging != "SCUR":
        return 0.0
    if config.length is not None:
        return config.length.mean()
    lives = [0.0]
    for group in config.rating_groups:
        if group.volume is None:
            continue
        rate = 1.0 if group.throughput is None else group.throughput.mean()
        burst = group.burst.mean() if group.burst is not None else 1.0
        pause = group.pause.mean() if group.burst is not None and group.pause is not None else 0.0
        lives.append(group.volume.mean() / max(rate, 1e-9) * (burst + pause) / burst)
    return max(lives)


def build_usages(
    profile: Profile, functions: dict[str, list[NetworkFunction]], timestamps: Timestamps, root: bytes
) -> list[Usage]:
    """Make the usages of a profile, in the profile's order; `root` is the path of the API root.

    Every session that a device may have open at a time has a place of its own, and PDU sessions a PDU session id.
    """
    usages: list[Usage] = []
    resource = root + collection(profile)
    first_slot = pdu_sessions = 0
    for index, (name, config) in enumerate(profile.usages.items()):
        served_by = functions[config.network_function]
        make = _session_context if config.charging in ("SCUR", "ECUR") else _event_context
        contexts = [
            [
                make(profile, config, function, timestamps, resource, pdu_sessions + each + 1)
                for each in range(config.sessions)
            ]
            for function in served_by
        ]
        usages.append(Usage(name, index, config, served_by, contexts, first_slot))
        first_slot += config.sessions
        if served_by[0].kind in PDU_SESSION_KINDS:
            pdu_sessions += config.sessions
    for usage in usages:
        usage.all_slots = first_slot
    return usages


def _session_context(
    profile: Profile,
    config: UsageConfig,
    function: NetworkFunction,
    timestamps: Timestamps,
    resource: bytes,
    pdu_session_id: int,
) -> SessionContext:
    return SessionContext(
        messages=SessionMessages(wording(profile, config, function, pdu_session_id)),
        timestamps=timestamps,
        resource=resource,
        retry_after=int(profile.backoff * NS_PER_S),
        release_when_stopped=config.final_unit == "release",
        release_when_denied=config.final_unit == "release" and config.length is None,
        failure=failure_policy(profile),
        session_triggers=trigger_set(SESSION_TRIGGERS, profile.triggers.session),
        group_triggers=trigger_set(GROUP_TRIGGERS, profile.triggers.rating_group),
        first_sequence=profile.dialect.first_sequence,
        counts_containers=profile.dialect.local_sequence == "counting",
        create_without_units=config.create_without_units,
    )


def failure_policy(profile: Profile) -> FailurePolicy:
    """What a profile says about trouble, as sessions look it up."""
    failure = profile.failure
    by_operation = {
        Operation.CREATE: failure.create, Operation.UPDATE: failure.update, Operation.RELEASE: failure.release,
        Operation.EVENT: failure.event,
    }  # fmt: skip
    table = {
        (operation, trouble): Handling(word)
        for operation, by_trouble in by_operation.items()
        for trouble in Trouble
        if (word := getattr(by_trouble, trouble.value)) is not None
    }
    recreate = failure.recreate_after
    return FailurePolicy(
        handling=Handling(failure.handling),
        table=table,
        failover=failure.session_failover,
        retry_every=int(failure.retry_every * NS_PER_S),
        recreate_after=NEVER if recreate is None else int(recreate * NS_PER_S),
    )


def trigger_set(defaults: TriggerSet, rules: Mapping[str, Trigger]) -> TriggerSet:
    """The triggers that a profile overrides; the defaults themselves, which all sessions share, where it overrides none."""
    if not rules:
        return defaults
    return defaults.overridden(
        {name: (Category[rule.category.upper()], int(rule.limit or 0)) for name, rule in rules.items()}
    )


def _event_context(
    profile: Profile,
    config: UsageConfig,
    function: NetworkFunction,
    timestamps: Timestamps,
    resource: bytes,
    pdu_session_id: int,
) -> EventContext:
    return EventContext(
        messages=EventMessages(wording(profile, config, function, pdu_session_id)),
        timestamps=timestamps,
        resource=resource,
        rating_group=config.rating_groups[0].rating_group,
        immediate=config.charging == "IEC",
        failure=failure_policy(profile),
        first_sequence=profile.dialect.first_sequence,
    )
