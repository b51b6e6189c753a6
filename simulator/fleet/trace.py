"""The call flow of one subscriber, for people: every attempt, every answer, every notification, as they happen."""

from __future__ import annotations

from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from typing import Any, Final

import orjson

from simulator.fleet.session import LiveSession
from simulator.fleet.shown import attempt_of, shown_answer, shown_request
from simulator.http2 import Answer, Exchange, Failure
from simulator.n40 import Request

MOST_SUBSCRIBERS: Final = 16
MOST_OCTETS: Final = 64 << 20
"""Of one file; what comes later is left out, and the file says so."""
MOST_BODY: Final = 1 << 20
"""Characters of a body."""


class TraceFile:
    """One subscriber's file. It is opened with its first line; one that cannot be written is given up, and `problem` says why."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: FileIO | None = None
        self._octets = 0
        self.problem = ""

    def write(self, text: str) -> None:
        """Append, at once."""
        if self.problem or self._octets > MOST_OCTETS:
            return
        octets = text.encode()
        self._octets += len(octets)
        if self._octets > MOST_OCTETS:
            octets = f"\nThe rest is left out: a trace has {MOST_OCTETS >> 20} MiB at most.\n".encode()
        left = memoryview(octets)
        try:
            if self._file is None:
                self._file = self._path.open("ab", buffering=0)
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            self.problem = f"{self._path.name} cannot be written: {error.strerror or error}"

    def close(self) -> None:
        """Nothing more will come."""
        if self._file is not None:
            self._file.close()


class Trace:
    """Follows some subscribers, by number. `t0` is the start of the load (monotonic ns)."""

    def __init__(self, t0: int, files: Mapping[int, TraceFile]) -> None:
        self._t0 = t0
        self._files = files

    def sent(self, live: LiveSession, request: Request, exchange: Exchange, now: int) -> None:
        """An attempt is handed to the connections."""
        file = self._files.get(live.session.subscriber)
        if file is not None:
            title = f"-> {self._title(live, request)}  CHF {live.chf + 1}  attempt {attempt_of(live)}"
            file.write(self._entry(now, title, shown_request(exchange, MOST_BODY)))

    def done(self, live: LiveSession, request: Request, exchange: Exchange, result: Answer | Failure, now: int) -> None:
        """It was answered, or failed."""
        file = self._files.get(live.session.subscriber)
        if file is None:
            return
        latency = f"{(now - exchange.sent) / 1e6:.3f} ms" if exchange.sent else "never sent"
        title = f"<- {self._title(live, request)}  "
        if isinstance(result, Answer):
            shown = shown_answer(exchange, result, MOST_BODY)
            file.write(self._entry(now, f"{title}{result.status}  {latency}", shown))
        else:
            file.write(self._entry(now, f"{title}no answer: {result.kind} ({result.detail})  {latency}", None))

    def notified(self, live: LiveSession, rating_groups: tuple[int, ...] | None, now: int, *, abort: bool) -> None:
        """The CHF notifies a session."""
        file = self._files.get(live.session.subscriber)
        if file is not None:
            what = "ABORT_CHARGING" if abort else "REAUTHORIZATION"
            groups = "all" if rating_groups is None else ", ".join(map(str, rating_groups)) or "none"
            title = f"<- notify {what}  {live.usage.name}  session {live.number}  rating groups: {groups}"
            file.write(self._entry(now, title, None))

    @staticmethod
    def _title(live: LiveSession, request: Request) -> str:
        return f"{request.operation} #{request.sequence}  {live.usage.name}  session {live.number}"

    def _entry(self, now: int, title: str, shown: dict[str, Any] | None) -> str:
        lines = [f"{(now - self._t0) / 1e9:+.6f} s  {title}"]
        if shown is not None:
            lines += [f"    {name}: {value}" for name, value in shown["headers"]]
            lines += ["    " + line for line in _pretty(shown["body"]).splitlines()]
        return "\n".join(lines) + "\n\n"

    def problems(self) -> list[str]:
        """What could not be written."""
        return [file.problem for file in self._files.values() if file.problem]

    def close(self) -> None:
        """Nothing more will come."""
        for file in self._files.values():
            file.close()


def _pretty(body: str) -> str:
    """JSON is laid out, anything else is shown as it came."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()
