"""What the sample says about the whole population: means, peaks, the course over time, and how sure that is."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from simulator.config import Profile
from simulator.run.plan.arrivals import Intended, Rate
from simulator.run.plan.kernel import BINS, Kernel, over_time, per_slice
from simulator.run.plan.play import OCTETS, REQUESTS, Kernels, Sample

DAY_S: Final = 86_400
OPEN: Final = "open"
ALL: Final = "all"
QUANTITIES: Final = (OPEN, *REQUESTS, ALL, *OCTETS)
"""Sessions open; requests per second by operation and in all; octets per second, with the frames and of the bodies alone."""
_MOST_ROUNDS: Final = 1_000
"""So many earlier turns of a subscriber are looked at for sessions that are still open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One quantity over the duration, in BINS parts; `error` is the relative standard error of its mean."""

    parts: list[float]
    error: float

    @property
    def mean(self) -> float:
        """Over the whole duration."""
        return sum(self.parts) / BINS

    @property
    def peak(self) -> float:
        """The highest part."""
        return max(self.parts)

    def slices(self, count: int) -> list[float]:
        """The means of so many slices."""
        return per_slice(self.parts, count)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageFigures:
    """One usage: starts per second, wall seconds of a life, requests of a session, and those per second, mean and peak."""

    arrivals_per_s: float
    life_s: float
    requests_per_session: float
    requests_per_s: float
    requests_per_s_peak: float
    busy: float
    """Share of the intended starts that find their device busy."""


def slices_of(duration_s: float) -> int:
    """Hours of a day, or a dozen parts of anything shorter."""
    return 24 if duration_s >= DAY_S else 12


def curves(sample: Sample, starts: Intended, without: list[Intended]) -> dict[str, Curve]:
    """Every quantity of QUANTITIES for these starts; `without` are the starts that the sample without each batch would give."""
    totals = _merged(sample.batches)
    return {
        name: Curve(parts=_sum_over_time(totals, starts, name), error=_error(sample, without, name))
        for name in QUANTITIES
    }


def usage_figures(sample: Sample, starts: Intended, busy: dict[str, float]) -> dict[str, UsageFigures]:
    """The same by usage; `starts` are those that find their device free, as `busy` says."""
    totals = _merged(sample.batches)
    figures: dict[str, UsageFigures] = {}
    for usage, by_age in totals.items():
        requests = over_time(by_age[ALL], starts.by_usage[usage], starts.duration_s, flat=starts.flat)
        figures[usage] = UsageFigures(
            arrivals_per_s=starts.mean(usage),
            life_s=mean_life_s(sample, usage),
            requests_per_session=sum(by_age[ALL]),
            requests_per_s=sum(requests) / BINS,
            requests_per_s_peak=max(requests),
            busy=busy[usage],
        )
    return figures


def arrivals_over_time(starts: Intended) -> list[float]:
    """Starts per second in each of BINS parts."""
    moments = [(place + 0.5) * starts.duration_s / BINS for place in range(BINS)]
    return [sum(rate(moment) for rate in starts.by_usage.values()) for moment in moments]


def mean_life_s(sample: Sample, usage: str) -> float:
    """Wall seconds from a session's start until its last answer."""
    lives = [kernels[usage] for kernels in sample.batches]
    return sum(sum(kernel.lives_s) for kernel in lives) / sum(kernel.sessions for kernel in lives)


def busy_shares(profile: Profile, sample: Sample, starts: Intended, subscribers: int) -> dict[str, float]:
    """Which share of each usage's starts finds no place at its device, because its sessions of before are still open.

    The subscribers take turns (arrival k belongs to subscriber k mod N), so a session meets those that began whole rounds before.
    Their mean number is the load on the device's places; what these turn away is Erlang's loss formula.
    """
    total = sum(starts.mean(usage) for usage in starts.by_usage)
    round_s = subscribers / total
    shares: dict[str, float] = {}
    for usage in starts.by_usage:
        lives = sorted(life for kernels in sample.batches for life in kernels[usage].lives_s)
        rounds = min(_MOST_ROUNDS, int(lives[-1] / round_s))
        still = sum(1 - bisect_right(lives, turn * round_s) / len(lives) for turn in range(1, rounds + 1))
        shares[usage] = erlang_b(still * starts.mean(usage) / total, profile.usages[usage].sessions)
    return shares


def thinned(starts: Intended, busy: dict[str, float]) -> Intended:
    """Only those starts that find a place."""
    return replace(starts, by_usage={usage: _scaled(rate, 1 - busy[usage]) for usage, rate in starts.by_usage.items()})


def erlang_b(load: float, places: int) -> float:
    """The share of calls that so many places turn away, at that load in Erlang."""
    share = 1.0
    for place in range(1, places + 1):
        share = load * share / (place + load * share)
    return share


def _scaled(rate: Rate, factor: float) -> Rate:
    return lambda at_s: factor * rate(at_s)


ByAge = dict[str, list[float]]
"""Amounts per session, by quantity."""


def _merged(batches: Iterable[Kernels]) -> dict[str, ByAge]:
    by_usage: dict[str, list[Kernel]] = {}
    for kernels in batches:
        for usage, kernel in kernels.items():
            by_usage.setdefault(usage, []).append(kernel)
    return {usage: _per_session(kernels) for usage, kernels in by_usage.items()}


def _per_session(kernels: list[Kernel]) -> ByAge:
    sessions = sum(kernel.sessions for kernel in kernels)
    found = {name: _mean([kernel.amounts[name] for kernel in kernels], sessions) for name in (*REQUESTS, *OCTETS)}
    found[OPEN] = _mean([kernel.open_s() for kernel in kernels], sessions)
    found[ALL] = [sum(bins) for bins in zip(*(found[name] for name in REQUESTS), strict=True)]
    return found


def _mean(amounts: list[list[float]], sessions: int) -> list[float]:
    return [sum(bins) / sessions for bins in zip(*amounts, strict=True)]


def _sum_over_time(totals: dict[str, ByAge], starts: Intended, name: str) -> list[float]:
    each = [
        over_time(by_age[name], starts.by_usage[usage], starts.duration_s, flat=starts.flat)
        for usage, by_age in totals.items()
    ]
    return [sum(parts) for parts in zip(*each, strict=True)]


def _error(sample: Sample, without: list[Intended], name: str) -> float:
    """The relative standard error of a quantity's mean, by the jackknife: how it differs without each of the batches."""
    usages = list(without[0].by_usage)
    batches = [
        {usage: (_total(each[usage], name), each[usage].sessions) for usage in usages} for each in sample.batches
    ]
    amounts = {usage: sum(each[usage][0] for each in batches) for usage in usages}
    sessions = {usage: sum(each[usage][1] for each in batches) for usage in usages}
    means = [
        sum(
            starts.mean(usage) * (amounts[usage] - batch[usage][0]) / (sessions[usage] - batch[usage][1])
            for usage in usages
        )
        for batch, starts in zip(batches, without, strict=True)
    ]
    mean = sum(means) / len(means)
    if not mean:
        return 0.0
    spread = sum((each - mean) * (each - mean) for each in means)
    return math.sqrt(spread * (len(means) - 1) / len(means)) / mean


def _total(kernel: Kernel, name: str) -> float:
    if name == OPEN:
        return sum(kernel.lives_s)
    if name == ALL:
        return sum(sum(kernel.amounts[each]) for each in REQUESTS)
    return sum(kernel.amounts[name])
