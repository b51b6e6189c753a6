from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from simulator.audit import Account, Doubt, Judgement, explain, judge

octets = st.integers(0, 50)


FIGURES = ("used", "reported", "acknowledged", "uncharged", "unreported", "open", "charged")


def account(*doubts: Doubt, doubt: int = 0, checksums: tuple[int, int] | None = None, **figures: int) -> Account:
    """`doubt` is a single report; `doubts` are several."""
    quiet = dict.fromkeys(FIGURES, 0)
    return Account(
        ref="ref-1",
        key="imsi-1/1",
        rating_group=300,
        unit="totalVolume",
        ends="completed",
        known=True,
        doubts=doubts or ((Doubt(doubt, 0, "timeout"),) if doubt else ()),
        checksums=checksums,
        containers=3,
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
    assert of_books(used=10, reported=10, acknowledged=6, doubt=4, charged=6) == Judgement(charged=6, undelivered=4)


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
    last = Doubt(3, 0, "run ended")
    left_open = account(last, used=10, reported=8, acknowledged=5, charged=5, open=2)
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
    figures=st.fixed_dictionaries(dict.fromkeys(FIGURES, octets)),
    doubts=st.lists(st.builds(Doubt, octets, octets, st.sampled_from(["timeout", "run ended"])), max_size=13),
    checksums=st.none() | st.tuples(octets, octets),
    complete=st.booleans(),
)
def test_every_used_unit_is_exactly_one_thing(
    figures: dict[str, int], doubts: list[Doubt], checksums: tuple[int, int] | None, complete: bool
) -> None:
    judged = account(*doubts, checksums=checksums, **figures)
    shares = judge(judged, complete=complete)
    values = {name: getattr(shares, name) for name in Judgement.__slots__}
    assert min(values.values()) >= 0
    assert sum(values.values()) - shares.double_charged - shares.misbooked == figures["used"]
    if complete:
        unheard_of = figures["charged"] - shares.charged - shares.double_charged
        assert 0 <= unheard_of <= max(0, judged.doubt - figures["used"])


# -- container by container -----------------------------------------------------------------------------------------------


def checksum(*containers: tuple[int, int]) -> int:
    """Of containers, each with its units and its number."""
    return sum(units * (number + 1) for units, number in containers)


def test_a_lost_report_and_an_equal_one_that_was_charged_twice_do_not_cancel_out() -> None:
    mine, theirs = checksum((5, 1), (5, 2), (5, 3)), checksum((5, 1), (5, 2), (5, 2))
    judged = account(used=15, reported=15, acknowledged=15, charged=15, checksums=(mine, theirs))
    shares = judge(judged, complete=True)
    assert shares == Judgement(charged=15, misbooked=15)
    assert shares.offends
    assert explain(judged, shares) == (
        "the total is right, but one report is missing from the books and another one was charged twice"
    )


def test_the_checksum_tells_which_of_two_equal_reports_was_charged() -> None:
    """Either of them may have been, and one was; a third one, which the CHF acknowledged, was."""
    first, second = Doubt(5, checksum((5, 1)), "timeout"), Doubt(5, checksum((5, 3)), "run ended")
    mine = checksum((5, 2))
    figures = {"used": 15, "reported": 15, "acknowledged": 5, "charged": 10}
    first_charged = account(first, second, checksums=(mine, mine + first.checksum), **figures)
    assert judge(first_charged, complete=True) == Judgement(charged=10, open=5)
    second_charged = account(first, second, checksums=(mine, mine + second.checksum), **figures)
    assert judge(second_charged, complete=True) == Judgement(charged=10, undelivered=5)


def test_a_doubtful_report_that_was_charged_twice_in_place_of_an_acknowledged_one_is_found() -> None:
    doubtful = Doubt(5, checksum((5, 1)), "connection")
    checksums = checksum((5, 2)), 2 * doubtful.checksum
    judged = account(doubtful, used=10, reported=10, acknowledged=5, charged=10, checksums=checksums)
    assert judge(judged, complete=True).misbooked == 10
    assert explain(judged, judge(judged, complete=True)).endswith("(a report was in doubt: connection lost)")


def test_the_checksum_tells_a_double_charge_from_a_doubtful_report_that_was_charged() -> None:
    """Nine units twice, and two that never arrived: not seven twice, and two charged."""
    lost = Doubt(2, checksum((2, 3)), "server_error")
    checksums = checksum((9, 1), (9, 2)), checksum((9, 1), (9, 2), (9, 1))
    judged = account(lost, used=20, reported=20, acknowledged=18, charged=27, checksums=checksums)
    assert judge(judged, complete=True) == Judgement(charged=18, double_charged=9, undelivered=2)


def test_units_beyond_all_reports_are_charged_twice_even_where_more_was_used() -> None:
    """Four units were never reported; that the CHF charged four twice makes it no better."""
    shares = of_books(used=14, reported=10, acknowledged=6, doubt=4, unreported=4, charged=14)
    assert shares == Judgement(charged=10, double_charged=4, unreported=4)


def test_many_doubtful_reports_are_resolved_by_their_sum() -> None:
    doubts = [Doubt(2, 7, "timeout")] * 20
    judged = account(*doubts, used=40, reported=40, charged=30, checksums=(0, 5))
    assert judge(judged, complete=True) == Judgement(charged=30, undelivered=10)
