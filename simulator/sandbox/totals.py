"""What the charging function tells about itself: totals, accounts and sessions as plain dictionaries."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from simulator.sandbox.accounts import Account
from simulator.sandbox.chf import Chf
from simulator.sandbox.sessions import Session
from simulator.sandbox.tokens import Tokens

Json = dict[str, Any]


def all_totals(stores: Sequence[Chf], now: int = 0) -> Json:
    """The totals of all stores together."""
    whole: Json = functools.reduce(added, [totals(chf, now) for chf in stores])
    return whole


def added(one: Any, other: Any) -> Any:
    """Two documents as one: numbers add up, at whatever depth; of anything else the first holds."""
    if isinstance(one, dict):
        return {
            **other,
            **{name: added(value, other[name]) if name in other else value for name, value in one.items()},
        }
    return one + other if isinstance(one, int) else one


def totals(chf: Chf, now: int = 0) -> Json:
    """All that was asked, answered, reported and debited since the start.

    `units` is what was reported, by kind of unit; `counters` what was taken from and is reserved in the balances, in the
    counter's unit; `rating_groups` both, one by one. `promises` counts what a charging function must never do, seen at the
    moment of charging: balances that went below zero although no SMF used more than it was granted, and more reserved
    than there is.
    """
    units: dict[str, int] = {}
    counters: dict[str, dict[str, int]] = {}
    for group in chf.tariffs:
        units[group.unit] = units.get(group.unit, 0) + group.units
        if group.counter is not None:
            counter = counters.setdefault(group.counter, {"debited": 0, "reserved": 0})
            counter["debited"] += group.debited
            counter["reserved"] += group.reserved
    return {
        "units": units,
        "counters": counters,
        "rating_groups": {
            str(group.number): {
                "unit": group.unit,
                "counter": group.counter,
                "units": group.units,
                "debited": group.debited,
                "reserved": group.reserved,
            }
            for group in chf.tariffs
            if group.rated
        },
        "requests": _requests(chf),
        "repeats": sum(count for (_, outcome), count in chf.requests.items() if outcome == "repeated"),
        "sequence_gaps": chf.sequence_gaps,
        "sessions": {
            "open": len(chf.sessions),
            "created": chf.created,
            "released": chf.ended["released"],
            "expired": chf.ended["expired"],
        },
        "accounts": len(chf.accounts),
        "promises": {
            "negative_balance": sum(group.negative for group in chf.tariffs),
            "reserved_too_much": sum(group.overreserved for group in chf.tariffs),
        },
        "tokens": None if chf.tokens is None else _tokens(chf.tokens, now),
    }


def _tokens(tokens: Tokens, now: int) -> Json:
    return {
        "valid": tokens.valid(now),
        "issued": tokens.issued,
        "refused": tokens.refused,
        "rejected_requests": tokens.rejected,
    }


def _requests(chf: Chf) -> dict[str, dict[str, int]]:
    requests: dict[str, dict[str, int]] = {}
    for (operation, outcome), count in sorted(chf.requests.items(), key=str):
        requests.setdefault(operation, {})[str(outcome)] = count
    return requests


def account_document(account: Account) -> Json:
    """One account with its balances."""
    return {
        "subscriber": account.subscriber,
        "balances": {
            counter: {
                "total": balance.total,
                "available": balance.available,
                "reserved": balance.reserved,
                "used": balance.used,
            }
            for counter, balance in account.balances().items()
        },
    }


def session_document(session: Session, now: int) -> Json:
    """One open charging session with its quotas."""
    return {
        "ref": session.reference.decode(),
        "subscriber": session.account.subscriber,
        "charging_id": session.charging_id,
        "sequence": session.sequence,
        "notify_uri": session.notify_uri or None,
        "idle_s": round((now - session.touched) / 1e9, 3),
        "rating_groups": {
            str(quota.number): {
                "unit": quota.group.unit,
                "units": quota.units,
                "debited": quota.debited,
                "granted_left": quota.granted,
                "reserved": quota.reserved,
                "overused": quota.overused,
                "reports": quota.reports,
                "containers": quota.containers,
                "short_of_credit": quota.short,
            }
            for quota in session.quotas
        },
    }
