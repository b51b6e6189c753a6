"""What makes a session report, and when: the trigger table of TS 32.255 5.2.1.4 as data, and what overrides it.

A trigger that fires either sends a report at once (immediate) or closes the current container, which waits for the next report
(deferred). The defaults below are overridden by the profile, and that by what the CHF answers: a trigger that it leaves out of a
list that it supplied is disabled, unless it may not be (TS 32.291 6.1.6.2.1.8 and 6.1.6.2.1.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from simulator.n40.flow import NEVER, NS_PER_S
from simulator.n40.grants import TriggerAnswer

MAX_ANSWERED_SETS: Final = 256
"""Different lists of triggers that CHFs have answered and that are kept ready; beyond, all are made again."""
MAX_BUFFERED: Final = 50
"""Containers of one rating group that wait for a report at most: one more makes the report immediate."""
MAX_HELD: Final = 4 * MAX_BUFFERED
"""The same while there can be no report, because an answer is awaited or the CHF is in trouble: beyond, usage stays in one."""


class Category(IntEnum):
    """What a trigger does when it fires."""

    OFF = 0
    DEFERRED = 1
    IMMEDIATE = 2


OFF: Final = Category.OFF
DEFERRED: Final = Category.DEFERRED
IMMEDIATE: Final = Category.IMMEDIATE
CATEGORIES: Final = {"IMMEDIATE_REPORT": IMMEDIATE, "DEFERRED_REPORT": DEFERRED}


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the table. `limit` is in seconds, octets, units or changes, by what the trigger counts; 0: no limit."""

    category: Category
    changeable: bool
    limit: int = 0


SESSION_RULES: Final[Mapping[str, Rule]] = {
    "PLMN_CHANGE": Rule(IMMEDIATE, changeable=True),
    "RAT_CHANGE": Rule(IMMEDIATE, changeable=True),
    "SERVING_NODE_CHANGE": Rule(IMMEDIATE, changeable=True),
    "UE_TIMEZONE_CHANGE": Rule(IMMEDIATE, changeable=True),
    "QOS_CHANGE": Rule(DEFERRED, changeable=True),
    "USER_LOCATION_CHANGE": Rule(DEFERRED, changeable=True),
    "SESSION_AMBR_CHANGE": Rule(DEFERRED, changeable=True),
    "CHANGE_OF_3GPP_PS_DATA_OFF_STATUS": Rule(DEFERRED, changeable=True),
    "HANDOVER_START": Rule(DEFERRED, changeable=True),
    "HANDOVER_COMPLETE": Rule(DEFERRED, changeable=True),
    "HANDOVER_CANCEL": Rule(DEFERRED, changeable=True),
    "ADDITION_OF_UPF": Rule(DEFERRED, changeable=True),
    "REMOVAL_OF_UPF": Rule(DEFERRED, changeable=True),
    "TIME_LIMIT": Rule(IMMEDIATE, changeable=True),
    "VOLUME_LIMIT": Rule(IMMEDIATE, changeable=True),
    "MAX_NUMBER_OF_CHANGES_IN_CHARGING_CONDITIONS": Rule(IMMEDIATE, changeable=True, limit=20),
}
"""Triggers of a whole charging session. TIME_LIMIT and VOLUME_LIMIT have no limit until a profile or a CHF sets one."""

GROUP_RULES: Final[Mapping[str, Rule]] = {
    "TIME_LIMIT": Rule(DEFERRED, changeable=True),
    "VOLUME_LIMIT": Rule(DEFERRED, changeable=True),
    "EVENT_LIMIT": Rule(DEFERRED, changeable=True),
    "TARIFF_TIME_CHANGE": Rule(DEFERRED, changeable=False),
    "QUOTA_THRESHOLD": Rule(IMMEDIATE, changeable=False),
    "QUOTA_EXHAUSTED": Rule(IMMEDIATE, changeable=False),
    "VALIDITY_TIME": Rule(IMMEDIATE, changeable=False),
    "QHT": Rule(IMMEDIATE, changeable=False),
    "FORCED_REAUTHORISATION": Rule(IMMEDIATE, changeable=False),
    "UNIT_COUNT_INACTIVITY_TIMER": Rule(IMMEDIATE, changeable=False),
    "START_OF_SERVICE_DATA_FLOW": Rule(IMMEDIATE, changeable=False),
}
"""Triggers of one rating group."""

