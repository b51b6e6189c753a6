"""The terminal's page of a capacity search, from its capacity.json alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from simulator.report import words
from simulator.report.layout import below, bullets, columns, indented

_STYLES: Final = {"held": "green", "failed": "red", "not decided": "yellow", "not valid": "magenta"}
_WORDS: Final = {
    ("confirm", "held"): "confirmed",
    ("confirm", "not decided"): "undecided",
    ("probe", "not decided"): "undecided",
}
_ALMOST_ALL: Final = 0.95
_EXIT_STYLES: Final = {0: "bold green", 1: "bold red"}

Json = Mapping[str, Any]


def render_capacity(state: Json) -> RenderableType:
    """The answer, the curve, and why steps did not hold."""
    return Group(*_parts(state))


def _parts(state: Json) -> Iterator[RenderableType]:
    result = state["result"]
    if result is not None:
        yield Text(result["sentence"], _EXIT_STYLES.get(result["exit_code"], "bold yellow"))
    steps = sorted(state["steps"], key=lambda step: (step["rate_per_s"], step["number"]))
    if steps:
        yield from below(_curve(steps))
    reasons = [f"{words.count(step['rate_per_s'])}/s: {step['why']}" for step in steps if step["why"]]
    if reasons:
        yield from below(bullets(dict.fromkeys(reasons)))
    if result is not None and result.get("confirmed") is not None:
        yield from below(indented(_how(state)))


def _curve(steps: list[Json]) -> Table:
    """One row for each step, by rate; two of the same rate in the order in which they were made."""
    table = columns("rate/s", "step", "achieved", "req/s", "p50", "p90", "p99", "success")
    table.add_column("", no_wrap=True)
    for step in steps:
        latency, success, requests = step.get("latency_us"), step.get("success"), step.get("requests", 0)
        table.add_row(
            words.count(step["rate_per_s"]),
            f"{step['number']}{'c' if step['kind'] == 'confirm' else ''}",
            words.count(step["achieved_per_s"]) if "achieved_per_s" in step else "–",
            words.count(step["requests_per_s"]) if "requests_per_s" in step else "–",
            *([words.latency(latency[name]) for name in ("p50", "p90", "p99")] if latency else ["–"] * 3),
            words.share(round(success * requests), requests) if success is not None else "–",
            Text(str(_WORDS.get((step["kind"], step["verdict"]), step["verdict"])), _STYLES[step["verdict"]]),
        )
    return table


def _how(state: Json) -> Text:
    """What the confidence rests on."""
    held = [step for step in state["steps"] if step["verdict"] == "held"] or state["steps"]
    counted = [slo for slo in held[-1].get("slos", ()) if "requests" in slo] if held else []
    if not counted:
        return Text("no objective has confidence bounds: what was counted was compared as it is", "dim")
    worst = min(counted, key=lambda slo: slo["independent_requests"])
    rests_on = f"What step {held[-1]['number']} rests on: {words.count(worst['requests'])} requests"
    if worst["independent_requests"] >= _ALMOST_ALL * worst["requests"]:
        return Text(f"{rests_on}; slow ones did not come in clumps.", "dim")
    return Text(
        f"{rests_on}, which are worth {words.count(worst['independent_requests'])} independent ones, because those that "
        "wait in one queue are slow together.",
        "dim",
    )
