"""Top-ups on the weather's timeline: accounts get credit, one after the other, and sessions that ran dry are told so."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final

from simulator.config.faults import Credit
from simulator.sandbox.accounts import Account
from simulator.sandbox.chf import Chf
from simulator.sandbox.weather import Rule

_STEP_S: Final = 0.005
_MOST_A_STEP: Final = 100
"""Topped up in one turn of the loop at most; charging goes on in between."""


class TopUps:
    """Those that go on. `counts` counts accounts under `credit`."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._tasks: dict[int, asyncio.Task[None]] = {}
        """By the number of the rule."""

    def begin(self, rule: Rule, stores: Sequence[Chf]) -> None:
        """Top up the accounts of these stores that there are now and that the rule chooses; begun again, it starts anew."""
        credit = rule.fault.credit
        assert credit is not None
        chosen = [
            (chf, account)
            for chf in stores
            for account in chf.accounts.page(None, len(chf.accounts))
            if rule.chooses(account.subscriber)
        ]
        self._stop(rule.number)
        task = asyncio.get_running_loop().create_task(self._hand_out(chosen, credit, rule.end))
        self._tasks[rule.number] = task

    def keep(self, numbers: set[int]) -> None:
        """Stop those whose rule is none of these any more."""
        for number in self._tasks.keys() - numbers:
            self._stop(number)

    async def aclose(self) -> None:
        """Stop all."""
        tasks = list(self._tasks.values())
        self.keep(set())
        await asyncio.gather(*tasks, return_exceptions=True)

    def _stop(self, number: int) -> None:
        task = self._tasks.pop(number, None)
        if task is not None:
            task.cancel()

    async def _hand_out(self, chosen: Sequence[tuple[Chf, Account]], credit: Credit, end: int | None) -> None:
        began = time.monotonic_ns()
        place = 0
        while place < len(chosen):
            now = time.monotonic_ns()
            if end is not None and now >= end:
                return
            due = 1 + int((now - began) * credit.rate / 1e9)
            for chf, account in chosen[place : min(due, place + _MOST_A_STEP)]:
                chf.credit(account, credit.balances)
                self._counts["credit"] += 1
                place += 1
            await asyncio.sleep(_STEP_S if place >= due else 0)
