from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simulator.measure import Histogram, Phase, Snapshot, ThresholdError, parse_threshold
from simulator.measure.watch import Watch, Window


def interval(
    number: int, *latencies_us: int, phase: str = Phase.STEADY, length_s: float = 0.5, **counters: int
) -> Snapshot:
    """The how-manieth interval of a worker: requests with those response times."""
    histogram = Histogram()
    histogram.record_many(list(latencies_us))
    return Snapshot(
        number=number,
        start_s=(number - 1) * length_s,
        end_s=number * length_s,
        phase=phase,
        counters={
            "requests|update|data|ok": len(latencies_us),
            **{name.replace("_", "|"): n for name, n in counters.items()},
        },
        histograms={"latency_us|response|update|data|ok": histogram} if latencies_us else {},
    )


def judged(text: str, *intervals: Snapshot, workers: int = 1) -> Any:
    window = Window(parse_threshold(text), workers)
    for each in intervals:
        for worker in range(workers):
            window.add(worker, each)
    return window.line()


def test_a_threshold_over_a_window_holds_only_if_it_holds_in_every_window() -> None:
    """Four windows of a second, whose worst one ends at 2 s."""
    calm, busy = (1_000,) * 10, (200_000,) * 10
    line = judged(
        "response.update.p50 < 50ms over 1s",
        *(interval(n, *each) for n, each in enumerate((calm, calm, busy, busy, calm), 1)),
    )
    assert (line.ok, line.value, line.window_at_s, line.over) == (False, "200.0 ms", 2.0, "1s")


def test_over_the_whole_steady_phase_the_same_run_passes() -> None:
    whole = Snapshot()
    for number, each in enumerate(((1_000,) * 10, (1_000,) * 10, (200_000,) * 10, (1_000,) * 10), 1):
        whole.merge_newer(interval(number, *each))
    assert parse_threshold("response.update.p50 < 50ms").judge_snapshot(whole).ok


def test_windows_move_over_the_steady_phase_alone() -> None:
    slow = (900_000,)
    line = judged(
        "response.update.max < 1ms over 1s",
        interval(1, *slow, phase=Phase.WARMUP), interval(2, 10), interval(3, 20), interval(4, *slow, phase=Phase.COOLDOWN),
        interval(5, *slow, phase=Phase.DRAIN),
    )  # fmt: skip
    assert (line.ok, line.value) == (True, "20 µs")


def test_a_phase_shorter_than_the_window_is_no_pass() -> None:
    line = judged("response.update.p99 < 1s over 10s", interval(1, 10), interval(2, 10))
    assert (line.ok, line.value) == (False, "the steady phase was shorter than one window")


@pytest.mark.parametrize(
    ("text", "value"), [("requests >= 2 over 1s", "3"), ("requests < 9 over 1s", "6"), ("requests != 5 over 1s", "5")]
)
def test_the_worst_window_is_the_lowest_where_much_is_wanted_and_the_highest_where_little(
    text: str, value: str
) -> None:
    intervals = [interval(n, *[1] * requests) for n, requests in enumerate((1, 2, 3, 3, 2), 1)]
    assert judged(text, *intervals).value == value


def test_the_share_of_drops_is_that_of_the_intended_arrivals_in_a_window_too() -> None:
    counted = {"arrivals_intended": 20, "arrivals_started": 10, "arrivals_dropped_limit": 1}
    line = judged("drops < 6% over 1s", *(interval(n, **counted) for n in (1, 2)))
    assert (line.ok, line.value) == (True, "5 %")


def test_offered_and_achieved_are_told_apart_in_a_window_too() -> None:
    intervals = [interval(n, arrivals_intended=20, arrivals_started=10) for n in (1, 2)]
    assert judged("rate.offered_per_s >= 40 over 1s", *intervals).value == "40"
    assert judged("rate.achieved_per_s >= 20 over 1s", *intervals).value == "20"


def test_no_window_reaches_over_a_time_in_which_nothing_was_measured() -> None:
    """One second of steady load, four without a word, and one second again."""
    intervals = [interval(n, 10) for n in (1, 2, 11, 12)]
    assert (
        judged("response.update.max < 1ms over 2s", *intervals).value == "the steady phase was shorter than one window"
    )
    assert judged("response.update.max < 1ms over 1s", *intervals).ok


