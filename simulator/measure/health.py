"""Whether the generator, not the CHF, was the limit of a run: then its figures say little about the CHF."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

BUSY_CORE_SHARE: Final = 0.95
"""One engine is one thread: at this share of a core it has nothing left for the next request."""
BUSY_INTERVALS: Final = 3
"""CPU and loop lag are judged from so many intervals on; a start-up burst is no limit."""
STALLED_LOOP_US: Final = 50_000
"""An event loop that stands still for longer in the usual interval sends and receives late."""
UNOFFERED_SHARE: Final = 0.01
"""The arrival budget: 1 % below the schedule, the run did not offer what it was asked to."""
QUEUE_SHARE: Final = 0.2
"""The generator's own delay may be this part of what it reports as the response time."""
USUAL_QUEUE_US: Final = 2_000
"""Up to here a median queue latency is the timer's resolution (1 ms) and the scheduler of the machine."""
WORST_QUEUE_US: Final = 50_000
"""The same for the 99th percentile: garbage collection and neighbours on the machine stay below it."""
HEALTHY_FAILED_SHARE: Final = 0.01
"""Above it the CHF is in trouble, and sessions that pile up are its doing."""

_MORE_POWER: Final = "lower the rate, use more --workers, or give the generator a machine of its own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What the generator knows about itself after a run.

    `cpu_share` (of one core) and `loop_lag_us` are those of the busiest engine in the usual interval, that is the
    median of `intervals` intervals under load. Latencies cover all operations. `dropped` is by reason.
    """

    intervals: int = 0
    cpu_share: float = 0.0
    loop_lag_us: float = 0.0
    queue_p50_us: float = 0.0
    queue_p99_us: float = 0.0
    response_p50_us: float = 0.0
    response_p99_us: float = 0.0
    waiting_max: int = 0
    intended: int = 0
    started: int = 0
    dropped: Mapping[str, int]
    requests: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The judgement: `reasons` say what was the limit and what to change, `notes` what else is worth knowing."""

    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def limited(self) -> bool:
        """Whether the generator was the limit."""
        return bool(self.reasons)


def judge_generator(vitals: Vitals) -> Health:
    """Decide from arrivals, CPU, loop lag and queue latency whether the generator kept up."""
    power = (*_cpu(vitals), *_loop(vitals))
    limits = [*_arrivals(vitals), *power]
    notes = []
    delays = list(_queue(vitals))
    if delays and not power and (vitals.waiting_max or _is_sick(vitals)):
        notes.append(
            f"{delays[0]}: up to {vitals.waiting_max:,} requests waited for a free stream at a time. The CHF is slow, away or "
            "grants few streams, or the profile has too few connections (connections.per_network_function, .streams)"
        )
    else:
        limits += [f"{delay}: {_MORE_POWER}" for delay in delays]
    notes += _crowding_by_a_sick_chf(vitals)
    return Health(reasons=tuple(limits), notes=tuple(notes))


def _arrivals(vitals: Vitals) -> Iterator[str]:
    """Arrivals that were not started although the CHF did nothing to prevent it."""
    advice = {
        "late": f"came more than a second late: {_MORE_POWER}",
        "busy": "found their subscriber still busy: declare more subscribers (subscribers.count)",
    }
    if not _is_sick(vitals):
        advice["limit"] = "met the bound on open sessions: raise load.max_in_flight, or lower the rate"
    for reason, words in advice.items():
        if _is_much(vitals.dropped.get(reason, 0), vitals.intended):
            yield f"{_of(vitals.dropped[reason], vitals.intended)} arrivals {words}"
    unaccounted = vitals.intended - vitals.started - sum(vitals.dropped.values())
    if _is_much(unaccounted, vitals.intended):
        yield f"{_of(unaccounted, vitals.intended)} arrivals were never reached: {_MORE_POWER}"


def _crowding_by_a_sick_chf(vitals: Vitals) -> Iterator[str]:
    dropped = vitals.dropped.get("limit", 0)
    if _is_sick(vitals) and _is_much(dropped, vitals.intended):
        yield (
            f"{_of(dropped, vitals.intended)} arrivals met the bound on open sessions (load.max_in_flight), while "
            f"{_of(vitals.failed, vitals.requests)} requests failed"
        )


def _cpu(vitals: Vitals) -> Iterator[str]:
    if vitals.intervals >= BUSY_INTERVALS and vitals.cpu_share >= BUSY_CORE_SHARE:
        yield f"the busiest engine used {vitals.cpu_share:.0%} of its core in the usual interval: {_MORE_POWER}"


def _loop(vitals: Vitals) -> Iterator[str]:
    if vitals.intervals >= BUSY_INTERVALS and vitals.loop_lag_us > STALLED_LOOP_US:
        yield (
            f"the event loop stood still for {vitals.loop_lag_us / 1000:,.0f} ms in the usual interval: {_MORE_POWER}"
        )


def _queue(vitals: Vitals) -> Iterator[str]:
    for name, queue, response, floor in (
        ("the median request", vitals.queue_p50_us, vitals.response_p50_us, USUAL_QUEUE_US),
        ("one request in a hundred", vitals.queue_p99_us, vitals.response_p99_us, WORST_QUEUE_US),
    ):
        if queue > floor and queue > QUEUE_SHARE * response:
            yield f"{name} left {queue / 1000:,.1f} ms after its time or later"
            return


def _is_sick(vitals: Vitals) -> bool:
    return vitals.failed > HEALTHY_FAILED_SHARE * vitals.requests


def _is_much(part: int, whole: int) -> bool:
    return part > UNOFFERED_SHARE * whole


def _of(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,}"
