from __future__ import annotations

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from simulator.measure import VerdictLine
from simulator.report import build_summary
from simulator.report.junit import junit
from simulator.report.line import one_line
from tests.report.examples import FACTS, audit, totals

THRESHOLDS = ["success >= 99%", "response.update.p99 < 1ms", "response.create.p99 < 1ms warn"]
GOOD = build_summary(totals(), FACTS, audit(), THRESHOLDS[:1])
BAD = build_summary(totals(failing=400, dropped=40, cpu=0.99), FACTS, audit(lost=1, twice=2), THRESHOLDS)


def cases(summary: dict[str, Any]) -> dict[str, ET.Element]:
    [suite] = ET.fromstring(junit(summary))
    return {case.get("name", ""): case for case in suite.iter("testcase")}


def outcomes(summary: dict[str, Any]) -> dict[str, str]:
    return {
        name: next((each.tag for each in case if each.tag != "system-out"), "pass")
        for name, case in cases(summary).items()
    }


def test_each_judgement_is_a_case() -> None:
    assert outcomes(GOOD) == dict.fromkeys(
        ("the run was done as asked", "the generator was not the limit", "every unit was charged exactly once",
         "the CHF keeps its promises", "success >= 99%"),
        "pass",
    )  # fmt: skip


def test_what_fails_a_run_fails_its_case_and_a_warning_does_not() -> None:
    assert outcomes(BAD) == {
        "the run was done as asked": "pass",
        "the generator was not the limit": "failure",
        "every unit was charged exactly once": "failure",
        "the CHF keeps its promises": "pass",
        "success >= 99%": "failure",
        "response.update.p99 < 1ms": "failure",
        "response.create.p99 < 1ms warn": "pass",
    }
    assert "7." in cases(BAD)["response.update.p99 < 1ms"][0].get("message", "")


@pytest.mark.parametrize(
    ("facts", "words"),
    [({"interrupted": True}, "the run was interrupted"), ({"could_not_run": "worker 1 died"}, "worker 1 died")],
)
def test_a_run_that_was_not_done_is_an_error(facts: dict[str, Any], words: str) -> None:
    summary = build_summary(totals(), replace(FACTS, **facts), audit())
    [error] = cases(summary)["the run was done as asked"].iter("error")
    assert words in error.get("message", "")


def test_the_worst_window_is_named_wherever_a_threshold_is() -> None:
    text = "response.p99 < 1s over 10s"
    worst = VerdictLine(False, text, "1.2 s", "10s", "fail", 42.5)
    summary = build_summary(totals(), FACTS, audit(), [text], {text: worst})
    told = f"{text}: 1.2 s in the 10s before 42.5 s"
    assert summary["why"] == [f"threshold {told}"]
    assert cases(summary)[text][0].get("message") == told
    assert told in one_line(summary)


def test_what_could_not_be_judged_is_skipped() -> None:
    summary = build_summary(totals(), FACTS, audit(unverifiable="no books"), ["audit.lost_units == 0"])
    assert (
        outcomes(summary)["audit.lost_units == 0"]
        == outcomes(summary)["every unit was charged exactly once"]
        == "skipped"
    )
    assert outcomes(build_summary(totals(), FACTS, None))["every unit was charged exactly once"] == "skipped"


@pytest.mark.parametrize("summary", [GOOD, BAD], ids=["good", "bad"])
def test_the_suite_counts_its_cases(summary: dict[str, Any]) -> None:
    [suite] = ET.fromstring(junit(summary))
    found = list(outcomes(summary).values())
    assert [int(suite.get(name, "")) for name in ("tests", "failures", "errors", "skipped")] == [
        len(found), found.count("failure"), found.count("error"), found.count("skipped"),
    ]  # fmt: skip
    assert suite.get("time") == "33.200"


ATTRIBUTES = {
    "testsuites": set(),
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"name", "classname", "time"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "skipped": {"message"},
    "system-out": set(),
}
"""Of the elements that CI systems agree upon."""
ORDER = ["skipped", "error", "failure", "system-out"]


@pytest.mark.parametrize(
    "summary",
    [
        GOOD,
        BAD,
        build_summary(totals(), FACTS, None),
        build_summary(totals(), replace(FACTS, interrupted=True), audit()),
    ],
    ids=["good", "bad", "unaudited", "interrupted"],
)
def test_the_form_is_the_one_that_ci_systems_agree_upon(summary: dict[str, Any]) -> None:
    root = ET.fromstring(junit(summary))
    for element in root.iter():
        assert set(element.keys()) == ATTRIBUTES[element.tag], element.tag
    assert (root.tag, [each.tag for each in root]) == ("testsuites", ["testsuite"])
    properties, *cases = root[0]
    assert (properties.tag, {each.tag for each in cases}) == ("properties", {"testcase"})
    for case in cases:
        places = [ORDER.index(each.tag) for each in case]
        assert places == sorted(set(places)), "each at most once, the outcome before the output"
        assert sum(place < 3 for place in places) <= 1
        float(case.get("time", ""))


def test_what_xml_cannot_hold_is_no_trouble() -> None:
    summary = build_summary(totals(), replace(FACTS, profile="a\x00<b>&\ud800", notes=("\x1b[31m",)), audit())
    [suite] = ET.fromstring(junit(summary))
    assert suite.get("name") == "smfleet a?<b>&?"


def test_a_run_is_one_line_for_a_log() -> None:
    assert one_line(GOOD) == (
        "pass demo: 2,570 requests/s, response p99 7.18 ms, success 100 %, balanced, 1 of 1 thresholds"
    )
    line = one_line(BAD)
    assert line.startswith("invalid demo: 2,570 requests/s")
    assert "NOT balanced, 0 of 3 thresholds, 1 warning (" in line
    assert "\n" not in line


def test_a_threshold_that_could_not_be_judged_is_not_counted_as_held() -> None:
    summary = build_summary(totals(), FACTS, audit(unverifiable="no books"), ["audit.lost_units == 0", "success > 1%"])
    assert "not verified against the books, 1 of 2 thresholds" in one_line(summary)
