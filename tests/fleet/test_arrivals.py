from __future__ import annotations

import math
from itertools import islice, pairwise
from typing import Any

import pytest

from simulator.config import Load
from simulator.fleet.arrivals import Arrivals
from simulator.fleet.draws import seed_key
from simulator.fleet.timeline import Timeline
from simulator.n40.flow import NEVER, NS_PER_S
from tests.statistics_of import kolmogorov_smirnov

KEY = seed_key(1)
MILLISECOND = 1_000_000
CRITICAL = 1.63


def arrivals(load: dict[str, Any], lane: int = 0, key: bytes = KEY) -> Any:
    """Moments in ns after the start."""
    checked = Load.model_validate(load)
    timeline = Timeline(checked.timeline, 0)
    process = Arrivals(timeline, timeline.lanes[lane], checked.lanes[lane][1], key)
    while process.moment < NEVER:
        yield process.moment
        process.advance()


def constant(*stages: dict[str, Any], **load: Any) -> list[float]:
    """Milliseconds, exactly."""
    return [moment / MILLISECOND for moment in arrivals({"spacing": "constant", "stages": list(stages)} | load)]


# -- exact tables -------------------------------------------------------------------------------------------------------


def test_a_constant_rate() -> None:
    assert constant({"rate": "4/s", "for": "2s"}) == [250, 500, 750, 1000, 1250, 1500, 1750]
    assert list(arrivals({"rate": "4/s", "duration": "2s", "spacing": "constant"})) == [
        each * MILLISECOND for each in constant({"rate": "4/s", "for": "2s"})
    ]


def test_a_ramp_from_nothing() -> None:
    """The area under 2/s^2 is t^2: the k-th arrival is at the root of k."""
    assert constant({"ramp_to": "6/s", "for": "3s"}) == [round(math.sqrt(k) * 1e9) / 1e6 for k in range(1, 9)]


def test_a_ramp_goes_on_from_the_rate_before_it_and_down_again() -> None:
    up_and_down = constant({"rate": "2/s", "for": "1s"}, {"ramp_to": "6/s", "for": "1s"}, {"ramp_to": 0, "for": "1s"})
    assert up_and_down == [500, *(
        round(1e9 + 1e9 * (math.sqrt(1 + 2 * area) - 1) / 2) / 1e6 for area in (0, 1, 2, 3)
    ), *(
        round(2e9 + 1e9 * (1 - math.sqrt(1 - area / 3))) / 1e6 for area in (0, 1, 2)
    )]  # fmt: skip


def test_a_ramp_with_a_beginning_of_its_own() -> None:
    assert constant({"ramp_to": "1/s", "from": "3/s", "for": "2s"}) == [
        round(1e9 * (3 - math.sqrt(9 - 2 * area))) / 1e6 for area in (1, 2, 3)
    ]


def test_steps_are_equal_and_each_is_held() -> None:
    stages = {"rate": "2/s", "for": "1s"}, {"steps_to": "5/s", "by": "2/s", "each": "1s"}
    assert constant(*stages) == [500, 1000, 1250, 1500, 1750, 2000, 2200, 2400, 2600, 2800]


def test_steps_down() -> None:
    assert constant({"steps_to": "1/s", "from": "3/s", "by": "1/s", "each": "2s"}) == [500, 1000, 1500, 2000, 3000]


def test_after_a_spike_it_goes_on_as_before() -> None:
    stages = {"rate": "1/s", "for": "2s"}, {"spike": "4/s", "for": "1s"}, {"ramp_to": "1/s", "for": "2s"}
    assert constant(*stages) == [1000, 2000, 2250, 2500, 2750, 3000, 4000]


def test_nothing_comes_in_a_pause_and_what_falls_on_its_beginning_comes_after_it() -> None:
    stages = {"rate": "2/s", "for": "1s"}, {"pause": "10s"}, {"rate": "2/s", "for": "1s"}
    assert constant(*stages) == [500, 11_000, 11_500]


