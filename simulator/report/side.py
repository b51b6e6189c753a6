"""One side of a comparison: a run's summary and, where its folder is there, what tells how far its figures can be trusted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from simulator.measure import Histogram, Phase
from simulator.measure.bounds import Counts
from simulator.measure.figures import OPERATIONS
from simulator.report.run_folder import RunFolderError, RunRecord, read_run, read_summary
from simulator.report.series import ALL, Point

Json = dict[str, Any]

_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "all": ("requests", "failed", "denied", "latency_us"),
    "rate": ("offered_per_s", "achieved_per_s", "requests_per_s"),
    "sessions": ("started", "completed", "failed", "open_at_end"),
    "arrivals": ("intended", "dropped"),
    "generator": ("requests_per_cpu_s", "limited"),
    "causes": (),
    "result_codes": (),
    "promises_broken": (),
}
"""The parts of a summary that are compared, and their fields."""
_AUDITED: Final = ("balanced", "offending", "sessions")
COMPARED_LATENCIES: Final = ("response", "service")
COMPARED_PERCENTILES: Final = ("p50", "p90", "p99", "p99_9", "max")


@dataclass(slots=True, kw_only=True)
class Side:
    """A run, from its folder or from its summary alone (`record` is None). `all_points` is in order of time."""

    place: str
    summary: Json
    record: RunRecord | None = None
    all_points: list[Point] = field(default_factory=list)
    steady_points: list[Point] = field(default_factory=list)

    @property
    def manifest(self) -> Json:
        """What was run where; empty where it is not known."""
        return self.record.manifest if self.record else {}

    def latency(self, kind: str, operation: str) -> tuple[Histogram, list[Histogram]]:
        """All values that the summary's percentiles are of, and those of consecutive intervals; empty without records."""
        whole = Histogram()
        if self.record is None:
            return whole, []
        label = None if operation == ALL else operation
        points = self.steady_points
        whole = self.record.totals.steady().histogram("latency_us", kind, label)
        if not whole.count:  # it happened at other times only
            points, whole = self.all_points, self.record.totals.run.histogram("latency_us", kind, label)
        found = (point.latency(kind, operation) for point in points)
        return whole, [histogram for histogram in found if histogram is not None]

    def outcomes(self, operation: str, outcome: str) -> list[Counts]:
        """How many requests of an operation ended so, and how many there were, by interval of the run, or at once."""
        if self.record is None:
            figures = self.summary["all"] if operation == ALL else self.summary["operations"][operation]
            return [(figures[outcome], figures["requests"])]
        return [_outcome(point, operation, outcome) for point in self.all_points]

    def counts(self, *labels: str) -> list[tuple[float, float]]:
        """A counter and the seconds of each interval of the steady phase."""
        return [(float(point.count(*labels)), point.seconds) for point in self.steady_points]

    def cpu(self) -> list[tuple[float, float]]:
        """CPU microseconds and requests of each interval but the first one, which has the start in it."""
        return list(_cpu(self.all_points))[1:]


def _outcome(point: Point, operation: str, outcome: str) -> Counts:
    hits = trials = 0
    for name, count in point.counters.items():
        metric, *labels = name.split("|")
        if metric == "requests" and operation in {ALL, labels[0]}:
            trials += count
            hits += count if labels[2] == outcome else 0
    return hits, trials


def _cpu(points: list[Point]) -> Iterator[tuple[float, float]]:
    used: dict[int, float] = {}
    for point in points:
        before = sum(used.values())
        used |= {worker: gauges["cpu_s"].value for worker, gauges in point.gauges.items() if "cpu_s" in gauges}
        yield (sum(used.values()) - before) * 1e6, float(point.count("requests") + point.count("retransmitted"))


def read_side(place: Path) -> Side:
    """A run's folder, or a file that holds its summary. Raises RunFolderError."""
    if not place.is_dir():
        return side_of(str(place), read_summary(place))
    record = read_run(place)
    return side_of(str(place), record.summary, record)


def side_of(place: str, summary: Json, record: RunRecord | None = None) -> Side:
    """The same from what was read. Raises RunFolderError for a summary that has not the parts of one."""
    missing = next(_missing(summary), None)
    if missing:
        raise RunFolderError(f"{place}: this is no summary of a run: {missing} is missing")
    if record is None:
        return Side(place=place, summary=summary)
    series = record.series
    timed = list(zip(series.ends_s, series, strict=True))
    spans = series.spans()
    loaded = [(start, end) for name, start, end in spans if name == Phase.STEADY]
    loaded = loaded or [(start, end) for name, start, end in spans if name != Phase.DRAIN]
    steady = [
        point
        for end_s, point in timed
        if any(start <= end_s - series.step_s / 2 < until for start, until in loaded) and point.seconds > 0
    ]
    return Side(
        place=place,
        summary=summary,
        record=record,
        all_points=[point for _, point in timed if point.seconds > 0],
        steady_points=steady,
    )


def _missing(summary: Json) -> Iterator[str]:
    """What a summary lacks: it may come from another version, or be none."""
    operations = summary.get("operations")
    parts = {f"operations.{each}": _part(operations, each) for each in OPERATIONS} | {
        name: summary.get(name) for name in _NEEDED
    }
    for name, part in parts.items():
        fields = _NEEDED["all" if name.startswith("operations.") else name]
        if not isinstance(part, dict):
            yield name
        else:
            yield from (f"{name}.{each}" for each in fields if each not in part)
            if "latency_us" in fields:
                yield from (f"{name}.{each}" for each in _missing_ranks(part["latency_us"]))
    if summary.get("audit"):
        yield from (f"audit.{each}" for each in _AUDITED if each not in summary["audit"])


def _missing_ranks(latencies: Any) -> Iterator[str]:
    for kind in COMPARED_LATENCIES:
        ranks = _part(latencies, kind) or {}
        yield from (f"latency_us.{kind}.{each}" for each in ("count", *COMPARED_PERCENTILES) if each not in ranks)


def _part(document: Any, name: str) -> Any:
    return document.get(name) if isinstance(document, dict) else None
