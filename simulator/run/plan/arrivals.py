"""When sessions are meant to begin: the one place where a plan reads a profile's load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from simulator.config import Profile
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
    total = sum(profile.mix.values())
    return {usage: weight / total for usage, weight in profile.mix.items() if weight > 0}


def intended(profile: Profile, factor: float, rate_per_s: float | None, mean_cycle_s: float) -> Intended:
    """The arrivals of a population that is `factor` times the profile's; `rate_per_s` takes the place of its rate.

    In the closed mode each device starts a session every `mean_cycle_s` seconds of wall time, its life and the thinking after it.
    Raises RunError where nothing arrives.
    """
    load = profile.load
    if rate_per_s is None and load.mode == "closed":
        rate_per_s = factor * (load.devices or 0) / mean_cycle_s
    elif rate_per_s is None:
        rate_per_s = factor * (load.rate or 0.0)
    if rate_per_s <= 0:
        raise RunError(f"{profile.name}: nothing arrives after the start (load.rate is 0): give the plan a --rate")
    return Intended(
        duration_s=load.duration,
        by_usage={usage: _constant(rate_per_s * share) for usage, share in shares(profile).items()},
        flat=True,
    )


def _constant(rate_per_s: float) -> Rate:
    return lambda _at_s: rate_per_s
