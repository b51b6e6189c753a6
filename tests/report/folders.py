"""Folders as runs leave them behind, whole and torn, made from the figures of `examples`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from simulator.measure import Phase, Recorder, Snapshot, Totals
from simulator.report import build_summary
from simulator.report.run_folder import RunRecord, read_run
from tests.report import examples

HALF_A_SECOND = 500_000_000
MANIFEST: dict[str, Any] = {
    "format": 1, "run_id": "20261122T100000Z-demo", "version": "0.1.0", "profile_name": "demo",
    "profile": {"load": {"stages": None}}, "seed": 7,
    "command": ["smfleet", "run", "demo"], "machine": {"platform": "Linux", "python": "3.11", "cpus": 2},
    "targets": ["http://127.0.0.1:41234"], "sandbox": True, "pace": "60x", "mode": "open", "subscribers": 100_000, "workers": 1,
    "started_at": "2026-11-22T10:00:00+00:00", "t0": 0, "planned_s": 30.0, "thresholds": ["success >= 99%"],
}  # fmt: skip


def snapshots(steps: int, workers: int = 1, **trouble: Any) -> Iterator[tuple[int, Snapshot]]:
    """Intervals of half a second as several workers report them, the last tenth of them drain."""
    recorders = [Recorder(t0=0) for _ in range(workers)]
    for step in range(1, steps + 1):
        for worker, recorder in enumerate(recorders):
            draining = step > steps - steps // 10
            recorder.phase = Phase.DRAIN if draining else Phase.STEADY
            examples.interval(recorder, step, draining=draining, **trouble)
            recorder.gauge("offered_rate", 325.0 / workers)
            yield worker, recorder.cut(step * HALF_A_SECOND)


def run_folder(
    folder: Path,
    *,
    steps: int = 20,
    workers: int = 1,
    manifest: bool = True,
    summary: bool = True,
    events: tuple[dict[str, Any], ...] = (),
    samples: tuple[dict[str, Any], ...] = (),
    **trouble: Any,
) -> Path:
    """Write one; without `summary` it is that of a run that was killed."""
    folder.mkdir(exist_ok=True)
    totals = Totals()
    with (folder / "intervals.ndjson").open("wb") as out:
        for worker, snapshot in snapshots(steps, workers, **trouble):
            out.write(line({"worker": worker, **snapshot.to_wire()}))
            totals.add(worker, snapshot)
    if manifest:
        (folder / "manifest.json").write_bytes(orjson.dumps(MANIFEST | {"workers": workers}))
    for name, rows in (("events", events), ("samples", samples)):
        if rows:
            (folder / f"{name}.ndjson").write_bytes(b"".join(map(line, rows)))
    if summary:
        told = build_summary(totals, examples.FACTS, examples.audit(), ["success >= 99%"])
        (folder / "summary.json").write_bytes(orjson.dumps(told))
    return folder


def record(folder: Path, **shape: Any) -> RunRecord:
    """The same, read."""
    return read_run(run_folder(folder, **shape))


def line(row: dict[str, Any]) -> bytes:
    """As the records on disk have it."""
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
