"""Roots, versions and the `totogi` dialect, side by side."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.sandbox import Chf, LocationForm
from simulator.sandbox.paths import MAX_PLACES, Paths
from tests.sandbox.smf import COLLECTION, KB, SECOND, Said, Smf, ask, message, plan, used

V2 = b"/nchf-convergedcharging/v2/chargingdata"
TOTOGI = b"/nchf-convergedcharging/v3/chargingData"
DEVICE = "3f0c6c1e-8a53-4a77-9a0e-2d1f5b7c9e10"


@pytest.mark.parametrize("collection", [COLLECTION, V2, b"/chf/one" + COLLECTION, b"/chf-1" + V2])
def test_a_session_lives_where_it_was_created(smf: Smf, collection: bytes) -> None:
    said = smf.send(collection, message(0, [ask(300)]))
    session = said.reply.header(b"location")
    assert session == collection + b"/1-1"
    assert smf.update(session, 1, used(300, totalVolume=KB, then_ask=True)).granted(300) == 10 * KB
    assert smf.release(session, 2, used(300, totalVolume=KB)).status == 204
    assert smf.balance("data") == (98 * KB, 0, 2 * KB)


def test_an_absolute_location_has_the_root_in_it() -> None:
    smf = Smf(Chf(plan(), location=LocationForm.ABSOLUTE))
    said = smf.send(b"/chf" + V2, message(0, [ask(300)]))
    assert said.reply.header(b"location") == b"http://chf.example:8080/chf" + V2 + b"/1-1"


def test_a_session_is_found_at_every_place(smf: Smf) -> None:
    smf.open(ask(300))
    assert smf.update(b"/elsewhere" + V2 + b"/1-1", 1, used(300, totalVolume=KB)).status == 200


def test_a_collection_of_another_dialect_is_served_where_it_is_said_to_be() -> None:
    lab = b"/charging/v3/sessions"
    smf = Smf(Chf(plan(), collections=[lab, TOTOGI]))
    said = smf.send(lab, message(0, [ask(300)]))
    session = said.reply.header(b"location")
    assert session == lab + b"/1-1"
    assert smf.update(session, 1, used(300, totalVolume=KB)).status == 200
    assert smf.send(lab + b"s", message(0, [ask(300)])).status == 404
    assert Smf(Chf(plan())).send(lab, message(0, [ask(300)])).status == 404
    totogi = Paths([TOTOGI]).route(b"POST", TOTOGI)[2]
    assert totogi.is_totogi, "the shipped one stays what it is"


def test_only_so_many_places_are_remembered_and_all_are_served() -> None:
    paths = Paths()
    places = [paths.route(b"POST", b"/%d%b" % (number, COLLECTION))[2] for number in range(2 * MAX_PLACES)]
    assert [place.items for place in places] == [b"/%d%b/" % (number, COLLECTION) for number in range(2 * MAX_PLACES)]
    assert paths.route(b"POST", b"/0" + COLLECTION)[2] is places[0]


class Demo(Smf):
    """Speaks as the public demo's clients do."""

    def say(self, path: bytes, sequence: int, group: int, unit: str, used_units: int, asked: int | None) -> Said:
        usage: dict[str, Any] = {
            "ratingGroup": group,
            "usedUnitContainer": [{"localSequenceNumber": 1, unit: used_units}],
        }
        if asked is not None:
            usage["requestedUnit"] = {unit: asked}
        return self.send(path, self.message(sequence, [usage]))

    @staticmethod
    def message(sequence: int, usages: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
        return {
            "invocationSequenceNumber": sequence,
            "invocationTimeStamp": f"2026-11-22T10:00:00.00{sequence}Z",
            "tenantIdentifier": "provider-1",
            "subscriberIdentifier": DEVICE,
            "nfConsumerIdentification": {"nodeFunctionality": "SMF"},
            "multipleUnitUsage": usages,
            **fields,
        }

    def init(self, group: int, unit: str, units: int) -> Said:
        return self.say(TOTOGI, 1, group, unit, 0, units)


@pytest.fixture
def demo() -> Demo:
    return Demo(Chf(plan()))


def test_the_demos_session(demo: Demo) -> None:
    said = demo.init(300, "totalVolume", 50 * KB)
    assert said.granted(300) == 50 * KB
    assert said.reply.header(b"location") == b"1-1"
    said = demo.say(TOTOGI + b"/1-1/update", 2, 300, "totalVolume", 50 * KB, 0)
    assert said.reply.header(b"location") == b"1-1"
    assert said.information(300) == {"ratingGroup": 300, "resultCode": "SUCCESS", "grantedUnit": {"totalVolume": 0}}
    assert demo.balance("data", DEVICE) == (50 * KB, 0, 50 * KB)
    assert demo.say(TOTOGI + b"/1-1/release", 3, 300, "totalVolume", 0, 0).status == 204
    (record,) = demo.chf.ledger_records()
    assert (record["key"], record["units"]) == (f"{DEVICE}/2026-11-22T10:00:00.001Z", 50 * KB)
    assert demo.chf.sequence_gaps == 0


def test_zero_gives_the_rest_of_the_grant_back_and_an_empty_request_asks(demo: Demo) -> None:
    demo.init(300, "totalVolume", 50 * KB)
    demo.say(TOTOGI + b"/1-1/update", 2, 300, "totalVolume", 10 * KB, 0)
    assert demo.balance("data", DEVICE) == (90 * KB, 0, 10 * KB)
    said = demo.send(TOTOGI + b"/1-1/update", demo.message(3, [ask(300)]))
    assert said.granted(300) == 10 * KB


def test_a_device_without_credit_is_refused_although_its_request_reports_zero_units() -> None:
    demo = Demo(Chf(plan(voice=0)))
    said = demo.init(100, "time", 300)
    assert (said.status, said.cause) == (403, "QUOTA_LIMIT_REACHED")
    assert len(demo.chf.sessions) == 0


def test_a_repeated_init_is_one_session(demo: Demo) -> None:
    first = demo.init(300, "totalVolume", 5 * KB)
    demo.now += SECOND
    assert demo.init(300, "totalVolume", 5 * KB).reply.header(b"location") == first.reply.header(b"location")
    assert demo.chf.requests["create", "repeated"] == 1


def test_two_uses_in_one_millisecond_are_two_sessions(demo: Demo) -> None:
    """They have no identifier, but they ask for different things."""
    demo.init(300, "totalVolume", 5 * KB)
    demo.init(300, "totalVolume", 6 * KB)
    demo.init(100, "time", 300)
    assert len(demo.chf.sessions) == 3
    assert demo.chf.requests["create", "repeated"] == 0


def test_a_mark_does_not_make_a_repeat_another_session(demo: Demo) -> None:
    usages = [ask(300, totalVolume=KB)]
    demo.send(TOTOGI, demo.message(1, usages))
    demo.send(TOTOGI, demo.message(1, usages, retransmissionIndicator=True))
    assert len(demo.chf.sessions) == 1


def top_up(demo: Demo, units: int, path: bytes = TOTOGI) -> Said:
    event = {"oneTimeEvent": True, "oneTimeEventType": "IEC", "requestedAction": "TOP_UP"}
    return demo.send(path, demo.message(1, [ask(400, serviceSpecificUnits=units)], **event))


def test_a_top_up_credits_once(demo: Demo) -> None:
    said = top_up(demo, 500)
    assert said.status == 201
    assert said.granted(400) == 500
    assert top_up(demo, 500).reply.body == said.reply.body
    assert demo.balance("money", DEVICE) == (1750, 0, 0)  # 3 cents for 2 units
    assert list(demo.chf.ledger_records()) == []


def test_a_top_up_of_a_rating_group_that_debits_nothing_is_refused(demo: Demo) -> None:
    event = {"oneTimeEvent": True, "oneTimeEventType": "IEC", "requestedAction": "TOP_UP"}
    said = demo.send(TOTOGI, demo.message(1, [ask(310, totalVolume=5)], **event))
    assert said.information(310)["resultCode"] == "RATING_FAILED"


def test_a_top_up_is_an_ordinary_event_outside_the_dialect(demo: Demo) -> None:
    top_up(demo, 100, COLLECTION)
    assert demo.balance("money", DEVICE) == (850, 0, 150)
