"""Messages that are wrong, or only look it: each mandatory member missing, wrong types, unknown members, strange JSON."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from simulator.check.catalogue import add_case, case
from simulator.check.messages import Json, ask, container, used
from simulator.check.smf import Heard, Smf
from simulator.n40.conformance import Rule
from simulator.n40.request import Operation

PROTOCOL = "TS 29.500 5.2.7.2"
MANDATORY = "TS 29.500 5.2.7.2 (MANDATORY_IE_MISSING); TS 32.291 6.1.6.2"
INCORRECT = "TS 29.500 5.2.7.2 (MANDATORY_IE_INCORRECT, OPTIONAL_IE_INCORRECT); TS 32.291 6.1.6.2"
OPEN = "TS 29.501 5.2.3 (unknown members); TS 32.291 A.2 (open enumerations)"

Spoil = Callable[[Json], object]


# Octets that are no message.

_MALFORMED = {
    "no_json": ("Text that is not JSON", b"this is no JSON"),
    "empty": ("An empty body", b""),
    "array": ("A JSON array", b"[]"),
    "null": ("JSON null", b"null"),
    "utf8": ("Octets that are not UTF-8", b'{"subscriberIdentifier":"\xff\xfe"}'),
}


def _add_malformed(name: str, title: str, body: bytes) -> None:
    async def play(smf: Smf) -> None:
        (await smf.create(body)).must_be(400)

    add_case(f"malformed.{name}", f"{title}: 400", f"{PROTOCOL} (INVALID_MSG_FORMAT)", play)


for _name, (_title, _body) in _MALFORMED.items():
    _add_malformed(_name, _title, _body)


@case("malformed.cut", "A message that breaks off: 400", f"{PROTOCOL} (INVALID_MSG_FORMAT)")
async def _cut(smf: Smf) -> None:
    (await smf.create(orjson.dumps(smf.messages.create(ask(smf.groups.data)))[:-20])).must_be(400)


@case("malformed.update", "An Update that is not JSON is answered 400, and the session goes on", PROTOCOL)
async def _malformed_update(smf: Smf) -> None:
    session = await smf.data_session()
    (await smf.send(f"{session.path}/update", b"{")).must_be(400)
    (await session.update(used(smf.groups.data, totalVolume=1000, then={}))).must_be(200)


# Mandatory members.

_MISSING: dict[str, tuple[str, Spoil]] = {
    "consumer": ("nfConsumerIdentification", lambda message: message.pop("nfConsumerIdentification")),
    "functionality": (
        "nodeFunctionality",
        lambda message: message["nfConsumerIdentification"].pop("nodeFunctionality"),
    ),
    "timestamp": ("invocationTimeStamp", lambda message: message.pop("invocationTimeStamp")),
    "sequence": ("invocationSequenceNumber", lambda message: message.pop("invocationSequenceNumber")),
    "rating_group": ("ratingGroup", lambda message: message["multipleUnitUsage"][0].pop("ratingGroup")),
    "pdu_session_id": ("pduSessionID", lambda message: _pdu_session(message).pop("pduSessionID")),
    "dnn": ("dnnId", lambda message: _pdu_session(message).pop("dnnId")),
}
_MISSING_IN_USAGE: dict[str, tuple[str, Spoil]] = {
    "container": ("localSequenceNumber", lambda message: _container(message).pop("localSequenceNumber")),
    "category": ("triggerCategory", lambda message: _container(message)["triggers"][0].pop("triggerCategory")),
}


def _pdu_session(message: Json) -> Json:
    session: Json = message["pDUSessionChargingInformation"]["pduSessionInformation"]
    return session


def _container(message: Json) -> Json:
    used_units: Json = message["multipleUnitUsage"][0]["usedUnitContainer"][0]
    return used_units


def _add_missing(name: str, member: str, spoil: Spoil) -> None:
    async def play(smf: Smf) -> None:
        message = smf.messages.create(ask(smf.groups.data))
        spoil(message)
        (await smf.create(message)).must_be(400)

    add_case(f"missing.create.{name}", f"A Create without {member}: 400", MANDATORY, play)


def _add_missing_in_update(name: str, member: str, spoil: Spoil) -> None:
    async def play(smf: Smf) -> None:
        session = await smf.data_session()
        message = session.report(used(smf.groups.data, totalVolume=1000, then={}))
        spoil(message)
        (await smf.send(f"{session.path}/update", message)).must_be(400)

    add_case(f"missing.update.{name}", f"An Update without {member}: 400", MANDATORY, play)


for _name, (_member, _spoil) in _MISSING.items():
    _add_missing(_name, _member, _spoil)
for _name in ("sequence", "timestamp"):
    _add_missing_in_update(_name, *_MISSING[_name])
for _name, (_member, _spoil) in _MISSING_IN_USAGE.items():
    _add_missing_in_update(_name, _member, _spoil)


@case("missing.release.sequence", "A Release without invocationSequenceNumber: 400", MANDATORY)
async def _missing_release(smf: Smf) -> None:
    session = await smf.data_session()
    message = session.report(used(smf.groups.data, totalVolume=1000, trigger="FINAL"))
    del message["invocationSequenceNumber"]
    (await smf.send(f"{session.path}/release", message)).must_be(400)


# Members of a wrong type.

_WRONG: dict[str, tuple[str, Spoil]] = {
    "sequence_text": (
        "invocationSequenceNumber as a string",
        lambda message: message.update(invocationSequenceNumber="zero"),
    ),
    "sequence_negative": (
        "a negative invocationSequenceNumber",
        lambda message: message.update(invocationSequenceNumber=-1),
    ),
    "timestamp": (
        "an invocationTimeStamp that is none",
        lambda message: message.update(invocationTimeStamp="yesterday"),
    ),
    "rating_group": (
        "a ratingGroup that is no number",
        lambda message: message["multipleUnitUsage"][0].update(ratingGroup="data"),
    ),
    "usage_object": (
        "multipleUnitUsage as an object",
        lambda message: message.update(multipleUnitUsage={"ratingGroup": 1}),
    ),
    "units_negative": (
        "a negative amount of units",
        lambda message: message["multipleUnitUsage"][0].update(requestedUnit={"totalVolume": -1}),
    ),
    "units_text": (
        "an amount of units in words",
        lambda message: message["multipleUnitUsage"][0].update(requestedUnit={"totalVolume": "many"}),
    ),
    "consumer": (
        "nfConsumerIdentification as a string",
        lambda message: message.update(nfConsumerIdentification="SMF"),
    ),
    "pdu_session_id": (
        "a pduSessionID above 255",
        lambda message: _pdu_session(message).update(pduSessionID=1000),
    ),
}  # fmt: skip


def _add_wrong(name: str, title: str, spoil: Spoil) -> None:
    async def play(smf: Smf) -> None:
        message = smf.messages.create(ask(smf.groups.data))
        spoil(message)
        (await smf.create(message)).must_be(400)

    add_case(f"wrong.{name}", f"A Create with {title}: 400", INCORRECT, play)


for _name, (_title, _spoil) in _WRONG.items():
    _add_wrong(_name, _title, _spoil)


# The form of a refusal.


async def _refusal(smf: Smf) -> Heard:
    message = smf.messages.create(ask(smf.groups.data))
    del message["invocationTimeStamp"]
    answer = await smf.create(message)
    answer.must_be(400)
    return answer


_OF_PROBLEMS = {
    "body": ([Rule.PROBLEM_BODY, Rule.CONTENT_TYPE], "is ProblemDetails, and says so in its content type"),
    "status": ([Rule.PROBLEM_BODY, Rule.PROBLEM_STATUS], "has the status of the answer, if it has one"),
    "cause": ([Rule.PROBLEM_BODY, Rule.PROBLEM_CAUSE], "has a cause"),
}


def _add_problem(name: str, rules: list[Rule], title: str) -> None:
    async def play(smf: Smf) -> None:
        (await _refusal(smf)).must_keep(rules, Operation.CREATE, 0)

    add_case(f"problem.{name}", f"The body of a refusal {title}", f"{PROTOCOL}; RFC 9457 3", play)


for _name, (_rules, _title) in _OF_PROBLEMS.items():
    _add_problem(_name, _rules, _title)


@case("problem.invalid_params", "invalidParams name the member, where they are there", "TS 29.571 5.2.4 (InvalidParam)")
async def _invalid_params(smf: Smf) -> None:
    answer = await _refusal(smf)
    told = answer.json.get("invalidParams", [{"param": ""}])
    named = isinstance(told, list) and bool(told) and all(_is_param(each) for each in told)
    answer.must(named, "invalidParams as an array of objects with param", str(told)[:200])


def _is_param(each: object) -> bool:
    return isinstance(each, dict) and isinstance(each.get("param"), str) and isinstance(each.get("reason", ""), str)


# What looks strange and is none of the CHF's business.


@case("tolerant.unknown_members", "Members that no release knows are ignored", OPEN)
async def _unknown_members(smf: Smf) -> None:
    message = smf.messages.create(ask(smf.groups.data) | {"futureMember": 1}, futureInformation={"a": [1, None]})
    (await smf.create(message)).must_be(201)


@case("tolerant.enumeration", "A nodeFunctionality that no release knows breaks nothing", OPEN)
async def _enumeration(smf: Smf) -> None:
    message = smf.messages.create(ask(smf.groups.data))
    message["nfConsumerIdentification"]["nodeFunctionality"] = "FUTURE_NF"
    (await smf.create(message)).must_succeed_or_be_refused()


@case("tolerant.trigger_type", "A triggerType that no release knows breaks nothing", OPEN)
async def _trigger_type(smf: Smf) -> None:
    session = await smf.data_session()
    answer = await session.update(used(smf.groups.data, totalVolume=1000, trigger="FUTURE_TRIGGER", then={}))
    answer.must_succeed_or_be_refused()


@case("tolerant.event_type", "A oneTimeEventType that no release knows breaks nothing", OPEN)
async def _event_type(smf: Smf) -> None:
    message = smf.messages.event("FUTURE", ask(smf.groups.sms, serviceSpecificUnits=1))
    (await smf.create(message)).must_succeed_or_be_refused()


@case("tolerant.non_ascii", "Characters outside ASCII are taken", "RFC 8259 8.1")
async def _non_ascii(smf: Smf) -> None:
    session = smf.messages.minimal_session() | {"note": "Überraschung 漢字 🙂"}
    (await smf.create(smf.messages.create(ask(smf.groups.data), pDUSessionChargingInformation=session))).must_be(201)


@case("tolerant.escapes", "A message with white space and escaped characters is the same message", "RFC 8259 2, 7")
async def _escapes(smf: Smf) -> None:
    text = orjson.dumps(smf.messages.create(ask(smf.groups.data)), option=orjson.OPT_INDENT_2)
    (await smf.create(text.replace(b'"internet"', rb'"\u0069nternet"'))).must_be(201)


@case("tolerant.deep", "200 levels of nesting in an unknown member break nothing", "RFC 8259 9")
async def _deep(smf: Smf) -> None:
    body = orjson.dumps(smf.messages.create(ask(smf.groups.data)))
    (await smf.create(body[:-1] + b',"deep":' + b"[" * 200 + b"]" * 200 + b"}")).must_succeed_or_be_refused()


@case("tolerant.duplicate_member", "A member that is there twice breaks nothing", "RFC 8259 4")
async def _duplicate(smf: Smf) -> None:
    body = orjson.dumps(smf.messages.create(ask(smf.groups.data)))
    (await smf.create(b'{"invocationSequenceNumber":0,' + body[1:])).must_succeed_or_be_refused()


@case("tolerant.huge_number", "A number that no type holds breaks nothing", "RFC 8259 6")
async def _huge(smf: Smf) -> None:
    body = orjson.dumps(smf.messages.create(ask(smf.groups.data)))
    (await smf.create(body[:-1] + b',"huge":123456789012345678901234567890}')).must_succeed_or_be_refused()


@case("tolerant.uint64", "Amounts up to 2⁶⁴-1 are read as what they are", "TS 29.571 5.2.2 (Uint64)")
async def _uint64(smf: Smf) -> None:
    session = await smf.data_session()
    counted = container(1, totalVolume=1000) | {"serviceId": 2**32 - 1, "quotaManagementIndicator": "OFFLINE_CHARGING"}
    usage = {"ratingGroup": smf.groups.data2, "requestedUnit": {"totalVolume": 2**63}, "usedUnitContainer": [counted]}
    (await session.update(usage)).must_be(200)
