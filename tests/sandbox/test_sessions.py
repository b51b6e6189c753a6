"""Session based charging: reserve, debit, give back."""

from __future__ import annotations

import pytest

from simulator.sandbox import Chf, LocationForm
from tests.sandbox.smf import COLLECTION, KB, SECOND, Smf, ask, plan, used


def test_a_create_reserves_what_it_grants(smf: Smf) -> None:
    said = smf.create(ask(300, totalVolume=20 * KB))
    assert said.status == 201
    assert said.information(300) == {
        "ratingGroup": 300,
        "resultCode": "SUCCESS",
        "grantedUnit": {"totalVolume": 20 * KB},
        "validityTime": 1800,
        "quotaHoldingTime": 600,
        "volumeQuotaThreshold": 2 * KB,
    }
    assert smf.balance("data") == (80 * KB, 20 * KB, 0)


def test_an_empty_request_gets_the_grant_of_the_plan_and_a_large_one_its_maximum(smf: Smf) -> None:
    said = smf.create(ask(300), ask(100, time=10_000))
    assert (said.granted(300), said.granted(100)) == (10 * KB, 600)


def test_a_volume_may_be_asked_for_and_reported_as_uplink_and_downlink(smf: Smf) -> None:
    said = smf.create(ask(300, uplinkVolume=2 * KB, downlinkVolume=5 * KB))
    assert said.granted(300) == 7 * KB
    session = said.reply.header(b"location") or b""
    smf.update(session, 1, used(300, uplinkVolume=1 * KB, downlinkVolume=3 * KB))
    assert smf.balance("data") == (93 * KB, 3 * KB, 4 * KB)


def test_an_update_debits_and_replaces_the_reservation(smf: Smf) -> None:
    session = smf.open(ask(300))
    said = smf.update(session, 1, used(300, totalVolume=9 * KB, then_ask=True))
    assert said.status == 200
    assert said.json["invocationSequenceNumber"] == 1
    assert said.granted(300) == 10 * KB
    assert smf.balance("data") == (81 * KB, 10 * KB, 9 * KB)


def test_a_release_debits_the_rest_gives_back_and_ends_the_session(smf: Smf) -> None:
    session = smf.open(ask(300))
    said = smf.release(session, 1, used(300, totalVolume=4 * KB, trigger="FINAL"))
    assert (said.status, said.reply.body) == (204, b"")
    assert smf.balance("data") == (96 * KB, 0, 4 * KB)
    assert smf.update(session, 2).cause == "CONTEXT_NOT_FOUND"
    assert len(smf.chf.sessions) == 0


def test_a_report_without_a_request_keeps_the_rest_of_the_grant(smf: Smf) -> None:
    session = smf.open(ask(300))
    smf.update(session, 1, used(300, totalVolume=3 * KB, trigger="RAT_CHANGE"))
    assert smf.balance("data") == (90 * KB, 7 * KB, 3 * KB)


def test_the_holding_time_gives_the_rest_of_the_grant_back(smf: Smf) -> None:
    session = smf.open(ask(300))
    smf.update(session, 1, used(300, totalVolume=3 * KB, trigger="QHT"))
    assert smf.balance("data") == (97 * KB, 0, 3 * KB)


def test_several_containers_of_a_rating_group_add_up(smf: Smf) -> None:
    session = smf.open(ask(300))
    report = used(300, totalVolume=1 * KB)
    report["usedUnitContainer"] *= 3
    smf.update(session, 1, report)
    assert smf.balance("data") == (90 * KB, 7 * KB, 3 * KB)


def test_several_rating_groups_are_charged_side_by_side(smf: Smf) -> None:
    session = smf.open(ask(300), ask(100))
    smf.update(session, 1, used(300, totalVolume=2 * KB), used(100, time=30))
    assert smf.balance("data") == (90 * KB, 8 * KB, 2 * KB)
    assert smf.balance("voice") == (540, 30, 30)


def test_the_last_units_are_granted_in_part_and_marked_as_final() -> None:
    smf = Smf(Chf(plan(data=15 * KB)))
    session = smf.open(ask(300))
    said = smf.update(session, 1, used(300, totalVolume=10 * KB, then_ask=True))
    assert said.granted(300) == 5 * KB
    assert said.information(300)["finalUnitIndication"] == {"finalUnitAction": "TERMINATE"}
    assert "volumeQuotaThreshold" not in said.information(300)


