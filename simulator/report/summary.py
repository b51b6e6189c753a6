"""From a run's totals, facts and audit to the summary that is shown, saved and judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final, Literal

from simulator.audit import Audit
from simulator.measure import (
    Health,
    Histogram,
    Phase,
    Snapshot,
    Threshold,
    Totals,
    VerdictLine,
    Vitals,
    judge_generator,
    parse_threshold,
)
from simulator.measure.figures import LATENCIES, OPERATIONS, PERCENTILES
from simulator.measure.thresholds import not_covered
from simulator.measure.totals import WorkerTotals
from simulator.report.facts import RunFacts
from simulator.report.verdict import give_verdict, missed

Json = dict[str, Any]

_FACTS: Final = (
    "profile", "seed", "version", "target", "sandbox", "pace", "mode", "subscribers", "workers", "started_at",
    "planned_s", "duration_s", "notes", "events",
)  # fmt: skip


def build_summary(
    totals: Totals,
    facts: RunFacts,
    audit: Audit | None,
    thresholds: Sequence[str | Threshold] = (),
    windows: Mapping[str, VerdictLine] | None = None,
) -> Json:
    """The summary of a run, JSON-able; latencies in microseconds, None where nothing was measured.

    Counts are those of the whole run, rates and latencies those of its steady phase (of an operation that happened at other times
    only: of those). `windows` are the judgements that a `Watch` has made, by the thresholds' texts.

    A promise that the CHF breaks fails the run, unless a threshold says how often it may. Raises ThresholdError for a
    threshold that cannot be read.
    """
    judged = [parse_threshold(text) if isinstance(text, str) else text for text in thresholds]
    summary = _facts(facts) | _measured(totals)
    summary["notes"] += _without_steady_phase(totals)
    summary["promises_broken"] = _promises(totals, facts)
    summary["chfs"] = _chfs(totals, facts.targets or (facts.target,))
    summary["audit"] = audit.to_summary() if audit else None
    health = judge_generator(_vitals(totals))
    summary["generator"] = _generator(totals, health)
    summary["engines"] = _engines(totals, facts)
    lines = [_judged(threshold, summary, totals, windows or {}) for threshold in judged]
    summary["thresholds"] = [asdict(line) for line in lines]
    summary["warnings"] = [missed(line) for line in lines if line.ok is False and line.level == "warn"]
    everything = summary["all"]
    nothing_worked = everything["requests"] > 0 and everything["failed"] == everything["requests"]
    verdict = give_verdict(
        facts,
        health,
        audit,
        lines,
        nothing_worked=nothing_worked,
        promises_broken=not_covered(summary["promises_broken"], judged),
    )
    return summary | {"verdict": verdict.word, "exit_code": verdict.exit_code, "why": list(verdict.why)}


def _judged(threshold: Threshold, summary: Json, totals: Totals, windows: Mapping[str, VerdictLine]) -> VerdictLine:
    if threshold.window_s:
        return windows.get(threshold.text) or threshold.line(None)
    if threshold.as_summarised:
        return threshold.judge(summary)
    return threshold.judge_snapshot(totals.run if threshold.over == "run" else totals.steady())


def _facts(facts: RunFacts) -> Json:
    known = asdict(facts)
    return {name: known[name] for name in _FACTS} | {"notes": list(facts.notes), "events": list(facts.events)}


def _measured(totals: Totals) -> Json:
    run, steady = totals.run, totals.steady()
    return {
        "operations": {operation: _operation(run, steady, operation) for operation in OPERATIONS},
        "all": _operation(run, steady, None),
        "usages": {usage: _usage(run, steady, usage) for usage in _usages(run)},
        "sessions": _sessions(totals),
        "arrivals": {
            "intended": run.count("arrivals", "intended"),
            "started": run.count("arrivals", "started"),
            "dropped": run.count("arrivals", "dropped"),
            "dropped_by_reason": run.counts_by("arrivals", 1, "dropped"),
        },
        "rate": {
            "offered_per_s": _per_second(steady, steady.count("arrivals", "intended")),
            "achieved_per_s": _per_second(steady, steady.count("arrivals", "started")),
            "requests_per_s": _per_second(steady, steady.count("requests")),
        },
        "causes": run.counts_by("causes", 0),
        "result_codes": run.counts_by("result_codes", 0),
        "units": {side: run.counts_by("units", 1, side) for side in ("used", "acknowledged")},
        "notifies": {
            f"{kind} {status}": count
            for kind in run.counts_by("notifies", 0)
            for status, count in run.counts_by("notifies", 1, kind).items()
        },
        "tokens": run.counts_by("tokens", 0),
        "conformance": {"checked": run.count("conformance", "checked"), "deviations": run.counts_by("deviations", 0)},
        "answers_followed": run.counts_by("answers_followed", 0),
        "connections": _connections(totals),
        "phases": {str(phase): _phase(totals.phases[phase]) for phase in Phase if phase in totals.phases},
    }


def _without_steady_phase(totals: Totals) -> list[str]:
    loaded = [phase for phase, snapshot in totals.phases.items() if phase != Phase.DRAIN and snapshot.seconds > 0]
    if not loaded or Phase.STEADY in loaded:
        return []
    return [f"the run had no steady phase: its rates and latencies are those of {' and '.join(loaded)}"]


def _promises(totals: Totals, facts: RunFacts) -> dict[str, int]:
    """What the fleet saw in answers, and the CHF in its own accounts."""
    seen = totals.run.counts_by("promises_broken", 0)
    return seen | {name: count + seen.get(name, 0) for name, count in facts.promises_broken.items() if count > 0}


def _operation(run: Snapshot, steady: Snapshot, operation: str | None) -> Json:
    by_outcome = run.counts_by("requests", 2, operation)
    return {
        "requests": run.count("requests", operation),
        "ok": by_outcome.get("ok", 0),
        "denied": by_outcome.get("denied", 0),
        "failed": by_outcome.get("failed", 0),
        "retransmitted": run.count("retransmitted", operation),
        "per_s": _per_second(steady, steady.count("requests", operation)),
        "latency_us": {kind: _latency(_histogram(run, steady, kind, operation)) for kind in LATENCIES},
    }


def _histogram(run: Snapshot, steady: Snapshot, kind: str, *labels: str | None) -> Histogram:
    """Of the steady phase; of what happened at other times only, of the run."""
    histogram = steady.histogram("latency_us", kind, *labels)
    return histogram if histogram.count else run.histogram("latency_us", kind, *labels)


def _phase(phase: Snapshot) -> Json:
    requests, failed = phase.count("requests"), phase.count("requests", None, None, "failed")
    return {
        "seconds": round(phase.seconds, 3),
        "requests": requests,
        "failed": failed,
        "per_s": _per_second(phase, requests),
        "response_us": _latency(phase.histogram("latency_us", "response")),
    }


def _latency(histogram: Histogram) -> Json:
    """Every key is there; where nothing was measured, its value is None."""
    if not histogram.count:
        return {"count": 0, "mean": None, **dict.fromkeys(PERCENTILES)}
    values = dict(zip(PERCENTILES, histogram.percentiles(PERCENTILES.values()), strict=True))
    return {"count": histogram.count, "mean": round(histogram.mean_us, 1), **values}


def _usages(run: Snapshot) -> list[str]:
    return sorted({*run.counts_by("requests", 1), *run.counts_by("sessions", 1)})


def _usage(run: Snapshot, steady: Snapshot, usage: str) -> Json:
    by_outcome = run.counts_by("requests", 2, None, usage)
    return {
        "started": run.count("sessions", "started", usage),
        "completed": run.count("sessions", "completed", usage),
        "failed": run.count("sessions", "failed", usage),
        "requests": run.count("requests", None, usage),
        "denied_requests": by_outcome.get("denied", 0),
        "failed_requests": by_outcome.get("failed", 0),
        "response_us": _latency(_histogram(run, steady, "response", None, usage)),
    }


def _sessions(totals: Totals) -> Json:
    run = totals.run
    return {
        "started": run.count("sessions", "started"),
        "completed": run.count("sessions", "completed"),
        "failed": run.count("sessions", "failed"),
        "failed_by_reason": run.counts_by("sessions", 2, "failed"),
        "open_max": int(totals.peak("sessions_open")),
        "open_at_end": int(totals.gauge("sessions_open")),
    }


def _connections(totals: Totals) -> Json:
    counted = ("opened", "lost", "reconnects", "goaways", "resets", "refused")
    return {
        **dict.fromkeys(counted, 0),
        **totals.run.counts_by("http2", 0),
        "open_max": int(totals.peak("connections_open")),
        "in_flight_max": int(totals.peak("in_flight")),
        "waiting_max": int(totals.peak("waiting")),
    }


def _chfs(totals: Totals, targets: Sequence[str]) -> list[Json]:
    """Each CHF as the fleet saw it; requests are counted by CHF where there are several."""
    run = totals.run
    return [
        {
            "number": number,
            "target": target,
            "requests": run.count("requests") if len(targets) == 1 else run.count("chf", str(number), "requests"),
            "failed": run.count("requests", None, None, "failed")
            if len(targets) == 1
            else run.count("chf", str(number), "failed"),
            "failovers_from": run.count("failovers", str(number)),
            "failovers_to": run.count("failovers", None, str(number)),
            "down_at_end": bool(totals.gauge(f"chf_down|{number}")),
        }
        for number, target in enumerate(targets, 1)
    ]


def _vitals(totals: Totals) -> Vitals:
    run = totals.run
    queue, response = run.histogram("latency_us", "queue"), run.histogram("latency_us", "response")
    return Vitals(
        intervals=max((each.cpu.count for each in totals.by_worker.values()), default=0),
        cpu_share=(_busiest(totals, "cpu") or 0) / 1e6,
        loop_lag_us=_busiest(totals, "lag") or 0,
        queue_p50_us=queue.percentile(50),
        queue_p99_us=queue.percentile(99),
        response_p50_us=response.percentile(50),
        response_p99_us=response.percentile(99),
        waiting_max=int(totals.peak("waiting")),
        intended=run.count("arrivals", "intended"),
        started=run.count("arrivals", "started"),
        dropped=run.counts_by("arrivals", 1, "dropped"),
        requests=run.count("requests"),
        failed=run.count("requests", None, None, "failed"),
    )


def _generator(totals: Totals, health: Health) -> Json:
    cpu_s = totals.gauge("cpu_s")
    workers = totals.by_worker.values()
    requests = totals.run.count("requests") + totals.run.count("retransmitted")
    share = _busiest(totals, "cpu")
    return {
        "cpu_s": round(cpu_s, 3),
        "requests_per_cpu_s": round(requests / cpu_s, 1) if cpu_s else None,
        "cpu_share": None if share is None else round(share / 1e6, 4),
        "loop_lag_us": max((each.lag.max_us for each in workers if each.lag.count), default=None),
        "loop_lag_usual_us": _busiest(totals, "lag"),
        "gc_pause_us": max((each.gc_pause_us for each in workers), default=None),
        "gc_us": totals.run.count("gc_us"),
        "timer_floor_us": totals.peak("timer_floor_us") or None,
        "limited": health.limited,
        "reasons": list(health.reasons),
        "notes": list(health.notes),
    }


def _engines(totals: Totals, facts: RunFacts) -> list[Json]:
    """Each engine by itself; `lost`: it did not live to the end, and maybe not to its first report."""
    silent = {number: WorkerTotals() for number in facts.lost_workers}
    return [
        {
            "worker": number,
            "lost": number in facts.lost_workers,
            "requests": worker.requests,
            "dropped": worker.dropped,
            "cpu_s": round(worker.cpu_s, 3),
            "requests_per_cpu_s": round(worker.requests / worker.cpu_s, 1) if worker.cpu_s else None,
            "cpu_share": round(worker.cpu.percentile(50) / 1e6, 4) if worker.cpu.count else None,
            "loop_lag_usual_us": worker.lag.percentile(50) if worker.lag.count else None,
            "loop_lag_us": worker.lag.max_us if worker.lag.count else None,
            "gc_pause_us": round(worker.gc_pause_us),
            "queue_p99_us": worker.queue.percentile(99) if worker.queue.count else None,
            "until_s": round(worker.end_s, 3),
        }
        for number, worker in sorted((silent | totals.by_worker).items())
    ]


def _busiest(totals: Totals, name: Literal["cpu", "lag"]) -> float | None:
    """The usual interval of the worker that has it worst: the median over its intervals; None where nothing was measured."""
    histograms: list[Histogram] = [getattr(each, name) for each in totals.by_worker.values()]
    return max((each.percentile(50) for each in histograms if each.count), default=None)


def _per_second(steady: Snapshot, count: int) -> float:
    return round(count / steady.seconds, 3) if steady.seconds > 0 else 0.0
