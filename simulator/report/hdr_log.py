"""Latencies as an HdrHistogram log, version 1.3, which other tools read: a histogram for each interval, kind and operation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO, Final

from hdrh.histogram import HdrHistogram

from simulator.measure import Histogram, Snapshot
from simulator.measure.figures import LATENCIES, OPERATIONS
from simulator.measure.histogram import LARGEST_BUCKETED_US, middle_of

SIGNIFICANT_DIGITS: Final = 2
"""As the buckets of `measure.Histogram`, which are numbered like those of such a histogram."""


def write_hdr_log(out: IO[str], started_s: float, intervals: Iterable[tuple[int, Snapshot]]) -> None:
    """Write every interval of every worker. `started_s` is the start in seconds since 1970; values are microseconds.

    The tag is `response.update` and the like; as usual in such logs, the column of the maximum is in milliseconds. The lines are
    written here, because the library's own writer fails on its start time.
    """
    out.write("#[smfleet: latencies in microseconds; a tag is kind.operation]\n")
    out.write("#[Histogram log format version 1.3]\n")
    out.write(f"#[StartTime: {started_s:.3f} (seconds since epoch)]\n")
    out.write(f"#[BaseTime: {started_s:.3f} (seconds since epoch)]\n")
    out.write('"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n')
    for _, snapshot in intervals:
        for tag, histogram in _by_operation(snapshot):
            encoded = exported_histogram(histogram).encode().decode()
            length, highest = snapshot.seconds, histogram.max_us / 1000
            out.write(f"Tag={tag},{snapshot.start_s:.3f},{length:.3f},{highest:.3f},{encoded}\n")


def exported_histogram(histogram: Histogram) -> HdrHistogram:
    """The same counts, each at the middle of its bucket, within the exact lowest and highest values."""
    exported = HdrHistogram(1, LARGEST_BUCKETED_US, SIGNIFICANT_DIGITS)
    for bucket, count in histogram.buckets.items():
        exported.record_value(max(1, min(max(middle_of(bucket), histogram.min_us), histogram.max_us)), count)
    return exported


def _by_operation(snapshot: Snapshot) -> Iterator[tuple[str, Histogram]]:
    for kind in LATENCIES:
        for operation in OPERATIONS:
            histogram = snapshot.histogram("latency_us", kind, operation)
            if histogram.count:
                yield f"{kind}.{operation}", histogram
