"""The laws that lengths, throughputs, pauses and volumes follow: pure functions of a uniform number.

Every law gives its quantile (the inverse of its distribution function, so that a hash is a draw), its mean, and its
equilibrium quantile: how much is *left* of a session that an observer finds open in a running network. The latter has
density (1 - F(x)) / mean, hence the distribution function E[min(X, x)] / E[X] (the limited mean over the mean), which
is concave: Newton's method from the left climbs to the root without ever passing it.

Values are in base units and never negative. `most` clamps: what lies beyond becomes exactly `most`.
"""

# ruff: noqa: D102, ARG002 (the methods are documented once, in Distribution; a fixed value needs no uniform number)

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate, pairwise
from statistics import NormalDist
from typing import Any

STANDARD_NORMAL = NormalDist()
LARGEST_EXPONENT = 700.0
NEWTON_STEPS = 100


class Distribution(ABC):
    """One law. `quantile(u)` and `equilibrium_quantile(u)` take u in [0, 1)."""

    __slots__ = ()

    @abstractmethod
    def quantile(self, u: float) -> float:
        """The value below which a share u of all draws lie."""

    @abstractmethod
    def limited_mean(self, limit: float) -> float:
        """E[min(X, limit)]."""

    @abstractmethod
    def survival(self, value: float) -> float:
        """P(X > value)."""

    @abstractmethod
    def mean(self) -> float:
        """E[X], clamped values included."""

    @abstractmethod
    def equilibrium_quantile(self, u: float) -> float:
        """The quantile of what is left of a lifetime when somebody looks at a random moment."""

    @abstractmethod
    def document(self) -> dict[str, Any]:
        """The law as a profile writes it, in base units."""


def climb(law: Distribution, target: float, start: float) -> float:
    """The limit whose limited mean is the target; `start` must not lie beyond it."""
    value = start
    for _ in range(NEWTON_STEPS):
        slope = law.survival(value)
        missing = target - law.limited_mean(value)
        if missing <= 0 or slope <= 0:
            break
        step = missing / slope
        value += step
        if step <= value * 1e-10:
            break
    return value


@dataclass(frozen=True, slots=True)
class Fixed(Distribution):
    """Always the same value."""

    value: float

    def quantile(self, u: float) -> float:
        return self.value

    def mean(self) -> float:
        return self.value

    def limited_mean(self, limit: float) -> float:
        return min(self.value, limit)

    def survival(self, value: float) -> float:
        return 1.0 if value < self.value else 0.0

    def equilibrium_quantile(self, u: float) -> float:
        return u * self.value

    def document(self) -> dict[str, Any]:
        return {"fixed": self.value}


@dataclass(frozen=True, slots=True)
class Uniform(Distribution):
    """Every value between least and most alike; least < most."""

    least: float
    most: float

    def quantile(self, u: float) -> float:
        return self.least + u * (self.most - self.least)

    def mean(self) -> float:
        return (self.least + self.most) / 2

    def limited_mean(self, limit: float) -> float:
        if limit <= self.least:
            return limit
        inside = min(limit, self.most) - self.least
        return self.least + inside - inside * inside / (2 * (self.most - self.least))

    def survival(self, value: float) -> float:
        return min(1.0, max(0.0, (self.most - value) / (self.most - self.least)))

    def equilibrium_quantile(self, u: float) -> float:
        target = u * self.mean()
        if target <= self.least:
            return target
        width = self.most - self.least
        return self.most - math.sqrt(max(0.0, width * width - 2 * width * (target - self.least)))

    def document(self) -> dict[str, Any]:
        return {"uniform": {"min": self.least, "max": self.most}}


@dataclass(frozen=True, slots=True)
class Exponential(Distribution):
    """Without memory; `scale` is the mean before clamping."""

    scale: float
    most: float = math.inf

    def quantile(self, u: float) -> float:
        return min(self.most, -self.scale * math.log1p(-u))

    def mean(self) -> float:
        return self.limited_mean(self.most)

    def limited_mean(self, limit: float) -> float:
        return -self.scale * math.expm1(-min(limit, self.most) / self.scale)

    def survival(self, value: float) -> float:
        return math.exp(-value / self.scale) if value < self.most else 0.0

    def equilibrium_quantile(self, u: float) -> float:
        return min(self.most, -self.scale * math.log1p(-u * self.mean() / self.scale))

    def document(self) -> dict[str, Any]:
        return {"exponential": {"mean": self.scale} | _clamp(self.most)}


@dataclass(frozen=True, slots=True)
class Lognormal(Distribution):
    """Its logarithm is normal, around the logarithm of the median, with standard deviation sigma > 0."""

    median: float
    sigma: float
    most: float = math.inf

    def quantile(self, u: float) -> float:
        if u <= 0.0:
            return 0.0
        return min(self.most, self.median * math.exp(self.sigma * STANDARD_NORMAL.inv_cdf(u)))

    def mean(self) -> float:
        return self.limited_mean(self.most)

    def limited_mean(self, limit: float) -> float:
        limit = min(limit, self.most)
        if limit / self.median <= 0.0:  # also where so small a share of the median is no number any more
            return 0.0
        whole = self.median * math.exp(self.sigma * self.sigma / 2)
        if math.isinf(limit):
            return whole
        z = math.log(limit / self.median) / self.sigma
        return whole * _above(self.sigma - z) + limit * _above(z)

    def survival(self, value: float) -> float:
        if value >= self.most:
            return 0.0
        return _above(math.log(value / self.median) / self.sigma) if value / self.median > 0.0 else 1.0

    def equilibrium_quantile(self, u: float) -> float:
        limits, means = _lognormal_table(self)
        target = u * means[-1]
        left = min(bisect_right(means, target) - 1, len(limits) - 2)
        return min(self.most, climb(self, target, limits[left]))

    def document(self) -> dict[str, Any]:
        return {"lognormal": {"median": self.median, "sigma": self.sigma} | _clamp(self.most)}


