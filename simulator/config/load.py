"""How much of it: when sessions start, in which mode, for how long."""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from simulator.config import curve
from simulator.config.curve import Lane, Piece, parts
from simulator.config.distributions import Distribution, Fixed
from simulator.config.drawn import Drawn
from simulator.config.errors import Wrong, located, problem
from simulator.config.model import Model
from simulator.config.quantities import DURATION, Count, Duration, Number, Rate, SomeCount, SomeDuration
from simulator.config.stages import MOST_STEPS, Constant, Pause, Stage, Stages, curves, known_kinds, too_many_steps

MOST_STREAMS = 100
MOST_PER_S = 10_000_000
"""No fleet offers that; an engine that has to count what it cannot start would do nothing else."""
DEFAULT_S = 30.0
MANY_STEPS = f"has more than {MOST_STEPS:,} steps"
CLOSED = {"devices", "think_time", "equilibrium"}

Spacing = Literal["poisson", "constant"]
Durations = Annotated[Distribution, Drawn(DURATION)]


class Stream(Model):
    """Sessions of some usages, with a curve of their own."""

    usage: str | None = None
    """One usage, or else a mix."""
    mix: Annotated[dict[str, Number], Field(min_length=1)] | None = None
    """Weights, by usage."""
    rate: Rate | None = None
    """All the time; or else stages."""
    stages: Stages | None = None
    spacing: Spacing | None = None
    """null: as the load says."""

    @field_validator("stages", mode="before")
    @classmethod
    def _kinds(cls, stages: Any) -> Any:
        return known_kinds(stages, "open")

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.usage is None) == (self.mix is None):
            raise problem("expected either a usage or a mix")
        if (self.rate is None) == (self.stages is None):
            raise problem("expected either a rate or stages")
        if self.mix is not None and sum(self.mix.values()) <= 0:
            raise located([(("mix",), "expected weights that add up to more than 0")])
        wrong = [(("stages", i), MANY_STEPS) for i in too_many_steps(self.stages or [])]
        if wrong:
            raise located(wrong)
        return self

    def weights(self) -> dict[str, float]:
        """Weights, by usage."""
        return self.mix or {str(self.usage): 1.0}


