"""Answers that a charging function by the book does not give: refusals, redirections, and answers that are damaged."""

from __future__ import annotations

import re
import time
from collections import Counter
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Final

import orjson

from simulator.config import Fault
from simulator.config.faults import Overload, Redirect, StatusAnswer
from simulator.sandbox.answers import Header, Reply

INSTANCE: Final = "b8f5c9d2-6a3e-4f17-9c41-2d7e5a0b1c34"
"""The sandbox's nfInstanceId, where a header has to name one."""

_SEQUENCE: Final = re.compile(rb'("invocationSequenceNumber":)(\d+)')


def refusal(status: StatusAnswer) -> Reply:
    """4xx or 5xx with ProblemDetails (TS 29.500 5.2.7)."""
    headers: list[Header] = []
    if status.retry_after is not None:
        headers.append((b"retry-after", b"%d" % status.retry_after))
    if status.oci is not None:
        headers.append(overload(status.oci))
    if status.empty:
        return Reply(status.code, headers, b"")
    details: dict[str, Any] = {"type": "about:blank", "title": _title(status.code), "status": status.code}
    if status.detail:
        details["detail"] = status.detail
    if status.cause is not None:
        details["cause"] = status.cause
    return Reply(status.code, [(b"content-type", b"application/problem+json"), *headers], orjson.dumps(details))


def _next(found: re.Match[bytes]) -> bytes:
    return b"%b%d" % (found[1], int(found[2]) + 1)


def _title(code: int) -> str:
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return "Error"


def congestion() -> Reply:
    """The queue is full."""
    return refusal(StatusAnswer(code=503, cause="NF_CONGESTION", detail="all servers are busy, and the queue is full"))


def redirection(redirect: Redirect, location: str) -> Reply:
    """307 or 308 (TS 29.500 6.10.9)."""
    headers = [(b"location", location.encode())]
    if redirect.target_nf is not None:
        headers.append((b"3gpp-sbi-target-nf-id", f"nfinst={redirect.target_nf}".encode()))
    return Reply(redirect.code, headers, b"")


def overload(oci: Overload) -> Header:
    """3gpp-Sbi-Oci (TS 29.500 5.2.3.2.9)."""
    stamp = formatdate(time.time(), usegmt=True)
    value = (
        f'Timestamp: "{stamp}"; Period-of-Validity: {oci.validity}s; '
        f"Overload-Reduction-Metric: {round(oci.reduction * 100)}%; NF-Instance: {INSTANCE}"
    )
    return (b"3gpp-sbi-oci", value.encode())


def damaged(reply: Reply, fault: Fault, counts: Counter[str]) -> Reply:
    """The answer as the fault leaves it; an answer that has nothing to be damaged stays as it is and is not counted."""
    if fault.overload is not None:
        counts["overload"] += 1
        return Reply(reply.status, [*reply.headers, overload(fault.overload)], reply.body)
    if not reply.body or (fault.kind in ("content_type", "wrong_sequence") and reply.status >= 300):
        return reply
    counts[fault.kind] += 1
    if fault.truncate is not None:
        return Reply(reply.status, reply.headers, reply.body[: len(reply.body) // 2])
    if fault.garbage is not None:
        return Reply(reply.status, reply.headers, b"{]" + reply.body[::-1])
    if fault.wrong_sequence is not None:
        return Reply(reply.status, reply.headers, _SEQUENCE.sub(_next, reply.body, count=1))
    headers = [(name, value) for name, value in reply.headers if name != b"content-type"]
    return Reply(reply.status, [*headers, (b"content-type", (fault.content_type or "").encode())], reply.body)
