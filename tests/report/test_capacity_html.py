"""capacity.html: the answer first, the curve by rate, every step with its reason, and words instead of a curve without steps."""

from __future__ import annotations

from pathlib import Path

from simulator.report.capacity_html import CAPACITY_REPORT, render_capacity_html, write_capacity_report
from tests.report.test_capacity_page import STATE, step
from tests.report.test_html import HOSTILE, Elements, embedded, visible

WHOLE = STATE | {
    "profile": {"name": "busy-hour"}, "slos": ["response.event.p99 < 50ms", "success >= 99.9%"], "confidence": 0.95, "seed": 3,
    "settings": {"start": 100_000.0, "highest": None},
}  # fmt: skip


def test_the_answer_comes_first_and_every_step_has_its_verdict() -> None:
    page = render_capacity_html(WHOLE)
    assert Elements(page).open == []
    main = visible(page)
    assert main.index("holds 125,000/s") < main.index('id="chart-capacity"') < main.index("<table")
    assert main.index("100,000") < main.rindex("125,000") < main.rindex("200,000")
    for shown in ("4 (confirming)", "not decided", "response.event.p99 &lt; 50ms: 2 ms", "95%"):
        assert shown in main
    assert "<dt>from</dt><dd>100,000/s</dd>" in main
    assert "<dt>to</dt>" not in main


def test_the_curve_goes_by_rate_and_has_the_limits_of_latencies_only() -> None:
    curve = embedded(render_capacity_html(WHOLE))["capacity"]
    assert isinstance(curve, dict)
    assert [(each["rate"], each["verdict"]) for each in curve["steps"]] == [
        (100_000, "held"), (125_000, "held"), (150_000, "not decided"), (200_000, "failed"),
    ]  # fmt: skip
    assert curve["steps"][0]["ms"] == {"p50": 9.99, "p90": 33.33, "p99": 49.99}
    assert curve["limits"] == [{"text": "response.event.p99 < 50ms", "ms": 50.0}]


def test_a_search_without_measured_steps_has_words_and_no_frame(tmp_path: Path) -> None:
    bare = {"number": 1, "kind": "probe", "rate_per_s": 100, "verdict": "not valid", "why": "too few subscribers"}
    file = write_capacity_report(tmp_path, {"steps": [bare], "result": None})
    assert file.name == CAPACITY_REPORT
    main = visible(file.read_text())
    assert "The search is not over." in main
    assert "No step was measured." in main
    assert "too few subscribers" in main


def test_what_a_step_says_stays_text() -> None:
    steps = [step(1, 10, "failed", why=HOSTILE)]
    page = render_capacity_html(
        WHOLE | {"steps": steps, "result": {"exit_code": 1, "sentence": HOSTILE}, "profile": {"name": HOSTILE}}
    )
    parsed = Elements(page)
    assert parsed.open == []
    assert "img" not in [tag for tag, _ in parsed.elements]
