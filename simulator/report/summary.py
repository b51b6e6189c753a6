"""From a run's totals, facts and audit to the summary that is shown, saved and judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

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
from simulator.report.facts import RunFacts
from simulator.report.verdict import give_verdict

Json = dict[str, Any]

_FACTS: Final = (
    "profile", "seed", "version", "target", "sandbox", "pace", "mode", "subscribers", "workers", "started_at",
    "planned_s", "duration_s", "notes", "events",
)  # fmt: skip


def build_summary(
    totals: Totals, facts: RunFacts, audit: Audit | None, thresholds: Sequence[str | Threshold] = ()
) -> Json:
    """The summary of a run, JSON-able; latencies in microseconds, None where nothing was measured.

    A promise that the CHF breaks fails the run, unless a threshold says how often it may. Raises ThresholdError for a
    threshold that cannot be read.
    """
    judged = [parse_threshold(text) if isinstance(text, str) else text for text in thresholds]
    summary = _facts(facts) | _measured(totals)
    summary["promises_broken"] = _promises(totals, facts)
    summary["chfs"] = _chfs(totals, facts.targets or (facts.target,))
    summary["audit"] = audit.to_summary() if audit else None
    health = judge_generator(_vitals(totals))
    summary["generator"] = _generator(totals, health)
    lines = [threshold.judge(summary) for threshold in judged]
    summary["thresholds"] = [_line(line) for line in lines]
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


def _facts(facts: RunFacts) -> Json:
    known = asdict(facts)
    return {name: known[name] for name in _FACTS} | {"notes": list(facts.notes), "events": list(facts.events)}


def _measured(totals: Totals) -> Json:
    run, steady = totals.run, totals.steady()
    return {
        "operations": {operation: _operation(run, steady, operation) for operation in OPERATIONS},
        "all": _operation(run, steady, None),
        "usages": {usage: _usage(run, usage) for usage in _usages(run)},
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
        "phases_s": {str(phase): round(totals.phases[phase].seconds, 3) for phase in Phase if phase in totals.phases},
    }


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
        "latency_us": {kind: _latency(run.histogram("latency_us", kind, operation)) for kind in LATENCIES},
    }


def _latency(histogram: Histogram) -> Json:
    """Every key is there; where nothing was measured, its value is None."""
    if not histogram.count:
        return {"count": 0, "mean": None, **dict.fromkeys(PERCENTILES)}
    values = dict(zip(PERCENTILES, histogram.percentiles(PERCENTILES.values()), strict=True))
    return {"count": histogram.count, "mean": round(histogram.mean_us, 1), **values}


def _usages(run: Snapshot) -> list[str]:
    return sorted({*run.counts_by("requests", 1), *run.counts_by("sessions", 1)})


def _usage(run: Snapshot, usage: str) -> Json:
    by_outcome = run.counts_by("requests", 2, None, usage)
    return {
        "started": run.count("sessions", "started", usage),
        "completed": run.count("sessions", "completed", usage),
        "failed": run.count("sessions", "failed", usage),
        "requests": run.count("requests", None, usage),
        "denied_requests": by_outcome.get("denied", 0),
        "failed_requests": by_outcome.get("failed", 0),
        "response_us": _latency(run.histogram("latency_us", "response", None, usage)),
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
        intervals=max((each.count for each in totals.cpu.values()), default=0),
        cpu_share=(_busiest(totals.cpu) or 0) / 1e6,
        loop_lag_us=_busiest(totals.lag) or 0,
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
    requests = totals.run.count("requests") + totals.run.count("retransmitted")
    share = _busiest(totals.cpu)
    return {
        "cpu_s": round(cpu_s, 3),
        "requests_per_cpu_s": round(requests / cpu_s, 1) if cpu_s else None,
        "cpu_share": None if share is None else round(share / 1e6, 4),
        "loop_lag_us": max((each.max_us for each in totals.lag.values()), default=None),
        "loop_lag_usual_us": _busiest(totals.lag),
        "limited": health.limited,
        "reasons": list(health.reasons),
        "notes": list(health.notes),
    }


def _busiest(by_worker: Mapping[int, Histogram]) -> float | None:
    """The usual interval of the worker that has it worst: the median over its intervals; None where nothing was measured."""
    return max((each.percentile(50) for each in by_worker.values()), default=None)


def _per_second(steady: Snapshot, count: int) -> float:
    return round(count / steady.seconds, 3) if steady.seconds > 0 else 0.0


def _line(line: VerdictLine) -> Json:
    return {"ok": line.ok, "text": line.text, "value": line.value}
