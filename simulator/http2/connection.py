"""One client connection: the table of exchanges in flight, between a codec and a transport.

The connection owns the table because libnghttp2 would queue streams beyond the peer's limit out of sight. It writes
once per turn of the loop: everything submitted in a turn leaves in one piece. Its owner (the pool) chooses the
connection, keeps the waiting room and looks after deadlines.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Final, Protocol, cast

from simulator.http2.codec import (
    NO_ERROR,
    Capacity,
    ClientCodec,
    Closed,
    Event,
    Failed,
    GoingAway,
    HeaderError,
    Pong,
    Refused,
    StreamsExhaustedError,
)
from simulator.http2.messages import Answer, Exchange, Failure, FailureKind
from simulator.http2.statistics import ConnectionStatistics, Counters

NEVER: Final = (1 << 62) - 1
"""A moment that does not come."""

_GREETING_OCTETS: Final = 24


class Owner(Protocol):
    """What a connection tells its owner."""

    def on_room(self, connection: ClientConnection) -> None:
        """It may have become able, or unable, to take exchanges: look at `open_for_more` and `free`."""

    def take_back(self, exchanges: list[Exchange]) -> None:
        """These were submitted, but have not been handed to the codec: nothing of them has left."""

    def on_retired(self, connection: ClientConnection) -> None:
        """It opens no more streams, but those in flight go on."""

    def on_end(self, connection: ClientConnection, detail: str) -> None:
        """It is gone, and its exchanges have been failed."""


class ClientConnection:
    """An asyncio protocol that carries exchanges. `free` is how many more it takes now.

    It is one by its methods, not by inheritance: compiled classes do not derive from interpreted ones.
    """

    def __init__(
        self, owner: Owner, codec: ClientCodec, *, streams: int, clock: Callable[[], int], keepalive_s: float
    ) -> None:
        self.free = 0
        self.open_for_more = False
        """Ready, not paused, not going away, not retired."""
        self.counters = Counters()
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[str] = loop.create_future()
        """Done when the peer's SETTINGS have come (""), or with one line that says why they will not."""
        self.gone: asyncio.Future[None] = loop.create_future()
        """Done when the transport is closed."""
        self.established = False
        """The peer's SETTINGS have come."""
        self.cut_off = False
        """It has ended with exchanges in flight."""
        self._owner = owner
        self._codec = codec
        self._clock = clock
        self._call_soon = loop.call_soon
        self._loop = loop
        self._streams = streams
        self._peer_streams = 0
        self._in_flight: dict[int, Exchange] = {}
        self._fresh: list[Exchange] = []
        """Submitted in this turn; the next flush hands them to the codec."""
        self._unsent: list[Exchange] = []
        """With the codec; their bodies have not left yet."""
        self._flush_scheduled = False
        self._paused = False
        self._going_away = ""
        """Why no new streams are opened: the peer's GOAWAY, or retirement."""
        self._ended = False
        self._transport: asyncio.Transport | None = None
        self._greeting = b""
        self._keepalive_s = keepalive_s
        self._keepalive_timer: asyncio.TimerHandle | None = None
        self._heard_octets = -1
        """Octets received when the keep-alive looked last."""
        self._ping_unanswered = False

    @property
    def serving(self) -> bool:
        """Not retired, not gone."""
        return not (self._going_away or self._ended)

    @property
    def retired(self) -> bool:
        """It takes no more exchanges because the peer, or the owner, said so."""
        return bool(self._going_away)

    @property
    def load(self) -> int:
        """Exchanges under way."""
        return len(self._in_flight) + len(self._fresh)

    # The hot path: submit, flush, data_received, on_events.

    def submit(self, exchange: Exchange) -> None:
        """Take an exchange; the owner has seen that `open_for_more` and `free` > 0."""
        self.free -= 1
        self._fresh.append(exchange)
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._call_soon(self._flush)

    def data_received(self, data: bytes) -> None:
        """Octets from the peer."""
        if self._ended:
            return
        self.counters.bytes_received += len(data)
        if not self.established:
            self._greeting = (self._greeting + data[:_GREETING_OCTETS])[:_GREETING_OCTETS]
        self._on_events(self._codec.receive(data))
        self._schedule_flush()

    def _on_events(self, events: list[Event]) -> None:
        if not events:
            return
        now = self._clock()
        in_flight = self._in_flight
        answers = 0
        for event in events:
            if isinstance(event, Answer):
                exchange = in_flight.pop(event.stream_id, None)
                if exchange is not None:
                    answers += 1
                    self.free += 1
                    if not exchange.sent:
                        self._answered_early(exchange, now)
                    try:
                        exchange.on_done(exchange, event, now)
                    except Exception as error:
                        self._report(error)
            else:
                self._on_rare(event, now)
        self.counters.answers += answers
        if self.open_for_more:
            self._owner.on_room(self)

    def _flush(self) -> None:
        """Write once: everything submitted since the last turn, and whatever the codec has to say."""
        self._flush_scheduled = False
        if self._paused or self._ended or self._transport is None:
            return
        if self._fresh:
            self._begin_fresh()
        octets, events = self._codec.send()
        if octets:
            self.counters.bytes_sent += len(octets)
            self._transport.write(octets)
        if self._unsent:
            self._mark_sent()
        if events:
            self._on_events(events)
        if self._going_away and not self._in_flight and not self._ended:
            self._end(self._going_away)

    def _begin_fresh(self) -> None:
        fresh, self._fresh = self._fresh, []
        request, in_flight = self._codec.request, self._in_flight
        for index, exchange in enumerate(fresh):
            try:
                stream_id = request(exchange.headers, exchange.body)
            except HeaderError as error:
                self._reject(exchange, str(error))
                continue
            except StreamsExhaustedError as exhausted:
                self._give_back(fresh[index:])
                self.retire(str(exhausted))
                fresh = fresh[:index]
                break
            exchange.stream_id = stream_id
            in_flight[stream_id] = exchange
            self._unsent.append(exchange)
        self.counters.requests += len(fresh)

    def _mark_sent(self) -> None:
        """A body has left when flow control holds nothing of it back any more."""
        now = self._clock()
        held_back = self._codec.unsent_octets
        if held_back():
            still = [exchange for exchange in self._unsent if held_back(exchange.stream_id)]
            left = [exchange for exchange in self._unsent if not held_back(exchange.stream_id)]
        else:
            still, left = [], self._unsent
        for exchange in left:
            exchange.sent = now
        self._unsent = still

    # Everything rarer.

    def _on_rare(self, event: Event, now: int) -> None:
        match event:
            case Capacity():
                self._on_capacity(event.streams)
            case Refused():
                self.counters.refused += 1
                self._fail(event.stream_id, Failure(FailureKind.REFUSED, event.detail, safe_to_repeat=True), now)
            case Failed():
                if event.stream_id in self._in_flight:
                    self._count_failure(event.kind)
                    self._fail(event.stream_id, Failure(event.kind, event.detail), now)
            case GoingAway():
                self.counters.goaways += 1
                self.retire(f"the peer is going away: {event.detail}")
            case Pong():
                self._ping_unanswered = False
            case Closed():
                if self._going_away or event.error_code == NO_ERROR:
                    self._end(self._going_away or "HTTP/2 ended")
                else:
                    self.counters.protocol_errors += 1
                    self._end(f"the peer broke HTTP/2: {event.detail}", FailureKind.PROTOCOL)

    def _count_failure(self, kind: FailureKind) -> None:
        if kind is FailureKind.RESET:
            self.counters.resets += 1
        else:
            self.counters.protocol_errors += 1

    def _on_capacity(self, streams: int) -> None:
        self._peer_streams = streams
        self.free = min(self._streams, streams) - self.load
        if self.free < 0 and self._fresh:  # the limit has shrunk: what has not begun goes back to the waiting room
            keep = max(0, len(self._fresh) + self.free)
            self._give_back(self._fresh[keep:])
            del self._fresh[keep:]
        if not self.established:
            self.established = True
            if not self.ready.done():
                self.ready.set_result("")
            self._watch()
        self._look_open()

    def _answered_early(self, exchange: Exchange, now: int) -> None:
        """The peer answered before the whole body had left: no moment is better than this one."""
        exchange.sent = now
        if exchange in self._unsent:
            self._unsent.remove(exchange)

    def _fail(self, stream_id: int, failure: Failure, now: int) -> None:
        exchange = self._in_flight.pop(stream_id, None)
        if exchange is not None:
            self.free += 1
            self._finish(exchange, failure, now)

    def _reject(self, exchange: Exchange, detail: str) -> None:
        self.free += 1
        self._finish(exchange, Failure(FailureKind.PROTOCOL, detail, safe_to_repeat=True), self._clock())
        self._owner.on_room(self)

    def _finish(self, exchange: Exchange, failure: Failure, now: int) -> None:
        if exchange in self._unsent:
            self._unsent.remove(exchange)
        try:
            exchange.on_done(exchange, failure, now)
        except Exception as error:
            self._report(error)

    def _report(self, error: Exception) -> None:
        self._loop.call_exception_handler({"message": "on_done of an HTTP/2 exchange raised", "exception": error})

    def _give_back(self, exchanges: list[Exchange]) -> None:
        self.free += len(exchanges)
        self._owner.take_back(exchanges)

    def _look_open(self) -> None:
        self.open_for_more = bool(
            self._transport and self.established and not (self._paused or self._going_away or self._ended)
        )
        self._owner.on_room(self)

    def _schedule_flush(self) -> None:
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._call_soon(self._flush)

    def earliest_deadline(self) -> int:
        """The earliest deadline of what is under way, or NEVER."""
        return min(_earliest(self._in_flight.values()), _earliest(self._fresh))

    def expire(self, now: int) -> None:
        """Cancel the exchanges whose deadline has passed."""
        late = [exchange for exchange in self._in_flight.values() if exchange.deadline <= now]
        for exchange in late:
            self._codec.cancel(exchange.stream_id)
            self.counters.timeouts += 1
            self._fail(exchange.stream_id, Failure(FailureKind.TIMEOUT, "no answer before the deadline"), now)
        if late:
            self._schedule_flush()
        late = [exchange for exchange in self._fresh if exchange.deadline <= now]
        for exchange in late:
            self._fresh.remove(exchange)
            self.free += 1
            self.counters.timeouts += 1
            detail = "the deadline passed before anything was sent"
            self._finish(exchange, Failure(FailureKind.TIMEOUT, detail, safe_to_repeat=True), now)

    # The keep-alive: if nothing was heard for one period, PING; if nothing for a second one, the connection is lost.

    def _watch(self) -> None:
        if self._keepalive_s > 0:
            self._keepalive_timer = self._loop.call_later(self._keepalive_s, self.check_alive)

    def check_alive(self) -> None:
        """One period of the keep-alive is over (RFC 9113 6.7)."""
        if self._ended:
            return
        heard = self.counters.bytes_received
        if heard != self._heard_octets:
            self._ping_unanswered = False
        elif self._ping_unanswered:
            self._end(f"no answer to a PING within {self._keepalive_s:g} s")
            return
        else:
            self._ping_unanswered = True
            self._codec.ping(b"smfleet?")
            self._schedule_flush()
        self._heard_octets = heard
        self._watch()

    # What the transport says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport is there; TLS has been negotiated."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by behaviour only
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() != "h2":
            self.ready.set_result("does not offer HTTP/2 over TLS (ALPN h2)")
            self._end("no HTTP/2 over TLS")
            return
        self._flush()

    def pause_writing(self) -> None:
        """The socket does not keep up: new exchanges wait in the waiting room."""
        self._paused = True
        self._look_open()

    def resume_writing(self) -> None:
        """The socket takes octets again."""
        self._paused = False
        self._schedule_flush()
        self._look_open()

    def eof_received(self) -> bool:
        """The peer has closed its side; ours follows."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        if not self.gone.done():
            self.gone.set_result(None)
        why = f"connection lost: {_one_line(exc)}" if exc else "the peer closed the connection"
        self._end(f"{self._going_away}; {why}" if self._going_away else why)

    # The end.

    def retire(self, why: str) -> None:
        """Open no new stream; close when those in flight are done."""
        if self._ended or self._going_away:
            return
        self._going_away = why
        self._look_open()
        fresh, self._fresh = self._fresh, []
        self._give_back(fresh)
        self._owner.on_retired(self)
        self._schedule_flush()

    def close(self, why: str, kind: FailureKind = FailureKind.CLOSED) -> None:
        """Say GOAWAY and close; what is in flight fails."""
        self._end(why, kind)

    def abort(self, why: str) -> None:
        """Close without a word; the transport may be closed already."""
        self._end(why, silently=True)
        if self._transport is None:  # never connected: nobody will call connection_lost
            self.gone.cancel()
        else:
            self._transport.abort()

    def _end(self, detail: str, kind: FailureKind = FailureKind.CONNECTION_LOST, *, silently: bool = False) -> None:
        """The one way out: fails what is in flight, gives back what has not begun, tells the owner."""
        if self._ended:
            return
        self._ended = True
        self._look_open()  # before any callback, which may submit again
        if self._keepalive_timer is not None:
            self._keepalive_timer.cancel()
        if not silently:
            self._say_goodbye()
        if not self.ready.done():
            self.ready.set_result(self._greeting_problem(detail))
        now = self._clock()
        fresh, self._fresh = self._fresh, []
        self.cut_off = bool(self._in_flight)
        for stream_id in list(self._in_flight):
            self._fail(stream_id, Failure(kind, detail), now)
        self._owner.take_back(fresh)
        self._owner.on_end(self, detail)

    def _say_goodbye(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._codec.goaway()
        octets, _ = self._codec.send()
        if octets and not self._paused:
            self._transport.write(octets)
        if self._paused:  # a peer that reads nothing would keep close() waiting for ever
            self._transport.abort()
        else:
            self._transport.close()

    def _greeting_problem(self, detail: str) -> str:
        """Why there was no HTTP/2 connection, told by the first octets of the peer."""
        if self._greeting.startswith(b"HTTP"):
            return "speaks HTTP/1.1, not HTTP/2"
        if self._greeting.startswith(b"\x15\x03"):
            return "speaks TLS: use https://"
        if self._greeting:
            return f"does not speak HTTP/2 (it began with {self._greeting[:16]!r})"
        return f"closed the connection at once ({detail})"

    def statistics(self) -> ConnectionStatistics:
        """Where this connection stands."""
        return ConnectionStatistics(
            in_flight=self.load,
            max_streams=min(self._streams, self._peer_streams),
            paused=self._paused,
            going_away=bool(self._going_away),
            **asdict(self.counters),
        )


def _earliest(exchanges: Iterable[Exchange]) -> int:
    return min((exchange.deadline for exchange in exchanges), default=NEVER)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
