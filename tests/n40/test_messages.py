"""What messages say: by service, by release, by charging conditions, and as a dialect wants them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest

from simulator.n40 import EventMessages, SessionMessages, triggers
from simulator.n40.conditions import USUAL, Conditions
from simulator.n40.form import BOOK, RELEASES, MessageForm
from simulator.n40.messages import MAX_VARIANTS, marked_as_repeat
from simulator.n40.services import Service
from tests.n40.strict_schema import strict_validator
from tests.n40.trace import call, identify, messages, pdu_session, short_message, wording

STAMP, STARTED = b"2026-11-22T10:05:00.000Z", b"2026-11-22T10:00:00.000Z"
SERVICES: dict[str, Service] = {
    "5G": pdu_session(),
    "4G": pdu_session("PGW_C_SMF", "EUTRA", "C085"),
    "call": call(),
    "ECUR": short_message(),
}
CONDITIONS = [
    USUAL,
    Conditions(rat="EUTRA"),
    Conditions(rat="NR"),
    Conditions(serving_node=3, qos=1, time_zone=2, plmn=1, ambr=2),
    Conditions(rat="EUTRA", serving_node=1, qos=3, time_zone=3, plmn=2, ambr=1),
]


@pytest.fixture(scope="module")
def strict(reference: Path) -> jsonschema_rs.Validator:
    return strict_validator(reference, "ChargingDataRequest")


def lives(said: SessionMessages, rating_group: int = 300, five_qi: int = 0) -> dict[str, dict[str, Any]]:
    """Create, Update and Release of one session that reports and asks."""
    who = said.identify(7, 1)
    amount = said.volume(10, 5000, 500) if rating_group == 300 else b'"time":10'
    information = said.container_information(who, STARTED, STAMP, five_qi)
    container = said.container(b"ONLINE_CHARGING", triggers.QUOTA_THRESHOLD, STAMP, amount, 1, information)
    asks = b'"requestedUnit":{"totalVolume":1000}' if rating_group == 300 else b'"requestedUnit":{"time":60}'
    report, last = said.usage(rating_group, asks, container), said.usage(rating_group, b"", container)
    bodies = {
        "create": said.create(who, 1001, STARTED, 0, said.usage(rating_group, asks, b""), STARTED),
        "update": said.update(who, 1001, STAMP, 1, b"", report, STARTED),
        "release": said.release(who, 1001, STAMP, 2, triggers.FINAL, last, STARTED),
    }
    return {name: orjson.loads(body) for name, body in bodies.items()}


def session(service: str, form: MessageForm = BOOK) -> dict[str, dict[str, Any]]:
    return lives(SessionMessages(wording(SERVICES[service], form)), 100 if service == "call" else 300)


# -- by the book --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("conditions", CONDITIONS, ids=str)
@pytest.mark.parametrize("service", SERVICES)
def test_every_message_of_every_service_passes_the_strict_check_in_all_conditions(
    service: str, conditions: Conditions, strict: jsonschema_rs.Validator
) -> None:
    said = SessionMessages(wording(SERVICES[service], MessageForm(tenant="a tenant"))).under(conditions)
    for body in lives(said).values():
        strict.validate(body)
        strict.validate(orjson.loads(marked_as_repeat(orjson.dumps(body))))


@pytest.mark.parametrize(
    ("operation", "has"), [("create", {"notifyUri"}), ("update", {"notifyUri"}), ("release", set())]
)
@pytest.mark.parametrize("service", SERVICES)
def test_each_operation_has_the_members_that_belong_to_it(service: str, operation: str, has: set[str]) -> None:
    body = session(service)[operation]
    assert {"notifyUri"} & body.keys() == has
    assert ("triggers" in body) is (operation == "release")
    (usage,) = body["multipleUnitUsage"]
    assert ("usedUnitContainer" in usage) is (operation != "create")
    assert ("requestedUnit" in usage) is (operation != "release")


@pytest.mark.parametrize("service", SERVICES)
def test_without_units_the_member_is_left_out(service: str) -> None:
    said = SessionMessages(wording(SERVICES[service]))
    who = said.identify(7)
    bodies = [
        said.create(who, 1001, STARTED, 0, b"", STARTED),
        said.update(who, 1001, STAMP, 1, triggers.FINAL, b"", STARTED),
        said.release(who, 1001, STAMP, 2, b"", b"", STARTED),
    ]
    create, update, release = map(orjson.loads, bodies)
    assert not any("multipleUnitUsage" in each for each in (create, update, release))
    assert ["triggers" in each for each in (create, update, release)] == [False, True, False]


def test_a_pdu_session_began_when_it_began_and_stops_with_its_release() -> None:
    times = {
        name: {key: value for key, value in body["pDUSessionChargingInformation"]["pduSessionInformation"].items()
               if key.endswith("Time")}
        for name, body in session("5G").items()
    }  # fmt: skip
    began, ended = STARTED.decode(), STAMP.decode()
    assert times == {
        "create": {"startTime": began},
        "update": {},
        "release": {"startTime": began, "stopTime": ended},
    }


def test_a_call_has_its_parties_and_ends_with_a_bye() -> None:
    bodies = session("call")
    information = [body["iMSChargingInformation"] for body in bodies.values()]
    assert [each["eventType"]["sIPMethod"] for each in information] == ["INVITE", "INVITE", "BYE"]
    assert {each["userSessionID"] for each in information} == {"000003e9@ims.mnc001.mcc001.3gppnetwork.org"}
    assert {each["timeStamps"] for each in information} == {STARTED.decode()}
    assert information[0]["callingPartyAddresses"][1] == "tel:+15550100008"
    assert information[0]["calledPartyAddress"] == "tel:+15550100009"
    assert bodies["create"]["supportedFeatures"] == "200"
    assert "pDUSessionChargingInformation" not in bodies["create"]
    (usage,) = bodies["update"]["multipleUnitUsage"]
    assert "pDUContainerInformation" not in usage["usedUnitContainer"][0]


def test_a_bearer_of_its_own_shows_in_its_containers() -> None:
    said = messages()
    qos = [
        orjson.loads(
            b"{" + said.under(conditions).container_information(identify(7), STARTED, STAMP, five_qi)[1:] + b"}"
        )
        for conditions, five_qi in ((USUAL, 0), (USUAL, 1), (Conditions(qos=1), 0), (Conditions(qos=1), 1))
    ]
    assert [each["pDUContainerInformation"]["qoSInformation"]["5qi"] for each in qos] == [9, 1, 8, 1]


def test_the_books_name_sessions_as_the_chf_does() -> None:
    names = {name: SessionMessages(wording(service)).charging_name(1001) for name, service in SERVICES.items()}
    domain = "ims.mnc001.mcc001.3gppnetwork.org"
    assert names == {"5G": "1001", "4G": "1001", "call": f"000003e9@{domain}", "ECUR": "1001"}
    bare = MessageForm(leave_out=("pDUSessionChargingInformation",))
    assert messages(form=bare).charging_name(1001) == ""
    assert messages().subscriber_identifier(7) == "imsi-001010000000008"
    assert messages(form=MessageForm(leave_out=("subscriberIdentifier",))).subscriber_identifier(7) == ""


# -- conditions ---------------------------------------------------------------------------------------------------------


def place(body: dict[str, Any]) -> dict[str, Any]:
    return body["pDUSessionChargingInformation"]["userLocationinfo"]


def test_each_radio_has_its_own_location_and_cells() -> None:
    said = messages()
    nr, eutra = (place(lives(said.under(Conditions(rat=rat)))["create"]) for rat in ("NR", "EUTRA"))
    assert len(nr["nrLocation"]["ncgi"]["nrCellId"]) == 9
    assert len(eutra["eutraLocation"]["ecgi"]["eutraCellId"]) == 7
    container = lives(said.under(Conditions(rat="EUTRA")))["update"]["multipleUnitUsage"][0]["usedUnitContainer"][0]
    assert container["pDUContainerInformation"]["rATType"] == "EUTRA"
    assert "eutraLocation" in container["pDUContainerInformation"]["userLocationInformation"]


def test_a_move_is_to_another_cell() -> None:
    said = messages()
    cells = [
        place(orjson.loads(said.create(said.identify(7, step), 1, STAMP, 0, b"", STAMP)))["nrLocation"]["ncgi"][
            "nrCellId"
        ]
        for step in range(4)
    ]
    assert len(set(cells)) == 4


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"serving_node": 1}, {("pduSessionInformation", "servingNetworkFunctionID")}),
        ({"qos": 1}, {("pduSessionInformation", "authorizedQoSInformation")}),
        ({"ambr": 1}, {("pduSessionInformation", "authorizedSessionAMBR")}),
        ({"time_zone": 1}, {("uetimeZone",)}),
        ({"plmn": 1}, {("userLocationinfo",), ("pduSessionInformation", "servingNetworkFunctionID"),
                       ("pduSessionInformation", "servingCNPlmnId")}),
        ({"rat": "EUTRA"}, {("userLocationinfo",), ("pduSessionInformation", "servingNetworkFunctionID"),
                            ("pduSessionInformation", "ratType")}),
    ],
)  # fmt: skip
def test_a_change_of_conditions_changes_what_it_should_and_nothing_else(
    changed: dict[str, Any], path: set[tuple[str, ...]]
) -> None:
    said = messages()
    before, after = (
        lives(said.under(each))["create"]["pDUSessionChargingInformation"] for each in (USUAL, Conditions(**changed))
    )
    found = set()
    for name, value in before.items():
        if name == "pduSessionInformation":
            found |= {(name, key) for key in value if value[key] != after[name][key]}
        elif value != after[name]:
            found.add((name,))
    assert found == path


def test_messages_of_other_conditions_are_rendered_once_and_not_kept_for_ever() -> None:
    said = messages()
    assert said.under(USUAL) is said
    moved = said.under(Conditions(serving_node=1))
    assert said.under(Conditions(serving_node=1)) is moved
    assert moved.under(USUAL) is said
    for qos, node, ambr, zone in itertools.product(range(4), range(4), range(3), range(4)):
        said.under(Conditions(qos=qos, serving_node=node, ambr=ambr, time_zone=zone))
        assert len(said._variants) <= MAX_VARIANTS
    assert said.under(USUAL) is said


# -- releases -----------------------------------------------------------------------------------------------------------


def in_release(name: str) -> MessageForm:
    release = RELEASES[name]
    return MessageForm(tenant="a tenant", absent=release.absent, substitutes=release.substitutes)


def differences(before: Any, after: Any, path: str = "") -> set[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        return {
            found for key in before.keys() | after.keys()
            for found in differences(before.get(key), after.get(key), f"{path}.{key}".removeprefix("."))
        }  # fmt: skip
    return set() if before == after else {path}


@pytest.mark.parametrize(
    ("release", "service", "missing"),
    [
        ("rel15", "5G", {"supportedFeatures", "tenantIdentifier"}),
        ("rel15", "4G", {"supportedFeatures", "tenantIdentifier", "nfConsumerIdentification.nodeFunctionality"}),
        ("rel15", "ECUR", {"tenantIdentifier"}),
        ("rel16", "5G", set()),
        ("rel16", "4G", set()),
        ("rel16", "ECUR", set()),
    ],
)
def test_an_older_release_differs_in_exactly_these_members(release: str, service: str, missing: set[str]) -> None:
    newest, older = session(service, in_release("rel17")), session(service, in_release(release))
    assert differences(newest["create"], older["create"]) == missing
    for operation in ("update", "release"):
        assert differences(newest[operation], older[operation]) == missing - {"supportedFeatures"}
    if missing:
        assert not {"supportedFeatures", "tenantIdentifier"} & older["create"].keys()
        assert older["create"]["nfConsumerIdentification"]["nodeFunctionality"] in ("SMF", "SMSF")


def test_only_releases_that_know_repeats_mark_them() -> None:
    assert [in_release(name).marks_repeats for name in RELEASES] == [False, True, True]


def test_a_release_has_the_last_word_on_what_a_dialect_adds() -> None:
    form = MessageForm(absent=RELEASES["rel15"].absent, add={"tenantIdentifier": "x"})
    assert "tenantIdentifier" not in session("5G", form)["create"]


# -- forms --------------------------------------------------------------------------------------------------------------


def test_a_form_leaves_out_and_adds_members_with_what_it_knows_of_the_subscriber() -> None:
    form = MessageForm(
        subscriber="{device}",
        node_functionality="CEF",
        tenant="t 100%",
        leave_out=("pDUSessionChargingInformation.pduSessionInformation.pduAddress", "nfConsumerIdentification.nFFqdn"),
        add={
            "odd": ["{tac}/{cell} of {mcc}{mnc}", {"100%": "{imsi} {msisdn} {imeisv} {{}} {tenant}"}],
            "nfConsumerIdentification": {"vendor": 7},
        },
    )
    body = session("5G", form)["update"]
    assert body["subscriberIdentifier"] == "00000000-0000-4000-8000-000000000007"
    assert body["tenantIdentifier"] == "t 100%"
    assert body["odd"] == [
        "000001/000000018 of 00101",
        {"100%": "001010000000008 15550100008 3500000000000017 {} t 100%"},
    ]
    consumer = body["nfConsumerIdentification"]
    assert (consumer["nodeFunctionality"], consumer["vendor"]) == ("CEF", 7)
    assert "nFFqdn" not in consumer
    assert consumer["nFIPv4Address"] == "127.0.0.1"
    assert "pduAddress" not in body["pDUSessionChargingInformation"]["pduSessionInformation"]


def test_an_event_has_the_form_too() -> None:
    form = MessageForm(subscriber="msisdn-{msisdn}", full_containers=False, leave_out=("sMSChargingInformation",))
    said = EventMessages(wording(short_message("PEC"), form))
    container = said.container(b"OFFLINE_CHARGING", triggers.FINAL, STAMP, said.sent(2, STAMP), 1, b"")
    body = orjson.loads(said.event(7, 4711, 8, STAMP, 0, said.usage(200, b"", container), 2))
    assert body["subscriberIdentifier"] == "msisdn-15550100008"
    assert body["multipleUnitUsage"] == [
        {"ratingGroup": 200, "usedUnitContainer": [{"localSequenceNumber": 1, "serviceSpecificUnits": 2}]}
    ]
    assert "sMSChargingInformation" not in body
