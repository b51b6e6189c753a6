"""What a case has in its hands: a network function that sends exactly what it is told to and notes every exchange."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import orjson

from simulator.check.messages import Json, Messages, ask
from simulator.check.settings import CheckSettings
from simulator.check.verdicts import DeviationError, Exchange, Found, NotSupportedError
from simulator.check.wire import Connection, NoAnswerError
from simulator.http2 import Header
from simulator.n40.conformance import Rule, cause_of, deviations, header
from simulator.n40.request import Operation

JSON: Final = b"application/json"
ACCEPT: Final = b"application/json, application/problem+json"
_NOT_SUPPORTED_STATUSES: Final = frozenset({405, 501})
_NOT_SUPPORTED_CAUSES: Final = frozenset(
    {"CHARGING_NOT_APPLICABLE", "END_USER_SERVICE_DENIED", "END_USER_SERVICE_REJECTED", "END_USER_REQUEST_DENIED"}
)


class Heard:
    """An answer, with what can be demanded of it. `clause` is what the case rests on."""

    def __init__(self, exchange: Exchange, clause: str) -> None:
        self.exchange = exchange
        self.status = exchange.status
        self.body = exchange.answer_body
        self._clause = clause

    def __repr__(self) -> str:
        return f"Heard({self.status}, {self.body[:80]!r})"

    def header(self, name: bytes) -> bytes | None:
        """The first header field of that name (lower case)."""
        return header(self.exchange.answer_headers, name)

    @property
    def json(self) -> Json:
        """The body, which must be a JSON object."""
        document = self._document()
        if document is None:
            raise self.deviation("a JSON object as body", self.body[:200].decode("utf-8", "replace") or "an empty body")
        return document

    def _document(self) -> Json | None:
        try:
            document = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None
        return document if isinstance(document, dict) else None

    @property
    def cause(self) -> str:
        """The cause of a refusal, "" if there is none."""
        return cause_of(self._document() or {})

    @property
    def succeeded(self) -> bool:
        """Whether the status is one of success."""
        return 200 <= self.status < 300

    def summary(self) -> str:
        """Status and cause, for people."""
        return f"{self.status} {self.cause}".strip()

    def deviation(self, expected: str, found: str = "", clause: str = "") -> DeviationError:
        """To be raised."""
        one = Found(
            clause=clause or self._clause, expected=expected, found=found or self.summary(), exchange=self.exchange
        )
        return DeviationError(one)

    def must(self, holds: bool, expected: str, found: str = "", clause: str = "") -> None:
        """Demand something."""
        if not holds:
            raise self.deviation(expected, found, clause)

    def must_be(self, *statuses: int, clause: str = "") -> None:
        """Demand one of these statuses."""
        self.must(self.status in statuses, " or ".join(map(str, statuses)), clause=clause)

    def must_be_refused(self, *statuses: int) -> None:
        """Demand a refusal: one of these statuses, or any 4xx if none is given."""
        self.must(
            self.status in statuses if statuses else 400 <= self.status < 500,
            " or ".join(map(str, statuses)) if statuses else "a status from 400 to 499",
        )

    def must_succeed_or_be_refused(self) -> None:
        """Demand that the CHF understood what was said, whichever way it decided."""
        self.must(self.succeeded or 400 <= self.status < 500, "an answer of success, or a refusal (4xx)")

    def must_keep(self, rules: Sequence[Rule], operation: Operation, sequence: int, asked: Sequence[int] = ()) -> None:
        """Demand that the answer keeps these rules."""
        found = deviations(operation, sequence, self.status, self.exchange.answer_headers, self.body, asked)
        broken = [each for each in found if each.rule in rules]
        if broken:
            raise DeviationError(
                *(
                    Found(clause=each.clause, expected=each.expected, found=each.found, exchange=self.exchange)
                    for each in broken
                )
            )

    def must_be_supported(self) -> None:
        """End the case if the CHF says, as it may, that it does not charge such a thing."""
        if self.status in _NOT_SUPPORTED_STATUSES or self.cause in _NOT_SUPPORTED_CAUSES:
            raise NotSupportedError(f"answered {self.summary()}")

    # What was decided.

    def groups(self) -> dict[int, Json]:
        """The entries of multipleUnitInformation by rating group."""
        entries = self.json.get("multipleUnitInformation") or []
        well_formed = isinstance(entries, list) and all(isinstance(each, dict) for each in entries)
        self.must(well_formed, "multipleUnitInformation as an array of objects", str(entries)[:200])
        return {each["ratingGroup"]: each for each in entries if type(each.get("ratingGroup")) is int}

    def result(self, group: int) -> str:
        """The result code of a rating group, "" if nothing was said about it."""
        entry = self.groups().get(group)
        return "" if entry is None else str(entry.get("resultCode", "SUCCESS"))

    def granted(self, group: int, unit: str) -> int:
        """The units granted, which must be some and of that kind."""
        entry = self.groups().get(group)
        if entry is None:
            raise self.deviation(f"a grant for rating group {group}", "nothing about it")
        grant = entry.get("grantedUnit")
        amount = grant.get(unit) if isinstance(grant, dict) else None
        if type(amount) is not int or amount <= 0:
            raise self.deviation(
                f"{unit} granted for rating group {group}", f"resultCode {entry.get('resultCode')}, grantedUnit {grant}"
            )
        return amount


class Session:
    """A charging session that a case has opened. It is released when the case is over, if it was not before."""

    def __init__(self, smf: Smf, created: Heard, path: str) -> None:
        self._smf = smf
        self.created = created
        self.path = path
        self.sequence = 0
        self.released = False

    async def update(self, *usages: Json, sequence: int | None = None, **members: Any) -> Heard:
        """Send an Update with the next sequence number, or with that one."""
        return await self._smf.send(self.path + "/update", self.report(*usages, sequence=sequence, **members))

    async def release(self, *usages: Json, sequence: int | None = None, **members: Any) -> Heard:
        """Send a Release with the next sequence number, or with that one."""
        final = {"triggers": [{"triggerType": "FINAL", "triggerCategory": "IMMEDIATE_REPORT"}]}
        message = self.report(*usages, sequence=sequence, **final | members)
        answer = await self._smf.send(self.path + "/release", message)
        self.released = self.released or answer.succeeded
        return answer

    def report(self, *usages: Json, sequence: int | None = None, **members: Any) -> Json:
        """The message of an Update or Release."""
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        return self._smf.messages.request(sequence, list(usages) or None, **members)


class Smf:
    """Sends for one case. Connections, and sessions that are still open, are closed with it."""

    def __init__(self, settings: CheckSettings, messages: Messages, clause: str) -> None:
        self.settings = settings
        self.groups = settings.groups
        self.messages = messages
        self.clause = clause
        self.exchanges: list[Exchange] = []
        self._connections: list[Connection] = []
        self._sessions: list[Session] = []

    # Connections.

    async def connect(self, **options: int) -> Connection:
        """A connection more."""
        try:
            connection = await Connection.open(
                self.settings.target, self.settings.tls, self.settings.timeout_s, **options
            )
        except NoAnswerError as error:
            raise self._no_answer(str(error), None) from None
        self._connections.append(connection)
        return connection

    async def connection(self) -> Connection:
        """The connection of the case; a new one if it has ended."""
        if not self._connections or self._connections[0].ended:
            connection = await self.connect()
            self._connections.remove(connection)
            self._connections.insert(0, connection)
        return self._connections[0]

    async def aclose(self) -> None:
        """Release what is open and close the connections, as far as the peer lets us."""
        with suppress(DeviationError, TimeoutError):
            async with asyncio.timeout(self.settings.timeout_s):
                for session in self._sessions:
                    if not session.released:
                        await session.release()
        for connection in self._connections:
            await connection.aclose()

    # Messages.

    def headers(self, path: str, *, method: bytes | None = b"POST", **changes: bytes | None) -> list[Header]:
        """Complete header fields. `content_type=None` leaves that one out, `content_encoding=b"gzip"` adds one."""
        target = self.settings.target
        fields: dict[bytes, bytes | None] = {
            b":method": method,
            b":scheme": target.scheme.encode(),
            b":authority": target.authority,
            b":path": path.encode(),
            b"content-type": JSON,
            b"accept": ACCEPT,
        }
        if self.settings.token:
            fields[b"authorization"] = b"Bearer " + self.settings.token.encode()
        fields |= {name.replace("_", "-").encode(): value for name, value in changes.items()}
        return [(name, value) for name, value in fields.items() if value is not None]

    async def send(
        self,
        path: str,
        message: Json | bytes,
        headers: list[Header] | None = None,
        *,
        connection: Connection | None = None,
        trailers: Sequence[Header] = (),
    ) -> Heard:
        """Send a message and return the answer; no answer is a deviation."""
        exchange = self.exchange(path, message, headers)
        connection = connection or await self.connection()
        try:
            await connection.call(exchange.headers, exchange.body, exchange, trailers)
        except NoAnswerError as error:
            raise self._no_answer(str(error), exchange) from None
        return Heard(exchange, self.clause)

    def exchange(self, path: str, message: Json | bytes, headers: list[Header] | None = None) -> Exchange:
        """An exchange that is about to begin; it is kept for the report."""
        body = message if isinstance(message, bytes) else orjson.dumps(message)
        exchange = Exchange(headers=headers or self.headers(path), body=body)
        self.exchanges.append(exchange)
        return exchange

    def _no_answer(self, why: str, exchange: Exchange | None) -> DeviationError:
        return DeviationError(Found(clause=self.clause, expected="an answer", found=why, exchange=exchange))

    async def create(self, message: Json | bytes, headers: list[Header] | None = None, **options: Any) -> Heard:
        """Send a Create or event as it is; a session that it opens is released at the end of the case."""
        answer = await self.send(self.settings.collection, message, headers, **options)
        if not (isinstance(message, dict) and message.get("oneTimeEvent")):
            self.remember(answer)
        return answer

    def remember(self, answer: Heard) -> None:
        """A session that this answer has opened is released at the end of the case."""
        path = self.path_of(answer) if answer.status == 201 else ""
        if path and all(path != session.path for session in self._sessions):
            self._sessions.append(Session(self, answer, path))

    async def open(self, *usages: Json, connection: Connection | None = None, **members: Any) -> Session:
        """A data session; that it cannot be opened is a deviation."""
        answer = await self.create(self.messages.create(*usages, **members), connection=connection)
        return self.session(answer)

    def session(self, answer: Heard) -> Session:
        """The session that a Create has opened."""
        answer.must_be(201, clause="TS 32.291 5.2.2.2")
        path = self.path_of(answer)
        if not path:
            raise answer.deviation("a Location that names the charging session", str(answer.header(b"location")))
        return next(session for session in self._sessions if session.path == path)

    async def data_session(self) -> Session:
        """A data session that asked for units."""
        return await self.open(ask(self.groups.data))

    def path_of(self, answer: Heard) -> str:
        """Where the session is, whichever form of Location is used; "" if it cannot be told."""
        location = (answer.header(b"location") or b"").decode("latin-1").rstrip("/")
        if "/" not in location:
            return f"{self.settings.collection}/{location}" if location else ""
        path = _path(location)
        return "" if path == self.settings.collection else path

    def resolved(self, answer: Heard) -> str:
        """Where Location points to by RFC 3986, as a path at the same authority."""
        location = (answer.header(b"location") or b"").decode("latin-1")
        base = f"{self.settings.target}{self.settings.collection}"
        try:
            return _path(urljoin(base, location))
        except ValueError:
            return ""


def _path(location: str) -> str:
    """The path of a URI, "" if it is none."""
    try:
        return urlsplit(location).path
    except ValueError:
        return ""
