"""From a request to attempts: what is sent again, as what, and how often."""

from __future__ import annotations

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.n40 import Delivery, Handling, Operation
from simulator.n40.delivery import MAX_REDIRECTS, MAX_UNPROCESSED, MAX_WAITS, Chances, Step
from tests.n40.trace import S, Smf, data, delivery

HERE = Chances()
RETRY = Chances(handling=Handling.RETRY_AND_TERMINATE, another_chf=True, failover=True)


def again(attempts: Delivery, *, safe: bool) -> bool:
    """Whether another attempt is made at the same CHF, where there is no other one."""
    return attempts.on_failure(HERE, safe=safe, hopeless=False) is Step.AGAIN


def test_a_repeat_is_the_same_message_with_the_indicator() -> None:
    create = Smf(data()).starts()
    attempts = delivery(create.request.body)
    assert attempts.body == create.request.body
    assert again(attempts, safe=False)
    assert attempts.body.replace(b'"retransmissionIndicator":true,', b"", 1) == create.request.body
    assert orjson.loads(attempts.body) == create.body | {"retransmissionIndicator": True}


def test_a_repeat_may_fail_as_well_and_then_it_is_over() -> None:
    attempts = delivery(repeats=2)
    assert [again(attempts, safe=False) for _ in range(3)] == [True, True, False]
    assert attempts.processed


def test_without_repeats_the_first_failure_is_the_last() -> None:
    attempts = delivery(repeats=0)
    assert not again(attempts, safe=False)
    assert attempts.processed


def test_what_provably_was_not_processed_is_sent_again_as_it_was_and_does_not_count_as_a_repeat() -> None:
    attempts = delivery()
    assert again(attempts, safe=True)
    assert (attempts.body, attempts.repeats, attempts.processed) == (attempts.request.body, 0, False)
    assert again(attempts, safe=False)


def test_refusals_are_bounded() -> None:
    attempts = delivery()
    assert [again(attempts, safe=True) for _ in range(MAX_UNPROCESSED + 1)] == [True] * MAX_UNPROCESSED + [False]
    assert not attempts.processed


def test_once_a_repeat_it_stays_one_even_if_the_repeat_was_refused() -> None:
    attempts = delivery()
    again(attempts, safe=False)
    repeat = attempts.body
    assert again(attempts, safe=True)
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
        goes_on = again(attempts, safe=safe)
        assert attempts.processed is seen
        if not goes_on:
            break
    assert made <= repeats + 1 + MAX_UNPROCESSED


def test_a_create_that_nobody_processed_goes_to_the_next_chf_whatever_the_handling() -> None:
    attempts = delivery()
    chances = Chances(another_chf=True)
    assert attempts.on_failure(chances, safe=True, hopeless=True) is Step.NEXT_CHF
    assert attempts.body == attempts.request.body


def test_a_create_that_may_have_been_processed_goes_on_only_under_retry_and_as_a_repeat() -> None:
    for chances, step in ((Chances(another_chf=True), Step.GIVE_UP), (RETRY, Step.NEXT_CHF)):
        attempts = delivery(repeats=0)
        assert attempts.on_failure(chances, safe=False, hopeless=False) is step
        assert b"retransmissionIndicator" in attempts.body


def test_an_open_session_moves_only_where_failover_is_supported() -> None:
    for handling, failover, step in (
        (Handling.RETRY_AND_TERMINATE, True, Step.NEXT_CHF),
        (Handling.RETRY_AND_TERMINATE, False, Step.GIVE_UP),
        (Handling.TERMINATE, True, Step.GIVE_UP),
        (Handling.CONTINUE, True, Step.GIVE_UP),
    ):
        attempts = delivery(operation=Operation.UPDATE)
        chances = Chances(handling=handling, failover=failover, another_chf=True)
        assert attempts.on_failure(chances, safe=True, hopeless=True) is step


def test_each_chf_gets_its_repeats() -> None:
    attempts = delivery(repeats=1)
    steps = [attempts.on_failure(RETRY, safe=False, hopeless=False) for _ in range(4)]
    assert steps == [Step.AGAIN, Step.NEXT_CHF, Step.AGAIN, Step.NEXT_CHF]
    assert attempts.repeats == 4


def test_redirects_are_followed_and_bounded() -> None:
    attempts = delivery()
    assert attempts.on_redirect(b"http://chf2:80", b"/there") is Step.REDIRECT
    assert (attempts.origin, attempts.path, attempts.processed) == (b"http://chf2:80", b"/there", False)
    assert attempts.on_redirect(None, b"/here") is Step.REDIRECT  # relative to where it was redirected to
    assert (attempts.origin, attempts.path) == (b"http://chf2:80", b"/here")
    assert [attempts.on_redirect(None, b"/") for _ in range(MAX_REDIRECTS - 1)][-2:] == [Step.REDIRECT, Step.GIVE_UP]


def test_a_request_gets_one_new_token() -> None:
    attempts = delivery()
    assert [attempts.on_unauthorized(), attempts.on_unauthorized()] == [Step.RENEW, Step.GIVE_UP]
    assert attempts.body == attempts.request.body


def test_a_chf_that_names_a_time_is_waited_for_but_not_for_ever() -> None:
    attempts = delivery()
    steps = [attempts.on_trouble(HERE, processed=False, wait=2 * S) for _ in range(MAX_WAITS + 1)]
    assert steps == [Step.WAIT] * MAX_WAITS + [Step.GIVE_UP]
    assert delivery().on_trouble(HERE, processed=False, wait=61 * S) is Step.GIVE_UP


def test_rather_than_wait_a_session_that_may_goes_to_the_next_chf() -> None:
    assert delivery().on_trouble(RETRY, processed=False, wait=2 * S) is Step.NEXT_CHF


def test_an_answer_of_failure_is_tried_once_more_under_retry_and_counts_as_a_repeat() -> None:
    attempts = delivery()
    alone = Chances(handling=Handling.RETRY_AND_TERMINATE)
    assert attempts.on_trouble(alone, processed=True, wait=0) is Step.AGAIN
    assert b"retransmissionIndicator" in attempts.body
    assert attempts.on_trouble(alone, processed=True, wait=0) is Step.GIVE_UP
    assert attempts.repeats == 1  # the one whose answer the session gets is no repeat of itself
    assert delivery().on_trouble(HERE, processed=True, wait=0) is Step.GIVE_UP


def test_a_release_without_the_indicator_repeats_word_for_word() -> None:
    attempts = delivery(marks_repeats=False)
    assert again(attempts, safe=False)
    assert attempts.body == attempts.request.body


def test_an_event_that_may_have_been_charged_is_asked_for_nowhere_else() -> None:
    """Another CHF would have to know of the first attempt; a session's report has its reference there, or meets 404."""
    assert delivery(operation=Operation.EVENT).on_failure(RETRY, safe=True, hopeless=True) is Step.NEXT_CHF
    charged = delivery(repeats=0, operation=Operation.EVENT)
    assert charged.on_failure(RETRY, safe=False, hopeless=False) is Step.GIVE_UP
    assert charged.on_redirect(b"http://chf2:80", b"/there") is Step.GIVE_UP
    assert charged.on_redirect(None, b"/here") is Step.REDIRECT
    assert delivery(operation=Operation.EVENT).on_redirect(b"http://chf2:80", b"/there") is Step.REDIRECT
