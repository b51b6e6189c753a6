"""A check as a whole: selection, nonsense, secrets, and what is written for people and programs."""

from __future__ import annotations

import asyncio
import io
import re
from dataclasses import replace
from typing import Any
from xml.etree.ElementTree import fromstring

import orjson
import pytest
from rich.console import Console

from simulator.check import (
    CheckResult,
    Verdict,
    as_json,
    as_junit,
    catalogue,
    render,
    render_catalogue,
    run_checks,
    selected,
)
from simulator.check.schemas import MOST_FAULTS
from simulator.http2 import Target, TargetError, client_tls
from simulator.n40.conformance import SchemaFault
from simulator.sandbox.answers import Reply
from simulator.sandbox.chf import LocationForm
from tests.check.faulty import SETTINGS, Fault, Seen, core, played, serving
from tests.check.presets import PRESETS
from tests.http2.conftest import Certificates

pytestmark = pytest.mark.anyio


async def checked(fault: Fault, *patterns: str, **settings: Any) -> CheckResult:
    async with serving(fault) as found:
        return await run_checks(replace(found, **settings), selected(list(patterns)))


def shown(result: CheckResult, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(render(result))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def answering(status: int, body: bytes, *headers: tuple[bytes, bytes]) -> Fault:
    return Fault(answer=lambda seen, reply: Reply(status, list(headers), body))


# -- the catalogue ------------------------------------------------------------------------------------------------------


def test_every_case_says_what_it_tries_and_where_that_is_written() -> None:
    cases = catalogue()
    assert len({case.title for case in cases}) == len(cases)
    for case in cases:
        assert re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)+", case.id)
        assert len(case.id) <= 30, "it fits into 80 columns"
        assert re.search(r"(TS \d\d\.\d{3}|RFC \d{4})", case.clause)


def test_cases_are_selected_by_name_by_subject_and_by_pattern() -> None:
    def ids(*patterns: str) -> list[str]:
        return [case.id for case in selected(list(patterns))]

    assert ids("release.status") == ["release.status"]
    assert set(ids("repeat.create")) == {
        "repeat.create", "repeat.create.grant", "repeat.create.connections", "repeat.create.usable",
    }  # fmt: skip
    assert set(ids("*.create.*")) > {"grant.create.amount", "missing.create.dnn"}
    assert ids("nothing") == []
    assert len(ids()) == len(catalogue())
    assert ids("release", "release.status") == ids("release"), "none is played twice"


def test_the_presets_fail_cases_that_there_are() -> None:
    for cases in PRESETS.values():
        assert cases <= {case.id for case in catalogue()}


# -- charging functions of all kinds -------------------------------------------------------------------------------------

NONSENSE = [
    answering(200, b""),
    answering(201, b"null", (b"location", b"http://[")),
    answering(201, b"[1]", (b"location", b"")),
    answering(201, b'{"multipleUnitInformation":7}', (b"location", b"/" * 5000)),
    answering(200, b'{"multipleUnitInformation":[1,{"ratingGroup":[300],"grantedUnit":[]}]}', (b"location", b"\xff")),
    answering(201, b'{"multipleUnitInformation":[{"ratingGroup":300,"grantedUnit":7}]}', (b"location", b"x")),
    answering(200, b'{"multipleUnitInformation":[{"ratingGroup":300,"resultCode":{}}],"invocationResult":[]}'),
    answering(400, b'{"cause":{},"invalidParams":7,"status":[]}'),
    answering(404, b"\xff\xfe"),
    answering(599, b"{"),
    answering(302, b"", (b"location", b"http://127.0.0.1:1/")),
]


@pytest.mark.parametrize("fault", NONSENSE)
async def test_nonsense_is_a_deviation_and_breaks_nothing(fault: Fault) -> None:
    result = await checked(fault, timeout_s=0.5)
    assert result.count(Verdict.DEVIATION) > 100
    assert shown(result)
    assert as_json(result)
    assert fromstring(as_junit(result)) is not None


async def test_a_charging_function_that_answers_nothing_is_a_deviation_of_each_case() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))  # SETTINGS
        while await reader.read(65_536):
            pass
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    target = Target(scheme="http", host="127.0.0.1", port=server.sockets[0].getsockname()[1])
    settings = replace(SETTINGS, target=target, timeout_s=0.05)
    result = await run_checks(settings, selected(["create.data.minimal", "connection.ping"]))
    server.close()
    assert [case.verdict for case in result.cases] == [Verdict.DEVIATION] * 2
    assert result.cases[0].found[0].found == "no answer within 0.05 s"


async def test_a_target_that_cannot_be_reached_is_no_check() -> None:
    with pytest.raises(TargetError, match="connection refused"):
        await run_checks(SETTINGS, catalogue())


async def test_a_service_that_is_not_charged_is_not_supported() -> None:
    def answer(seen: Seen, reply: Reply) -> Reply:
        if b"iMSChargingInformation" not in seen.body:
            return reply
        return Reply(403, [(b"content-type", b"application/problem+json")], b'{"cause":"CHARGING_NOT_APPLICABLE"}')

    (result,) = await played(Fault(answer=answer), "create.voice.ims")
    assert (result.verdict, result.reason) == (Verdict.NOT_SUPPORTED, "answered 403 CHARGING_NOT_APPLICABLE")


async def test_what_cannot_be_made_to_notify_does_not_support_it() -> None:
    results = await played(Fault(), "notify", management="")
    assert {result.verdict for result in results} == {Verdict.NOT_SUPPORTED}


