"""Rating: what units cost, how many can be granted, and what a grant looks like on the wire.

Everything is counted in integers. The cost of a rating group is a function of *all* the units that a session has used
in it, so that rounding and prices do not depend on how the usage was cut into reports:

    cost(units) = ceil(round_up(units, rounding) * price / per)      with price 1 per 1 for a plain allowance

A debit is the growth of that cost; a reservation is the growth a grant could cause.
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

from simulator.sandbox.accounts import Balance
from simulator.sandbox.messages import UINT32, UINT64
from simulator.sandbox.switches import Switches

CHECKSUM_MODULUS: Final = (1 << 61) - 1
"""A prime that leaves sums small integers of the machine."""

_MAX_FRAGMENTS: Final = 4096
_CRC_VALUES: Final = 2.0**32
_THRESHOLDS: Final = {
    "time": b"timeQuotaThreshold",
    "totalVolume": b"volumeQuotaThreshold",
    "serviceSpecificUnits": b"unitQuotaThreshold",
}


class RatingGroup:
    """How one rating group is charged, and what it has charged so far.

    `counter` None is zero-rated: counted, not charged. `threshold` is the share of a grant (0 to 1) that remains when
    the SMF must report. Sizes in units, times in session seconds; 0, and no final unit indication, leaves that field out.
    `final_indication` and `triggers` are JSON, as they go into a grant. `rated` False stands for what the plan does not
    know.
    """

    __slots__ = (
        "counter",
        "debited",
        "final_indication",
        "final_validity",
        "fragments",
        "grant",
        "holding_time",
        "is_plain",
        "max_grant",
        "negative",
        "number",
        "overreserved",
        "per",
        "price",
        "rated",
        "reserved",
        "rounding",
        "switch",
        "switches",
        "threshold",
        "triggers",
        "unit",
        "units",
        "validity",
        "validity_jitter",
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
        validity_jitter: float = 0.0,
        holding_time: int = 0,
        final_indication: bytes | None = b'{"finalUnitAction":"TERMINATE"}',
        final_validity: int | None = None,
        triggers: bytes = b"",
        switches: Switches | None = None,
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
        self.validity_jitter = validity_jitter
        self.holding_time = holding_time
        self.final_indication = final_indication
        self.final_validity = final_validity
        self.triggers = triggers
        self.switches = switches
        self.switch = b""
        """The next switch of the tariff, as grants tell it."""
        self.rounding = rounding
        self.price = price
        self.per = per
        self.is_plain = rounding == 1 and price == per
        """Whether the cost of so many units is that number; it is for most, and spares the arithmetic."""
        self.rated = rated
        self.fragments: dict[tuple[int, bool, int], bytes] = {}
        # Running totals over all sessions, so that nobody has to walk through the sessions for them.
        self.units = 0
        self.debited = 0
        self.reserved = 0
        # Promises that were broken; see `totals.totals`.
        self.negative = 0
        self.overreserved = 0

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

    def look_at_the_clock(self, stamp: str) -> None:
        """Grants from now on tell the first switch of the tariff after that time stamp."""
        if self.switches is not None:
            switch = self.switches.after(stamp)
            if switch != self.switch:
                self.switch = switch
                self.fragments.clear()

    def validity_in(self, reference: bytes) -> int:
        """Seconds for which grants of that session are valid: with jitter, always the same within its bounds."""
        if not self.validity_jitter:
            return self.validity
        place = crc32(reference) / _CRC_VALUES * 2 - 1
        return max(1, round(self.validity * (1 + self.validity_jitter * place)))

    def granted(self, units: int, final: bool, validity: int) -> bytes:
        """The entry of `multipleUnitInformation` that grants so many units; `final`: there is nothing after them.

        `validity` is that of the session, unless the last grant has one of its own.
        """
        fragment = self.fragments.get((units, final, validity))
        if fragment is None:
            if len(self.fragments) >= _MAX_FRAGMENTS:
                self.fragments.clear()
            fragment = self.fragments[units, final, validity] = self._grant_fragment(units, final, validity)
        return fragment

    def _grant_fragment(self, units: int, final: bool, validity: int) -> bytes:
        parts = [b'"ratingGroup":%d,"resultCode":"SUCCESS"' % self.number]
        switch = b',"tariffTimeChange":"%b"' % self.switch if self.switch else b""
        parts.append(b'"grantedUnit":{"%b":%d%b}' % (self.unit.encode(), units, switch))
        if final and self.final_validity is not None:
            validity = self.final_validity
        if validity:
            parts.append(b'"validityTime":%d' % validity)
        if self.holding_time:
            parts.append(b'"quotaHoldingTime":%d' % self.holding_time)
        threshold = round(units * self.threshold)
        if final and self.final_indication is not None:
            # No threshold: the last grant is used up, then reported with QUOTA_EXHAUSTED (TS 32.290 5.4.5).
            parts.append(b'"finalUnitIndication":%b' % self.final_indication)
        elif 0 < threshold < units:
            parts.append(b'"%b":%d' % (_THRESHOLDS[self.unit], threshold))
        if self.triggers:
            parts.append(b'"triggers":%b' % self.triggers)
        return b"{%b}" % b",".join(parts)


class Quota:
    """What one session holds and has used of one rating group."""

    __slots__ = (
        "balance",
        "checksum",
        "containers",
        "debited",
        "granted",
        "group",
        "number",
        "overused",
        "reports",
        "reserved",
        "short",
        "units",
        "validity",
    )

    def __init__(self, number: int, group: RatingGroup, balance: Balance | None, validity: int = 0) -> None:
        self.number = number
        self.group = group
        self.balance = balance
        self.validity = validity
        """Seconds for which its grants are valid; 0: for ever."""
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
        self.containers = 0
        self.checksum = 0
        """Over all containers; see `ledger`."""
        self.short = False
        """The last answer granted the last units, or none for want of credit."""

    def debit(self, units: int) -> None:
        """Charges units that were used out of the grant, out of its reservation first."""
        self.units += units
        group = self.group
        group.units += units
        over = units > self.granted
        balance = self.balance
        if balance is None:
            self.granted = 0 if over else self.granted - units
            return
        if over:
            self.overused += units - self.granted
            self.granted = 0
        else:
            self.granted -= units
        growth = group.cost(self.units) - self.debited
        self.debited += growth
        group.debited += growth
        balance.used += growth
        if growth > self.reserved and not over and balance.total - balance.reserved - balance.used < -self.reserved:
            group.negative += 1
        if self.reserved:
            self._reserve(balance, self.reserved - growth if growth < self.reserved else 0)

    def debit_aside(self, units: int) -> None:
        """Charges units that were used without quota: what is left of the grant keeps its reservation."""
        self.units += units
        group = self.group
        group.units += units
        balance = self.balance
        if balance is None:
            return
        growth = group.cost(self.units) - self.debited
        self.debited += growth
        group.debited += growth
        balance.used += growth
        if self.granted:  # with rounding, what follows may cost a little more or less than before
            self._reserve(balance, group.cost(self.units + self.granted) - self.debited)

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
                self.give_back()
                self.short = True
                return not_granted(self.number, b"QUOTA_LIMIT_REACHED")
            growth = group.cost(self.units + wanted) - self.debited
        self.granted = wanted
        self._reserve(balance, growth)
        if growth and balance.total - balance.reserved - balance.used < 0:
            group.overreserved += 1
        final = growth == available
        if not (final or group.is_plain):
            final = group.cost(self.units + wanted + 1) - self.debited > available
        self.short = final
        return group.granted(wanted, final, self.validity)

    def _grant_free(self, wanted: int) -> bytes:
        """Zero-rated: nothing is reserved, but it is granted in pieces, so that the SMF reports and the books are kept.

        QUOTA_MANAGEMENT_NOT_APPLICABLE would do too, but a session with nothing else in it would then be silent until
        it expires.
        """
        group = self.group
        if not group.rated:
            return not_granted(self.number, b"RATING_FAILED")
        self.granted = min(wanted or group.grant, group.max_grant)
        return group.granted(self.granted, False, self.validity)

    def buy(self, wanted: int) -> bytes | None:
        """Debits an event at once (IEC): all of it, or None when the balance is short."""
        group = self.group
        wanted = wanted or group.grant
        balance = self.balance
        if balance is not None and group.cost(self.units + wanted) - self.debited > balance.available:
            return None
        self.reports += 1
        self.debit_aside(wanted)
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
