"""Event based charging: immediate (IEC) and post event (PEC)."""

from __future__ import annotations

from simulator.sandbox import Chf
from tests.sandbox.smf import KB, SUBSCRIBER, Smf, ask, plan, used


def test_an_immediate_event_is_debited_at_once(smf: Smf) -> None:
    said = smf.event("IEC", ask(200, serviceSpecificUnits=2))
    assert said.status == 201
    assert said.information(200) == {
        "ratingGroup": 200,
        "resultCode": "SUCCESS",
        "grantedUnit": {"serviceSpecificUnits": 2},
    }
    assert smf.balance("sms") == (1, 0, 2)
    assert len(smf.chf.sessions) == 0


def test_an_immediate_event_is_debited_as_a_whole_or_refused(smf: Smf) -> None:
    said = smf.event("IEC", ask(200, serviceSpecificUnits=4))
    assert (said.status, said.cause) == (403, "QUOTA_LIMIT_REACHED")
    assert smf.balance("sms") == (3, 0, 0)


def test_an_event_may_be_larger_than_a_grant(smf: Smf) -> None:
    chf = Chf(plan(sms=1000))
    assert Smf(chf).event("IEC", ask(200, serviceSpecificUnits=500)).granted(200) == 500


def test_a_post_event_is_charged_after_delivery_even_without_credit() -> None:
    smf = Smf(Chf(plan(sms=0)))
    said = smf.event("PEC", used(200, serviceSpecificUnits=1))
    assert said.status == 201
    assert said.information(200) == {"ratingGroup": 200, "resultCode": "SUCCESS"}
    assert smf.balance("sms") == (-1, 0, 1)


def test_an_event_that_asks_and_reports_the_same_units_is_charged_once(smf: Smf) -> None:
    smf.event("IEC", ask(200, serviceSpecificUnits=1) | used(200, serviceSpecificUnits=1))
    assert smf.balance("sms") == (2, 0, 1)


def test_an_event_without_units_is_answered_and_charges_nothing(smf: Smf) -> None:
    said = smf.event("IEC", {"ratingGroup": 200})
    assert said.status == 201
    assert smf.balance("sms") == (3, 0, 0)


def test_an_event_without_multiple_unit_usage_is_answered(smf: Smf) -> None:
    said = smf.create(oneTimeEvent=True, oneTimeEventType="PEC")
    assert said.status == 201
    assert "multipleUnitInformation" not in said.json


def test_a_zero_rated_event_is_counted(smf: Smf) -> None:
    said = smf.event("IEC", ask(310, totalVolume=5))
    assert said.granted(310) == 5
    (record,) = smf.chf.ledger_records()
    assert (record["units"], record["debited"]) == (5, 0)


def test_an_event_of_an_unknown_rating_group_cannot_be_rated(smf: Smf) -> None:
    said = smf.event("PEC", used(999, serviceSpecificUnits=1))
    assert said.status == 201
    assert said.information(999)["resultCode"] == "RATING_FAILED"


def test_the_ledger_tells_what_an_event_charged(smf: Smf) -> None:
    smf.event("IEC", ask(200, serviceSpecificUnits=1), reference="7f")
    (record,) = smf.chf.ledger_records()
    assert record == {
        "ref": "1-1",
        "key": f"{SUBSCRIBER}/7f",
        "subscriber": SUBSCRIBER,
        "rg": 200,
        "unit": "serviceSpecificUnits",
        "counter": "sms",
        "units": 1,
        "debited": 1,
        "overused": 0,
        "reports": 1,
        "containers": 0,
        "checksum": 0,
        "open": False,
        "end": "event",
    }


def test_the_ledger_tells_open_sessions_and_ended_ones(smf: Smf) -> None:
    ended = smf.open(ask(300), charging_id=1)
    smf.release(ended, 1, used(300, totalVolume=2 * KB))
    opened = smf.open(ask(300), charging_id=2)
    smf.update(opened, 1, used(300, totalVolume=1 * KB))
    told = [(record["key"], record["units"], record["open"], record["end"]) for record in smf.chf.ledger_records()]
    assert told == [
        (f"{SUBSCRIBER}/1", 2 * KB, False, "released"),
        (f"{SUBSCRIBER}/2", 1 * KB, True, "open"),
    ]
