from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.measure import Gauge, Histogram, Merge, Phase, Recorder, Snapshot, Totals, key

SECOND = 1_000_000_000


def through_the_pipe(snapshot: Snapshot) -> Snapshot:
    return Snapshot.from_wire(json.loads(json.dumps(snapshot.to_wire())))


def test_a_cut_reports_the_interval_and_begins_an_empty_one() -> None:
    recorder = Recorder(t0=5 * SECOND)
    recorder.counters[key("requests", "update", "video", "ok")] += 3
    recorder.samples("latency_us|service|update|video|ok").extend([100, 200, 300])
    first = recorder.cut(6 * SECOND)
    second = recorder.cut(8 * SECOND)
    assert (first.number, first.start_s, first.end_s) == (1, 0.0, 1.0)
    assert first.counters == {"requests|update|video|ok": 3}
    assert first.histogram("latency_us", "service").count == 3
    assert (second.number, second.start_s, second.end_s) == (2, 1.0, 3.0)
    assert not second.counters
    assert not second.histograms


def test_the_hot_path_may_hold_on_to_lists_and_counters() -> None:
    recorder = Recorder(t0=0)
    counters, samples = recorder.counters, recorder.samples("latency_us|queue")
    recorder.cut(SECOND)
    counters["requests|create"] += 1
    samples.append(7)
    later = recorder.cut(2 * SECOND)
    assert later.count("requests") == 1
    assert later.histogram("latency_us").max_us == 7
    assert recorder.samples("latency_us|queue") is samples


def test_a_level_keeps_its_value_and_the_high_of_each_interval() -> None:
    recorder = Recorder(t0=0)
    for sessions_open in (10, 40, 25):
        recorder.gauge("sessions_open", sessions_open)
    assert recorder.cut(SECOND).gauges["sessions_open"] == Gauge(25, 40, Merge.SUM)
    assert recorder.cut(2 * SECOND).gauges["sessions_open"] == Gauge(25, 25, Merge.SUM)


def test_a_maximum_begins_anew_with_each_interval() -> None:
    recorder = Recorder(t0=0)
    for lag in (100, 900, 200):
        recorder.gauge("loop_lag_us", lag, Merge.MAX)
    assert recorder.cut(SECOND).gauge("loop_lag_us") == 900
    assert "loop_lag_us" not in recorder.cut(2 * SECOND).gauges


def test_deltas_that_pile_up_before_a_full_pipe_say_the_same_as_one_by_one() -> None:
    def intervals() -> list[Snapshot]:
        recorder = Recorder(t0=0)
        cuts = []
        for second in (1, 2, 3):
            recorder.counters["requests|create"] += second
            recorder.samples("latency_us|queue").append(second)
            recorder.gauge("sessions_open", 10 * (4 - second))
            cuts.append(recorder.cut(second * SECOND))
        return cuts

    piled, *later = intervals()
    for snapshot in later:
        piled.merge_newer(snapshot)
    assert (piled.number, piled.start_s, piled.end_s) == (3, 0.0, 3.0)
    assert piled.gauges["sessions_open"] == Gauge(10, 30, Merge.SUM)

    at_once, one_by_one = Totals(), Totals()
    at_once.add(0, through_the_pipe(piled))
    for snapshot in intervals():
        one_by_one.add(0, through_the_pipe(snapshot))
    assert at_once.run.counters == one_by_one.run.counters
    assert at_once.run.histograms == one_by_one.run.histograms
    assert at_once.gauge("sessions_open") == one_by_one.gauge("sessions_open") == 10
    assert at_once.peak("sessions_open") == one_by_one.peak("sessions_open") == 30


def gauges(value: float) -> dict[str, Gauge]:
    return {
        "sessions_open": Gauge(value, value + 1, Merge.SUM),
        "loop_lag_us": Gauge(value, value, Merge.MAX),
        "phase_number": Gauge(value, value, Merge.LAST),
    }


def test_workers_are_put_together_by_each_gauges_rule() -> None:
    totals = Totals()
    totals.add(0, Snapshot(number=1, end_s=1.0, gauges=gauges(10)))
    totals.add(1, Snapshot(number=1, end_s=1.0, gauges=gauges(4)))
    totals.add(1, Snapshot(number=2, start_s=1.0, end_s=2.0, gauges=gauges(3)))
    assert totals.workers == 2
    assert totals.gauge("sessions_open") == 13
    assert totals.gauge("loop_lag_us") == 10
    assert totals.gauge("phase_number") == 3
    assert totals.peak("sessions_open") == 16


snapshots = st.builds(
    Snapshot,
    end_s=st.just(1.0),
    counters=st.dictionaries(st.sampled_from(["requests|create", "requests|update", "causes|X"]), st.integers(1, 9)),
    gauges=st.integers(0, 9).map(gauges),
)


@given(a=snapshots, b=snapshots)
def test_the_order_of_workers_makes_no_difference(a: Snapshot, b: Snapshot) -> None:
    there, back = Totals(), Totals()
    there.add(0, through_the_pipe(a))
    there.add(1, through_the_pipe(b))
    back.add(1, through_the_pipe(b))
    back.add(0, through_the_pipe(a))
    assert there.run.counters == back.run.counters
    for name in ("sessions_open", "loop_lag_us"):
        assert there.gauge(name) == back.gauge(name)
        assert there.peak(name) == back.peak(name)