def test_a_burst_has_exactly_so_many_evenly_whatever_the_spacing() -> None:
    stages = [{"pause": "1s"}, {"burst": 5, "for": "2s"}, {"burst": 2, "for": "1s"}]
    assert constant(*stages) == [1000, 1400, 1800, 2200, 2600, 3000, 3500]
    assert [each / MILLISECOND for each in arrivals({"stages": stages})] == constant(*stages)


def test_bursts_come_beside_the_arrivals_of_the_other_stages() -> None:
    load = {"stages": [{"rate": "100/s", "for": "1s"}, {"burst": 3, "for": "1s"}, {"rate": "100/s", "for": "1s"}]}
    drawn, burst = list(arrivals(load, 0)), list(arrivals(load, 1))
    assert [each / MILLISECOND for each in burst] == [1000, 1333.333333, 1666.666667]
    assert all(not NS_PER_S <= each < 2 * NS_PER_S for each in drawn)
    assert len(drawn) > 150


def test_a_day_goes_straight_from_hour_to_hour_and_round_midnight() -> None:
    """A day of 24 s: at 23:00 2/s, at 00:00 4/s, at 01:00 nothing."""
    rates = ["4/s", 0, *([0] * 21), "2/s"]
    moments = constant({"daily": rates, "starts_at": "22:30", "day_takes": "24s", "for": "2500ms"})

    # 22:30 to 23:00: 0.75; to 00:00: 3.75; to 01:00: 5.75
    risen = [round(0.5e9 + 1e9 * (math.sqrt(4 + 4 * (area - 0.75)) - 2) / 2) / 1e6 for area in (1, 2, 3)]
    fallen = [round(1.5e9 + 1e9 * (4 - math.sqrt(16 - 8 * (area - 3.75))) / 4) / 1e6 for area in (4, 5)]
    assert moments == risen + fallen


def test_a_replay_keeps_its_moments() -> None:
    stages = {"pause": "1s"}, {"replay": [0, 0.25, 0.25, 1.5, 7], "for": "3s"}, {"rate": "1/s", "for": "3s"}
    moments = list(arrivals({"spacing": "constant", "stages": list(stages)}, 1))
    assert [each / MILLISECOND for each in moments] == [1000, 1250, 1250, 2500]


