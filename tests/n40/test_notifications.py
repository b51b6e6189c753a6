"""What a session does when the CHF notifies it: ask again (REAUTHORIZATION), or end (ABORT_CHARGING)."""

from __future__ import annotations

from simulator.n40 import End, Operation
from simulator.n40.rating_group import State
from tests.n40.trace import MB, S, Smf, data, granted, voice

GB = 1000 * MB


def running(*groups: object, **more: object) -> Smf:
    smf = Smf(*(groups or (data(),)), **more)  # type: ignore[arg-type]
    smf.starts()
    smf.chf.answers(granted(300, octets=GB), granted(100, seconds=10_000))
    return smf


def test_a_reauthorisation_reports_and_asks_at_once() -> None:
    smf = running()
    smf.is_notified(at=7 * S)
    update = smf.sends()
    assert (update.at, update.trigger(300), update.used(300), update.asks(300)) == (
        7 * S, "FORCED_REAUTHORISATION", 7 * MB, True,
    )  # fmt: skip


def test_only_the_rating_groups_that_are_named_are_asked_for() -> None:
    smf = running(data(), voice())
    smf.is_notified(100, at=7 * S)
    update = smf.sends()
    assert set(update.groups) == {100}


def test_one_that_names_none_of_the_session_changes_nothing() -> None:
    smf = running()
    smf.is_notified(999, at=7 * S)
    smf.is_quiet_until(100 * S)


def test_traffic_goes_on_within_the_old_quota_until_the_answer() -> None:
    smf = running()
    smf.is_notified(at=7 * S)
    smf.sends()
    smf.chf.grants(300, octets=20 * MB, after=3)
    update = smf.sends()
    assert (update.at, update.used(300)) == (27 * S, 20 * MB)


def test_one_that_comes_while_an_answer_is_awaited_asks_once_more_after_it() -> None:
    smf = running()
    smf.is_notified(at=7 * S)
    smf.sends()
    smf.is_notified(at=8 * S)
    smf.now = 7 * S
    smf.chf.grants(300, octets=GB, after=3)
    update = smf.sends()
    assert (update.at, update.trigger(300), update.used(300)) == (10 * S, "FORCED_REAUTHORISATION", 3 * MB)


def test_a_subscriber_who_ran_dry_is_topped_up_and_goes_on() -> None:
    smf = Smf(data(), release_when_denied=False)
    smf.starts()
    smf.chf.grants(300, octets=10 * MB)
    assert smf.sends().at == 10 * S
    smf.chf.answers(granted(300, code="QUOTA_LIMIT_REACHED"))
    smf.is_quiet_until(100 * S)
    assert smf.used(300) == 10 * MB
    smf.is_notified(300, at=100 * S)
    update = smf.sends()
    assert (update.at, update.trigger(300), update.asks(300)) == (100 * S, "FORCED_REAUTHORISATION", True)
    smf.chf.grants(300, octets=5 * MB)
    assert smf.sends().at == 105 * S


def awaiting_an_answer_made_before_the_top_up() -> Smf:
    smf = Smf(data(), release_when_denied=False)
    smf.starts()
    smf.chf.grants(300, octets=10 * MB)
    assert smf.sends().at == 10 * S
    smf.is_notified(300, at=11 * S)
    smf.now = 10 * S
    return smf


def test_one_that_crosses_an_answer_without_credit_is_not_lost() -> None:
    smf = awaiting_an_answer_made_before_the_top_up()
    smf.chf.answers(granted(300, code="QUOTA_LIMIT_REACHED"), after=2)
    update = smf.sends()
    assert (update.at, update.trigger(300), update.asks(300)) == (12 * S, "FORCED_REAUTHORISATION", True)


def test_one_that_crosses_a_refusal_for_want_of_credit_is_not_lost() -> None:
    smf = awaiting_an_answer_made_before_the_top_up()
    smf.chf.refuses(403, "QUOTA_LIMIT_REACHED", after=2)
    update = smf.sends()
    assert (update.at, update.trigger(300), update.asks(300)) == (12 * S, "FORCED_REAUTHORISATION", True)