def test_shares_rates_and_counts_have_windows_as_well() -> None:
    failed = {"requests_update_data_failed": 5}
    intervals = [interval(1, *[1] * 95), interval(2, *[1] * 95, **failed), interval(3, *[1] * 95)]
    assert judged("success >= 96% over 1s", *intervals).value == "97.435 %"
    assert judged("failed == 0 over 1s", *intervals).value == "5"
    assert judged("rate.requests_per_s > 195 over 1s", *intervals).ok is False


def test_workers_are_put_together_by_time() -> None:
    window = Window(parse_threshold("requests > 0 over 1s"), workers=2)
    for number in (1, 2, 3):
        window.add(0, interval(number, 1))
    for number in (1, 2, 3):
        window.add(1, interval(number, 1, 1, 1))
    assert window.line().value == "8"  # 1 + 3 in each of two steps


def test_a_worker_that_falls_silent_does_not_stop_the_others_windows() -> None:
    window = Window(parse_threshold("response.update.max < 1ms over 1s"), workers=2)
    window.add(1, interval(1, 10))
    for number in range(1, 20):
        window.add(0, interval(number, 5_000))
    assert window.broken


@pytest.mark.parametrize("length_s", [0.35, 0.502, 0.6, 0.9, 2.3, 12.0])
def test_intervals_that_are_cut_late_or_added_up_leave_no_gap(length_s: float) -> None:
    """A busy engine is late, and a full pipe makes one interval of several: every window is still judged."""
    last = round(120 / length_s)
    for text in ("requests >= 1 over 5s", "rate.requests_per_s > 0 over 5s"):
        assert judged(text, *(interval(number, 10, length_s=length_s) for number in range(1, last))).ok
    window = Window(parse_threshold("response.update.max < 1ms over 5s"))
    for number in range(1, last + 1):
        window.add(0, interval(number, 5_000 if number == last else 10, length_s=length_s))
        assert len(window._open) <= 2 + length_s / 0.5
    line = window.line()
    assert (line.ok, line.value) == (False, "5.0 ms")


def test_a_rate_over_a_window_is_per_second_of_what_was_measured_in_it() -> None:
    line = judged("rate.requests_per_s > 9 over 5s", *(interval(n, *[1] * 6, length_s=0.6) for n in range(1, 40)))
    assert (line.ok, line.value) == (True, "10.0")


@pytest.mark.parametrize("comparison", ["> 39.9", "< 40.1"])
def test_a_rate_over_a_window_is_the_same_however_the_workers_cut_their_intervals(comparison: str) -> None:
    """Twenty a second from each of two workers, one of which is late all the time."""
    window = Window(parse_threshold(f"rate.requests_per_s {comparison} over 2s"), workers=2)
    reports = [(0, interval(n, *[1] * 10)) for n in range(1, 121)] + [
        (1, interval(n, *[1] * 14, length_s=0.7)) for n in range(1, 86)
    ]
    for worker, each in sorted(reports, key=lambda it: it[1].end_s):
        window.add(worker, each)
    line = window.line()
    assert (line.ok, line.value) == (True, "40.0"), line


def test_a_long_window_is_kept_in_few_steps() -> None:
    window = Window(parse_threshold("response.update.p99 < 1s over 60min"))
    for number in range(1, 20_000):
        window.add(0, interval(number, 10))
    assert len(window._kept) == 100
    assert len(window._open) <= 1
    assert window.line().ok


@given(st.lists(st.lists(st.integers(1, 60_000), max_size=3), min_size=4, max_size=30), st.integers(2, 6))
def test_the_worst_window_is_that_of_looking_at_each(latencies: list[list[int]], steps: int) -> None:
    text = f"response.update.p90 < 1ms over {steps * 500}ms"
    line = judged(text, *(interval(n, *each) for n, each in enumerate(latencies, 1)))
    windows = [list(chain.from_iterable(latencies[at : at + steps])) for at in range(len(latencies) - steps + 1)]
    values = []
    for each in windows:
        histogram = Histogram()
        histogram.record_many(each)
        values += [histogram.percentile(90)] if each else []
    if values:
        assert line.value == parse_threshold(text).line(float(max(values))).value
        assert line.ok is (max(values) < 1000)
    else:
        assert line.ok is False


