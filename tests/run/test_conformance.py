"""A load run that looks at a sample of the answers: what deviates is counted, told once, and shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.http2 import Server, ServerRequest
from tests.run.rig import brief, conducted, sound, url

pytestmark = pytest.mark.anyio


async def test_the_sandbox_answers_by_the_book(reference: Path) -> None:
    result = await conducted(brief(), conformance=0.5, openapi=reference / "3gpp")
    assert sound(result)
    requests = result.summary["all"]["requests"]
    assert abs(result.summary["conformance"]["checked"] - requests / 2) <= 1
    assert result.summary["conformance"]["deviations"] == {}


async def test_deviations_are_counted_by_rule_and_told_once() -> None:
    def answer(request: ServerRequest) -> None:
        headers = [(b"content-type", b"application/json"), (b"location", b"reference")]
        request.respond(201, headers, b'{"invocationTimeStamp":"2026-11-22T10:00:00","invocationSequenceNumber":0}')

    server = await Server.serve(answer, "127.0.0.1", 0)
    try:
        load = {"mode": "closed", "devices": 2, "sessions": 2, "duration": "1s"}
        result = await conducted(brief(load=load), targets=[url(server)], conformance=1.0)
    finally:
        await server.aclose()
    checked, deviations = result.summary["conformance"]["checked"], result.summary["conformance"]["deviations"]
    assert 100 < deviations["timestamp"] <= checked
    told = [event["text"] for event in result.summary["events"]]
    assert sum("timestamp" in text for text in told) == 1
    assert any("2026-11-22T10:00:00" in text for text in told)


async def test_without_a_sample_nothing_is_looked_at() -> None:
    result = await conducted(brief())
    assert result.summary["conformance"] == {"checked": 0, "deviations": {}}
