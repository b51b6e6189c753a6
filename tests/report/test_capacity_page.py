from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from simulator.report.capacity_page import render_capacity


def step(number: int, rate: float, verdict: str, **fields: Any) -> dict[str, Any]:
    made = {
        "number": number,
        "kind": "probe",
        "look": 1,
        "rate_per_s": rate,
        "seconds": 30.0,
        "verdict": verdict,
        "why": "" if verdict == "held" else f"response.event.p99 < 50ms: {number} ms",
        "achieved_per_s": rate + 0.3,
        "requests_per_s": 3 * rate,
        "requests": 90_000,
        "success": 0.9999,
        "latency_us": {"p50": 9_990, "p90": 33_330, "p99": 49_990},
        "slos": [{"text": "response.event.p99 < 50ms", "requests": 90_000, "independent_requests": 1234.5}],
    }
    return made | fields


STATE: dict[str, Any] = {
    "steps": [
        step(1, 100_000, "held"),
        step(2, 200_000, "failed"),
        step(3, 150_000, "not decided"),
        step(4, 125_000, "held", kind="confirm"),
    ],
    "result": {"exit_code": 0, "confirmed": True, "sentence": "holds 125,000/s; 150,000/s failed: p99 71 ms"},
}


def page(state: dict[str, Any], width: int = 80) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(render_capacity(state))
    return out.getvalue()


def test_what_a_failed_search_rests_on_is_said_too() -> None:
    text = page({"steps": [step(1, 10, "failed")], "result": {"exit_code": 1, "confirmed": False, "sentence": "no"}})
    assert "What step 1 rests on: 90,000 requests" in text
    assert "no objective has confidence bounds" not in text


@pytest.mark.parametrize("width", [80, 120])
def test_the_answer_comes_first_then_the_curve_by_rate_and_nothing_is_cut_off(width: int) -> None:
    text = page(STATE, width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    assert text.startswith("holds 125,000/s")
    rows = [line.split() for line in text.splitlines() if "ms" in line and "%" in line]
    assert [row[0] for row in rows] == ["100,000", "125,000", "150,000", "200,000"]
    assert rows[1][1:4] == ["4c", "125,000", "375,000"]
    assert [row[-1] for row in rows] == ["held", "confirmed", "undecided", "failed"]
    assert "- 200,000/s: response.event.p99 < 50ms: 2 ms" in text


def test_it_says_how_many_independent_requests_the_answer_rests_on() -> None:
    text = " ".join(page(STATE).split())
    assert "step 4 rests on: 90,000 requests, which are worth 1,234 independent ones" in text
    spread = [{"text": "success >= 99%", "requests": 402, "independent_requests": 402.0}]
    assert "402 requests; slow ones did not" in " ".join(
        page(STATE | {"steps": [step(3, 9, "held", slos=spread)]}).split()
    )
    unbounded = STATE | {"steps": [step(1, 100, "held", slos=[{"text": "drops == 0"}])]}
    assert "no objective has confidence bounds" in page(unbounded)


def test_a_step_that_could_not_be_offered_has_no_figures() -> None:
    bare = {"number": 1, "kind": "probe", "rate_per_s": 100, "verdict": "not valid", "why": "too few subscribers"}
    text = page({"steps": [bare], "result": None})
    assert "not valid" in text
    assert "- 100/s: too few subscribers" in text


def test_a_search_without_a_step_is_its_answer() -> None:
    state = {"steps": [], "result": {"exit_code": 130, "sentence": "interrupted after 0 steps"}}
    assert page(state).strip() == "interrupted after 0 steps"
