from __future__ import annotations

import pytest

from simulator.measure import ThresholdError, parse_threshold
from simulator.measure.figures import PROMISES
from simulator.report import build_summary
from simulator.report.words import PROMISES as IN_WORDS
from tests.report.examples import FACTS, audit, totals

HEALTHY = build_summary(totals(), FACTS, audit())
TROUBLED = build_summary(totals(failing=4, dropped=40), FACTS, audit(lost=1, twice=2))
FOREIGN = build_summary(totals(), FACTS, audit(unverifiable="its ledger cannot be read"))


@pytest.mark.parametrize(
    ("text", "healthy", "troubled"),
    [
        ("success >= 99.9%", True, False),
        ("success == 100%", True, False),
        ("success.event >= 95%", True, False),
        ("failed == 0", True, False),
        ("failed.update < 0.1%", True, False),
        ("denied < 3%", True, True),
        ("requests.update > 50k", True, True),
        ("retransmitted == 0", True, False),
        ("response.update.p99 < 8ms", True, True),
        ("response.update.p99 < 7000us", False, False),
        ("response.p99.9 < 0.01s", True, True),
        ("queue.create.p50 < 1ms", True, True),
        ("service.max<=6.4ms", True, True),
        ("drops == 0", True, False),
        ("drops.limit < 1%", True, False),
        ("drops.busy == 0", True, True),
        ("rate.achieved_per_s >= 325/s", True, False),
        ("rate.requests_per_s > 2.5k", True, True),
        ("sessions.failed == 0", True, False),
        ("sessions.open_max >= 2000", True, True),
        ("causes.QUOTA_LIMIT_REACHED < 2000", True, True),
        ("causes.RATING_FAILED == 0", True, True),
        ("causes.TIMEOUT != 0", False, True),
        ("result_codes.SUCCESS > 1", True, True),
        ("connections.lost == 0", True, False),
        ("generator.loop_lag_us < 2ms", True, True),
        ("generator.cpu_share < 90%", True, True),
        ("generator.limited == false", True, False),
        ("audit.balanced == true", True, False),
        ("audit.double_charged_units == 0", True, False),
        ("audit.lost_units.totalVolume == 0", True, True),
        ("audit.lost_units.time == 0", True, False),
    ],
)
def test_a_threshold_tells_a_healthy_run_from_a_troubled_one(text: str, healthy: bool, troubled: bool) -> None:
    threshold = parse_threshold(text)
    assert threshold.judge(HEALTHY).ok is healthy, threshold.judge(HEALTHY)
    assert threshold.judge(TROUBLED).ok is troubled, threshold.judge(TROUBLED)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("response.update.p99 < 50ms", "7.2 ms"),
        ("service.create.p50 < 1s", "2.0 ms"),
        ("success > 0%", "100 %"),
        ("drops < 1%", "0 %"),
        ("audit.used_units.time > 0", "46,250"),
        ("rate.offered_per_s > 0", "325"),
        ("audit.balanced == true", "true"),
    ],
)
def test_the_line_says_what_was_measured(text: str, value: str) -> None:
    assert parse_threshold(text).judge(HEALTHY).value == value


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("requests < 2M", 2_000_000),
        ("requests < 2.5k", 2_500),
        ("response.p99 < 5us", 5),
        ("response.p99 < 5µs", 5),
        ("response.p99 < 5ms", 5_000),
        ("response.p99 < 5s", 5_000_000),
        ("response.p99 < 5min", 300_000_000),
    ],
)
def test_a_limit_is_scaled_by_its_unit(text: str, limit: float) -> None:
    assert parse_threshold(text).limit == limit


def test_a_share_is_never_rounded_up_to_all() -> None:
    almost = {**HEALTHY, "all": {**HEALTHY["all"], "requests": 1_000_000, "ok": 999_999, "denied": 0}}
    line = parse_threshold("success == 100%").judge(almost)
    assert (line.ok, line.value) == (False, "99.999 %")


@pytest.mark.parametrize("text", ["response.update.p99 < 50ms", "success.update >= 99%"])
def test_what_was_never_measured_fails(text: str) -> None:
    empty = build_summary(totals(seconds=0), FACTS, None)
    line = parse_threshold(text).judge(empty)
    assert (line.ok, line.value) == (False, "nothing was measured")


def test_an_audit_that_did_not_happen_fails() -> None:
    assert parse_threshold("audit.lost_units == 0").judge(build_summary(totals(), FACTS, None)).ok is False


@pytest.mark.parametrize("text", ["audit.double_charged_units == 0", "audit.lost_units == 0", "audit.balanced == true"])
def test_without_the_chfs_books_a_clean_audit_stays_open(text: str) -> None:
    line = parse_threshold(text).judge(FOREIGN)
    assert (line.ok, line.value) == (None, "not verified against the CHF's books")


def test_doubt_needs_no_books() -> None:
    assert parse_threshold("audit.in_doubt_units == 0").judge(FOREIGN).ok is True


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("response.updte.p99 < 50ms", 10, 'unknown name "updte"; did you mean "update"?'),
        ("response.update.p98 < 50ms", 17, 'unknown name "p98"; did you mean'),
        ("respons.update.p99 < 50ms", 1, 'did you mean "response"?'),
        ("response < 50ms", 9, '"response" needs one more part: p50, p90'),
        ("response.update < 50ms", 16, '"response.update" needs one more part: p50, p90'),
        ("response.update.p99 < 50", 23, 'expected a duration such as 50ms, got "50"'),
        ("response.update.p99 < 50 %", 23, "expected a duration such as 50ms"),
        ("success >= 99.9", 12, 'expected a share such as 99.9%, got "99.9"'),
        ("drops == 5ms", 10, "expected a number such as 1000 or a share such as 99.9%"),
        ("audit.balanced == yes", 19, "expected true or false"),
        ("promises_broken.WRONG_SEQUENCE < 9", 17, 'did you mean "WRONG_SEQUENCE_NUMBER"?'),
        ("audit.lost == 0", 7, 'did you mean "lost_units"?'),
        ("drops => 0", 7, '"=>" is none of <=, >=, ==, !=, <, >'),
        ("drops ==", 9, "got nothing"),
        ("drops", 1, "expected NAME COMPARISON VALUE"),
        ("success.update.now > 1%", 16, '"success.update" has no parts'),
        ("rate < 5", 5, '"rate" needs one more part: offered_per_s'),
        ("", 1, "expected NAME COMPARISON VALUE"),
    ],
)
def test_a_wrong_threshold_is_explained_where_it_is_wrong(text: str, column: int, words: str) -> None:
    with pytest.raises(ThresholdError) as caught:
        parse_threshold(text)
    assert caught.value.column == column
    assert f'threshold "{text}", column {column}: ' in str(caught.value)
    assert words in str(caught.value)


def test_every_number_that_can_be_named_is_in_the_summary() -> None:
    from simulator.measure.figures import AUDIT_MAPS, NUMBERS

    for head, names in NUMBERS.items():
        assert set(names) <= set(HEALTHY[head]), head
    assert set(AUDIT_MAPS) <= set(HEALTHY["audit"])


def test_every_promise_that_can_be_named_has_its_words() -> None:
    assert set(PROMISES) == set(IN_WORDS)
