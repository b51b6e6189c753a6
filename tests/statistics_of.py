"""Tests of statistics, without a library for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence


def kolmogorov_smirnov(sample: Sequence[float], distribution: Callable[[float], float]) -> float:
    """The largest distance between a sample and a distribution, times the root of its size; above 1.63 in 1 % of all samples."""
    ordered = sorted(sample)
    size = len(ordered)
    distance = max(
        max((rank + 1) / size - distribution(value), distribution(value) - rank / size)
        for rank, value in enumerate(ordered)
    )
    return distance * math.sqrt(size)
