"""A client codec and a server codec joined in memory."""

from __future__ import annotations

from simulator.http2.choice import client_codec, server_codec
from simulator.http2.codec import CodecLimits, Event, Request
from simulator.http2.messages import Answer, Header

GET = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"chf"), (b":path", b"/")]
POST = [(b":method", b"POST"), *GET[1:]]
OK: list[Header] = [(b":status", b"200")]


class Wire:
    """`client_saw` and `server_saw` are all events so far; `chunk` is how many octets arrive at a time."""

    def __init__(
        self, client: str = "ngh2", server: str = "ngh2", chunk: int = 1 << 20, limits: CodecLimits | None = None
    ) -> None:
        self.client = client_codec(client, limits or CodecLimits())
        self.server = server_codec(server, limits or CodecLimits())
        self.chunk = chunk
        self.client_saw: list[Event] = []
        self.server_saw: list[Event] = []
        self.roundtrip()

    def roundtrip(self) -> None:
        """Carry octets both ways until both ends are silent."""
        while self.to_server() or self.to_client():
            pass

    def to_server(self) -> bool:
        octets, events = self.client.send()
        self.client_saw += events
        for piece in self._pieces(octets):
            self.server_saw += self.server.receive(piece)
        return bool(octets)

    def to_client(self) -> bool:
        octets, events = self.server.send()
        self.server_saw += events
        for piece in self._pieces(octets):
            self.client_saw += self.client.receive(piece)
        return bool(octets)

    def _pieces(self, octets: bytes) -> list[bytes]:
        return [octets[start : start + self.chunk] for start in range(0, len(octets), self.chunk)]

    @property
    def requests(self) -> list[Request]:
        return [event for event in self.server_saw if isinstance(event, Request)]

    @property
    def answers(self) -> list[Answer]:
        return [event for event in self.client_saw if isinstance(event, Answer)]

    def client_events(self, *kinds: type) -> list[Event]:
        return [event for event in self.client_saw if isinstance(event, kinds)]

    def server_events(self, *kinds: type) -> list[Event]:
        return [event for event in self.server_saw if isinstance(event, kinds)]
