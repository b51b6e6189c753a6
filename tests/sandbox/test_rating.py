"""Costs in whole numbers: never more granted than can be paid, never less."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from simulator.sandbox.accounts import Account, Balance
from simulator.sandbox.rating import Quota, RatingGroup

small = st.integers(1, 50)
groups = st.builds(
    lambda price, per, rounding, grant, limit: RatingGroup(
        1, "totalVolume", counter="c", price=price, per=per, rounding=rounding, grant=grant, max_grant=limit
    ),
    small, small, small, small, small,
)  # fmt: skip


@given(groups, st.integers(0, 10_000))
def test_the_cost_is_the_price_of_the_rounded_units_rounded_up(group: RatingGroup, units: int) -> None:
    rounded = -(-units // group.rounding) * group.rounding
    exact = Fraction(rounded * group.price, group.per)
    assert exact <= group.cost(units) < exact + 1


@given(groups, st.integers(0, 500), st.integers(-10, 500))
def test_the_affordable_units_are_the_most_that_can_be_paid(group: RatingGroup, used: int, budget: int) -> None:
    most = group.affordable(used, budget)
    assert most >= 0
    if most:
        assert group.cost(used + most) <= budget
    assert group.cost(used + most + 1) > budget


@given(groups, st.integers(0, 300), st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=12))
def test_a_quota_never_reserves_more_than_there_is(
    group: RatingGroup, total: int, reports: list[tuple[int, bool]]
) -> None:
    balance = Account("x", 0, {"c": total}).balance("c")
    quota = Quota(1, group, balance)
    for asked, keeps_to_grant in reports:
        before = balance.total - balance.used
        quota.grant(asked)
        assert 0 <= balance.reserved <= max(0, before)
        assert quota.granted <= group.max_grant
        quota.debit(min(asked, quota.granted) if keeps_to_grant else asked)
        assert balance.reserved == quota.reserved >= 0
        assert balance.used == quota.debited == group.cost(quota.units)
        if keeps_to_grant and before >= 0:
            assert balance.available >= 0
    quota.give_back()
    assert balance.reserved == group.reserved == 0


@given(
    groups,
    st.integers(0, 300),
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 60), st.integers(0, 99), st.integers(0, 9)), max_size=12),
)
def test_no_promise_is_broken_whatever_two_sessions_use_with_and_without_quota(
    group: RatingGroup, total: int, reports: list[tuple[int, int, int, int]]
) -> None:
    balance = Account("x", 0, {"c": total}).balance("c")
    quotas = [Quota(1, group, balance), Quota(1, group, balance)]
    for place, asked, reported, aside in reports:
        quota = quotas[place]
        quota.debit(reported)
        if aside:
            quota.debit_aside(aside)
        reservations_are_right(group, balance, quotas)
        quota.grant(asked)
        reservations_are_right(group, balance, quotas)
        assert (group.negative, group.overreserved) == (0, 0)
        assert balance.used == sum(group.cost(each.units) for each in quotas)


def reservations_are_right(group: RatingGroup, balance: Balance, quotas: list[Quota]) -> None:
    """Each holds back what the rest of its grant would cost now."""
    assert balance.reserved == sum(each.reserved for each in quotas)
    for each in quotas:
        assert each.reserved == (group.cost(each.units + each.granted) - each.debited if each.granted else 0)


def test_a_reservation_beyond_the_balance_breaks_a_promise() -> None:
    """As a mistake of ours would make it: the units that can be paid are counted at another price than they cost."""
    group = RatingGroup(1, "totalVolume", counter="c", max_grant=100)
    group.per = 2
    balance = Account("x", 0, {"c": 10}).balance("c")
    Quota(1, group, balance).grant(100)
    assert balance.available == -10
    assert group.overreserved == 1
