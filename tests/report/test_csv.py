"""The rows of intervals.csv."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from simulator.report.csv_file import intervals_csv
from simulator.report.series import Series
from tests.report.folders import record


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_each_step_is_a_row_and_the_rows_add_up_to_the_run(tmp_path: Path) -> None:
    run = record(tmp_path, workers=2, failing=3, dropped=4)
    read = rows(intervals_csv(run.series))
    assert [float(row["end_s"]) for row in read] == [0.5 * step for step in range(1, 21)]
    assert [row["phase"] for row in read] == ["steady"] * 18 + ["drain"] * 2
    assert {row["seconds"] for row in read} == {"0.5"}
    for column, expected in (
        ("requests", run.summary["all"]["requests"]),
        ("failed", run.summary["all"]["failed"]),
        ("update", run.summary["operations"]["update"]["requests"]),
        ("dropped", run.summary["arrivals"]["dropped"]),
        ("sessions_completed", run.summary["sessions"]["completed"]),
    ):
        assert sum(int(row[column]) for row in read) == expected > 0, column


def test_latencies_are_those_of_all_operations_in_microseconds(tmp_path: Path) -> None:
    run = record(tmp_path)
    read = rows(intervals_csv(run.series))
    for row, point in zip(read, run.series, strict=True):
        histogram = point.latency("service")
        assert histogram is not None
        assert [int(row[f"service_{rank}_us"]) for rank in ("p50", "p90", "p99", "max")] == histogram.percentiles(
            [50, 90, 99, 100]
        )
    assert float(read[0]["sessions_open"]) == pytest.approx(2_099)


def test_what_was_not_measured_is_an_empty_field_and_an_empty_run_only_the_headings() -> None:
    assert intervals_csv(Series()).startswith("end_s,phase,seconds,intended,started,dropped,requests,create,")
    assert len(intervals_csv(Series()).splitlines()) == 1
