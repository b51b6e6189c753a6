"""Charging functions with faults: the sandbox's core behind a server, with its requests, answers or frames spoilt."""

from __future__ import annotations

import asyncio
import itertools
import ssl
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, cast
from urllib.parse import urlsplit

import orjson
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    RequestReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    UnknownFrameReceived,
)
from h2.exceptions import H2Error

from simulator.check import CaseResult, CheckSettings, run_checks, selected
from simulator.check.verdicts import Exchange
from simulator.check.wire import Connection
from simulator.config import load_plan
from simulator.http2 import Header, Server, ServerLimits, ServerRequest, Target
from simulator.sandbox.answers import Reply
from simulator.sandbox.chf import Chf, LocationForm
from simulator.sandbox.totals import account_document

SETTINGS = CheckSettings(target=Target(scheme="http", host="127.0.0.1", port=1), timeout_s=1.0, idle_s=0.05)
RICH = 10**12


@dataclass
class Seen:
    """A request, as a fault looks at it. `document` is {} where the body is no JSON object."""

    method: bytes
    path: bytes
    headers: list[Header]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        try:
            document = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return {}
        return document if isinstance(document, dict) else {}

    @property
    def operation(self) -> str:
        """create, event, update or release."""
        for operation in ("update", "release"):
            if self.path.endswith(operation.encode()):
                return operation
        return "event" if self.document.get("oneTimeEvent") else "create"

    def header(self, name: bytes) -> bytes | None:
        return dict(self.headers).get(name)


SpoilAnswer = Callable[[Seen, Reply], Reply]
SpoilRequest = Callable[[Seen], bytes]


_instances = itertools.count(1)


def core(location: LocationForm = LocationForm.ABSOLUTE) -> Chf:
    """A charging function with the subscribers of the check."""
    plan = load_plan().model_copy(update={"unknown_subscriber": "reject"})
    chf = Chf(plan, epoch=time.time_ns() - time.monotonic_ns(), location=location, instance=f"chf{next(_instances)}")
    account = chf.accounts.create(SETTINGS.subscriber)
    for counter in ("voice", "sms", "data", "money"):
        account.balance(counter).total = RICH
    chf.accounts.create(SETTINGS.broke_subscriber)
    return chf


@dataclass(kw_only=True)
class Fault:
    """What is wrong with a charging function. `wire` names a fault of its connections, see `Wire`."""

    answer: SpoilAnswer | None = None
    request: SpoilRequest | None = None
    notify: Callable[[str, dict[str, Any]], tuple[str, dict[str, Any] | None]] | None = None
    """Takes and returns the URI and the notification; None: it is not sent."""
    location: LocationForm = LocationForm.ABSOLUTE
    wire: str = ""
    codec: str = "ngh2"


