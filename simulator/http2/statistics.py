"""What connections, pools and servers count."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(slots=True)
class Counters:
    """Running totals of client connections; a pool adds up those of its connections."""

    requests: int = 0
    """Exchanges handed to a codec."""
    answers: int = 0
    resets: int = 0
    refused: int = 0
    timeouts: int = 0
    """Deadlines that passed on the wire."""
    goaways: int = 0
    protocol_errors: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0

    def add(self, other: Counters) -> None:
        """Add the totals of another connection."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionStatistics:
    """One client connection at one moment."""

    in_flight: int
    max_streams: int
    """Streams this connection may have open: the smaller of the pool's limit and the peer's."""
    paused: bool
    """The socket takes no more octets for now."""
    going_away: bool
    requests: int
    answers: int
    resets: int
    refused: int
    timeouts: int
    goaways: int
    protocol_errors: int
    bytes_sent: int
    bytes_received: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStatistics:
    """A pool at one moment; the last fields are totals since it was made."""

    connections_open: int
    connections_connecting: int
    """Connecting, or waiting to try again."""
    connections_draining: int
    """Take no new request, but still have some in flight."""
    in_flight: int
    max_streams: int
    """Streams that all open connections together may have open."""
    waiting: int
    """In the waiting room now."""
    waiting_max: int
    waited: int
    """How many have ever waited."""
    opened: int
    lost: int
    reconnects: int
    """Attempts to replace a connection, successful or not."""
    recycled: int
    overflowed: int
    timeouts_waiting: int
    requests: int
    answers: int
    resets: int
    refused: int
    timeouts: int
    """All deadlines that passed: on the wire and in the waiting room."""
    goaways: int
    protocol_errors: int
    bytes_sent: int
    bytes_received: int


@dataclass(slots=True)
class ServerCounters:
    """Running totals of a server."""

    accepted: int = 0
    turned_away: int = 0
    """Connections above the limit."""
    requests: int = 0
    responses: int = 0
    resets: int = 0
    protocol_errors: int = 0
    handler_errors: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatistics:
    """A server at one moment."""

    connections: int
    unanswered: int
    accepted: int
    turned_away: int
    requests: int
    responses: int
    resets: int
    protocol_errors: int
    handler_errors: int
    bytes_sent: int
    bytes_received: int
