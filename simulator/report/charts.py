"""What the charts of a report show, as JSON: columns over time, percentile curves, and the heat of latencies."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from simulator.measure import Histogram, Snapshot
from simulator.measure.figures import LATENCIES, OPERATIONS
from simulator.measure.histogram import middle_of
from simulator.report.markup import printable
from simulator.report.run_folder import RunRecord
from simulator.report.series import ALL, Point

Json = dict[str, Any]
Column = list[float | None]

RANKS: Final = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "max": 100.0}
MOST_LINES: Final = 8
"""Of codes and causes in one chart; the rest is shown as one."""
LONGEST_NAME: Final = 40
HEAT_ROWS_PER_DECADE: Final = 10
CURVE: Final = [0.0, *(nines / 20 for nines in range(1, 101))]
"""How many nines: 0 is the minimum, 1 is 90 %, 2 is 99 %, 5 is 99.999 %."""
MOST_EVENTS: Final = 200
"""That are marked in the charts, and listed in the page."""
LONGEST_MARK: Final = 160
"""Characters of an event that a mark shows."""
LONGEST_STAGE: Final = 24
SCALES: Final = {
    "totalVolume": ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"), (1, "octets")),
    "time": ((1, "charged seconds"),),
    "serviceSpecificUnits": ((1, "units"),),
}  # fmt: skip
"""What units are counted in, so that the highest rate is a handy figure; the largest first."""


def chart_data(record: RunRecord) -> Json:
    """Everything that is drawn. Times in seconds after the start, latencies in milliseconds."""
    series = record.series
    points = list(series)
    rates = _Rates(points)
    return {
        "t": [round(end, 3) for end in series.ends_s],
        "step_s": series.step_s,
        "phases": series.spans(),
        "stages": _stages(record, points),
        "events": [
            {"at_s": event["at_s"], "text": printable(event["text"], LONGEST_MARK)}
            for event in record.events[:MOST_EVENTS]
        ],
        "rate": {
            "intended": [point.level("offered_rate") for point in points],
            "offered": rates.of("arrivals", "intended"),
            "achieved": rates.of("arrivals", "started"),
            "dropped": rates.of("arrivals", "dropped"),
        },
        "requests": {
            operation: rates.of("requests", operation)
            for operation in OPERATIONS
            if _happened(points, "requests", operation)
        },
        "latency": {kind: _latencies(points, kind) for kind in LATENCIES},
        "percentiles": {kind: _curves(record.totals.steady(), kind) for kind in LATENCIES},
        "heat": _heat(points),
        "codes": rates.by_name("result_codes") | rates.by_name("causes", prefix="cause "),
        "open": [point.level("sessions_open") for point in points],
        "sessions": {
            name: rates.of("sessions", name)
            for name in ("started", "completed", "failed")
            if _happened(points, "sessions", name)
        },
        "units": _units(rates, points),
        "connections": {
            name: column
            for name, gauge in (
                ("open", "connections_open"),
                ("under way", "in_flight"),
                ("waiting for a stream", "waiting"),
            )
            if any(column := [point.level(gauge) for point in points])
        },
        "cpu": _cpu(points),
        "delays": _delays(points),
    }


def _stages(record: RunRecord, points: list[Point]) -> list[Json]:
    """When each stage began, and its name; [] where there is only one."""
    begun: list[Json] = []
    asked = ((record.manifest.get("profile") or {}).get("load") or {}).get("stages") or []
    before: int | None = None
    for place, point in enumerate(points):
        level = point.level("stage")
        stage = None if level is None else int(level)
        if stage is not None and stage != before:
            name = asked[stage].get("name", "") if 0 <= stage < len(asked) and isinstance(asked[stage], dict) else ""
            begun.append(
                {"at_s": place * record.series.step_s, "text": printable(name or f"stage {stage + 1}", LONGEST_STAGE)}
            )
            before = stage
    return begun if len(begun) > 1 else []


class _Rates:
    """Columns of counts per second."""

    def __init__(self, points: list[Point]) -> None:
        self._points = points

    def of(self, *labels: str) -> Column:
        return self.column(lambda point: point.count(*labels))

    def column(self, count: Callable[[Point], int]) -> Column:
        return [point.rate(count(point)) for point in self._points]

    def by_name(self, metric: str, prefix: str = "") -> dict[str, Column]:
        """One column for each of the most frequent names of a metric, and one for the others."""
        names: dict[str, set[str]] = {}
        whole: Counter[str] = Counter()
        for point in self._points:
            for name, count in point.counters.items():
                if name.startswith(metric + "|"):
                    label = printable(prefix + name.partition("|")[2], LONGEST_NAME)
                    names.setdefault(label, set()).add(name)
                    whole[label] += count
        shown = [label for label, _ in whole.most_common(MOST_LINES)]
        columns = {label: self._sum(names[label]) for label in shown}
        if others := set(names) - set(shown):
            columns[f"{prefix}others"] = self._sum({name for label in others for name in names[label]})
        return columns

    def _sum(self, names: set[str]) -> Column:
        return self.column(lambda point: sum(point.counters[name] for name in names))


def _happened(points: Iterable[Point], *labels: str) -> bool:
    return any(point.count(*labels) for point in points)


def _milliseconds(microseconds: float) -> float:
    return round(microseconds / 1000, 4)


def _latencies(points: list[Point], kind: str) -> dict[str, dict[str, Column]]:
    """By operation and rank; a gap where nothing was measured."""
    columns: dict[str, dict[str, Column]] = {}
    for operation in (ALL, *OPERATIONS):
        histograms = [point.latency(kind, operation) for point in points]
        if not any(histograms):
            continue
        rows = [[None] * len(RANKS) if each is None else each.percentiles(RANKS.values()) for each in histograms]
        columns[operation] = {
            rank: [None if row[place] is None else _milliseconds(row[place]) for row in rows]  # type: ignore[arg-type]
            for place, rank in enumerate(RANKS)
        }
    return columns


def _curves(steady: Snapshot, kind: str) -> dict[str, Json]:
    """The percentile curve of each operation, as far as there are values beyond a rank."""
    curves = {}
    for operation in (None, *OPERATIONS):
        histogram = steady.histogram("latency_us", kind, operation)
        if histogram.count:
            curves[operation or ALL] = _curve(histogram)
    return curves


def _curve(histogram: Histogram) -> Json:
    reach = math.log10(histogram.count) if histogram.count > 1 else 0.0
    nines = [each for each in CURVE if each <= reach] + [reach]
    ranks = [100 * (1 - 10**-each) for each in nines[:-1]] + [100.0]
    values = histogram.percentiles(ranks)
    return {
        "x": [round(each, 3) for each in nines],
        "y": [_milliseconds(value) for value in values],
        "rank": [f"{rank:.5f}".rstrip("0").rstrip(".") for rank in ranks],
    }


def _heat(points: list[Point]) -> Json:
    """How many responses took how long, in rows of a tenth of a decade."""
    rows: dict[int, dict[int, int]] = {}
    for place, point in enumerate(points):
        histogram = point.latency("response")
        for bucket, count in () if histogram is None else histogram.buckets.items():
            row = math.floor(math.log10(max(1, middle_of(bucket))) * HEAT_ROWS_PER_DECADE)
            cells = rows.setdefault(row, {})
            cells[place] = cells.get(place, 0) + count
    if not rows:
        return {"y": [], "counts": []}
    order = range(min(rows), max(rows) + 1)
    counts = [[rows.get(row, {}).get(place) for place in range(len(points))] for row in order]
    return {
        "y": [round(10 ** ((row + 0.5) / HEAT_ROWS_PER_DECADE) / 1000, 5) for row in order],
        "counts": counts,
    }


def _units(rates: _Rates, points: list[Point]) -> dict[str, Json]:
    """Columns of each kind of unit, in what it is counted in."""
    units: dict[str, Json] = {}
    for unit, scales in SCALES.items():
        if _happened(points, "units", "used", unit):
            sides = {side: rates.of("units", side, unit) for side in ("used", "acknowledged")}
            highest = max(value or 0 for column in sides.values() for value in column)
            size, word = next((scale for scale in scales if highest >= scale[0]), scales[-1])
            scaled = {
                side: [None if v is None else round(v / size, 4) for v in column] for side, column in sides.items()
            }
            units[unit] = {"title": f"{word} per second", "columns": scaled}
    return units


def _cpu(points: list[Point]) -> dict[str, Column]:
    """Each engine's share of a core, in percent: what its CPU time grew by."""
    workers = sorted({worker for point in points for worker in point.gauges})
    shares: dict[str, Column] = {}
    for worker in workers:
        column: Column = []
        before: float | None = None
        for point in points:
            gauge = point.gauges.get(worker, {}).get("cpu_s")
            grown = None if gauge is None or before is None else gauge.value - before
            seconds = point.covered_s.get(worker, 0.0)
            column.append(None if grown is None or not seconds else round(100 * grown / seconds, 2))
            before = before if gauge is None else gauge.value
        shares[f"engine {worker}"] = column
    return shares


def _delays(points: list[Point]) -> Mapping[str, Column]:
    def of(gauge: str) -> Column:
        return [None if (level := point.level(gauge)) is None else _milliseconds(level) for point in points]

    queue = [point.latency("queue") for point in points]
    columns: dict[str, Column] = {
        "loop lag": of("loop_lag_us"),
        "garbage collection": of("gc_pause_us"),
        "queue p99": [None if each is None else _milliseconds(each.percentile(99)) for each in queue],
    }
    return {name: column for name, column in columns.items() if any(column)}
