from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.measure import Histogram
from simulator.measure.histogram import LARGEST_BUCKETED_US, bucket_of, middle_of

microseconds = st.one_of(
    st.integers(0, 300), st.integers(0, 100_000), st.integers(0, 600_000_000), st.integers(0, LARGEST_BUCKETED_US)
)
batches = st.lists(microseconds, max_size=60)


def recorded(values: list[int]) -> Histogram:
    histogram = Histogram()
    histogram.record_many(values)
    return histogram


def exact_percentile(values: list[int], percent: float) -> int:
    rank = max(1, math.ceil(round(percent * len(values) / 100, 9)))
    return sorted(values)[rank - 1]


@given(values=st.lists(microseconds, min_size=1, max_size=300), percent=st.floats(0, 100))
def test_a_percentile_is_within_one_percent_of_the_exact_one(values: list[int], percent: float) -> None:
    exact = exact_percentile(values, percent)
    assert abs(recorded(values).percentile(percent) - exact) <= exact * 0.01


@given(values=st.lists(microseconds, min_size=1))
def test_count_sum_extremes_and_mean_are_exact(values: list[int]) -> None:
    histogram = recorded(values)
    assert histogram.count == len(values)
    assert histogram.mean_us == sum(values) / len(values)
    assert (histogram.min_us, histogram.max_us) == (min(values), max(values))
    assert histogram.percentile(100) == max(values)


@given(a=batches, b=batches, c=batches)
def test_merging_is_associative_commutative_and_the_same_as_recording_together(
    a: list[int], b: list[int], c: list[int]
) -> None:
    left = recorded(a)
    left.merge(recorded(b))
    left.merge(recorded(c))
    tail = recorded(c)
    tail.merge(recorded(b))
    right = recorded(a)
    right.merge(tail)
    assert left == right == recorded([*a, *b, *c])


@given(values=batches)
def test_a_histogram_survives_the_pipe(values: list[int]) -> None:
    histogram = recorded(values)
    again = Histogram.from_wire(json.loads(json.dumps(histogram.to_wire())))
    assert again == histogram
    assert again.percentiles((50, 99, 100)) == histogram.percentiles((50, 99, 100))


@given(a=microseconds, b=microseconds)
def test_buckets_keep_the_order_of_values(a: int, b: int) -> None:
    assert (bucket_of(a) <= bucket_of(b)) == (a <= b) or bucket_of(a) == bucket_of(b)


@given(value=microseconds)
def test_the_middle_of_a_bucket_lies_in_it(value: int) -> None:
    assert bucket_of(middle_of(bucket_of(value))) == bucket_of(value)


def test_every_bucket_up_to_a_second_follows_the_one_before() -> None:
    buckets = [bucket_of(value) for value in range(1_000_001)]
    assert set(map(int.__sub__, buckets[1:], buckets)) == {0, 1}


def test_the_rank_does_not_suffer_from_binary_fractions() -> None:
    assert recorded(list(range(1, 1001))).percentile(99.9) == pytest.approx(999, rel=0.01)
    assert recorded([1] * 999 + [60_000_000]).percentile(99.9) == 1


def test_a_value_beyond_the_last_bucket_keeps_its_exact_maximum() -> None:
    histogram = recorded([1, 10 * LARGEST_BUCKETED_US])
    assert histogram.max_us == histogram.percentile(99) == 10 * LARGEST_BUCKETED_US


def test_a_negative_latency_is_not_hidden() -> None:
    assert recorded([5, -3]).min_us == -3


def test_an_empty_histogram_answers_zero() -> None:
    assert Histogram().percentiles((0, 50, 100)) == [0, 0, 0]
    assert Histogram().mean_us == 0.0


def test_a_percentile_outside_the_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 100"):
        recorded([1]).percentile(100.1)


def test_memory_is_bounded_by_the_number_of_buckets() -> None:
    assert bucket_of(LARGEST_BUCKETED_US) == bucket_of(2**60) < 4_000
