from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from simulator.measure import Totals
from simulator.report import build_summary, render, words
from tests.report.examples import FACTS, audit, totals

THRESHOLDS = ["success >= 99.9%", "drops == 0"]
GOOD = build_summary(totals(), FACTS, audit(), THRESHOLDS)
BAD = build_summary(totals(workers=2, cpu=0.98, failing=4, dropped=40), FACTS, audit(lost=7, twice=2), THRESHOLDS)
FOREIGN = build_summary(totals(), FACTS, audit(unverifiable="its ledger cannot be read"), THRESHOLDS)


def page(summary: dict[str, Any], width: int = 100, **console: Any) -> str:
    out = io.StringIO()
    Console(file=out, width=width, **console).print(render(summary))
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 100, 140])
@pytest.mark.parametrize("summary", [GOOD, BAD, FOREIGN], ids=["good", "bad", "foreign"])
def test_no_figure_is_cut_off_at_any_usual_width(summary: dict[str, Any], width: int) -> None:
    text = page(summary, width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    for figure in (
        words.count(summary["all"]["requests"]),
        words.latency(summary["all"]["latency_us"]["response"]["max"]),
    ):
        assert figure in text


def test_a_lost_engine_is_named_below_the_figures_of_all() -> None:
    lost = build_summary(totals(workers=2), replace(FACTS, workers=3, lost_workers=(1, 2)), audit())
    text = page(lost, 80)
    assert "…" not in text
    assert "engine 1 was lost, last heard of after 33.0 s\nengine 2 was lost, never heard of" in text
    assert "was lost" not in page(BAD)


def test_a_wide_terminal_gets_counts_and_latencies_in_one_row() -> None:
    def row(width: int) -> str:
        return next(line for line in page(GOOD, width).splitlines() if line.startswith("update"))

    assert "60,000" in row(140)
    assert "7.34 ms" in row(140)
    assert "7.34 ms" not in row(80)


def test_a_run_with_a_warm_up_says_what_its_latencies_are_of() -> None:
    phases = {"warmup": {"seconds": 5.0}, "steady": {"seconds": 25.0}, "drain": {"seconds": 3.0}}
    assert "5.0 s warmup, 25.0 s steady, 3.0 s drain; rates and latencies are those of the steady one" in page(
        {**GOOD, "phases": phases}, 140
    )
    assert "phases" not in page(GOOD)


def test_without_a_terminal_the_page_is_plain() -> None:
    assert "\x1b" not in page(BAD)
    assert "\x1b[" in page(BAD, force_terminal=True, color_system="truecolor")


def test_a_saved_summary_can_be_shown_again() -> None:
    assert page(json.loads(json.dumps(BAD))) == page(BAD)


def test_a_limited_generator_is_said_before_any_figure() -> None:
    text = page(BAD)
    assert text.index("The generator was the limit") < text.index("operation")
    assert "The generator was the limit" not in page(GOOD)
    assert "Verdict: invalid" in text


def test_the_audit_ends_in_one_sentence() -> None:
    assert "Balanced: every unit of 1,000 sessions was charged exactly once." in page(GOOD)
    assert "Not balanced: 9 accounts of 1,000 sessions are wrong or in doubt." in page(BAD)
    assert "imsi-001010000000001/4712 rating group 300: 8.33 MB lost, 25.0 MB used" in page(BAD)
    assert "and 4 more" in page(BAD)
    assert "not verified against the CHF's books: its ledger cannot be read" in page(FOREIGN, 140)


def test_units_that_were_let_pass_are_not_called_charged() -> None:
    summary = build_summary(totals(), FACTS, audit())
    passed = {"charged_units": {"totalVolume": 1}, "uncharged_units": {"totalVolume": 12_000}}
    text = page({**summary, "audit": {**summary["audit"], **passed}})
    assert "Balanced: nothing that 1,000 sessions reported was lost or charged twice." in text
    assert "let pass without charging: 12.0 kB (totalVolume)" in text


def test_thresholds_are_listed_with_what_was_measured() -> None:
    lines = [line.split() for line in page(BAD).splitlines()]
    assert ["FAIL", "drops", "==", "0", "2,400"] in lines
    assert ["FAIL", "success", ">=", "99.9%", "99.367", "%"] in lines


def test_notes_on_the_run_stand_at_the_top() -> None:
    summary = build_summary(totals(), replace(FACTS, notes=("the certificate was not checked",)), audit())
    assert "note: the certificate was not checked" in page(summary).split("operation")[0]


def test_a_run_without_traffic_or_audit_has_a_page() -> None:
    text = page(build_summary(Totals(), FACTS, None))
    assert "The run was not audited." in text
    assert "Verdict: pass" in text


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [(0, "0 µs"), (612, "612 µs"), (1_000, "1.00 ms"), (38_540, "38.5 ms"), (385_400, "385 ms"), (9_996, "10.0 ms"),
     (999_400, "999 ms"), (999_600, "1.00 s"), (1_204_000, "1.20 s"), (61_000_000, "61.0 s")],
)  # fmt: skip
def test_latencies_have_three_figures(microseconds: int, text: str) -> None:
    assert words.latency(microseconds) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0, "time", "0 s"), (59, "time", "59 s"), (90, "time", "1.50 min"), (7_200, "time", "2.00 h"), (999, "totalVolume", "999 B"),
     (10_485_760, "totalVolume", "10.5 MB"), (2_500, "uplinkVolume", "2.50 kB"), (12_345, "serviceSpecificUnits", "12,345")],
)  # fmt: skip
def test_amounts_have_the_unit_that_fits(value: int, unit: str, text: str) -> None:
    assert words.amount(value, unit) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (1, 1, "100 %"),
        (0, 9, "0 %"),
        (99_999, 100_000, "99.99 %"),
        (1, 10**9, "0.01 %"),
        (1, 3, "33.33 %"),
        (0, 0, "–"),
    ],
)
def test_a_share_is_whole_only_when_it_is_exactly_that(part: int, whole: int, text: str) -> None:
    assert words.share(part, whole) == text


