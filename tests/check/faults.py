"""What a charging function can do wrong, and the cases that must find it out: at least one fault for every case."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import orjson

from simulator.sandbox.answers import Reply
from simulator.sandbox.chf import LocationForm
from tests.check.faulty import SETTINGS, Fault, Seen

DATA, DATA2 = SETTINGS.groups.data, SETTINGS.groups.data2
Json = dict[str, Any]
When = Callable[[Seen, Reply], bool]


def header_set(reply: Reply, name: bytes, value: bytes | None) -> Reply:
    kept = [field for field in reply.headers if field[0] != name]
    return Reply(reply.status, kept if value is None else [*kept, (name, value)], reply.body)


def answered(when: When, status: int, body: bytes = b"") -> Fault:
    """Such requests are answered with that status, whatever the core said."""
    return Fault(answer=lambda seen, reply: Reply(status, [], body) if when(seen, reply) else reply)


def to(*operations: str) -> When:
    return lambda seen, _: seen.operation in operations


def status(found: int) -> When:
    return lambda _, reply: reply.status == found


def told(octets: bytes) -> When:
    return lambda seen, _: octets in seen.body


def has(name: bytes, value: bytes = b"") -> When:
    return lambda seen, _: seen.header(name) is not None and value in (seen.header(name) or b"")


def sized(octets: int) -> When:
    return lambda seen, _: len(seen.body) > octets


def numbered(sequence: int) -> When:
    return lambda seen, _: seen.document.get("invocationSequenceNumber") == sequence


def at(part: bytes) -> When:
    return lambda seen, _: part in seen.path


def both(*conditions: When) -> When:
    return lambda seen, reply: all(condition(seen, reply) for condition in conditions)


def after(first: When, then: When) -> When:
    """Requests of the second kind that come after one of the first."""
    begun = False

    def when(seen: Seen, reply: Reply) -> bool:
        nonlocal begun
        if begun and then(seen, reply):
            return True
        begun = begun or first(seen, reply)
        return False

    return when


def edited(edit: Callable[[Json], object], *operations: str, when: When = lambda _seen, _reply: True) -> Fault:
    """The body of an answer is changed."""

    def answer(seen: Seen, reply: Reply) -> Reply:
        if not reply.body or (operations and seen.operation not in operations) or not when(seen, reply):
            return reply
        document = orjson.loads(reply.body)
        edit(document)
        return Reply(reply.status, reply.headers, orjson.dumps(document))

    return Fault(answer=answer)


def of_entries(edit: Callable[[Json], object]) -> Callable[[Json], object]:
    return lambda document: [edit(entry) for entry in document.get("multipleUnitInformation", [])]


def no_grants(document: Json) -> None:
    for entry in document.get("multipleUnitInformation", []):
        entry.pop("grantedUnit", None)


def twice(document: Json) -> None:
    document["multipleUnitInformation"] = 2 * document.get("multipleUnitInformation", [])


def generous(document: Json) -> None:
    """Grants for the second rating group, whether or not it asked."""
    entries = document.setdefault("multipleUnitInformation", [])
    entries.append({"ratingGroup": DATA2, "resultCode": "SUCCESS", "grantedUnit": {"totalVolume": 1}})


def grants_all(entry: Json) -> None:
    entry.update(resultCode="SUCCESS", grantedUnit={"totalVolume": 1})


def another_grant(document: Json) -> None:
    for entry in document.get("multipleUnitInformation", []):
        entry["grantedUnit"] = {"totalVolume": 17}


def spoilt_headers(name: bytes, value: bytes | None, *operations: str, when: When = lambda _s, _r: True) -> Fault:
    def answer(seen: Seen, reply: Reply) -> Reply:
        wanted = (not operations or seen.operation in operations) and when(seen, reply)
        return header_set(reply, name, value) if wanted else reply

    return Fault(answer=answer)


def rewritten(pattern: bytes, replacement: bytes, when: Callable[[Seen], bool] = lambda _: True) -> Fault:
    """The core takes requests for others than they are."""
    return Fault(request=lambda seen: re.sub(pattern, replacement, seen.body) if when(seen) else seen.body)


def forgetful() -> Fault:
    """Every Create is a new one."""
    numbers = itertools.count(1)

    def request(seen: Seen) -> bytes:
        if seen.operation not in ("create", "event"):
            return seen.body
        return re.sub(
            rb'("invocationTimeStamp":"2\d{3})', b'"invocationTimeStamp":"%d' % (3000 + next(numbers)), seen.body
        )

    return Fault(request=request)


def one_session() -> Fault:
    """Every Create of a subscriber is answered with the Location of the first."""
    first: list[bytes] = []

    def answer(_: Seen, reply: Reply) -> Reply:
        location = reply.header(b"location")
        if location is None:
            return reply
        first.append(location)
        return header_set(reply, b"location", first[0])

    return Fault(answer=answer)


def keeps_reservations() -> Fault:
    """The fourth session of a subscriber finds nothing left."""
    creates = itertools.count(1)

    def answer(seen: Seen, reply: Reply) -> Reply:
        if seen.operation != "create" or next(creates) < 4:
            return reply
        document = orjson.loads(reply.body)
        document["multipleUnitInformation"] = [{"ratingGroup": DATA, "resultCode": "QUOTA_LIMIT_REACHED"}]
        return Reply(reply.status, reply.headers, orjson.dumps(document))

    return Fault(answer=answer)


def problem(edit: Callable[[Json], object], found: int) -> Fault:
    return edited(edit, when=status(found))


def notified(change: Callable[[str, Json], tuple[str, Json | None]]) -> Fault:
    return Fault(notify=change)


def with_body(seen: Seen, reply: Reply) -> Reply:
    return Reply(200, [(b"content-type", b"application/json")], b"{}") if seen.operation == "release" else reply


OK = Reply(200, [], b"")
REPEATED = told(b'"retransmissionIndicator":true')
BROKE, KNOWN = SETTINGS.broke_subscriber.encode(), SETTINGS.subscriber.encode()
UNKNOWN = SETTINGS.unknown_subscriber.encode()


def _of_answers(operation: str) -> dict[str, Fault]:
    return {
        "sequence": edited(lambda d: d.update(invocationSequenceNumber=77), operation),
        "timestamp": edited(lambda d: d.update(invocationTimeStamp=d["invocationTimeStamp"].rstrip("Z")), operation),
        "content_type": spoilt_headers(b"content-type", b"text/html", operation),
        "groups": edited(of_entries(lambda entry: entry.update(resultCode="SUCESS")), operation),
        "units": edited(of_entries(lambda entry: entry.update(validityTime="1800")), operation),
        "final_unit": edited(of_entries(lambda entry: entry.update(finalUnitIndication={})), operation),
        "triggers": edited(lambda d: d.update(triggers=[{"triggerType": "QHT"}]), operation),
        "features": edited(lambda d: d.update(supportedFeatures="many"), operation),
    }


FAULTS: list[tuple[str, Callable[[], Fault]]] = [
    # Sessions
    *((f"create.{name}", lambda: answered(to("create"), 500)) for name in (
        "data.minimal", "data.nr", "data.eutra", "data.eutra.smf", "data.without_usage", "voice.rating_group", "voice.ims",
    )),
    ("create.data.without_usage", lambda: answered(
        lambda seen, _: seen.operation == "create" and "multipleUnitUsage" not in seen.document, 400)),
    *((f"update.{name}", lambda: answered(to("update"), 500)) for name in (
        "data.usage", "data.report_only", "data.containers", "data.condition", "data.new_group", "voice.time", "many",
    )),
    ("update.data.usage", lambda: edited(lambda d: d.pop("multipleUnitInformation"), "update")),
    ("update.data.new_group", lambda: edited(no_grants, "update")),
    ("update.many", lambda: answered(both(to("update"), numbered(5)), 400)),
    ("release.status", lambda: Fault(answer=with_body)),
    ("release.body", lambda: Fault(answer=with_body)),
    *((f"release.{name}", lambda: answered(to("release"), 500)) for name in (
        "without_usage", "abnormal", "voice.ims", "at_once",
    )),
    # Events
    *((f"event.{name}", lambda: answered(to("event"), 500)) for name in ("iec", "pec")),
    ("event.iec.granted", lambda: edited(no_grants, "event")),
    ("event.ecur", lambda: answered(to("release"), 500)),
    ("event.sequence", lambda: edited(lambda d: d.update(invocationSequenceNumber=1), "event")),
    ("event.location", lambda: spoilt_headers(b"location", b"http://chf/nchf-convergedcharging/v3/chargingdata/", "event")),
    ("event.no_session", lambda: answered(to("update"), 200, b"{}")),
    # Answers
    *((f"answer.{operation}.{name}", lambda operation=operation, name=name: _of_answers(operation)[name])
      for operation in ("create", "update") for name in _of_answers("create")),
    ("answer.sequence.large", lambda: edited(lambda d: d.update(invocationSequenceNumber=-2), "update")),
    ("location.present", lambda: spoilt_headers(b"location", None, "create")),
    ("location.absolute", lambda: Fault(location=LocationForm.PATH)),
    ("location.absolute", lambda: Fault(location=LocationForm.BARE)),
    ("location.addressable", lambda: Fault(location=LocationForm.BARE)),
    ("location.unique", one_session),
    # Grants
    *((f"grant.create.{name}", lambda: edited(no_grants, "create")) for name in ("amount", "chf_chooses", "time", "units")),
    ("grant.create.several_groups", lambda: edited(twice, "create")),
    ("grant.create.several_groups", lambda: edited(lambda d: d["multipleUnitInformation"].pop(), "create")),
    ("grant.update", lambda: edited(no_grants, "update")),
    *((f"grant.{name}", lambda: edited(generous, "update")) for name in ("not_asked", "report_only", "offline")),
    ("grant.largest_request", lambda: answered(told(b"18446744073709551615"), 500)),
    ("grant.given_back", keeps_reservations),
    ("grant.unknown_group", lambda: edited(of_entries(grants_all), "create")),
    ("grant.mixed_groups", lambda: edited(of_entries(grants_all), "update")),
    ("grant.mixed_groups", lambda: edited(no_grants, "update")),
    *((f"grant.no_credit{name}", lambda: rewritten(BROKE, KNOWN)) for name in ("", ".event")),
    ("grant.no_credit", lambda: problem(lambda d: d.pop("cause"), 403)),
    # Repeats
    *((f"repeat.{name}", forgetful) for name in ("create", "create.connections", "event")),
    ("repeat.create.connections", lambda: Fault(wire="sessions of a connection")),
    ("repeat.create.grant", lambda: edited(another_grant, when=REPEATED)),
    ("repeat.create.usable", lambda: answered(after(REPEATED, to("update")), 404)),
    ("repeat.update", lambda: edited(another_grant, when=REPEATED)),
    ("repeat.update", lambda: answered(REPEATED, 400)),
    ("repeat.update.goes_on", lambda: answered(after(REPEATED, to("update")), 400)),
    ("repeat.update.once", lambda: rewritten(
        b'"invocationSequenceNumber":1,', b'"invocationSequenceNumber":101,', lambda seen: REPEATED(seen, OK))),
    ("repeat.event.once", forgetful),
    ("repeat.release", lambda: answered(REPEATED, 500)),
    *((f"repeat.not{name}", one_session) for name in ("", ".connections")),
    # References and sequence numbers
    *((f"reference.unknown.{name}", lambda: answered(status(404), 500)) for name in ("update", "release")),
    ("reference.unknown.problem", lambda: answered(status(404), 404)),
    ("reference.unknown.cause", lambda: problem(lambda d: d.pop("cause"), 404)),
    *((f"reference.released.{name}", lambda: answered(status(404), 204)) for name in ("update", "release")),
    ("reference.strange", lambda: answered(at(b"%00"), 500)),
    ("sequence.gap", lambda: answered(numbered(7), 500)),
    ("sequence.backwards", lambda: answered(numbered(3), 200, b'{"invocationSequenceNumber":7}')),
    ("sequence.from_one", lambda: answered(both(to("create"), numbered(1)), 400)),
    # Wrong messages
    *((f"malformed.{name}", lambda: answered(status(400), 500)) for name in (
        "no_json", "empty", "array", "null", "utf8", "cut", "update",
    )),
    ("malformed.update", lambda: answered(after(status(400), to("update")), 404)),
    *((f"missing.create.{name}", lambda: answered(status(400), 201)) for name in (
        "consumer", "functionality", "timestamp", "sequence", "rating_group", "pdu_session_id", "dnn",
    )),
    *((f"missing.update.{name}", lambda: answered(status(400), 200)) for name in (
        "sequence", "timestamp", "container", "category",
    )),
    ("missing.release.sequence", lambda: answered(status(400), 204)),
    *((f"wrong.{name}", lambda: answered(status(400), 201)) for name in (
        "sequence_text", "sequence_negative", "timestamp", "rating_group", "usage_object", "units_negative", "units_text",
        "consumer", "pdu_session_id",
    )),
    ("problem.body", lambda: spoilt_headers(b"content-type", b"text/html", when=status(400))),
    ("problem.body", lambda: answered(status(400), 400)),
    ("problem.status", lambda: problem(lambda d: d.update(status=500), 400)),
    ("problem.cause", lambda: problem(lambda d: d.pop("cause"), 400)),
    ("problem.invalid_params", lambda: problem(lambda d: d.update(invalidParams=["sequence"]), 400)),
    ("tolerant.unknown_members", lambda: answered(told(b"futureMember"), 400)),
    ("tolerant.enumeration", lambda: answered(told(b"FUTURE_NF"), 500)),
    ("tolerant.trigger_type", lambda: answered(told(b"FUTURE_TRIGGER"), 500)),
    ("tolerant.event_type", lambda: answered(told(b'"FUTURE"'), 500)),
    ("tolerant.non_ascii", lambda: answered(told("漢字".encode()), 400)),
    ("tolerant.escapes", lambda: answered(told(rb"\u0069"), 400)),
    ("tolerant.deep", lambda: answered(told(b"[[[[[["), 500)),
    ("tolerant.duplicate_member", lambda: answered(told(b'{"invocationSequenceNumber":0,'), 500)),
    ("tolerant.huge_number", lambda: answered(told(b"123456789012345678901234567890"), 500)),
    ("tolerant.uint64", lambda: answered(told(b"9223372036854775808"), 400)),
    # Subscribers
    *((f"subscriber.unknown{name}", lambda: rewritten(UNKNOWN, KNOWN)) for name in ("", ".event")),
    ("subscriber.unknown.cause", lambda: problem(lambda d: d.update(cause="CHARGING_FAILED"), 404)),
    ("subscriber.unknown.status", lambda: answered(status(404), 400)),
    # HTTP
    ("http.content_type.charset", lambda: answered(has(b"content-type", b"charset"), 415)),
    ("http.content_type.case", lambda: answered(has(b"content-type", b"JSON"), 415)),
    ("http.accept.json", lambda: answered(lambda seen, _: seen.header(b"accept") == b"application/json", 406)),
    ("http.accept.any", lambda: answered(has(b"accept", b"*/*"), 406)),
    ("http.accept.none", lambda: answered(lambda seen, _: seen.header(b"accept") is None, 400)),
    ("http.accept.weights", lambda: answered(has(b"accept", b"q="), 406)),
    ("http.header.unknown", lambda: answered(has(b"x-future"), 400)),
    ("http.header.sbi", lambda: answered(has(b"3gpp-sbi-max-rsp-time"), 400)),
    ("http.header.many", lambda: answered(has(b"x-future-19"), 500)),
    ("http.header.case", lambda: Fault(wire="takes any header")),
    ("http.header.method", lambda: Fault(wire="takes any header")),
    ("http.content_type.none", lambda: answered(lambda seen, _: seen.header(b"content-type") is None, 500)),
    ("http.content_type.wrong", lambda: answered(status(415), 201)),
    *((f"http.method.{name}", lambda: answered(status(405), 200)) for name in ("get", "delete", "update")),
    ("http.method.allow", lambda: spoilt_headers(b"allow", None)),
    *((f"http.path.{name}", lambda: answered(status(404), 500)) for name in ("unknown", "version", "operation")),
    ("http.body.groups", lambda: edited(twice, "create")),
    ("http.body.large", lambda: answered(sized(90_000), 413)),
    ("http.body.too_large", lambda: answered(sized(1 << 20), 500)),
    ("http.body.too_large.after", lambda: answered(after(sized(1 << 20), to("create")), 503)),
    ("http.body.gzip", lambda: answered(has(b"content-encoding"), 500)),
    ("http.body.length", lambda: answered(has(b"content-length"), 400)),
    ("http.trailers", lambda: Fault(wire="refuses trailers")),
    # Connections
    ("connection.streams", one_session),
    ("connection.interleaved", lambda: answered(both(to("update"), numbered(3)), 400)),
    ("connection.order", lambda: edited(lambda d: d.update(invocationSequenceNumber=1), "update")),
    ("connection.several", lambda: Fault(wire="sessions of a connection")),
    ("connection.lost", lambda: Fault(wire="sessions of a connection")),
    ("connection.ping", lambda: Fault(wire="answers no ping")),
    ("connection.idle", lambda: Fault(wire="closes when idle")),
    ("connection.unknown_frame", lambda: Fault(wire="knows its frames")),
    ("connection.goaway", lambda: Fault(wire="ends with our GOAWAY")),
    ("connection.cancelled", lambda: Fault(wire="counts resets")),
    ("connection.half", lambda: Fault(wire="answers in order")),
    ("connection.window", lambda: Fault(wire="knows no window")),
    ("connection.after_error", lambda: Fault(wire="closes after an error")),
    # Notifications
    *((f"notify.{name}", lambda: notified(lambda uri, _: (uri, None))) for name in (
        "reauthorization", "abort", "form", "details",
    )),
    ("notify.reauthorization", lambda: notified(lambda uri, _: (uri, {"notificationType": "ABORT_CHARGING"}))),
    ("notify.reauthorization", lambda: answered(to("update"), 404)),
    ("notify.abort", lambda: notified(lambda uri, _: (uri, {"notificationType": "REAUTHORIZATION"}))),
    ("notify.abort", lambda: answered(to("release"), 404)),
    ("notify.form", lambda: notified(lambda uri, message: (f"{uri}/notify", message))),
    ("notify.details", lambda: notified(lambda uri, message: (uri, message | {"reauthorizationDetails": "all"}))),
]  # fmt: skip
