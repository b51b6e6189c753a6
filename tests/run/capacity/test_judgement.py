"""Whether a step held: percentiles and shares by their bounds, the rest as in any run, and only if the step was a valid one."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.measure import Gauge, Histogram, Merge, Snapshot, parse_threshold
from simulator.run.capacity.evidence import Evidence, read_steady
from simulator.run.capacity.judgement import confidence_of_a_look, judge, judge_step
from simulator.run.capacity.search import Verdict
from tests.run.capacity.fakes import FINE, TIRED


def interval(
    number: int = 0, *, fast: int = 50, slow: int = 0, failed: int = 0, started: int | None = None, waiting: int = 0
) -> Snapshot:
    """Half a second of events: fast ones take 10 ms, slow ones 200 ms."""
    made = Snapshot(number=number, start_s=number / 2, end_s=number / 2 + 0.5)
    made.counters = {"requests|event|message|ok": fast + slow, "requests|event|message|failed": failed}
    made.counters["arrivals|started|message"] = fast + slow + failed if started is None else started
    made.histograms["latency_us|response|event|message|ok"] = histogram = Histogram()
    histogram.record_many([10_000] * fast + [200_000] * slow)
    made.gauges["in_flight"] = Gauge(waiting, waiting, Merge.SUM)
    return made


def steady(count: int = 40, **each: Any) -> Evidence:
    return Evidence([[interval(number, **each) for number in range(count)]])


def verdict(slo: str, evidence: Evidence, summary: dict[str, Any] = FINE) -> Verdict:
    return judge(parse_threshold(slo), evidence, summary, 0.95).verdict


def outcome(slo: str, evidence: Evidence, rate: float = 100, **summary: Any) -> tuple[Verdict, str]:
    found, _ = judge_step([parse_threshold(slo)], evidence, FINE | summary, rate, 0.95)
    return found.verdict, found.why


# -- percentiles --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slow", "expected"), [(0, Verdict.HELD), (4, Verdict.HELD), (5, Verdict.UNDECIDED), (8, Verdict.FAILED)]
)
def test_a_percentile_holds_or_fails_only_beyond_its_bounds(slow: int, expected: Verdict) -> None:
    """Of 2,000 requests 10 % may be slow, that is 200; 160 are few enough, 320 too many, 200 cannot be told."""
    evidence = steady(fast=50 - slow, slow=slow)
    judged = judge(parse_threshold("response.event.p90 < 100ms"), evidence, FINE, 0.95)
    assert judged.verdict is expected
    assert judged.bounds is not None
    assert (judged.bounds.hits, judged.bounds.trials, judged.allowed) == (40 * slow, 2000, 0.1)
    assert judged.bounds.effective == 2000, "evenly spread, they are worth what they are"


def test_a_few_too_many_slow_ones_are_no_proof_of_failure_either() -> None:
    """210 of 2,000 where 200 are allowed."""
    evidence = Evidence(
        [[interval(n, fast=44, slow=6) if n % 4 == 0 else interval(n, fast=45, slow=5) for n in range(40)]]
    )
    assert verdict("response.event.p90 < 100ms", evidence) is Verdict.UNDECIDED


def test_slow_requests_in_clumps_are_less_certain_than_the_same_number_spread() -> None:
    clumps = Evidence([[interval(n, fast=10, slow=40) if n % 10 == 0 else interval(n) for n in range(40)]])
    spread = steady(fast=46, slow=4)
    assert verdict("response.event.p90 < 100ms", spread) is Verdict.HELD
    assert verdict("response.event.p90 < 100ms", clumps) is Verdict.UNDECIDED


def test_too_few_requests_decide_nothing_however_fast_they_are() -> None:
    """A thousandth may be slow: below 3,000 requests none of them can show that."""
    assert verdict("response.p99_9 < 100ms", steady(40)) is Verdict.UNDECIDED
    assert verdict("response.p99_9 < 100ms", steady(80)) is Verdict.HELD


def test_the_bucket_of_the_limit_counts_as_slow() -> None:
    """10 ms lies in the bucket from 9,984 to 10,047 µs."""
    assert verdict("response.p50 < 10ms", steady()) is Verdict.FAILED
    assert verdict("response.p50 <= 10ms", steady()) is Verdict.FAILED
    assert verdict("response.p50 < 10.05ms", steady()) is Verdict.HELD


def test_the_value_comes_with_its_interval() -> None:
    judged = judge(parse_threshold("response.event.p90 < 100ms"), steady(fast=45, slow=5), FINE, 0.95)
    assert judged.value == "10.0 ms (10.0 ms to 200.0 ms)"


def test_operations_and_latencies_are_told_apart() -> None:
    assert verdict("response.create.p99 < 1s", steady()) is Verdict.FAILED, "nothing was measured"
    assert verdict("service.event.p50 < 1s", steady()) is Verdict.FAILED


# -- shares -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slo", "failed", "expected"),
    [
        ("success >= 90%", 2, Verdict.HELD),
        ("success >= 90%", 5, Verdict.UNDECIDED),
        ("success.event >= 90%", 10, Verdict.FAILED),
        ("failed < 10%", 2, Verdict.HELD),
        ("failed < 10%", 10, Verdict.FAILED),
        ("denied < 1%", 10, Verdict.HELD),
    ],
)
def test_shares_have_bounds_too(slo: str, failed: int, expected: Verdict) -> None:
    assert verdict(slo, steady(fast=50 - failed, failed=failed)) is expected


def test_what_the_chf_denies_is_success_as_in_any_run() -> None:
    evidence = steady()
    for each in evidence.runs[0]:
        each.counters = {"requests|event|message|ok": 30, "requests|event|message|denied": 20}
    assert verdict("success >= 99%", evidence) is Verdict.HELD
    assert verdict("denied < 10%", evidence) is Verdict.FAILED
    assert verdict("failed < 1%", evidence) is Verdict.HELD


def test_a_request_at_the_limit_itself_is_slower_for_less_than_and_not_for_at_most() -> None:
    """Two hundred milliseconds is what the slow ones take; a bucket further on they are fast enough."""
    evidence = steady(fast=0, slow=50)
    assert verdict("response.p90 < 200ms", evidence) is Verdict.FAILED
    assert verdict("response.p90 < 203ms", evidence) is Verdict.HELD
    for each in evidence.runs[0]:
        each.histograms["latency_us|response|event|message|ok"] = histogram = Histogram()
        histogram.record_many([50] * 50)
    assert verdict("response.p90 < 50us", evidence) is Verdict.FAILED
    assert verdict("response.p90 <= 50us", evidence) is Verdict.HELD


def test_success_is_written_as_success() -> None:
    judged = judge(parse_threshold("success >= 90%"), steady(fast=48, failed=2), FINE, 0.95)
    assert judged.value.startswith("96 % (95.")


@pytest.mark.parametrize(
    ("slo", "expected"),
    [
        ("failed == 0%", Verdict.HELD),
        ("success >= 100%", Verdict.HELD),
        ("requests > 5000", Verdict.FAILED),
        ("response.event.max < 1s", Verdict.HELD),
        ("causes.TIMEOUT == 0", Verdict.HELD),
    ],
)
def test_what_has_no_bounds_is_compared_as_in_any_run(slo: str, expected: Verdict) -> None:
    all_of_it = {"requests": 2000, "ok": 2000, "denied": 0, "failed": 0, "latency_us": {"response": {"max": 9e5}}}
    summary = FINE | {"all": all_of_it, "operations": {"event": all_of_it}, "causes": {}}
    judged = judge(parse_threshold(slo), steady(), summary, 0.95)
    assert (judged.verdict, judged.bounds) == (expected, None)


def test_several_looks_share_the_error() -> None:
    assert confidence_of_a_look(0.95, 1) == pytest.approx(0.95)
    assert confidence_of_a_look(0.94, 3) == pytest.approx(0.98)


# -- validity -----------------------------------------------------------------------------------------------------------

SLO = "response.event.p90 < 100ms"


def test_a_good_step_holds_and_a_slow_one_fails_with_its_figures() -> None:
    assert outcome(SLO, steady()) == (Verdict.HELD, "")
    assert outcome(SLO, steady(fast=0, slow=50)) == (
        Verdict.FAILED,
        f"{SLO}: 200.0 ms (200.0 ms to 200.0 ms)",
    )


def test_when_the_generator_was_the_limit_nothing_is_said_about_the_chf() -> None:
    assert outcome(SLO, steady(slow=50), generator=TIRED) == (
        Verdict.NOT_VALID,
        "the busiest engine used 99% of its core",
    )


def test_a_rate_that_was_not_offered_is_not_valid() -> None:
    """2,000 were due in 20 s; 98 % of them less 134 for chance are enough."""
    assert outcome(SLO, steady(started=45))[0] is Verdict.NOT_VALID
    assert outcome(SLO, steady(started=45))[1] == "only 90.0/s of 100/s were started"
    assert outcome(SLO, steady(started=46))[0] is Verdict.HELD


def test_arrivals_that_the_chf_wanted_to_be_spared_are_its_own_doing() -> None:
    evidence = steady(fast=25, started=25)
    for each in evidence.runs[0]:
        each.counters["arrivals|dropped|throttled"] = 25
    assert outcome(SLO, evidence)[0] is Verdict.HELD


def test_requests_that_pile_up_fail_a_step_however_patient_the_objective() -> None:
    growing = Evidence([[interval(n, waiting=10 * n) for n in range(40)]])
    assert outcome("success >= 90%", growing) == (
        Verdict.FAILED,
        "requests pile up: 390 more were without an answer at the end, of 2,000 that were answered",
    )
    assert outcome("success >= 90%", steady(waiting=400))[0] is Verdict.HELD, "many, and no more of them"


def test_what_fails_any_run_fails_a_step_and_missed_thresholds_are_judged_by_their_bounds() -> None:
    why = ["audit: 3 (service units) lost", f"threshold {SLO}: 120 ms"]
    assert outcome(SLO, steady(), verdict="fail", why=why) == (Verdict.FAILED, "audit: 3 (service units) lost")


# -- what is read -------------------------------------------------------------------------------------------------------


def test_only_steady_intervals_count_workers_are_put_together_and_a_line_cut_off_ends_it(tmp_path: Any) -> None:
    import orjson

    def line(worker: int, number: int, phase: str) -> bytes:
        made = interval(number, waiting=3)
        made.phase = phase
        return orjson.dumps({"worker": worker, **made.to_wire()}) + b"\n"

    lines = [
        line(worker, n, "warmup" if n < 2 else "steady" if n < 5 else "drain") for n in range(6) for worker in (0, 1)
    ]
    (tmp_path / "intervals.ndjson").write_bytes(b"".join(lines) + lines[-1][:40])
    read = read_steady(tmp_path)
    assert [each.number for each in read] == [2, 3, 4]
    evidence = Evidence([read])
    assert (evidence.seconds, evidence.count("requests")) == (1.5, 300)
    assert evidence.latency("response", "event").count == 300
    assert evidence.piled_up() == (0, 6)
