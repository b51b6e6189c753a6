"""Runs that never were: latencies of a known distribution, with or without neighbours that are slow together."""

from __future__ import annotations

import math
from pathlib import Path
from random import Random
from typing import Any

from simulator.measure import Merge, Phase, Recorder, Totals
from simulator.report import build_summary
from simulator.report.run_folder import RunRecord
from simulator.report.series import Series
from simulator.report.side import Side, side_of
from tests.report.examples import FACTS, audit

HALF_S = 500_000_000
OPERATIONS = ("create", "update", "release")


def a_run(
    run: int,
    /,
    *,
    seconds: int = 30,
    per_interval: int = 40,
    slower: float = 1.0,
    correlation: float = 0.0,
    failing: float = 0.0,
    cpu_us: float = 60.0,
    manifest: dict[str, Any] | None = None,
    **facts: Any,
) -> Side:
    """Log-normal latencies of 5 ms in half-second intervals; with `correlation`, intervals are slow as an AR(1) process is."""
    random, recorder, totals, series = Random(run), Recorder(t0=0), Totals(), Series()
    level, cpu_s = 0.0, 0.2
    for number in range(1, 2 * seconds + 1):
        recorder.phase = Phase.STEADY
        level = correlation * level + math.sqrt(1 - correlation**2) * random.gauss(0, 0.3)
        for operation in OPERATIONS:
            median_us = 5_000 * slower * (math.exp(level) if correlation else 1.0)
            latencies = [round(median_us * math.exp(random.gauss(0, 0.5))) for _ in range(per_interval)]
            failed = sum(random.random() < failing for _ in range(per_interval))
            for kind in ("service", "response"):
                recorder.samples(f"latency_us|{kind}|{operation}|sms|ok").extend(latencies)
            recorder.samples(f"latency_us|queue|{operation}|sms|ok").extend([90] * per_interval)
            recorder.counters[f"requests|{operation}|sms|ok"] += per_interval - failed
            if failed:
                recorder.counters[f"requests|{operation}|sms|failed"] += failed
                recorder.counters["causes|TIMEOUT"] += failed
            recorder.counters["result_codes|SUCCESS"] += per_interval - failed
            cpu_s += per_interval * cpu_us * 1e-6 * random.uniform(0.9, 1.1)
        for name in ("arrivals|intended", "arrivals|started", "sessions|started|sms", "sessions|completed|sms"):
            recorder.counters[name] += per_interval
        recorder.gauge("cpu_s", cpu_s)
        recorder.gauge("loop_lag_us", 900, Merge.MAX)
        snapshot = recorder.cut(number * HALF_S)
        totals.add(0, snapshot)
        series.add(0, snapshot)
    known = {name: getattr(FACTS, name) for name in FACTS.__slots__} | facts
    summary = build_summary(totals, type(FACTS)(**known), audit())
    described = {"format": 1, "machine": {"cpus": 2}, "profile": {"load": {"rate": 80}}} | (manifest or {})
    record = RunRecord(folder=Path("made-up"), manifest=described, summary=summary, totals=totals, series=series)
    return side_of(f"run-{run}", summary, record)


def summary_only(side: Side) -> Side:
    """What is left of a run whose folder is gone."""
    return side_of(side.place + ".json", side.summary)
