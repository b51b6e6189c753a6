"""What the charts show adds up to what was counted."""

from __future__ import annotations

import math
from pathlib import Path

import orjson
import pytest

from simulator.measure import Gauge, Merge, Snapshot
from simulator.report.charts import MOST_EVENTS, MOST_LINES, chart_data
from simulator.report.run_folder import RunRecord
from tests.report.folders import record


@pytest.fixture
def run(tmp_path: Path) -> RunRecord:
    return record(tmp_path, workers=2, failing=2)


def test_every_column_over_time_is_as_long_as_the_time(run: RunRecord) -> None:
    data = chart_data(run)
    columns = [
        *data["rate"].values(), *data["requests"].values(), *data["codes"].values(), data["open"], *data["sessions"].values(),
        *data["connections"].values(), *data["cpu"].values(), *data["delays"].values(),
        *(column for unit in data["units"].values() for column in unit["columns"].values()),
        *(column for kind in data["latency"].values() for ranks in kind.values() for column in ranks.values()),
        *data["heat"]["counts"],
    ]  # fmt: skip
    assert len(columns) > 60
    assert {len(column) for column in columns} == {len(data["t"])} == {20}


def test_rates_times_their_steps_are_what_was_counted(run: RunRecord) -> None:
    data = chart_data(run)
    for operation, column in data["requests"].items():
        assert sum(column) * 0.5 == pytest.approx(run.summary["operations"][operation]["requests"])
    assert sum(data["rate"]["offered"]) * 0.5 == pytest.approx(run.summary["arrivals"]["intended"])
    assert data["rate"]["intended"][0] == 325
    used = data["units"]["totalVolume"]
    assert used["title"] == "GB per second"
    assert sum(used["columns"]["used"]) * 0.5 == pytest.approx(run.summary["units"]["used"]["totalVolume"] / 1e9)


def test_the_heat_of_all_rows_is_the_number_of_answers(run: RunRecord) -> None:
    heat = chart_data(run)["heat"]
    whole = sum(count or 0 for row in heat["counts"] for count in row)
    assert whole == run.totals.run.histogram("latency_us", "response").count
    assert heat["y"] == sorted(heat["y"])
    spread = run.totals.run.histogram("latency_us", "response")
    assert heat["y"][0] / 1.13 <= spread.min_us / 1000 <= heat["y"][0] * 1.13
    assert heat["y"][-1] / 1.13 <= spread.max_us / 1000 <= heat["y"][-1] * 1.13


def test_percentile_curves_rise_from_the_lowest_to_the_highest_value(run: RunRecord) -> None:
    curves = chart_data(run)["percentiles"]["response"]
    assert set(curves) == {"all", "create", "update", "release", "event"}
    steady = run.totals.steady()
    for operation, curve in curves.items():
        histogram = steady.histogram("latency_us", "response", None if operation == "all" else operation)
        assert curve["y"] == sorted(curve["y"])
        assert curve["x"] == sorted(curve["x"])
        assert curve["y"][-1] == histogram.max_us / 1000
        assert curve["y"][0] == pytest.approx(histogram.min_us / 1000, rel=0.005)
        assert curve["x"][-1] == pytest.approx(math.log10(histogram.count), abs=0.001)  # one value in so many is beyond
        assert curve["y"][curve["x"].index(2.0)] == histogram.percentile(99) / 1000
        assert curve["rank"][curve["x"].index(2.0)] == "99"
        assert curve["rank"][-1] == "100"


def test_the_most_frequent_codes_have_a_line_each_and_the_rest_one(run: RunRecord) -> None:
    point = next(iter(run.series))
    for number in range(1, 30):
        point.counters[f"causes|CAUSE_{number:02}"] = 1_000 * number
    codes = chart_data(run)["codes"]
    causes = [name for name in codes if name.startswith("cause ")]
    assert len(causes) == MOST_LINES + 1
    assert causes[0] == "cause CAUSE_29"
    assert causes[-1] == "cause others"
    whole = sum(n for point in run.series for name, n in point.counters.items() if name.startswith("causes|"))
    assert sum(sum(codes[name]) for name in causes) * 0.5 == pytest.approx(whole)


def test_names_that_are_alike_where_they_are_cut_are_one_line_that_loses_nothing(run: RunRecord) -> None:
    point = next(iter(run.series))
    point.counters["causes|" + "x" * 100 + "1"] = 5_000
    point.counters["causes|" + "x" * 100 + "2"] = 7_000
    codes = chart_data(run)["codes"]
    (long,) = (column for name, column in codes.items() if name.startswith("cause xxxx"))
    assert long[0] == 24_000


def test_stages_begin_where_their_number_changes_and_have_the_names_of_the_profile(run: RunRecord) -> None:
    assert chart_data(run)["stages"] == []
    for step, point in enumerate(run.series):
        point.gauges[0]["stage"] = Gauge(float(step // 8), float(step // 8), Merge.LAST)
    run.manifest["profile"] = {"load": {"stages": [{"name": "morning"}, {"ramp_to": 900.0, "name": ""}, "odd"]}}
    assert chart_data(run)["stages"] == [
        {"at_s": 0.0, "text": "morning"}, {"at_s": 4.0, "text": "stage 2"}, {"at_s": 8.0, "text": "stage 3"},
    ]  # fmt: skip


def test_the_cpu_of_an_engine_is_what_it_used_of_each_step(run: RunRecord) -> None:
    cpu = chart_data(run)["cpu"]
    assert set(cpu) == {"engine 0", "engine 1"}
    assert cpu["engine 1"] == [None, *[pytest.approx(84.0)] * 19]


def test_only_so_many_events_are_marked_and_their_texts_are_short(run: RunRecord) -> None:
    run.events = [{"at_s": float(at), "text": "x" * 5_000} for at in range(MOST_EVENTS + 50)]
    events = chart_data(run)["events"]
    assert len(events) == MOST_EVENTS
    assert len(orjson.dumps(events)) < 300 * MOST_EVENTS


def test_a_single_answer_has_a_curve_and_what_is_no_number_is_a_gap(run: RunRecord) -> None:
    snapshot = Snapshot(number=99, start_s=9.5, end_s=10.0)
    snapshot.gauges["sessions_open"] = Gauge(float("nan"), 0.0, Merge.LAST)
    run.series.add(0, snapshot)
    assert b"NaN" not in orjson.dumps(chart_data(run))
