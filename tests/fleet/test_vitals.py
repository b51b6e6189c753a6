from __future__ import annotations

import gc
import time

import pytest

from simulator.fleet.vitals import GarbagePauses, timer_floor_us


def test_collections_are_timed_one_by_one_and_together() -> None:
    pauses = GarbagePauses()
    try:
        gc.collect()
        gc.collect()
        longest, whole = pauses.take()
        assert 0 < longest < whole < 10_000_000
        assert pauses.take() == (0, 0)
    finally:
        pauses.close()
    gc.collect()
    assert pauses.take() == (0, 0)


def test_the_longest_pause_is_kept_though_shorter_ones_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = GarbagePauses()
    pauses.close()
    moments = iter([0, 9_000_000, 20_000_000, 21_000_000])
    monkeypatch.setattr(time, "perf_counter_ns", lambda: next(moments))
    for phase in ("start", "stop", "start", "stop"):
        pauses._on_collection(phase, {})
    assert pauses.take() == (9_000, 10_000)


@pytest.mark.anyio
async def test_the_floor_of_timers_is_measured_before_the_start() -> None:
    until = time.monotonic_ns() + 150_000_000
    floor = await timer_floor_us(until)
    assert time.monotonic_ns() < until
    assert 0 < floor < 20_000


@pytest.mark.anyio
async def test_without_time_there_is_no_floor() -> None:
    assert await timer_floor_us(time.monotonic_ns()) == 0
