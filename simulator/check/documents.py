"""What came of a check, for programs: JSON, and JUnit XML as CI servers read it."""

from __future__ import annotations

import re
from typing import Any, Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from simulator.check.terminal import exchange_text
from simulator.check.verdicts import CaseResult, CheckResult, Found, Verdict
from simulator.version import __version__

SCHEMA: Final = 1
"""Of the JSON document; it changes when a member changes its meaning."""

_not_in_xml: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_json(result: CheckResult) -> dict[str, Any]:
    """A document with every case, and every exchange of those that deviated."""
    return {
        "schema": SCHEMA,
        "version": __version__,
        "target": result.target,
        "passed": result.passed,
        "seconds": round(result.seconds, 3),
        "counts": {verdict.value: result.count(verdict) for verdict in Verdict},
        "cases": [_case(case) for case in result.cases],
    }


def _case(case: CaseResult) -> dict[str, Any]:
    document: dict[str, Any] = {
        "id": case.id,
        "title": case.title,
        "clause": case.clause,
        "result": case.verdict.value,
        "seconds": round(case.seconds, 3),
    }
    if case.reason:
        document["reason"] = case.reason
    if case.found:
        document["deviations"] = [_found(found) for found in case.found]
        document["exchanges"] = [exchange.document() for exchange in case.exchanges]
    return document


def _found(found: Found) -> dict[str, Any]:
    exchange = None if found.exchange is None else found.exchange.document()
    return {"clause": found.clause, "expected": found.expected, "found": found.found, "exchange": exchange}


def as_junit(result: CheckResult) -> bytes:
    """One test suite; a deviation is a failure, what is not supported is skipped."""
    counts = {
        "tests": len(result.cases),
        "failures": result.count(Verdict.DEVIATION),
        "skipped": result.count(Verdict.NOT_SUPPORTED),
        "errors": 0,
    }
    attributes = {name: str(value) for name, value in counts.items()} | {"time": f"{result.seconds:.3f}"}
    root = Element("testsuites", {"name": "smfleet check"} | attributes)
    suite = SubElement(root, "testsuite", {"name": f"smfleet check {_text(result.target)}"} | attributes)
    for case in result.cases:
        _add_case(suite, case)
    indent(root)
    octets: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return octets + b"\n"


def _add_case(suite: Element, case: CaseResult) -> None:
    subject = case.id.partition(".")[0]
    attributes = {"classname": f"n40.{subject}", "name": f"{case.id}: {case.title}", "time": f"{case.seconds:.3f}"}
    element = SubElement(suite, "testcase", attributes)
    if case.verdict is Verdict.NOT_SUPPORTED:
        SubElement(element, "skipped", {"message": _text(case.reason)})
    for found in case.found:
        message = f"{found.clause}: expected {found.expected}; found {found.found}"
        failure = SubElement(element, "failure", {"message": _text(message), "type": "deviation"})
        if found.exchange is not None:
            failure.text = _text(exchange_text(found.exchange))


def _text(text: str) -> str:
    """Without the characters that XML 1.0 cannot hold."""
    return _not_in_xml.sub("�", text)
