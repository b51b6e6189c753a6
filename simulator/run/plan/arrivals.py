"""When sessions are meant to begin: the one place where a plan reads a profile's load."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from simulator.config import Profile
from simulator.config.curve import Lane, Piece
from simulator.fleet.timeline import Curve, Timeline
from simulator.run.options import RunError

Rate = Callable[[float], float]
"""Session (and event) starts per second, at so many seconds of wall time after the start; before it, at 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intended:
    """The arrivals of a plan: starts per second of each usage over `duration_s` seconds of wall time."""

    duration_s: float
    by_usage: dict[str, Rate]
    flat: bool
    """Whether no rate changes over time."""

    def mean(self, usage: str, *, points: int = 120) -> float:
        """Starts per second, the mean over the duration."""
        rate = self.by_usage[usage]
        if self.flat:
            return rate(0.0)
        return sum(rate((place + 0.5) * self.duration_s / points) for place in range(points)) / points


def shares(profile: Profile) -> dict[str, float]:
    """What share of the starts each usage has; usages that never start are left out."""
    load = profile.load
    if load.streams is None:
        return _normalised(profile.mix)
    starts: defaultdict[str, float] = defaultdict(float)
    for curve, weights in _streams(profile):
        for usage, share in _normalised(weights).items():
            starts[usage] += share * curve.area
    return _normalised(starts)


def intended(profile: Profile, factor: float, rate_per_s: float | None, mean_cycle_s: float) -> Intended:
    """The arrivals of a population that is `factor` times the profile's; `rate_per_s` takes the place of its rate.

    In the closed mode each device starts a session every `mean_cycle_s` seconds of wall time, its life and the thinking after it.
    Raises RunError where nothing arrives.
    """
    load = profile.load
    if rate_per_s is not None:
        return _constant(profile, rate_per_s)
    curves = _devices(profile, mean_cycle_s) if load.mode == "closed" else _streams(profile)
    if not any(curve.area for curve, _ in curves):
        raise RunError(f"{profile.name}: nothing arrives after the start (load.rate is 0): give the plan a --rate")
    return Intended(
        duration_s=load.planned_s,
        by_usage={usage: _rate_of(usage, curves, factor) for usage in shares(profile)},
        flat=all(_is_flat(stage.lanes or (stage.devices,)) for stage in load.timeline) and len(load.timeline) == 1,
    )


def _constant(profile: Profile, rate_per_s: float) -> Intended:
    if rate_per_s <= 0:
        raise RunError(f"{profile.name}: nothing arrives at a rate of 0: give the plan another --rate")

    def rate(share: float) -> Rate:
        return lambda _at_s: rate_per_s * share

    by_usage = {usage: rate(share) for usage, share in shares(profile).items()}
    return Intended(duration_s=profile.load.planned_s, by_usage=by_usage, flat=True)


def _rate_of(usage: str, curves: list[tuple[Curve, Mapping[str, float]]], factor: float) -> Rate:
    """The sum over the curves that this usage comes by."""
    own = [(curve, factor * _normalised(weights).get(usage, 0.0)) for curve, weights in curves]
    return lambda at_s: sum(share * curve.level(at_s) for curve, share in own if share)


def _streams(profile: Profile) -> list[tuple[Curve, Mapping[str, float]]]:
    """The curve of each process of arrivals, and the weights of the usages that come by it."""
    load = profile.load
    lanes = Timeline(load.timeline, 0).lanes
    streams = load.streams
    return [
        (curve, profile.mix if streams is None else streams[number].weights())
        for curve, (number, _) in zip(lanes, load.lanes, strict=True)
    ]


def _devices(profile: Profile, mean_cycle_s: float) -> list[tuple[Curve, Mapping[str, float]]]:
    """Each device that is there begins a session once in a cycle."""
    pieces = [
        Piece(piece.seconds, piece.first / mean_cycle_s, piece.last / mean_cycle_s)
        for stage in profile.load.timeline
        for piece in stage.devices
    ]
    return [(Curve(pieces), profile.mix)]


def _is_flat(lanes: Iterable[Lane]) -> bool:
    return all(len(lane) == 1 and lane[0].first == lane[0].last and not lane[0].times for lane in lanes)


def _normalised(weights: Mapping[str, float]) -> dict[str, float]:
    total = sum(weights.values())
    return {usage: weight / total for usage, weight in weights.items() if weight > 0}