def test_the_last_interval_gives_rates_whatever_each_workers_length() -> None:
    totals = Totals()
    totals.add(0, Snapshot(number=1, start_s=0.0, end_s=1.0, counters={"requests|create|sms|ok": 100}))
    totals.add(0, Snapshot(number=2, start_s=1.0, end_s=2.0, counters={"requests|create|sms|ok": 40}))
    totals.add(1, Snapshot(number=1, start_s=0.0, end_s=2.0, counters={"requests|create|sms|ok": 40}))
    assert totals.rate("requests") == 60
    assert totals.interval().count("requests", None, "sms") == 80
    assert totals.run.count("requests") == 180


def test_an_interval_that_comes_twice_is_refused() -> None:
    totals = Totals()
    totals.add(0, Snapshot(number=4))
    with pytest.raises(ValueError, match="worker 0 sent interval 4 after 4"):
        totals.add(0, Snapshot(number=4))


def test_counts_are_split_by_any_label() -> None:
    counters = {"requests|create|sms|ok": 5, "requests|update|video|denied": 7, "requests|update|sms|ok": 1}
    snapshot = Snapshot(counters={**counters, "requests_other|create|sms|ok": 99})
    assert snapshot.count("requests") == 13
    assert snapshot.count("requests", None, None, "ok") == 6
    assert snapshot.counts_by("requests", 0) == {"update": 8, "create": 5}
    assert snapshot.counts_by("requests", 1, "update") == {"video": 7, "sms": 1}


def test_warm_up_and_drain_are_no_part_of_the_steady_load() -> None:
    totals = Totals()
    for number, phase in enumerate((Phase.WARMUP, Phase.STEADY, Phase.DRAIN)):
        counters = {"requests|release": 10**number}
        totals.add(0, Snapshot(number=number + 1, start_s=number, end_s=number + 1.0, phase=phase, counters=counters))
    assert totals.phase == Phase.DRAIN
    assert totals.steady().seconds == 1.0
    assert totals.steady().count("requests") == 10
    assert totals.run.count("requests") == 111


def test_a_pause_in_the_midst_of_the_load_is_no_part_of_its_length() -> None:
    totals = Totals()
    for number, (phase, start_s, end_s) in enumerate(
        [("warmup", 0, 1), ("steady", 1, 3), ("paused", 3, 8), ("steady", 8, 9), ("steady", 9, 10), ("drain", 10, 11)],
        start=1,
    ):
        for worker, late in ((0, 0.0), (1, 0.01)):
            counters = {"requests|update": 10} if phase == "steady" else {}
            totals.add(
                worker,
                Snapshot(number=number, start_s=start_s + late, end_s=end_s + late, phase=phase, counters=counters),
            )
    assert totals.steady().seconds == pytest.approx(4, abs=0.02)
    assert totals.phases["paused"].seconds == pytest.approx(5, abs=0.02)
    assert totals.run.seconds == pytest.approx(11, abs=0.02)


def test_a_run_that_did_not_outlive_its_warm_up_is_measured_there() -> None:
    totals = Totals()
    totals.add(0, Snapshot(number=1, end_s=2.0, phase=Phase.WARMUP, counters={"requests|release": 7}))
    totals.add(0, Snapshot(number=2, start_s=2.0, end_s=3.0, phase=Phase.DRAIN, counters={"requests|release": 9}))
    assert (totals.steady().seconds, totals.steady().count("requests")) == (2.0, 7)


def test_health_is_noted_per_worker_and_interval_under_load() -> None:
    totals = Totals()
    for number, (cpu_s, phase) in enumerate(
        [(0.1, "steady"), (1.05, "steady"), (1.55, "steady"), (9.0, "drain")], start=1
    ):
        levels = {"cpu_s": Gauge(cpu_s, cpu_s, Merge.SUM), "loop_lag_us": Gauge(number * 100, 0, Merge.MAX)}
        totals.add(0, Snapshot(number=number, start_s=number - 1, end_s=number, phase=phase, gauges=levels))
    [worker] = totals.by_worker.values()
    assert (worker.cpu.count, worker.cpu.max_us) == (2, 950_000)
    assert (worker.lag.count, worker.lag.max_us) == (3, 300)


def test_totals_do_not_share_histograms_with_the_snapshots() -> None:
    histogram = Histogram()
    histogram.record(10)
    totals, first = Totals(), Snapshot(number=1, end_s=1.0, histograms={"latency_us|queue": histogram})
    totals.add(0, first)
    totals.add(0, Snapshot(number=2, start_s=1.0, end_s=2.0, histograms={"latency_us|queue": histogram}))
    assert totals.run.histogram("latency_us").count == 2
    assert histogram.count == 1


def test_cpu_over_a_moment_says_nothing_about_an_engine() -> None:
    """CPU time is counted in ticks: one of them in a short interval would be a busy core."""
    totals = Totals()
    for number, (end_s, cpu_s) in enumerate([(1.0, 0.1), (1.01, 0.11), (2.01, 0.31)], start=1):
        levels = {"cpu_s": Gauge(cpu_s, cpu_s, Merge.SUM)}
        totals.add(
            0, Snapshot(number=number, start_s=end_s - (0.01 if number == 2 else 1.0), end_s=end_s, gauges=levels)
        )
    worker = totals.by_worker[0]
    assert worker.cpu.count == 1
    assert worker.cpu.max_us == pytest.approx(200_000, rel=0.01)


def test_the_phase_is_that_of_the_worker_that_is_furthest() -> None:
    totals = Totals()
    totals.add(0, Snapshot(number=1, end_s=2.0, phase=Phase.STEADY))
    totals.add(1, Snapshot(number=1, end_s=1.0, phase=Phase.WARMUP))
    assert (totals.phase, totals.interval().phase) == (Phase.STEADY, Phase.STEADY)