@example([[5.0, 0.25] * 30], 0.5, "1s")  # a short one between two that reach over more than a window
@given(
    st.lists(st.lists(st.floats(0.1, 3.0), min_size=60, max_size=80), min_size=1, max_size=3),
    st.floats(0, 1),
    st.sampled_from(["1s", "2s", "3s"]),
)
def test_no_interval_escapes_however_unevenly_the_workers_cut_them(
    lengths: list[list[float]], place: float, window: str
) -> None:
    """One interval of one worker was slow. Reports come in the order of their ends, as over pipes."""
    reports = []
    for worker, each in enumerate(lengths):
        end_s = 0.0
        for number, length_s in enumerate(each, 1):
            snapshot = interval(number, 10)
            snapshot.start_s, snapshot.end_s = end_s, (end_s := end_s + length_s)
            reports.append((worker, snapshot))
    together_s = min(sum(each) for each in lengths)
    reports = sorted(
        ((worker, each) for worker, each in reports if each.end_s <= together_s), key=lambda it: it[1].end_s
    )
    _, slow = reports[int(place * (len(reports) - 1))]
    slow.histograms = interval(1, 5_000).histograms
    watched = Window(parse_threshold(f"response.update.max < 1ms over {window}"), len(lengths))
    for worker, each in reports:
        watched.add(worker, each)
        assert len(watched._open) <= 60
    line = watched.line()
    assert (line.ok, line.value) == (False, "5.0 ms")
    assert watched.broken


def test_a_window_that_fails_ends_the_run_where_it_says_so() -> None:
    watch = Watch([parse_threshold("response.update.p99 < 1ms over 1s abort"), parse_threshold("failed < 9 over 1s")])
    told = [watch.add(0, interval(number, 5_000)) for number in (1, 2, 3)]
    assert [[each.name for each in broken] for broken in told] == [[], ["response.update.p99"], []]


@pytest.mark.parametrize(
    ("text", "after"),
    [("failed < 3 abort", 3), ("failed <= 3 abort", 4), ("failed == 0 abort", 1), ("failed == 2 abort", 3)],
)
def test_a_number_that_is_too_much_ends_the_run_where_it_says_so(text: str, after: int) -> None:
    watch = Watch([parse_threshold(text)])
    broken = [bool(watch.add(0, interval(number, requests_update_data_failed=1))) for number in range(1, 6)]
    assert broken.index(True) == after - 1
    assert sum(broken) == 1


@pytest.mark.parametrize(
    ("text", "over", "level", "abort"),
    [
        ("response.p99 < 1s", "steady", "fail", False),
        ("success >= 99%", "run", "fail", False),
        ("success >= 99% over steady", "steady", "fail", False),
        ("rate.achieved_per_s > 1 over run warn", "run", "warn", False),
        ("response.p99<1s over 10s abort", "10s", "fail", True),
        ("drops == 0 abort", "run", "fail", True),
    ],
)
def test_what_follows_the_value(text: str, over: str, level: str, abort: bool) -> None:
    threshold = parse_threshold(text)
    assert (threshold.over, threshold.level, threshold.abort, threshold.text) == (over, level, abort, text)


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("response.p99 < 1s over noon", 24, 'expected run, steady or a window of 1s to 60min, got "noon"'),
        ("response.p99 < 1s over 100ms", 24, "a window of 1s to 60min"),
        ("audit.lost_units == 0 over 10s", 28, '"audit.lost_units" is known for the run only'),
        ("response.p99 < 1s over 1ks", 24, 'a window of 1s to 60min, got "1ks"'),
        ("connections.lost == 0 over steady", 28, '"connections.lost" is known for the run only'),
        ("sessions.open_max < 9 over steady", 28, '"sessions.open_max" is known for the run only'),
        ("response.p99 < 1s abort", 19, "abort needs a window (over 10s), or a number that may only grow"),
        ("success > 99% abort", 15, "abort needs a window"),
        ("requests > 5 abort", 14, "abort needs a window"),
        ("response.p99 < 1s over 10s over run", 28, '"over" is said twice'),
        ("drops == 0 abort warn", 12, "a warning ends no run: expected warn or abort, not both"),
        ("failed < 3 warn warn", 17, '"warn" is said twice'),
        ("response.p99 < 1s over", 16, 'expected a duration such as 50ms, got "1s over"'),
    ],
)
def test_wrong_conditions_are_explained_where_they_are_wrong(text: str, column: int, words: str) -> None:
    with pytest.raises(ThresholdError) as caught:
        parse_threshold(text)
    assert caught.value.column == column
    assert words in str(caught.value)
