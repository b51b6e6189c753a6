"""Latencies as an HdrHistogram log, version 1.3, which other tools read: a histogram for each step, kind and operation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Final

from hdrh.histogram import HdrHistogram

from simulator.measure import Histogram
from simulator.measure.figures import LATENCIES, OPERATIONS
from simulator.measure.histogram import LARGEST_BUCKETED_US, middle_of
from simulator.report.series import Point, Series

SIGNIFICANT_DIGITS: Final = 2
"""As the buckets of `measure.Histogram`, which are numbered like those of such a histogram."""


def write_hdr_log(out: IO[str], started_s: float, series: Series) -> None:
    """Write every step of a run. `started_s` is the start in seconds since 1970; values are microseconds.

    The tag is `response.update` and the like; as usual in such logs, the column of the maximum is in milliseconds. The lines are
    written here, because the library's own writer fails on its start time. A step is half a second, in a long run more: the size
    of the log is bounded like that of the series.
    """
    out.write("#[smfleet: latencies in microseconds; a tag is kind.operation]\n")
    out.write("#[Histogram log format version 1.3]\n")
    out.write(f"#[StartTime: {started_s:.3f} (seconds since epoch)]\n")
    out.write(f"#[BaseTime: {started_s:.3f} (seconds since epoch)]\n")
    out.write('"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n')
    for end_s, point in zip(series.ends_s, series, strict=True):
        start_s = end_s - series.step_s
        for tag, histogram in _by_operation(point):
            encoded = exported_histogram(histogram).encode().decode()
            out.write(f"Tag={tag},{start_s:.3f},{series.step_s:.3f},{histogram.max_us / 1000:.3f},{encoded}\n")


def exported_histogram(histogram: Histogram) -> HdrHistogram:
    """The same counts, each at the middle of its bucket, within the exact lowest and highest values."""
    exported = HdrHistogram(1, LARGEST_BUCKETED_US, SIGNIFICANT_DIGITS)
    for bucket, count in histogram.buckets.items():
        value = min(max(middle_of(bucket), histogram.min_us), histogram.max_us)
        exported.record_value(min(max(1, value), LARGEST_BUCKETED_US), count)
    return exported


def _by_operation(point: Point) -> Iterator[tuple[str, Histogram]]:
    for kind in LATENCIES:
        for operation in OPERATIONS:
            histogram = point.latency(kind, operation)
            if histogram is not None and histogram.count:
                yield f"{kind}.{operation}", histogram
