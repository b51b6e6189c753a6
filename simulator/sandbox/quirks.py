"""Makes a charging function by the book behave like one in the field: each quirk changes requests before, or answers after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson

from simulator.config import Quirks
from simulator.sandbox.answers import Header, Problem, Reply

Json = dict[str, Any]

_JSON_TYPES: Final = (b"application/json", b"application/*", b"*/*")


class Quirky:
    """Treats the requests and answers of one charging function. `stamp(now)` writes the time of an answer."""

    def __init__(self, quirks: Quirks, stamp: Callable[[int], bytes]) -> None:
        self._quirks = quirks
        self._stamp = stamp

    def before(self, operation: str, headers: Sequence[Header], body: bytes) -> bytes | Reply:
        """The body that is charged, or an answer instead."""
        quirks = self._quirks
        if quirks.refuses_problem_only and not _accepts_json(headers):
            return Reply(406, [], b"")
        if operation != "create" or not (quirks.needs_unit_usage or quirks.grants_only_on_update):
            return body
        request = _object(body)
        if request is None:
            return body
        if quirks.needs_unit_usage and not request.get("multipleUnitUsage"):
            missing = [("/multipleUnitUsage", "missing")]
            return Problem(400, "MANDATORY_IE_MISSING", "/multipleUnitUsage: missing", invalid=missing).reply()
        if quirks.grants_only_on_update:
            for usage in _objects(request.get("multipleUnitUsage")):
                usage.pop("requestedUnit", None)
            return orjson.dumps(request)
        return body

    def after(self, operation: str, path: bytes, body: bytes, reply: Reply, now: int) -> Reply:
        """The answer as this charging function gives it."""
        if reply.status >= 400:
            return self._problem(reply)
        if operation == "release" and self._quirks.release_with_body:
            reply = self._with_body(body, now)
        headers = reply.headers
        if operation == "update" and self._quirks.location_on_update and reply.header(b"location") is None:
            session = path.removesuffix(b"/update")
            bare = self._quirks.location == "bare"
            headers = [*headers, (b"location", session.rpartition(b"/")[2] if bare else session)]
        if operation == "event" and self._quirks.empty_event_reference:
            headers = [(name, _without_reference(value) if name == b"location" else value) for name, value in headers]
        return Reply(reply.status, headers, self._body(reply.body))

    def _problem(self, reply: Reply) -> Reply:
        details = _object(reply.body) or {}
        if self._quirks.unknown_reference_empty and details.get("cause") == "CONTEXT_NOT_FOUND":
            return Reply(reply.status, [], b"")
        if self._quirks.bare_problems and reply.body:
            return Reply(reply.status, reply.headers, orjson.dumps({"status": reply.status}))
        return reply

    def _with_body(self, body: bytes, now: int) -> Reply:
        request = _object(body) or {}
        answer = {
            "invocationTimeStamp": self._stamp(now).decode(),
            "invocationSequenceNumber": request.get("invocationSequenceNumber", 0),
        }
        return Reply(200, [(b"content-type", b"application/json")], orjson.dumps(answer))

    def _body(self, body: bytes) -> bytes:
        quirks = self._quirks
        if not body or not (quirks.timestamps_without_zone or quirks.empty_final_unit):
            return body
        answer = _object(body)
        if answer is None:
            return body
        if quirks.timestamps_without_zone:
            answer["invocationTimeStamp"] = answer["invocationTimeStamp"].removesuffix("Z")
        if quirks.empty_final_unit:
            for information in _objects(answer.get("multipleUnitInformation")):
                if "grantedUnit" in information:
                    information["finalUnitIndication"] = {"finalUnitAction": ""}
        return orjson.dumps(answer)


def _accepts_json(headers: Sequence[Header]) -> bool:
    accepted = [value for name, value in headers if name == b"accept"]
    types = [part.partition(b";")[0].strip().lower() for value in accepted for part in value.split(b",")]
    return not types or any(each in _JSON_TYPES for each in types)


def _without_reference(location: bytes) -> bytes:
    return location[: location.rfind(b"/") + 1]


def _object(body: bytes) -> Json | None:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def _objects(entries: object) -> list[Json]:
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
