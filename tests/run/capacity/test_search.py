"""The search against systems that are a line of code each: which rates it tries, in which order, and what it concludes."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from simulator.run.capacity.search import (
    MOST_NOTCHES,
    Conclusion,
    Ending,
    Kind,
    Outcome,
    Search,
    SearchSettings,
    Step,
    Verdict,
)

HELD = Outcome(verdict=Verdict.HELD)
FAILED = Outcome(verdict=Verdict.FAILED, why="p99 71 ms")
UNDECIDED = Outcome(verdict=Verdict.UNDECIDED, why="between 48 and 53 ms")
NOT_VALID = Outcome(verdict=Verdict.NOT_VALID, why="the engine was busy")

System = Callable[[Step], Outcome]


def holds(limit: float) -> System:
    """A CHF that holds exactly so much."""
    return lambda step: HELD if step.rate <= limit else FAILED


def searched(system: System, **settings: Any) -> tuple[list[Step], Conclusion]:
    """All steps of a search, and its conclusion."""
    search = Search(SearchSettings(**{"start": 100.0, **settings}))
    steps: list[Step] = []
    while (step := search.next_step()) is not None:
        assert len(steps) < 200
        steps.append(step)
        search.on_result(step, system(step))
    assert search.conclusion is not None
    return steps, search.conclusion


def rates(steps: list[Step], kind: Kind = Kind.PROBE) -> list[float]:
    return [step.rate for step in steps if step.kind is kind]


def test_it_doubles_bisects_and_confirms() -> None:
    steps, end = searched(holds(1010), resolution=0.1)
    assert rates(steps) == [100, 200, 400, 800, 1600, 1200, 1000, 1100]
    assert rates(steps, Kind.CONFIRM) == [1000]
    assert steps[-1].kind is Kind.CONFIRM
    assert end == Conclusion(ending=Ending.FOUND, holds=1000, confirmed=True, above=1100, why="p99 71 ms")


@pytest.mark.parametrize("limit", [100, 101, 199.9, 200, 333, 1234, 98_765])
@pytest.mark.parametrize("resolution", [0.01, 0.02, 0.1])
def test_what_it_finds_is_within_the_resolution(limit: float, resolution: float) -> None:
    steps, end = searched(holds(limit), resolution=resolution)
    assert end.ending is Ending.FOUND
    assert end.holds is not None
    assert end.above is not None
    assert end.holds <= limit < end.above <= end.holds * (1 + resolution) + 1e-9
    assert len(steps) < 30


def test_the_numbers_of_steps_count_up_and_only_the_first_comes_without_a_rest() -> None:
    steps, _ = searched(holds(300), step_s=10, confirm_s=40, cool_down_s=3, resolution=0.5)
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    assert [step.cool_down_s for step in steps] == [0, 3, 3, 3, 3]
    assert [step.seconds for step in steps] == [10, 10, 10, 10, 40]


def test_a_system_that_never_fails_ends_at_the_highest_rate_asked_for() -> None:
    steps, end = searched(lambda step: HELD, highest=1500)
    assert rates(steps) == [100, 200, 400, 800, 1500]
    assert rates(steps, Kind.CONFIRM) == [1500]
    assert end == Conclusion(ending=Ending.AT_LEAST, holds=1500, confirmed=True)


def test_without_a_highest_rate_it_goes_on_until_the_bound_on_steps() -> None:
    steps, end = searched(lambda step: HELD, most_steps=6)
    assert rates(steps) == [100, 200, 400, 800, 1600, 3200]
    assert end == Conclusion(ending=Ending.GAVE_UP, holds=3200, why="the bound on steps was reached")


def test_a_step_that_would_take_longer_than_all_may_is_not_begun() -> None:
    steps, end = searched(holds(1010), step_s=30, cool_down_s=5, most_s=170)
    assert rates(steps) == [100, 200, 400, 800, 1600], "30 + 4 * 35 s"
    assert end == Conclusion(ending=Ending.GAVE_UP, holds=800, above=1600, why="the bound on time was reached")


def test_a_system_that_fails_at_once_holds_nothing() -> None:
    steps, end = searched(lambda step: FAILED)
    assert rates(steps) == [100]
    assert end == Conclusion(ending=Ending.NOTHING_HELD, above=100, why="p99 71 ms")


# -- the generator's limit ----------------------------------------------------------------------------------------------


def test_a_generator_that_saturates_bounds_the_search_and_says_nothing_about_the_chf() -> None:
    steps, end = searched(lambda step: HELD if step.rate <= 500 else NOT_VALID, resolution=0.1)
    assert rates(steps) == [100, 200, 400, 800, 800, 600, 600, 500, 550, 550]
    assert end == Conclusion(
        ending=Ending.GENERATOR_LIMIT,
        holds=500,
        confirmed=True,
        above=550,
        above_is_valid=False,
        why="the engine was busy",
    )


def test_below_the_generators_limit_a_step_that_fails_is_an_answer() -> None:
    def system(step: Step) -> Outcome:
        return NOT_VALID if step.rate > 700 else holds(450)(step)

    steps, end = searched(system, resolution=0.1)
    assert rates(steps) == [100, 200, 400, 800, 800, 600, 500, 450, 475]
    assert (end.ending, end.holds, end.above, end.above_is_valid) == (Ending.FOUND, 450, 475, True)


def test_a_generator_that_was_the_limit_once_is_forgiven() -> None:
    hiccups = {3, 7}
    steps, end = searched(
        lambda step: NOT_VALID if step.number in hiccups else holds(1010)(step), resolution=0.1, cool_down_s=1
    )
    assert rates(steps) == [100, 200, 400, 400, 800, 1600, 1200, 1200, 1000, 1100]
    assert (end.ending, end.holds) == (Ending.FOUND, 1000)


def test_a_generator_that_cannot_even_offer_the_first_rate_is_no_failure_of_the_chf() -> None:
    steps, end = searched(lambda step: NOT_VALID)
    assert rates(steps) == [100, 100]
    assert end == Conclusion(ending=Ending.GENERATOR_LIMIT, above=100, above_is_valid=False, why="the engine was busy")


def test_a_confirming_step_that_the_generator_spoils_leaves_an_answer_that_is_not_confirmed() -> None:
    steps, end = searched(lambda step: NOT_VALID if step.kind is Kind.CONFIRM else holds(1010)(step), resolution=0.1)
    assert rates(steps, Kind.CONFIRM) == [1000, 1000]
    assert (end.ending, end.holds, end.confirmed, end.above) == (Ending.GENERATOR_LIMIT, 1000, False, 1100)
    assert (end.above_is_valid, end.why) == (True, "the engine was busy")


# -- not decided --------------------------------------------------------------------------------------------------------


def test_what_is_not_decided_is_looked_at_again_for_longer_and_fails_in_the_end() -> None:
    def system(step: Step) -> Outcome:
        return UNDECIDED if step.rate > 1010 else HELD

    steps, end = searched(system, resolution=0.5, step_s=10)
    assert [(step.rate, step.look, step.seconds) for step in steps[4:]] == [
        (1600, 1, 10), (1600, 2, 20), (1600, 3, 40), (1200, 1, 10), (1200, 2, 20), (1200, 3, 40), (800, 1, 90),
    ]  # fmt: skip
    assert end.above == 1200
    assert end.why == "between 48 and 53 ms, not decided, which counts as failed"


def test_what_is_decided_at_a_second_look_goes_on_from_there() -> None:
    steps, end = searched(
        lambda step: UNDECIDED if step.rate == 800 and step.look == 1 else holds(1010)(step), resolution=0.1
    )
    assert rates(steps)[:6] == [100, 200, 400, 800, 800, 1600]
    assert [step.look for step in steps[:6]] == [1, 1, 1, 1, 2, 1]
    assert end.holds == 1000


def test_a_spoilt_second_look_is_made_again_as_a_second_look() -> None:
    told = iter([HELD, UNDECIDED, NOT_VALID, HELD, FAILED])
    steps, end = searched(lambda step: next(told, HELD), resolution=1.0)
    assert [(step.rate, step.look) for step in steps[:5]] == [(100, 1), (200, 1), (200, 2), (200, 2), (400, 1)]
    assert end.holds == 200


# -- confirming ---------------------------------------------------------------------------------------------------------


def test_a_rate_that_is_not_confirmed_falls_back_by_growing_notches() -> None:
    def system(step: Step) -> Outcome:
        return holds(1010 if step.kind is Kind.PROBE else 900)(step)

    steps, end = searched(system, resolution=0.02)
    confirming = rates(steps, Kind.CONFIRM)
    assert confirming == [1000, 980.4, 942.7, 872.9]
    assert (end.ending, end.holds, end.confirmed, end.above) == (Ending.FOUND, 872.9, True, 942.7)


def test_a_system_that_tires_at_any_rate_holds_nothing() -> None:
    steps, end = searched(lambda step: FAILED if step.kind is Kind.CONFIRM else HELD, highest=100_000)
    assert len(rates(steps, Kind.CONFIRM)) == MOST_NOTCHES + 1
    assert (end.ending, end.confirmed) == (Ending.NOTHING_HELD, False)


def test_falling_back_never_goes_below_the_first_rate() -> None:
    steps, end = searched(lambda step: FAILED if step.kind is Kind.CONFIRM else holds(102)(step))
    assert rates(steps, Kind.CONFIRM)[-1] == 100
    assert (end.ending, end.holds, end.above) == (Ending.NOTHING_HELD, None, 100)


# -- stranger systems ---------------------------------------------------------------------------------------------------


def test_a_system_that_holds_again_above_is_searched_below_the_first_rate_that_failed() -> None:
    """Not monotonic: 1100 to 1300 does not hold, 1600 would. The answer stays on the safe side."""
    steps, end = searched(lambda step: FAILED if 700 < step.rate < 900 else HELD, resolution=0.1)
    assert rates(steps) == [100, 200, 400, 800, 600, 700, 750]
    assert (end.ending, end.holds, end.above) == (Ending.FOUND, 700, 750)


@pytest.mark.parametrize("seed", range(20))
def test_a_noisy_system_is_found_near_its_limit(seed: int) -> None:
    """It holds by chance, with a probability that falls from 1 to 0 between 900 and 1100."""
    random = Random(seed)

    def system(step: Step) -> Outcome:
        chance = min(1.0, max(0.0, (1100 - step.rate) / 200))
        drawn = random.random()
        if step.look == 1 and abs(drawn - chance) < 0.1:
            return UNDECIDED
        return HELD if drawn < chance else FAILED

    _, end = searched(system)
    assert end.ending is Ending.FOUND
    assert end.holds is not None
    assert 880 < end.holds < 1100


@pytest.mark.parametrize("seed", range(200))
def test_whatever_a_system_does_the_search_ends_and_never_says_more_than_was_seen(seed: int) -> None:
    random = Random(seed)
    told: list[tuple[Step, Outcome]] = []

    def system(step: Step) -> Outcome:
        outcome = random.choice([HELD, HELD, HELD, FAILED, UNDECIDED, NOT_VALID])
        told.append((step, outcome))
        return outcome

    steps, end = searched(system, highest=10_000, most_steps=40)
    assert len(steps) <= 40
    held = {step.rate for step, outcome in told if outcome is HELD}
    failed = {step.rate for step, outcome in told if outcome in (FAILED, UNDECIDED)}
    assert end.holds is None or end.holds in held
    assert not end.confirmed or told[-1] == (steps[-1], HELD)
    if end.ending is Ending.FOUND:
        assert end.confirmed
        assert end.above in failed
        assert end.holds is not None
        assert end.above is not None
        assert end.holds < end.above


def test_it_insists_on_the_result_of_the_step_that_it_asked_for() -> None:
    search = Search(SearchSettings(start=100))
    step = search.next_step()
    assert step is not None
    assert search.next_step() == step, "asked twice, answered alike"
    other = Step(number=1, kind=Kind.PROBE, rate=200, seconds=30, cool_down_s=0)
    with pytest.raises(ValueError, match="expected the result of"):
        search.on_result(other, HELD)
    search.on_result(step, HELD)
    with pytest.raises(ValueError, match="expected the result of None"):
        search.on_result(step, HELD)


def test_told_the_same_results_it_asks_for_the_same_steps() -> None:
    """So a search that was broken off goes on from its records."""
    steps, end = searched(holds(1010), resolution=0.02)
    search = Search(SearchSettings(start=100, resolution=0.02))
    for step in steps:
        assert search.next_step() == step
        search.on_result(step, holds(1010)(step))
    assert search.next_step() is None
    assert search.conclusion == end


def test_a_highest_rate_below_the_first_is_refused() -> None:
    with pytest.raises(ValueError, match="the highest rate, 50, is less than the first one, 100"):
        Search(SearchSettings(start=100, highest=50))
