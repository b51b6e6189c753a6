"""Failed attempts with their exchange: bounded, fair, without secrets, and none where all is well."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson
import pytest

from simulator.fleet.samples import DRAWN, FIRST, MOST_CAUSES, FailureSamples
from simulator.fleet.shown import MOST_BODY
from simulator.fleet.witnesses import Witnesses
from tests.world import CALL, START, Message, World, traffic


def sampled(weather: Any, *, seed: bytes = b"1", **fields: Any) -> tuple[list[dict[str, Any]], FailureSamples, World]:
    """Two hundred calls in that weather, each with reports."""
    told: list[dict[str, Any]] = []
    samples = FailureSamples(START, seed, told.append)
    load = {"rate": "20/s", "duration": "10s"}
    usages = {"call": CALL | {"rating_groups": [{"rating_group": 100, "requested": "2s"}]}}
    profile = traffic(load, usages=usages, **fields)
    world = World(profile, weather=weather, witnesses=Witnesses(samples=samples)).run()
    return told, samples, world


def test_where_all_is_well_nothing_is_sampled() -> None:
    told, samples, world = sampled(lambda message: "")
    samples.finish()
    assert world.sent("update")
    assert told == []


def test_the_first_failures_are_told_at_once_and_some_of_the_others_at_the_end() -> None:
    told, samples, world = sampled(lambda message: "500" if message.operation == "update" else "")
    assert len(told) == FIRST < len(world.sent("update"))
    assert [each["at_s"] for each in told] == sorted(each["at_s"] for each in told)
    samples.finish()
    assert len(told) == FIRST + DRAWN
    assert told[-1]["at_s"] > 1.0, "late ones have a chance as well"
    sample, message = told[0], next(each for each in world.sent("update"))
    assert (sample["operation"], sample["cause"], sample["status"]) == ("update", "HTTP_500", 500)
    assert sample["usage"] == "call"
    assert sample["subscriber"] == message.body["subscriberIdentifier"]
    assert orjson.loads(sample["request"]["body"]) == message.body
    assert [":method", "POST"] in sample["request"]["headers"]
    assert sample["response"] == {"headers": [], "body": ""}
    assert sample["service_us"] == 5_000


def test_a_failure_without_an_answer_says_what_kind_it_was() -> None:
    told, samples, _ = sampled(lambda message: "lost" if message.operation == "release" else "", repeats=9)
    samples.finish()
    assert {(each["cause"], each["status"], each["response"], each["detail"]) for each in told} == {
        ("TIMEOUT", None, None, "no answer")
    }
    assert told[0]["attempt"] == 1 < told[-1]["attempt"] <= 10


def test_every_cause_has_its_own_samples_up_to_a_bound() -> None:
    """Forty statuses in turn: the rarer ones beyond the bound share a place."""
    count = 0

    def weather(message: Message) -> str:
        nonlocal count
        count += message.operation == "update"
        return str(500 + count % 40) if message.operation == "update" else ""

    told, samples, _ = sampled(weather)
    samples.finish()
    causes = {each["cause"] for each in told}
    assert len(causes) == MOST_CAUSES + 1
    assert "OTHER" in causes
    assert len(told) <= (FIRST + DRAWN) * (MOST_CAUSES + 1)


def test_a_long_body_is_cut_and_says_so() -> None:
    long = {"add": {"create": {"note": "x" * 2 * MOST_BODY}}}
    told, _, _ = sampled(lambda message: "500", dialect=long)
    body = told[0]["request"]["body"]
    assert len(body) < MOST_BODY + 40
    assert body.endswith(" more)")


def test_credentials_are_not_sampled_even_where_the_chf_echoes_them() -> None:
    headers = {"extra": {"x-api-key": "s3cr3t", "x-lab": "yes"}}
    told, _, _ = sampled(lambda message: "500\nx-echo: got s3cr3t\nset-cookie: a=b", headers=headers)
    request, response = told[0]["request"]["headers"], told[0]["response"]["headers"]
    assert ["x-api-key", "(removed)"] in request
    assert ["x-lab", "yes"] in request
    assert response == [["x-echo", "got (removed)"], ["set-cookie", "(removed)"]]


def test_the_same_seed_draws_the_same_samples() -> None:
    def drawn(seed: bytes) -> list[dict[str, Any]]:
        told, samples, _ = sampled(lambda message: "500" if message.operation == "update" else "", seed=seed)
        samples.finish()
        return told[FIRST:]

    assert drawn(b"1") == drawn(b"1") != drawn(b"2")


def test_late_failures_are_as_likely_to_be_drawn_as_early_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of four that follow the first ones, over and over: each of the four is drawn in three of four cases."""
    monkeypatch.setattr(FailureSamples, "_sample", lambda self, *given: {"at_s": given[-1]})
    counts = Counter[float]()
    for seed in range(600):
        told: list[dict[str, Any]] = []
        samples = FailureSamples(START, seed.to_bytes(2), told.append)
        for now in range(FIRST + DRAWN + 1):
            samples.take(None, None, None, None, "HTTP_500", now)  # type: ignore[arg-type]
        samples.finish()
        counts.update(each["at_s"] for each in told[FIRST:])
    assert counts.total() == 600 * DRAWN
    assert all(abs(counts[now] - 450) < 4 * (600 * 0.75 * 0.25) ** 0.5 for now in range(FIRST, FIRST + DRAWN + 1))
