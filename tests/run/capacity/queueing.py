"""The theory of M/M/c and M/D/c queues, and such queues in virtual time."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from random import Random

from simulator.measure import INTERVAL_S, Gauge, Histogram, Merge, Snapshot


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


def in_system(rate: float, servers: int, service_s: float) -> list[float]:
    """The distribution of the number in an M/D/c queue: where looking again one service later changes nothing (Crommelin 1932).

    Whoever is in service now will be gone by then, those that wait move up, and a Poisson number has come.
    """
    offered = rate * service_s
    states = servers + round(60 / (1 - offered / servers))
    arrivals = [math.exp(k * math.log(offered) - offered - math.lgamma(k + 1)) for k in range(states)]
    arrivals = arrivals[: next(k for k in range(states) if k > offered and arrivals[k] < 1e-14)]
    now = [0.0] * states
    now[round(offered)] = 1.0
    for _ in range(20_000):
        left = [sum(now[: servers + 1]), *now[servers + 1 :]]
        then = [0.0] * states
        for waiting, chance in enumerate(left):
            if chance > 1e-16:
                for more, probability in enumerate(arrivals[: states - waiting]):
                    then[waiting + more] += chance * probability
        change = max(abs(one - other) for one, other in zip(now, then, strict=True))
        now = then
        if change < 1e-10:
            break
    return now


def waits_longer(limit_s: float, rate: float, servers: int, service_s: float) -> float:
    """P(wait > limit) in an M/D/c queue (Franx 2001, "A simple solution for the M/D/c waiting time distribution")."""
    if rate >= servers / service_s:
        return 1.0
    upto = list(accumulate(in_system(rate, servers, service_s)))
    services = int(limit_s / service_s + 1e-9) + 1
    left = rate * (services * service_s - limit_s)
    terms = [
        upto[servers + services * servers - j - 1] * math.exp(j * math.log(left) - left - math.lgamma(j + 1))
        for j in range(services * servers)
    ]
    return 1 - math.fsum(terms)


Tail = Callable[[float], float]
"""The share of requests that take longer than the limit, by the rate."""


def highest_rate(share: float, tail: Tail, most: float, within: float = 1e-4) -> float:
    """The rate at which exactly that share of requests takes longer than the limit; more than half of the most there is."""
    low, high = 0.5 * most, most
    while high - low > within * most:
        middle = (low + high) / 2
        low, high = (middle, high) if tail(middle) < share else (low, middle)
    return low


@dataclass(frozen=True, slots=True)
class Queue:
    """c servers and one queue, in virtual time."""

    servers: int
    service_s: float
    exponential: bool = True

    def sojourns(self, rate: float, seconds: float, random: Random) -> Iterator[tuple[float, float]]:
        """The moment of each answer and how long it took; the queue begins empty and is loaded for so long."""
        free_at = [0.0] * self.servers
        moment = random.expovariate(rate)
        while moment < seconds:
            service = random.expovariate(1 / self.service_s) if self.exponential else self.service_s
            done = max(moment, free_at[0]) + service
            heapq.heapreplace(free_at, done)
            yield done, done - moment
            moment += random.expovariate(rate)

    def measured(self, rate: float, warmup_s: float, seconds: float, random: Random) -> list[Snapshot]:
        """What an engine's intervals would say of one-time events in this queue, after the warm-up."""
        intervals = [
            Snapshot(number=number, start_s=number * INTERVAL_S, end_s=(number + 1) * INTERVAL_S)
            for number in range(round(seconds / INTERVAL_S))
        ]
        took: list[list[int]] = [[] for _ in intervals]
        started = [0] * len(intervals)
        for done, sojourn in self.sojourns(rate, warmup_s + seconds, random):
            begun, ended = (int((moment - warmup_s) // INTERVAL_S) for moment in (done - sojourn, done))
            if 0 <= begun < len(intervals):
                started[begun] += 1
            if 0 <= ended < len(intervals):
                took[ended].append(round(sojourn * 1e6))
        waiting = 0
        for interval, values, count in zip(intervals, took, started, strict=True):
            waiting += count - len(values)
            interval.histograms["latency_us|response|event|message|ok"] = histogram = Histogram()
            histogram.record_many(values)
            interval.counters |= {"requests|event|message|ok": len(values), "arrivals|started|message": count}
            interval.gauges["in_flight"] = Gauge(waiting, waiting, Merge.SUM)
        return intervals
