"""HTTP: methods, paths, media types, header fields and sizes."""

from __future__ import annotations

import gzip

import orjson

from simulator.check.catalogue import add_case, case
from simulator.check.messages import Json, ask, container
from simulator.check.smf import Smf
from simulator.check.verdicts import DeviationError, NotSupportedError
from simulator.n40.conformance import Rule
from simulator.n40.request import Operation

CONTENT = "TS 32.291 6.1.2.2.2; TS 29.500 5.2.2.2"
METHOD = "RFC 9110 15.5.6"
PATH = "TS 29.500 5.2.7.2 (RESOURCE_URI_STRUCTURE_NOT_FOUND)"
_LARGE_OCTETS = 100_000
_TOO_LARGE_OCTETS = 2_500_000


def _add_taken(identifier: str, title: str, clause: str, **headers: bytes | None) -> None:
    """A Create with other header fields than usual, which is a Create all the same."""

    async def play(smf: Smf) -> None:
        fields = smf.headers(smf.settings.collection, **headers)
        (await smf.create(smf.messages.create(ask(smf.groups.data)), fields)).must_be(201)

    add_case(identifier, title, clause, play)


_add_taken(
    "http.content_type.charset",
    "A content type with a parameter is JSON too",
    "RFC 9110 8.3.1; RFC 8259 11",
    content_type=b"application/json; charset=utf-8",
)
_add_taken(
    "http.content_type.case",
    "A content type in capitals is the same type",
    "RFC 9110 8.3.1",
    content_type=b"Application/JSON",
)
_add_taken("http.accept.json", "Accept names JSON only", CONTENT, accept=b"application/json")
_add_taken("http.accept.any", "Accept takes anything", "RFC 9110 12.5.1", accept=b"*/*")
_add_taken("http.accept.none", "Accept is not there", "RFC 9110 12.5.1", accept=None)
_add_taken(
    "http.accept.weights",
    "Accept has weights and other types",
    "RFC 9110 12.5.1",
    accept=b"application/problem+json;q=0.5, text/html;q=0.1, application/json",
)
_add_taken(
    "http.header.unknown",
    "Header fields that nobody knows are ignored",
    "RFC 9110 5.1",
    x_future=b"1",
    priority=b"u=1",
    user_agent=b"SMF-check",
)


@case("http.header.sbi", "The header fields of the service based interface are taken", "TS 29.500 5.2.3.2")
async def _sbi(smf: Smf) -> None:
    fields = smf.headers(smf.settings.collection)
    fields += [
        (b"3gpp-sbi-message-priority", b"10"),
        (b"3gpp-sbi-sender-timestamp", b"Sun, 22 Nov 2026 10:00:00.123 GMT"),
        (b"3gpp-sbi-max-rsp-time", b"10000"),
        (b"3gpp-sbi-correlation-info", smf.settings.subscriber.encode()),
    ]
    (await smf.create(smf.messages.create(ask(smf.groups.data)), fields)).must_be(201)


@case(
    "http.content_type.none", "Without a content type the message is taken, or refused with 400 or 415", "RFC 9110 8.3"
)
async def _no_content_type(smf: Smf) -> None:
    fields = smf.headers(smf.settings.collection, content_type=None)
    (await smf.create(smf.messages.create(ask(smf.groups.data)), fields)).must_be(201, 400, 415)


@case("http.content_type.wrong", "A body that says it is XML is answered 415", "RFC 9110 15.5.16; TS 29.500 5.2.7.2")
async def _wrong_content_type(smf: Smf) -> None:
    fields = smf.headers(smf.settings.collection, content_type=b"application/xml")
    (await smf.create(smf.messages.create(ask(smf.groups.data)), fields)).must_be(415)


def _add_method(identifier: str, title: str, method: bytes, suffix: str = "") -> None:
    async def play(smf: Smf) -> None:
        path = smf.settings.collection + suffix
        answer = await smf.send(path, b"", smf.headers(path, method=method, content_type=None))
        answer.must_be(405, 501)

    add_case(identifier, title, METHOD, play)


_add_method("http.method.get", "GET of the collection is answered 405", b"GET")
_add_method("http.method.delete", "DELETE of the collection is answered 405", b"DELETE")
_add_method("http.method.update", "GET of an Update is answered 405", b"GET", "/smfleet-no-such-session/update")


@case("http.method.allow", "405 says in Allow what is possible", METHOD)
async def _allow(smf: Smf) -> None:
    path = smf.settings.collection
    answer = await smf.send(path, b"", smf.headers(path, method=b"GET", content_type=None))
    if answer.status == 501:
        raise NotSupportedError("answered 501, which needs no Allow")
    answer.must_be(405)
    allowed = (answer.header(b"allow") or b"").decode("latin-1")
    answer.must("POST" in allowed, "Allow with POST", allowed or "no Allow")


@case("http.path.unknown", "A path that is none of the API is answered 404", PATH)
async def _unknown_path(smf: Smf) -> None:
    message = smf.messages.create(ask(smf.groups.data))
    (await smf.send("/nchf-convergedcharging/v3/smfleet", message)).must_be(400, 404)


@case("http.path.version", "A version that the API does not have is answered 404, or 400 INVALID_API", PATH)
async def _version(smf: Smf) -> None:
    (await smf.send("/nchf-convergedcharging/v99/chargingdata", smf.messages.create(ask(smf.groups.data)))).must_be(
        400, 404
    )