class Load(Model):
    """How sessions start. Rates are wall time; pace does not change them."""

    mode: Literal["open", "closed"] = "open"
    """open: at a rate, whatever the CHF does; closed: each device starts its next session after a think time."""
    stages: Stages | None = None
    """Rates that change (open mode), or numbers of devices (closed mode), instead of rate or devices, and duration."""
    streams: Annotated[list[Stream], Field(min_length=1, max_length=MOST_STREAMS)] | None = Field(
        None, validate_default=True
    )
    """Usages that come by curves of their own, instead of rate or stages; open mode only. The mix is then that of `start_open`
    alone."""
    rate: Rate | None = Field(None, validate_default=True)
    """Session (and event) starts per second; open mode only."""
    spacing: Spacing = "poisson"
    devices: SomeCount | None = Field(None, validate_default=True)
    """Closed mode only."""
    think_time: Durations | None = Field(None, validate_default=True)
    """Session time between two sessions of a device; closed mode only, 0 by default."""
    equilibrium: bool = Field(False, validate_default=True)
    """Devices of the start are found in the midst of life, in a session or between two; closed mode only."""
    max_in_flight: SomeCount = 50_000
    """Open sessions at most; arrivals beyond are counted drops."""
    start_open: Count = 0
    """Sessions that are found open at the start, with what is left of their length; set up at 2,000 a second."""
    duration: SomeDuration = Field(
        default_factory=lambda data: _length_of(data["stages"], data["streams"]) or DEFAULT_S
    )
    """Seconds of wall time after which no session starts any more: 30 s, or as long as the stages are, which it can cut short."""
    warmup: Duration = 0.0
    """Seconds at the beginning that are a phase of their own: rates and latencies leave it out, counts do not."""
    cooldown: Duration = 0.0
    """Seconds at the end of the load that are a phase of their own."""
    sessions: SomeCount | None = None
    """Sessions (and events) to start in all; the run ends after them if they come before `duration`."""

    @field_validator("stages", mode="before")
    @classmethod
    def _kinds(cls, stages: Any, info: ValidationInfo) -> Any:
        return known_kinds(stages, info.data.get("mode", "open"))

    @field_validator("duration", mode="before")
    @classmethod
    def _as_long_as_the_stages(cls, duration: Any, info: ValidationInfo) -> Any:
        """Null is as good as nothing, so that a profile's duration can be taken back on the command line."""
        if duration is None and {"stages", "streams"} <= info.data.keys():
            return _length_of(info.data["stages"], info.data["streams"]) or DEFAULT_S
        return duration

    @field_validator("stages", mode="after")
    @classmethod
    def _few_steps(cls, stages: list[Stage] | None) -> list[Stage] | None:
        wrong = [((i,), MANY_STEPS) for i in too_many_steps(stages or [])]
        if wrong:
            raise located(wrong)
        return stages

    @field_validator("streams", "rate", "devices", "think_time", "equilibrium", mode="after")
    @classmethod
    def _belongs_to_the_mode(cls, value: Any, info: ValidationInfo) -> Any:
        mode, name = info.data.get("mode"), str(info.field_name)
        needed = "closed" if name in CLOSED else "open"
        if mode is not None and mode != needed and value:
            raise problem(f"belongs to the {needed} mode, and mode is {mode}")
        checked = {"stages"} if name == "streams" else {"stages", "streams"}
        if mode != needed or not checked <= info.data.keys():
            return value
        others = [each for each in ("stages", "streams") if each != name and info.data.get(each)]
        if name in ("streams", "rate", "devices") and value is not None and others:
            raise problem(f"does not go with {others[0]}: give one of them")
        if name in ("rate", "devices") and value is None and not others:
            raise problem(f"is missing: mode is {mode}")
        return Fixed(0.0) if name == "think_time" and value is None else value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        wrong: list[Wrong] = []
        length = _length_of(self.stages, self.streams)
        endless = any(stream.stages is None for stream in self.streams or ())
        if length is not None and self.duration > length and not endless:
            wrong.append((("duration",), f"expected at most the {length:g} s of the stages"))
        if self.mode == "open" and not self.most_per_s and not self.start_open:
            name = "streams" if self.streams else "stages" if self.stages else "rate"
            wrong.append(((name,), "expected a rate of more than 0, or sessions that are open at the start"))
        if self.mode == "open" and self.most_per_s > MOST_PER_S:
            name = "streams" if self.streams else "stages" if self.stages else "rate"
            wrong.append(((name,), f"expected at most {MOST_PER_S:,} a second, got {self.most_per_s:,.0f}"))
        if self.start_open > self.max_in_flight:
            wrong.append((("start_open",), f"more than max_in_flight, {self.max_in_flight}"))
        if self.warmup >= self.duration:
            text = f"expected less than the duration of {self.duration:g} s; for a short run, --set load.warmup=0s"
            wrong.append((("warmup",), text))
        elif self.warmup + self.cooldown >= self.duration:
            text = f"expected less than the duration of {self.duration:g} s without the warmup; --set load.cooldown=0s"
            wrong.append((("cooldown",), text))
        if self.mode == "closed" and not self.most_devices:
            wrong.append((("stages",), "expected at least one device"))
        if self.most_devices > self.max_in_flight:
            place = "devices" if self.devices else "stages"
            wrong.append(((place,), f"more than max_in_flight, {self.max_in_flight}"))
        if self.equilibrium and self.start_open:
            wrong.append((("start_open",), "equilibrium: true finds sessions open by itself"))
        if wrong:
            raise located(wrong)
        return self

    # -- what follows from it -----------------------------------------------------------------------------------------

    @property
    def planned_s(self) -> float:
        """How long load is offered, where nobody interferes."""
        return self.duration

    @property
    def most_devices(self) -> int:
        """Devices of the closed mode that are there at one time, at most; 0 in the open mode."""
        if self.mode == "open":
            return 0
        if self.devices is not None:
            return self.devices
        pieces = parts(_joined(curves(self.stages or [])), 0.0, self.duration)
        return int(max(max(piece.first, piece.last) for piece in pieces))

    @property
    def most_per_s(self) -> float:
        """The highest rate of the open mode."""
        return max(
            (sum(max(map(_highest, lane), default=0.0) for lane in stage.lanes) for stage in self.timeline), default=0.0
        )

    @property
    def mean_per_s(self) -> float:
        """Starts per second of the open mode, over its whole duration."""
        return sum(_area(piece) for stage in self.timeline for lane in stage.lanes for piece in lane) / self.duration

    @cached_property
    def lanes(self) -> list[tuple[int, str]]:
        """The processes of arrivals: each with the position of its stream, and its spacing (`given`: of its own)."""
        return [(stream, spacing) for stream, spacing, _ in self._lanes]

    @cached_property
    def _lanes(self) -> list[tuple[int, str, Lane]]:
        found: list[tuple[int, str, Lane]] = []
        for number, (stages, spacing) in enumerate(self._streams):
            drawn, given = _split(stages)
            if any(_area(piece) for piece in drawn) or not any(_area(piece) for piece in given):
                found.append((number, spacing, drawn))
            if any(_area(piece) for piece in given):
                found.append((number, "given", given))
        return found

    @property
    def _streams(self) -> list[tuple[list[Stage], str]]:
        """The stages and the spacing of each stream."""
        if self.mode == "closed":
            return []
        if self.streams is None:
            return [(self.stages or _constant(self.rate, self.duration), self.spacing)]
        return [
            (stream.stages or _constant(stream.rate, self.duration), stream.spacing or self.spacing)
            for stream in self.streams
        ]

    @cached_property
    def timeline(self) -> tuple[curve.Stage, ...]:
        """The stages as they follow one another. Streams change at moments of their own: each of these begins another stage."""
        if self.mode == "closed":
            return self._device_stages()
        cuts = {0.0: "", self.duration: ""}
        for number, (stages, _) in enumerate(self._streams):
            at = 0.0
            for stage, pieces in zip(stages, curves(stages), strict=True):
                words = stage.name or stage.words()
                if self.streams is not None:
                    words = f"{' + '.join(self.streams[number].weights())}: {words}"
                if at < self.duration:
                    cuts[at] = f"{cuts[at]}, {words}" if cuts.get(at) else words
                at += sum(piece.seconds for piece in pieces)
        moments = sorted(cuts)
        return tuple(
            curve.Stage(
                name=cuts[begin],
                seconds=end - begin,
                lanes=tuple(parts(lane, begin, end) for _, _, lane in self._lanes),
            )
            for begin, end in pairwise(moments)
        )

    def _device_stages(self) -> tuple[curve.Stage, ...]:
        stages = self.stages or []
        if not stages:
            level = float(self.devices or 0)
            piece = Piece(self.duration, level, level)
            return (curve.Stage(name=f"{self.devices:,} devices", seconds=self.duration, devices=(piece,)),)
        found: list[curve.Stage] = []
        at = 0.0
        for stage, pieces in zip(stages, curves(stages), strict=True):
            seconds = min(sum(piece.seconds for piece in pieces), self.duration - at)
            if seconds <= 0:
                break
            halted = isinstance(stage, Pause)
            name = stage.name or stage.words()
            found.append(curve.Stage(name=name, seconds=seconds, devices=parts(pieces, 0.0, seconds), halted=halted))
            at += seconds
        return tuple(found)


