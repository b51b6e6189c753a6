"""Usages of a profile, ready to start sessions: what is shared is built once, what is drawn is drawn when it is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from simulator.config import Profile
from simulator.config.distributions import Distribution, Fixed
from simulator.config.profile import RatingGroup as RatingGroupConfig
from simulator.config.profile import Usage as UsageConfig
from simulator.config.triggers import Trigger
from simulator.fleet.draws import Purpose, uniform
from simulator.fleet.network_functions import NetworkFunction
from simulator.n40 import (
    ChargingSession,
    FailurePolicy,
    Flow,
    GroupSpec,
    Handling,
    OneTimeEvent,
    Operation,
    Outcome,
    RatingGroup,
    SessionContext,
    Timestamps,
    Trouble,
)
from simulator.n40.event import EventContext
from simulator.n40.flow import NEVER, NS_PER_S
from simulator.n40.messages import Bearer, PduSessionMessages, SmsMessages
from simulator.n40.triggers import GROUP_TRIGGERS, SESSION_TRIGGERS, Category, TriggerSet

SHORTEST_BURST: Final = 1_000_000
"""A burst and its pause last at least a millisecond, so that time always gets on."""

ENDLESS: Final = NEVER >> 1
FIVE_QI: Final = {"data": 9, "voice": 1}
VOICE_DNN: Final = "ims"
FEATURES: Final = {"NR": "C081", "EUTRA": "C085"}
"""Supported features of TS 32.291 6.1.8: CHFCQM, FilterRuleList, NotifyInfoResponse, ES4xx; with EUTRA also 5GIEPC_CH."""


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


class Usage:
    """One usage of a profile; `start` makes its sessions."""

    __slots__ = (
        "_contexts",
        "_groups",
        "_length",
        "_units",
        "charging",
        "completed",
        "functions",
        "index",
        "name",
        "series",
        "started",
    )

    def __init__(
        self,
        name: str,
        index: int,
        config: UsageConfig,
        functions: list[NetworkFunction],
        contexts: list[SessionContext] | list[EventContext],
    ) -> None:
        self.name = name
        self.index = index
        self.charging = str(config.charging)
        self.functions = functions
        self.started = f"sessions|started|{name}"
        self.completed = f"sessions|completed|{name}"
        self._contexts = contexts
        self._length = config.length
        self._units = config.units
        self._groups = [
            (
                GroupSpec(
                    rating_group=group.rating_group,
                    unit=str(group.unit),
                    requested=group.requested,
                    uplink_permille=round((group.uplink_share or 0.0) * 1000),
                ),
                DrawnTraffic(group, position),
                group.volume,
            )
            for position, group in enumerate(config.rating_groups)
        ]
        self.series: dict[tuple[Operation, Outcome], SeriesKeys] = {}

    def function(self, subscriber: int) -> NetworkFunction:
        """Return the network function that serves a subscriber in this usage."""
        return self.functions[subscriber % len(self.functions)]

    def start(
        self, subscriber: int, number: int, key: bytes, now: int, subscribers: int, *, residual: bool
    ) -> tuple[ChargingSession | OneTimeEvent, int]:
        """Make a session and tell when it ends (session time; NEVER: when its volumes are used).

        `residual` gives it what is left of a session that was found open, instead of a whole one.
        """
        context = self._contexts[subscriber % len(self._contexts)]
        charging_id = number & 0xFFFFFFFF
        if isinstance(context, EventContext):
            units = max(1, round(_draw(self._units, key, Purpose.UNITS))) if self._units else 1
            recipient = int(uniform(key, Purpose.RECIPIENT) * subscribers)
            return OneTimeEvent(context, subscriber, charging_id, units, recipient), NEVER
        groups = []
        for position, (spec, traffic, volume) in enumerate(self._groups):
            wanted = NEVER
            if volume is not None:
                left = residual and self._length is None
                wanted = max(1, round(_draw(volume, key, Purpose.VOLUME | position << 4, residual=left)))
            groups.append(RatingGroup(spec, Flow(traffic, key, now, wanted)))
        ends_at = NEVER
        if self._length is not None:
            ends_at = now + int(_draw(self._length, key, Purpose.LENGTH, residual=residual) * NS_PER_S)
        return ChargingSession(context, subscriber, charging_id, groups), ends_at


def draw(law: Distribution, key: bytes, purpose: int, index: int = 0) -> float:
    """Draw from a law; a fixed value costs no hash."""
    return law.value if type(law) is Fixed else law.quantile(uniform(key, purpose, index))


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
    profile: Profile, functions: dict[str, list[NetworkFunction]], timestamps: Timestamps, resource: bytes
) -> list[Usage]:
    """Make the usages of a profile, in the profile's order."""
    usages = []
    for index, (name, config) in enumerate(profile.usages.items()):
        served_by = functions[config.network_function]
        if config.charging == "SCUR":
            contexts = [
                _session_context(profile, config, index, function, timestamps, resource) for function in served_by
            ]
            usages.append(Usage(name, index, config, served_by, contexts))
        else:
            events = [_event_context(profile, config, function, timestamps, resource) for function in served_by]
            usages.append(Usage(name, index, config, served_by, events))
    return usages


def _session_context(
    profile: Profile,
    config: UsageConfig,
    index: int,
    function: NetworkFunction,
    timestamps: Timestamps,
    resource: bytes,
) -> SessionContext:
    bearer = Bearer(
        dnn=VOICE_DNN if config.service == "voice" else profile.subscribers.dnn,
        rat=function.rat,
        slice_id=profile.subscribers.slice.model_dump(exclude_none=True),
        pdu_session_id=5 + index % 10,
        five_qi=FIVE_QI[config.service],
        serving_node=function.serving_node,
    )
    messages = PduSessionMessages(
        function.identity,
        bearer,
        function.book.identity,
        imsi_digits=function.book.imsi_digits,
        notify_uri=function.notify_uri,
        supported_features=FEATURES[function.rat],
    )
    return SessionContext(
        messages=messages,
        timestamps=timestamps,
        resource=resource,
        retry_after=int(profile.backoff * NS_PER_S),
        release_when_stopped=config.final_unit == "release",
        release_when_denied=config.final_unit == "release" and config.length is None,
        failure=failure_policy(profile),
        session_triggers=trigger_set(SESSION_TRIGGERS, profile.triggers.session),
        group_triggers=trigger_set(GROUP_TRIGGERS, profile.triggers.rating_group),
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
    profile: Profile, config: UsageConfig, function: NetworkFunction, timestamps: Timestamps, resource: bytes
) -> EventContext:
    messages = SmsMessages(
        function.identity,
        function.book.identity,
        rat=function.rat,
        event_type=str(config.charging),
        service_centre=function.service_centre,
        imsi_digits=function.book.imsi_digits,
    )
    return EventContext(
        messages=messages,
        timestamps=timestamps,
        resource=resource,
        rating_group=config.rating_groups[0].rating_group,
        immediate=config.charging == "IEC",
        failure=failure_policy(profile),
    )
