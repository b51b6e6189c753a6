"""A run over time as CSV: one row per step, for a spreadsheet or a notebook."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from simulator.measure.figures import LATENCIES, OPERATIONS
from simulator.report.charts import RANKS
from simulator.report.series import Point, Series

_COUNTS = {
    "intended": ("arrivals", "intended"),
    "started": ("arrivals", "started"),
    "dropped": ("arrivals", "dropped"),
    "requests": ("requests",),
    **{operation: ("requests", operation) for operation in OPERATIONS},
    "sessions_completed": ("sessions", "completed"),
    "sessions_failed": ("sessions", "failed"),
}
_LEVELS = ("sessions_open", "in_flight", "waiting", "connections_open", "loop_lag_us")


def intervals_csv(series: Series) -> str:
    """Counts are those of the step, latencies are in microseconds over all operations; nothing measured is an empty field."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    latencies = [f"{kind}_{rank}_us" for kind in LATENCIES for rank in RANKS]
    writer.writerow(["end_s", "phase", "seconds", *_COUNTS, "failed", *_LEVELS, *latencies])
    spans = series.spans()
    for end_s, point in zip(series.ends_s, series, strict=True):
        middle = end_s - series.step_s / 2
        phase = next((name for name, start, end in spans if start <= middle < end), "")
        writer.writerow(
            [round(end_s, 3), phase, round(point.seconds, 3), *_counts(point), *_levels(point), *_ranks(point)]
        )
    return out.getvalue()


def _counts(point: Point) -> Iterator[int]:
    for labels in _COUNTS.values():
        yield point.count(*labels)
    yield sum(n for name, n in point.counters.items() if name.startswith("requests|") and name.endswith("|failed"))


def _levels(point: Point) -> Iterator[float | str]:
    for name in _LEVELS:
        level = point.level(name)
        yield "" if level is None else round(level, 1)


def _ranks(point: Point) -> Iterator[int | str]:
    for kind in LATENCIES:
        histogram = point.latency(kind)
        yield from [""] * len(RANKS) if histogram is None else histogram.percentiles(RANKS.values())
