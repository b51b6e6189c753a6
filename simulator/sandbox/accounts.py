"""Accounts: who is charged, and what is left. Integers only; the identity total = available + reserved + used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MAX_ACCOUNTS: Final = 10_000_000


class Balance:
    """One counter of one account, in the counter's smallest unit.

    `reserved` never exceeds what there is: a reservation is only made out of `available`. `used` may exceed `total`,
    when a network function reports more than it was granted: what was used is debited (TS 32.290 5.2), and `available`
    is then negative.
    """

    __slots__ = ("reserved", "total", "used")

    def __init__(self, total: int) -> None:
        self.total = total
        self.reserved = 0
        self.used = 0

    @property
    def available(self) -> int:
        """What can still be reserved."""
        return self.total - self.reserved - self.used


class Account:
    """A subscriber and its balances by counter name; `initial` is what a counter holds when it is first looked at."""

    __slots__ = ("_balances", "_initial", "number", "subscriber")

    def __init__(self, subscriber: str, number: int, initial: Mapping[str, int]) -> None:
        self.subscriber = subscriber
        self.number = number
        """Its place among all accounts."""
        self._initial = initial
        self._balances: dict[str, Balance] = {}

    def balance(self, counter: str) -> Balance:
        """The balance of that counter, opened at its first use: most subscribers only ever touch one."""
        balance = self._balances.get(counter)
        if balance is None:
            balance = self._balances[counter] = Balance(self._initial.get(counter, 0))
        return balance

    def balances(self) -> dict[str, Balance]:
        """All balances by counter name, those that were never used included."""
        unused = {counter: Balance(total) for counter, total in self._initial.items()}
        return unused | self._balances


class Accounts:
    """All accounts, in the order in which they came. `initial` None: unknown subscribers are not provisioned."""

    __slots__ = ("_accounts", "_initial", "_order")

    def __init__(self, initial: Mapping[str, int] | None) -> None:
        self._accounts: dict[str, Account] = {}
        self._order: list[Account] = []
        self._initial = initial

    def __len__(self) -> int:
        return len(self._accounts)

    def page(self, after: Account | None, limit: int) -> list[Account]:
        """The next accounts, in the order in which they came."""
        start = 0 if after is None else after.number + 1
        return self._order[start : start + limit]

    def get(self, subscriber: str) -> Account | None:
        """The account of that subscriber, if it exists."""
        return self._accounts.get(subscriber)

    def find(self, subscriber: str) -> Account | None:
        """The account of that subscriber, provisioned now if the plan says so; None for an unknown subscriber."""
        account = self._accounts.get(subscriber)
        if account is None and self._initial is not None and len(self._order) < MAX_ACCOUNTS:
            account = self._add(subscriber, self._initial)
        return account

    def create(self, subscriber: str) -> Account:
        """The account of that subscriber; a new one holds nothing. OverflowError when there are too many."""
        account = self._accounts.get(subscriber)
        if account is None:
            if len(self._order) >= MAX_ACCOUNTS:
                raise OverflowError(f"there are {MAX_ACCOUNTS} accounts already")
            account = self._add(subscriber, {})
        return account

    def _add(self, subscriber: str, initial: Mapping[str, int]) -> Account:
        account = self._accounts[subscriber] = Account(subscriber, len(self._order), initial)
        self._order.append(account)
        return account
