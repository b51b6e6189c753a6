"""The rating plan, made ready for the hot path: one `RatingGroup` per number, in integers and octets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Final

from simulator.config import RatingPlan, Terms
from simulator.sandbox.messages import Units
from simulator.sandbox.rating import RatingGroup

_UNITS: Final = ("totalVolume", "serviceSpecificUnits", "time")
"""In the order in which they are looked for where the plan does not say which one counts."""


class Tariffs:
    """All rating groups of a plan, what accounts begin with, and how long a session may be silent."""

    __slots__ = ("_groups", "_unrated", "initial_balances", "session_expiry_s")

    def __init__(
        self, groups: Iterable[RatingGroup], initial_balances: Mapping[str, int] | None, session_expiry_s: float
    ) -> None:
        self._groups = {group.number: group for group in groups}
        self._unrated = {unit: RatingGroup(0, unit, counter=None, rated=False) for unit in _UNITS}
        self.initial_balances = initial_balances
        """Of accounts that are provisioned by themselves; None: they are not, an unknown subscriber is refused."""
        self.session_expiry_s = session_expiry_s

    @classmethod
    def of(cls, plan: RatingPlan) -> Tariffs:
        """The tariffs of a rating plan."""
        return cls(
            [_rating_group(number, rule) for number, rule in plan.rating_groups.items()],
            dict(plan.balances) if plan.unknown_subscriber == "provision" else None,
            plan.session_expiry,
        )

    def __iter__(self) -> Iterator[RatingGroup]:
        return chain(self._groups.values(), self._unrated.values())

    def counters(self) -> list[str]:
        """The names of all balances that can be debited."""
        return sorted({group.counter for group in self._groups.values() if group.counter is not None})

    def find(self, number: int) -> RatingGroup | None:
        """The rating group of that number, if the plan has it."""
        return self._groups.get(number)

    def unrated(self, units: Iterable[Units]) -> RatingGroup:
        """What counts the units of a rating group that the plan does not have, by the kind of unit they come in."""
        names = {kind for entry in units for kind in entry.kinds()}
        if names & {"uplinkVolume", "downlinkVolume"}:
            return self._unrated["totalVolume"]
        return self._unrated[next((unit for unit in _UNITS if unit in names), "totalVolume")]


def _rating_group(number: int, terms: Terms[int]) -> RatingGroup:
    return RatingGroup(
        number,
        terms.unit,
        counter=None if terms.zero_rated else terms.counter,
        grant=terms.grant,
        max_grant=terms.max_grant,
        threshold=terms.threshold,
        validity=terms.validity,
        holding_time=terms.holding_time,
        final_unit=terms.final_unit,
        rounding=terms.rounding,
        price=terms.price,
        per=terms.per,
    )
