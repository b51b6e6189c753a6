"""Services, dialects and places for sessions, as a whole fleet plays them."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest

from simulator.config import Profile, load_profile
from simulator.fleet.network_functions import build_network_functions
from simulator.fleet.services import collection, message_form, sbi_headers
from simulator.fleet.usage import build_usages
from simulator.n40 import Timestamps, read_answer
from tests.n40.strict_schema import strict_validator
from tests.world import CALL, DOWNLOAD, MESSAGE, SECOND, World, traffic

ECUR: dict[str, Any] = MESSAGE | {"charging": "ECUR", "delivery": "3s"}
IMS_CALL = CALL | {"network_function": "ims"}
FUNCTIONS = {"smf": {"kind": "SMF"}, "smsf": {"kind": "SMSF"}, "ims": {"kind": "IMS_Node"}}
TOTOGI = ("dialect=totogi", "tenant=a-provider")


# -- ECUR ---------------------------------------------------------------------------------------------------------------


def test_an_ecur_reserves_before_delivery_and_reports_after_it(reference: Path) -> None:
    strict = strict_validator(reference, "ChargingDataRequest")
    usages = {"message": ECUR | {"units": 3}}
    world = World(traffic({"rate": "10/s", "sessions": 20, "duration": "20s"}, usages=usages)).run()
    assert {message.operation for message in world.messages} == {"create", "release"}
    for message in world.messages:
        strict.validate(message.body)
        assert message.body["nfConsumerIdentification"]["nodeFunctionality"] == "SMSF"
    asked = {message.session: message for message in world.sent("create")}
    for release in world.sent("release"):
        create = asked.pop(release.session)
        assert create.body["multipleUnitUsage"] == [{"ratingGroup": 200, "requestedUnit": {"serviceSpecificUnits": 3}}]
        assert release.reported() == {(200, "serviceSpecificUnits"): 3}
        assert release.at - create.at == 3 * SECOND + world.latency
    assert not asked
    assert {(record["used"], record["operation"]) for record in world.records} == {(3, "ECUR")}
    assert world.audit().balanced


def test_an_ecur_that_is_under_way_when_the_run_ends_is_released() -> None:
    usages = {"message": ECUR | {"delivery": "1h"}}
    world = World(traffic({"rate": "10/s", "duration": "2s"}, usages=usages)).run()
    assert len(world.sent("release")) == len(world.sent("create")) > 5
    assert {record["used"] for record in world.records} == {0}


# -- calls --------------------------------------------------------------------------------------------------------------


def test_calls_of_the_ims_are_charged_by_the_second_and_the_books_balance() -> None:
    world = World(traffic({"rate": "5/s"}, usages={"call": IMS_CALL}, network_functions=FUNCTIONS)).run()
    assert {message.body["nfConsumerIdentification"]["nodeFunctionality"] for message in world.messages} == {"IMS_Node"}
    assert all("iMSChargingInformation" in message.body for message in world.messages)
    assert all(record["key"].endswith("@ims.mnc001.mcc001.3gppnetwork.org") for record in world.records)
    audit = world.audit()
    assert audit.balanced
    assert audit.used_units["time"] > 500


def test_sessions_that_the_chf_never_answered_are_found_in_its_books_by_their_name() -> None:
    """Joined by subscriber and what the messages call the session, for every service."""
    usages = {"call": IMS_CALL, "download": DOWNLOAD, "message": ECUR}
    world = World(
        traffic({"rate": "5/s", "duration": "5s"}, usages=usages, network_functions=FUNCTIONS, repeats=0),
        weather=lambda message: "answer lost" if message.operation == "create" else "",
    ).run()
    assert world.chf is not None
    theirs = {row["key"] for row in world.chf.ledger_records()}
    ours = {record["key"] for record in world.records}
    assert len(ours) > 15
    assert theirs <= ours


# -- places -------------------------------------------------------------------------------------------------------------


def ids(world: World) -> dict[str, dict[int, list[tuple[int, int]]]]:
    """Of each subscriber, the lives of its PDU sessions by their id."""
    begun: dict[Any, int] = {}
    lives: dict[str, dict[int, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    for message in world.messages:
        if message.operation == "create":
            begun[message.session] = message.at
        elif message.operation == "release":
            pdu = message.body["pDUSessionChargingInformation"]["pduSessionInformation"]["pduSessionID"]
            lives[message.session[0]][pdu].append((begun[message.session], message.at))
    return lives


def test_a_device_holds_several_sessions_each_with_an_id_of_its_own() -> None:
    usages = {"call": CALL | {"sessions": 2}, "download": DOWNLOAD | {"sessions": 3, "length": "20s"}}
    crowd = traffic({"rate": "20/s", "duration": "20s"}, usages=usages, subscribers={"count": 4})
    world = World(crowd).run()
    lives = ids(world)
    assert len(lives) == 4
    assert {pdu for of in lives.values() for pdu in of} == {1, 2, 3, 4, 5}
    for of in lives.values():
        for spans in of.values():
            spans.sort()
            assert all(here[1] <= after[0] for here, after in pairwise(spans))
    assert world.totals.run.gauges["sessions_open"].value <= 20
    assert world.count("arrivals|dropped|busy") > 0
    names = Counter(record["usage"] for record in world.records)
    assert names.keys() == {"call", "download"}


def test_usages_of_one_session_each_have_consecutive_ids() -> None:
    usages = {"call": CALL, "message": ECUR, "ims": IMS_CALL, "download": DOWNLOAD}
    world = World(traffic({"rate": "20/s", "duration": "5s"}, usages=usages, network_functions=FUNCTIONS)).run()
    seen = {
        message.body["pDUSessionChargingInformation"]["pduSessionInformation"]["pduSessionID"]
        for message in world.sent("create")
        if "pDUSessionChargingInformation" in message.body
    }
    assert seen == {1, 2}


def test_places_and_names_do_not_depend_on_the_number_of_workers() -> None:
    changes = [{"change": "handover", "every": {"exponential": {"mean": "5s"}}}, {"change": "qos", "at": "3s"}]
    usages = {
        "call": CALL | {"sessions": 3, "changes": changes},
        "ims": IMS_CALL | {"sessions": 2},
        "message": ECUR | {"units": {"choice": [1, 2, 5]}, "delivery": {"exponential": {"mean": "3s"}}},
    }
    profile = traffic(
        {"rate": "20/s", "duration": "10s"}, usages=usages, network_functions=FUNCTIONS, subscribers={"count": 60}
    )
    own = b":18100/nsmf-callback/n40/0"

    def said(workers: int) -> list[tuple[int, bytes]]:
        world = World(profile, workers=workers).run()
        end = (1_000 + 10) * SECOND
        return sorted(
            (each.at, each.raw.replace(b":1810%d/nsmf-callback/n40/%d" % (each.worker, each.worker), own))
            for each in world.messages
            if each.at < end
        )

    alone = said(1)
    assert len(alone) > 150
    assert said(3) == alone


def test_a_rating_group_that_ends_uses_nothing_afterwards() -> None:
    groups = [
        {"rating_group": 300, "throughput": "1MB/s", "requested": "10MB"},
        {"rating_group": 310, "throughput": "1MB/s", "requested": "10MB", "start": "2s", "length": "3s", "five_qi": 1},
    ]
    usages = {"browsing": {"service": "data", "length": "20s", "rating_groups": groups}}
    world = World(traffic({"rate": "5/s", "sessions": 5, "duration": "30s"}, usages=usages), latency=2).run()
    used = {(record["rg"], record["used"]) for record in world.records}
    assert {rg: amount // 100_000 for rg, amount in used} == {300: 199, 310: 29}
    qis = {
        (usage["ratingGroup"], container["pDUContainerInformation"]["qoSInformation"]["5qi"])
        for message in world.messages
        for usage in message.body.get("multipleUnitUsage", ())
        for container in usage.get("usedUnitContainer", ())
        if "pDUContainerInformation" in container
    }
    assert qis == {(300, 9), (310, 1)}


# -- releases and dialects ----------------------------------------------------------------------------------------------


def test_an_older_release_has_its_own_version_and_marks_no_repeats() -> None:
    lost = traffic({"rate": "5/s", "duration": "5s"}, release="rel15")
    assert collection(lost) == b"/nchf-convergedcharging/v2/chargingdata"
    fleet = World(lost).fleets[0]
    assert not fleet._dispatch._policy.marks_repeats
    assert collection(traffic({"rate": 1}, release="rel16")) == b"/nchf-convergedcharging/v3/chargingdata"


def play(profile: Profile, usage: int, location: bytes, grant: dict[str, int]) -> list[tuple[str, dict[str, Any]]]:
    """One session of a usage, in virtual time, against a CHF that always grants the same; path and body of each request."""
    usages = build_usages(profile, build_network_functions(profile, 0), Timestamps(1_795_000_000 * SECOND), b"/root")
    session, _ = usages[usage].start(7, 1001, b"k" * 12, 0, 1000, 0, residual=False)
    session.start(0)
    sent = []
    while session.end is None:
        request = session.next_request()
        if request is None:
            session.on_time(session.next_deadline())
            continue
        sent.append((request.path.decode(), orjson.loads(request.body)))
        body = {
            "invocationTimeStamp": "2026-11-22T10:00:00Z",
            "invocationSequenceNumber": 0,
            "multipleUnitInformation": [
                {"ratingGroup": each["ratingGroup"], "resultCode": "SUCCESS", "grantedUnit": grant}
                for each in sent[-1][1]["multipleUnitUsage"]
            ],
        }
        status = {"create": 201, "event": 201, "update": 200, "release": 204}[request.operation]
        answer = read_answer(request.operation, status, location if status == 201 else None, orjson.dumps(body))
        session.on_answer(request.id, answer, request.due)
    return sent


def totogi(sequence: int, stamp: str, usage: dict[str, Any]) -> dict[str, Any]:
    """A message of the public demo clients: nothing but these members."""
    return {
        "subscriberIdentifier": "fffe30f9-3d86-5e8c-8731-8dd51f652e21",
        "tenantIdentifier": "a-provider",
        "nfConsumerIdentification": {"nodeFunctionality": "SMF"},
        "invocationTimeStamp": stamp,
        "invocationSequenceNumber": sequence,
        "multipleUnitUsage": [usage],
        "locationReportingChargingInformation": {
            "pSCellInformation": {
                "nrcgi": {"plmnId": {"mcc": "001", "mnc": "01"}, "nrCellId": "000000008", "nid": "00000000001"}
            }
        },
    }


def test_a_session_in_totogis_dialect_is_init_update_and_terminate() -> None:
    sent = play(load_profile("how-to", TOTOGI), 0, b"a1b2", {"time": 60})
    root = "/root/nchf-convergedcharging/v3/chargingData"

    def voice(requested: int, used: int) -> dict[str, Any]:
        containers = [{"localSequenceNumber": 1, "time": used}]
        return {"requestedUnit": {"time": requested}, "usedUnitContainer": containers, "ratingGroup": 100}

    assert sent == [
        (root, totogi(1, "2026-11-18T11:06:40.000Z", voice(60, 0))),
        (f"{root}/a1b2/update", totogi(2, "2026-11-18T11:07:40.000Z", voice(60, 60))),
        (f"{root}/a1b2/release", totogi(3, "2026-11-18T11:08:10.000Z", voice(0, 30))),
    ]


@pytest.mark.parametrize(
    ("usage", "unit", "rating_group", "asked"),
    [(1, "totalVolume", 300, 10_000_000), (2, "serviceSpecificUnits", 200, 1)],
)
def test_other_services_in_totogis_dialect_differ_in_their_units_only(
    usage: int, unit: str, rating_group: int, asked: int
) -> None:
    profile = load_profile("how-to", TOTOGI)
    body = play(profile, usage, b"a1b2", {unit: asked})[0][1]
    event = {name: body.pop(name) for name in ("oneTimeEvent", "oneTimeEventType") if name in body}
    assert bool(event) is (usage == 2)
    containers = [{"localSequenceNumber": 1, unit: 0}]
    expected = {"requestedUnit": {unit: asked}, "usedUnitContainer": containers, "ratingGroup": rating_group}
    assert body == totogi(1, "2026-11-18T11:06:40.000Z", expected)


def test_the_books_of_totogis_dialect_name_the_device_and_no_charging_id() -> None:
    profile = load_profile("how-to", TOTOGI)
    usages = build_usages(profile, build_network_functions(profile, 0), Timestamps(0), b"")
    messages = usages[0]._contexts[0][0].messages
    assert messages.subscriber_identifier(7) == "fffe30f9-3d86-5e8c-8731-8dd51f652e21"
    assert messages.charging_name(1001) == ""
    assert not message_form(profile).marks_repeats


def test_a_third_dialect_is_a_page_of_yaml(tmp_path: Path) -> None:
    """The one that the README shows."""
    (tmp_path / "lab.yaml").write_text(
        """\
