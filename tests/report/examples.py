"""A run as an engine would have reported it: fixed figures, so that tests and eyes know what to expect."""

from __future__ import annotations

from typing import Any

from simulator.audit import Audit, Auditor
from simulator.measure import Merge, Phase, Recorder, Totals
from simulator.report import RunFacts

SECOND = 1_000_000_000
OPERATIONS = {
    "create": ("browsing", 250),
    "update": ("video", 2_000),
    "release": ("browsing", 245),
    "event": ("sms", 75),
}

FACTS = RunFacts(
    profile="demo", seed=1, version="0.1.0", target="http://127.0.0.1:41234", sandbox=True, pace="60x",
    subscribers=100_000, started_at="2026-11-22T10:00:00Z", t0=0, planned_s=30.0, duration_s=33.2,
)  # fmt: skip


def totals(*, seconds: int = 30, workers: int = 1, **trouble: Any) -> Totals:
    """`seconds` of load and three of drain; `trouble` is what `interval` understands."""
    folded = Totals()
    recorders = [Recorder(t0=0) for _ in range(workers)]
    for second in range(1, seconds + 4):
        for worker, recorder in enumerate(recorders):
            recorder.phase = Phase.STEADY if second <= seconds else Phase.DRAIN
            interval(recorder, second, draining=second > seconds, **trouble)
            folded.add(worker, recorder.cut(second * SECOND))
    return folded


def interval(
    recorder: Recorder, second: int, *, draining: bool, cpu: float = 0.42, lag_us: int = 1_800, slow: int = 1,
    failing: int = 0, dropped: int = 0, waiting: int = 0,
) -> None:  # fmt: skip
    counters = recorder.counters
    for operation, (usage, rate) in OPERATIONS.items():
        if draining and operation != "release":
            continue
        good, denied = rate - rate // 50 - failing, rate // 50
        for outcome, count in (("ok", good), ("denied", denied), ("failed", failing)):
            if count:
                counters[f"requests|{operation}|{usage}|{outcome}"] += count
                _latencies(recorder, f"{operation}|{usage}|{outcome}", count, slow)
        counters["result_codes|SUCCESS"] += good
        counters["causes|QUOTA_LIMIT_REACHED"] += denied
        if failing:
            counters[f"retransmitted|{operation}|{usage}"] += failing
            counters["causes|TIMEOUT"] += failing
    if not draining:
        counters["arrivals|intended"] += 325
        counters["arrivals|started"] += 325 - dropped
        if dropped:
            counters["arrivals|dropped|limit"] += dropped
        counters["sessions|started|browsing"] += 250
        counters["sessions|started|sms"] += 75
    counters["sessions|completed|browsing"] += 245
    if failing:
        counters["sessions|failed|browsing|TIMEOUT"] += failing
    counters["units|used|totalVolume"] += 2_400_000_000
    counters["http2|bytes_sent"] += 3_400_000
    if failing and second == 7:
        counters["http2|lost"] += 1
    recorder.gauge("sessions_open", 2_100 - (second % 5) if not draining else 0)
    recorder.gauge("in_flight", 12)
    recorder.gauge("waiting", waiting)
    recorder.gauge("connections_open", 6)
    recorder.gauge("loop_lag_us", lag_us, Merge.MAX)
    recorder.gauge("cpu_s", cpu * second)


def _latencies(recorder: Recorder, labels: str, count: int, slow: int) -> None:
    for kind, base in (("queue", 90), ("service", 640), ("response", 735)):
        recorder.samples(f"latency_us|{kind}|{labels}").extend(
            base * slow + (index * index * base) // (count * count) * 9 for index in range(count)
        )


def audit(*, lost: int = 0, twice: int = 0, crossed: int = 0, **settings: Any) -> Audit:
    """Data and voice sessions, of which `lost` lack their last report and `twice` were charged again.

    `crossed` more lack one report, and were charged another one as large again.
    """
    auditor = Auditor(**settings)
    records, rows = [], []
    for index in range(1_000):
        unit, used, rg = ("totalVolume", 25_000_000, 300) if index % 4 else ("time", 185, 100)
        name = {"ref": f"c{index}", "key": f"imsi-00101{index:010}/{4711 + index}", "rg": rg, "unit": unit}
        charged = used - used // 3 if index < lost else used * 2 if index < lost + twice else used
        records.append(name | {"used": used, "reported": used, "acknowledged": used, "doubt": 0, "end": "completed"})
        rows.append(name | {"units": charged})
        records[-1]["checksum"], rows[-1]["checksum"] = 1, 2 if lost + twice < index <= lost + twice + crossed else 1
    auditor.add_records(records)
    auditor.add_ledger([] if settings else rows)
    return auditor.finish()
