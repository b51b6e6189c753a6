"""A run over time in a bounded number of points: nothing is lost when they are merged."""

from __future__ import annotations

import pytest

from simulator.measure import Gauge, Histogram, Merge, Snapshot
from simulator.report.series import ALL, MOST_POINTS, Series
from tests.report.folders import snapshots


def interval(
    step: int, *, seconds: float = 0.5, phase: str = "steady", value_us: int = 1_000, **gauges: Gauge
) -> Snapshot:
    histogram = Histogram()
    histogram.record_many([value_us + step] * 3)
    return Snapshot(
        number=step + 1, start_s=step * seconds, end_s=(step + 1) * seconds, phase=phase,
        counters={"requests|update|video|ok": 3, "arrivals|started": 2}, gauges=dict(gauges),
        histograms={"latency_us|response|update|video|ok": histogram},
    )  # fmt: skip


@pytest.mark.parametrize("steps", [1, 599, 600, 601, 1_200, 1_201, 7_200])
def test_however_long_a_run_is_its_points_fit_and_its_counts_stay(steps: int) -> None:
    series = Series()
    for step in range(steps):
        series.add(0, interval(step))
    points = list(series)
    assert len(points) <= MOST_POINTS
    assert len(points) > MOST_POINTS / 2 or steps <= MOST_POINTS / 2
    assert sum(point.count("requests") for point in points) == 3 * steps
    assert sum(point.seconds for point in points) == steps / 2
    assert series.ends_s == [(place + 1) * series.step_s for place in range(len(points))]
    assert series.ends_s[-1] >= steps / 2 > series.ends_s[-1] - series.step_s


def test_the_percentiles_of_a_merged_point_are_those_of_its_values() -> None:
    series = Series()
    for step in range(2_000):
        series.add(0, interval(step, value_us=500 + step * step % 4_000))
    assert series.step_s == 2.0
    for place, point in enumerate(series):
        whole = Histogram()
        for step in range(4 * place, 4 * place + 4):
            whole.record_many([500 + step * step % 4_000 + step] * 3)
        assert point.latency("response") == point.latency("response", "update") == whole


def test_all_operations_together_are_one_histogram() -> None:
    series = Series()
    for worker, snapshot in snapshots(6, 2):
        series.add(worker, snapshot)
    for point in series:
        together = point.latency("response", ALL)
        apart = [point.latency("response", operation) for operation in ("create", "update", "release", "event")]
        assert together is not None
        assert together.count == sum(each.count for each in apart if each is not None) > 0
    assert next(iter(series)).latency("nothing") is None


def test_workers_are_aligned_by_time_and_not_by_the_number_of_their_interval() -> None:
    series = Series()
    for step in range(10):
        series.add(0, interval(step))
    late = interval(0)
    late.start_s, late.end_s = 3.02, 3.53  # a worker that began late, or was cut off for a while
    series.add(1, late)
    assert [point.count("requests") for point in series] == [3, 3, 3, 3, 3, 3, 6, 3, 3, 3]
    assert list(series)[6].rate(6) == pytest.approx(6 / 0.51, abs=0.001)


def test_a_moment_in_which_nobody_reported_is_an_empty_point() -> None:
    series = Series()
    series.add(0, interval(0))
    series.add(0, interval(4))
    assert [point.seconds for point in series] == [0.5, 0, 0, 0, 0.5]
    assert list(series)[2].latency("response") is None
    assert list(series)[2].level("sessions_open") is None
    assert list(series)[2].rate(5) == 0.0


def test_levels_of_workers_are_summed_or_the_highest_and_of_merged_points_the_latest() -> None:
    series = Series()
    for step in range(1_200):
        for worker in range(2):
            levels = {
                "open": Gauge(10.0 * worker + step, 99.0, Merge.SUM),
                "lag": Gauge(5.0, 100.0 * worker + step, Merge.MAX),
                "stage": Gauge(float(step // 600), float(step // 600), Merge.LAST),
            }
            series.add(worker, interval(step, **levels))
    last = list(series)[-1]
    assert series.step_s == 1.0
    assert last.level("open") == 1_199 + 1_209
    assert last.level("lag") == 1_299
    assert last.level("stage") == 1
    assert next(iter(series)).level("stage") == 0


def test_phases_follow_one_another_without_overlap() -> None:
    series = Series()
    for step, phase in enumerate(["warmup", "warmup", "steady", "steady", "drain"]):
        series.add(0, interval(step, phase=phase))
    early = interval(3, phase="drain")
    series.add(1, early)
    assert series.spans() == [("warmup", 0.0, 1.0), ("steady", 1.0, 2.0), ("drain", 2.0, 2.5)]
    assert Series().spans() == []
    assert list(Series()) == []
