"""A request that a charging session wants sent."""

from __future__ import annotations

from enum import StrEnum

import orjson


class Operation(StrEnum):
    """What a request does at the CHF (TS 32.290 6.2); `EVENT` is a Create with oneTimeEvent."""

    CREATE = "create"
    UPDATE = "update"
    RELEASE = "release"
    EVENT = "event"

    __hash__ = str.__hash__  # Enum's own is a Python function, and series are looked up by operation for every request


class Request:
    """One message of a charging session, before it becomes attempts on the wire.

    `due` is the intended moment in session time: when its trigger fired, or when the answer that it had to wait for came.
    `origin` is the scheme and authority that the CHF's Location named (`b"http://chf:80"`), None for the configured target.
    `repeated`: the CHF may have processed it before.
    """

    __slots__ = ("body", "due", "id", "operation", "origin", "path", "repeated", "sequence")

    def __init__(
        self,
        request_id: int,
        operation: Operation,
        due: int,
        sequence: int,
        path: bytes,
        body: bytes,
        origin: bytes | None = None,
    ) -> None:
        self.id = request_id
        self.operation = operation
        self.due = due
        self.sequence = sequence
        self.path = path
        self.body = body
        self.origin = origin
        self.repeated = False

    def __repr__(self) -> str:
        return f"Request({self.operation} {self.sequence} {self.path.decode()} due={self.due})"


def asked_for(body: bytes) -> list[int]:
    """The rating groups for which a request has a requestedUnit."""
    usages = orjson.loads(body).get("multipleUnitUsage", ())
    return [usage["ratingGroup"] for usage in usages if "requestedUnit" in usage]
