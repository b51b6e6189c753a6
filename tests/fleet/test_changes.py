"""Charging conditions change at drawn moments, always at the same ones for the same session."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from simulator.config.profile import ConditionChange
from simulator.fleet.changes import CHOICES, KINDS, ChangeSource, DueChange
from simulator.fleet.draws import seed_key, session_key
from simulator.fleet.usage import Usage
from simulator.n40.conditions import USUAL, Conditions
from tests.world import CALL, World, traffic

S = 1_000_000_000
KEY = session_key(seed_key(1), 7, 1001)


def source(*changes: dict[str, Any], rat: str = "NR") -> ChangeSource:
    return ChangeSource([ConditionChange.model_validate(each) for each in changes], rat)


def first(of: ChangeSource, most: int = 10, key: bytes = KEY) -> list[DueChange]:
    found: list[DueChange] = []
    while len(found) < most and (due := of.next_change(key, found[-1] if found else None)) is not None:
        found.append(due)
    return found


def test_a_change_at_a_moment_happens_once() -> None:
    (due,) = first(source({"change": "qos", "at": "30s"}))
    assert (due.moment, due.change.triggers, due.change.step) == (30 * S, ("QOS_CHANGE",), 0)
    assert due.change.conditions == Conditions(qos=1)


def test_changes_of_several_kinds_come_in_order_and_add_up() -> None:
    of = source({"change": "location", "every": "10s"}, {"change": "ambr", "at": "15s"}, {"change": "qos", "at": "10s"})
    seen = [(due.moment // S, due.change.triggers[0], due.change.step) for due in first(of, 5)]
    assert seen == [
        (10, "USER_LOCATION_CHANGE", 1),
        (10, "QOS_CHANGE", 1),
        (15, "SESSION_AMBR_CHANGE", 1),
        (20, "USER_LOCATION_CHANGE", 2),
        (30, "USER_LOCATION_CHANGE", 3),
    ]
    assert first(of, 5)[-1].change.conditions == Conditions(qos=1, ambr=1)


@pytest.mark.parametrize(("rat", "other"), [("NR", "EUTRA"), ("EUTRA", "NR")])
def test_a_handover_changes_radio_serving_node_and_place_and_the_next_one_leads_back(rat: str, other: str) -> None:
    there, back = first(source({"change": "handover", "every": "1m"}, rat=rat), 2)
    assert there.change.triggers == (
        "RAT_CHANGE", "SERVING_NODE_CHANGE", "USER_LOCATION_CHANGE", "HANDOVER_COMPLETE",
    )  # fmt: skip
    assert there.change == (there.change.triggers, Conditions(rat=other, serving_node=1), 1)
    assert (back.change.conditions, back.change.step) == (Conditions(serving_node=2), 2)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("location", "handover")])
def test_every_kind_of_change_takes_turns_and_comes_back_to_what_the_profile_says(kind: str) -> None:
    turns = CHOICES.get(kind, 2)
    conditions = [due.change.conditions for due in first(source({"change": kind, "every": "1s"}), turns)]
    assert len(set(conditions)) == turns
    assert conditions[-1] == USUAL


def test_moments_are_drawn_by_session_and_are_the_same_again() -> None:
    law = {"exponential": {"mean": "20s"}}
    of = source({"change": "location", "every": law}, {"change": "rat", "every": law})
    moments = [due.moment for due in first(of, 200)]
    assert moments == [due.moment for due in first(of, 200)]
    assert all(here <= after for here, after in pairwise(moments))
    assert moments[-1] / 200 == pytest.approx(10 * S, rel=0.25)
    other = session_key(seed_key(1), 8, 1001)
    assert [due.moment for due in first(of, 5, other)] != moments[:5]


def test_changes_that_come_at_once_still_let_time_get_on() -> None:
    law = {"choice": [{"value": "0s", "weight": 1}, {"value": "1us", "weight": 1}]}
    moments = [due.moment for due in first(source({"change": "location", "every": law}), 50)]
    assert all(after - here >= 1_000_000 for here, after in pairwise(moments))


def test_a_usage_has_its_changes_and_one_without_has_none() -> None:
    usages = {"walk": CALL | {"changes": [{"change": "location", "every": "5s"}]}, "sit": CALL}
    walk, sit = World(traffic({"rate": "1/s"}, usages=usages)).fleets[0]._usages
    assert isinstance(walk, Usage)
    assert walk.changes is not None
    assert walk.changes.next_change(KEY) is not None
    assert sit.changes is None
