"""One-time events of an SMSF: IEC asks before the message is sent, PEC reports what was sent."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from simulator.n40 import End, EventMessages, OneTimeEvent, Operation, Timestamps, UsageRecord, read_answer
from simulator.n40.event import EventContext
from simulator.n40.flow import NEVER
from tests.n40.trace import EPOCH, RESOURCE, S, granted, short_message, wording


def event(kind: str, units: int = 1, rat: str = "NR", first_sequence: int = 0) -> OneTimeEvent:
    messages = EventMessages(wording(short_message(kind, rat)))
    context = EventContext(
        messages=messages,
        timestamps=Timestamps(EPOCH),
        resource=RESOURCE,
        rating_group=200,
        immediate=kind == "IEC",
        first_sequence=first_sequence,
    )
    started = OneTimeEvent(context, 7, 4711, units, 8)
    started.start(5 * S)
    return started


def sent(started: OneTimeEvent) -> dict[str, Any]:
    request = started.next_request()
    assert request is not None
    assert (request.operation, request.path, request.due) == (Operation.EVENT, RESOURCE, 5 * S)
    assert started.next_request() is None
    body = orjson.loads(request.body)
    assert isinstance(body, dict)
    return body


def answered(started: OneTimeEvent, status: int, *information: Any, cause: str | None = None) -> UsageRecord:
    request = started.next_request() or started.outstanding
    assert request is not None
    content: dict[str, Any] = {"multipleUnitInformation": list(information)} if information else {}
    location = b"http://chf/nchf-convergedcharging/v3/chargingdata/e-1" if status == 201 else None
    answer = read_answer(Operation.EVENT, status, location, orjson.dumps(content | ({"cause": cause} if cause else {})))
    started.on_answer(request.id, answer, 6 * S)
    return over(started)


def over(started: OneTimeEvent) -> UsageRecord:
    assert started.next_deadline() == NEVER
    assert started.next_request() is None
    (record,) = started.next_records()
    return record


def test_iec_asks_to_debit_what_is_to_be_sent() -> None:
    body = sent(event("IEC", units=3))
    assert (body["oneTimeEvent"], body["oneTimeEventType"]) == (True, "IEC")
    assert body["multipleUnitUsage"] == [{"ratingGroup": 200, "requestedUnit": {"serviceSpecificUnits": 3}}]
    assert body["sMSChargingInformation"]["numberofMessagesSent"] == 3
    assert body["sMSChargingInformation"]["messageReference"] == "4711"
    assert body["sMSChargingInformation"]["recipientInfo"] == [{"recipientGPSI": "msisdn-15550100009"}]


def test_pec_reports_what_was_sent() -> None:
    body = sent(event("PEC", units=3))
    (usage,) = body["multipleUnitUsage"]
    (container,) = usage["usedUnitContainer"]
    assert "requestedUnit" not in usage
    assert (container["serviceSpecificUnits"], container["localSequenceNumber"]) == (3, 1)
    assert container["eventTimeStamps"] == [body["invocationTimeStamp"]]


def test_the_first_sequence_number_is_the_dialects() -> None:
    assert sent(event("IEC", first_sequence=1))["invocationSequenceNumber"] == 1


@pytest.mark.parametrize("kind", ["IEC", "PEC"])
def test_an_event_that_is_charged_is_complete(kind: str) -> None:
    record = answered(event(kind, 2), 201, granted(200, units=2))
    assert record == UsageRecord(b"e-1", 200, "serviceSpecificUnits", 2, 2, 2, 0, End.COMPLETED)


def test_an_answer_that_names_no_amount_has_granted_what_was_asked() -> None:
    record = answered(event("IEC", 2), 201)
    assert (record.used, record.acknowledged, record.end) == (2, 2, End.COMPLETED)


def test_of_a_partial_grant_only_so_many_messages_are_sent() -> None:
    record = answered(event("IEC", 5), 201, granted(200, units=2))
    assert (record.used, record.acknowledged) == (2, 2)


@pytest.mark.parametrize(("kind", "used"), [("IEC", 0), ("PEC", 2)])
@pytest.mark.parametrize(
    "cause", ["USER_UNKNOWN", "QUOTA_LIMIT_REACHED", "END_USER_REQUEST_DENIED", "CONTEXT_NOT_FOUND"]
)
def test_an_event_that_is_denied_was_not_charged(kind: str, used: int, cause: str) -> None:
    record = answered(event(kind, 2), 403, cause=cause)
    assert (record.used, record.acknowledged, record.doubt, record.end) == (used, 0, 0, End.DENIED)


def test_an_event_whose_rating_group_is_refused_was_not_charged() -> None:
    record = answered(event("IEC", 2), 201, granted(200, code="RATING_FAILED"))
    assert (record.used, record.acknowledged, record.doubt, record.end) == (0, 0, 0, End.DENIED)


def test_an_event_to_which_charging_does_not_apply_is_uncharged() -> None:
    assert answered(event("PEC", 2), 403, cause="CHARGING_NOT_APPLICABLE").end is End.UNCHARGED


@pytest.mark.parametrize(("kind", "used"), [("IEC", 0), ("PEC", 2)])
@pytest.mark.parametrize(("status", "doubt"), [(500, 2), (503, 2), (429, 0)])
def test_after_a_failure_the_units_are_in_doubt_unless_it_was_not_processed(
    kind: str, used: int, status: int, doubt: int
) -> None:
    record = answered(event(kind, 2), status)
    assert (record.used, record.acknowledged, record.doubt, record.end) == (used, 0, doubt, End.FAILED)


@pytest.mark.parametrize(("processed", "doubt"), [(True, 2), (False, 0)])
def test_without_an_answer_the_units_are_in_doubt_only_if_it_may_have_been_processed(
    processed: bool, doubt: int
) -> None:
    started = event("PEC", 2)
    sent(started)
    started.on_failure(0, 20 * S, processed=processed)
    record = over(started)
    assert (record.used, record.doubt, record.end) == (2, doubt, End.FAILED)


def test_an_event_is_over_with_its_first_answer() -> None:
    started = event("IEC")
    sent(started)
    started.on_failure(1, 6 * S, processed=True)  # of something else
    assert started.end is None
    answered(started, 201)
    started.on_failure(0, 7 * S, processed=True)
    assert started.end is End.COMPLETED


def test_an_event_cannot_be_cut_short_and_one_that_is_abandoned_is_in_doubt() -> None:
    started = event("IEC", 2)
    sent(started)
    started.stop(6 * S)
    started.on_time(7 * S)
    assert started.end is None
    assert started.next_records() == []
    started.abandon(7 * S, doubt=True)
    record = over(started)
    assert (record.doubt, record.end) == (2, End.OPEN)


@pytest.mark.parametrize("status", [429, 403, 404, 500])
def test_a_repeat_that_is_refused_leaves_the_first_attempt_in_doubt(status: int) -> None:
    started = event("IEC", 2)
    sent(started)
    answer = read_answer(Operation.EVENT, status, None, b"")
    answer.repeats = 1
    started.on_answer(0, answer, 6 * S)
    record = over(started)
    assert (record.used, record.doubt) == (0, 2)


def test_an_event_that_never_left_is_not_in_doubt() -> None:
    started = event("IEC", 2)
    started.abandon(7 * S, doubt=False)
    assert over(started).doubt == 0


@pytest.mark.parametrize(
    ("kind", "information", "broken"),
    [
        ("IEC", granted(200, units=2), ""),
        ("IEC", granted(200, units=1), ""),
        ("IEC", granted(200, units=3), "GRANT_TOO_MUCH"),
        ("IEC", granted(300, units=1), "GRANT_NOT_ASKED_FOR"),
        ("PEC", granted(200, units=2), "GRANT_NOT_ASKED_FOR"),
        ("PEC", granted(200, units=0), ""),
    ],
)
def test_promises_are_watched_in_events_as_well(kind: str, information: dict[str, Any], broken: str) -> None:
    started = event(kind, units=2)
    sent(started)
    content = orjson.dumps({"invocationSequenceNumber": 0, "multipleUnitInformation": [information]})
    answer = read_answer(Operation.EVENT, 201, b"e-1", content)
    assert started.outstanding is not None
    started.on_answer(started.outstanding.id, answer, 6 * S)
    assert answer.broken == broken


def test_an_answer_to_another_event_breaks_a_promise() -> None:
    started = event("IEC", first_sequence=1)
    sent(started)
    answer = read_answer(Operation.EVENT, 201, b"e-1", b'{"invocationSequenceNumber":7}')
    assert started.outstanding is not None
    started.on_answer(started.outstanding.id, answer, 6 * S)
    assert answer.broken == "WRONG_SEQUENCE_NUMBER"


def test_doubt_about_an_event_has_its_reason() -> None:
    refused = event("IEC", units=2)
    sent(refused)
    answer = read_answer(Operation.EVENT, 403, None, b'{"cause":"QUOTA_LIMIT_REACHED"}')
    answer.repeats = 1
    assert refused.outstanding is not None
    refused.on_answer(refused.outstanding.id, answer, 6 * S)
    assert over(refused).doubts == ((2, 0, "repeat refused"),)
    silent = event("PEC")
    sent(silent)
    assert silent.outstanding is not None
    silent.on_failure(silent.outstanding.id, 6 * S, processed=True)
    assert over(silent).doubts == ((1, 0, "timeout"),)
    left = event("PEC")
    sent(left)
    left.abandon(6 * S, doubt=True)
    assert over(left).doubts == ((1, 0, "run ended"),)
