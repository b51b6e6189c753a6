"""What a CHF notifies a session of, read; and what it is answered."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.n40.notification import (
    MAX_DETAILS,
    Notification,
    NotificationKind,
    NotifyProblem,
    answer,
    read_notification,
)
from tests.n40.strict_schema import strict_validator

REAUTHORIZATION = NotificationKind.REAUTHORIZATION


def read(**members: Any) -> Notification:
    return read_notification(json.dumps(members).encode())


def reauthorize(*details: Any) -> Notification:
    return read(notificationType="REAUTHORIZATION", reauthorizationDetails=list(details))


def problem(body: bytes) -> tuple[int, dict[str, Any]]:
    with pytest.raises(NotifyProblem) as caught:
        read_notification(body)
    status, headers, content = caught.value.reply()
    assert headers == [(b"content-type", b"application/problem+json")]
    document = json.loads(content)
    assert document["status"] == status
    return status, document


def wrong(**members: Any) -> tuple[str, str]:
    """Cause and parameter of the problem."""
    status, document = problem(json.dumps(members).encode())
    assert status == 400
    (parameter,) = document["invalidParams"]
    assert document["detail"] == f"{parameter['param']}: {parameter['reason']}"
    return document["cause"], parameter["param"]


def test_a_session_is_aborted() -> None:
    assert read(notificationType="ABORT_CHARGING") == Notification(kind=NotificationKind.ABORT_CHARGING)


def test_rating_groups_are_named_each_once_or_all_are_meant() -> None:
    assert reauthorize({"ratingGroup": 100}, {"ratingGroup": 300}, {"ratingGroup": 100}).rating_groups == (100, 300)
    assert reauthorize({"ratingGroup": 0, "quotaManagementIndicator": "ONLINE_CHARGING"}).rating_groups == (0,)
    assert reauthorize().rating_groups is None
    assert read(notificationType="REAUTHORIZATION").rating_groups is None
    assert read(notificationType="REAUTHORIZATION", reauthorizationDetails=None).rating_groups is None


def test_a_detail_that_names_no_rating_group_means_all_of_them() -> None:
    assert reauthorize({"ratingGroup": 100}, {"serviceId": 7}).rating_groups is None


def test_what_nobody_knows_is_ignored() -> None:
    notification = read(
        notificationType="REAUTHORIZATION", tomorrow=[1], reauthorizationDetails=[{"ratingGroup": 1, "x": 1}]
    )
    assert notification == Notification(kind=REAUTHORIZATION, rating_groups=(1,))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff", b"null", b"[" * 100_000])
def test_what_is_no_json_object_is_a_wrong_format(body: bytes) -> None:
    status, document = problem(body)
    assert (status, document["cause"]) == (400, "INVALID_MSG_FORMAT")


@pytest.mark.parametrize("kind", ["", "reauthorization", "TERMINATE", 7, [], {}, True])
def test_another_type_is_a_wrong_one(kind: Any) -> None:
    assert wrong(notificationType=kind) == ("MANDATORY_IE_INCORRECT", "/notificationType")


def test_a_missing_type_is_named() -> None:
    assert wrong() == wrong(notificationType=None) == ("MANDATORY_IE_MISSING", "/notificationType")


@pytest.mark.parametrize(
    ("details", "pointer"),
    [
        ({"ratingGroup": 1}, ""),
        ("x", ""),
        (0, ""),
        ([{"ratingGroup": 1}] * (MAX_DETAILS + 1), ""),
        ([{"ratingGroup": 1}, 7], "/1"),
        ([{"ratingGroup": "1"}], "/0/ratingGroup"),
        ([{"ratingGroup": -1}], "/0/ratingGroup"),
        ([{"ratingGroup": 2**32}], "/0/ratingGroup"),
        ([{"ratingGroup": True}], "/0/ratingGroup"),
        ([{"ratingGroup": 1.0}], "/0/ratingGroup"),
        ([{"serviceId": 1}, {"ratingGroup": -1}], "/1/ratingGroup"),
    ],
)
def test_details_that_are_none_are_named(details: Any, pointer: str) -> None:
    assert wrong(notificationType="REAUTHORIZATION", reauthorizationDetails=details) == (
        "OPTIONAL_IE_INCORRECT",
        f"/reauthorizationDetails{pointer}",
    )


@given(
    st.one_of(st.binary(max_size=200), st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
)
def test_whatever_comes_is_read_or_a_problem(body: bytes | str) -> None:
    with contextlib.suppress(NotifyProblem):
        read_notification(body if isinstance(body, bytes) else body.encode())


def test_answers() -> None:
    assert answer(True) == (204, [], b"")
    status, headers, body = answer(False)
    assert (status, json.loads(body)["cause"]) == (404, "CONTEXT_NOT_FOUND")
    assert headers == [(b"content-type", b"application/problem+json")]


def test_against_the_schema(reference: Path) -> None:
    examples = [
        (reference / "n40-examples" / f"notify_{name}.notify.json").read_bytes() for name in ("abort", "reauth")
    ]
    for example in examples:
        strict_validator(reference, "ChargingNotifyRequest").validate(json.loads(example))
    assert [read_notification(example) for example in examples] == [
        Notification(kind=NotificationKind.ABORT_CHARGING),
        Notification(kind=REAUTHORIZATION, rating_groups=(100,)),
    ]
    problems = strict_validator(reference, "ProblemDetails")
    for body in (b"", b"{}", b'{"notificationType":"REAUTHORIZATION","reauthorizationDetails":[1]}'):
        problems.validate(problem(body)[1])
    problems.validate(json.loads(answer(False)[2]))
