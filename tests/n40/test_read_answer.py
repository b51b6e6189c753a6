"""Answers of any CHF, read: by cause first, then by status and operation; nonsense is a failure and never an exception."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simulator.n40 import Action, ChargingAnswer, Operation, Outcome, read_answer
from tests.n40.trace import granted

CREATE, UPDATE, RELEASE, EVENT = Operation.CREATE, Operation.UPDATE, Operation.RELEASE, Operation.EVENT
REF = b"/nchf-convergedcharging/v3/chargingdata/ref-1"


def body(*information: Any, **more: Any) -> bytes:
    message = {"invocationTimeStamp": "2026-11-22T10:00:00", "invocationSequenceNumber": 0}
    return orjson.dumps(message | ({"multipleUnitInformation": list(information)} if information else {}) | more)


def updated(*information: Any, **more: Any) -> ChargingAnswer:
    return read_answer(UPDATE, 200, None, body(*information, **more))


# -- success ------------------------------------------------------------------------------------------------------------


def test_a_create_is_answered_with_a_reference() -> None:
    answer = read_answer(CREATE, 201, REF, body(granted(300, octets=5)))
    assert (answer.action, answer.outcome, answer.cause, answer.reference) == (Action.GO_ON, Outcome.OK, "", b"ref-1")


@pytest.mark.parametrize(
    ("location", "reference", "path", "origin"),
    [
        (b"http://chf:8080" + REF, b"ref-1", REF, b"http://chf:8080"),
        (b"HTTPS://CHF.Example" + REF, b"ref-1", REF, b"https://chf.example"),
        (REF, b"ref-1", REF, None),
        (b"/other/root/a.b~c", b"a.b~c", b"/other/root/a.b~c", None),
        (b"ref-1", b"ref-1", b"", None),
        (b"chargingdata/ref-1", b"ref-1", b"", None),
        (REF + b"/", b"ref-1", REF, None),
    ],
)
def test_location_is_an_uri_a_path_or_the_bare_reference(
    location: bytes, reference: bytes, path: bytes, origin: bytes | None
) -> None:
    answer = read_answer(CREATE, 201, location, body())
    assert (answer.reference, answer.path, answer.origin) == (reference, path, origin)


UNUSABLE = [
    b"", b"/", b"/nchf-convergedcharging/v3/chargingdata/", b"http://chf", b"http://chf/", b"http://" + REF, b"ftp://chf" + REF,
    b"a b", b"a\r\nb", b"\xff", b"a" * 3000,
]  # fmt: skip


@pytest.mark.parametrize("location", UNUSABLE)
def test_a_create_without_a_usable_location_is_unreadable(location: bytes) -> None:
    answer = read_answer(CREATE, 201, location, body())
    assert (answer.action, answer.outcome, answer.cause) == (Action.FAILURE, Outcome.FAILED, "UNREADABLE_ANSWER")
    assert "Location" in answer.detail


def test_a_create_needs_a_location_and_an_update_or_event_does_not() -> None:
    assert read_answer(CREATE, 201, None, body()).action is Action.FAILURE
    assert read_answer(UPDATE, 200, None, body()).action is Action.GO_ON
    assert read_answer(EVENT, 201, None, body()).action is Action.GO_ON


@pytest.mark.parametrize("location", [b"", b"/nchf-convergedcharging/v3/chargingdata/"])
def test_an_event_is_over_and_may_leave_its_reference_empty(location: bytes) -> None:
    answer = read_answer(EVENT, 201, location, body())
    assert (answer.action, answer.reference) == (Action.GO_ON, b"")


def test_an_update_may_name_another_location() -> None:
    assert read_answer(UPDATE, 200, b"/x/ref-2", body()).path == b"/x/ref-2"


@pytest.mark.parametrize("status", [204, 200])
@pytest.mark.parametrize("content", [b"", b"{}", b"<html>", body()])
def test_a_release_is_answered_204_or_200_with_any_body(status: int, content: bytes) -> None:
    answer = read_answer(RELEASE, status, None, content)
    assert (answer.action, answer.outcome) == (Action.GO_ON, Outcome.OK)


def test_members_that_are_null_count_as_absent() -> None:
    information = granted(300, octets=5) | dict.fromkeys(
        ("resultCode", "validityTime", "quotaHoldingTime", "volumeQuotaThreshold", "finalUnitIndication")
    )
    answer = updated(information)
    assert answer.outcome is Outcome.OK
    (group,) = answer.groups
    assert not group.refused
    assert not group.final


def test_members_that_nobody_asked_for_are_no_reason_to_fail() -> None:
    information = granted(300, octets=5) | {"vendor": {"a": [1]}}
    information["grantedUnit"] |= {"tariffTimeChange": "2026-11-22T10:00:00Z", "x": "y"}
    assert updated(information, sessionFailover="FAILOVER_SUPPORTED", triggers=[]).action is Action.GO_ON


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("SUCCESS", Outcome.OK), ("QUOTA_MANAGEMENT_NOT_APPLICABLE", Outcome.OK), ("RATING_FAILED", Outcome.DENIED),
        ("QUOTA_LIMIT_REACHED", Outcome.DENIED), ("END_USER_SERVICE_DENIED", Outcome.DENIED),
        ("END_USER_SERVICE_REJECTED", Outcome.DENIED), ("SOMETHING_NEW", Outcome.DENIED),
    ],
)  # fmt: skip
def test_one_refused_group_makes_an_answer_a_denial(code: str, outcome: Outcome) -> None:
    answer = updated(granted(310, octets=5), granted(300, code=code))
    assert (answer.action, answer.outcome) == (Action.GO_ON, outcome)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"<html>", b"{", b"[]", b"1", b"null", b'"x"', b"\xff\xfe", b'{"a":\x00}', body()[:-1], b"[" * 5000,
        body(multipleUnitInformation={}), body(multipleUnitInformation=7), body({}), body(7), body(None), body([300]),
        body({"ratingGroup": "300"}), body({"ratingGroup": 1.5}), body({"ratingGroup": None}), body({"ratingGroup": True}),
        body({"ratingGroup": 1, "resultCode": 7}), body({"ratingGroup": 1, "grantedUnit": []}),
        body({"ratingGroup": 1, "grantedUnit": {"totalVolume": "5"}}), body({"ratingGroup": 1, "grantedUnit": {"time": -1}}),
        body({"ratingGroup": 1, "grantedUnit": {"time": 1.5}}), body({"ratingGroup": 1, "grantedUnit": {"time": True}}),
        body({"ratingGroup": 1, "validityTime": "60", "grantedUnit": {}}),
        body({"ratingGroup": 1, "validityTime": -60, "grantedUnit": {}}),
        body({"ratingGroup": 1, "volumeQuotaThreshold": -1, "grantedUnit": {}}),
    ],
)  # fmt: skip
def test_an_update_answer_that_makes_no_sense_is_unreadable(content: bytes) -> None:
    answer = read_answer(UPDATE, 200, None, content)
    assert (answer.action, answer.outcome, answer.cause) == (Action.FAILURE, Outcome.FAILED, "UNREADABLE_ANSWER")
    assert answer.detail
    assert "\n" not in answer.detail


# -- problems -----------------------------------------------------------------------------------------------------------

G, N, U, E, F, W = Action.GONE, Action.NO_CREDIT, Action.UNCHARGED, Action.END, Action.FAILURE, Action.WRONG_MESSAGE


@pytest.mark.parametrize("status", [400, 403, 404, 500])
@pytest.mark.parametrize(
    ("cause", "action"),
    [
        ("CHARGING_FAILED", E), ("RE_AUTHORIZATION_FAILED", E), ("END_USER_REQUEST_DENIED", E), ("END_USER_REQUEST_REJECTED", E),
        ("USER_UNKNOWN", E), ("CHARGING_NOT_APPLICABLE", U), ("QUOTA_LIMIT_REACHED", N), ("CONTEXT_NOT_FOUND", G),
    ],
)  # fmt: skip
def test_the_cause_decides_whatever_status_it_travels_in(status: int, cause: str, action: Action) -> None:
    for operation in (CREATE, UPDATE, RELEASE, EVENT):
        answer = read_answer(operation, status, None, orjson.dumps({"cause": cause, "detail": "why"}))
        assert (answer.action, answer.outcome, answer.cause, answer.detail) == (action, Outcome.DENIED, cause, "why")


@pytest.mark.parametrize("operation", [CREATE, UPDATE, RELEASE, EVENT])
@pytest.mark.parametrize(
    ("status", "action", "outcome"),
    [
        (400, W, Outcome.FAILED), (411, W, Outcome.FAILED), (413, W, Outcome.FAILED), (415, W, Outcome.FAILED),
        (408, F, Outcome.FAILED), (429, F, Outcome.FAILED), (500, F, Outcome.FAILED), (502, F, Outcome.FAILED),
        (503, F, Outcome.FAILED), (504, F, Outcome.FAILED), (302, F, Outcome.FAILED), (599, F, Outcome.FAILED),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "content", [b"", b"<html>", b'{"status":400}', b'{"cause":"NOBODY_KNOWS"}', b'{"cause":7}', b"[]"]
)
def test_without_a_known_cause_the_status_decides(
    operation: Operation, status: int, action: Action, outcome: Outcome, content: bytes
) -> None:
    answer = read_answer(operation, status, None, content)
    assert (answer.action, answer.outcome) == (action, outcome)
    assert answer.cause == ("NOBODY_KNOWS" if b"NOBODY" in content else f"HTTP_{status}")


@pytest.mark.parametrize(
    ("status", "cause", "unprocessed"),
    [
        (503, "NF_CONGESTION", True), (429, None, True), (500, "INSUFFICIENT_RESOURCES", True), (307, None, True),
        (504, "TARGET_NF_NOT_REACHABLE", True), (503, None, False), (500, "SYSTEM_FAILURE", False), (504, None, False),
    ],
)  # fmt: skip
def test_a_chf_that_turns_a_request_away_has_not_charged_it(status: int, cause: str | None, unprocessed: bool) -> None:
    answer = read_answer(UPDATE, status, None, orjson.dumps({"cause": cause} if cause else {}))
    assert answer.unprocessed is unprocessed
    assert answer.may_have_charged is not unprocessed
    answer.repeats = 1
    assert answer.may_have_charged, "an earlier attempt, perhaps"


@pytest.mark.parametrize("status", [404, 410])
def test_a_bare_404_or_410_means_that_the_session_is_gone_where_there_was_one(status: int) -> None:
    for operation in (UPDATE, RELEASE):
        answer = read_answer(operation, status, None, b"")
        assert (answer.action, answer.outcome, answer.cause) == (G, Outcome.DENIED, "CONTEXT_NOT_FOUND")
    for operation in (CREATE, EVENT):
        # no charging function has to stand behind it: it may be a wrong URL
        answer = read_answer(operation, status, None, b'{"cause": "RESOURCE_URI_STRUCTURE_NOT_FOUND"}')
        assert (answer.action, answer.outcome) == (W, Outcome.FAILED)


def test_a_charging_data_response_can_carry_the_cause() -> None:
    content = body(invocationResult={"error": {"cause": "QUOTA_LIMIT_REACHED", "title": "no credit"}})
    answer = read_answer(UPDATE, 403, None, content)
    assert (answer.action, answer.cause, answer.detail) == (N, "QUOTA_LIMIT_REACHED", "no credit")


@pytest.mark.parametrize("operation", [CREATE, UPDATE, EVENT])
def test_a_cause_counts_whatever_status_it_is_wrapped_in(operation: Operation) -> None:
    result = {"error": {"cause": "CHARGING_FAILED", "detail": "why"}, "failureHandling": "TERMINATE"}
    answer = read_answer(operation, 200 if operation is UPDATE else 201, REF, body(invocationResult=result))
    assert (answer.action, answer.outcome, answer.cause) == (E, Outcome.DENIED, "CHARGING_FAILED")
    assert answer.detail == "why"


@pytest.mark.parametrize("result", [{}, {"error": {}}, {"error": {"cause": "NOBODY_KNOWS"}}, {"error": None}, None])
def test_a_session_result_without_a_known_cause_is_a_success(result: object) -> None:
    answer = read_answer(UPDATE, 200, None, body(invocationResult=result))
    assert (answer.action, answer.outcome, answer.cause) == (Action.GO_ON, Outcome.OK, "")


def test_long_texts_are_cut() -> None:
    answer = read_answer(UPDATE, 500, None, orjson.dumps({"cause": "C" * 5000, "detail": "d" * 5000}))
    assert (len(answer.cause), len(answer.detail)) == (100, 500)


def test_the_examples_are_understood(reference: Path) -> None:
    examples = reference / "n40-examples"
    answer = read_answer(CREATE, 201, REF, (examples / "data_1_create.response.json").read_bytes())
    expected = json.loads((examples / "data_1_create.response.json").read_text())["multipleUnitInformation"]
    assert answer.outcome is Outcome.OK
    assert len(answer.groups) == len(expected)
    assert (
        read_answer(UPDATE, 200, None, (examples / "data_2_update_final_redirect.response.json").read_bytes())
        .groups[0]
        .final
    )
    problem = (examples / "problem_403.problem.json").read_bytes()
    assert read_answer(CREATE, 403, None, problem).cause == json.loads(problem)["cause"]
    invalid = (examples / "problem_400_invalidparam.problem.json").read_bytes()
    assert read_answer(CREATE, 400, None, invalid).outcome is Outcome.FAILED


# -- anything at all ----------------------------------------------------------------------------------------------------

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
MEMBERS = (
    "ratingGroup", "resultCode", "grantedUnit", "validityTime", "quotaHoldingTime", "volumeQuotaThreshold", "timeQuotaThreshold",
    "unitQuotaThreshold", "finalUnitIndication", "finalUnitAction", "time", "totalVolume", "serviceSpecificUnits",
    "multipleUnitInformation", "cause", "detail", "title", "invocationResult", "error",
)  # fmt: skip
nearly: st.SearchStrategy[Any] = st.recursive(
    st.integers(-1, 10) | st.sampled_from(["SUCCESS", "RATING_FAILED", "QUOTA_LIMIT_REACHED", ""]) | json_values,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=6),
    max_leaves=12,
)


@settings(deadline=None)
@given(
    operation=st.sampled_from(list(Operation)),
    status=st.sampled_from([100, 200, 201, 204, 299, 307, 400, 403, 404, 410, 429, 500, 503]) | st.integers(0, 999),
    location=st.none()
    | st.binary(max_size=40)
    | st.sampled_from([REF, b"http://chf" + REF, b"://", b"http://", b"//"]),
    content=st.binary(max_size=60)
    | json_values.map(lambda value: json.dumps(value).encode())
    | nearly.map(lambda value: json.dumps({"multipleUnitInformation": [value]} | {"cause": value}).encode())
    | nearly.map(lambda value: json.dumps(value).encode()),
)
@example(operation=UPDATE, status=200, location=None, content=b'{"multipleUnitInformation":' + b"[" * 100_000)
@example(operation=UPDATE, status=403, location=None, content=b'{"cause":"\\ud800"}')
@example(
    operation=UPDATE,
    status=200,
    location=None,
    content=b'{"multipleUnitInformation":[{"ratingGroup":1' + b"0" * 5000 + b"}]}",
)
def test_any_bytes_are_an_answer_or_a_failure_and_never_an_exception(
    operation: Operation, status: int, location: bytes | None, content: bytes
) -> None:
    answer = read_answer(operation, status, location, content)
    assert answer.status == status
    if answer.action is Action.GO_ON:
        assert 200 <= status < 300
        assert answer.cause == ""
        assert answer.outcome in (Outcome.OK, Outcome.DENIED)
        if operation is CREATE:
            assert answer.reference
    else:
        assert answer.cause
        assert (answer.outcome is Outcome.FAILED) is (answer.action in (Action.FAILURE, Action.WRONG_MESSAGE))
    assert not any(byte <= 32 or byte >= 127 for byte in answer.reference + answer.path + (answer.origin or b""))


@pytest.mark.parametrize("depth", [1_000, 100_000])
def test_an_answer_that_is_nested_too_deeply_is_unreadable(depth: int) -> None:
    """A charging function must not be able to kill a device with brackets."""
    for status in (201, 500):
        answer = read_answer(CREATE, status, REF, b'{"x":' + b"[" * depth + b"]" * depth + b"}")
        assert answer.action is Action.FAILURE