path: "/charging/{version}/sessions"
location: path
first_sequence: 1
subscriber: "msisdn-{msisdn}"
leave_out: [supportedFeatures, pDUSessionChargingInformation.userInformation]
add:
  serviceSpecificationInfo: "lab-{tenant}"
  pDUSessionChargingInformation: {homeProvidedChargingId: 1}
"""
    )
    profile = load_profile("how-to", [f"dialect={tmp_path}/lab.yaml", "tenant=north"])
    sent = play(profile, 1, b"http://chf/charging/v3/sessions/17", {"totalVolume": 10_000_000})
    path, create = sent[0]
    assert path == "/root/charging/v3/sessions"
    assert create["subscriberIdentifier"] == "msisdn-15550000008"
    assert (create["invocationSequenceNumber"], create["serviceSpecificationInfo"]) == (1, "lab-north")
    assert "supportedFeatures" not in create
    pdu = create["pDUSessionChargingInformation"]
    assert "userInformation" not in pdu
    assert (pdu["homeProvidedChargingId"], pdu["chargingId"]) == (1, 1001)


def test_headers_of_a_profile_are_those_that_are_sent() -> None:
    profile = traffic({"rate": 1}, headers={"message_priority": 3, "max_rsp_time": True, "extra": {"x-lab": "a"}})
    assert sbi_headers(profile).render("imsi-1", 0, 2 * SECOND) == [
        (b"3gpp-sbi-message-priority", b"3"),
        (b"x-lab", b"a"),
        (b"3gpp-sbi-max-rsp-time", b"2000"),
    ]