@pytest.mark.parametrize("location", LocationForm)
async def test_sessions_are_found_whatever_form_location_has(location: LocationForm) -> None:
    results = await played(Fault(location=location), "update", "release", "connection.interleaved")
    assert {result.verdict for result in results} == {Verdict.PASS}


async def test_every_session_is_released_when_its_case_is_over() -> None:
    ended = core()

    def answer(seen: Seen, reply: Reply) -> Reply:
        ended.requests[seen.operation, reply.status] += 1
        return reply

    await played(Fault(answer=answer), "create", "connection.streams")
    assert ended.requests["release", 204] == ended.requests["create", 201] > 100


async def test_it_speaks_tls_with_a_client_certificate(certificates: Certificates) -> None:
    certificate, key = certificates.client_files
    tls = client_tls(ca_file=certificates.ca_file, certificate=certificate, key=key)
    async with serving(Fault(), certificates.server(mutual=True)) as found:
        result = await run_checks(replace(found, tls=tls), selected(["release", "connection"]))
    assert result.passed
    assert result.target.startswith("https://")


# -- schemas -------------------------------------------------------------------------------------------------------------


async def test_every_answer_is_checked_by_the_schema_and_each_fault_told_once() -> None:
    roots: list[str] = []

    def schema(root: str, _: object) -> list[SchemaFault]:
        roots.append(root)
        return [SchemaFault(place="/x", problem=f"number {len(roots) % 50}", strict=root == "ProblemDetails")]

    result = await checked(Fault(), schema=schema)
    published, strict = result.cases[-2:]
    assert set(roots) == {"ChargingDataResponse", "ProblemDetails", "ChargingNotifyRequest"}
    assert (published.id, published.verdict) == ("schema.published", Verdict.DEVIATION)
    assert (strict.id, strict.verdict) == ("schema.strict", Verdict.DEVIATION)
    assert len(published.found) == MOST_FAULTS
    assert len({(found.expected, found.found) for found in published.found}) == MOST_FAULTS


async def test_with_a_schema_that_finds_nothing_the_schema_cases_pass() -> None:
    result = await checked(Fault(), "create", schema=lambda root, document: [])
    assert [case.verdict for case in result.cases[-2:]] == [Verdict.PASS] * 2


# -- what is told --------------------------------------------------------------------------------------------------------

TOKEN = "a-token-that-nobody-may-see"


async def a_mixed_result() -> CheckResult:
    """Passes, deviations and what is not supported, with a token."""

    def answer(seen: Seen, reply: Reply) -> Reply:
        assert dict(seen.headers)[b"authorization"] == b"Bearer " + TOKEN.encode()
        return (
            Reply(200, [(b"content-type", b"application/json")], b'{"a": "\x1b[2J"}')
            if seen.operation == "release"
            else reply
        )

    return await checked(Fault(answer=answer), "release", "create.data", "notify", token=TOKEN, management="")


async def test_the_page_has_each_case_and_the_exchange_of_a_deviation() -> None:
    page = shown(await a_mixed_result())
    assert re.search(r"^deviation +release\.status", page, re.MULTILINE)
    assert re.search(r"^pass +create\.data\.minimal", page, re.MULTILINE)
    assert re.search(r"^not supported +notify\.abort", page, re.MULTILINE)
    assert re.search(r"> POST /nchf-convergedcharging/v3/chargingdata/\S+/release", page)
    assert re.search(r"expected +204 *\n", page)
    assert "< 200" in page
    assert "authorization: (removed)" in page
    assert TOKEN not in page
    assert "\x1b" not in page


@pytest.mark.parametrize("width", [60, 80, 120, 200])
async def test_the_page_keeps_within_its_width(width: int) -> None:
    result = await a_mixed_result()
    assert max(len(line) for line in shown(result, width).splitlines()) <= width


async def test_the_json_document_has_every_exchange_of_a_deviation_without_secrets() -> None:
    octets = orjson.dumps(as_json(await a_mixed_result()))
    assert TOKEN.encode() not in octets
    document = orjson.loads(octets)
    assert document["counts"] == {"pass": 9, "deviation": 2, "not supported": 4}
    assert document["passed"] is False
    status = next(case for case in document["cases"] if case["id"] == "release.status")
    (deviation,) = status["deviations"]
    assert (deviation["expected"], deviation["found"]) == ("204", "200")
    assert deviation["exchange"]["request"]["body"].startswith('{"subscriberIdentifier"')
    assert deviation["exchange"]["answer"]["status"] == 200
    assert [each["answer"]["status"] for each in status["exchanges"]] == [201, 200]


async def test_the_junit_document_counts_failures_and_skips() -> None:
    octets = as_junit(await a_mixed_result())
    assert TOKEN.encode() not in octets
    (suite,) = fromstring(octets)
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped"), suite.get("errors")) == (
        "15",
        "2",
        "4",
        "0",
    )
    failures = suite.findall("testcase/failure")
    assert len(failures) == 2
    assert "expected 204; found 200" in (failures[0].get("message") or "")
    assert "> POST" in (failures[0].text or "")
    assert len(suite.findall("testcase/skipped")) == 4


def test_the_catalogue_is_shown_with_clauses() -> None:
    console = Console(file=io.StringIO(), width=120, color_system=None)
    console.print(render_catalogue(catalogue()))
    file = console.file
    assert isinstance(file, io.StringIO)
    for case in catalogue():
        assert case.id in file.getvalue()