@case("http.path.operation", "An operation that no session has is answered 404", PATH)
async def _operation(smf: Smf) -> None:
    session = await smf.data_session()
    (await smf.send(f"{session.path}/smfleet", session.report(ask(smf.groups.data)))).must_be(404, 405)


@case(
    "http.body.groups",
    "A Create with 64 rating groups: each that asks has at most one answer",
    "TS 32.291 6.1.6.2 (ChargingDataRequest)",
)
async def _groups(smf: Smf) -> None:
    groups = [smf.groups.data, *range(smf.groups.unknown, smf.groups.unknown + 63)]
    answer = await smf.create(smf.messages.create(*(ask(group) for group in groups)))
    answer.must_succeed_or_be_refused()
    if answer.succeeded:
        rules = [Rule.TWO_ANSWERS_FOR_GROUP, Rule.GRANT_NOT_ASKED_FOR]
        answer.must_keep(rules, Operation.CREATE, 0, groups)


@case("http.body.large", "An Update of 100 KB, with many containers", "TS 29.500 5.2.1; RFC 9113 5.2")
async def _large(smf: Smf) -> None:
    session = await smf.data_session()
    (await session.update(_large_usage(smf))).must_be(200)


def _large_usage(smf: Smf) -> Json:
    containers: list[Json] = []
    size = 0
    while size < _LARGE_OCTETS:
        containers.append(container(len(containers) + 1, totalVolume=1, uplinkVolume=0, downlinkVolume=1))
        size += len(orjson.dumps(containers[-1]))
    return {"ratingGroup": smf.groups.data, "requestedUnit": {}, "usedUnitContainer": containers}


@case("http.body.too_large", "2.5 MB are taken, or answered 413 or 400: not dropped, no 5xx", "RFC 9110 15.5.14")
async def _too_large(smf: Smf) -> None:
    message = smf.messages.create(ask(smf.groups.data), padding="x" * _TOO_LARGE_OCTETS)
    (await smf.create(message)).must_be(201, 400, 413)


@case("http.body.too_large.after", "After a body that was too large, the CHF goes on", "RFC 9110 15.5.14; RFC 9113 8.1")
async def _after_too_large(smf: Smf) -> None:
    message = smf.messages.create(ask(smf.groups.data), padding="x" * _TOO_LARGE_OCTETS)
    try:
        await smf.create(message)
    except DeviationError as error:
        if error.found[0].exchange is None:
            raise
    (await smf.create(smf.messages.create(ask(smf.groups.data)))).must_be(201)


@case("http.body.gzip", "A body that is compressed with gzip", "TS 29.500 6.9; RFC 9110 8.4")
async def _gzip(smf: Smf) -> None:
    fields = smf.headers(smf.settings.collection, content_encoding=b"gzip")
    answer = await smf.create(gzip.compress(orjson.dumps(smf.messages.create(ask(smf.groups.data)))), fields)
    if answer.status in (400, 415):  # it MAY refuse a coding that it does not take (RFC 9110 8.4)
        raise NotSupportedError(f"answered {answer.summary()}")
    answer.must_be(201)


@case("http.body.length", "content-length is taken where it is true", "RFC 9113 8.1.1")
async def _length(smf: Smf) -> None:
    body = orjson.dumps(smf.messages.create(ask(smf.groups.data)))
    fields = smf.headers(smf.settings.collection, content_length=str(len(body)).encode())
    (await smf.create(body, fields)).must_be(201)


@case("http.header.many", "20 KB of header fields (HEADERS and CONTINUATION), or 431", "RFC 9113 6.10; RFC 6585 5")
async def _many_headers(smf: Smf) -> None:
    fields = smf.headers(smf.settings.collection)
    fields += [(f"x-future-{number}".encode(), bytes([97 + number % 26]) * 1000) for number in range(20)]
    (await smf.create(smf.messages.create(ask(smf.groups.data)), fields)).must_be(201, 431)


@case("http.header.case", "A field name in capitals is malformed", "RFC 9113 8.2.1")
async def _case(smf: Smf) -> None:
    fields = [*smf.headers(smf.settings.collection), (b"X-Capitals", b"1")]
    try:
        answer = await smf.create(smf.messages.create(ask(smf.groups.data)), fields)
    except DeviationError as error:
        if error.found[0].found.startswith("no answer within"):
            raise
        return  # a stream error, as the RFC has it
    answer.must_be(400, clause="RFC 9113 8.1.1, 8.2.1")


@case("http.header.method", "A request without :method is malformed", "RFC 9113 8.3.1")
async def _no_method(smf: Smf) -> None:
    fields = smf.headers(smf.settings.collection, method=None)
    try:
        answer = await smf.create(smf.messages.create(ask(smf.groups.data)), fields)
    except DeviationError as error:
        if error.found[0].found.startswith("no answer within"):
            raise
        return
    answer.must_be(400, clause="RFC 9113 8.1.1, 8.3.1")


@case("http.trailers", "Trailers after the body are taken", "RFC 9113 8.1; RFC 9110 6.5")
async def _trailers(smf: Smf) -> None:
    message = smf.messages.create(ask(smf.groups.data))
    (await smf.create(message, trailers=[(b"x-checksum", b"0")])).must_be(201)
