"""How far a share that was counted can be trusted: confidence bounds on a binomial share, also where trials are correlated.

`share_bounds` gives the exact (Clopper-Pearson) bounds, the quantiles of beta distributions, each of them one-sided. They take
the trials for independent. Requests that wait in one queue are not: one that is slow has slow neighbours. So the trials are
cut into consecutive intervals, and the spread of the intervals' shares tells how many independent trials they are worth: the
design effect, by which trials and hits are divided before the bounds are taken (Korn and Graubard 1998, "Confidence intervals for
proportions with small expected number of positive counts estimated from survey data"). Neighbouring intervals may be
correlated too, so they are merged in pairs again and again, and the largest effect counts (blocking: Flyvbjerg and Petersen 1989,
"Error estimates on averages of correlated data").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

LEAST_BLOCKS: Final = 10
"""Of fewer blocks the spread is not known well enough to be held against what chance alone does."""

_MOST_TERMS: Final = 100_000
"""Of a continued fraction; it needs about the square root of the number of trials."""
_BISECTIONS: Final = 60
_TINY: Final = 1e-300

Counts = tuple[int, int]
"""Of one interval: hits and trials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareBounds:
    """A counted share and its bounds, 0 to 1; `effective` is how many independent trials the `trials` are worth."""

    hits: int
    trials: int
    effective: float
    lower: float
    upper: float

    @property
    def share(self) -> float:
        """What was counted; 0 without trials."""
        return self.hits / self.trials if self.trials else 0.0


def share_bounds(series: Sequence[Sequence[Counts]], confidence: float) -> ShareBounds:
    """Bounds on the share of hits, each of which holds with `confidence` (more than 0.5, one-sided).

    `series` are the consecutive intervals of one or several separate observations. Without trials nothing is known: 0 and 1.
    """
    hits = sum(each for intervals in series for each, _ in intervals)
    trials = sum(each for intervals in series for _, each in intervals)
    if not trials:
        return ShareBounds(hits=0, trials=0, effective=0.0, lower=0.0, upper=1.0)
    effect, blocks = design_effect(series)
    if effect > 1.0:  # how large it is was itself estimated, from so many blocks
        normal = NormalDist().inv_cdf(confidence)
        effect *= (student_quantile(confidence, blocks - 1) / normal) ** 2
    effective = max(1.0, trials / effect)
    worth = hits * effective / trials
    return ShareBounds(
        hits=hits,
        trials=trials,
        effective=effective,
        lower=lower_bound(worth, effective, confidence),
        upper=upper_bound(worth, effective, confidence),
    )


def upper_bound(hits: float, trials: float, confidence: float) -> float:
    """The share under which so few hits would come with a probability of 1 - `confidence` only (Clopper-Pearson)."""
    return 1.0 if hits >= trials else beta_quantile(confidence, hits + 1, trials - hits)


def lower_bound(hits: float, trials: float, confidence: float) -> float:
    """The share under which so many hits would come with a probability of 1 - `confidence` only (Clopper-Pearson)."""
    return 0.0 if hits <= 0 else beta_quantile(1.0 - confidence, hits, trials - hits + 1)


def design_effect(series: Sequence[Sequence[Counts]]) -> tuple[float, int]:
    """How many times as much as by chance the share varies, at least 1, and of how many blocks that was seen.

    1 where there are too few intervals to tell, or nothing but hits, or none: then no clumping was seen.
    """
    hits = sum(each for intervals in series for each, _ in intervals)
    trials = sum(each for intervals in series for _, each in intervals)
    by_chance = hits * (trials - hits) / trials if trials else 0.0
    effect, of_blocks = 1.0, 0
    blocks = [list(intervals) for intervals in series]
    before = math.inf
    while by_chance > 0 and LEAST_BLOCKS <= (count := sum(map(len, blocks))) < before:
        before = count
        share = hits / trials
        spread = sum((hit - share * trial) ** 2 for intervals in blocks for hit, trial in intervals)
        found = spread * count / (count - 1) / by_chance
        if found > effect:
            effect, of_blocks = found, count
        blocks = [_pairs(intervals) for intervals in blocks]
    return effect, of_blocks


def _pairs(intervals: list[Counts]) -> list[Counts]:
    """Two and two of them as one; what is left over belongs to the last one, so that no block is a short one."""
    merged = [
        (one[0] + other[0], one[1] + other[1])
        for one, other in zip(intervals[::2], intervals[1::2], strict=False)
    ]  # fmt: skip
    if len(intervals) % 2 and merged:
        (hits, trials), (more_hits, more_trials) = merged[-1], intervals[-1]
        merged[-1] = (hits + more_hits, trials + more_trials)
    return merged or intervals


def student_quantile(probability: float, degrees: int) -> float:
    """The quantile of Student's t distribution with so many degrees of freedom, for probabilities from 0.5 to 1."""
    # The tail of t is half a regularised incomplete beta function of degrees / (degrees + t * t).
    place = beta_quantile(2 * (1 - probability), degrees / 2, 0.5)
    return math.sqrt(degrees * (1 - place) / place) if place > 0 else math.inf


def beta_quantile(probability: float, a: float, b: float) -> float:
    """The share below which a beta distribution has that probability."""
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if regularized_beta(middle, a, b) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def regularized_beta(x: float, a: float, b: float) -> float:
    """The distribution function of a beta distribution at x (NIST DLMF 8.17)."""
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    if x > (a + 1) / (a + b + 2):  # there the fraction converges slowly, and that of the mirror image fast
        return 1.0 - regularized_beta(1.0 - x, b, a)
    logarithm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(logarithm) / (a * _continued_fraction(x, a, b))


def _continued_fraction(x: float, a: float, b: float) -> float:
    """1 + d1 / (1 + d2 / (1 + ...)) of NIST DLMF 8.17.22, by the modified method of Lentz."""
    value, c, d = 1.0, 1.0, 0.0
    for term in range(1, _MOST_TERMS):
        m = term // 2
        if term % 2:
            coefficient = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            coefficient = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1.0 / (1.0 + coefficient * d or _TINY)
        c = 1.0 + coefficient / c or _TINY
        value *= c * d
        if abs(c * d - 1.0) < 1e-12:
            return value
    raise ArithmeticError(f"no value of the beta distribution at {x!r}, {a!r}, {b!r}")