def test_one_that_crosses_an_answer_about_nothing_asks_at_once() -> None:
    smf = awaiting_an_answer_made_before_the_top_up()
    smf.chf.answers(after=2)
    update = smf.sends()
    assert (update.at, update.trigger(300), update.asks(300)) == (12 * S, "FORCED_REAUTHORISATION", True)


def test_final_units_that_redirect_keep_the_session_until_a_notify() -> None:
    for action in ("REDIRECT", "RESTRICT_ACCESS"):
        smf = Smf(data())
        smf.starts()
        smf.chf.grants(300, octets=10 * MB, final=action)
        update = smf.sends()
        assert (update.at, update.trigger(300), update.asks(300)) == (10 * S, "QUOTA_EXHAUSTED", False)
        smf.chf.answers()
        smf.is_quiet_until(1000 * S)
        assert smf.groups[300].state is State.LIMITED
        assert smf.used(300) == 10 * MB
        smf.is_notified(at=1000 * S)
        assert smf.sends().asks(300)
        smf.chf.grants(300, octets=GB)
        smf.stops(1010 * S)
        assert smf.sends().used(300) == 10 * MB


def test_final_units_that_redirect_are_asked_for_again_when_their_validity_ends() -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.grants(300, octets=10 * MB, final="REDIRECT", validity=60)
    assert smf.sends().at == 10 * S
    smf.chf.answers()
    update = smf.sends()
    assert (update.at, update.trigger(300), update.asks(300)) == (60 * S, "VALIDITY_TIME", True)


def test_a_redirect_may_come_without_units() -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.grants(300, final="REDIRECT", validity=30)
    assert smf.sends().at == 30 * S


def test_an_abort_releases_with_the_usage_until_then() -> None:
    smf = running()
    smf.is_notified(at=7 * S, abort=True)
    release = smf.sends()
    assert (release.operation, release.at, release.used(300)) == (Operation.RELEASE, 7 * S, 7 * MB)
    smf.chf.answers()
    assert smf.end is End.ABORTED


def test_an_abort_while_an_answer_is_awaited_releases_after_it() -> None:
    smf = running()
    smf.is_notified(at=7 * S)
    smf.sends()
    smf.is_notified(at=8 * S, abort=True)
    smf.now = 7 * S
    smf.chf.grants(300, octets=GB, after=5)
    release = smf.sends()
    assert (release.operation, release.at, release.used(300)) == (Operation.RELEASE, 12 * S, MB)


def test_a_session_that_is_over_or_ending_takes_no_notice() -> None:
    smf = running()
    smf.stops(5 * S)
    smf.is_notified(at=6 * S)
    assert smf.sends().operation is Operation.RELEASE
    smf.chf.answers()
    smf.is_notified(at=7 * S, abort=True)
    assert smf.end is End.COMPLETED


def test_promises_are_watched() -> None:
    smf = running(data(), voice())
    smf.is_notified(300, at=7 * S)
    smf.sends()
    request = smf.outstanding
    smf.chf.answers(granted(300, octets=GB), granted(100, seconds=60))
    assert smf.broken == "GRANT_NOT_ASKED_FOR"
    smf.is_notified(300, at=8 * S)
    smf.sends()
    smf.chf.answers(granted(300, octets=GB), invocationSequenceNumber=request.sequence + 7)
    assert smf.broken == "WRONG_SEQUENCE_NUMBER"

    smf = Smf(data(), voice())
    smf.starts()
    smf.chf.answers(granted(300, octets=10 * MB, final="TERMINATE"), granted(100, seconds=1000))
    smf.sends()
    smf.chf.answers(granted(300, octets=10 * MB))
    assert smf.broken == "GRANT_AFTER_FINAL_UNIT"
