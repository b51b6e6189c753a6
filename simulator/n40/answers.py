"""What a CHF answered, and what a charging trigger function does about it (TS 32.291 6.1, TS 32.290 5.4.4)."""

from __future__ import annotations

import re
from enum import IntEnum, StrEnum
from typing import Final

import msgspec
import orjson

from simulator.n40.failure import Trouble, trouble_of
from simulator.n40.grants import GroupAnswer, ResultError, Success, decode_success
from simulator.n40.request import Operation

MAX_LOCATION: Final = 2048
NO_REFERENCE: Final = (b"", b"chargingdata")
"""Last segments of a Location that names no session: free5GC answers an event with that of the collection."""
WRONG_SEQUENCE: Final = "WRONG_SEQUENCE_NUMBER"
GRANT_NOT_ASKED_FOR: Final = "GRANT_NOT_ASKED_FOR"
GRANT_TOO_MUCH: Final = "GRANT_TOO_MUCH"
GRANT_AFTER_FINAL: Final = "GRANT_AFTER_FINAL_UNIT"
"""What a CHF must not do: answer another question, grant what nobody asked for, debit more than one event asks for, or grant
after the final units."""
NOT_IN_A_URI: Final = re.compile(rb"[^!-~]")


class Outcome(StrEnum):
    """How a request ended, for the figures: `DENIED` means that the CHF did its job and said no."""

    OK = "ok"
    DENIED = "denied"
    FAILED = "failed"

    __hash__ = str.__hash__  # see Operation


class Action(IntEnum):
    """What the session does next."""

    GO_ON = 0
    END = 1  # no service
    UNCHARGED = 2  # CHARGING_NOT_APPLICABLE
    NO_CREDIT = 3  # QUOTA_LIMIT_REACHED for the whole request
    GONE = 4  # the CHF does not know the session
    WRONG_MESSAGE = 5  # this message was refused as such: end
    FAILURE = 6  # failure handling


CAUSES: Final = {
    "CHARGING_FAILED": Action.END,
    "RE_AUTHORIZATION_FAILED": Action.END,
    "END_USER_REQUEST_DENIED": Action.END,
    "END_USER_REQUEST_REJECTED": Action.END,
    "END_USER_SERVICE_DENIED": Action.END,
    "END_USER_SERVICE_REJECTED": Action.END,
    "USER_UNKNOWN": Action.END,
    "CHARGING_NOT_APPLICABLE": Action.UNCHARGED,
    "QUOTA_LIMIT_REACHED": Action.NO_CREDIT,
    "CONTEXT_NOT_FOUND": Action.GONE,
}
"""By cause first: CHFs disagree on the status that one cause travels in."""

# Globals, because looking up an enum's member costs ten times as much.
_GO_ON: Final = Action.GO_ON
_FAILURE: Final = Action.FAILURE
_OK: Final = Outcome.OK
_CREATE: Final = Operation.CREATE
_RELEASE: Final = Operation.RELEASE


NOT_PROCESSED: Final = frozenset(
    {"NF_CONGESTION", "NF_CONGESTION_RISK", "INSUFFICIENT_RESOURCES", "TARGET_NF_NOT_REACHABLE"}
)
"""Causes of TS 29.500 5.2.7.2 with which a request is turned away before anything came of it. The statuses 401, 429 and 3xx
say so by themselves (RFC 9110 15.4, 15.5.2, RFC 6585 4)."""


class ChargingAnswer:
    """An answer, read. `cause` names what went wrong, "" if nothing did; `detail` is the CHF's own text, for people.

    `reference` is the ChargingDataRef, `path` its resource path where that is not the usual one, `origin` scheme and authority
    where Location was an absolute URI. `sequence` is the number that it answers, None where it does not say; `settings` the whole
    answer, where it says something about the session; `broken` a promise that the CHF breaks with it.
    """

    __slots__ = (
        "action", "broken", "cause", "detail", "groups", "origin", "outcome", "path", "reference", "repeats", "sequence",
        "settings", "status",
    )  # fmt: skip

    def __init__(self, status: int, action: Action, outcome: Outcome, cause: str = "", detail: str = "") -> None:
        self.status = status
        self.action = action
        self.outcome = outcome
        self.cause = cause
        self.detail = detail
        self.groups: list[GroupAnswer] = []
        self.reference = b""
        self.path = b""
        self.origin: bytes | None = None
        self.repeats = 0  # attempts before this one that the CHF may have processed
        self.sequence: int | None = None
        self.settings: Success | None = None
        self.broken = ""

    @property
    def may_have_charged(self) -> bool:
        """Whether the CHF may have charged what this answer does not confirm.

        A refusal says that it did not, any other failure says nothing, unless it is `unprocessed`. Where it answers a repeat, an
        earlier attempt may have been charged, whatever it says.
        """
        return self.repeats > 0 or (self.action is _FAILURE and not self.unprocessed)

    @property
    def unprocessed(self) -> bool:
        """Whether it says that its request was not processed: by its status, or by what TS 29.500 says about its cause."""
        status = self.status
        return status in (401, 429) or 300 <= status < 400 or self.cause in NOT_PROCESSED


def trouble_of_answer(answer: ChargingAnswer) -> Trouble:
    """What kind of trouble an answer tells that is a failure."""
    return Trouble.UNREADABLE if 200 <= answer.status < 300 else trouble_of(answer.status)


class UnreadableError(ValueError):
    """An answer that cannot be understood; the message says why."""


