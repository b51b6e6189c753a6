"""Repeats: the same answer, and charged once."""

from __future__ import annotations

import pytest

from simulator.sandbox import Chf
from simulator.sandbox.answers import Answer
from simulator.sandbox.repeats import SESSION_ANSWERS, Memory
from tests.sandbox.smf import COLLECTION, KB, SECOND, SUBSCRIBER, Said, Smf, ask, message, plan, used


def same(first: Said, second: Said) -> bool:
    """Whether two answers are the same, to the octet."""
    left, right = first.reply, second.reply
    return (left.status, left.headers, left.body) == (right.status, right.headers, right.body)


@pytest.mark.parametrize("mark", [{}, {"retransmissionIndicator": True}])
def test_a_repeated_create_opens_one_session(smf: Smf, mark: dict[str, bool]) -> None:
    first = smf.create(ask(300))
    smf.now += 5 * SECOND
    assert same(smf.create(ask(300), **mark), first)
    assert len(smf.chf.sessions) == 1
    assert smf.balance("data") == (90 * KB, 10 * KB, 0)
    assert smf.chf.requests["create", "repeated"] == 1


def test_a_repeated_create_is_the_same_answer_after_updates_and_release(smf: Smf) -> None:
    first = smf.create(ask(300))
    session = first.reply.header(b"location") or b""
    smf.update(session, 1, used(300, totalVolume=KB, then_ask=True))
    assert same(smf.create(ask(300)), first)
    smf.release(session, 2)
    assert same(smf.create(ask(300)), first)
    assert len(smf.chf.sessions) == 0


@pytest.mark.parametrize(
    "different",
    [
        {"charging_id": 2},
        {"subscriber": "imsi-001010000000002"},
        {"invocationTimeStamp": "2026-11-22T10:00:01Z"},
        {"invocationSequenceNumber": 1},
        {"nfConsumerIdentification": {"nFName": "another", "nodeFunctionality": "SMF"}},
        {"nfConsumerIdentification": {"nFIPv4Address": "10.0.0.1", "nodeFunctionality": "SMF"}},
    ],
)
def test_a_create_that_differs_in_its_identity_is_a_new_one(smf: Smf, different: dict[str, object]) -> None:
    smf.create(ask(300))
    if "invocationSequenceNumber" in different:
        smf.send(COLLECTION, message(1, [ask(300)], pDUSessionChargingInformation={"chargingId": 1}))
    else:
        smf.create(ask(300), **different)  # type: ignore[arg-type]
    assert len(smf.chf.sessions) == 2


def test_a_repeated_event_is_debited_once(smf: Smf) -> None:
    first = smf.event("IEC", ask(200))
    assert same(smf.event("IEC", ask(200), retransmissionIndicator=True), first)
    assert smf.balance("sms") == (2, 0, 1)
    smf.event("IEC", ask(200), reference="02")
    assert smf.balance("sms") == (1, 0, 2)


def test_a_reservation_and_a_report_of_one_message_are_two_events(smf: Smf) -> None:
    smf.event("IEC", ask(200))
    smf.event("PEC", used(200, serviceSpecificUnits=1))
    assert smf.balance("sms") == (1, 0, 2)


def test_a_refusal_is_repeated_too(smf: Smf) -> None:
    refused = smf.event("IEC", ask(200, serviceSpecificUnits=4))
    account = smf.chf.accounts.get(SUBSCRIBER)
    assert account is not None
    account.balance("sms").total += 10
    assert same(smf.event("IEC", ask(200, serviceSpecificUnits=4)), refused)
    assert smf.event("IEC", ask(200, serviceSpecificUnits=4), reference="02").status == 201


def test_a_subscriber_that_was_unknown_is_known_once_the_account_exists() -> None:
    smf = Smf(Chf(plan(unknown_subscriber="reject")))
    assert smf.create(ask(300)).cause == "USER_UNKNOWN"
    smf.chf.accounts.create(SUBSCRIBER).balance("data").total += KB
    assert smf.create(ask(300)).status == 201


