"""Stages of a load, one after the other: constant, ramp, steps, spike, pause, burst, a day, given moments; and of devices.

    stages:
      - {rate: 450/s, for: 30s}
      - {ramp_to: 900/s, for: 1m}
      - {burst: 3000, for: 2s}

Each begins where the one before ended. A spike, a pause, a burst and a replay are episodes: what comes after them goes on from
the rate before them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    WithJsonSchema,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from simulator.config.curve import Lane, Piece
from simulator.config.errors import Wrong, located, problem, shown
from simulator.config.model import Model
from simulator.config.plan import TimeOfDay
from simulator.config.quantities import Count, Rate, SomeCount, SomeDuration, SomeRate

MOST_STAGES = 1_000
MOST_STEPS = 1_000
MOST_DAYS = 400
MOST_TIMES = 500_000
"""Moments of one replay."""
HOURS = 24


class _Stage(Model):
    """What all stages have."""

    episode: ClassVar[bool] = False
    """Whether what follows goes on from the level before it."""
    given: ClassVar[bool] = False
    """Whether its arrivals keep their own moments, whatever the spacing."""
    halted: ClassVar[bool] = False
    """Whether no device begins a session."""
    name: Annotated[str, Field(max_length=64)] = ""
    """For people."""

    def pieces(self, level: float) -> Lane:
        """Its curve, where the stage before left off at that level."""
        raise NotImplementedError

    def words(self) -> str:
        """What it is called where it has no name."""
        raise NotImplementedError

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Only what is there, under the names of the document."""
        names = {"for_": "for", "from_": "from"}
        return {names.get(name, name): value for name, value in handler(self).items() if value is not None}


class Constant(_Stage):
    """So many sessions (and events) start per second."""

    rate: Rate
    for_: SomeDuration = Field(alias="for")

    def pieces(self, level: float) -> Lane:  # noqa: ARG002, D102
        return (Piece(self.for_, self.rate, self.rate),)

    def words(self) -> str:  # noqa: D102
        return f"{self.rate:g}/s"


class Ramp(_Stage):
    """The rate goes straight to another one."""

    of: SkipJsonSchema[Literal["rate"]] = Field("rate", exclude=True)
    ramp_to: Rate
    from_: Rate | None = Field(None, alias="from")
    """null: from where the stage before left off."""
    for_: SomeDuration = Field(alias="for")

    def pieces(self, level: float) -> Lane:  # noqa: D102
        return (Piece(self.for_, level if self.from_ is None else self.from_, self.ramp_to),)

    def words(self) -> str:  # noqa: D102
        return f"ramp to {self.ramp_to:g}/s"


class Steps(_Stage):
    """The rate goes to another one in equal steps, each of which is held for a while."""

    steps_to: Rate
    by: SomeRate
    each: SomeDuration
    """How long a step is held."""
    from_: Rate | None = Field(None, alias="from")
    """null: from where the stage before left off. The first step is one further."""

    def levels(self, level: float) -> list[float]:
        """The rates that it holds."""
        first = level if self.from_ is None else self.from_
        way = self.steps_to - first
        steps = max(1, math.ceil(abs(way) / self.by - 1e-9))
        if steps > MOST_STEPS:
            return []
        return [first + math.copysign(self.by * step, way) for step in range(1, steps)] + [self.steps_to]

    def pieces(self, level: float) -> Lane:  # noqa: D102
        return tuple(Piece(self.each, rate, rate) for rate in self.levels(level))

    def words(self) -> str:  # noqa: D102
        return f"steps to {self.steps_to:g}/s"


class Spike(_Stage):
    """Another rate for a while."""

    episode: ClassVar[bool] = True
    spike: Rate
    for_: SomeDuration = Field(alias="for")

    def pieces(self, level: float) -> Lane:  # noqa: ARG002, D102
        return (Piece(self.for_, self.spike, self.spike),)

    def words(self) -> str:  # noqa: D102
        return f"spike of {self.spike:g}/s"


