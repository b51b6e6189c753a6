"""Answers pass a strict check against the Rel-17 schema; the examples of real messages are understood."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.config import load_plan
from simulator.sandbox import Chf
from tests.sandbox.smf import KB, Said, Smf, ask, plan, used
from tests.sandbox.strict import strict_validator


@pytest.fixture(scope="module")
def answer(reference: Path) -> jsonschema_rs.Validator:
    return strict_validator(reference, "ChargingDataResponse")


@pytest.fixture(scope="module")
def problem(reference: Path) -> jsonschema_rs.Validator:
    return strict_validator(reference, "ProblemDetails")


def test_the_check_is_strict(answer: jsonschema_rs.Validator) -> None:
    good = {"invocationTimeStamp": "2026-11-22T10:00:00Z", "invocationSequenceNumber": 0}
    answer.validate(good)
    for bad in (
        good | {"unknown": 1},
        good | {"multipleUnitInformation": [{"ratingGroup": 1, "resultCode": "SUCCES"}]},
        good | {"multipleUnitInformation": [{"ratingGroup": 1, "grantedUnit": {"volume": 1}}]},
        good | {"invocationTimeStamp": "today"},
    ):
        assert not answer.is_valid(bad)


def requests_of(reference: Path) -> dict[str, Any]:
    files = [*(reference / "n40-examples").rglob("*.request.json")]
    return {str(file.relative_to(reference / "n40-examples")): json.loads(file.read_text()) for file in files}


def charge(smf: Smf, document: dict[str, Any], sequence: int) -> list[Said]:
    """An example as what it is, or in a session that is opened for it."""
    if sequence == 0:
        return [smf.send(b"/nchf-convergedcharging/v3/chargingdata", document)]
    session = smf.open(subscriber=document["subscriberIdentifier"], charging_id=sequence)
    released = any(trigger["triggerType"] == "FINAL" for trigger in document.get("triggers", []))
    return [smf.send(session + (b"/release" if released else b"/update"), document)]


def test_every_example_is_answered_as_the_schema_says(reference: Path, answer: jsonschema_rs.Validator) -> None:
    examples = requests_of(reference)
    assert len(examples) >= 15
    for name, document in examples.items():
        smf = Smf(Chf(load_plan()))
        for said in charge(smf, document, document["invocationSequenceNumber"]):
            assert said.status in (200, 201, 204), (name, said.reply.body)
            if said.status != 204:
                answer.validate(said.json)


def test_the_default_plan_serves_the_rating_groups_it_names(answer: jsonschema_rs.Validator) -> None:
    smf = Smf(Chf(load_plan()))
    said = smf.create(*(ask(number) for number in (100, 200, 300, 310, 320, 380, 400)))
    answer.validate(said.json)
    assert {entry["resultCode"] for entry in said.json["multipleUnitInformation"]} == {"SUCCESS"}


usages = st.lists(
    st.builds(
        lambda group, requested, units: (
            ({"requestedUnit": requested} if requested is not None else {})
            | ({"usedUnitContainer": [{"localSequenceNumber": 1, **units}]} if units is not None else {})
            | {"ratingGroup": group}
        ),
        st.sampled_from([100, 200, 300, 301, 310, 400, 999]),
        st.none() | st.dictionaries(st.sampled_from(["time", "totalVolume", "serviceSpecificUnits"]), st.integers(0, 2**32 - 1)),
        st.none() | st.dictionaries(st.sampled_from(["time", "totalVolume", "uplinkVolume"]), st.integers(0, 20 * KB)),
    ),
    max_size=4,
    unique_by=lambda usage: usage["ratingGroup"],
)  # fmt: skip


@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_answer_passes_the_strict_check(
    data: st.DataObject, answer: jsonschema_rs.Validator, problem: jsonschema_rs.Validator
) -> None:
    smf = Smf(Chf(plan(data=data.draw(st.integers(0, 40 * KB)), money=data.draw(st.integers(0, 40)))))
    said = smf.create(*data.draw(usages))
    session = said.reply.header(b"location")
    answers = [said, smf.event(data.draw(st.sampled_from(["IEC", "PEC"])), ask(200, serviceSpecificUnits=2))]
    if session is not None:
        answers += [smf.update(session, sequence, *data.draw(usages)) for sequence in (1, 2, 2, 9)]
        answers += [smf.release(session, data.draw(st.sampled_from([1, 10])), *data.draw(usages)) for _ in range(2)]
    for said in answers:
        if said.status < 300:
            if said.status != 204:
                answer.validate(said.json)
        else:
            problem.validate(said.json)
            assert said.json["status"] == said.status


def test_what_a_final_grant_says_passes(answer: jsonschema_rs.Validator) -> None:
    smf = Smf(Chf(plan(data=KB)))
    said = smf.create(ask(300))
    assert said.is_final(300)
    answer.validate(said.json)
    session = said.reply.header(b"location") or b""
    answer.validate(smf.update(session, 1, used(300, totalVolume=KB, then_ask=True)).json)