class FaultyChf:
    """Answers as the sandbox does, except for its fault."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.chf = core(fault.location)
        self.uris: dict[str, str] = {}
        """notifyUri by reference."""

    def handle(self, seen: Seen) -> Reply:
        if self.fault.request is not None:
            seen = replace(seen, body=self.fault.request(seen))
        headers = [(name, value) for name, value in seen.headers if name != b"content-encoding"]
        reply = self.chf.handle(seen.method, seen.path, headers, seen.body, time.monotonic_ns())
        location = reply.header(b"location")
        if location is not None and "notifyUri" in seen.document:
            self.uris[location.rpartition(b"/")[2].decode()] = seen.document["notifyUri"]
        reply = Reply(reply.status, list(reply.headers), reply.body)
        return reply if self.fault.answer is None else self.fault.answer(seen, reply)

    def on_request(self, request: ServerRequest) -> None:
        seen = Seen(request.method, request.path, list(request.headers), request.body)
        reply = self.handle(seen)
        request.respond(reply.status, reply.headers, reply.body)

    # The management API: POST /notify, and GET /accounts/….

    async def manage(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        order, document = None, b"{}"
        if head.startswith(b"GET"):
            account = self.chf.accounts.get(SETTINGS.subscriber)
            assert account is not None
            document = orjson.dumps(account_document(account))
        else:
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            order = orjson.loads(await reader.readexactly(length))
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (len(document), document)
        )
        await writer.drain()
        writer.close()
        if order is not None:
            await self._notify(order)

    async def _notify(self, order: dict[str, Any]) -> None:
        if order["session"] not in self.uris:
            return
        uri, message = self.uris[order["session"]], {"notificationType": order["type"]}
        if "rating_groups" in order:
            message["reauthorizationDetails"] = [{"ratingGroup": group} for group in order["rating_groups"]]
        sent: dict[str, Any] | None = message
        if self.fault.notify is not None:
            uri, sent = self.fault.notify(uri, message)
        if sent is None:
            return
        parts = urlsplit(uri)
        target = Target(scheme="http", host=parts.hostname or "", port=parts.port or 80)
        connection = await Connection.open(target, None, 1.0)
        headers = [
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":authority", target.authority),
            (b":path", parts.path.encode()),
            (b"content-type", b"application/json"),
        ]
        body = orjson.dumps(sent)
        await connection.call(headers, body, Exchange(headers=headers, body=body))
        await connection.aclose()


class Wire(asyncio.Protocol):
    """A server whose frames can be wrong. It answers in the order of the requests, so that one may hold up another."""

    def __init__(self, chf: FaultyChf) -> None:
        self.fault = chf.fault.wire
        self.chf = FaultyChf(chf.fault) if self.fault == "sessions of a connection" else chf
        strict = self.fault != "takes any header"
        self.h2 = H2Connection(
            H2Configuration(client_side=False, header_encoding=None, validate_inbound_headers=strict)
        )
        self.requests: dict[int, tuple[list[Header], bytearray]] = {}
        self.complete: set[int] = set()
        self.resets = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.h2.initiate_connection()
        self.flush()
        if self.fault == "closes when idle":
            asyncio.get_running_loop().call_later(0.02, self.transport.close)

    def data_received(self, data: bytes) -> None:
        try:
            events = self.h2.receive_data(data)
        except H2Error:
            self.flush()
            self.transport.close()
            return
        for event in events:
            self.on_event(event)
        self.answer_all()
        self.flush()

    def on_event(self, event: object) -> None:
        match event:
            case RequestReceived():
                self.requests[event.stream_id or 0] = (list(event.headers or ()), bytearray())
            case DataReceived():
                self.h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
                if event.stream_id in self.requests:
                    self.requests[event.stream_id][1].extend(event.data or b"")
            case TrailersReceived() if self.fault == "refuses trailers":
                self.requests.pop(event.stream_id or 0)
                self.h2.reset_stream(event.stream_id or 0)
            case StreamEnded() if event.stream_id in self.requests:
                self.complete.add(event.stream_id)
            case StreamReset():
                self.requests.pop(event.stream_id or 0, None)
                self.resets += 1
                if self.fault == "counts resets" and self.resets == 10:
                    self.transport.close()
            case UnknownFrameReceived() if self.fault == "knows its frames":
                self.transport.close()
            case ConnectionTerminated():
                self.requests.clear()
                self.transport.close()

    def answer_all(self) -> None:
        for stream in sorted(self.requests):
            if stream not in self.complete:
                if self.fault == "answers in order":
                    return
                continue
            headers, body = self.requests.pop(stream)
            fields = dict(headers)
            seen = Seen(fields.get(b":method", b"POST"), fields[b":path"], headers, bytes(body))
            reply = self.chf.handle(seen)
            self.respond(stream, reply)
            if self.fault == "closes after an error" and reply.status >= 400:
                self.flush()
                self.transport.close()

    def respond(self, stream: int, reply: Reply) -> None:
        self.h2.send_headers(stream, [(b":status", b"%d" % reply.status), *reply.headers], end_stream=not reply.body)
        if not reply.body:
            return
        if self.fault == "knows no window":
            self.flush()
            self.transport.write(
                struct.pack(">I", len(reply.body))[1:] + b"\0\1" + struct.pack(">I", stream) + reply.body
            )
        else:
            self.h2.send_data(stream, reply.body, end_stream=True)

    def flush(self) -> None:
        octets = self.h2.data_to_send()
        if self.fault == "answers no ping":
            octets = without_pongs(octets)
        if not self.transport.is_closing():
            self.transport.write(octets)


def without_pongs(octets: bytes) -> bytes:
    """The frames among these octets that are no PING."""
    kept = b""
    while octets:
        length = 9 + int.from_bytes(octets[:3])
        frame, octets = octets[:length], octets[length:]
        if frame[3] != 6:
            kept += frame
    return kept


@asynccontextmanager
async def serving(fault: Fault, tls: ssl.SSLContext | None = None) -> AsyncIterator[CheckSettings]:
    """A faulty charging function on loopback."""
    chf = FaultyChf(fault)
    loop = asyncio.get_running_loop()
    management = await asyncio.start_server(chf.manage, "127.0.0.1", 0)
    if fault.wire:
        listener = await loop.create_server(lambda: Wire(chf), "127.0.0.1", 0)
        port, close = listener.sockets[0].getsockname()[1], listener.close
        server = None
    else:
        limits = ServerLimits(max_body_octets=4 << 20, close_timeout_s=0.05)
        server = await Server.serve(chf.on_request, "127.0.0.1", 0, tls=tls, codec=fault.codec, limits=limits)
        port, close = server.port, lambda: None
    try:
        yield replace(
            SETTINGS,
            target=Target(scheme="https" if tls else "http", host="127.0.0.1", port=port),
            management=f"http://127.0.0.1:{management.sockets[0].getsockname()[1]}",
        )
    finally:
        close()
        management.close()
        if server is not None:
            await server.aclose()


async def played(fault: Fault, *patterns: str, **settings: Any) -> list[CaseResult]:
    """What comes of some cases, or of all."""
    async with serving(fault) as found:
        result = await run_checks(replace(found, **settings), selected(list(patterns)))
    return list(result.cases)