class Pause(_Stage):
    """Nothing starts; what is open goes on."""

    episode: ClassVar[bool] = True
    halted: ClassVar[bool] = True
    pause: SomeDuration

    def pieces(self, level: float) -> Lane:  # noqa: D102
        return (Piece(self.pause, level, level),)

    def words(self) -> str:  # noqa: D102
        return "pause"


class Burst(_Stage):
    """So many starts, evenly within a time; the first of them at its beginning."""

    episode: ClassVar[bool] = True
    given: ClassVar[bool] = True
    burst: SomeCount
    for_: SomeDuration = Field(alias="for")

    def pieces(self, level: float) -> Lane:  # noqa: ARG002, D102
        rate = self.burst / self.for_
        return (Piece(self.for_, rate, rate),)

    def words(self) -> str:  # noqa: D102
        return f"burst of {self.burst:,}"


class Daily(_Stage):
    """The rates of 24 hours, from 00:00 on, with straight lines between them, again every day."""

    daily: Annotated[list[Rate], Field(min_length=1, max_length=HOURS)]
    starts_at: TimeOfDay = "00:00"
    """The time of day at which the stage begins."""
    day_takes: SomeDuration = 86_400.0
    """So long does a day last here."""
    for_: SomeDuration = Field(alias="for", default_factory=lambda data: data["day_takes"])
    """A day by default."""

    @field_validator("daily", mode="after")
    @classmethod
    def _every_hour(cls, rates: list[float]) -> list[float]:
        if len(rates) != HOURS:
            raise problem(f"expected the rates of {HOURS} hours, got {len(rates)}")
        return rates

    @model_validator(mode="after")
    def _not_for_ever(self) -> Self:
        if self.for_ > MOST_DAYS * self.day_takes:
            raise located([(("for",), f"expected at most {MOST_DAYS} days")])
        return self

    def pieces(self, level: float) -> Lane:  # noqa: ARG002, D102
        return tuple(self._hours())

    def _hours(self) -> Iterator[Piece]:
        hour_s = self.day_takes / HOURS
        clock = int(self.starts_at[:2]) + int(self.starts_at[3:]) / 60  # in hours, on and on
        end = clock + self.for_ / hour_s
        while end - clock > 1e-9:
            until = min(math.floor(clock) + 1.0, end)
            yield Piece((until - clock) * hour_s, self._rate(clock), self._rate(until))
            clock = until

    def _rate(self, clock: float) -> float:
        hour = math.floor(clock)
        before, after = self.daily[hour % HOURS], self.daily[(hour + 1) % HOURS]
        return before + (after - before) * (clock - hour)

    def words(self) -> str:  # noqa: D102
        return "day"


def _times(given: object) -> object:
    if isinstance(given, str):
        raise problem(
            f"expected moments in seconds; the file {shown(given)} is read where the profile comes from a file"
        )
    if isinstance(given, list) and len(given) > MOST_TIMES:
        raise problem(f"expected at most {MOST_TIMES:,} moments, got {len(given):,}")
    return given


class Replay(_Stage):
    """Starts at given moments: a CSV file whose first column is seconds after the stage's beginning, in ascending order."""

    episode: ClassVar[bool] = True
    given: ClassVar[bool] = True
    replay: Annotated[
        tuple[Annotated[float, Field(ge=0, le=10**9)], ...],
        BeforeValidator(_times),
        WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "number", "minimum": 0}}]}),
    ]
    """A file beside the profile, which is read with it; or the moments themselves."""
    for_: SomeDuration = Field(
        alias="for", default_factory=lambda data: math.floor(data["replay"][-1]) + 1.0 if data.get("replay") else 1.0
    )
    """By default to the end of the second in which the last one falls; what lies beyond is left out."""

    @field_validator("replay", mode="after")
    @classmethod
    def _ascending(cls, times: tuple[float, ...]) -> tuple[float, ...]:
        if not times:
            raise problem("expected at least one moment")
        wrong = next((i for i in range(1, len(times)) if times[i] < times[i - 1]), 0)
        if wrong:
            raise located([((wrong,), f"expected no moment before {times[wrong - 1]:g} s, got {times[wrong]:g} s")])
        return times

    def pieces(self, level: float) -> Lane:  # noqa: ARG002, D102
        return (Piece(self.for_, times=tuple(each for each in self.replay if each < self.for_)),)

    def words(self) -> str:  # noqa: D102
        return f"replay of {len(self.replay):,}"


