"""How the charging function charges when it does not do so by the book."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson
import pytest

from simulator.config import Fault
from simulator.sandbox.moods import Mood
from tests.sandbox.smf import COLLECTION, HEADERS, KB, Said, Smf, ask, message, used

PDU = {"pDUSessionChargingInformation": {"chargingId": 1}}


class Moody:
    """An SMF before a charging function in a mood."""

    def __init__(self, smf: Smf, *faults: dict[str, Any]) -> None:
        self.smf = smf
        self.counts: Counter[str] = Counter()
        self.mood = Mood([Fault.model_validate(fault) for fault in faults], self.counts)

    def send(self, path: bytes, document: object) -> Said:
        smf = self.smf
        return Said(smf.chf.handle(b"POST", path, HEADERS, orjson.dumps(document), smf.now, self.mood))

    def create(self, *usages: dict[str, Any]) -> Said:
        return self.send(COLLECTION, message(0, list(usages), **PDU))

    def update(self, session: bytes, sequence: int, *usages: dict[str, Any]) -> Said:
        return self.send(session + b"/update", message(sequence, list(usages)))

    def release(self, session: bytes, sequence: int, *usages: dict[str, Any]) -> Said:
        return self.send(session + b"/release", message(sequence, list(usages)))


def test_a_share_is_granted_of_what_was_asked(smf: Smf) -> None:
    chf = Moody(smf, {"grant": "25%"})
    said = chf.create(ask(300, totalVolume=20 * KB), ask(100))
    assert (said.granted(300), said.granted(100)) == (5 * KB, 15)
    assert smf.balance("data") == (95 * KB, 5 * KB, 0)
    assert chf.counts == {"grant": 2}


def test_a_share_of_nearly_nothing_is_one_unit(smf: Smf) -> None:
    assert Moody(smf, {"grant": "1%"}).create(ask(200, serviceSpecificUnits=1)).granted(200) == 1


def test_a_rating_group_is_refused_and_the_others_are_not(smf: Smf) -> None:
    chf = Moody(smf, {"result_code": "END_USER_SERVICE_DENIED", "rating_groups": [300]})
    said = chf.create(ask(300), ask(100))
    assert said.information(300) == {"ratingGroup": 300, "resultCode": "END_USER_SERVICE_DENIED"}
    assert said.granted(100) == 60
    assert chf.counts == {"result_code": 1}


def test_a_session_of_refused_rating_groups_is_there_all_the_same(smf: Smf) -> None:
    said = Moody(smf, {"result_code": "QUOTA_LIMIT_REACHED"}).create(ask(300))
    assert said.status == 201
    assert said.information(300)["resultCode"] == "QUOTA_LIMIT_REACHED"


def test_what_is_refused_is_no_longer_reserved(smf: Smf) -> None:
    session = smf.open(ask(300))
    Moody(smf, {"result_code": "RATING_FAILED"}).update(session, 1, used(300, totalVolume=KB, then_ask=True))
    assert smf.balance("data") == (99 * KB, 0, KB)


@pytest.mark.parametrize(
    ("final", "indication"),
    [
        ("TERMINATE", {"finalUnitAction": "TERMINATE"}),
        (
            {"action": "REDIRECT", "redirect_to": "http://shop/"},
            {
                "finalUnitAction": "REDIRECT",
                "redirectServer": {"redirectAddressType": "URL", "redirectServerAddress": "http://shop/"},
            },
        ),
        (
            {"action": "RESTRICT_ACCESS", "filter_id": "walled"},
            {"finalUnitAction": "RESTRICT_ACCESS", "filterId": "walled"},
        ),
    ],
)
def test_grants_are_marked_as_the_last_ones(smf: Smf, final: Any, indication: dict[str, Any]) -> None:
    entry = Moody(smf, {"final_unit": final}).create(ask(300)).information(300)
    assert entry["finalUnitIndication"] == indication
    assert entry["grantedUnit"] == {"totalVolume": 10 * KB}
    assert "volumeQuotaThreshold" not in entry


def test_a_repeat_is_answered_as_before_whatever_the_mood(smf: Smf) -> None:
    chf = Moody(smf, {"final_unit": "TERMINATE"}, {"grant": "50%"})
    first = chf.create(ask(300))
    assert smf.create(ask(300)).reply.body == first.reply.body


def test_a_repeated_update_is_charged_again(smf: Smf) -> None:
    session = smf.open(ask(300))
    chf = Moody(smf, {"charge_repeats": True})
    chf.update(session, 1, used(300, totalVolume=KB, then_ask=True))
    assert chf.counts == {}
    again = chf.update(session, 1, used(300, totalVolume=KB, then_ask=True))
    assert again.status == 200
    assert again.json["invocationSequenceNumber"] == 1
    assert smf.balance("data")[2] == 2 * KB
    assert chf.counts == {"charge_repeats": 1}


def test_a_repeated_release_is_charged_again_under_its_reference(smf: Smf) -> None:
    session = smf.open(ask(300))
    chf = Moody(smf, {"charge_repeats": True})
    assert [chf.release(session, 1, used(300, totalVolume=KB)).status for _ in range(2)] == [204, 204]
    records = list(smf.chf.ledger_records())
    assert [(record["ref"], record["units"]) for record in records] == [(session.split(b"/")[-1].decode(), KB)] * 2
    assert smf.balance("data") == (98 * KB, 0, 2 * KB)


def test_a_repeated_event_is_charged_again(smf: Smf) -> None:
    event = message(0, [ask(200, serviceSpecificUnits=1)], oneTimeEvent=True, oneTimeEventType="IEC")
    chf = Moody(smf, {"charge_repeats": True})
    assert [chf.send(COLLECTION, event).status for _ in range(2)] == [201, 201]
    assert smf.balance("sms")[2] == 2
    assert len({record["key"] for record in smf.chf.ledger_records()}) == 1


def test_events_are_refused_and_cut_short_too(smf: Smf) -> None:
    event = message(0, [ask(200, serviceSpecificUnits=2)], oneTimeEvent=True, oneTimeEventType="IEC")
    refused = Moody(smf, {"result_code": "RATING_FAILED"}).send(COLLECTION, event)
    assert refused.information(200)["resultCode"] == "RATING_FAILED"
    assert smf.balance("sms")[2] == 0
    partly = Moody(smf, {"grant": "50%"}).send(COLLECTION, event | {"invocationTimeStamp": "2026-11-22T10:00:01Z"})
    assert partly.granted(200) == 1
