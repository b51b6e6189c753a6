"""A request is read quickly or with care; where both read it, they read the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from simulator.sandbox import validation
from simulator.sandbox.answers import Problem
from simulator.sandbox.messages import UINT64, Create, Report, Units
from simulator.sandbox.requests import read_create, read_quickly, read_report
from tests.sandbox.smf import ask, message

CREATES = msgspec.json.Decoder(Create)
REPORTS = msgspec.json.Decoder(Report)
KINDS = ("time", "totalVolume", "serviceSpecificUnits")
BEYOND_THE_PLAIN_PARSER = ("number is infinity", "depth limit exceeded")
"""What JSON allows and orjson does not; only in members that nobody looks at."""


def amounts(units: Units | None) -> object:
    return None if units is None else ([units.amount(kind) for kind in KINDS], sorted(units.kinds()))


def meaning(request: Report) -> str:
    """All that decides about charging, with its types."""
    usages = [
        (
            usage.rating_group,
            amounts(usage.requested),
            [(amounts(container), container.number, container.indicator) for container in usage.containers],
            usage.returns_quota(),
        )
        for usage in request.usages
    ]
    said: list[object] = [request.stamp, request.sequence, request.subscriber, request.notify_uri, usages]
    if isinstance(request, Create):
        said += [request.network_function(), request.charging_id(), request.is_event, request.action]
        said += [request.pdu_session is not None]
        said += [request.event_kind] if request.is_event else []
    return repr(said)


def agree(body: bytes) -> None:
    both: list[tuple[Report | None, Callable[[bytes], Report]]] = [
        (read_quickly(CREATES, body), validation.read_create),
        (read_quickly(REPORTS, body), validation.read_report),
    ]
    for quick, read_carefully in both:
        if quick is not None:
            careful = carefully(read_carefully, body)
            assert careful == meaning(quick) or any(reason in careful for reason in BEYOND_THE_PLAIN_PARSER), body


def carefully(read: Callable[[bytes], Report], body: bytes) -> str:
    """What validation makes of it: the meaning, or what is wrong."""
    try:
        return meaning(read(body))
    except Problem as problem:
        return problem.detail


@dataclass
class Raw:
    """A value as it is written."""

    text: str


def write(node: Any) -> str:
    """JSON; an object may be a tuple of members, so that names can be there twice."""
    if isinstance(node, Raw):
        return node.text
    if isinstance(node, dict):
        node = tuple(node.items())
    if isinstance(node, tuple):
        return "{" + ",".join(f"{json.dumps(name)}:{write(value)}" for name, value in node) + "}"
    if isinstance(node, list):
        return "[" + ",".join(map(write, node)) + "]"
    return json.dumps(node, ensure_ascii=False)


def places(node: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a document."""
    inner = list(enumerate(node)) if isinstance(node, list) else list(node.items()) if isinstance(node, dict) else []
    return [at, *(place for key, value in inner for place in places(value, (*at, key)))]


def change(node: Any, place: tuple[Any, ...], how: Callable[[Any, Any], Any]) -> Any:
    """The document with one member or element changed; `how` gets what holds it, and its name or index."""
    key, *rest = place
    if rest:
        return type(node)(
            {**node, key: change(node[key], tuple(rest), how)}
            if isinstance(node, dict)
            else [*node[:key], change(node[key], tuple(rest), how), *node[key + 1 :]]
        )
    return how(node, key)


NAMES = (
    "time", "totalVolume", "uplinkVolume", "serviceSpecificUnits", "ratingGroup", "requestedUnit", "usedUnitContainer",
    "localSequenceNumber", "quotaManagementIndicator", "triggers", "triggerType", "triggerCategory", "nFName",
    "nFIPv4Address", "nFFqdn", "nodeFunctionality", "chargingId", "userSessionID", "messageReference", "pduSessionID",
    "dnnId", "pduSessionInformation", "subscriberIdentifier", "oneTimeEvent", "oneTimeEventType", "multipleUnitUsage",
    "pDUSessionChargingInformation", "iMSChargingInformation", "sMSChargingInformation", "unknown", "notifyUri",
    "requestedAction",
)  # fmt: skip
numbers = st.sampled_from(
    [0, -1, 1, 255, 256, 2**32 - 1, 2**32, 2**63 - 1, 2**63, UINT64, UINT64 + 1, -(2**63), -(2**63) - 1, 1.0, 0.5]
) | st.integers(0, 9)
texts = st.sampled_from(
    ["", "IEC", "PEC", "XYZ", "QHT", "FINAL", "ONLINE_CHARGING", "OFFLINE_CHARGING", "imsi-001010000000001",
     "2026-11-22T10:00:00Z", "2026-11-22 10:00:00Z", "2026-11-22T10:00:00Z\n", "x" * 256, "x" * 257, "ü" * 256]
) | st.text(max_size=3)  # fmt: skip
written = st.sampled_from(
    ["NaN", "Infinity", "-0", "-0.0", "01", "1e2", "1E400", "9" * 400, "-", "+1", '"\\ud800"', '"\\ud83d\\ude00"', '"\\n"',
     '"\\u0041"', '"\\x"', '"\t"', '"\x00"', '"\x7f"', "'x'", "tru", "", "[1,]", "{,}", "//"]
).map(Raw)  # fmt: skip
deep = st.sampled_from([100, 950, 1500]).map(lambda depth: Raw("[" * depth + "]" * depth))
values = st.recursive(
    st.none() | st.booleans() | numbers | texts | written | deep,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=9,
)