def test_a_repeated_update_is_debited_once(smf: Smf) -> None:
    session = smf.open(ask(300))
    report = used(300, totalVolume=4 * KB, then_ask=True)
    first = smf.update(session, 1, report)
    smf.now += 5 * SECOND
    assert same(smf.update(session, 1, report, retransmissionIndicator=True), first)
    assert smf.balance("data") == (86 * KB, 10 * KB, 4 * KB)


def test_a_late_repeat_of_an_earlier_update_gets_its_own_answer(smf: Smf) -> None:
    session = smf.open(ask(300))
    first = smf.update(session, 1, ask(300, totalVolume=1 * KB))
    second = smf.update(session, 2, ask(300, totalVolume=2 * KB))
    assert same(smf.update(session, 1, ask(300, totalVolume=1 * KB)), first)
    assert same(smf.update(session, 2, ask(300, totalVolume=2 * KB)), second)


def test_a_repeated_release_is_answered_again_and_debited_once(smf: Smf) -> None:
    session = smf.open(ask(300))
    report = used(300, totalVolume=4 * KB)
    assert smf.release(session, 1, report).status == 204
    assert smf.release(session, 1, report).status == 204
    assert smf.balance("data") == (96 * KB, 0, 4 * KB)
    assert smf.chf.ended["released"] == 1


def test_another_release_of_a_session_that_is_gone_finds_none(smf: Smf) -> None:
    session = smf.open(ask(300))
    smf.release(session, 1)
    assert smf.release(session, 2).cause == "CONTEXT_NOT_FOUND"


def test_a_late_update_after_the_release_is_still_a_repeat(smf: Smf) -> None:
    session = smf.open(ask(300))
    first = smf.update(session, 1, used(300, totalVolume=KB))
    smf.release(session, 2)
    assert same(smf.update(session, 1, used(300, totalVolume=KB)), first)
    assert smf.balance("data") == (99 * KB, 0, KB)


def test_a_number_that_was_used_for_something_else_is_refused_and_charges_nothing(smf: Smf) -> None:
    session = smf.open(ask(300))
    smf.update(session, 1, used(300, totalVolume=KB))
    said = smf.release(session, 1, used(300, totalVolume=KB))
    assert (said.status, said.cause, said.invalid()) == (400, "MANDATORY_IE_INCORRECT", ["/invocationSequenceNumber"])
    assert smf.balance("data") == (90 * KB, 9 * KB, KB)
    assert len(smf.chf.sessions) == 1


def test_a_repeat_that_is_no_longer_remembered_is_refused_and_charges_nothing(smf: Smf) -> None:
    session = smf.open(ask(300))
    for sequence in range(1, SESSION_ANSWERS + 2):
        smf.update(session, sequence, used(300, totalVolume=KB))
    assert smf.update(session, 1, used(300, totalVolume=KB)).status == 400
    assert smf.update(session, 2, used(300, totalVolume=KB)).status == 200
    assert smf.balance("data")[2] == (SESSION_ANSWERS + 1) * KB


def test_a_number_that_skips_some_is_taken_and_counted(smf: Smf) -> None:
    session = smf.open(ask(300))
    assert smf.update(session, 3, used(300, totalVolume=KB)).status == 200
    assert smf.chf.sequence_gaps == 1
    assert smf.update(session, 2, used(300, totalVolume=KB)).status == 400


def test_a_bad_request_is_not_remembered(smf: Smf) -> None:
    session = smf.open(ask(300))
    assert smf.update(session, 1, {"ratingGroup": "x"}).status == 400
    assert smf.update(session, 1, used(300, totalVolume=KB)).status == 200


def kept() -> Answer:
    return Answer("create", 201, 0, b"")


def test_memory_forgets_by_age() -> None:
    memory: Memory[int, Answer] = Memory(max_age=10, max_count=100)
    for moment in range(20):
        memory.put(moment, kept(), moment)
    assert memory.get(8) is None
    assert memory.get(9) is not None
    memory.forget(1000)
    assert len(memory) == 0


def test_memory_forgets_by_count() -> None:
    memory: Memory[int, Answer] = Memory(max_age=10**9, max_count=3)
    for number in range(5):
        memory.put(number, kept(), number)
    assert [memory.get(number) is not None for number in range(5)] == [False, False, True, True, True]
