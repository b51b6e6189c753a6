"""What of an answer deviates, rule by rule; and that an answer by the book deviates in nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from simulator.n40.conformance import CLAUSES, Rule, SchemaFault, deviations
from simulator.n40.request import Operation

JSON = (b"content-type", b"application/json")
PROBLEM = (b"content-type", b"application/problem+json")
LOCATION = (b"location", b"http://chf.example:8080/nchf-convergedcharging/v3/chargingdata/1-1")
Json = dict[str, Any]
CREATE, UPDATE, RELEASE = Operation.CREATE, Operation.UPDATE, Operation.RELEASE


def response() -> Json:
    """An answer to a request with sequence number 3 for rating groups 100 and 300."""
    return {
        "invocationTimeStamp": "2026-11-22T10:00:00.012Z",
        "invocationSequenceNumber": 3,
        "supportedFeatures": "C081",
        "triggers": [{"triggerType": "RAT_CHANGE", "triggerCategory": "IMMEDIATE_REPORT"}],
        "multipleUnitInformation": [
            {"ratingGroup": 100, "resultCode": "SUCCESS", "grantedUnit": {"time": 60}, "validityTime": 1800},
            {
                "ratingGroup": 300,
                "grantedUnit": {"totalVolume": 2**64 - 1, "tariffTimeChange": "2026-11-23T00:00:00+01:00"},
                "volumeQuotaThreshold": 10,
                "finalUnitIndication": {"finalUnitAction": "TERMINATE"},
            },
        ],
    }


def rules(
    document: object,
    operation: Operation = UPDATE,
    status: int = 200,
    headers: tuple[tuple[bytes, bytes], ...] = (JSON,),
    asked: tuple[int, ...] = (100, 300),
) -> list[Rule]:
    body = document if isinstance(document, bytes) else orjson.dumps(document)
    return [each.rule for each in deviations(operation, 3, status, headers, body, asked)]


@pytest.mark.parametrize(("operation", "status", "headers"), [(CREATE, 201, (JSON, LOCATION)), (UPDATE, 200, (JSON,))])
def test_an_answer_by_the_book_deviates_in_nothing(
    operation: Operation, status: int, headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    assert rules(response(), operation, status, headers) == []


def test_a_release_is_answered_with_204_and_nothing_else() -> None:
    assert rules(b"", RELEASE, 204, ()) == []
    assert rules(b"{}", RELEASE, 200) == [Rule.STATUS]
    assert rules(b"{}", RELEASE, 204, ()) == [Rule.BODY]


ENTRY: dict[str, tuple[Callable[[Json], object], Rule]] = {
    "no rating group": (lambda entry: entry.pop("ratingGroup"), Rule.RATING_GROUP),
    "a rating group in words": (lambda entry: entry.update(ratingGroup="voice"), Rule.RATING_GROUP),
    "an unknown result": (lambda entry: entry.update(resultCode="SUCESS"), Rule.RESULT_CODE),
    "a result that is no text": (lambda entry: entry.update(resultCode=["SUCCESS"]), Rule.RESULT_CODE),
    "no grant": (lambda entry: entry.pop("grantedUnit"), Rule.GRANT_MISSING),
    "a grant in words": (lambda entry: entry.update(grantedUnit="60 s"), Rule.GRANTED_UNIT),
    "a grant of nothing": (lambda entry: entry.update(grantedUnit={}), Rule.GRANTED_UNIT),
    "a grant of text": (lambda entry: entry.update(grantedUnit={"time": "60"}), Rule.GRANTED_UNIT),
    "a grant of truth": (lambda entry: entry.update(grantedUnit={"time": True}), Rule.GRANTED_UNIT),
    "a grant below zero": (lambda entry: entry.update(grantedUnit={"time": -1}), Rule.GRANTED_UNIT),
    "a grant above its type": (lambda entry: entry.update(grantedUnit={"time": 2**32}), Rule.GRANTED_UNIT),
    "a validity time in words": (lambda entry: entry.update(validityTime="1800"), Rule.MEMBER_TYPE),
    "a threshold in words": (lambda entry: entry.update(timeQuotaThreshold=1.5), Rule.MEMBER_TYPE),
    "an empty final unit action": (
        lambda entry: entry.update(finalUnitIndication={"finalUnitAction": ""}),
        Rule.FINAL_UNIT,
    ),
    "a final unit without action": (lambda entry: entry.update(finalUnitIndication={}), Rule.FINAL_UNIT),
    "a final unit action in a list": (
        lambda entry: entry.update(finalUnitIndication={"finalUnitAction": [1]}),
        Rule.FINAL_UNIT,
    ),
    "a trigger without category": (lambda entry: entry.update(triggers=[{"triggerType": "QHT"}]), Rule.TRIGGER),
    "a trigger that is no object": (lambda entry: entry.update(triggers=["QHT"]), Rule.TRIGGER),
    "triggers that are no array": (lambda entry: entry.update(triggers={}), Rule.TRIGGER),
    "a tariff change without zone": (
        lambda entry: entry["grantedUnit"].update(tariffTimeChange="2026-11-23T00:00:00"),
        Rule.TIMESTAMP,
    ),
}


@pytest.mark.parametrize(("spoil", "rule"), ENTRY.values(), ids=ENTRY.keys())
def test_an_entry_that_is_wrong_is_found(spoil: Callable[[Json], object], rule: Rule) -> None:
    document = response()
    spoil(document["multipleUnitInformation"][0])
    found = rules(document)
    assert rule in found
    assert set(found) <= {rule, Rule.NO_ANSWER_FOR_GROUP}


ANSWER: dict[str, tuple[Callable[[Json], object], Rule]] = {
    "another number": (lambda d: d.update(invocationSequenceNumber=4), Rule.SEQUENCE_NUMBER),
    "a number in words": (lambda d: d.update(invocationSequenceNumber="3"), Rule.SEQUENCE_NUMBER),
    "no number": (lambda d: d.pop("invocationSequenceNumber"), Rule.SEQUENCE_NUMBER),
    "no time stamp": (lambda d: d.pop("invocationTimeStamp"), Rule.TIMESTAMP),
    "no zone": (lambda d: d.update(invocationTimeStamp="2026-11-22T10:00:00.012"), Rule.TIMESTAMP),
    "a date only": (lambda d: d.update(invocationTimeStamp="2026-11-22"), Rule.TIMESTAMP),
    "a month that is none": (lambda d: d.update(invocationTimeStamp="2026-13-22T10:00:00Z"), Rule.TIMESTAMP),
    "a number of seconds": (lambda d: d.update(invocationTimeStamp=1_700_000_000), Rule.TIMESTAMP),
    "features in words": (lambda d: d.update(supportedFeatures="IMS"), Rule.FEATURES),
    "a trigger without category": (lambda d: d.update(triggers=[{}]), Rule.TRIGGER),
    "units that are no array": (lambda d: d.update(multipleUnitInformation={}), Rule.RATING_GROUP),
}


@pytest.mark.parametrize(("spoil", "rule"), ANSWER.values(), ids=ANSWER.keys())
def test_an_answer_that_is_wrong_is_found(spoil: Callable[[Json], object], rule: Rule) -> None:
    document = response()
    spoil(document)
    assert rule in rules(document)


@pytest.mark.parametrize("body", [b"", b"<html/>", b"[]", b"\xff", b"null"])
def test_a_body_that_is_no_object_is_found(body: bytes) -> None:
    assert Rule.BODY in rules(body)


@pytest.mark.parametrize(
    ("location", "rule"),
    [
        (None, Rule.LOCATION_MISSING),
        (b"/nchf-convergedcharging/v3/chargingdata/1-1", Rule.LOCATION_FORM),
        (b"1-1", Rule.LOCATION_FORM),
        (b"http:///nchf-convergedcharging/v3/chargingdata/1-1", Rule.LOCATION_FORM),
        (b"http://chf/nchf-convergedcharging/v3/chargingdata/ 1", Rule.LOCATION_FORM),
        (b"http://chf/nchf-convergedcharging/v3/chargingdata/", Rule.LOCATION_REFERENCE),
        (b"http://chf/nchf-convergedcharging/v3/chargingdata", Rule.LOCATION_REFERENCE),
    ],
)
def test_a_location_that_is_wrong_is_found(location: bytes | None, rule: Rule) -> None:
    headers = (JSON,) if location is None else (JSON, (b"location", location))
    assert rules(response(), CREATE, 201, headers) == [rule]


def test_grants_that_nobody_asked_for_and_answers_that_nobody_got_are_found() -> None:
    assert rules(response(), asked=(100,)) == [Rule.GRANT_NOT_ASKED_FOR]
    assert rules(response(), asked=(100, 300, 310)) == [Rule.NO_ANSWER_FOR_GROUP]
    document = response()
    document["multipleUnitInformation"] *= 2
    assert rules(document) == [Rule.TWO_ANSWERS_FOR_GROUP] * 2


def test_a_rating_group_that_is_denied_needs_no_grant() -> None:
    document = response()
    document["multipleUnitInformation"][0] = {"ratingGroup": 100, "resultCode": "QUOTA_LIMIT_REACHED"}
    assert rules(document) == []


@pytest.mark.parametrize("media_type", [b"text/html", b"application/problem+json", b""])
def test_a_content_type_of_something_else_is_found(media_type: bytes) -> None:
    assert rules(response(), headers=((b"content-type", media_type),)) == [Rule.CONTENT_TYPE]


@pytest.mark.parametrize("media_type", [b"application/json; charset=utf-8", b"Application/JSON"])
def test_a_content_type_of_json_is_one_however_it_is_written(media_type: bytes) -> None:
    assert rules(response(), headers=((b"content-type", media_type),)) == []


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_refusal_by_the_book_deviates_in_nothing(status: int) -> None:
    assert rules({"status": status, "cause": "CHARGING_FAILED"}, status=status, headers=(PROBLEM,)) == []
    wrapped = response() | {"invocationResult": {"error": {"cause": "CHARGING_FAILED"}}}
    assert rules(wrapped, status=status) == []


def test_a_refusal_without_a_cause_or_a_body_is_found() -> None:
    assert rules(b"", status=404, headers=()) == [Rule.PROBLEM_BODY]
    assert rules(b"gone", status=404, headers=(PROBLEM,)) == [Rule.PROBLEM_BODY]
    assert rules({"status": 404}, status=404, headers=(PROBLEM,)) == [Rule.PROBLEM_CAUSE]
    assert rules({"status": 400, "cause": "X"}, status=404, headers=(PROBLEM,)) == [Rule.PROBLEM_STATUS]


@pytest.mark.parametrize("status", [307, 405, 413, 429, 500, 503])
def test_other_refusals_need_no_body(status: int) -> None:
    assert rules(b"", status=status, headers=()) == []


def test_the_schema_that_fits_the_answer_is_asked() -> None:
    asked = []

    def schema(root: str, _: object) -> list[SchemaFault]:
        asked.append(root)
        return [SchemaFault(place="/a", problem="wrong"), SchemaFault(place="", problem="odd", strict=True)]

    found = deviations(UPDATE, 3, 200, [JSON], orjson.dumps(response()), (100, 300), schema)
    assert [(each.rule, each.found) for each in found] == [(Rule.SCHEMA, "/a: wrong"), (Rule.SCHEMA_STRICT, "/: odd")]
    deviations(UPDATE, 3, 404, [PROBLEM], b'{"cause":"X"}', (), schema)
    deviations(UPDATE, 3, 403, [JSON], orjson.dumps(response()), (), schema)
    deviations(UPDATE, 3, 404, [PROBLEM], b"not JSON", (), schema)
    assert asked == ["ChargingDataResponse", "ProblemDetails", "ChargingDataResponse"]


def test_every_rule_has_its_clause() -> None:
    assert CLAUSES.keys() == set(Rule)