CHANGES: Final = "MAX_NUMBER_OF_CHANGES_IN_CHARGING_CONDITIONS"


class TriggerSet:
    """The triggers that are in force for a session, or for a rating group.

    Limits are ready for comparing: `time_limit` in ns, `volume_limit` and `event_limit` in units; NEVER: no limit.
    """

    __slots__ = ("_answered", "event_limit", "has_limits", "max_changes", "rules", "time_limit", "volume_limit")

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        self.rules = rules
        seconds = self._limit("TIME_LIMIT")
        self.time_limit = seconds * NS_PER_S if seconds != NEVER else NEVER
        self.volume_limit = self._limit("VOLUME_LIMIT")
        self.event_limit = self._limit("EVENT_LIMIT")
        self.max_changes = self._limit(CHANGES)
        self.has_limits = min(self.time_limit, self.volume_limit, self.event_limit) != NEVER
        self._answered: dict[tuple[TriggerAnswer, ...], TriggerSet] = {}

    def _limit(self, name: str) -> int:
        rule = self.rules.get(name)
        return NEVER if rule is None or rule.category is OFF or not rule.limit else rule.limit

    def category(self, name: str) -> Category:
        """What the trigger does when it fires; one that nobody knows does nothing."""
        rule = self.rules.get(name)
        return OFF if rule is None else rule.category

    def strongest(self, names: Iterable[str]) -> Category:
        """What several triggers that fire in one moment do together."""
        strongest = OFF
        for name in names:
            category = self.category(name)
            if category > strongest:
                strongest = category
        return strongest

    def overridden(self, rules: Mapping[str, tuple[Category, int]]) -> TriggerSet:
        """The same with categories and limits of a profile."""
        changed = dict(self.rules)
        for name, (category, limit) in rules.items():
            known = changed.get(name)
            changed[name] = Rule(category, changeable=known is None or known.changeable, limit=limit)
        return TriggerSet(changed)

    def answered(self, triggers: list[TriggerAnswer]) -> TriggerSet:
        """The set after a CHF supplied a list: it replaces whatever it may change, and what it left out is off."""
        key = tuple(triggers)
        known = self._answered.get(key)
        if known is None:
            if len(self._answered) >= MAX_ANSWERED_SETS:
                self._answered.clear()
            known = self._answered[key] = self._apply(triggers)
        return known

    def _apply(self, triggers: list[TriggerAnswer]) -> TriggerSet:
        rules = {
            name: rule if not rule.changeable else Rule(OFF, changeable=True, limit=rule.limit)
            for name, rule in self.rules.items()
        }
        for trigger in triggers:
            name = trigger.triggerType or ""
            category = CATEGORIES.get(trigger.triggerCategory or "")
            known = rules.get(name)
            if category is not None and (known is None or known.changeable):
                limit = trigger.limit if trigger.limit is not None else (known.limit if known is not None else 0)
                rules[name] = Rule(category, changeable=True, limit=limit)
        return TriggerSet(rules)


SESSION_TRIGGERS: Final = TriggerSet(SESSION_RULES)
GROUP_TRIGGERS: Final = TriggerSet(GROUP_RULES)


def fired(names: Iterable[str], category: Category) -> bytes:
    """The JSON list of triggers that fired, as one category."""
    word = b"IMMEDIATE_REPORT" if category is IMMEDIATE else b"DEFERRED_REPORT"
    return b"[%b]" % b",".join(
        [b'{"triggerType":"%b","triggerCategory":"%b"}' % (name.encode(), word) for name in names]
    )


def _immediate(name: str) -> bytes:
    return fired((name,), IMMEDIATE)


QUOTA_THRESHOLD: Final = _immediate("QUOTA_THRESHOLD")
QUOTA_EXHAUSTED: Final = _immediate("QUOTA_EXHAUSTED")
VALIDITY_TIME: Final = _immediate("VALIDITY_TIME")
QHT: Final = _immediate("QHT")
FORCED_REAUTHORISATION: Final = _immediate("FORCED_REAUTHORISATION")
UNIT_COUNT_INACTIVITY_TIMER: Final = _immediate("UNIT_COUNT_INACTIVITY_TIMER")
START_OF_SERVICE_DATA_FLOW: Final = _immediate("START_OF_SERVICE_DATA_FLOW")
FINAL: Final = _immediate("FINAL")
ABNORMAL_RELEASE: Final = _immediate("ABNORMAL_RELEASE")
