"""What the plan makes the charging function say beside the grants: final units, tariff switches, triggers, failures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simulator.config import RatingPlan
from simulator.sandbox import Chf
from simulator.sandbox.switches import Switches
from tests.sandbox.smf import COLLECTION, KB, Said, Smf, ask, message, plan, used
from tests.sandbox.strict import strict_validator

DATA = {"unit": "totalVolume", "counter": "data", "grant": 10 * KB}
FULL: dict[str, Any] = {
    "triggers": [
        {"type": "RAT_CHANGE"},
        {"type": "TIME_LIMIT", "time_limit": "1d"},
        {"type": "MAX_NUMBER_OF_CHANGES_IN_CHARGING_CONDITIONS", "max_changes": 20},
        {"type": "USER_LOCATION_CHANGE", "category": "DEFERRED_REPORT"},
    ],
    "unit_count_inactivity_timer": "2h",
    "failure_handling": "RETRY_AND_TERMINATE",
    "session_failover": "FAILOVER_SUPPORTED",
}


@pytest.fixture(scope="module")
def well_formed(reference: Path) -> Callable[[Said], None]:
    answer = strict_validator(reference, "ChargingDataResponse")
    return lambda said: answer.validate(said.json)


def smf_with(terms: dict[str, Any], *, data: int = 100 * KB, **of_plan: Any) -> Smf:
    return Smf(Chf(_plan(plan({300: DATA | terms}, data=data), of_plan)))


def _plan(base: RatingPlan, more: dict[str, Any]) -> RatingPlan:
    return RatingPlan.model_validate(base.model_dump() | more)


def last_grant(terms: dict[str, Any]) -> Said:
    said = smf_with(terms, data=5 * KB).create(ask(300))
    assert said.granted(300) == 5 * KB
    return said


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({}, {"finalUnitAction": "TERMINATE"}),
        (
            {"final_unit": "REDIRECT", "redirect_server": {"address": "http://topup.example/"}},
            {
                "finalUnitAction": "REDIRECT",
                "redirectServer": {"redirectAddressType": "URL", "redirectServerAddress": "http://topup.example/"},
            },
        ),
        ({"final_unit": "RESTRICT_ACCESS"}, {"finalUnitAction": "RESTRICT_ACCESS"}),
        (
            {"final_unit": "RESTRICT_ACCESS", "filter_ids": ["topup"]},
            {"finalUnitAction": "RESTRICT_ACCESS", "filterId": "topup"},
        ),
        (
            {"final_unit": "RESTRICT_ACCESS", "filter_ids": ["topup", "dns"]},
            {"finalUnitAction": "RESTRICT_ACCESS", "filterIdList": ["topup", "dns"]},
        ),
    ],
)
def test_what_comes_with_the_last_units(
    terms: dict[str, Any], expected: dict[str, Any], well_formed: Callable[[Said], None]
) -> None:
    said = last_grant(terms)
    assert said.information(300)["finalUnitIndication"] == expected
    well_formed(said)


def test_the_last_grant_has_a_validity_of_its_own() -> None:
    assert last_grant({"validity": 1800, "final_validity": 900}).information(300)["validityTime"] == 900
    assert last_grant({"validity": 1800}).information(300)["validityTime"] == 1800
    assert "validityTime" not in last_grant({"validity": 1800, "final_validity": 0}).information(300)
    said = smf_with({"validity": 1800, "final_validity": 900}).create(ask(300))
    assert said.information(300)["validityTime"] == 1800


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2026-11-22T10:00:00Z", b"2026-11-22T18:00:00Z"),
        ("2026-11-22T17:59:59.999Z", b"2026-11-22T18:00:00Z"),
        ("2026-11-22T18:00:00Z", b"2026-11-23T00:00:00Z"),
        ("2026-12-31T23:59:59", b"2027-01-01T00:00:00Z"),
        ("2026-11-22T23:30:00+02:00", b"2026-11-23T00:00:00Z"),
        ("2026-11-22T18:30:00+02:00", b"2026-11-22T18:00:00Z"),
        ("2026-11-22T23:30:00-01:00", b"2026-11-23T18:00:00Z"),
        ("2026-13-40T19:00:00Z", b""),
        ("9999-12-31T19:00:00Z", b""),
    ],
)
def test_the_next_switch_of_a_tariff(stamp: str, expected: bytes) -> None:
    assert Switches(["18:00", "00:00"]).after(stamp) == expected


def test_a_grant_tells_the_next_switch_as_the_clock_of_the_smf_has_it(well_formed: Callable[[Said], None]) -> None:
    smf = smf_with({"tariff_changes": ["00:00", "18:00"]})
    said = smf.create(ask(300))
    assert said.information(300)["grantedUnit"] == {
        "totalVolume": 10 * KB,
        "tariffTimeChange": "2026-11-22T18:00:00Z",
    }
    well_formed(said)
    session = said.reply.header(b"location") or b""
    said = smf.update(session, 1, ask(300), invocationTimeStamp="2026-11-22T18:00:01Z")
    assert said.information(300)["grantedUnit"]["tariffTimeChange"] == "2026-11-23T00:00:00Z"
    said = smf.update(session, 2, ask(300), invocationTimeStamp="2026-99-99T18:00:01Z")
    assert said.granted(300) == 10 * KB


def test_a_validity_with_jitter_differs_by_session_and_stays_the_same_within_one() -> None:
    smf = smf_with({"validity": 600, "validity_jitter": 0.2})
    validities = []
    for number in range(50):
        said = smf.create(ask(300), subscriber=f"imsi-0010100000000{number:02}")
        validities.append(said.information(300)["validityTime"])
        session = said.reply.header(b"location") or b""
        again = smf.update(session, 1, ask(300), subscriber=f"imsi-0010100000000{number:02}")
        assert again.information(300)["validityTime"] == validities[-1]
    assert min(validities) in range(480, 510)
    assert max(validities) in range(690, 721)
    assert len(set(validities)) > 30


def test_usage_before_and_after_the_switch_comes_in_two_containers() -> None:
    smf = smf_with({"tariff_changes": ["18:00"]})
    session = smf.open(ask(300))
    report = used(300, totalVolume=KB)
    report["usedUnitContainer"].append({"localSequenceNumber": 2, "totalVolume": 2 * KB})
    smf.release(session, 1, report)
    (record,) = smf.chf.ledger_records()
    assert (record["units"], record["reports"], record["containers"]) == (3 * KB, 1, 2)


def test_a_grant_says_what_has_to_be_reported(well_formed: Callable[[Said], None]) -> None:
    triggers = [
        {"type": "QUOTA_THRESHOLD"},
        {"type": "VOLUME_LIMIT", "category": "DEFERRED_REPORT", "volume_limit": "100MB"},
        {"type": "EVENT_LIMIT", "category": "DEFERRED_REPORT", "event_limit": 5},
    ]
    said = smf_with({"triggers": triggers}).create(ask(300))
    assert said.information(300)["triggers"] == [
        {"triggerType": "QUOTA_THRESHOLD", "triggerCategory": "IMMEDIATE_REPORT"},
        {"triggerType": "VOLUME_LIMIT", "triggerCategory": "DEFERRED_REPORT", "volumeLimit64": 100_000_000},
        {"triggerType": "EVENT_LIMIT", "triggerCategory": "DEFERRED_REPORT", "eventLimit": 5},
    ]
    well_formed(said)


def test_the_answer_to_create_says_what_holds_for_the_session(well_formed: Callable[[Said], None]) -> None:
    smf = smf_with({}, **FULL)
    said = smf.create(ask(300))
    well_formed(said)
    assert said.json["sessionFailover"] == "FAILOVER_SUPPORTED"
    assert said.json["invocationResult"] == {"failureHandling": "RETRY_AND_TERMINATE"}
    assert said.json["pDUSessionChargingInformation"] == {"unitCountInactivityTimer": 7200}
    assert said.json["triggers"] == [
        {"triggerType": "RAT_CHANGE", "triggerCategory": "IMMEDIATE_REPORT"},
        {"triggerType": "TIME_LIMIT", "triggerCategory": "IMMEDIATE_REPORT", "timeLimit": 86_400},
        {
            "triggerType": "MAX_NUMBER_OF_CHANGES_IN_CHARGING_CONDITIONS",
            "triggerCategory": "IMMEDIATE_REPORT",
            "maxNumberOfccc": 20,
        },
        {"triggerType": "USER_LOCATION_CHANGE", "triggerCategory": "DEFERRED_REPORT"},
    ]
    assert smf.create(ask(300)).reply.body == said.reply.body  # a repeat gets the same
    session = said.reply.header(b"location") or b""
    assert set(smf.update(session, 1, ask(300)).json) == {
        "invocationTimeStamp", "invocationSequenceNumber", "multipleUnitInformation",
    }  # fmt: skip


def test_a_create_that_asks_for_nothing_is_told_too(well_formed: Callable[[Said], None]) -> None:
    said = smf_with({}, **FULL).create()
    well_formed(said)
    assert said.json["sessionFailover"] == "FAILOVER_SUPPORTED"


def test_what_is_no_pdu_session_has_no_inactivity_timer(well_formed: Callable[[Said], None]) -> None:
    smf = smf_with({}, **FULL)
    for odd in ({}, {"unknown": "café"}):
        call = message(0, [ask(300)], iMSChargingInformation={"userSessionID": f"call{len(odd)}"}, **odd)
        said = smf.send(COLLECTION, call)
        well_formed(said)
        assert "pDUSessionChargingInformation" not in said.json
        assert "triggers" in said.json


def test_an_event_is_told_nothing_of_sessions() -> None:
    said = smf_with({}, **FULL).event("IEC", ask(300, totalVolume=5))
    assert set(said.json) == {"invocationTimeStamp", "invocationSequenceNumber", "multipleUnitInformation"}
