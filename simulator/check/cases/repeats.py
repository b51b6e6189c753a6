"""Repeats: a request whose answer was lost is sent again, and nothing is charged twice."""

from __future__ import annotations

import asyncio

from simulator.check.catalogue import case
from simulator.check.management import units_used
from simulator.check.messages import MB, Json, ask, used
from simulator.check.smf import Heard, Smf

REPEAT = "TS 32.290 5.3 (retransmission); TS 32.291 6.1.6.2 (retransmissionIndicator)"
AGAIN: Json = {"retransmissionIndicator": True}


def _must_be_the_same(first: Heard, second: Heard) -> None:
    second.must(second.status == first.status, f"{first.status}, as before")
    location = first.header(b"location")
    found = second.header(b"location")
    second.must(found == location, f"the same Location, {_text(location)}", _text(found))


def _text(value: bytes | None) -> str:
    return "none" if value is None else value.decode("latin-1")


@case("repeat.create", "A repeated Create opens no second session", REPEAT)
async def _create(smf: Smf) -> None:
    message = smf.messages.create(ask(smf.groups.data))
    first = await smf.create(message)
    first.must_be(201)
    _must_be_the_same(first, await smf.create(message | AGAIN))


@case("repeat.create.grant", "A repeated Create is granted what it was granted before", REPEAT)
async def _create_grant(smf: Smf) -> None:
    message = smf.messages.create(ask(smf.groups.data, totalVolume=5 * MB))
    first = await smf.create(message)
    first.must_be(201)
    second = await smf.create(message | AGAIN)
    _must_grant_the_same(first, second)


@case("repeat.create.connections", "A Create repeated on another connection opens no second session", REPEAT)
async def _connections(smf: Smf) -> None:
    message = smf.messages.create(ask(smf.groups.data))
    first = await smf.create(message)
    first.must_be(201)
    _must_be_the_same(first, await smf.create(message | AGAIN, connection=await smf.connect()))


@case("repeat.create.usable", "The session of a repeated Create goes on", REPEAT)
async def _usable(smf: Smf) -> None:
    message = smf.messages.create(ask(smf.groups.data))
    session = smf.session(await smf.create(message))
    (await smf.create(message | AGAIN)).must_be(201)
    (await session.update(used(smf.groups.data, totalVolume=1000, then={}))).must_be(200)


@case("repeat.update", "A repeated Update is answered as before", REPEAT)
async def _update(smf: Smf) -> None:
    session = await smf.data_session()
    message = session.report(used(smf.groups.data, totalVolume=MB, then={"totalVolume": 5 * MB}))
    first = await smf.send(f"{session.path}/update", message)
    first.must_be(200)
    second = await smf.send(f"{session.path}/update", message | AGAIN)
    second.must_be(200)
    _must_grant_the_same(first, second)


@case("repeat.update.goes_on", "After a repeated Update the next one is answered", REPEAT)
async def _goes_on(smf: Smf) -> None:
    session = await smf.data_session()
    message = session.report(used(smf.groups.data, totalVolume=1000, then={}))
    for each in (message, message | AGAIN):
        (await smf.send(f"{session.path}/update", each)).must_be(200)
    (await session.update(used(smf.groups.data, 2, totalVolume=1000, then={}))).must_be(200)


@case("repeat.release", "A repeated Release is answered as before, or that the session is gone", REPEAT)
async def _release(smf: Smf) -> None:
    session = await smf.data_session()
    message = session.report(used(smf.groups.data, totalVolume=1000, trigger="FINAL"))
    (await smf.send(f"{session.path}/release", message)).must_be(200, 204)
    session.released = True
    (await smf.send(f"{session.path}/release", message | AGAIN)).must_be(200, 204, 404, 410)


@case("repeat.event", "A repeated one-time event is one event", REPEAT)
async def _event(smf: Smf) -> None:
    message = smf.messages.event("IEC", ask(smf.groups.sms, serviceSpecificUnits=1))
    first = await smf.create(message)
    first.must_be_supported()
    first.must_be(201)
    _must_be_the_same(first, await smf.create(message | AGAIN))


@case("repeat.update.once", "The usage in a repeated Update is debited once", REPEAT)
async def _update_once(smf: Smf) -> None:
    session = await smf.data_session()
    message = session.report(used(smf.groups.data, totalVolume=MB, then={}))
    before = await units_used(smf.settings, smf.settings.subscriber)
    (await smf.send(f"{session.path}/update", message)).must_be(200)
    once = await units_used(smf.settings, smf.settings.subscriber)
    answer = await smf.send(f"{session.path}/update", message | AGAIN)
    await _must_be_debited_once(smf, answer, before, once)


@case("repeat.event.once", "A repeated one-time event is debited once", REPEAT)
async def _event_once(smf: Smf) -> None:
    message = smf.messages.event("IEC", ask(smf.groups.sms, serviceSpecificUnits=1))
    before = await units_used(smf.settings, smf.settings.subscriber)
    answer = await smf.create(message)
    answer.must_be_supported()
    once = await units_used(smf.settings, smf.settings.subscriber)
    await _must_be_debited_once(smf, await smf.create(message | AGAIN), before, once)


async def _must_be_debited_once(smf: Smf, answer: Heard, before: dict[str, int], once: dict[str, int]) -> None:
    answer.must(before != once, "a debit for the first request", "none")
    now = await units_used(smf.settings, smf.settings.subscriber)
    answer.must(now == once, f"nothing debited for the repeat: {once}", str(now))


@case("repeat.not", "Two Creates of one subscriber that are no repeats open two sessions", "TS 32.290 5.3")
async def _not(smf: Smf) -> None:
    first, second = await _both(smf, [smf.messages.create(ask(smf.groups.data)) for _ in range(2)])
    second.must(smf.path_of(first) != smf.path_of(second), "a reference of its own", smf.path_of(second))


@case("repeat.not.connections", "Two Creates at once for one subscriber, on two connections", "TS 29.500 5.2.6")
async def _not_connections(smf: Smf) -> None:
    other = await smf.connect()
    messages = [smf.messages.create(ask(smf.groups.data)) for _ in range(2)]
    first, second = await asyncio.gather(smf.create(messages[0]), smf.create(messages[1], connection=other))
    for answer in (first, second):
        answer.must_be(201)
    second.must(smf.path_of(first) != smf.path_of(second), "a reference of its own", smf.path_of(second))


async def _both(smf: Smf, messages: list[Json]) -> tuple[Heard, Heard]:
    """Both at once, on one connection."""
    await smf.connection()
    first, second = await asyncio.gather(*(smf.create(message) for message in messages))
    for answer in (first, second):
        answer.must_be(201)
    return first, second


def _must_grant_the_same(first: Heard, second: Heard) -> None:
    grants = [_grants(each) for each in (first, second)]
    second.must(grants[0] == grants[1], f"the same grants, {grants[0]}", str(grants[1]))


def _grants(answer: Heard) -> dict[int, object]:
    return {group: entry.get("grantedUnit") for group, entry in answer.groups().items()}
