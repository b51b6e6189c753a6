"""Reads a ChargingDataRequest with care: everything that is wrong is found and named, as TS 29.500 5.2.7 wants it.

Only what the charging function uses is checked, and the required fields of TS 32.291: unknown members are ignored
(TS 29.501 5.2.3), enumerations stay open as its schema has them, except where the meaning decides what is charged.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from simulator.sandbox.answers import Problem
from simulator.sandbox.messages import (
    CONSUMER_NAMES,
    MAX_RATING_GROUPS,
    MAX_TEXT,
    MAX_URI,
    UINT32,
    UNIT_LIMITS,
    Consumer,
    Container,
    Create,
    ImsService,
    NamedConsumer,
    PduSessionService,
    Report,
    SmsService,
    Trigger,
    Units,
    Usage,
    second_requests,
)

# Some charging trigger functions leave the zone out; it is not needed here.
is_timestamp = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)?", re.ASCII).fullmatch

_MISSING = "MANDATORY_IE_MISSING"
_INCORRECT = "MANDATORY_IE_INCORRECT"
_OPTIONAL = "OPTIONAL_IE_INCORRECT"
_SEVERITY = (_MISSING, _INCORRECT, _OPTIONAL)
_SHORT_TEXT = f"a string of at most {MAX_TEXT} characters"

_SERVICES = (
    ("pDUSessionChargingInformation", "chargingId"),
    ("iMSChargingInformation", "userSessionID"),
    ("sMSChargingInformation", "messageReference"),
)

Json = dict[str, Any]
Fault = tuple[str, str, str]
"""Cause, JSON pointer, reason."""


def read_create(body: bytes) -> Create:
    """A Create or one-time event. Problem 400 if it cannot be used."""
    document = _parse(body)
    faults: list[Fault] = []
    _check_report(document, faults)
    _check_consumer_names(document, faults)
    if "subscriberIdentifier" not in document:
        faults.append((_MISSING, "/subscriberIdentifier", "missing: there is nobody to charge"))
    _check_one_time_event(document, faults)
    _check_services(document, faults)
    if faults:
        raise _bad_request(faults)
    return _create(document)


def read_report(body: bytes) -> Report:
    """An Update or Release. Problem 400 if it cannot be used."""
    document = _parse(body)
    faults: list[Fault] = []
    _check_report(document, faults)
    if faults:
        raise _bad_request(faults)
    return _report(document)


def _parse(body: bytes) -> Json:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(400, "INVALID_MSG_FORMAT", f"the body is not JSON: {error}") from None
    if type(document) is not dict:
        raise Problem(400, "INVALID_MSG_FORMAT", "the body is not a JSON object")
    return document


def _bad_request(faults: list[Fault]) -> Problem:
    cause = min((fault[0] for fault in faults), key=_SEVERITY.index)
    _, pointer, reason = next(fault for fault in faults if fault[0] == cause)
    return Problem(400, cause, f"{pointer}: {reason}", invalid=[(pointer, reason) for _, pointer, reason in faults])


def _require(faults: list[Fault], parent: Json, name: str, pointer: str, expected: str) -> None:
    """Adds the fault of a mandatory member that is not as it must be."""
    if parent.get(name) is None:
        faults.append((_MISSING, f"{pointer}/{name}", "missing"))
    else:
        faults.append((_INCORRECT, f"{pointer}/{name}", f"must be {expected}"))


def _check_report(document: Json, faults: list[Fault]) -> None:
    """What every request has."""
    _check_consumer(document, faults)
    _check_stamp(document, faults)
    _check_sequence(document, faults)
    _check_subscriber(document, faults)
    _check_notify_uri(document, faults)
    _check_usages(document, faults)


def _check_consumer(document: Json, faults: list[Fault]) -> None:
    consumer = document.get("nfConsumerIdentification")
    if type(consumer) is not dict:
        _require(faults, document, "nfConsumerIdentification", "", "an object")
    elif type(consumer.get("nodeFunctionality")) is not str:
        _require(faults, consumer, "nodeFunctionality", "/nfConsumerIdentification", "a string such as SMF")


def _check_consumer_names(document: Json, faults: list[Fault]) -> None:
    consumer = document.get("nfConsumerIdentification")
    if type(consumer) is dict:
        wrong = [name for name in CONSUMER_NAMES if not _is_short_text(consumer.get(name, ""))]
        faults += [(_OPTIONAL, f"/nfConsumerIdentification/{name}", f"must be {_SHORT_TEXT}") for name in wrong]


def _is_short_text(value: object) -> bool:
    return type(value) is str and len(value) <= MAX_TEXT


def _check_stamp(document: Json, faults: list[Fault]) -> None:
    stamp = document.get("invocationTimeStamp")
    if type(stamp) is not str or not is_timestamp(stamp):
        _require(faults, document, "invocationTimeStamp", "", "a date and time such as 2026-11-22T10:00:00Z")


def _check_sequence(document: Json, faults: list[Fault]) -> None:
    sequence = document.get("invocationSequenceNumber")
    if type(sequence) is not int or not 0 <= sequence <= UINT32:
        _require(faults, document, "invocationSequenceNumber", "", "an integer from 0 to 4294967295")


def _check_subscriber(document: Json, faults: list[Fault]) -> None:
    if "subscriberIdentifier" in document:
        subscriber = document["subscriberIdentifier"]
        if not subscriber or not _is_short_text(subscriber):
            faults.append((_OPTIONAL, "/subscriberIdentifier", f"must be {_SHORT_TEXT}, not empty"))


def _check_notify_uri(document: Json, faults: list[Fault]) -> None:
    uri = document.get("notifyUri")
    if uri is not None and not (type(uri) is str and len(uri) <= MAX_URI):
        faults.append((_OPTIONAL, "/notifyUri", f"must be a string of at most {MAX_URI} characters"))


def _check_one_time_event(document: Json, faults: list[Fault]) -> None:
    if not document.get("oneTimeEvent"):
        return
    if document["oneTimeEvent"] is not True:
        faults.append((_OPTIONAL, "/oneTimeEvent", "must be true or false"))
    if document.get("oneTimeEventType", "") not in ("", "IEC", "PEC"):
        faults.append((_OPTIONAL, "/oneTimeEventType", "must be IEC or PEC"))


def _check_services(document: Json, faults: list[Fault]) -> None:
    """The required members of what describes the service."""
    for name, identifier in _SERVICES:
        information = document.get(name)
        if information is None:
            continue
        if type(information) is not dict:
            faults.append((_OPTIONAL, f"/{name}", "must be an object"))
            continue
        value = information.get(identifier)
        if type(value) is str and len(value) > MAX_TEXT:
            faults.append((_OPTIONAL, f"/{name}/{identifier}", f"must be {_SHORT_TEXT}"))
        session = information.get("pduSessionInformation")
        if session is not None:
            _check_pdu_session(session, f"/{name}/pduSessionInformation", faults)


def _check_pdu_session(session: object, pointer: str, faults: list[Fault]) -> None:
    if type(session) is not dict:
        faults.append((_OPTIONAL, pointer, "must be an object"))
        return
    number = session.get("pduSessionID")
    if type(number) is not int or not 0 <= number <= 255:
        _require(faults, session, "pduSessionID", pointer, "an integer from 0 to 255")
    if type(session.get("dnnId")) is not str:
        _require(faults, session, "dnnId", pointer, "a string")


def _check_usages(document: Json, faults: list[Fault]) -> None:
    entries = document.get("multipleUnitUsage")
    if entries is None:
        return
    if type(entries) is not list or len(entries) > MAX_RATING_GROUPS:
        faults.append((_OPTIONAL, "/multipleUnitUsage", f"must be an array of at most {MAX_RATING_GROUPS} objects"))
        return
    for index, entry in enumerate(entries):
        if type(entry) is dict:
            _check_usage(entry, index, faults)
        else:
            faults.append((_OPTIONAL, f"/multipleUnitUsage/{index}", "must be an object"))
    if not faults:
        for index in second_requests([_usage(entry) for entry in entries]):
            reason = f"rating group {entries[index]['ratingGroup']} asks for quota more than once"
            faults.append((_OPTIONAL, f"/multipleUnitUsage/{index}/requestedUnit", reason))


def _check_usage(entry: Json, index: int, faults: list[Fault]) -> None:
    rating_group = entry.get("ratingGroup")
    if type(rating_group) is not int or not 0 <= rating_group <= UINT32:
        _require(faults, entry, "ratingGroup", f"/multipleUnitUsage/{index}", "an integer from 0 to 4294967295")
    requested = entry.get("requestedUnit")
    if requested is not None:
        _check_units(requested, index, None, faults)
    containers = entry.get("usedUnitContainer")
    if containers is None:
        return
    if type(containers) is not list:
        faults.append((_OPTIONAL, f"/multipleUnitUsage/{index}/usedUnitContainer", "must be an array"))
        return
    for position, container in enumerate(containers):
        _check_container(container, index, position, faults)


def _check_units(units: object, index: int, container: int | None, faults: list[Fault]) -> None:
    """Every amount is an unsigned integer of its size."""
    if type(units) is not dict:
        faults.append((_OPTIONAL, _place(index, container), "must be an object"))
        return
    for name, limit in UNIT_LIMITS.items():
        if name in units:
            value = units[name]
            if type(value) is not int or not 0 <= value <= limit:
                reason = f"must be an integer from 0 to {limit}"
                faults.append((_OPTIONAL, f"{_place(index, container)}/{name}", reason))


def _check_container(container: object, index: int, position: int, faults: list[Fault]) -> None:
    _check_units(container, index, position, faults)
    if type(container) is not dict:
        return
    if type(container.get("localSequenceNumber")) is not int:
        _require(faults, container, "localSequenceNumber", _place(index, position), "an integer")
    triggers = container.get("triggers")
    if triggers is None:
        return
    if type(triggers) is not list or any(type(trigger) is not dict for trigger in triggers):
        faults.append((_OPTIONAL, f"{_place(index, position)}/triggers", "must be an array of objects"))
        return
    for number, trigger in enumerate(triggers):
        if type(trigger.get("triggerCategory")) is not str:
            _require(faults, trigger, "triggerCategory", f"{_place(index, position)}/triggers/{number}", "a string")


def _place(index: int, container: int | None) -> str:
    if container is None:
        return f"/multipleUnitUsage/{index}/requestedUnit"
    return f"/multipleUnitUsage/{index}/usedUnitContainer/{container}"


# What was checked becomes structures.


def _report(document: Json) -> Report:
    return Report(
        consumer=Consumer(functionality=document["nfConsumerIdentification"]["nodeFunctionality"]),
        stamp=document["invocationTimeStamp"],
        sequence=document["invocationSequenceNumber"],
        subscriber=document.get("subscriberIdentifier", ""),
        notify_uri=document.get("notifyUri") or "",
        usages=_usages(document),
    )


def _create(document: Json) -> Create:
    consumer = document["nfConsumerIdentification"]
    is_event = bool(document.get("oneTimeEvent"))
    pdu_session, ims, sms = (_identifier(document.get(name) or {}, identifier) for name, identifier in _SERVICES)
    return Create(
        consumer=NamedConsumer(
            functionality=consumer["nodeFunctionality"],
            **{name: consumer[name] for name in CONSUMER_NAMES if name in consumer},
        ),
        stamp=document["invocationTimeStamp"],
        sequence=document["invocationSequenceNumber"],
        subscriber=document["subscriberIdentifier"],
        notify_uri=document.get("notifyUri") or "",
        usages=_usages(document),
        is_event=is_event,
        action=_text(document.get("requestedAction")),
        event_kind=document.get("oneTimeEventType", "") if is_event else "",
        pdu_session=PduSessionService(identifier=pdu_session) if document.get(_SERVICES[0][0]) is not None else None,
        ims=ImsService(identifier=ims),
        sms=SmsService(identifier=sms),
    )


def _identifier(service: Json, name: str) -> int | str | None:
    value = service.get(name)
    return value if type(value) is int or type(value) is str else None


def _usages(document: Json) -> list[Usage]:
    return [_usage(entry) for entry in document.get("multipleUnitUsage") or ()]


def _usage(entry: Json) -> Usage:
    requested = entry.get("requestedUnit")
    return Usage(
        rating_group=entry["ratingGroup"],
        requested=None if requested is None else Units(**_amounts(requested)),
        containers=[_container(container) for container in entry.get("usedUnitContainer") or ()],
    )


def _container(container: Json) -> Container:
    return Container(
        number=container["localSequenceNumber"],
        indicator=_text(container.get("quotaManagementIndicator", "ONLINE_CHARGING")),
        triggers=[
            Trigger(category=trigger["triggerCategory"], kind=_text(trigger.get("triggerType")))
            for trigger in container.get("triggers") or ()
        ],
        **_amounts(container),
    )


def _amounts(units: Json) -> dict[str, int]:
    return {unit: units[unit] for unit in UNIT_LIMITS if unit in units}


def _text(value: object) -> str:
    """What is no string says nothing that is known here."""
    return value if type(value) is str else ""
