"""A run's judgements as JUnit XML, the form in which most CI systems show results."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from xml.etree import ElementTree as ET

from simulator.report import words

Json = Mapping[str, Any]

_NOT_IN_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(summary: Json) -> bytes:
    """One test case for the run, the generator, the audit, the CHF's promises, and for each threshold.

    A threshold that only warns does not fail its case; what could not be judged is skipped, with the reason.
    """
    cases = list(_cases(summary))
    suite = ET.Element(
        "testsuite",
        name=_text(f"smfleet {summary['profile']}"),
        tests=str(len(cases)),
        failures=str(sum(case.find("failure") is not None for case in cases)),
        errors=str(sum(case.find("error") is not None for case in cases)),
        skipped=str(sum(case.find("skipped") is not None for case in cases)),
        time=f"{summary['duration_s']:.3f}",
        timestamp=str(summary["started_at"])[:19],
    )
    properties = ET.SubElement(suite, "properties")
    for name in ("version", "seed", "target", "pace", "workers", "verdict"):
        ET.SubElement(properties, "property", name=name, value=_text(str(summary[name])))
    suite.extend(cases)
    whole = ET.Element("testsuites")
    whole.append(suite)
    ET.indent(whole)
    document: bytes = ET.tostring(whole, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _cases(summary: Json) -> Iterator[ET.Element]:
    yield _run(summary)
    yield _generator(summary["generator"])
    yield _audit(summary["audit"])
    yield _promises(summary["promises_broken"], summary["why"])
    for line in summary["thresholds"]:
        yield _threshold(line)


def _case(kind: str, name: str, output: str = "") -> ET.Element:
    case = ET.Element("testcase", classname=f"smfleet.{kind}", name=_text(name), time="0")
    if output:
        ET.SubElement(case, "system-out").text = _text(output)
    return case


def _outcome(case: ET.Element, tag: str, message: str) -> ET.Element:
    """Put it before what the case says besides, as the form wants it."""
    outcome = ET.Element(tag, message=_text(message))
    if tag != "skipped":
        outcome.set("type", case.get("classname", ""))
        outcome.text = _text(message)
    case.insert(0, outcome)
    return case


def _run(summary: Json) -> ET.Element:
    case = _case("run", "the run was done as asked", "\n".join([*summary["notes"], *summary["warnings"]]))
    if summary["verdict"] in ("could not run", "interrupted"):
        return _outcome(case, "error", "; ".join(summary["why"]) or summary["verdict"])
    return case


def _generator(generator: Json) -> ET.Element:
    case = _case("generator", "the generator was not the limit", "\n".join(generator["notes"]))
    return _outcome(case, "failure", "; ".join(generator["reasons"])) if generator["limited"] else case


def _audit(audit: Json | None) -> ET.Element:
    case = _case("audit", "every unit was charged exactly once")
    if audit is None:
        return _outcome(case, "skipped", "the run was not audited")
    if audit["balanced"] is None:
        return _outcome(case, "skipped", str(audit["reason"]))
    if audit["balanced"]:
        return case
    wrong = ", ".join(
        f"{words.named_amount(count, unit)} {word}"
        for word, name in (
            ("lost", "lost_units"),
            ("charged twice", "double_charged_units"),
            ("in doubt", "in_doubt_units"),
        )
        for unit, count in audit[name].items()
        if count
    )
    return _outcome(case, "failure", f"{audit['offending']:,} accounts of {audit['sessions']:,} sessions: {wrong}")


def _promises(promises: Mapping[str, int], why: list[str]) -> ET.Element:
    case = _case("promises", "the CHF keeps its promises")
    broken = next((each for each in why if each.startswith("the CHF broke its promises")), "")
    if broken:
        return _outcome(case, "failure", broken)
    if promises:  # a threshold forgives them
        ET.SubElement(case, "system-out").text = _text(words.listed(promises))
    return case


def _threshold(line: Json) -> ET.Element:
    measured = words.measured(line["value"], line["over"], line["window_at_s"])
    case = _case("threshold", line["text"], f"measured over {line['over']}: {measured}")
    if line["ok"] is None:
        return _outcome(case, "skipped", line["value"])
    if line["ok"] is False and line["level"] == "fail":
        return _outcome(case, "failure", f"{line['text']}: {measured}")
    return case


def _text(text: str) -> str:
    """What XML cannot hold is replaced: causes are the CHF's words."""
    return _NOT_IN_XML.sub("?", text)
