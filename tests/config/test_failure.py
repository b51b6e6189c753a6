"""Failure handling and triggers in a profile: what is meant, and what is said about mistakes."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from simulator.config.failure import Failure
from simulator.config.model import message_of
from simulator.config.triggers import Triggers
from simulator.fleet.usage import failure_policy, trigger_set
from simulator.n40 import Handling, Operation, Trouble
from simulator.n40.triggers import DEFERRED, IMMEDIATE, OFF, SESSION_TRIGGERS
from tests.world import profile


def said(model: type[Failure | Triggers], document: object) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as wrong:
        model.model_validate(document)
    return [(".".join(map(str, each["loc"])), message_of(each)) for each in wrong.value.errors(include_url=False)]


def test_one_word_stands_for_all_kinds_of_trouble() -> None:
    policy = failure_policy(
        profile("failure.handling=CONTINUE", "failure.update=TERMINATE", "failure.create.timeout=TERMINATE")
    )
    assert {policy.of(Operation.UPDATE, trouble) for trouble in Trouble} == {Handling.TERMINATE}
    assert policy.of(Operation.CREATE, Trouble.TIMEOUT) is Handling.TERMINATE
    assert policy.of(Operation.CREATE, Trouble.CONNECTION) is Handling.CONTINUE
    assert policy.of(Operation.RELEASE, Trouble.TIMEOUT) is Handling.CONTINUE


def test_a_wrong_word_is_said_once() -> None:
    assert said(Failure, {"update": "RETRY"}) == [
        (
            "update",
            'expected TERMINATE or CONTINUE or RETRY_AND_TERMINATE, got "RETRY", did you mean "RETRY_AND_TERMINATE"?',
        )
    ]
    ((place, _),) = said(Failure, {"update": {"timout": "CONTINUE"}})
    assert place == "update.timout"


def test_triggers_are_set_by_a_word_or_with_a_limit() -> None:
    rules = Triggers.model_validate(
        {
            "session": {
                "RAT_CHANGE": "off",
                "QOS_CHANGE": "immediate",
                "TIME_LIMIT": {"category": "immediate", "limit": "1h"},
            }
        }
    )
    found = trigger_set(SESSION_TRIGGERS, rules.session)
    assert [found.category(name) for name in ("RAT_CHANGE", "QOS_CHANGE", "USER_LOCATION_CHANGE")] == [
        OFF,
        IMMEDIATE,
        DEFERRED,
    ]
    assert found.time_limit == 3_600_000_000_000
    volume = Triggers.model_validate({"session": {"VOLUME_LIMIT": {"category": "deferred", "limit": "10MB"}}})
    assert trigger_set(SESSION_TRIGGERS, volume.session).volume_limit == 10_000_000
    assert trigger_set(SESSION_TRIGGERS, {}) is SESSION_TRIGGERS


def test_what_nobody_may_change_and_what_nobody_knows_is_refused() -> None:
    ((place, why),) = said(Triggers, {"rating_group": {"QUOTA_EXHAUSTED": "off"}})
    assert (place, why) == ("rating_group.QUOTA_EXHAUSTED", "may be set by nobody: the specification does not allow it")
    ((_, why),) = said(Triggers, {"session": {"RAT_CHNGE": "off"}})
    assert 'did you mean "RAT_CHANGE"' in why
