"""latency.hlog, read by the library that others read such logs with."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from simulator.measure import Histogram
from simulator.report.hdr_log import exported_histogram, write_hdr_log
from tests.report.folders import record


def decoded(log: Path) -> dict[str, HdrHistogram]:
    """By tag, all intervals together."""
    reader = HistogramLogReader(str(log), HdrHistogram(1, 2**32 - 1, 2))
    whole: dict[str, HdrHistogram] = {}
    while (histogram := reader.get_next_interval_histogram()) is not None:
        whole.setdefault(histogram.tag, HdrHistogram(1, 2**32 - 1, 2)).add(histogram)
    reader.close()
    return whole


def test_what_the_log_holds_has_the_same_counts_and_percentiles(tmp_path: Path) -> None:
    run = record(tmp_path, workers=2, failing=3, slow=3)
    with (tmp_path / "log").open("w") as out:
        write_hdr_log(out, 1_795_000_000.0, run.series)
    whole = decoded(tmp_path / "log")
    assert len(whole) == 12
    for tag, exported in whole.items():
        histogram = run.totals.run.histogram("latency_us", *tag.split("."))
        assert exported.get_total_count() == histogram.count
        for rank in (0.0, 10.0, 50.0, 90.0, 99.0, 99.9, 100.0):
            read = exported.get_value_at_percentile(rank)
            assert read == pytest.approx(histogram.percentile(rank), rel=0.008), (tag, rank)
        assert exported.get_min_value() == pytest.approx(histogram.min_us, rel=0.008)
        assert exported.get_max_value() == pytest.approx(histogram.max_us, rel=0.008)


@pytest.mark.parametrize("values", [[0], [1], [1, 255, 256, 257], [60_000_000], [3, 2**31 + 7, 2**32 - 1], [2**33]])
def test_lowest_and_highest_values_are_kept(values: list[int]) -> None:
    histogram = Histogram()
    histogram.record_many(values)
    exported = HdrHistogram.decode(exported_histogram(histogram).encode())
    assert exported.get_total_count() == len(values)
    assert exported.get_min_value() == pytest.approx(max(1, min(values[0], 2**32 - 1)), rel=0.008)
    assert exported.get_max_value() == pytest.approx(max(1, min(values[-1], 2**32 - 1)), rel=0.008)


def test_the_log_says_when_each_step_was(tmp_path: Path) -> None:
    out = io.StringIO()
    write_hdr_log(out, 1_795_000_000.25, record(tmp_path).series)
    lines = out.getvalue().splitlines()
    assert "#[Histogram log format version 1.3]" in lines
    assert "#[StartTime: 1795000000.250 (seconds since epoch)]" in lines
    steps = [line.split(",") for line in lines if line.startswith("Tag=response.update")]
    assert [fields[1] for fields in steps][:3] == ["0.000", "0.500", "1.000"]
    assert {fields[2] for fields in steps} == {"0.500"}
    assert all(float(fields[3]) > 1 for fields in steps)