@dataclass(frozen=True, slots=True)
class Pareto(Distribution):
    """At least `least` > 0, with a heavy tail; alpha > 1, or clamped, so that there is a mean."""

    least: float
    alpha: float
    most: float = math.inf

    def quantile(self, u: float) -> float:
        return min(self.most, self.least * math.exp(min(LARGEST_EXPONENT, -math.log1p(-u) / self.alpha)))

    def mean(self) -> float:
        return self.limited_mean(self.most)

    def limited_mean(self, limit: float) -> float:
        limit = min(limit, self.most)
        if limit <= self.least:
            return limit
        if self.alpha == 1:
            return self.least * (1 + math.log(limit / self.least))
        tail = math.pow(self.least / limit, self.alpha - 1)
        return self.least * (1 + (1 - tail) / (self.alpha - 1))

    def survival(self, value: float) -> float:
        if value >= self.most:
            return 0.0
        return math.pow(self.least / value, self.alpha) if value > self.least else 1.0

    def equilibrium_quantile(self, u: float) -> float:
        target = u * self.mean()
        if target <= self.least:
            return target
        beyond = target / self.least - 1
        exponent = beyond if self.alpha == 1 else -math.log1p(-beyond * (self.alpha - 1)) / (self.alpha - 1)
        return min(self.most, self.least * math.exp(min(LARGEST_EXPONENT, exponent)))

    def document(self) -> dict[str, Any]:
        return {"pareto": {"min": self.least, "alpha": self.alpha} | _clamp(self.most)}


@dataclass(frozen=True, slots=True)
class Choice(Distribution):
    """One of a few values; `values` ascend, `weights` add up to 1."""

    values: tuple[float, ...]
    weights: tuple[float, ...]
    _below: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_below", tuple(accumulate(self.weights)))

    @classmethod
    def of(cls, weighted: Sequence[tuple[float, float]]) -> Choice:
        """From (value, weight) in any order and scale; the weights add up to more than 0."""
        ordered = sorted(pair for pair in weighted if pair[1] > 0)
        total = math.fsum(weight for _, weight in ordered)
        return cls(tuple(value for value, _ in ordered), tuple(weight / total for _, weight in ordered))

    def quantile(self, u: float) -> float:
        return self.values[min(bisect_right(self._below, u), len(self.values) - 1)]

    def mean(self) -> float:
        return self.limited_mean(math.inf)

    def limited_mean(self, limit: float) -> float:
        return math.fsum(min(v, limit) * w for v, w in zip(self.values, self.weights, strict=True))

    def survival(self, value: float) -> float:
        return math.fsum(self.weights[bisect_right(self.values, value) :])

    def equilibrium_quantile(self, u: float) -> float:
        return min(self.values[-1], climb(self, u * self.mean(), 0.0))

    def document(self) -> dict[str, Any]:
        pairs = zip(self.values, self.weights, strict=True)
        return {"choice": [{"value": value, "weight": weight} for value, weight in pairs]}


@dataclass(frozen=True, slots=True)
class Empirical(Distribution):
    """Measured quantiles, linear between them: `shares` ascend from 0 to 1, `values` never fall."""

    shares: tuple[float, ...]
    values: tuple[float, ...]

    def quantile(self, u: float) -> float:
        i = min(max(bisect_right(self.shares, u), 1), len(self.shares) - 1)
        share, value = self.shares[i - 1], self.values[i - 1]
        return value + (self.values[i] - value) * (u - share) / (self.shares[i] - share)

    def mean(self) -> float:
        return self.limited_mean(math.inf)

    def limited_mean(self, limit: float) -> float:
        total = 0.0
        for (share, low), (next_share, high) in pairwise(zip(self.shares, self.values, strict=True)):
            width = next_share - share
            if high <= limit:
                total += width * (low + high) / 2
            elif low >= limit:
                total += width * limit
            else:
                reached = (limit - low) / (high - low)
                total += width * (reached * (low + limit) / 2 + (1 - reached) * limit)
        return total

    def survival(self, value: float) -> float:
        i = bisect_right(self.values, value)
        if i == 0:
            return 1.0
        if i == len(self.values):
            return 0.0
        share, low = self.shares[i - 1], self.values[i - 1]
        return 1 - share - (self.shares[i] - share) * (value - low) / (self.values[i] - low)

    def equilibrium_quantile(self, u: float) -> float:
        return min(self.values[-1], climb(self, u * self.mean(), 0.0))

    def document(self) -> dict[str, Any]:
        return {"empirical": {"quantiles": [list(pair) for pair in zip(self.shares, self.values, strict=True)]}}


def _above(z: float) -> float:
    return math.erfc(z / math.sqrt(2)) / 2


def _clamp(most: float) -> dict[str, float]:
    return {} if math.isinf(most) else {"max": most}


@lru_cache(maxsize=256)
def _lognormal_table(law: Lognormal) -> tuple[list[float], list[float]]:
    """Limits, an eighth of a standard deviation apart, and the limited mean at each; the mean stands at the end."""
    deviations = [step / 8 for step in range(-64, 8 * 8 + math.ceil(8 * law.sigma))]
    limits = [0.0, *(law.median * math.exp(law.sigma * z) for z in deviations)]
    limits = [*(limit for limit in limits if limit < law.most), law.most]
    return limits, [law.limited_mean(limit) for limit in limits]
