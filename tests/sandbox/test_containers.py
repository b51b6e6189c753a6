"""Reports as they come in the field: several containers, deferred ones, usage without quota, and other services."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.sandbox import Chf
from simulator.sandbox.rating import CHECKSUM_MODULUS
from simulator.sandbox.totals import totals
from tests.sandbox.smf import COLLECTION, KB, Smf, ask, message, plan, used

KEPT = {"negative_balance": 0, "reserved_too_much": 0}


def container(
    number: int,
    *triggers: str,
    indicator: str | None = None,
    category: str = "IMMEDIATE_REPORT",
    **units: int,
) -> dict[str, Any]:
    """A used unit container."""
    return {
        "localSequenceNumber": number,
        "triggers": [{"triggerType": trigger, "triggerCategory": category} for trigger in triggers],
        **({} if indicator is None else {"quotaManagementIndicator": indicator}),
        **units,
    }


def report(*containers: dict[str, Any], asks: bool = False, group: int = 300) -> dict[str, Any]:
    usage: dict[str, Any] = {"ratingGroup": group, "usedUnitContainer": list(containers)}
    return usage | {"requestedUnit": {}} if asks else usage


def record_of(smf: Smf) -> dict[str, Any]:
    (record,) = smf.chf.ledger_records()
    return record


def test_deferred_containers_come_with_the_next_immediate_one_and_are_all_charged(smf: Smf) -> None:
    session = smf.open(ask(300))
    deferred = [
        container(number, "USER_LOCATION_CHANGE", category="DEFERRED_REPORT", totalVolume=KB) for number in range(3)
    ]
    smf.update(session, 1, report(*deferred, container(3, "QUOTA_THRESHOLD", totalVolume=6 * KB), asks=True))
    assert smf.balance("data") == (81 * KB, 10 * KB, 9 * KB)
    record = record_of(smf)
    assert (record["units"], record["reports"], record["containers"], record["overused"]) == (9 * KB, 1, 4, 0)


def test_the_checksum_weighs_every_container_with_its_number(smf: Smf) -> None:
    session = smf.open(ask(300))
    smf.update(session, 1, report(container(0, totalVolume=5), container(1, totalVolume=7)))
    smf.release(session, 2, report(container(2, totalVolume=11)))
    assert record_of(smf)["checksum"] == 5 * 1 + 7 * 2 + 11 * 3


def test_the_checksum_tells_a_lost_report_and_an_equal_one_charged_twice_from_a_good_session() -> None:
    def charged(*numbers: int) -> dict[str, Any]:
        smf = Smf(Chf(plan()))
        session = smf.open(ask(300))
        for sequence, number in enumerate(numbers, 1):
            smf.update(session, sequence, report(container(number, totalVolume=KB)))
        return record_of(smf)

    good, bad = charged(0, 1, 2), charged(0, 1, 1)
    assert (good["units"], good["reports"]) == (bad["units"], bad["reports"])
    assert good["checksum"] != bad["checksum"]


def test_the_checksum_stays_small(smf: Smf) -> None:
    session = smf.open(ask(310))
    huge = container(2**40, totalVolume=2**63)
    smf.update(session, 1, report(huge, huge, group=310))
    assert record_of(smf)["checksum"] == 2 * 2**63 * (2**40 + 1) % CHECKSUM_MODULUS


@pytest.mark.parametrize("indicator", ["OFFLINE_CHARGING", "QUOTA_MANAGEMENT_SUSPENDED"])
def test_usage_without_quota_is_debited_and_is_no_overuse(smf: Smf, indicator: str) -> None:
    session = smf.open(ask(300))
    smf.update(session, 1, report(container(0, indicator=indicator, totalVolume=30 * KB)))
    record = record_of(smf)
    assert (record["units"], record["debited"], record["overused"]) == (30 * KB, 30 * KB, 0)
    # The grant and its reservation are as they were.
    assert smf.balance("data") == (60 * KB, 10 * KB, 30 * KB)
    smf.update(session, 2, report(container(1, totalVolume=11 * KB)))
    assert record_of(smf)["overused"] == 1 * KB


def test_containers_with_and_without_quota_may_come_together(smf: Smf) -> None:
    session = smf.open(ask(300))
    mixed = report(container(0, totalVolume=4 * KB), container(1, indicator="OFFLINE_CHARGING", totalVolume=9 * KB))
    smf.update(session, 1, mixed)
    assert smf.balance("data") == (81 * KB, 6 * KB, 13 * KB)
    assert record_of(smf)["overused"] == 0


def test_what_is_used_without_quota_may_take_the_balance_below_zero_and_breaks_no_promise() -> None:
    smf = Smf(Chf(plan(data=10 * KB)))
    session = smf.open(ask(300))
    smf.update(session, 1, report(container(0, indicator="OFFLINE_CHARGING", totalVolume=5 * KB)))
    smf.update(session, 2, report(container(1, totalVolume=10 * KB)))
    assert smf.balance("data") == (-5 * KB, 0, 15 * KB)
    assert totals(smf.chf)["promises"] == KEPT


def test_overuse_may_take_the_balance_below_zero_and_breaks_no_promise() -> None:
    smf = Smf(Chf(plan(data=10 * KB)))
    session = smf.open(ask(300))
    smf.update(session, 1, report(container(0, totalVolume=12 * KB), asks=True))
    assert smf.balance("data") == (-2 * KB, 0, 12 * KB)
    assert totals(smf.chf)["promises"] == KEPT


def test_a_debit_that_no_reservation_covered_breaks_a_promise() -> None:
    """As a mistake of ours would: the reservation is gone, and the units were granted all the same."""
    smf = Smf(Chf(plan(data=10 * KB)))
    session = smf.open(ask(300))
    account = smf.chf.accounts.get("imsi-001010000000001")
    assert account is not None
    account.balance("data").total -= 10 * KB
    smf.update(session, 1, report(container(0, totalVolume=9 * KB)))
    assert totals(smf.chf)["promises"] == KEPT  # what was taken away was taken before
    (opened,) = smf.chf.sessions
    opened.quotas[0].granted = 5 * KB
    opened.quotas[0].reserved = 0
    smf.update(session, 2, report(container(1, totalVolume=4 * KB)))
    assert totals(smf.chf)["promises"] == KEPT | {"negative_balance": 1}


def test_a_refusal_ends_what_was_left_of_the_grant() -> None:
    """Another session used more than there was, so even what this one held cannot be granted again."""
    smf = Smf(Chf(plan(data=20 * KB)))
    holder, spender = smf.open(ask(300), charging_id=1), smf.open(ask(300), charging_id=2)
    smf.update(spender, 1, report(container(0, totalVolume=40 * KB)))
    assert smf.update(holder, 1, ask(300)).information(300)["resultCode"] == "QUOTA_LIMIT_REACHED"
    smf.update(holder, 2, report(container(0, totalVolume=KB)))
    assert [record["overused"] for record in smf.chf.ledger_records()] == [30 * KB, 1 * KB]
    assert totals(smf.chf)["promises"] == KEPT


def test_a_call_is_charged_by_its_user_session(smf: Smf) -> None:
    consumer = {"nodeFunctionality": "IMS_Node", "nFName": "9f1c6b3e-2f7a-4c39-9d3b-0d8c1a2b3c4d"}
    call = {"nfConsumerIdentification": consumer, "iMSChargingInformation": {"userSessionID": "a84b4c76@pcscf"}}
    said = smf.send(COLLECTION, message(0, [ask(100, time=60)], **call))
    assert said.granted(100) == 60
    assert smf.send(COLLECTION, message(0, [ask(100, time=60)], **call)).reply.body == said.reply.body
    other = call | {"iMSChargingInformation": {"userSessionID": "b84b4c76@pcscf"}}
    assert smf.send(COLLECTION, message(0, [ask(100, time=60)], **other)).status == 201
    assert len(smf.chf.sessions) == 2
    session = said.reply.header(b"location") or b""
    smf.release(session, 1, report(container(0, time=42), group=100), **call)
    assert record_of(smf)["key"] == "imsi-001010000000001/a84b4c76@pcscf"
    assert smf.balance("voice") == (498, 60, 42)


def test_a_message_is_reserved_and_charged_when_it_was_delivered(smf: Smf) -> None:
    """ECUR: a session around one event."""
    sms = {"sMSChargingInformation": {"messageReference": "7f"}}
    said = smf.send(COLLECTION, message(0, [ask(200, serviceSpecificUnits=1)], **sms))
    assert smf.balance("sms") == (2, 1, 0)
    session = said.reply.header(b"location") or b""
    assert (
        smf.release(session, 1, report(container(0, "FINAL", serviceSpecificUnits=1), group=200), **sms).status == 204
    )
    assert smf.balance("sms") == (2, 0, 1)
    assert record_of(smf)["end"] == "released"


def test_a_message_that_was_not_delivered_costs_nothing(smf: Smf) -> None:
    said = smf.send(COLLECTION, message(0, [ask(200)], sMSChargingInformation={"messageReference": "7f"}))
    smf.release(said.reply.header(b"location") or b"", 1)
    assert smf.balance("sms") == (3, 0, 0)


def test_a_session_that_ran_dry_goes_on_after_a_top_up() -> None:
    smf = Smf(Chf(plan(data=10 * KB)))
    asked: list[list[int]] = []
    smf.chf.on_credit = lambda session, groups: asked.append(groups)
    said = smf.create(ask(300), ask(100))
    assert said.is_final(300)
    session = said.reply.header(b"location") or b""
    account = smf.chf.accounts.get("imsi-001010000000001")
    assert account is not None
    exhausted = smf.update(session, 1, used(300, totalVolume=10 * KB, trigger="QUOTA_EXHAUSTED"))
    assert exhausted.status == 200
    assert smf.update(session, 2, ask(300)).information(300)["resultCode"] == "QUOTA_LIMIT_REACHED"
    smf.chf.credit(account, {"voice": 60})
    assert asked == []
    smf.chf.credit(account, {"data": 100 * KB})
    assert asked == [[300]]
    reauthorised = [{"triggerType": "FORCED_REAUTHORISATION", "triggerCategory": "IMMEDIATE_REPORT"}]
    said = smf.update(session, 3, ask(300), triggers=reauthorised)
    assert said.granted(300) == 10 * KB
    assert not said.is_final(300)
    smf.chf.credit(account, {"data": KB})
    assert asked == [[300]]


def test_a_rating_group_that_was_refused_asks_again_after_a_credit() -> None:
    smf = Smf(Chf(plan(data=0)))
    asked: list[list[int]] = []
    smf.chf.on_credit = lambda session, groups: asked.append(groups)
    smf.create(ask(300), ask(301), ask(100))
    account = smf.chf.accounts.get("imsi-001010000000001")
    assert account is not None
    smf.chf.credit(account, {"data": KB})
    assert asked == [[300, 301]]


def test_a_session_that_has_ended_is_not_asked_again() -> None:
    smf = Smf(Chf(plan(data=10 * KB)))
    asked: list[list[int]] = []
    smf.chf.on_credit = lambda session, groups: asked.append(groups)
    session = smf.open(ask(300))
    smf.release(session, 1)
    account = smf.chf.accounts.get("imsi-001010000000001")
    assert account is not None
    smf.chf.credit(account, {"data": KB})
    assert asked == []


def test_the_plan_may_keep_silent_about_a_credit() -> None:
    quiet = plan(data=10 * KB).model_copy(update={"notify_on_credit": False})
    smf = Smf(Chf(quiet))
    asked: list[list[int]] = []
    smf.chf.on_credit = lambda session, groups: asked.append(groups)
    smf.open(ask(300))
    account = smf.chf.accounts.get("imsi-001010000000001")
    assert account is not None
    smf.chf.credit(account, {"data": KB})
    assert asked == []
    assert smf.balance("data") == (1 * KB, 10 * KB, 0)


def test_an_update_may_name_another_place_for_notifications(smf: Smf) -> None:
    smf.create(ask(300), notifyUri="http://127.0.0.1:9/a")
    (session,) = smf.chf.sessions
    assert session.notify_uri == "http://127.0.0.1:9/a"
    path = COLLECTION + b"/1-1"
    smf.update(path, 1, ask(300))
    assert session.notify_uri == "http://127.0.0.1:9/a"
    smf.update(path, 2, ask(300), notifyUri="http://127.0.0.1:9/b")
    assert session.notify_uri == "http://127.0.0.1:9/b"