def test_a_grant_that_uses_the_balance_up_exactly_is_final() -> None:
    smf = Smf(Chf(plan(data=20 * KB)))
    assert smf.create(ask(300, totalVolume=20 * KB)).is_final(300)
    other = Smf(Chf(plan(data=20 * KB + 1)))
    assert not other.create(ask(300, totalVolume=20 * KB)).is_final(300)


def test_no_final_unit_indication_where_the_plan_has_none() -> None:
    groups = {300: {"unit": "totalVolume", "counter": "data", "grant": 10 * KB, "final_unit": None}}
    smf = Smf(Chf(plan(groups, data=5 * KB)))
    said = smf.create(ask(300))
    assert said.granted(300) == 5 * KB
    assert not said.is_final(300)


def test_after_the_last_units_the_quota_limit_is_reached() -> None:
    smf = Smf(Chf(plan(data=10 * KB)))
    session = smf.open(ask(300))
    said = smf.update(session, 1, used(300, totalVolume=10 * KB, then_ask=True))
    assert said.status == 200
    assert said.information(300) == {"ratingGroup": 300, "resultCode": "QUOTA_LIMIT_REACHED"}


def test_a_create_without_any_credit_is_refused_and_leaves_no_session() -> None:
    smf = Smf(Chf(plan(data=0)))
    said = smf.create(ask(300), ask(999))
    assert (said.status, said.cause) == (403, "QUOTA_LIMIT_REACHED")
    assert len(smf.chf.sessions) == 0


def test_a_create_with_credit_for_one_rating_group_opens_the_session() -> None:
    smf = Smf(Chf(plan(data=0)))
    said = smf.create(ask(300), ask(100))
    assert said.status == 201
    assert said.information(300)["resultCode"] == "QUOTA_LIMIT_REACHED"
    assert said.granted(100) == 60


def test_an_unknown_rating_group_cannot_be_rated_but_is_counted(smf: Smf) -> None:
    said = smf.create(ask(999), ask(300))
    assert said.information(999) == {"ratingGroup": 999, "resultCode": "RATING_FAILED"}
    session = said.reply.header(b"location") or b""
    smf.release(session, 1, used(999, totalVolume=5))
    (record,) = smf.chf.ledger_records()
    assert (record["rg"], record["units"], record["debited"], record["counter"]) == (999, 5, 0, None)


def test_a_zero_rated_group_is_granted_and_counted_and_costs_nothing(smf: Smf) -> None:
    said = smf.create(ask(310))
    assert said.granted(310) == 10 * KB
    session = said.reply.header(b"location") or b""
    smf.release(session, 1, used(310, totalVolume=8 * KB))
    assert smf.balance("data") == (100 * KB, 0, 0)
    (record,) = smf.chf.ledger_records()
    assert (record["units"], record["debited"]) == (8 * KB, 0)


def test_a_create_without_multiple_unit_usage_opens_a_session_that_asks_later(smf: Smf) -> None:
    session = smf.open()
    assert smf.update(session, 1, ask(300)).granted(300) == 10 * KB


def test_a_price_is_charged_in_whole_cents_over_all_reports(smf: Smf) -> None:
    session = smf.open(ask(400))
    assert smf.balance("money") == (985, 15, 0)
    for sequence in (1, 2, 3):
        smf.update(session, sequence, used(400, serviceSpecificUnits=1))
    # Three units at 3 cents for 2 are 4.5 cents, rounded once: not three times 2 cents.
    assert smf.balance("money")[2] == 5


def test_money_that_is_short_buys_what_it_can() -> None:
    smf = Smf(Chf(plan(money=7)))
    said = smf.create(ask(400))
    assert said.granted(400) == 4
    assert said.is_final(400)
    assert smf.balance("money") == (1, 6, 0)


def test_debits_are_rounded_over_all_reports_of_a_session(smf: Smf) -> None:
    session = smf.open(ask(301))
    for sequence in range(1, 4):
        smf.update(session, sequence, used(301, totalVolume=100))
    assert smf.balance("data")[2] == 1 * KB


