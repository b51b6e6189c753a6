"""What an answer of a CHF must be like, apart from what it decides: rules that need no schema, with their clauses.

Pure, and cheap enough to look at a sample of the answers of a load run. A schema check can be passed in. Every deviation
carries the name of a rule, so that deviations can be counted: there are as many names as members of `Rule`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import orjson

from simulator.n40.request import Operation

MOST_SHOWN: Final = 200
"""Characters of a value that a deviation quotes."""

UINT32: Final = 0xFFFF_FFFF
UINT64: Final = 0xFFFF_FFFF_FFFF_FFFF

STATUSES: Final = {Operation.CREATE: 201, Operation.EVENT: 201, Operation.UPDATE: 200, Operation.RELEASE: 204}
"""The status of success (TS 32.291 6.1.3)."""

RESULT_CODES: Final = frozenset(
    {
        "SUCCESS",
        "END_USER_SERVICE_DENIED",
        "QUOTA_MANAGEMENT_NOT_APPLICABLE",
        "QUOTA_LIMIT_REACHED",
        "END_USER_SERVICE_REJECTED",
        "RATING_FAILED",
    }
)
FINAL_UNIT_ACTIONS: Final = frozenset({"TERMINATE", "REDIRECT", "RESTRICT_ACCESS"})
TRIGGER_CATEGORIES: Final = frozenset({"IMMEDIATE_REPORT", "DEFERRED_REPORT"})
UNIT_LIMITS: Final = {
    "time": UINT32,
    "totalVolume": UINT64,
    "uplinkVolume": UINT64,
    "downlinkVolume": UINT64,
    "serviceSpecificUnits": UINT64,
}
MEMBER_LIMITS: Final = {
    "validityTime": UINT32,
    "quotaHoldingTime": UINT32,
    "timeQuotaThreshold": UINT32,
    "volumeQuotaThreshold": UINT64,
    "unitQuotaThreshold": UINT64,
}

is_date_time: Final = re.compile(
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt]"
    r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
).fullmatch
"""DateTime of TS 29.571 5.2.2: RFC 3339 date-time, whose zone is not optional."""

_is_absolute_uri: Final = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://[!-.0-~]+(?:/[!-~]*)?").fullmatch
_is_hexadecimal: Final = re.compile(r"[0-9A-Fa-f]*", re.ASCII).fullmatch
_JSON_TYPES: Final = frozenset({b"application/json"})
_ERROR_TYPES: Final = frozenset({b"application/problem+json", b"application/json"})
_CAUSE_IS_DUE: Final = frozenset({400, 403, 404})

Json = Mapping[str, Any]
Header = tuple[bytes, bytes]


class Rule(StrEnum):
    """What an answer can deviate from."""

    STATUS = "status"
    BODY = "body"
    CONTENT_TYPE = "content_type"
    SEQUENCE_NUMBER = "sequence_number"
    TIMESTAMP = "timestamp"
    LOCATION_MISSING = "location_missing"
    LOCATION_FORM = "location_form"
    LOCATION_REFERENCE = "location_reference"
    RATING_GROUP = "rating_group"
    RESULT_CODE = "result_code"
    NO_ANSWER_FOR_GROUP = "no_answer_for_group"
    TWO_ANSWERS_FOR_GROUP = "two_answers_for_group"
    GRANT_NOT_ASKED_FOR = "grant_not_asked_for"
    GRANT_MISSING = "grant_missing"
    GRANTED_UNIT = "granted_unit"
    MEMBER_TYPE = "member_type"
    FINAL_UNIT = "final_unit"
    TRIGGER = "trigger"
    FEATURES = "features"
    PROBLEM_BODY = "problem_body"
    PROBLEM_STATUS = "problem_status"
    PROBLEM_CAUSE = "problem_cause"
    SCHEMA = "schema"
    SCHEMA_STRICT = "schema_strict"

    __hash__ = str.__hash__


CLAUSES: Final = {
    Rule.STATUS: "TS 32.291 6.1.3",
    Rule.BODY: "TS 32.291 6.1.6.2",
    Rule.CONTENT_TYPE: "TS 32.291 6.1.2.2.2; TS 29.500 5.2.2.2",
    Rule.SEQUENCE_NUMBER: "TS 32.290 6.2; TS 32.291 6.1.6.2 (ChargingDataResponse)",
    Rule.TIMESTAMP: "TS 29.571 5.2.2 (DateTime); RFC 3339 5.6",
    Rule.LOCATION_MISSING: "TS 32.291 6.1.3.2.3.1; RFC 9110 15.3.2",
    Rule.LOCATION_FORM: "TS 32.291 6.1.3.2.3.1 (the structure of Location)",
    Rule.LOCATION_REFERENCE: "TS 32.291 6.1.3.2.3.1 (the structure of Location)",
    Rule.RATING_GROUP: "TS 32.291 6.1.6.2 (MultipleUnitInformation)",
    Rule.RESULT_CODE: "TS 32.291 6.1.6.3.14",
    Rule.NO_ANSWER_FOR_GROUP: "TS 32.290 5.4 (quota management)",
    Rule.TWO_ANSWERS_FOR_GROUP: "TS 32.290 5.4 (quota management)",
    Rule.GRANT_NOT_ASKED_FOR: "TS 32.290 5.4 (quota management)",
    Rule.GRANT_MISSING: "TS 32.290 5.4 (quota management)",
    Rule.GRANTED_UNIT: "TS 32.291 6.1.6.2 (GrantedUnit)",
    Rule.MEMBER_TYPE: "TS 32.291 6.1.6.2 (MultipleUnitInformation)",
    Rule.FINAL_UNIT: "TS 32.291 6.1.6.2 (FinalUnitIndication), 6.1.6.3 (FinalUnitAction)",
    Rule.TRIGGER: "TS 32.291 6.1.6.2 (Trigger)",
    Rule.FEATURES: "TS 29.571 5.2.2 (SupportedFeatures)",
    Rule.PROBLEM_BODY: "TS 32.291 6.1.7.3; TS 29.500 5.2.7.2",
    Rule.PROBLEM_STATUS: "RFC 9457 3.1.2",
    Rule.PROBLEM_CAUSE: "TS 32.291 6.1.7.3; TS 29.500 5.2.7.2",
    Rule.SCHEMA: "TS 32.291 A.2 (OpenAPI)",
    Rule.SCHEMA_STRICT: "TS 32.291 A.2 (OpenAPI, read strictly)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """One answer that is not as the specification has it."""

    rule: Rule
    expected: str
    found: str

    @property
    def clause(self) -> str:
        """Where it is written."""
        return CLAUSES[self.rule]


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaFault:
    """`strict`: what only a strict reading forbids, an unknown member or a value that its enumeration does not have."""

    place: str
    problem: str
    strict: bool = False


SchemaCheck = Callable[[str, object], Sequence[SchemaFault]]
"""Takes the name of a type (`ChargingDataResponse`) and a document."""


def deviations(
    operation: Operation,
    sequence: int,
    status: int,
    headers: Sequence[Header],
    body: bytes,
    asked: Collection[int] = (),
    schema: SchemaCheck | None = None,
) -> list[Deviation]:
    """Whatever is wrong with the answer to a request of that operation and sequence number.

    `headers` have names in lower case; `asked` are the rating groups for which the request had a requestedUnit. An error
    is no deviation, whatever its status: it is looked at for its form.
    """
    found = list(_of_form(status, headers, body))
    if 200 <= status < 300:
        found += _of_success(operation, sequence, status, headers, body, asked)
    elif status >= 400:
        found += _of_problem(status, body)
    if schema is not None and body:
        found += _of_schema(status, body, schema)
    return found


def _wrong(rule: Rule, expected: str, found: object) -> Deviation:
    text = found if isinstance(found, str) else orjson.dumps(found, default=str).decode()
    return Deviation(rule=rule, expected=expected, found=text[:MOST_SHOWN])


def header(headers: Sequence[Header], name: bytes) -> bytes | None:
    """The first header field of that name (lower case)."""
    return next((value for key, value in headers if key == name), None)


def read_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object in a body, None if it is none."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def _of_form(status: int, headers: Sequence[Header], body: bytes) -> Iterator[Deviation]:
    if not body:
        return
    if status == 204:
        yield _wrong(Rule.BODY, "no body with 204 (RFC 9110 15.3.5)", f"{len(body)} octets")
        return
    media_type = (header(headers, b"content-type") or b"").partition(b";")[0].strip().lower()
    allowed = _ERROR_TYPES if status >= 400 else _JSON_TYPES
    if media_type not in allowed:
        names = " or ".join(sorted(each.decode() for each in allowed))
        yield _wrong(Rule.CONTENT_TYPE, f"content-type {names}", media_type.decode("latin-1") or "none")


def _of_success(
    operation: Operation,
    sequence: int,
    status: int,
    headers: Sequence[Header],
    body: bytes,
    asked: Collection[int],
) -> Iterator[Deviation]:
    if status != STATUSES[operation]:
        yield _wrong(Rule.STATUS, f"{STATUSES[operation]} for {operation}", str(status))
    if status == 201:
        yield from _of_location(header(headers, b"location"))
    if operation is Operation.RELEASE:
        return
    document = read_object(body)
    if document is None:
        yield _wrong(Rule.BODY, "a ChargingDataResponse (a JSON object)", body[:MOST_SHOWN].decode("utf-8", "replace"))
        return
    number = document.get("invocationSequenceNumber")
    if type(number) is not int or number != sequence:
        yield _wrong(Rule.SEQUENCE_NUMBER, f"invocationSequenceNumber {sequence}, as in the request", number)
    stamp = document.get("invocationTimeStamp")
    if not isinstance(stamp, str) or not is_date_time(stamp):
        yield _wrong(Rule.TIMESTAMP, "invocationTimeStamp as DateTime, with a zone", stamp)
    features = document.get("supportedFeatures", "")
    if not isinstance(features, str) or not _is_hexadecimal(features):
        yield _wrong(Rule.FEATURES, "supportedFeatures in hexadecimal digits", features)
    yield from _of_triggers(document.get("triggers"))
    yield from _of_units(document.get("multipleUnitInformation"), asked)


def _of_location(location: bytes | None) -> Iterator[Deviation]:
    if location is None:
        yield _wrong(Rule.LOCATION_MISSING, "a Location", "none")
        return
    text = location.decode("latin-1")
    if not _is_absolute_uri(location):
        yield _wrong(Rule.LOCATION_FORM, "{apiRoot}/nchf-convergedcharging/v3/chargingdata/{ChargingDataRef}", text)
    if location.rpartition(b"/")[2].lower() in (b"", b"chargingdata"):
        yield _wrong(Rule.LOCATION_REFERENCE, "a Location that ends with the ChargingDataRef", text)


def _of_triggers(triggers: object) -> Iterator[Deviation]:
    if triggers is None:
        return
    if not isinstance(triggers, list):
        yield _wrong(Rule.TRIGGER, "triggers as an array", triggers)
        return
    for trigger in triggers:
        if not isinstance(trigger, dict) or not _is_one_of(trigger.get("triggerCategory"), TRIGGER_CATEGORIES):
            yield _wrong(Rule.TRIGGER, "a trigger with the category IMMEDIATE_REPORT or DEFERRED_REPORT", trigger)


def _of_units(entries: object, asked: Collection[int]) -> Iterator[Deviation]:
    if entries is None:
        entries = []
    if not isinstance(entries, list):
        yield _wrong(Rule.RATING_GROUP, "multipleUnitInformation as an array", entries)
        return
    seen: set[int] = set()
    for entry in entries:
        group = entry.get("ratingGroup") if isinstance(entry, dict) else None
        if type(group) is not int or not 0 <= group <= UINT32:
            yield _wrong(Rule.RATING_GROUP, "an entry of multipleUnitInformation with its ratingGroup", entry)
            continue
        if group in seen:
            yield _wrong(Rule.TWO_ANSWERS_FOR_GROUP, "one entry for each rating group", f"rating group {group} again")
        seen.add(group)
        yield from _of_entry(entry, group in asked)
    for group in asked:
        if group not in seen:
            yield _wrong(Rule.NO_ANSWER_FOR_GROUP, f"an entry for rating group {group}, which asked for units", "none")


def _of_entry(entry: Json, asked: bool) -> Iterator[Deviation]:
    result = entry.get("resultCode", "SUCCESS")
    if not _is_one_of(result, RESULT_CODES):
        yield _wrong(Rule.RESULT_CODE, f"resultCode as one of {', '.join(sorted(RESULT_CODES))}", result)
    granted = entry.get("grantedUnit")
    group = entry["ratingGroup"]
    if granted is not None:
        yield from _of_grant(granted)
        if not asked:
            yield _wrong(Rule.GRANT_NOT_ASKED_FOR, f"no grant for rating group {group}, which did not ask", granted)
    elif asked and result == "SUCCESS":
        yield _wrong(Rule.GRANT_MISSING, f"a grantedUnit for rating group {group} with SUCCESS", "none")
    for name, limit in MEMBER_LIMITS.items():
        if name in entry and not _is_amount(entry[name], limit):
            yield _wrong(Rule.MEMBER_TYPE, f"{name} as a whole number from 0 to {limit}", entry[name])
    yield from _of_triggers(entry.get("triggers"))
    if "finalUnitIndication" in entry:
        final = entry["finalUnitIndication"]
        if not isinstance(final, dict) or not _is_one_of(final.get("finalUnitAction"), FINAL_UNIT_ACTIONS):
            yield _wrong(Rule.FINAL_UNIT, "finalUnitAction TERMINATE, REDIRECT or RESTRICT_ACCESS", final)


def _of_grant(granted: object) -> Iterator[Deviation]:
    if not isinstance(granted, dict):
        yield _wrong(Rule.GRANTED_UNIT, "grantedUnit as an object", granted)
        return
    for name, limit in UNIT_LIMITS.items():
        if name in granted and not _is_amount(granted[name], limit):
            yield _wrong(Rule.GRANTED_UNIT, f"{name} as a whole number from 0 to {limit}", granted[name])
    if not UNIT_LIMITS.keys() & granted.keys():
        yield _wrong(Rule.GRANTED_UNIT, "a grantedUnit with an amount", granted)
    change = granted.get("tariffTimeChange")
    if change is not None and not (isinstance(change, str) and is_date_time(change)):
        yield _wrong(Rule.TIMESTAMP, "tariffTimeChange as DateTime, with a zone", change)


def _is_one_of(value: object, values: Collection[str]) -> bool:
    return isinstance(value, str) and value in values


def _is_amount(value: object, limit: int) -> bool:
    return type(value) is int and 0 <= value <= limit


def _of_problem(status: int, body: bytes) -> Iterator[Deviation]:
    document = read_object(body)
    if document is None:
        if status in _CAUSE_IS_DUE or body:
            yield _wrong(
                Rule.PROBLEM_BODY,
                "ProblemDetails (a JSON object)",
                body[:MOST_SHOWN].decode("utf-8", "replace") or "an empty body",
            )
        return
    told = document.get("status")
    if told is not None and told != status:
        yield _wrong(Rule.PROBLEM_STATUS, f"status {status} in the body, as in the answer", told)
    if status in _CAUSE_IS_DUE and not cause_of(document):
        yield _wrong(Rule.PROBLEM_CAUSE, "a cause", document)


def cause_of(document: Json) -> str:
    """The cause in ProblemDetails, or in the invocationResult of a ChargingDataResponse; "" if there is none."""
    result = document.get("invocationResult")
    if isinstance(result, dict) and isinstance(result.get("error"), dict):
        document = result["error"]
    cause = document.get("cause")
    return cause if isinstance(cause, str) else ""


def answer_type(status: int, document: Json) -> str:
    """The type in the OpenAPI that an answer has to be of."""
    is_response = status < 300 or "invocationTimeStamp" in document
    # An error may be either (`oneOf` in the OpenAPI), and most documents match both: what it has decides.
    return "ChargingDataResponse" if is_response else "ProblemDetails"


def _of_schema(status: int, body: bytes, schema: SchemaCheck) -> Iterator[Deviation]:
    document = read_object(body)
    if document is None:
        return
    root = answer_type(status, document)
    for fault in schema(root, document):
        rule = Rule.SCHEMA_STRICT if fault.strict else Rule.SCHEMA
        yield _wrong(rule, f"{root} as in the schema", f"{fault.place or '/'}: {fault.problem}")
