"""The theory of M/M/c queues, and such a queue in virtual time."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from random import Random

from simulator.measure import Gauge, Histogram, Merge, Snapshot


def erlang_c(servers: int, offered: float) -> float:
    """The probability that an arrival has to wait; `offered` is arrival rate times mean service time, in erlangs."""
    blocked = 1.0  # Erlang B, by its recursion over the number of servers
    for n in range(1, servers + 1):
        blocked = offered * blocked / (n + offered * blocked)
    busy = offered / servers
    return blocked / (1 - busy * (1 - blocked))


def slower_than(limit_s: float, rate: float, servers: int, service_s: float) -> float:
    """P(wait + service > limit) in an M/M/c queue (Kleinrock I, 3.5: an exponential wait with a mass at 0, plus a service)."""
    mu = 1 / service_s
    if rate >= servers * mu:
        return 1.0
    waits = erlang_c(servers, rate * service_s)
    drain = servers * mu - rate  # the rate at which the wait's tail falls
    if math.isclose(drain, mu, rel_tol=1e-9):
        waiting_too = (1 + mu * limit_s) * math.exp(-mu * limit_s)
    else:
        waiting_too = (drain * math.exp(-mu * limit_s) - mu * math.exp(-drain * limit_s)) / (drain - mu)
    return (1 - waits) * math.exp(-mu * limit_s) + waits * waiting_too


def highest_rate(share: float, limit_s: float, servers: int, service_s: float) -> float:
    """The rate at which exactly that share of requests takes longer than the limit."""
    low, high = 0.0, servers / service_s
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if slower_than(limit_s, middle, servers, service_s) < share else (low, middle)
    return low


def sojourns(
    rate: float, servers: int, service_s: float, seconds: float, random: Random
) -> Iterator[tuple[float, float]]:
    """The moment of each answer and how long it took, of a queue that begins empty and is loaded for so long."""
    free_at = [0.0] * servers
    moment = random.expovariate(rate)
    while moment < seconds:
        done = max(moment, free_at[0]) + random.expovariate(1 / service_s)
        heapq.heapreplace(free_at, done)
        yield done, done - moment
        moment += random.expovariate(rate)


def measured(
    rate: float,
    servers: int,
    service_s: float,
    *,
    warmup_s: float,
    seconds: float,
    random: Random,
    interval_s: float = 0.5,
) -> list[Snapshot]:
    """What an engine's intervals would say of one-time events in that queue, after the warm-up."""
    intervals = [
        Snapshot(number=number, start_s=number * interval_s, end_s=(number + 1) * interval_s)
        for number in range(round(seconds / interval_s))
    ]
    took: list[list[int]] = [[] for _ in intervals]
    started = [0] * len(intervals)
    for done, sojourn in sojourns(rate, servers, service_s, warmup_s + seconds, random):
        for moment, note in ((done - sojourn, None), (done, round(sojourn * 1e6))):
            place = int((moment - warmup_s) // interval_s)
            if 0 <= place < len(intervals):
                if note is None:
                    started[place] += 1
                else:
                    took[place].append(note)
    waiting = 0
    for interval, values, count in zip(intervals, took, started, strict=True):
        waiting += count - len(values)
        histogram = Histogram()
        histogram.record_many(values)
        interval.histograms["latency_us|response|event|message|ok"] = histogram
        interval.counters |= {"requests|event|message|ok": len(values), "arrivals|started|message": count}
        interval.gauges["in_flight"] = Gauge(waiting, waiting, Merge.SUM)
    return intervals
