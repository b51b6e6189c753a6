"""The parts of the benchmark that are not measurements: judging figures, and the work that is measured."""

import importlib
from pathlib import Path

import pytest

from tests.performance.budget import BUDGETS, Figure, arrival_error, failed
from tests.performance.canned import session_messages, session_profile
from tests.performance.measurements import arrival_times

SECOND = 1_000_000_000
EVERY_MILLISECOND = [number * SECOND // 1000 for number in range(12_000)]


def all_figures(**values: float) -> dict[str, Figure]:
    good = {budget.key: Figure.of([budget.aim]) for budget in BUDGETS}
    return good | {key: Figure.of([value]) for key, value in values.items()}


def test_a_session_of_the_benchmark_is_a_create_three_updates_and_a_release() -> None:
    actions = [path.rpartition(b"/")[2] for path, _ in session_messages()]
    assert actions == [b"chargingdata", b"update", b"update", b"update", b"release"]


def test_a_figure_is_the_median_of_its_runs() -> None:
    assert Figure.of([3, 1, 5]) == Figure(median=3, lowest=1, highest=5)


def test_shares_fail_below_their_bar_and_costs_above() -> None:
    figures = all_figures(engine_vs_h2load=0.149, engine_vs_httpx=41, first_request_s=2.1, arrival_error=0.009)
    assert failed(figures, everything_required=False) == ["engine_vs_h2load", "first_request_s"]


def test_a_figure_that_was_not_measured_fails_only_where_everything_is_required() -> None:
    figures = all_figures() | {"engine_vs_h2load": Figure(missing="no h2load")}
    assert failed(figures, everything_required=False) == []
    assert failed(figures, everything_required=True) == ["engine_vs_h2load"]


@pytest.mark.parametrize(("late_ms", "error"), [(0, 0.0), (3, 0.0003)])
def test_arrivals_that_are_all_a_little_late_are_off_only_at_the_edges(late_ms: int, error: float) -> None:
    observed = [moment + late_ms * SECOND // 1000 for moment in EVERY_MILLISECOND]
    assert arrival_error(EVERY_MILLISECOND, observed, 12 * SECOND) == pytest.approx(error)


def test_arrivals_that_are_missing_for_a_tenth_of_a_second_are_a_hundredth_of_ten_seconds() -> None:
    observed = [moment for moment in EVERY_MILLISECOND if not 5 * SECOND <= moment < 5.1 * SECOND]
    assert arrival_error(EVERY_MILLISECOND, observed, 12 * SECOND) == pytest.approx(0.01)


def test_arrivals_are_judged_over_ten_seconds_at_least() -> None:
    with pytest.raises(ValueError, match="less than 10 s"):
        arrival_error(EVERY_MILLISECOND, EVERY_MILLISECOND, 9 * SECOND)


@pytest.mark.parametrize(
    "script", sorted(file.stem for file in (Path(__file__).parent / "performance").glob("[a-z]*.py"))
)
def test_every_measurement_can_be_loaded(script: str) -> None:
    """They are run by hand; what they use may have moved meanwhile."""
    importlib.import_module(f"tests.performance.{script}")


@pytest.mark.parametrize("spacing", ["constant", "poisson"])
def test_the_schedule_that_arrivals_are_held_against_is_the_engines(spacing: str) -> None:
    overrides = ["load.mode=open", "load.devices=null", "load.rate=2000", f"load.spacing={spacing}", "load.duration=2s"]
    moments = arrival_times(session_profile(*overrides))
    assert moments == sorted(moments)
    assert len(moments) == pytest.approx(4000, abs=1 if spacing == "constant" else 250)
    assert 0 < moments[0] < moments[-1] < 2 * SECOND
