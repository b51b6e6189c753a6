"""Connections: many streams, PING, GOAWAY, cancelled streams, windows, idle time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from simulator.check.catalogue import case
from simulator.check.messages import Json, ask, used
from simulator.check.smf import Heard, Session, Smf
from simulator.check.verdicts import DeviationError, Found
from simulator.check.wire import Connection, NoAnswerError, Stream

_STREAMS = 100
_SESSIONS = 6


async def _all(smf: Smf, messages: Sequence[Json]) -> list[Heard]:
    """All at once on the connection of the case, as far as the peer allows."""
    connection = await smf.connection()
    room = asyncio.Semaphore(min(_STREAMS, connection.most_streams))

    async def one(message: Json) -> Heard:
        async with room:
            return await smf.create(message, connection=connection)

    return list(await asyncio.gather(*(one(message) for message in messages)))


@case("connection.streams", "100 Creates at once on one connection", "TS 29.500 5.2.6; RFC 9113 5.1.2")
async def _streams(smf: Smf) -> None:
    answers = await _all(smf, [smf.messages.create(ask(smf.groups.data)) for _ in range(_STREAMS)])
    for answer in answers:
        answer.must_be(201)
    places = {smf.path_of(answer) for answer in answers}
    answers[-1].must(len(places) == _STREAMS, f"{_STREAMS} sessions", f"{len(places)}")


@case("connection.interleaved", "Sessions that take turns on one connection", "TS 29.500 5.2.6")
async def _interleaved(smf: Smf) -> None:
    sessions = [await smf.data_session() for _ in range(_SESSIONS)]
    for number in range(1, 4):
        for session in sessions:
            (await session.update(used(smf.groups.data, number, totalVolume=1000, then={}))).must_be(200)
    for session in sessions:
        (await session.release()).must_be(200, 204)


@case(
    "connection.order", "Answers to Updates that are under way at once reach the sessions they belong to", "RFC 9113 5"
)
async def _order(smf: Smf) -> None:
    sessions = [await smf.data_session() for _ in range(_SESSIONS)]
    for count, session in enumerate(sessions):
        for number in range(1, count + 1):
            (await session.update(used(smf.groups.data, number, totalVolume=1000, then={}))).must_be(200)
    await asyncio.gather(*(_numbered(smf, session) for session in sessions))


async def _numbered(smf: Smf, session: Session) -> None:
    answer = await session.update(used(smf.groups.data, 99, totalVolume=1000, then={}))
    answer.must_be(200)
    found = answer.json.get("invocationSequenceNumber")
    answer.must(found == session.sequence, f"invocationSequenceNumber {session.sequence}", str(found))


@case(
    "connection.several",
    "A session is reached over another connection than the one it was opened on",
    "TS 29.500 5.2.6",
)
async def _several(smf: Smf) -> None:
    session = await smf.data_session()
    message = session.report(used(smf.groups.data, totalVolume=1000, then={}))
    (await smf.send(f"{session.path}/update", message, connection=await smf.connect())).must_be(200)


@case("connection.lost", "A session outlives the connection it was opened on", "TS 32.290 5.1; TS 29.500 5.2.6")
async def _lost(smf: Smf) -> None:
    other = await smf.connect()
    session = await smf.open(ask(smf.groups.data), connection=other)
    await other.aclose()
    (await session.update(used(smf.groups.data, totalVolume=1000, then={}), sequence=1)).must_be(200)
    session.sequence = 1


@case("connection.ping", "PING is acknowledged with its own octets", "RFC 9113 6.7")
async def _ping(smf: Smf) -> None:
    connection = await smf.connection()
    await _ponged(smf, connection, b"smfleet1")


async def _ponged(smf: Smf, connection: Connection, data: bytes) -> None:
    try:
        await connection.ping(data)
    except NoAnswerError as error:
        raise DeviationError(Found(clause=smf.clause, expected="PING with ACK", found=str(error))) from None


@case("connection.idle", "A connection is kept while nothing is said", "TS 29.500 5.2.6; RFC 9113 9.1")
async def _idle(smf: Smf) -> None:
    session = await smf.data_session()
    connection = await smf.connection()
    await asyncio.sleep(smf.settings.idle_s)
    await _ponged(smf, connection, b"smfleet2")
    message = session.report(used(smf.groups.data, totalVolume=1000, then={}))
    (await smf.send(f"{session.path}/update", message, connection=connection)).must_be(200)


@case("connection.unknown_frame", "A frame of an unknown type is ignored", "RFC 9113 4.1, 5.5")
async def _unknown_frame(smf: Smf) -> None:
    connection = await smf.connection()
    connection.frame(0xFA, b"whatever")
    await _create_on(smf, connection)


@case("connection.goaway", "A request under way is answered after our GOAWAY", "RFC 9113 6.8; TS 29.500 5.2.6")
async def _goaway(smf: Smf) -> None:
    connection = await smf.connect()
    stream = await _begun(smf, connection)
    connection.goaway()
    (await _finished(smf, connection, stream)).must_be(201)


@case("connection.cancelled", "After cancelled requests the connection goes on", "RFC 9113 5.4.2, 8.7")
async def _cancelled(smf: Smf) -> None:
    connection = await smf.connection()
    for _ in range(20):
        connection.cancel(await _begun(smf, connection))
    await _create_on(smf, connection)


@case("connection.half", "A request that is never finished holds up no other", "RFC 9113 5")
async def _half(smf: Smf) -> None:
    connection = await smf.connection()
    half = await _begun(smf, connection, b'{"subscriberIdentifier":', end=False)
    await _create_on(smf, connection)
    connection.cancel(half)


@case("connection.window", "An answer keeps within a window of 100 octets", "RFC 9113 5.2")
async def _window(smf: Smf) -> None:
    await _create_on(smf, await smf.connect(window=100))


@case("connection.after_error", "After a malformed message the connection goes on", "RFC 9110 15.5; RFC 9113 5.4")
async def _after_error(smf: Smf) -> None:
    connection = await smf.connection()
    (await smf.create(b"{", connection=connection)).must_be_refused()
    await _create_on(smf, connection)


async def _create_on(smf: Smf, connection: Connection) -> None:
    (await smf.create(smf.messages.create(ask(smf.groups.data)), connection=connection)).must_be(201)


async def _begun(smf: Smf, connection: Connection, body: bytes | None = None, *, end: bool = True) -> Stream:
    message = smf.messages.create(ask(smf.groups.data)) if body is None else body
    exchange = smf.exchange(smf.settings.collection, message)
    try:
        return await connection.begin(exchange.headers, exchange.body, exchange, end=end)
    except NoAnswerError as error:
        raise DeviationError(
            Found(clause=smf.clause, expected="a request that can be sent", found=str(error), exchange=exchange)
        ) from None


async def _finished(smf: Smf, connection: Connection, stream: Stream) -> Heard:
    with suppress(NoAnswerError):  # it is in the exchange
        await connection.finish(stream)
    answer = Heard(stream.exchange, smf.clause)
    answer.must(not stream.exchange.failure, "an answer", stream.exchange.failure)
    smf.remember(answer)
    return answer
