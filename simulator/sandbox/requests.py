"""Reads a ChargingDataRequest: the octets of a body become checked fields, or a 400 that says all that is wrong.

Only what the charging function uses is checked, and the required fields of TS 32.291: unknown members are ignored
(TS 29.501 5.2.3), enumerations stay open as its schema has them, except where the meaning decides what is charged.
"""

from __future__ import annotations

import re
import sys
from typing import Any

import orjson

from simulator.sandbox.answers import Problem

MAX_RATING_GROUPS = 256
"""In one message and in one session."""

MAX_TEXT = 256
"""Characters of an identifier that is kept."""

UINT32 = 0xFFFF_FFFF
UINT64 = 0xFFFF_FFFF_FFFF_FFFF

# Some charging trigger functions leave the zone out; it is not needed here.
_is_timestamp = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)?", re.ASCII
).fullmatch
_UNIT_LIMITS = {
    "time": UINT32,
    "totalVolume": UINT64,
    "uplinkVolume": UINT64,
    "downlinkVolume": UINT64,
    "serviceSpecificUnits": UINT64,
}
_UNITS = tuple(_UNIT_LIMITS.items())
_MISSING = "MANDATORY_IE_MISSING"
_INCORRECT = "MANDATORY_IE_INCORRECT"
_OPTIONAL = "OPTIONAL_IE_INCORRECT"
_SEVERITY = (_MISSING, _INCORRECT, _OPTIONAL)
_SERVICES = (
    ("pDUSessionChargingInformation", "chargingId"),
    ("iMSChargingInformation", "userSessionID"),
    ("sMSChargingInformation", "messageReference"),
)
_SHORT_TEXT = f"a string of at most {MAX_TEXT} characters"
_CONSUMER_NAMES = ("nFName", "nFIPv4Address", "nFIPv6Address", "nFFqdn")
_ENDING_TRIGGERS = ("QHT", "FINAL")  # a tuple: what stands in a message need not be hashable

Json = dict[str, Any]
Fault = tuple[str, str, str]
"""Cause, JSON pointer, reason."""


class Usage:
    """One entry of `multipleUnitUsage`: what a rating group used and what it asks for (`requested` None: nothing)."""

    __slots__ = ("containers", "rating_group", "requested")

    def __init__(self, rating_group: int, requested: Json | None, containers: list[Json]) -> None:
        self.rating_group = rating_group
        self.requested = requested
        self.containers = containers

    def used(self, unit: str) -> int:
        """All units of that kind in the containers; a total volume may be told as uplink and downlink only."""
        used = 0
        for container in self.containers:
            used += amount(container, unit)
        return used

    def returns_quota(self) -> bool:
        """Whether a report without a request ends the use of the grant: a trigger QHT or FINAL says so."""
        return any(
            trigger.get("triggerType") in _ENDING_TRIGGERS
            for container in self.containers
            for trigger in container.get("triggers") or ()
        )

    def is_online(self) -> bool:
        """False when the SMF says that it counted without quota."""
        return all(
            container.get("quotaManagementIndicator", "ONLINE_CHARGING") == "ONLINE_CHARGING"
            for container in self.containers
        )


def amount(units: Json, unit: str) -> int:
    """The units of that kind in a `requestedUnit` or a `usedUnitContainer`, 0 if it has none."""
    value: int | None = units.get(unit)
    if value is not None:
        return value
    if unit == "totalVolume":
        volume: int = units.get("uplinkVolume", 0) + units.get("downlinkVolume", 0)
        return volume
    return 0


class ChargingRequest:
    """The fields of a ChargingDataRequest that decide about charging."""

    __slots__ = ("_document", "one_time_event", "sequence", "stamp", "subscriber", "usages")

    def __init__(self, document: Json, faults: list[Fault]) -> None:
        self._document = document
        _check_consumer(document, faults)
        self.stamp = _stamp(document, faults)
        self.sequence = _sequence(document, faults)
        self.subscriber: str = _subscriber(document, faults)
        self.usages = _usages(document, faults)
        self.one_time_event: str | None = None

    def network_function(self) -> str:
        """Who sends: the name of the network function, or else its address."""
        consumer = self._document["nfConsumerIdentification"]
        for name in _CONSUMER_NAMES:
            if name in consumer:
                return sys.intern(consumer[name])
        return ""

    def charging_id(self) -> int | str:
        """What the consumer calls this charging: charging id, IMS user session id or SMS message reference, or ''."""
        for information, name in _SERVICES:
            part = self._document.get(information)
            if type(part) is dict:
                found = part.get(name)
                if type(found) is int or type(found) is str:
                    return found
        return ""


def read_create(body: bytes) -> ChargingRequest:
    """A Create or one-time event. Problem 400 if it cannot be used."""
    document = _parse(body)
    faults: list[Fault] = []
    request = ChargingRequest(document, faults)
    _check_consumer_names(document, faults)
    if "subscriberIdentifier" not in document:
        faults.append((_MISSING, "/subscriberIdentifier", "missing: there is nobody to charge"))
    if document.get("oneTimeEvent"):
        request.one_time_event = _one_time_event(document, faults)
    _check_services(document, faults)
    if faults:
        raise _bad_request(faults)
    return request


