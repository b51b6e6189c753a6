"""The benchmark's peer: a fixed, stateless CHF, as little as libnghttp2 from Python can be.

It stands directly on ngh2, and not on `simulator.http2`, so that the yardstick stays what it is when the product changes.
It runs as a process of its own (`python -m tests.performance.peer RATING_GROUP ...`), prints its port, and then answers
each line on stdin with one line of JSON (see `Log`). It ends with its stdin.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from array import array
from typing import cast

import ngh2
import uvloop

from tests.performance.answers import FixedAnswer, fixed_answers

STREAMS = 256
STREAM_WINDOW_OCTETS = 1 << 20
CONNECTION_WINDOW_OCTETS = 16 << 20
MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 3, 4  # RFC 9113 6.5.2


class Log:
    """What has come in over all connections. Moments (monotonic ns) are those of the read from the socket."""

    def __init__(self) -> None:
        self.requests = 0
        self.first = 0
        self.creates = array("q")

    def answer(self, question: str) -> object:
        """`count`: requests so far; `first`: the moment of the first one; `creates`: the moments of all Creates."""
        match question:
            case "count":
                return self.requests
            case "first":
                return self.first
            case "creates":
                return self.creates.tolist()
            case _:
                raise ValueError(question)


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, log: Log, create: FixedAnswer, update: FixedAnswer, release: FixedAnswer) -> None:
        self._log = log
        self._create, self._update, self._release = create, update, release
        self._http2 = ngh2.Connection(ngh2.Role.SERVER, ngh2.Configuration())
        self._http2.initiate_connection({MAX_CONCURRENT_STREAMS: STREAMS, INITIAL_WINDOW_SIZE: STREAM_WINDOW_OCTETS})
        self._http2.set_local_window_size(CONNECTION_WINDOW_OCTETS)
        self._paths: dict[int, bytes] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete, with one write for all of them."""
        http2, paths = self._http2, self._paths
        http2.receive_data(data)
        now = time.monotonic_ns()
        for event in http2.events():
            if isinstance(event, ngh2.DataReceived):
                if event.end_stream:
                    self._answer(event.stream_id, paths.pop(event.stream_id), now)
            elif isinstance(event, ngh2.RequestReceived):
                for name, value in event.headers:
                    if name == b":path":
                        paths[event.stream_id] = value
                        break
        self._transport.write(http2.data_to_send())

    def _answer(self, stream_id: int, path: bytes, now: int) -> None:
        log = self._log
        log.requests += 1
        if not log.first:
            log.first = now
        if path.endswith(b"/update"):
            headers, body = self._update
        elif path.endswith(b"/release"):
            headers, _ = self._release
            self._http2.send_response(stream_id, headers, end_stream=True)
            return
        else:
            headers, body = self._create
            log.creates.append(now)
        self._http2.send_response(stream_id, headers)
        self._http2.send_data(stream_id, body, end_stream=True)


async def serve(rating_groups: list[int]) -> None:
    """Answer N40 requests on a free port of the loopback, and questions on stdin."""
    loop = asyncio.get_running_loop()
    log = Log()
    answers = fixed_answers(rating_groups)
    server = await loop.create_server(lambda: Connection(log, *answers), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    questions = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(questions), sys.stdin)
    gc.collect()
    gc.freeze()
    while question := await questions.readline():
        print(json.dumps(log.answer(question.decode().strip())), flush=True)


if __name__ == "__main__":
    uvloop.run(serve([int(number) for number in sys.argv[1:]]))