def read_answer(operation: Operation, status: int, location: bytes | None, body: bytes) -> ChargingAnswer:
    """Read an answer of any CHF; what cannot be read becomes a failure, never an exception.

    `location` is the Location header of a Create or Update answer, None if there was none.
    """
    try:
        if 200 <= status < 300:
            return _read_success(operation, status, location, body)
        return _read_problem(operation, status, body)
    except UnreadableError as error:
        return ChargingAnswer(status, Action.FAILURE, Outcome.FAILED, "UNREADABLE_ANSWER", str(error))


def _read_success(operation: Operation, status: int, location: bytes | None, body: bytes) -> ChargingAnswer:
    answer = ChargingAnswer(status, _GO_ON, _OK)
    if operation is _RELEASE:
        return answer  # 204 by the book, 200 with any body in the wild: either way it is released
    try:
        success = decode_success(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError(f"the body is not readable: {error}" if body else "the body is empty") from None
    result = success.invocationResult
    if result is not None and result.error is not None:
        refused = _read_result(status, result.error)
        if refused is not None:
            return refused
    sequence = success.invocationSequenceNumber
    if sequence is not None:
        answer.sequence = sequence if type(sequence) is int and 0 <= sequence < 1 << 32 else -1
    if (
        result is not None
        or success.sessionFailover is not None
        or success.triggers is not None
        or success.pDUSessionChargingInformation is not None
    ):
        answer.settings = success
    groups = success.multipleUnitInformation
    if groups:
        answer.groups = groups
        for group in groups:
            if group.resultCode != "SUCCESS" and group.refused:
                answer.outcome = Outcome.DENIED
    if location is not None:
        try:
            _read_location(location, answer)
        except UnreadableError:
            if operation is not Operation.EVENT:  # that is over; some CHFs leave its reference empty
                raise
    elif operation is _CREATE:
        raise UnreadableError("the answer to Create has no Location, so the session cannot be addressed")
    return answer


def _read_result(status: int, error: ResultError) -> ChargingAnswer | None:
    """Some CHFs wrap a cause in a status of success; a cause that is none of charging changes nothing."""
    action = CAUSES.get(error.cause or "")
    if action is None:
        return None
    return ChargingAnswer(status, action, Outcome.DENIED, error.cause or "", (error.detail or error.title or "")[:500])


def _read_location(location: bytes, answer: ChargingAnswer) -> None:
    """Location is an absolute URI, an absolute path, or in the wild the bare reference (RFC 9110 10.2.2)."""
    answer.origin, path = _split(location)
    path = path.rstrip(b"/")
    answer.reference = path.rpartition(b"/")[2]
    if answer.reference.lower() in NO_REFERENCE:
        answer.reference = b""
        raise UnreadableError("Location names no charging session")
    if path.startswith(b"/"):
        answer.path = path


def _split(location: bytes) -> tuple[bytes | None, bytes]:
    """Origin, where it is an absolute URI, and path."""
    if not location or len(location) > MAX_LOCATION or NOT_IN_A_URI.search(location):
        raise UnreadableError("Location is empty, too long, or holds characters that no URI has")
    scheme, separator, rest = location.partition(b"://")
    if not separator:
        return None, location
    if scheme.lower() not in (b"http", b"https"):
        raise UnreadableError("Location has a scheme other than http and https")
    authority, slash, tail = rest.partition(b"/")
    if not authority:
        raise UnreadableError("Location has a scheme and no authority")
    return scheme.lower() + b"://" + authority.lower(), slash + tail


def split_location(location: bytes) -> tuple[bytes | None, bytes] | None:
    """Origin and path of a redirect's Location; None for one that cannot be followed."""
    try:
        origin, path = _split(location)
    except UnreadableError:
        return None
    return (origin, path) if path.startswith(b"/") else None


def _read_problem(operation: Operation, status: int, body: bytes) -> ChargingAnswer:
    """Error bodies can be problem+json, empty, mislabelled, or a ChargingDataResponse: whatever holds a cause is read."""
    cause, detail = _cause_of(body)
    action = CAUSES.get(cause)
    if action is None:
        action = _action_by_status(operation, status)
    if action is Action.FAILURE:
        return ChargingAnswer(status, action, Outcome.FAILED, cause or f"HTTP_{status}", detail)
    named = cause or ("CONTEXT_NOT_FOUND" if action is Action.GONE else f"HTTP_{status}")
    # Only who knows charging can deny it: an answer without a cause of charging may be any web server's.
    outcome = Outcome.DENIED if cause in CAUSES or action is Action.GONE else Outcome.FAILED
    return ChargingAnswer(status, action, outcome, named, detail)


def _cause_of(body: bytes) -> tuple[str, str]:
    try:
        problem = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "", ""
    if not isinstance(problem, dict):
        return "", ""
    result = problem.get("invocationResult")
    if isinstance(result, dict) and isinstance(result.get("error"), dict):
        problem = result["error"]
    cause, detail = problem.get("cause"), problem.get("detail") or problem.get("title")
    return (cause[:100] if isinstance(cause, str) else ""), (detail[:500] if isinstance(detail, str) else "")


def _action_by_status(operation: Operation, status: int) -> Action:
    if status in (404, 410) and operation in (Operation.UPDATE, Operation.RELEASE):
        return Action.GONE
    if status in (401, 408, 429) or status >= 500 or status < 400:
        return Action.FAILURE
    return Action.WRONG_MESSAGE
