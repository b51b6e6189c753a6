"""Whatever comes in, a well-formed answer goes out."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from simulator.sandbox import Chf, Reply
from simulator.sandbox.chf import MAX_BODY
from tests.sandbox.smf import COLLECTION, HEADERS, KB, Said, Smf, ask, message, plan, used

UPDATE = COLLECTION + b"/1-1/update"


def raw(smf: Smf, body: bytes, path: bytes = COLLECTION, method: bytes = b"POST", **headers: bytes) -> Said:
    fields = {b"content-type": b"application/json"} | {
        name.replace("_", "-").encode(): value for name, value in headers.items()
    }
    return Said(smf.chf.handle(method, path, list(fields.items()), body, smf.now))  # fmt: skip


def well_formed(reply: Reply) -> None:
    """A 4xx with problem details that say the same status."""
    said = Said(reply)
    assert 400 <= said.status < 500
    assert isinstance(said.cause, str | None)
    assert said.json["status"] == said.status
    assert said.json["title"]
    assert said.json["detail"]


@pytest.mark.parametrize("path", [b"", b"/", b"*", COLLECTION + b"/", COLLECTION + b"/1", COLLECTION + b"/1/updated",
                                  COLLECTION + b"//update", COLLECTION + b"/a/b/update", COLLECTION + b"x",
                                  b"/nchf-convergedcharging/v1/chargingdata", b"/nchf-convergedcharging/v2/chargingData",
                                  b"/nchf-convergedcharging/v3/ChargingData", b"nchf-convergedcharging/v3/chargingdata",
                                  b"x" + COLLECTION, b"/x" * 200 + COLLECTION, b"/x" + COLLECTION + b"/a/b/update",
                                  b"/update", b"/oauth2/token"])  # fmt: skip
def test_a_wrong_path(smf: Smf, path: bytes) -> None:
    said = raw(smf, b"{}", path)
    assert (said.status, said.cause) == (404, "RESOURCE_URI_STRUCTURE_NOT_FOUND")


def test_a_query_is_no_part_of_the_path(smf: Smf) -> None:
    assert raw(smf, orjson.dumps(message(0, [ask(300)])), COLLECTION + b"?x=1").status == 201


@pytest.mark.parametrize("method", [b"GET", b"PUT", b"DELETE", b"post", b""])
@pytest.mark.parametrize("path", [COLLECTION, UPDATE])
def test_a_wrong_method(smf: Smf, method: bytes, path: bytes) -> None:
    said = raw(smf, b"{}", path, method)
    assert said.status == 405
    assert said.reply.header(b"allow") == b"POST"


@pytest.mark.parametrize("kind", [b"text/plain", b"application/x-www-form-urlencoded", b"", b"application/jsonx"])
def test_a_wrong_content_type(smf: Smf, kind: bytes) -> None:
    assert raw(smf, b"{}", content_type=kind).status == 415


@pytest.mark.parametrize("kind", [b"application/json", b"Application/JSON", b"application/json; charset=utf-8"])
def test_a_right_content_type(smf: Smf, kind: bytes) -> None:
    assert raw(smf, orjson.dumps(message(0, [ask(300)])), content_type=kind).status == 201


def test_a_body_that_is_too_large(smf: Smf) -> None:
    assert raw(smf, b" " * (MAX_BODY + 1)).status == 413


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b"\xff", b'{"a":1}{', b"[" * 5000, b'"x"', b"1"])
@pytest.mark.parametrize("path", [COLLECTION, UPDATE])
def test_a_body_that_is_no_json_object(smf: Smf, body: bytes, path: bytes) -> None:
    said = raw(smf, body, path)
    assert (said.status, said.cause) == (400, "INVALID_MSG_FORMAT")


def test_everything_that_is_missing_is_named(smf: Smf) -> None:
    said = raw(smf, b"{}")
    assert (said.status, said.cause) == (400, "MANDATORY_IE_MISSING")
    assert said.invalid() == [
        "/nfConsumerIdentification",
        "/invocationTimeStamp",
        "/invocationSequenceNumber",
        "/subscriberIdentifier",
    ]


@pytest.mark.parametrize(
    ("change", "cause", "pointer"),
    [
        ({"invocationTimeStamp": "now"}, "MANDATORY_IE_INCORRECT", "/invocationTimeStamp"),
        ({"invocationTimeStamp": 5}, "MANDATORY_IE_INCORRECT", "/invocationTimeStamp"),
        ({"invocationTimeStamp": None}, "MANDATORY_IE_MISSING", "/invocationTimeStamp"),
        ({"invocationSequenceNumber": -1}, "MANDATORY_IE_INCORRECT", "/invocationSequenceNumber"),
        ({"invocationSequenceNumber": 2**32}, "MANDATORY_IE_INCORRECT", "/invocationSequenceNumber"),
        ({"invocationSequenceNumber": True}, "MANDATORY_IE_INCORRECT", "/invocationSequenceNumber"),
        ({"invocationSequenceNumber": 1.0}, "MANDATORY_IE_INCORRECT", "/invocationSequenceNumber"),
        ({"nfConsumerIdentification": {}}, "MANDATORY_IE_MISSING", "/nfConsumerIdentification/nodeFunctionality"),
        ({"nfConsumerIdentification": []}, "MANDATORY_IE_INCORRECT", "/nfConsumerIdentification"),
        (
            {"nfConsumerIdentification": {"nodeFunctionality": "SMF", "nFName": 1}},
            "OPTIONAL_IE_INCORRECT",
            "/nfConsumerIdentification/nFName",
        ),
        ({"subscriberIdentifier": 5}, "OPTIONAL_IE_INCORRECT", "/subscriberIdentifier"),
        ({"subscriberIdentifier": ""}, "OPTIONAL_IE_INCORRECT", "/subscriberIdentifier"),
        ({"oneTimeEvent": "yes"}, "OPTIONAL_IE_INCORRECT", "/oneTimeEvent"),
        ({"oneTimeEvent": True, "oneTimeEventType": "XYZ"}, "OPTIONAL_IE_INCORRECT", "/oneTimeEventType"),
        ({"oneTimeEvent": True, "oneTimeEventType": []}, "OPTIONAL_IE_INCORRECT", "/oneTimeEventType"),
        ({"multipleUnitUsage": {}}, "OPTIONAL_IE_INCORRECT", "/multipleUnitUsage"),
        ({"multipleUnitUsage": [{"ratingGroup": 1}] * 257}, "OPTIONAL_IE_INCORRECT", "/multipleUnitUsage"),
        ({"multipleUnitUsage": [1]}, "OPTIONAL_IE_INCORRECT", "/multipleUnitUsage/0"),
        ({"multipleUnitUsage": [{}]}, "MANDATORY_IE_MISSING", "/multipleUnitUsage/0/ratingGroup"),
        ({"multipleUnitUsage": [{"ratingGroup": "1"}]}, "MANDATORY_IE_INCORRECT", "/multipleUnitUsage/0/ratingGroup"),
        ({"multipleUnitUsage": [ask(300), ask(300)]}, "OPTIONAL_IE_INCORRECT", "/multipleUnitUsage/1/requestedUnit"),
        (
            {"multipleUnitUsage": [{"ratingGroup": 1, "requestedUnit": []}]},
            "OPTIONAL_IE_INCORRECT",
            "/multipleUnitUsage/0/requestedUnit",
        ),
        (
            {"multipleUnitUsage": [ask(300, totalVolume=-1)]},
            "OPTIONAL_IE_INCORRECT",
            "/multipleUnitUsage/0/requestedUnit/totalVolume",
        ),
        (
            {"multipleUnitUsage": [ask(100, time=2**32)]},
            "OPTIONAL_IE_INCORRECT",
            "/multipleUnitUsage/0/requestedUnit/time",
        ),
        (
            {"multipleUnitUsage": [{"ratingGroup": 1, "usedUnitContainer": {}}]},
            "OPTIONAL_IE_INCORRECT",
            "/multipleUnitUsage/0/usedUnitContainer",
        ),
        (
            {"multipleUnitUsage": [{"ratingGroup": 1, "usedUnitContainer": [{}]}]},
            "MANDATORY_IE_MISSING",
            "/multipleUnitUsage/0/usedUnitContainer/0/localSequenceNumber",
        ),
        (
            {"multipleUnitUsage": [used(300, totalVolume=2**64)]},
            "OPTIONAL_IE_INCORRECT",
            "/multipleUnitUsage/0/usedUnitContainer/0/totalVolume",
        ),
        (
            {"multipleUnitUsage": [used(300, triggers=[{}])]},
            "MANDATORY_IE_MISSING",
            "/multipleUnitUsage/0/usedUnitContainer/0/triggers/0/triggerCategory",
        ),
        (
            {"multipleUnitUsage": [used(300, triggers=5)]},
            "OPTIONAL_IE_INCORRECT",
            "/multipleUnitUsage/0/usedUnitContainer/0/triggers",
        ),
        (
            {"pDUSessionChargingInformation": {"pduSessionInformation": {"pduSessionID": 5}}},
            "MANDATORY_IE_MISSING",
            "/pDUSessionChargingInformation/pduSessionInformation/dnnId",
        ),
        (
            {"pDUSessionChargingInformation": {"pduSessionInformation": {"pduSessionID": 256, "dnnId": "x"}}},
            "MANDATORY_IE_INCORRECT",
            "/pDUSessionChargingInformation/pduSessionInformation/pduSessionID",
        ),
        ({"pDUSessionChargingInformation": 1}, "OPTIONAL_IE_INCORRECT", "/pDUSessionChargingInformation"),
        ({"sMSChargingInformation": 1}, "OPTIONAL_IE_INCORRECT", "/sMSChargingInformation"),
        ({"notifyUri": 5}, "OPTIONAL_IE_INCORRECT", "/notifyUri"),
        ({"notifyUri": "http://smf.example/" + "x" * 500}, "OPTIONAL_IE_INCORRECT", "/notifyUri"),
        ({"subscriberIdentifier": "x" * 257}, "OPTIONAL_IE_INCORRECT", "/subscriberIdentifier"),
        (
            {"iMSChargingInformation": {"userSessionID": "x" * 257}},
            "OPTIONAL_IE_INCORRECT",
            "/iMSChargingInformation/userSessionID",
        ),
    ],
)
def test_what_is_wrong_is_named(smf: Smf, change: dict[str, Any], cause: str, pointer: str) -> None:
    document = message(0, [ask(300)]) | change
    said = raw(smf, json.dumps(document).encode())
    assert (said.status, said.cause, said.invalid()) == (400, cause, [pointer])
    well_formed(said.reply)
    assert len(smf.chf.accounts) == 0


def test_only_so_many_faults_are_told(smf: Smf) -> None:
    said = raw(smf, orjson.dumps(message(0, [{"ratingGroup": "x"}] * 200)))
    assert len(said.invalid()) == 16


def test_a_report_of_another_subscriber_is_refused(smf: Smf) -> None:
    session = smf.open(ask(300))
    said = smf.update(session, 1, used(300, totalVolume=KB), subscriber="imsi-001010000000002")
    assert (said.status, said.invalid()) == (400, ["/subscriberIdentifier"])


def test_a_report_needs_no_subscriber(smf: Smf) -> None:
    session = smf.open(ask(300))
    document = message(1, [used(300, totalVolume=KB)])
    del document["subscriberIdentifier"]
    assert smf.send(session + b"/update", document).status == 200


def test_a_session_has_a_bounded_number_of_rating_groups(smf: Smf) -> None:
    session = smf.open(*(ask(number) for number in range(200)))
    assert smf.update(session, 1, *(ask(number) for number in range(200))).status == 200
    said = smf.update(session, 2, *(ask(number) for number in range(1000, 1100)))
    assert (said.status, said.invalid()) == (400, ["/multipleUnitUsage"])


def test_amounts_beyond_64_bits_in_sum_are_counted(smf: Smf) -> None:
    session = smf.open(ask(300))
    report = used(300, totalVolume=2**64 - 1)
    report["usedUnitContainer"] *= 3
    assert smf.update(session, 1, report).status == 200
    assert smf.balance("data")[2] == 3 * (2**64 - 1)
    assert smf.update(session, 2, ask(300)).information(300)["resultCode"] == "QUOTA_LIMIT_REACHED"
    assert len(list(smf.chf.ledger_records())) == 1


@given(path=st.binary() | st.builds(lambda tail: COLLECTION + tail, st.binary()), body=st.binary(), method=st.binary())
@example(path=UPDATE, body=b"\x00", method=b"POST")
@settings(max_examples=300, deadline=None)
def test_any_octets_get_a_well_formed_answer(path: bytes, body: bytes, method: bytes) -> None:
    chf = Chf(plan())
    well_formed(chf.handle(method, path, HEADERS, body, 0))
    well_formed(chf.handle(b"POST", COLLECTION, HEADERS, body, 0))


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "IEC", "SMF", "QHT", "2026-11-22T10:00:00Z", "imsi-001010000000001"])
    | st.text(string.printable, max_size=4),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["ratingGroup", "requestedUnit", "usedUnitContainer", "totalVolume", "triggers",
                                       "triggerType", "triggerCategory", "localSequenceNumber", "nFName",
                                       "quotaManagementIndicator", "chargingId", "pduSessionInformation"]), inner),
    max_leaves=8,
)  # fmt: skip


def places(node: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a document."""
    inner = list(node.items()) if isinstance(node, dict) else list(enumerate(node)) if isinstance(node, list) else []
    return [at, *(place for key, value in inner for place in places(value, (*at, key)))]


def put(node: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    if isinstance(node, dict):
        return node | {place[0]: put(node[place[0]], place[1:], value)}
    return [put(each, place[1:], value) if index == place[0] else each for index, each in enumerate(node)]


@given(data=st.data())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_message_with_anything_anywhere_is_answered(data: st.DataObject, reference: Path) -> None:
    """Every mutated message gets an answer, and the books stay right."""
    name = data.draw(st.sampled_from(["data_1_create", "data_2_update_threshold", "sms_pec", "voice_2_update"]))
    document = json.loads((reference / "n40-examples" / f"{name}.request.json").read_text())
    for _ in range(data.draw(st.integers(1, 3))):
        document = put(document, data.draw(st.sampled_from(places(document))), data.draw(anything))
    smf = Smf(Chf(plan()))
    session = smf.open(ask(300))
    for path in (COLLECTION, session + b"/update", session + b"/release"):
        reply = smf.chf.handle(b"POST", path, HEADERS, json.dumps(document).encode(), smf.now)
        if reply.status >= 300:
            well_formed(reply)
    list(smf.chf.ledger_records())
    for counter in ("data", "sms", "voice"):
        smf.balance(counter)
