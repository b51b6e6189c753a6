"""What one session asks of the network at which age, and what a stream of such sessions adds up to (Campbell's theorem).

If sessions start at a rate r(t) and each one sends h(a) requests per second at the age a on average, all of them together send
the integral of r(t - a) h(a). That assumes nothing but that sessions do not disturb each other; it is exact however long they
live, and needs no time to get into equilibrium, as a played population would.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

from simulator.run.plan.arrivals import Rate

BINS: Final = 120
"""Ages within the plan's duration are told apart that finely; those above it have all begun before it, and are one."""


class Kernel:
    """Amounts of several quantities by age, summed over the sessions that were played."""

    __slots__ = ("_full", "_partial", "_width_s", "amounts", "lives_s")

    def __init__(self, duration_s: float, quantities: Iterable[str]) -> None:
        self._width_s = duration_s / BINS
        self.amounts: dict[str, list[float]] = {name: [0.0] * (BINS + 1) for name in quantities}
        self.lives_s: list[float] = []
        self._full = [0] * (BINS + 1)  # how many lives have their last, partial bin here
        self._partial = [0.0] * (BINS + 1)

    def add(self, quantity: str, age_s: float, amount: float) -> None:
        """A session had this at that age."""
        self.amounts[quantity][self._bin(age_s)] += amount

    def end(self, life_s: float) -> None:
        """A session lived so long."""
        self.lives_s.append(life_s)
        place = self._bin(life_s)
        self._full[place] += 1
        self._partial[place] += life_s - place * self._width_s

    def _bin(self, age_s: float) -> int:
        return min(BINS, int(age_s / self._width_s))

    @property
    def sessions(self) -> int:
        """How many were played to their end."""
        return len(self.lives_s)

    def open_s(self) -> list[float]:
        """Seconds for which the sessions were open, by age."""
        beyond = [len(self.lives_s) - ended for ended in accumulate(self._full)]
        return [
            partial + (self._width_s * alive if place < BINS else 0.0)
            for place, (partial, alive) in enumerate(zip(self._partial, beyond, strict=True))
        ]


def over_time(by_age: Sequence[float], rate: Rate, duration_s: float, *, flat: bool) -> list[float]:
    """What `rate` brings in each of BINS parts of the duration, per second; by_age is per session. Before 0 it was as at 0."""
    if flat:
        return [sum(by_age) * rate(0.0)] * BINS
    width_s = duration_s / BINS
    rates = [rate((place + 0.5) * width_s) for place in range(BINS)]
    first = rate(0.0)
    old = [0.0, *accumulate(reversed(by_age))][::-1]  # what comes at this bin's age or above
    found = []
    for now in range(BINS):
        value = old[now + 1] * first
        for age in range(now + 1):
            value += by_age[age] * rates[now - age]
        found.append(value)
    return found


def per_slice(parts: Sequence[float], slices: int) -> list[float]:
    """The means of consecutive parts; `slices` divides their number."""
    size = len(parts) // slices
    return [sum(parts[start : start + size]) / size for start in range(0, len(parts), size)]