class Devices(_Stage):
    """So many devices are there."""

    devices: Count
    for_: SomeDuration = Field(alias="for")

    def pieces(self, level: float) -> Lane:  # noqa: ARG002, D102
        return (Piece(self.for_, float(self.devices), float(self.devices)),)

    def words(self) -> str:  # noqa: D102
        return f"{self.devices:,} devices"


class DeviceRamp(_Stage):
    """Devices attach, or detach, until so many are there."""

    of: SkipJsonSchema[Literal["devices"]] = Field("devices", exclude=True)
    ramp_to: Count
    from_: Count | None = Field(None, alias="from")
    """null: from where the stage before left off."""
    for_: SomeDuration = Field(alias="for")

    def pieces(self, level: float) -> Lane:  # noqa: D102
        return (Piece(self.for_, level if self.from_ is None else float(self.from_), float(self.ramp_to)),)

    def words(self) -> str:  # noqa: D102
        return f"ramp to {self.ramp_to:,} devices"


KINDS: dict[str, tuple[str, ...]] = {
    "open": ("rate", "ramp_to", "steps_to", "spike", "pause", "burst", "daily", "replay"),
    "closed": ("devices", "ramp_to", "pause"),
}
"""What a stage may be, by the load's mode: each is known by this key."""


def known_kinds(given: Any, mode: str) -> Any:
    """Before the stages are checked: what kind each of them is, by the mode."""
    if not isinstance(given, list):
        return given
    kinds = KINDS[mode]
    wrong: list[Wrong] = [
        ((i,), f"expected a stage with one of {', '.join(kinds)} (the mode is {mode})")
        for i, stage in enumerate(given)
        if isinstance(stage, dict) and not any(kind in stage for kind in kinds)
    ]
    wrong += [
        ((i, "of"), 'unknown key "of"') for i, stage in enumerate(given) if isinstance(stage, dict) and "of" in stage
    ]
    if wrong:
        raise located(wrong)
    of = "devices" if mode == "closed" else "rate"
    return [stage | {"of": of} if isinstance(stage, dict) and "ramp_to" in stage else stage for stage in given]


def _kind(given: Any) -> str:
    """The tag of the alternative, in the braces that keep it out of error messages."""
    names = given if isinstance(given, dict) else getattr(type(given), "model_fields", ())
    kind = next((each for kinds in KINDS.values() for each in kinds if each in names), "rate")
    of = given.get("of") if isinstance(given, dict) else getattr(given, "of", None)
    return "{ramp of devices}" if kind == "ramp_to" and of == "devices" else f"{{{kind}}}"


Stage = Annotated[
    Annotated[Constant, Tag("{rate}")]
    | Annotated[Ramp, Tag("{ramp_to}")]
    | Annotated[Steps, Tag("{steps_to}")]
    | Annotated[Spike, Tag("{spike}")]
    | Annotated[Pause, Tag("{pause}")]
    | Annotated[Burst, Tag("{burst}")]
    | Annotated[Daily, Tag("{daily}")]
    | Annotated[Replay, Tag("{replay}")]
    | Annotated[Devices, Tag("{devices}")]
    | Annotated[DeviceRamp, Tag("{ramp of devices}")],
    Discriminator(_kind),
]
Stages = Annotated[list[Stage], Field(min_length=1, max_length=MOST_STAGES)]


def too_many_steps(stages: list[Stage]) -> Iterator[int]:
    """Positions of stages whose steps are more than can be."""
    for i, (stage, pieces) in enumerate(zip(stages, curves(stages), strict=True)):
        if isinstance(stage, Steps) and not pieces:
            yield i


def curves(stages: list[Stage]) -> list[Lane]:
    """The curve of each stage, as they follow one another; of devices as well as of rates."""
    found: list[Lane] = []
    level = 0.0
    for stage in stages:
        pieces = stage.pieces(level)
        found.append(pieces)
        if pieces and not stage.episode:
            level = pieces[-1].last
    return found