def test_constant_arrivals_do_not_drift() -> None:
    """The millionth arrival at 3,000 a second is where it belongs, to the nanosecond."""
    load = {"rate": "3000/s", "spacing": "constant", "duration": "10000s"}
    moment = next(islice(arrivals(load), 999_999, None))
    assert abs(moment - 1_000_000 * NS_PER_S // 3000) <= 1


@pytest.mark.parametrize("rate", [0.01, 1.0, 7.5, 0.3, 12_345.6])
def test_nothing_arrives_at_the_end_or_after_it(rate: float) -> None:
    """An arrival at exactly the end is the first one that is left out."""
    load = {"rate": rate, "duration": 5 / rate}
    assert len(list(arrivals(load | {"spacing": "constant"}))) == 4
    assert all(moment < 5 / rate * NS_PER_S for moment in arrivals(load))


def test_a_rate_that_is_no_binary_fraction_has_no_arrival_too_many() -> None:
    """2.2 x 25 is a little more than 55 in floating point; the 55th is at the end, and left out."""
    assert len(constant({"rate": "2.2/s", "for": "25s"})) == 54
    assert constant({"rate": "2.2/s", "for": "25s"}, {"rate": "1/s", "for": "2s"})[-2:] == [25_000, 26_000]


def test_a_duration_cuts_the_stages_short() -> None:
    assert constant({"rate": "2/s", "for": "1s"}, {"rate": "4/s", "for": "1h"}, duration="1600ms") == [
        500, 1000, 1250, 1500,
    ]  # fmt: skip


# -- the law of a Poisson process ---------------------------------------------------------------------------------------


def gaps_of(times: list[int]) -> list[float]:
    return [(later - earlier) / NS_PER_S for earlier, later in pairwise([0, *times])]


def exponential(rate: float) -> Any:
    return lambda gap: 1 - math.exp(-rate * gap)


def test_gaps_of_poisson_arrivals_are_exponential() -> None:
    gaps = gaps_of(list(islice(arrivals({"rate": "100/s", "duration": "1000s"}), 20_000)))
    assert kolmogorov_smirnov(gaps, exponential(100)) < CRITICAL
    following = [first > 0.01 and second > 0.01 for first, second in pairwise(gaps)]
    assert sum(following) / len(following) == pytest.approx(math.exp(-2), abs=0.01), "gaps do not depend on each other"


def test_every_gap_is_a_draw_of_its_own() -> None:
    for seed in range(20):
        gaps = gaps_of(list(islice(arrivals({"rate": "1/s", "duration": "1h"}, key=seed_key(seed)), 50)))
        assert len({round(gap, 7) for gap in gaps}) == 50, "also the first and the second one"


def test_the_test_of_the_gaps_rejects_what_is_not_exponential() -> None:
    even = gaps_of(list(arrivals({"rate": "100/s", "duration": "20s", "spacing": "constant"})))
    assert kolmogorov_smirnov(even, exponential(100)) > 10 * CRITICAL
    poisson = gaps_of(list(islice(arrivals({"rate": "100/s", "duration": "1000s"}), 20_000)))
    assert kolmogorov_smirnov(poisson, exponential(103)) > CRITICAL, "nor what has another rate"
    pairs = [(one + other) / 2 for one, other in zip(poisson[::2], poisson[1::2], strict=True)]
    assert kolmogorov_smirnov(pairs, exponential(100)) > CRITICAL, "nor an Erlang law of the same mean"


@pytest.mark.parametrize(
    "stages",
    [
        [{"ramp_to": "400/s", "for": "60s"}],
        [{"ramp_to": "10/s", "from": "300/s", "for": "60s"}, {"rate": "90/s", "for": "20s"}],
        [
            {"steps_to": "400/s", "by": "40/s", "each": "5s"},
            {"spike": "900/s", "for": "2s"},
            {"ramp_to": 0, "for": "9s"},
        ],
    ],
    ids=["ramp", "ramp down", "steps"],
)
def test_poisson_arrivals_of_a_changing_rate_are_a_poisson_process_in_the_time_of_its_area(stages: Any) -> None:
    """Where the clock is the area under the curve, their gaps are exponential with mean 1."""
    load = {"stages": stages}
    (lane,) = Timeline(Load.model_validate(load).timeline, 0).lanes
    areas = [lane.area_at(moment / NS_PER_S) for moment in arrivals(load)]
    assert len(areas) > 5_000
    gaps = [later - earlier for earlier, later in pairwise([0.0, *areas])]
    assert kolmogorov_smirnov(gaps, exponential(1)) < CRITICAL
    shares = [area / lane.area for area in areas]
    assert kolmogorov_smirnov(shares, lambda share: share) < CRITICAL, "given their number, they lie evenly"
    in_time = [moment / arrivals_end(load) for moment in arrivals(load)]
    assert kolmogorov_smirnov(in_time, lambda share: share) > CRITICAL, "but not in seconds"


def arrivals_end(load: dict[str, Any]) -> float:
    return Load.model_validate(load).planned_s * NS_PER_S


def test_poisson_arrivals_have_the_rate_that_was_asked_for() -> None:
    count = sum(1 for _ in arrivals({"rate": "200/s", "duration": "100s"}))
    assert abs(count - 20_000) < 4 * math.sqrt(20_000)


def test_poisson_arrivals_at_twice_the_rate_are_the_same_ones_in_half_the_time() -> None:
    slow = islice(arrivals({"rate": "50/s", "duration": "1h"}), 100)
    fast = islice(arrivals({"rate": "100/s", "duration": "1h"}), 100)
    assert all(abs(late - 2 * early) <= 2 for late, early in zip(slow, fast, strict=True))


def test_seeds_have_arrivals_of_their_own() -> None:
    firsts = {next(arrivals({"rate": "1/s", "duration": "1h"}, key=seed_key(seed))) for seed in range(100)}
    assert len(firsts) == 100
    assert min(firsts) > 0
