"""What a CHF notifies a charging trigger function of, and what that answers (TS 32.291 6.1.5.2, TS 29.500 5.2.7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import orjson

MAX_BODY: Final = 65_536
MAX_DETAILS: Final = 256
MAX_INVALID_PARAMS: Final = 16
UINT32: Final = 0xFFFFFFFF

Reply = tuple[int, list[tuple[bytes, bytes]], bytes]
"""Status, header fields, body."""

_TITLES: Final = {
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Payload Too Large",
    415: "Unsupported Media Type",
}


class NotificationKind(StrEnum):
    """TS 32.291 NotificationType."""

    REAUTHORIZATION = "REAUTHORIZATION"
    ABORT_CHARGING = "ABORT_CHARGING"

    __hash__ = str.__hash__  # that of an enum is a call into Python


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """What the CHF wants of a session; `rating_groups` None means all of them."""

    kind: NotificationKind
    rating_groups: tuple[int, ...] | None = None


class NotifyProblem(Exception):  # noqa: N818 - the specification's word (RFC 9457)
    """A notification that is answered with ProblemDetails. `invalid` is (JSON pointer, reason) pairs."""

    def __init__(
        self,
        status: int,
        cause: str | None,
        detail: str,
        *,
        invalid: Sequence[tuple[str, str]] = (),
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.cause = cause
        self.detail = detail
        self.invalid = invalid
        self.headers = headers

    def reply(self) -> Reply:
        """The answer with its `application/problem+json` body."""
        details: dict[str, object] = {"title": _TITLES[self.status], "status": self.status, "detail": self.detail}
        if self.cause is not None:
            details["cause"] = self.cause
        if self.invalid:
            told = self.invalid[:MAX_INVALID_PARAMS]
            details["invalidParams"] = [{"param": param, "reason": reason} for param, reason in told]
        return self.status, [(b"content-type", b"application/problem+json"), *self.headers], orjson.dumps(details)


def read_notification(body: bytes) -> Notification:
    """Read a ChargingNotifyRequest; members that nobody knows are ignored. Raises NotifyProblem."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise NotifyProblem(400, "INVALID_MSG_FORMAT", f"the body is not JSON: {error}") from None
    if type(document) is not dict:
        raise NotifyProblem(400, "INVALID_MSG_FORMAT", "the body is not a JSON object")
    given = document.get("notificationType")
    kind = _KINDS.get(given) if type(given) is str else None
    if kind is None:
        raise _wrong_kind(given)
    details = document.get("reauthorizationDetails")
    if not details:
        if details is not None and type(details) is not list:
            raise _not_a_list()
        return _OF_ALL[kind]
    return Notification(kind=kind, rating_groups=_rating_groups(details))


def _rating_groups(details: object) -> tuple[int, ...] | None:
    """Rating groups in order, each once; None if one detail names none, because it means more than the others name."""
    if type(details) is not list:
        raise _not_a_list()
    if len(details) > MAX_DETAILS:
        raise _wrong("OPTIONAL_IE_INCORRECT", "/reauthorizationDetails", f"must have at most {MAX_DETAILS} entries")
    groups: dict[int, None] = {}
    for_all = False
    for i, detail in enumerate(details):
        if type(detail) is not dict:
            raise _wrong("OPTIONAL_IE_INCORRECT", f"/reauthorizationDetails/{i}", "must be an object")
        group = detail.get("ratingGroup")
        if group is None:
            for_all = True
        elif type(group) is int and 0 <= group <= UINT32:
            groups[group] = None
        else:
            pointer = f"/reauthorizationDetails/{i}/ratingGroup"
            raise _wrong("OPTIONAL_IE_INCORRECT", pointer, "must be an integer from 0 to 4294967295")
    return None if for_all else tuple(groups)


def _wrong_kind(given: object) -> NotifyProblem:
    if given is None:
        return _wrong("MANDATORY_IE_MISSING", "/notificationType", "missing")
    return _wrong("MANDATORY_IE_INCORRECT", "/notificationType", f"must be {' or '.join(NotificationKind)}")


def _not_a_list() -> NotifyProblem:
    return _wrong("OPTIONAL_IE_INCORRECT", "/reauthorizationDetails", "must be an array")


def _wrong(cause: str, pointer: str, reason: str) -> NotifyProblem:
    return NotifyProblem(400, cause, f"{pointer}: {reason}", invalid=[(pointer, reason)])


def answer(known: bool) -> Reply:
    """What a notification is answered that could be read; `known`: there is such a session."""
    return _NO_CONTENT if known else _UNKNOWN


_KINDS: Final[dict[str, NotificationKind]] = {kind.value: kind for kind in NotificationKind}
_OF_ALL: Final = {kind: Notification(kind=kind) for kind in NotificationKind}
_NO_CONTENT: Final[Reply] = (204, [], b"")
_UNKNOWN: Final = NotifyProblem(404, "CONTEXT_NOT_FOUND", "there is no such charging session here").reply()