def read_report(body: bytes) -> ChargingRequest:
    """An Update or Release. Problem 400 if it cannot be used."""
    faults: list[Fault] = []
    request = ChargingRequest(_parse(body), faults)
    if faults:
        raise _bad_request(faults)
    return request


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


def _check_consumer(document: Json, faults: list[Fault]) -> None:
    consumer = document.get("nfConsumerIdentification")
    if type(consumer) is not dict:
        _require(faults, document, "nfConsumerIdentification", "", "an object")
    elif type(consumer.get("nodeFunctionality")) is not str:
        _require(faults, consumer, "nodeFunctionality", "/nfConsumerIdentification", "a string such as SMF")


def _check_consumer_names(document: Json, faults: list[Fault]) -> None:
    consumer = document.get("nfConsumerIdentification")
    if type(consumer) is dict:
        wrong = [name for name in _CONSUMER_NAMES if not _is_short_text(consumer.get(name, ""))]
        faults += [(_OPTIONAL, f"/nfConsumerIdentification/{name}", f"must be {_SHORT_TEXT}") for name in wrong]


def _is_short_text(value: object) -> bool:
    return type(value) is str and len(value) <= MAX_TEXT


def _stamp(document: Json, faults: list[Fault]) -> str:
    stamp = document.get("invocationTimeStamp")
    if type(stamp) is str and _is_timestamp(stamp):
        return stamp
    _require(faults, document, "invocationTimeStamp", "", "a date and time such as 2026-11-22T10:00:00Z")
    return ""


def _sequence(document: Json, faults: list[Fault]) -> int:
    sequence = document.get("invocationSequenceNumber")
    if type(sequence) is int and 0 <= sequence <= UINT32:
        return sequence
    _require(faults, document, "invocationSequenceNumber", "", "an integer from 0 to 4294967295")
    return 0


def _subscriber(document: Json, faults: list[Fault]) -> str:
    subscriber = document.get("subscriberIdentifier")
    if type(subscriber) is str and 0 < len(subscriber) <= MAX_TEXT:
        return subscriber
    if "subscriberIdentifier" in document:
        faults.append((_OPTIONAL, "/subscriberIdentifier", f"must be {_SHORT_TEXT}, not empty"))
    return ""


def _one_time_event(document: Json, faults: list[Fault]) -> str:
    if document["oneTimeEvent"] is not True:
        faults.append((_OPTIONAL, "/oneTimeEvent", "must be true or false"))
    kind = document.get("oneTimeEventType", "")
    if kind not in ("", "IEC", "PEC"):
        faults.append((_OPTIONAL, "/oneTimeEventType", "must be IEC or PEC"))
        return ""
    return str(kind)


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


def _usages(document: Json, faults: list[Fault]) -> list[Usage]:
    entries = document.get("multipleUnitUsage")
    if entries is None:
        return []
    if type(entries) is not list or len(entries) > MAX_RATING_GROUPS:
        faults.append((_OPTIONAL, "/multipleUnitUsage", f"must be an array of at most {MAX_RATING_GROUPS} objects"))
        return []
    usages = []
    for index, entry in enumerate(entries):
        if type(entry) is dict:
            usages.append(_usage(entry, index, faults))
        else:
            faults.append((_OPTIONAL, f"/multipleUnitUsage/{index}", "must be an object"))
    if len(usages) > 1 and not faults:
        _refuse_twins(usages, faults)
    return usages


def _refuse_twins(usages: list[Usage], faults: list[Fault]) -> None:
    """One entry per rating group: two of them would each ask for a quota, of which only one could be reserved."""
    seen: set[int] = set()
    for index, usage in enumerate(usages):
        if usage.rating_group in seen and usage.requested is not None:
            reason = f"rating group {usage.rating_group} asks for quota more than once"
            faults.append((_OPTIONAL, f"/multipleUnitUsage/{index}/requestedUnit", reason))
        if usage.requested is not None:
            seen.add(usage.rating_group)


def _usage(entry: Json, index: int, faults: list[Fault]) -> Usage:
    rating_group = entry.get("ratingGroup")
    if type(rating_group) is not int or not 0 <= rating_group <= UINT32:
        _require(faults, entry, "ratingGroup", f"/multipleUnitUsage/{index}", "an integer from 0 to 4294967295")
        rating_group = 0
    requested = entry.get("requestedUnit")
    if requested is not None:
        _check_units(requested, index, None, faults)
    containers = entry.get("usedUnitContainer")
    if containers is None:
        return Usage(rating_group, requested, [])
    if type(containers) is not list:
        faults.append((_OPTIONAL, f"/multipleUnitUsage/{index}/usedUnitContainer", "must be an array"))
        return Usage(rating_group, requested, [])
    for position, container in enumerate(containers):
        _check_container(container, index, position, faults)
    return Usage(rating_group, requested, containers)


def _check_units(units: object, index: int, container: int | None, faults: list[Fault]) -> None:
    """Every amount is an unsigned integer of its size."""
    if type(units) is not dict:
        faults.append((_OPTIONAL, _place(index, container), "must be an object"))
        return
    for name, limit in _UNITS:
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
