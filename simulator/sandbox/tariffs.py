"""The rating plan, made ready for the hot path: one `RatingGroup` per number, in integers and octets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Final

import orjson

from simulator.config import RatingPlan, Terms
from simulator.config.plan import PlanTrigger
from simulator.sandbox.messages import Units
from simulator.sandbox.rating import RatingGroup
from simulator.sandbox.switches import Switches

_UNITS: Final = ("totalVolume", "serviceSpecificUnits", "time")
"""In the order in which they are looked for where the plan does not say which one counts."""


class Tariffs:
    """All rating groups of a plan, what accounts begin with, how long a session may be silent, and what it is told."""

    __slots__ = (
        "_groups",
        "_unrated",
        "initial_balances",
        "notifies_on_credit",
        "pdu_session_terms",
        "session_expiry_s",
        "session_terms",
    )

    def __init__(
        self,
        groups: Iterable[RatingGroup],
        initial_balances: Mapping[str, int] | None,
        session_expiry_s: float,
        session_terms: bytes,
        pdu_session_terms: bytes,
        notifies_on_credit: bool,
    ) -> None:
        self._groups = {group.number: group for group in groups}
        self._unrated = {unit: RatingGroup(0, unit, counter=None, rated=False) for unit in _UNITS}
        self.initial_balances = initial_balances
        """Of accounts that are provisioned by themselves; None: they are not, an unknown subscriber is refused."""
        self.session_expiry_s = session_expiry_s
        self.session_terms = session_terms
        """Members of an answer to Create, each after a comma: failure handling, failover and triggers."""
        self.pdu_session_terms = pdu_session_terms
        """The same for a PDU session."""
        self.notifies_on_credit = notifies_on_credit

    @classmethod
    def of(cls, plan: RatingPlan) -> Tariffs:
        """The tariffs of a rating plan."""
        session_terms = _session_terms(plan)
        timer = plan.unit_count_inactivity_timer
        for_pdu_sessions = b',"pDUSessionChargingInformation":{"unitCountInactivityTimer":%d}' % timer if timer else b""
        return cls(
            [_rating_group(number, rule) for number, rule in plan.rating_groups.items()],
            dict(plan.balances) if plan.unknown_subscriber == "provision" else None,
            plan.session_expiry,
            session_terms,
            session_terms + for_pdu_sessions,
            plan.notify_on_credit,
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
        validity_jitter=terms.validity_jitter,
        holding_time=terms.holding_time,
        final_indication=_final_indication(terms),
        final_validity=terms.final_validity,
        triggers=_triggers(terms.triggers) if terms.triggers else b"",
        switches=Switches(terms.tariff_changes) if terms.tariff_changes else None,
        rounding=terms.rounding,
        price=terms.price,
        per=terms.per,
    )


def _final_indication(terms: Terms[int]) -> bytes | None:
    """FinalUnitIndication (TS 32.291 6.1.6.2.2.9); None where the plan has none."""
    if terms.final_unit is None:
        return None
    indication: dict[str, object] = {"finalUnitAction": terms.final_unit}
    if terms.redirect_server is not None:
        server = terms.redirect_server
        indication["redirectServer"] = {"redirectAddressType": server.type, "redirectServerAddress": server.address}
    if len(terms.filter_ids) == 1:  # the list came later, and is a feature to be agreed on
        indication["filterId"] = terms.filter_ids[0]
    elif terms.filter_ids:
        indication["filterIdList"] = terms.filter_ids
    return orjson.dumps(indication)


def _triggers(triggers: Iterable[PlanTrigger]) -> bytes:
    return orjson.dumps([_trigger(trigger) for trigger in triggers])


def _trigger(trigger: PlanTrigger) -> dict[str, object]:
    limits = {
        "timeLimit": trigger.time_limit,
        "volumeLimit64": trigger.volume_limit,
        "eventLimit": trigger.event_limit,
        "maxNumberOfccc": trigger.max_changes,
    }
    return {
        "triggerType": trigger.type,
        "triggerCategory": trigger.category,
        **{name: limit for name, limit in limits.items() if limit is not None},
    }


def _session_terms(plan: RatingPlan) -> bytes:
    terms = b""
    if plan.session_failover is not None:
        terms += b',"sessionFailover":"%b"' % plan.session_failover.encode()
    if plan.failure_handling is not None:
        terms += b',"invocationResult":{"failureHandling":"%b"}' % plan.failure_handling.encode()
    if plan.triggers:
        terms += b',"triggers":%b' % _triggers(plan.triggers)
    return terms
