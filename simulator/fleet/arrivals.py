"""When sessions begin, computed rather than simulated: the k-th arrival is where the area under the rate reaches k.

There is no drift, and n workers share the arrivals by subscriber without talking to each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count
from typing import Final

from simulator.fleet.draws import Purpose, uniform

NS_PER_S: Final = 1_000_000_000


def areas(spacing: str, key: bytes) -> Iterator[float]:
    """Arrival moments of the process with rate 1: 1, 2, 3, ... or sums of exponential gaps (a Poisson process)."""
    if spacing == "constant":
        yield from map(float, count(1))
    area = 0.0
    for number in count():
        area -= math.log1p(-uniform(key, Purpose.GAP, number))
        yield area


def arrival_times(rate_per_s: float, spacing: str, key: bytes, duration_s: float) -> Iterator[int]:
    """Moments of arrivals in ns after the start, up to `duration_s`, at a constant rate."""
    for area in areas(spacing, key):
        moment = area / rate_per_s
        if moment >= duration_s:
            return
        yield int(moment * NS_PER_S)
