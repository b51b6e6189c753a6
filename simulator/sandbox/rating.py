"""Rating: what units cost, how many can be granted, and what a grant looks like on the wire.

Everything is counted in integers. The cost of a rating group is a function of *all* the units that a session has used
in it, so that rounding and prices do not depend on how the usage was cut into reports:

    cost(units) = ceil(round_up(units, rounding) * price / per)      with price 1 per 1 for a plain allowance

A debit is the growth of that cost; a reservation is the growth a grant could cause.
"""

from __future__ import annotations

from typing import Final

from simulator.sandbox.accounts import Balance
from simulator.sandbox.messages import UINT32, UINT64

_MAX_FRAGMENTS: Final = 4096
_THRESHOLDS: Final = {
    "time": b"timeQuotaThreshold",
    "totalVolume": b"volumeQuotaThreshold",
    "serviceSpecificUnits": b"unitQuotaThreshold",
}


class RatingGroup:
    """How one rating group is charged, and what it has charged so far.

    `counter` None is zero-rated: counted, not charged. `threshold` is the share of a grant (0 to 1) that remains when
    the SMF must report. Sizes in units, times in session seconds; 0, and no final unit action, leaves that field out.
    `rated` False stands for what the plan does not know.
    """

    __slots__ = (
        "counter",
        "debited",
        "final_unit",
        "fragments",
        "grant",
        "holding_time",
        "is_plain",
        "max_grant",
        "number",
        "per",
        "price",
        "rated",
        "reserved",
        "rounding",
        "threshold",
        "unit",
        "units",
        "validity",
    )

    def __init__(
        self,
        number: int,
        unit: str,
        *,
        counter: str | None,
        grant: int = 1,
        max_grant: int | None = None,
        threshold: float = 0.0,
        validity: int = 0,
        holding_time: int = 0,
        final_unit: str | None = "TERMINATE",
        rounding: int = 1,
        price: int = 1,
        per: int = 1,
        rated: bool = True,
    ) -> None:
        self.number = number
        self.unit = unit
        self.counter = counter
        self.grant = grant
        limit = UINT32 if unit == "time" else UINT64
        self.max_grant = limit if max_grant is None else min(max_grant, limit)
        self.threshold = threshold
        self.validity = validity
        self.holding_time = holding_time
        self.final_unit = final_unit
        self.rounding = rounding
        self.price = price
        self.per = per
        self.is_plain = rounding == 1 and price == per
        """Whether the cost of so many units is that number; it is for most, and spares the arithmetic."""
        self.rated = rated
        self.fragments: dict[tuple[int, bool], bytes] = {}
        # Running totals over all sessions, so that nobody has to walk through the sessions for them.
        self.units = 0
        self.debited = 0
        self.reserved = 0

    def cost(self, units: int) -> int:
        """What so many units of one session cost, in units of the counter, if there is one."""
        if self.is_plain:
            return units
        units = -(-units // self.rounding) * self.rounding
        return -(-units * self.price // self.per)

    def affordable(self, used: int, budget: int) -> int:
        """The most units that can follow `used` so that the cost of all stays within `budget`."""
        units = budget * self.per // self.price
        return max(0, units - units % self.rounding - used)

    def granted(self, units: int, final: bool) -> bytes:
        """The entry of `multipleUnitInformation` that grants so many units; `final`: there is nothing after them."""
        fragment = self.fragments.get((units, final))
        if fragment is None:
            if len(self.fragments) >= _MAX_FRAGMENTS:
                self.fragments.clear()
            fragment = self.fragments[units, final] = self._grant_fragment(units, final)
        return fragment

    def _grant_fragment(self, units: int, final: bool) -> bytes:
        parts = [b'"ratingGroup":%d,"resultCode":"SUCCESS"' % self.number]
        parts.append(b'"grantedUnit":{"%b":%d}' % (self.unit.encode(), units))
        if self.validity:
            parts.append(b'"validityTime":%d' % self.validity)
        if self.holding_time:
            parts.append(b'"quotaHoldingTime":%d' % self.holding_time)
        threshold = round(units * self.threshold)
        if final and self.final_unit is not None:
            # No threshold: the last grant is used up, then reported with QUOTA_EXHAUSTED (TS 32.290 5.4.5).
            parts.append(b'"finalUnitIndication":{"finalUnitAction":"%b"}' % self.final_unit.encode())
        elif 0 < threshold < units:
            parts.append(b'"%b":%d' % (_THRESHOLDS[self.unit], threshold))
        return b"{%b}" % b",".join(parts)


class Quota:
    """What one session holds and has used of one rating group."""

    __slots__ = ("balance", "debited", "granted", "group", "number", "overused", "reports", "reserved", "units")

    def __init__(self, number: int, group: RatingGroup, balance: Balance | None) -> None:
        self.number = number
        self.group = group
        self.balance = balance
        self.units = 0
        """Reported by the SMF, all in all."""
        self.debited = 0
        """Always the cost of `units`."""
        self.reserved = 0
        """Held back in the balance for what is left of the grant."""
        self.granted = 0
        """Units that are left of the grant."""
        self.overused = 0
        """Units that were reported beyond a grant."""
        self.reports = 0

    def debit(self, units: int) -> None:
        """Charges reported units, out of the reservation first."""
        self.reports += 1
        self.units += units
        group = self.group
        group.units += units
        self.granted = self.granted - units if units < self.granted else 0
        balance = self.balance
        if balance is None:
            return
        growth = group.cost(self.units) - self.debited
        self.debited += growth
        group.debited += growth
        balance.used += growth
        if self.reserved:
            self._reserve(balance, self.reserved - growth if growth < self.reserved else 0)

    def give_back(self) -> None:
        """Ends the grant; what was reserved for it is available again."""
        self.granted = 0
        if self.balance is not None:
            self._reserve(self.balance, 0)

    def grant(self, wanted: int) -> bytes:
        """Replaces the grant and its reservation by a new one; returns the entry of `multipleUnitInformation`.

        Fewer units than wanted are granted when the balance is short, and the last ones are marked as final.
        """
        group = self.group
        balance = self.balance
        if balance is None:
            return self._grant_free(wanted)
        wanted = min(wanted or group.grant, group.max_grant)
        available = balance.total - balance.reserved - balance.used + self.reserved
        growth = group.cost(self.units + wanted) - self.debited
        if growth > available:
            wanted = group.affordable(self.units, self.debited + available)
            if not wanted:
                self._reserve(balance, 0)
                return not_granted(self.number, b"QUOTA_LIMIT_REACHED")
            growth = group.cost(self.units + wanted) - self.debited
        self.granted = wanted
        self._reserve(balance, growth)
        final = growth == available
        if not (final or group.is_plain):
            final = group.cost(self.units + wanted + 1) - self.debited > available
        return group.granted(wanted, final)

    def _grant_free(self, wanted: int) -> bytes:
        """Zero-rated: nothing is reserved, but it is granted in pieces, so that the SMF reports and the books are kept.

        QUOTA_MANAGEMENT_NOT_APPLICABLE would do too, but a session with nothing else in it would then be silent until
        it expires.
        """
        group = self.group
        if not group.rated:
            return not_granted(self.number, b"RATING_FAILED")
        self.granted = min(wanted or group.grant, group.max_grant)
        return group.granted(self.granted, False)

    def buy(self, wanted: int) -> bytes | None:
        """Debits an event at once (IEC): all of it, or None when the balance is short."""
        group = self.group
        wanted = wanted or group.grant
        balance = self.balance
        if balance is not None and group.cost(self.units + wanted) - self.debited > balance.available:
            return None
        self.debit(wanted)
        return event_granted(self.number, group.unit, wanted)

    def _reserve(self, balance: Balance, cost: int) -> None:
        """Holds back that much instead of what was held back so far."""
        growth = cost - self.reserved
        self.reserved = cost
        balance.reserved += growth
        self.group.reserved += growth


def not_granted(rating_group: int, result_code: bytes) -> bytes:
    """The entry of `multipleUnitInformation` for a rating group without a grant."""
    return b'{"ratingGroup":%d,"resultCode":"%b"}' % (rating_group, result_code)


def event_granted(rating_group: int, unit: str, units: int) -> bytes:
    """The entry of `multipleUnitInformation` for an event that was debited at once."""
    return b'{"ratingGroup":%d,"resultCode":"SUCCESS","grantedUnit":{"%b":%d}}' % (rating_group, unit.encode(), units)
