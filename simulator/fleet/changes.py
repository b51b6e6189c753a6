"""When charging conditions change in the middle of a session, and to what: drawn when it is needed, nothing kept per session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from simulator.config.profile import ConditionChange
from simulator.fleet.draws import Purpose, draw
from simulator.n40.conditions import (
    AMBRS,
    FIVE_QIS,
    OTHER_RAT,
    SERVING_NODES,
    TIME_ZONES,
    USUAL,
    VISITED_PLMNS,
    Change,
)
from simulator.n40.flow import NEVER, NS_PER_S

SHORTEST_INTERVAL: Final = 1_000_000
"""Between two changes of one kind there is a millisecond at least, so that time always gets on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a change fires (trigger types of TS 32.291 6.1.6.3), which conditions it changes, whether the device moves."""

    triggers: tuple[str, ...]
    fields: tuple[str, ...] = ()
    moves: bool = False


KINDS: Final = {
    "location": Kind(triggers=("USER_LOCATION_CHANGE",), moves=True),
    "rat": Kind(triggers=("RAT_CHANGE",), fields=("rat",)),
    "handover": Kind(
        triggers=("RAT_CHANGE", "SERVING_NODE_CHANGE", "USER_LOCATION_CHANGE", "HANDOVER_COMPLETE"),
        fields=("rat", "serving_node"),
        moves=True,
    ),
    "qos": Kind(triggers=("QOS_CHANGE",), fields=("qos",)),
    "serving_node": Kind(triggers=("SERVING_NODE_CHANGE",), fields=("serving_node",)),
    "time_zone": Kind(triggers=("UE_TIMEZONE_CHANGE",), fields=("time_zone",)),
    "plmn": Kind(triggers=("PLMN_CHANGE",), fields=("plmn",)),
    "ambr": Kind(triggers=("SESSION_AMBR_CHANGE",), fields=("ambr",)),
}
CHOICES: Final = {
    "qos": len(FIVE_QIS),
    "serving_node": SERVING_NODES,
    "time_zone": len(TIME_ZONES),
    "plmn": len(VISITED_PLMNS),
    "ambr": len(AMBRS),
}
"""How many values take turns."""


class DueChange(NamedTuple):
    """A change to come: `moment` in ns after the session's start. `pending` and `counts` lead to the one after it."""

    moment: int
    change: Change
    pending: tuple[int, ...]
    counts: tuple[int, ...]


class ChangeSource:
    """The changes of a usage's sessions at network functions of one radio.

    Pure: what comes after a change follows from it and from the session's key alone.
    """

    __slots__ = ("_plans", "_rat")

    def __init__(self, plans: list[ConditionChange], rat: str) -> None:
        self._plans = plans
        self._rat = rat

    def next_change(self, key: bytes, last: DueChange | None = None) -> DueChange | None:
        """The change after the last one, or the first; None if there is no more."""
        if last is None:
            counts = (0,) * len(self._plans)
            pending = tuple(self._moment(key, place, 0, 0) for place in range(len(self._plans)))
            change = Change((), USUAL, 0)
        else:
            counts, pending, change = last.counts, last.pending, last.change
        moment = min(pending, default=NEVER)
        if moment == NEVER:
            return None
        place = pending.index(moment)
        index = counts[place] + 1
        after = self._moment(key, place, index, moment)
        return DueChange(
            moment,
            self._after(change, str(self._plans[place].change)),
            (*pending[:place], after, *pending[place + 1 :]),
            (*counts[:place], index, *counts[place + 1 :]),
        )

    def _moment(self, key: bytes, place: int, index: int, last: int) -> int:
        plan, purpose = self._plans[place], Purpose.CHANGE | place << 4
        if plan.every is not None:
            return last + max(SHORTEST_INTERVAL, int(draw(plan.every, key, purpose, index) * NS_PER_S))
        assert plan.at is not None
        return int(draw(plan.at, key, purpose) * NS_PER_S) if index == 0 else NEVER

    def _after(self, before: Change, kind: str) -> Change:
        changed = KINDS[kind]
        now = before.conditions
        for name in changed.fields:
            if name == "rat":
                rat = OTHER_RAT[now.rat or self._rat]
                now = now._replace(rat="" if rat == self._rat else rat)  # "" is the usual radio
            else:
                now = now._replace(**{name: (getattr(now, name) + 1) % CHOICES[name]})
        return Change(changed.triggers, now, before.step + changed.moves)
