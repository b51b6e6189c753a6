"""Credit on the weather's timeline: who gets it, how fast, and who is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from simulator.sandbox.sessions import Session
from tests.sandbox.skies import Sky, sky
from tests.sandbox.smf import KB, Smf, ask

pytestmark = pytest.mark.anyio


def subscriber(number: int) -> str:
    return f"imsi-00101000000{number:04}"


def top_up(**fields: Any) -> dict[str, Any]:
    return {"from": "20ms", "credit": {"balances": {"data": 7 * KB}, "rate": "100k/s"}, **fields}


def total(chf: Sky, number: int) -> int:
    account = chf.chf.accounts.get(subscriber(number))
    assert account is not None
    return account.balance("data").total


async def credited(chf: Sky, count: int) -> None:
    while chf.counts["credit"] < count:  # noqa: ASYNC110 - timers of the loop
        await asyncio.sleep(0.005)


def opened(chf: Sky, count: int) -> None:
    smf = Smf(chf.chf)
    for number in range(count):
        smf.open(ask(300), subscriber=subscriber(number))


async def test_every_account_that_there_is_gets_it_once() -> None:
    async with sky(top_up()) as chf:
        opened(chf, 300)
        await credited(chf, 300)
        assert {total(chf, number) for number in range(300)} == {107 * KB}
        opened(chf, 301)
        await asyncio.sleep(0.05)
        assert (chf.counts["credit"], total(chf, 300)) == (300, 100 * KB)


async def test_a_range_and_a_share_choose_who_gets_it() -> None:
    chosen = top_up(subscribers=f"{subscriber(100)}..{subscriber(299)}", share="50%")
    async with sky(chosen) as chf:
        opened(chf, 400)
        await credited(chf, 70)
        await asyncio.sleep(0.05)
        rich = {number for number in range(400) if total(chf, number) > 100 * KB}
        assert rich < set(range(100, 300))
        assert 70 <= len(rich) == chf.counts["credit"] <= 130


async def test_the_end_of_its_window_and_its_removal_stop_it() -> None:
    slow = {"balances": {"data": KB}, "rate": "100/s"}
    async with sky(top_up(credit=slow, until="100ms")) as chf:
        opened(chf, 100)
        await credited(chf, 1)
        await asyncio.sleep(0.2)
        assert chf.counts["credit"] <= 15
    async with sky(top_up(credit=slow)) as chf:
        opened(chf, 100)
        await credited(chf, 1)
        chf.clear()
        before = chf.counts["credit"]
        await asyncio.sleep(0.1)
        assert chf.counts["credit"] == before


async def test_sessions_that_ran_dry_are_told_and_others_are_not() -> None:
    async with sky(top_up()) as chf:
        told: list[tuple[str, list[int]]] = []

        def on_credit(session: Session, groups: list[int]) -> None:
            told.append((session.account.subscriber, groups))

        chf.chf.on_credit = on_credit
        smf = Smf(chf.chf)
        smf.open(ask(300), subscriber=subscriber(1))
        smf.open(ask(300, totalVolume=50 * KB), subscriber=subscriber(2))
        smf.open(ask(300, totalVolume=50 * KB), subscriber=subscriber(2), charging_id=2)
        await credited(chf, 2)
        assert told == [(subscriber(2), [300])]