def _length_of(stages: list[Stage] | None, streams: list[Stream] | None) -> float | None:
    """How long the stages are, None where there are none."""
    rows = [stages, *(stream.stages for stream in streams or ())]
    lengths = [sum(piece.seconds for piece in _joined(curves(row))) for row in rows if row]
    return max(lengths, default=None)


def _constant(rate: float | None, seconds: float) -> list[Stage]:
    return [Constant.model_validate({"rate": rate or 0.0, "for": seconds})]


def _split(stages: list[Stage]) -> tuple[Lane, Lane]:
    """What is drawn by the spacing, and what has moments of its own; each is silent while the other speaks."""
    drawn: list[Piece] = []
    given: list[Piece] = []
    for stage, pieces in zip(stages, curves(stages), strict=True):
        silence = [Piece(piece.seconds) for piece in pieces]
        halted = isinstance(stage, Pause)
        drawn += silence if stage.given or halted else pieces
        given += pieces if stage.given else silence
    return tuple(drawn), tuple(given)


def _joined(lanes: list[Lane]) -> Lane:
    return tuple(piece for lane in lanes for piece in lane)


def _area(piece: Piece) -> float:
    return len(piece.times) if piece.times else (piece.first + piece.last) / 2 * piece.seconds


def _highest(piece: Piece) -> float:
    return len(piece.times) / piece.seconds if piece.times else max(piece.first, piece.last)
