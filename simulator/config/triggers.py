"""Triggers that a profile sets otherwise than the specification does (TS 32.255 5.2.1.4, `simulator.n40.triggers`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from simulator.config.errors import did_you_mean, located, shown
from simulator.config.model import Model
from simulator.config.quantities import DURATION, OCTETS, Number
from simulator.n40.triggers import GROUP_RULES, SESSION_RULES, Rule


def _limit(given: Any) -> Any:
    """Seconds, octets or a count, by what the trigger counts; a text says which."""
    if isinstance(given, str):
        return (
            (OCTETS if given.rstrip().endswith("B") else DURATION).parse(given) if not given.isdecimal() else int(given)
        )
    return given


class Trigger(Model):
    """One trigger; `limit` is in seconds, octets, units or changes, by what it counts."""

    category: Literal["immediate", "deferred", "off"]
    limit: Annotated[Number, BeforeValidator(_limit)] | None = None


def _plain(given: Any) -> Any:
    return {"category": given} if isinstance(given, str) else given


Rules = dict[str, Annotated[Trigger, BeforeValidator(_plain)]]


def _check(rules: Rules, known: dict[str, Rule], names: Iterable[str]) -> Rules:
    wrong = [((name,), f"no trigger {shown(name)}{did_you_mean(name, names)}") for name in rules if name not in known]
    wrong += [
        ((name,), "may be set by nobody: the specification does not allow it")
        for name in rules
        if name in known and not known[name].changeable
    ]
    if wrong:
        raise located(wrong)
    return rules


class Triggers(Model):
    """By level. What is not named stays as the specification has it; what a CHF answers comes before both."""

    session: Rules = Field(default_factory=dict)
    rating_group: Rules = Field(default_factory=dict)

    @field_validator("session", mode="after")
    @classmethod
    def _of_sessions(cls, rules: Rules) -> Rules:
        return _check(rules, dict(SESSION_RULES), SESSION_RULES)

    @field_validator("rating_group", mode="after")
    @classmethod
    def _of_groups(cls, rules: Rules) -> Rules:
        changeable = [name for name, rule in GROUP_RULES.items() if rule.changeable]
        return _check(rules, dict(GROUP_RULES), changeable)
