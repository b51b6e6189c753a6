"""How a slot replaces its connection."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from simulator.http2.backoff import Backoff
from simulator.http2.connection import ClientConnection
from simulator.http2.slot import Slot
from simulator.http2.statistics import Counters
from simulator.http2.target import TargetError

pytestmark = pytest.mark.anyio


class FakeConnection:
    serving = True
    retired = False

    def __init__(self, answers: int = 0) -> None:
        self.counters = Counters(answers=answers)


class Attempts:
    """Each attempt waits for its outcome; `delays` are those that the back-off gave out."""

    def __init__(self) -> None:
        self.outcomes: asyncio.Queue[Any] = asyncio.Queue()
        self.delays: list[float] = []
        backoff = Backoff(0.001, 0.016, lambda: 1.0)
        give_out = backoff.next_delay_s

        def next_delay_s() -> float:
            self.delays.append(give_out())
            return 0.0

        backoff.next_delay_s = next_delay_s  # type: ignore[method-assign]
        self.slot = Slot(self.connect, backoff, settled_s=3_600.0)

    async def connect(self) -> ClientConnection:
        outcome = await self.outcomes.get()
        if isinstance(outcome, Exception):
            raise outcome
        return cast("ClientConnection", outcome)

    async def give(self, *outcomes: object) -> None:
        for outcome in outcomes:
            self.outcomes.put_nowait(outcome)
            for _ in range(6):
                await asyncio.sleep(0)


async def test_delays_grow_until_a_connection_has_proved_itself() -> None:
    attempts = Attempts()
    useless, useful = FakeConnection(), FakeConnection(answers=1)
    attempts.slot.start()
    await attempts.give(TargetError("refused"), TargetError("refused"), useless)
    assert attempts.delays == [0.001, 0.002]
    attempts.slot.on_gone(cast("ClientConnection", useless))
    assert attempts.delays == [0.001, 0.002, 0.004]
    await attempts.give(useful)
    attempts.slot.on_gone(cast("ClientConnection", useful))
    assert attempts.delays == [0.001, 0.002, 0.004, 0.001]
    assert attempts.slot.connecting
    await attempts.slot.aclose()
    assert not attempts.slot.connecting


async def test_a_connection_that_was_told_to_go_is_replaced_at_once() -> None:
    attempts = Attempts()
    leaving = FakeConnection(answers=1)
    leaving.retired = True
    attempts.slot.adopt(cast("ClientConnection", leaving))
    attempts.slot.on_gone(cast("ClientConnection", leaving))
    assert attempts.delays == []
    assert attempts.slot.connecting
    await attempts.slot.aclose()


async def test_a_connection_of_another_slot_is_none_of_its_business() -> None:
    attempts = Attempts()
    attempts.slot.adopt(cast("ClientConnection", FakeConnection()))
    assert not attempts.slot.on_gone(cast("ClientConnection", FakeConnection()))
    assert not attempts.slot.connecting
