"""A run in one line, for the log of a CI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator.report import words

Json = Mapping[str, Any]


def one_line(summary: Json) -> str:
    """`pass demo: 3,809 requests/s, response p99 4.10 ms, success 100 %, balanced, 2 of 2 thresholds`, and why it is no pass."""
    everything, lines = summary["all"], summary["thresholds"]
    parts = [f"{words.count(round(summary['rate']['requests_per_s']))} requests/s"]
    response = everything["latency_us"]["response"]
    if response["count"]:
        parts.append(f"response p99 {words.latency(response['p99'])}")
    parts.append(f"success {words.share(everything['requests'] - everything['failed'], everything['requests'])}")
    parts.append(_books(summary["audit"]))
    if lines:
        parts.append(f"{sum(line['ok'] is True for line in lines)} of {len(lines)} thresholds")
    if summary["warnings"]:
        parts.append(f"{len(summary['warnings'])} warning{'s' * (len(summary['warnings']) > 1)}")
    why = f" ({'; '.join(summary['why'])})" if summary["why"] else ""
    return f"{summary['verdict']} {summary['profile']}: {', '.join(parts)}{why}"


def _books(audit: Json | None) -> str:
    if audit is None:
        return "not audited"
    return {True: "balanced", False: "NOT balanced", None: "not verified against the books"}[audit["balanced"]]