@st.composite
def mutations(draw: st.DrawFn, documents: list[Any]) -> bytes:
    """A real message in which some members are changed, added, left out or there twice, or octets are."""
    document = draw(st.sampled_from(documents))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from([place for place in places(document) if place]))
        value = draw(values)
        kind = draw(st.sampled_from(["put", "put", "remove", "add", "twice"]))

        def how(node: Any, key: Any, kind: str = kind, value: Any = value) -> Any:
            if isinstance(node, list):
                changed = [*node, value] if kind == "add" else [*node[:key], value, *node[key + 1 :]]
                return changed if kind != "twice" else [*node, node[key]]
            if kind == "remove":
                return {name: each for name, each in node.items() if name != key}
            if kind == "twice":
                return node | {key: Raw(f"{write(node[key])},{json.dumps(key)}:{write(value)}")}
            return node | {draw(st.sampled_from(NAMES)) if kind == "add" else key: value}

        document = change(document, place, how)
    body = write(document).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 4)) == 0:
        at = draw(st.integers(0, len(body)))
        body = body[:at] + draw(st.binary(max_size=2)) + body[at + draw(st.integers(0, 2)) :]
    return body


def examples(reference: Path) -> list[Any]:
    files = sorted((reference / "n40-examples").glob("*.request.json"))
    return [json.loads(file.read_text()) for file in files]


@given(data=st.data())
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_ways_read_the_same(data: st.DataObject, reference: Path) -> None:
    agree(data.draw(mutations(examples(reference))))


escapes = st.lists(
    st.sampled_from([rb"\ud800", rb"\uDBFF", rb"\udc00", rb"\uDFFF", rb"\u0041", rb"\u00", rb"\n", rb"\/", rb"\x", b"\\",
                     b'"', b"x", b"\n", b"\x00", b"\xff", b"\xc3\xbc", b"\xed\xa0\x80"]),
    max_size=4,
).map(b"".join)  # fmt: skip


@given(text=escapes | st.binary(max_size=4) | st.text().map(str.encode))
@example(text=b"\xff")
@example(text=rb"\ud800x")
@settings(max_examples=500)
def test_text_that_nobody_looks_at_is_text_too(text: bytes) -> None:
    body = orjson.dumps(message(0, [ask(300)]))
    agree(body[:-1] + b',"unknown":"' + text + b'"}')
    agree(body[:-1] + b',"' + text + b'":1}')
    agree(body.replace(b"SMF", text))
    agree(body.replace(b"imsi-", text))


@pytest.mark.parametrize("depth", [10, 900, 1100, 100_000])
def test_any_depth_is_read_or_refused(depth: int) -> None:
    body = orjson.dumps(message(0, [ask(300)]))
    agree(body[:-1] + b',"unknown":' + b"[" * depth + b"]" * depth + b"}")


def test_real_messages_are_read_quickly(reference: Path) -> None:
    documents = examples(reference)
    assert len(documents) >= 10
    for document in documents:
        body = orjson.dumps(document)
        quick = read_quickly(REPORTS, body) if document["invocationSequenceNumber"] else read_quickly(CREATES, body)
        assert quick is not None


def reported(**members: Any) -> dict[str, Any]:
    container = {"localSequenceNumber": 1, **members}
    return {"multipleUnitUsage": [{"ratingGroup": 300, "usedUnitContainer": [container]}]}


ODD_BUT_ALLOWED: list[dict[str, Any]] = [
    {"multipleUnitUsage": None},
    {"multipleUnitUsage": [{"ratingGroup": 1, "usedUnitContainer": None}]},
    reported(triggers=None),
    reported(totalVolume=UINT64),
    reported(quotaManagementIndicator=None),
    {"pDUSessionChargingInformation": {"chargingId": -1}},
    {"pDUSessionChargingInformation": {"chargingId": []}},
    {"oneTimeEvent": None},
    {"notifyUri": None},
    {"requestedAction": 5},
    {"unknown": "café"},
]


@pytest.mark.parametrize("odd", ODD_BUT_ALLOWED)
def test_what_is_odd_but_allowed_is_left_to_validation(odd: dict[str, Any]) -> None:
    body = orjson.dumps(message(0, [ask(300)]) | odd)
    assert read_quickly(CREATES, body) is None
    assert meaning(read_create(body)) == meaning(validation.read_create(body))


@pytest.mark.parametrize("null", ["subscriberIdentifier", "oneTimeEventType"])
def test_null_is_no_text(null: str) -> None:
    body = orjson.dumps(message(0, [ask(300)], oneTimeEvent=True) | {null: None})
    with pytest.raises(Problem) as refused:
        read_create(body)
    assert refused.value.invalid[0][0] == f"/{null}"


def test_an_empty_name_is_a_name() -> None:
    consumer = {"nodeFunctionality": "SMF", "nFName": "", "nFFqdn": "smf.example"}
    body = orjson.dumps(message(0, [ask(300)], nfConsumerIdentification=consumer))
    assert read_quickly(CREATES, body) is not None
    assert read_create(body).network_function() == ""


def test_a_report_does_not_look_at_the_service() -> None:
    body = orjson.dumps(message(1, [], pDUSessionChargingInformation=5))
    assert read_quickly(REPORTS, body) is not None
    assert read_report(body).sequence == 1
