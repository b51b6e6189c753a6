"""What holds for every charging session, whatever the traffic and whatever the CHF does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from simulator.n40 import End, EventMessages, OneTimeEvent, Operation, Timestamps, read_answer
from simulator.n40.event import EventContext
from simulator.n40.messages import marked_as_repeat
from tests.n40.random_sessions import Life, Plan, plans
from tests.n40.strict_schema import strict_validator
from tests.n40.trace import EPOCH, RESOURCE, S, short_message, wording

many = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def strict(reference: Path) -> jsonschema_rs.Validator:
    return strict_validator(reference, "ChargingDataRequest")


def check(strict: jsonschema_rs.Validator, body: bytes) -> dict[str, Any]:
    message = orjson.loads(body)
    errors = [f"{error.instance_path}: {error.message}" for error in strict.iter_errors(message)]
    assert not errors, errors
    assert isinstance(message, dict)
    return message


@many
@given(plan=plans)
def test_the_books_balance_and_nothing_is_used_beyond_a_grant(plan: Plan) -> None:
    life = Life(plan).run()
    event(f"ends {life.session.end}")
    event(f"{min(len(life.requests), 10)} requests or more")


@settings(many, max_examples=200)
@given(plan=plans)
def test_every_message_passes_the_strict_check(plan: Plan, strict: jsonschema_rs.Validator) -> None:
    for body in Life(plan).run().bodies:
        check(strict, body)


@settings(many, max_examples=200)
@given(plan=plans)
def test_a_session_looked_at_often_and_late_says_the_same(plan: Plan) -> None:
    once, often = Life(plan).run(), Life(plan, looks=True).run()
    assert often.bodies == once.bodies
    assert often.records == once.records


@settings(many, max_examples=50)
@given(plan=plans)
def test_a_session_whose_requests_are_all_answered_well_is_complete(plan: Plan) -> None:
    peaceful = Plan(groups=plan.groups, replies=(), bearer=plan.bearer, stop_at=plan.stop_at)
    life = Life(peaceful).run()
    assert life.session.end is End.COMPLETED
    assert [request.operation for request in life.requests][:1] == [Operation.CREATE]
    assert life.requests[-1].operation is Operation.RELEASE


@settings(many, max_examples=100)
@given(
    kind=st.sampled_from(["IEC", "PEC"]),
    rat=st.sampled_from(["NR", "EUTRA"]),
    subscriber=st.integers(0, 10**6),
    units=st.integers(1, 1000),
    reference=st.integers(0, 2**32 - 1),
    moment=st.integers(0, 10**6 * S),
    first_sequence=st.sampled_from([0, 1]),
    status=st.sampled_from([200, 201, 400, 403, 404, 429, 500]),
    content=st.sampled_from(
        [b"", b"{}", b"<", b'{"cause":"QUOTA_LIMIT_REACHED"}', b'{"cause":"CHARGING_NOT_APPLICABLE"}']
    ),
)
def test_every_event_passes_the_strict_check_and_ends_with_its_answer(
    kind: str, rat: str, subscriber: int, units: int, reference: int, moment: int, first_sequence: int, status: int,
    content: bytes, strict: jsonschema_rs.Validator,
) -> None:  # fmt: skip
    messages = EventMessages(wording(short_message(kind, rat)))
    context = EventContext(
        messages=messages,
        timestamps=Timestamps(EPOCH),
        resource=RESOURCE,
        rating_group=200,
        immediate=kind == "IEC",
        first_sequence=first_sequence,
    )
    sms = OneTimeEvent(context, subscriber, reference, units, subscriber + 1)
    sms.start(moment)
    request = sms.next_request()
    assert request is not None
    message = check(strict, request.body)
    check(strict, marked_as_repeat(request.body))
    assert message["nfConsumerIdentification"]["nodeFunctionality"] == "SMSF"
    sms.on_answer(request.id, read_answer(request.operation, status, None, content), moment + S)
    (record,) = sms.next_records()
    reported = 0 if record.end is End.UNCHARGED else units
    assert record.acknowledged + record.doubt <= record.reported == reported
    assert (record.end is End.COMPLETED) is (record.acknowledged == units)
