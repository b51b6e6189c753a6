"""A capacity search as one HTML file: the answer, the curve of rate against latency, every step with its verdict and reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from simulator.measure import parse_threshold
from simulator.measure.figures import Measure
from simulator.report import words
from simulator.report.markup import chart, delay, facts, page, printable, styled, table, text

Json = Mapping[str, Any]

CAPACITY_REPORT: Final = "capacity.html"
_KINDS: Final = {0: "pass", 1: "fail", 3: "invalid"}
_STYLES: Final = {"held": "good", "failed": "bad", "not decided": "warn", "not valid": "note"}
_SETTINGS: Final[Mapping[str, tuple[str, Callable[[float], str]]]] = {
    "start": ("from", "{:,.6g}/s".format),
    "highest": ("to", "{:,.6g}/s".format),
    "resolution": ("resolution", lambda share: f"{100 * share:g} %"),
    "step_s": ("each step", words.seconds),
    "confirm_s": ("confirming step", words.seconds),
    "cool_down_s": ("rest before a step", words.seconds),
    "most_looks": ("looks at most", words.count),
    "most_steps": ("steps at most", words.count),
    "most_s": ("time at most", words.seconds),
}
_RANKS: Final = ("p50", "p90", "p99")


def write_capacity_report(folder: Path, state: Json) -> Path:
    """Write `capacity.html` beside `capacity.json`. Raises OSError."""
    file = folder / CAPACITY_REPORT
    file.write_text(render_capacity_html(state), "utf-8")
    return file


def render_capacity_html(state: Json) -> str:
    """The page, from a `capacity.json`."""
    steps = sorted(state["steps"], key=lambda step: (step["rate_per_s"], step["number"]))
    measured = [step for step in steps if step.get("latency_us")]
    name = str((state.get("profile") or {}).get("name") or "profile")
    sentence = "The search is not over." if state["result"] is None else str(state["result"]["sentence"])
    return page(
        title=f"Capacity of {name}",
        top=_answer(name, sentence, state["result"]),
        parts=(("Curve", _curve(measured)), ("Steps", _steps(steps)), ("Search", _search(state))),
        footer=f"smfleet, capacity search of {name}",
        data={"capacity": _chart_data(measured, state.get("slos") or [])},
    )


def _answer(name: str, sentence: str, result: Json | None) -> str:
    kind = "other" if result is None else _KINDS.get(result["exit_code"], "other")
    return (
        f'<div class="verdict {kind}" role="status"><h1>Capacity: {text(name)}</h1><p>{text(sentence, 2_000)}</p></div>'
    )


def _curve(measured: list[Json]) -> str:
    explained = "Response times of all operations by the rate of arrivals; dashed the objectives that limit a latency."
    return chart("capacity", "Rate against latency", explained, empty="" if measured else "No step was measured.")


def _chart_data(measured: list[Json], slos: list[str]) -> Json:
    limits = [parse_threshold(slo) for slo in slos]
    return {
        "steps": [
            {
                "number": step["number"],
                "rate": step["rate_per_s"],
                "verdict": step["verdict"],
                "ms": _milliseconds(step),
            }
            for step in measured
        ],
        "ranks": _RANKS,
        "limits": [
            {"text": printable(each.text, 60), "ms": each.limit / 1000}
            for each in limits
            if each.measure is Measure.DURATION
        ],
    }


def _milliseconds(step: Json) -> Json:
    return {rank: step["latency_us"][rank] / 1000 for rank in _RANKS if step["latency_us"].get(rank) is not None}


def _steps(steps: list[Json]) -> str:
    headings = ("step", "rate/s", "achieved/s", "requests/s", *_RANKS, "success", "verdict", "why")
    return table("By rate", headings, map(_row, steps), texts=(len(headings) - 1,))


def _row(step: Json) -> list[str]:
    latency, success = step.get("latency_us") or {}, step.get("success")
    requests = step.get("requests", 0)
    return [
        f"{step['number']}{' (confirming)' if step['kind'] == 'confirm' else ''}",
        words.count(step["rate_per_s"]),
        *(words.count(step[name]) if name in step else "–" for name in ("achieved_per_s", "requests_per_s")),
        *(delay(latency.get(rank)) for rank in _RANKS),
        "–" if success is None else words.share(round(success * requests), requests),
        styled(_STYLES.get(step["verdict"], "warn"), step["verdict"]),
        text(step["why"] or ""),
    ]


def _search(state: Json) -> str:
    settings = state.get("settings") or {}
    about = [("objectives", "<br>".join(f"<code>{text(slo)}</code>" for slo in state.get("slos") or []))]
    if "confidence" in state:
        about.append(("confidence", f"{state['confidence']:.0%}"))
    if "seed" in state:
        about.append(("seed", text(state["seed"])))
    about += [(name, shown(settings[key])) for key, (name, shown) in _SETTINGS.items() if settings.get(key) is not None]
    return facts(about)
