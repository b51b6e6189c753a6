"""The answer against theory: queues whose highest rate is known, in virtual time over many seeds, and once for real.

A search errs on the safe side: what it says to hold was shown to hold, and is the lower end of an interval as wide as the
resolution. So its answers lie a little below the theoretical rate, the less the longer the steps.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random
from statistics import mean
from typing import Any

import pytest

from simulator.config import Servers
from simulator.measure import parse_threshold
from simulator.run.capacity import CapacityOptions, SearchSettings, find_capacity
from simulator.run.capacity.evidence import Evidence
from simulator.run.capacity.judgement import confidence_of_a_look, judge_step
from simulator.run.capacity.search import Conclusion, Ending, Search
from simulator.sandbox.capacity import Capacity
from tests.run.capacity.fakes import FINE
from tests.run.capacity.queueing import Queue, highest_rate, slower_than, waits_longer
from tests.world import MESSAGE, traffic

WITHIN = 0.05
WARMUP_S = 1.0


@cache
def theory(queue: Queue, allowed: float, limit_s: float) -> float:
    """The rate at which exactly that share of requests takes longer than the limit."""
    servers, service_s = queue.servers, queue.service_s
    if queue.exponential:
        return highest_rate(allowed, lambda rate: slower_than(limit_s, rate, servers, service_s), servers / service_s)
    return highest_rate(
        allowed, lambda rate: waits_longer(limit_s - service_s, rate, servers, service_s), servers / service_s
    )


def searched(queue: Queue, slo: str, confidence: float, settings: SearchSettings, seed: int) -> Conclusion:
    """A search whose steps are the queue in virtual time."""
    search, random = Search(settings), Random(seed)
    confidence = confidence_of_a_look(confidence, settings.most_looks)
    runs = []
    while (step := search.next_step()) is not None:
        runs = runs if step.look > 1 else []
        runs.append(queue.measured(step.rate, WARMUP_S, step.seconds, random))
        outcome, _ = judge_step([parse_threshold(slo)], Evidence(runs), FINE, step.rate, confidence)
        search.on_result(step, outcome)
    assert search.conclusion is not None
    return search.conclusion


def errors(queue: Queue, slo: str, limit_s: float, confidence: float, settings: SearchSettings) -> list[float]:
    """How far the answers of twenty seeds are from theory, relatively."""
    truth = theory(queue, 0.1, limit_s)
    found = [searched(queue, slo, confidence, settings, seed) for seed in range(20)]
    assert {each.ending for each in found} == {Ending.FOUND}
    return [(each.holds or 0.0) / truth - 1 for each in found]


def test_exponential_service_twenty_seeds() -> None:
    """M/M/16 of 20 ms: 800/s at the very most, and 732/s with nine of ten within 62 ms."""
    queue = Queue(16, 0.02)
    settings = SearchSettings(start=400, highest=1600, step_s=12, confirm_s=24, cool_down_s=0, most_looks=2)
    off = errors(queue, "response.event.p90 < 62ms", 0.062, 0.8, settings)
    assert -0.035 < mean(off) <= 0
    assert sum(abs(each) <= WITHIN for each in off) >= 19


def test_twenty_seeds_at_the_settings_of_the_real_run() -> None:
    off = errors(REAL_QUEUE, SLO, 0.070, REAL_CONFIDENCE, REAL)
    assert abs(mean(off)) < 0.025
    assert all(abs(each) <= WITHIN for each in off)


def test_longer_steps_come_closer_and_are_as_sure() -> None:
    """At 95 %, with all looks: within 2.5 % where short steps at that confidence are off by twice as much."""
    queue = Queue(16, 0.02, exponential=False)
    settings = SearchSettings(start=400, highest=1600, step_s=40, confirm_s=80, resolution=0.01)
    truth = theory(queue, 0.1, 0.030)
    found = [searched(queue, "response.event.p90 < 30ms", 0.95, settings, seed).holds or 0.0 for seed in range(3)]
    assert all(0.975 < each / truth < 1.005 for each in found)


# -- for real -----------------------------------------------------------------------------------------------------------

REAL = SearchSettings(
    start=1500, highest=2200, resolution=0.02, step_s=7, confirm_s=10, cool_down_s=0, most_looks=1
)  # fmt: skip
REAL_CONFIDENCE = 0.6
"""Little more than the point estimate: at 95 % such short steps would prove less than the queue holds."""
REAL_QUEUE = Queue(40, 0.02)
SLO = "response.event.p90 < 70ms"
"""So long that a few milliseconds of timers and of a busy machine move the answer by half a percent only."""


def real_search(folder: Path, seed: int) -> dict[str, Any]:
    """Search the sandbox as that queue: engine processes, sockets, the clock on the wall."""
    profile = traffic(
        {"rate": "1500/s"},
        usages={"message": MESSAGE},
        pace="1x",
        subscribers={"count": 100_000},
        network_functions={"smsf": {"kind": "SMSF", "count": 2}},
        connections={"per_network_function": 2, "streams": 1000},
        sandbox={"servers": {"count": 40, "service_time": {"exponential": {"mean": "20ms"}}, "queue": 5000}},
    )
    options = CapacityOptions(
        profile=profile, search=REAL, slos=[SLO], confidence=REAL_CONFIDENCE, warmup_s=WARMUP_S, seed=seed
    )
    result: dict[str, Any] = find_capacity(options, folder)["result"]
    return result


@pytest.mark.timeout(500)
def test_against_the_sandbox_as_a_queue_of_known_capacity(tmp_path: Path) -> None:
    """One-time events, Poisson arrivals, 40 exponential servers of 20 ms: 1,944/s with nine of ten within 70 ms, 2,000/s at most.

    So many servers, because the number of arrivals in a short step varies by chance, the less the more there are. A search that
    something else on the machine has spoiled is made once more; a second one that is wrong is wrong.
    """
    truth = theory(REAL_QUEUE, 0.1, 0.070)
    for seed in (41, 42):
        result = real_search(tmp_path / str(seed), seed)
        if result["exit_code"] == 0 and result["holds_per_s"] == pytest.approx(truth, rel=WITHIN):
            break
    assert (result["ending"], result["exit_code"], result["confirmed"]) == ("found", 0, True), result["sentence"]
    assert result["holds_per_s"] == pytest.approx(truth, rel=WITHIN), result["sentence"]
    assert result["holds_requests_per_s"] == pytest.approx(result["holds_per_s"], rel=0.05)


@pytest.mark.parametrize(
    ("law", "queue"),
    [({"exponential": {"mean": "20ms"}}, Queue(10, 0.02)), ({"fixed": "20ms"}, Queue(10, 0.02, exponential=False))],
)
def test_the_sandboxs_queue_is_the_one_of_the_theory(law: dict[str, Any], queue: Queue) -> None:
    """Its core, fed with Poisson arrivals in virtual time."""
    servers = Servers.model_validate({"count": 10, "service_time": law, "queue": 100_000})
    core, random, moment, took = Capacity(servers, seed=4), Random(4), 0.0, []
    for _ in range(100_000):
        moment += random.expovariate(420)
        done = core.admit(int(moment * 1e9))
        assert done is not None
        took.append(done / 1e9 - moment)
    slow = sum(each > 0.03 for each in took) / len(took)
    expected = slower_than(0.03, 420, 10, 0.02) if queue.exponential else waits_longer(0.01, 420, 10, 0.02)
    assert slow == pytest.approx(expected, rel=0.1)
