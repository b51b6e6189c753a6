"""Traffic of one rating group: bursts and pauses integrated exactly, however often it is looked at."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.n40.flow import NEVER, RATE_UNIT, Flow
from tests.n40.trace import MB, Bursts, S


@dataclass(frozen=True)
class Table:
    """Bursts in ns and thousandths of a unit per second, over and over again."""

    bursts: tuple[tuple[int, int, int], ...]
    delay: int = 0

    def burst(self, key: bytes, index: int) -> tuple[int, int, int]:
        return self.bursts[index % len(self.bursts)]

    def first_pause(self, key: bytes) -> int:
        return self.delay

    def used_at(self, moment: int, volume: int) -> int:
        """The same by another way: burst by burst, without any state."""
        left, used, index = moment - self.delay, 0, 0
        while left > 0:
            active, rate, pause = self.bursts[index % len(self.bursts)]
            used += rate * min(left, active)
            left -= active + pause
            index += 1
        return min(used // RATE_UNIT, volume)


tables = st.builds(
    Table,
    st.lists(
        st.tuples(st.integers(10**6, 20 * S), st.integers(1, 10**10), st.sampled_from([0, 1, 10**6, S, 7 * S])),
        min_size=1,
        max_size=4,
    ).map(tuple),
    st.sampled_from([0, 1, 3 * S]),
)
moments = st.lists(st.integers(0, 60 * S), min_size=1, max_size=12).map(sorted)
busy_limits = st.just(NEVER) | st.integers(1, 30 * S)
volumes = st.sampled_from([1, 1000, MB, 10**9, NEVER])


@settings(deadline=None)
@given(table=tables, moment=st.integers(0, 60 * S), volume=volumes)
def test_usage_is_what_the_bursts_add_up_to(table: Table, moment: int, volume: int) -> None:
    flow = Flow(table, b"", 0, volume)
    flow.advance(moment, NEVER)
    assert flow.used == table.used_at(moment, volume)


@settings(deadline=None)
@given(table=tables, looks=moments, limit=st.integers(0, 10**8), busy=busy_limits, volume=volumes)
def test_looked_at_late_is_looked_at_on_time(
    table: Table, looks: list[int], limit: int, busy: int, volume: int
) -> None:
    often, once = Flow(table, b"", 0, volume), Flow(table, b"", 0, volume)
    before = 0
    for moment in looks:
        often.advance(moment, limit, busy)
        assert before <= often.used <= min(limit, volume)
        assert often.busy() <= busy
        before = often.used
    once.advance(looks[-1], limit, busy)
    for name in ("used", "clock", "elapsed", "index", "base", "active_ns", "first_use", "last_use"):
        assert getattr(often, name) == getattr(once, name), name


@settings(deadline=None)
@given(table=tables, limit=st.integers(1, 10**8), busy=busy_limits, volume=volumes)
def test_a_crossing_is_neither_a_nanosecond_early_nor_late(table: Table, limit: int, busy: int, volume: int) -> None:
    flow = Flow(table, b"", 0, volume)

    def crossed() -> bool:
        return flow.used >= min(limit, volume) or flow.busy() >= busy

    for _ in range(2000):
        moment = flow.reaches(limit, busy)
        if moment == NEVER:
            break
        assert moment > flow.clock
        flow.advance(moment - 1, limit, busy)
        assert not crossed()
        flow.advance(moment, limit, busy)
        if crossed():
            break
    else:
        return  # very slow traffic
    assert crossed()
    used = flow.used
    flow.advance(flow.clock + 1000 * S, limit, busy)
    assert flow.used == used


@settings(deadline=None)
@given(table=tables, limits=st.lists(st.integers(0, 10**7), min_size=1, max_size=10), volume=volumes)
def test_usage_never_decreases_whatever_the_limits(table: Table, limits: list[int], volume: int) -> None:
    flow = Flow(table, b"", 0, volume)
    for number, limit in enumerate(limits):
        before = flow.used
        flow.advance((number + 1) * 3 * S, limit)
        assert before <= flow.used <= max(before, min(limit, volume))


def test_traffic_that_waits_stands_still_inside_its_burst_and_a_pause_runs_on() -> None:
    flow = Flow(Bursts(((10, MB, 5),)), b"", 0)
    flow.advance(100 * S, 4 * MB)
    assert (flow.used, flow.wants, flow.busy()) == (4 * MB, True, 4 * S)
    assert flow.reaches(5 * MB) == 101 * S
    flow.advance(106 * S, 10 * MB)
    assert (flow.used, flow.wants, flow.quiet_since()) == (10 * MB, False, 106 * S)
    flow.advance(111 * S, 10 * MB)
    assert flow.wants


def test_first_and_last_use_are_those_of_the_traffic() -> None:
    flow = Flow(Bursts(((2, MB, 10),), delay=3), b"", 0)
    flow.advance(9 * S, NEVER)
    assert (flow.first_use, flow.last_use) == (3 * S, 5 * S)


def test_use_that_goes_on_has_a_beginning_and_no_end_yet() -> None:
    flow = Flow(Bursts(((20, MB, 10),)), b"", S)
    flow.advance(4 * S, NEVER)
    flow.advance(9 * S, NEVER)
    assert (flow.used, flow.first_use, flow.last_use) == (8 * MB, S, 9 * S)


def test_two_units_a_minute_are_a_rate_as_well() -> None:
    flow = Flow(Table(((1000 * S, 33, 0),)), b"", 0)
    flow.advance(600 * S, NEVER)
    assert flow.used == 19


def test_what_a_burst_leaves_of_a_unit_is_carried_into_the_next() -> None:
    flow = Flow(Table(((10 * S, 33, 20 * S),)), b"", 0)
    flow.advance(3 * 30 * S + 10 * S, NEVER)
    assert flow.used == 1  # four times 0.33


def test_a_flow_that_has_ended_uses_nothing_more() -> None:
    flow = Flow(Bursts(((2, MB, 1),)), b"", 0)
    flow.advance(S, NEVER)
    flow.end()
    assert flow.finished
    flow.advance(100 * S, NEVER)
    assert flow.used == MB


@given(table=tables, until=st.integers(0, 5 * S), looks=st.lists(st.integers(0, 6 * S), max_size=20))
def test_a_flow_uses_nothing_after_its_time_however_often_it_is_looked_at(
    table: Table, until: int, looks: list[int]
) -> None:
    flow = Flow(table, b"", 0, until=until)
    for moment in sorted(looks):
        flow.advance(moment, NEVER)
        assert flow.clock == moment
        assert flow.used == table.used_at(min(moment, until), NEVER)
    flow.advance(7 * S, NEVER)
    assert flow.used == table.used_at(until, NEVER)
    assert flow.finished
    assert not flow.wants
    assert flow.reaches(NEVER) == NEVER


def test_the_end_of_a_flow_is_a_moment_to_look_at() -> None:
    steady = Flow(Bursts(((100, MB, 0),)), b"", 0, until=3 * S)
    assert steady.reaches(10 * MB) == 3 * S
    assert steady.reaches(2 * MB) == 2 * S
    paused = Flow(Bursts(((1, MB, 9),)), b"", 0, until=3 * S)
    paused.advance(2 * S, NEVER)
    assert paused.reaches(NEVER) == 3 * S
    paused.advance(3 * S, NEVER)
    assert (paused.used, paused.reaches(NEVER)) == (MB, NEVER)