def test_usage_beyond_the_grant_is_debited_and_recorded() -> None:
    smf = Smf(Chf(plan(data=10 * KB)))
    session = smf.open(ask(300))
    smf.release(session, 1, used(300, totalVolume=12 * KB))
    assert smf.balance("data") == (-2 * KB, 0, 12 * KB)
    (record,) = smf.chf.ledger_records()
    assert record["overused"] == 2 * KB


def test_two_sessions_of_a_subscriber_share_the_balance() -> None:
    smf = Smf(Chf(plan(data=15 * KB)))
    smf.open(ask(300), charging_id=1)
    said = smf.create(ask(300), charging_id=2)
    assert said.granted(300) == 5 * KB
    assert smf.balance("data") == (0, 15 * KB, 0)


def test_an_unknown_subscriber_is_refused_where_the_plan_says_so() -> None:
    smf = Smf(Chf(plan(unknown_subscriber="reject")))
    said = smf.create(ask(300))
    assert (said.status, said.cause) == (404, "USER_UNKNOWN")
    smf.chf.accounts.create("imsi-001010000000009").balance("data").total += 5 * KB
    assert smf.create(ask(300), subscriber="imsi-001010000000009").granted(300) == 5 * KB


def test_a_silent_session_expires_and_gives_its_reservation_back() -> None:
    smf = Smf(Chf(plan(session_expiry=100), pace=10.0))
    session = smf.open(ask(300))
    deadline = smf.chf.next_deadline()
    assert deadline == smf.now + 10 * SECOND
    smf.chf.on_time(deadline - 1)
    assert smf.balance("data") == (90 * KB, 10 * KB, 0)
    smf.chf.on_time(deadline)
    assert smf.balance("data") == (100 * KB, 0, 0)
    assert smf.chf.next_deadline() is None
    assert smf.update(session, 1).cause == "CONTEXT_NOT_FOUND"
    assert smf.chf.ended["expired"] == 1


def test_an_update_starts_the_idle_time_again() -> None:
    smf = Smf(Chf(plan(session_expiry=100)))
    first = smf.open(ask(300), charging_id=1)
    smf.now += SECOND
    smf.open(ask(300), charging_id=2)
    smf.now += SECOND
    smf.update(first, 1)
    assert smf.chf.next_deadline() == smf.now + 99 * SECOND
    smf.chf.on_time(smf.now + 99 * SECOND)
    assert [session.charging_id for session in smf.chf.sessions] == [1]


@pytest.mark.parametrize("pace", [1.0, None])
def test_sessions_never_expire_where_the_plan_says_zero(pace: float | None) -> None:
    smf = Smf(Chf(plan(session_expiry=0), pace=pace))
    smf.open(ask(300))
    assert smf.chf.next_deadline() is None


def test_many_sessions_expire_a_bounded_number_at_a_time() -> None:
    smf = Smf(Chf(plan(session_expiry=1, data=10**9)))
    for number in range(1500):
        smf.open(ask(300), charging_id=number)
    later = smf.now + 2 * SECOND
    smf.chf.on_time(later)
    assert len(smf.chf.sessions) == 500
    assert (smf.chf.next_deadline() or 0) <= later
    smf.chf.on_time(later)
    assert len(smf.chf.sessions) == 0


@pytest.mark.parametrize(
    ("form", "location"),
    [
        (LocationForm.PATH, COLLECTION + b"/x-1"),
        (LocationForm.ABSOLUTE, b"http://chf.example:8080" + COLLECTION + b"/x-1"),
        (LocationForm.BARE, b"x-1"),
    ],
)
def test_location_tells_the_reference_in_the_chosen_form(form: LocationForm, location: bytes) -> None:
    smf = Smf(Chf(plan(), instance="x", location=form))
    assert smf.create(ask(300)).reply.header(b"location") == location


def test_the_time_stamp_is_the_wall_clock() -> None:
    smf = Smf(Chf(plan(), epoch=1_795_341_600_123 * 1_000_000))
    smf.now = 0
    assert smf.create().json["invocationTimeStamp"] == "2026-11-22T10:00:00.123Z"
