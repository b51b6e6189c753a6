"""What came of a case: pass, a deviation, or not supported; and the exchanges that show it, with secrets removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from simulator.http2 import Header

MOST_BODY_SHOWN: Final = 4_000
MOST_EXCHANGES_KEPT: Final = 30
_SECRETS: Final = frozenset({b"authorization", b"cookie", b"set-cookie", b"proxy-authorization"})


class Verdict(StrEnum):
    """What came of a case."""

    PASS = "pass"  # noqa: S105 - a verdict
    DEVIATION = "deviation"
    NOT_SUPPORTED = "not supported"


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One request and what came back: an answer, or the failure to get one."""

    headers: Sequence[Header]
    body: bytes
    status: int = 0
    answer_headers: Sequence[Header] = ()
    answer_body: bytes = b""
    failure: str = ""
    seconds: float = 0.0
    from_chf: bool = False
    """A notification: the CHF's request, and the check's answer."""

    def document(self) -> dict[str, Any]:
        """For JSON; secrets are not in it."""
        request = {"headers": _shown_headers(self.headers), "body": shown_body(self.body)}
        if self.failure:
            return {"request": request, "failure": self.failure}
        answer = {
            "status": self.status,
            "headers": _shown_headers(self.answer_headers),
            "body": shown_body(self.answer_body),
            "milliseconds": round(self.seconds * 1000, 3),
        }
        return {"request": request, "answer": answer}


def _shown_headers(headers: Sequence[Header]) -> list[list[str]]:
    return [
        [name.decode("latin-1"), "(removed)" if name.lower() in _SECRETS else value[:500].decode("latin-1")]
        for name, value in headers
    ]


def shown_body(body: bytes) -> str:
    """A body as text, shortened where it is long."""
    text = body[:MOST_BODY_SHOWN].decode("utf-8", "backslashreplace")
    return text if len(body) <= MOST_BODY_SHOWN else f"{text}… ({len(body):,} octets)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One deviation: what the clause demands, and what came instead."""

    clause: str
    expected: str
    found: str
    exchange: Exchange | None = None


class DeviationError(Exception):
    """Raised in a case: it ends there."""

    def __init__(self, *found: Found) -> None:
        super().__init__(found[0].expected)
        self.found = found


class NotSupportedError(Exception):
    """Raised in a case: the charging function says, in a way it may, that it does not do this."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """What came of one case."""

    id: str
    title: str
    clause: str
    verdict: Verdict
    found: Sequence[Found] = ()
    reason: str = ""
    """Why it is not supported."""
    exchanges: Sequence[Exchange] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """A whole check."""

    target: str
    cases: Sequence[CaseResult] = field(default_factory=tuple)
    seconds: float = 0.0

    def count(self, verdict: Verdict) -> int:
        """How many cases ended like that."""
        return sum(case.verdict is verdict for case in self.cases)

    @property
    def passed(self) -> bool:
        """No deviation."""
        return self.count(Verdict.DEVIATION) == 0
