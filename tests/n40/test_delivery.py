"""From a request to attempts: what is sent again, as what, and how often."""

from __future__ import annotations

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.n40 import Delivery, DeliveryPolicy
from simulator.n40.delivery import MAX_UNPROCESSED
from tests.n40.trace import S, Smf, data, delivery


def test_a_repeat_is_the_same_message_with_the_indicator() -> None:
    create = Smf(data()).starts()
    attempts = delivery(create.request.body)
    assert attempts.body == create.request.body
    assert attempts.again(safe=False)
    assert attempts.body.replace(b'"retransmissionIndicator":true,', b"", 1) == create.request.body
    assert orjson.loads(attempts.body) == create.body | {"retransmissionIndicator": True}


def test_a_repeat_may_fail_as_well_and_then_it_is_over() -> None:
    attempts = delivery(repeats=2)
    assert [attempts.again(safe=False) for _ in range(3)] == [True, True, False]
    assert attempts.processed


def test_without_repeats_the_first_failure_is_the_last() -> None:
    attempts = delivery(repeats=0)
    assert not attempts.again(safe=False)
    assert attempts.processed


def test_what_provably_was_not_processed_is_sent_again_as_it_was_and_does_not_count_as_a_repeat() -> None:
    attempts = delivery()
    assert attempts.again(safe=True)
    assert (attempts.body, attempts.repeats, attempts.processed) == (attempts.request.body, 0, False)
    assert attempts.again(safe=False)


def test_refusals_are_bounded() -> None:
    attempts = delivery()
    assert [attempts.again(safe=True) for _ in range(MAX_UNPROCESSED + 1)] == [True] * MAX_UNPROCESSED + [False]
    assert not attempts.processed


def test_once_a_repeat_it_stays_one_even_if_the_repeat_was_refused() -> None:
    attempts = delivery()
    attempts.again(safe=False)
    repeat = attempts.body
    assert attempts.again(safe=True)
    assert attempts.body == repeat
    assert attempts.processed


@settings(deadline=None)
@given(fates=st.lists(st.booleans(), min_size=40, max_size=60), repeats=st.integers(0, 5))
def test_attempts_are_bounded_and_say_whether_the_chf_may_have_seen_one(fates: list[bool], repeats: int) -> None:
    attempts = delivery(repeats=repeats)
    seen, made = False, 0
    for safe in fates:
        made += 1
        assert (b"retransmissionIndicator" in attempts.body) is seen
        seen = seen or not safe
        again = attempts.again(safe=safe)
        assert attempts.processed is seen
        if not again:
            break
    assert made <= repeats + 1 + MAX_UNPROCESSED


def test_where_repeats_cannot_be_marked_a_repeat_is_the_same_message() -> None:
    request = delivery().request
    attempts = Delivery(request, DeliveryPolicy(timeout=S, repeats=1, marks_repeats=False))
    assert attempts.again(safe=False)
    assert attempts.body == request.body
