from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from simulator.audit import Account, Judgement, judge

octets = st.integers(0, 50)


def account(**figures: int) -> Account:
    quiet = dict.fromkeys(
        ("used", "reported", "acknowledged", "doubt", "uncharged", "unreported", "open", "charged"), 0
    )
    return Account(
        ref="ref-1",
        key="imsi-1/1",
        rating_group=300,
        unit="totalVolume",
        ends="completed",
        known=True,
        **(quiet | figures),
    )


def of_books(**figures: int) -> Judgement:
    return judge(account(**figures), complete=True)


def without_books(**figures: int) -> Judgement:
    return judge(account(**figures), complete=False)


def test_what_was_acknowledged_and_debited_is_charged_once() -> None:
    assert of_books(used=10, reported=10, acknowledged=10, charged=10) == Judgement(charged=10)


def test_what_was_acknowledged_but_not_debited_is_lost() -> None:
    assert of_books(used=10, reported=10, acknowledged=10, charged=7) == Judgement(charged=7, lost=3)


def test_what_was_debited_beyond_use_is_charged_twice() -> None:
    assert of_books(used=10, reported=10, acknowledged=10, charged=15) == Judgement(charged=10, double_charged=5)


def test_the_books_resolve_a_doubt_either_way() -> None:
    assert of_books(used=10, reported=10, acknowledged=6, doubt=4, charged=10) == Judgement(charged=10)
    assert of_books(used=10, reported=10, acknowledged=6, doubt=4, charged=6) == Judgement(charged=6, lost=4)


def test_a_message_whose_charge_nobody_heard_of_was_not_sent_and_is_not_charged_twice() -> None:
    assert of_books(used=0, reported=1, doubt=1, charged=1) == Judgement()
    assert of_books(used=0, reported=1, doubt=1, charged=2) == Judgement(double_charged=1)
    assert of_books(used=0, reported=1, doubt=1, charged=0) == Judgement()


def test_without_books_a_doubt_stays() -> None:
    assert without_books(used=10, reported=10, acknowledged=6, doubt=4) == Judgement(unverified=6, in_doubt=4)


def test_a_refused_report_is_neither_charged_nor_lost() -> None:
    assert of_books(used=10, reported=10, acknowledged=6, charged=6) == Judgement(charged=6, refused=4)


def test_the_books_are_believed_before_a_refusal() -> None:
    assert of_books(used=10, reported=10, acknowledged=6, charged=10) == Judgement(charged=10)


def test_refusals_do_not_excuse_what_was_acknowledged() -> None:
    assert of_books(used=10, reported=10, acknowledged=6, charged=4) == Judgement(charged=4, refused=4, lost=2)


def test_usage_that_a_completed_session_never_reported_is_lost() -> None:
    assert of_books(used=10, reported=8, acknowledged=8, charged=8) == Judgement(charged=8, lost=2)
    assert without_books(used=10, reported=8, acknowledged=8) == Judgement(unverified=8, lost=2)


def test_usage_that_a_failed_or_open_session_could_not_report_is_named_and_not_lost() -> None:
    assert of_books(used=10, reported=8, acknowledged=8, charged=8, unreported=2) == Judgement(charged=8, unreported=2)
    assert of_books(used=10, reported=8, acknowledged=8, charged=8, open=2) == Judgement(charged=8, open=2)


def test_usage_that_was_let_pass_is_uncharged() -> None:
    assert of_books(used=10, reported=7, acknowledged=7, charged=7, uncharged=3) == Judgement(charged=7, uncharged=3)


def test_a_report_that_was_on_its_way_when_its_session_was_left_open_is_not_lost() -> None:
    left_open = replace(account(used=10, reported=8, acknowledged=5, doubt=3, charged=5, open=2), ends="open")
    assert judge(left_open, complete=True) == Judgement(charged=5, open=5)
    assert judge(left_open, complete=False) == Judgement(charged=5, open=2, in_doubt=3)


def test_an_smf_that_reports_more_than_was_used_is_found_with_and_without_books() -> None:
    assert of_books(used=10, reported=12, acknowledged=12, charged=12).double_charged == 2
    assert without_books(used=10, reported=12, acknowledged=12).double_charged == 2


def test_a_session_nobody_knows_is_a_double_charge_unless_records_may_be_missing() -> None:
    stranger = replace(account(charged=9), known=False)
    assert judge(stranger, complete=True) == Judgement(double_charged=9)
    assert judge(stranger, complete=False) == Judgement()


@given(
    figures=st.fixed_dictionaries(
        {
            name: octets
            for name in account().__slots__
            if name not in {"ref", "key", "rating_group", "unit", "ends", "known"}
        }
    ),
    complete=st.booleans(),
)
def test_every_used_unit_is_exactly_one_thing(figures: dict[str, int], complete: bool) -> None:
    shares = judge(account(**figures), complete=complete)
    values = {name: getattr(shares, name) for name in Judgement.__slots__}
    assert min(values.values()) >= 0
    assert sum(values.values()) - shares.double_charged == figures["used"]
    if complete:
        unheard_of = figures["charged"] - shares.charged - shares.double_charged
        assert 0 <= unheard_of <= max(0, figures["doubt"] - figures["used"])
