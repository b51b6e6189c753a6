"""DateTime of TS 29.571 from session time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.n40 import Timestamps
from simulator.n40.timestamps import CACHED_SECONDS
from tests.n40.trace import EPOCH, S


def test_a_moment_is_stamped_in_utc_with_milliseconds() -> None:
    stamps = Timestamps(EPOCH)
    assert stamps.stamp(0) == b"2026-11-18T11:06:40.000Z"
    assert stamps.stamp(1_123_999_999) == b"2026-11-18T11:06:41.123Z"  # cut, not rounded into the future


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**8 * S), min_size=1, max_size=20))
def test_stamps_are_those_of_the_calendar(moments: list[int]) -> None:
    stamps = Timestamps(EPOCH)
    for moment in [*moments, moments[0], moments[-1]]:
        when = datetime.fromtimestamp(EPOCH // S, UTC) + timedelta(milliseconds=moment // 10**6)
        assert stamps.stamp(moment).decode() == when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03}Z"


def test_a_stamp_can_be_that_of_some_milliseconds_later() -> None:
    stamps = Timestamps(EPOCH)
    assert stamps.stamp(0) == stamps.later(0, 0)
    assert stamps.later(999_000_000, 2) == stamps.stamp(1_001_000_000)


def test_at_a_pace_wall_time_is_stamped() -> None:
    stamps = Timestamps(EPOCH, pace=60.0)
    assert stamps.stamp(3600 * S) == b"2026-11-18T11:07:40.000Z"


def test_a_long_run_keeps_no_more_than_a_bounded_number_of_seconds() -> None:
    stamps = Timestamps(EPOCH)
    for second in range(3 * CACHED_SECONDS):
        stamps.stamp(second * S)
    assert len(stamps._prefixes) <= CACHED_SECONDS