def test_long_lists_end_in_how_many_more_there_are() -> None:
    counts = {f"CAUSE_{index}": 10 - index for index in range(10)} | {"NEVER": 0}
    assert words.listed(counts, most=2) == "CAUSE_0 10 · CAUSE_1 9 · and 8 more"
    assert words.listed({}) == "none"


def test_run_times_are_readable() -> None:
    assert [words.seconds(value) for value in (1.23, 320, 7_500)] == ["1.2 s", "5 min 20 s", "2 h 05 min"]


def test_the_audit_says_why_reports_were_in_doubt_and_what_became_of_them() -> None:
    summary = build_summary(totals(), FACTS, audit())
    doubts = {
        "undelivered_units": {"totalVolume": 3_000_000},
        "doubted_by_reason": {
            "no answer in time": {"totalVolume": 8_000_000, "time": 60},
            "connection lost": {"totalVolume": 4_000_000},
        },
    }
    text = page({**summary, "audit": {**summary["audit"], **doubts}}, 200)
    assert "reported without an answer, and not charged: 3.00 MB (totalVolume)" in text
    assert (
        "in doubt at first, and resolved by the books: no answer in time 8.00 MB (totalVolume), 1.00 min (time); connection "
        "lost 4.00 MB (totalVolume)"
    ) in text


def test_what_the_books_hold_in_the_wrong_place_is_explained() -> None:
    text = page(build_summary(totals(), FACTS, audit(crossed=2)), 240)
    assert "right in total, wrong in part: of 50.0 MB (totalVolume) a report is missing from the books" in text
    assert "25.0 MB booked wrongly, 25.0 MB used; the total is right" in text


def test_broken_promises_are_told_in_words() -> None:
    broken = replace(FACTS, promises_broken={"GRANT_AFTER_FINAL_UNIT": 3})
    text = page(build_summary(totals(), broken, audit()))
    assert "it granted units after the final ones 3" in text
