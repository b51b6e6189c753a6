from __future__ import annotations

import json
from dataclasses import replace

import pytest

from simulator.measure import Merge, Phase, Recorder, Totals
from simulator.report import build_summary
from tests.report.examples import FACTS, SECOND, audit, interval, totals


def test_the_summary_holds_what_was_promised() -> None:
    summary = json.loads(json.dumps(build_summary(totals(), FACTS, audit())))
    assert {"profile", "seed", "version", "target", "duration_s", "verdict", "causes", "result_codes"} <= set(summary)
    for operation in ("create", "update", "release", "event"):
        figures = summary["operations"][operation]
        assert {"requests", "ok", "denied", "failed", "retransmitted", "latency_us"} <= set(figures)
        for kind in ("queue", "service", "response"):
            assert {"p50", "p90", "p99", "p99_9", "max"} <= set(figures["latency_us"][kind])
    assert {"started", "completed", "failed", "open_max", "open_at_end"} <= set(summary["sessions"])
    assert {"intended", "started", "dropped"} <= set(summary["arrivals"])
    assert {"offered_per_s", "achieved_per_s"} <= set(summary["rate"])
    assert {"cpu_s", "requests_per_cpu_s", "loop_lag_us", "limited"} <= set(summary["generator"])
    units = {"used", "acknowledged", "debited", "lost", "double_charged", "in_doubt"}
    assert {"balanced", *(f"{unit}_units" for unit in units)} <= set(summary["audit"])


def test_figures_are_those_that_were_recorded() -> None:
    summary = build_summary(totals(workers=2, failing=4), FACTS, audit())
    update = summary["operations"]["update"]
    assert update["requests"] == 2 * 30 * 2_000
    assert (update["ok"], update["denied"], update["failed"]) == (2 * 30 * 1_956, 2 * 30 * 40, 2 * 30 * 4)
    assert update["retransmitted"] == 2 * 30 * 4
    assert update["latency_us"]["queue"]["count"] == update["requests"]
    assert update["latency_us"]["queue"]["p50"] == pytest.approx(90 + 90 * 9 // 4, rel=0.02)
    assert summary["all"]["requests"] == sum(figures["requests"] for figures in summary["operations"].values())
    assert summary["sessions"]["failed_by_reason"] == {"TIMEOUT": 2 * 33 * 4}
    assert summary["sessions"]["open_max"] == 4_200
    assert summary["sessions"]["open_at_end"] == 0
    assert summary["causes"]["TIMEOUT"] == 2 * (30 * 16 + 3 * 4)
    assert summary["usages"]["sms"]["requests"] == summary["operations"]["event"]["requests"]


def test_rates_are_those_of_the_time_in_which_load_was_offered() -> None:
    summary = build_summary(totals(dropped=25), FACTS, audit())
    assert summary["rate"] == {"offered_per_s": 325.0, "achieved_per_s": 300.0, "requests_per_s": 2_570.0}
    assert {name: phase["seconds"] for name, phase in summary["phases"].items()} == {"steady": 30.0, "drain": 3.0}
    assert summary["arrivals"]["dropped_by_reason"] == {"limit": 750}


def test_a_run_without_measurements_has_a_summary_too() -> None:
    summary = build_summary(Totals(), FACTS, None)
    assert summary["all"]["requests"] == 0
    for latency in summary["all"]["latency_us"].values():
        assert latency["count"] == 0
        assert {latency[name] for name in ("mean", "p50", "p90", "p99", "p99_9", "max")} == {None}
    assert summary["rate"]["offered_per_s"] == 0
    assert summary["audit"] is None
    assert summary["verdict"] == "pass"


GOOD = ["success >= 99.9%"]
BAD = ["response.p99 < 1us"]


def test_pass_fail_invalid_and_interrupted_have_their_exit_codes() -> None:
    def verdict(summary: dict[str, object]) -> tuple[object, object]:
        return summary["verdict"], summary["exit_code"]

    assert verdict(build_summary(totals(), FACTS, audit(), GOOD)) == ("pass", 0)
    assert verdict(build_summary(totals(), FACTS, audit(), BAD)) == ("fail", 1)
    assert verdict(build_summary(totals(), FACTS, audit(lost=1), GOOD)) == ("fail", 1)
    assert verdict(build_summary(totals(), FACTS, audit(twice=1), GOOD)) == ("fail", 1)
    assert verdict(build_summary(totals(cpu=0.99), FACTS, audit(lost=1), BAD)) == ("invalid", 3)
    stopped = replace(FACTS, interrupted=True)
    assert verdict(build_summary(totals(cpu=0.99), stopped, audit(lost=1), BAD)) == ("interrupted", 130)
    unfit = replace(FACTS, could_not_run="the target went away")
    assert verdict(build_summary(totals(cpu=0.99), unfit, audit(), BAD)) == ("could not run", 2)


def test_the_verdict_names_all_its_reasons() -> None:
    summary = build_summary(totals(cpu=0.99), FACTS, audit(lost=1, twice=1), [*GOOD, *BAD])
    power, lost, *rest = summary["why"]
    assert "99% of its core" in power
    assert lost == "audit: 1.02 min (time) lost"
    assert rest == ["audit: 25.0 MB (totalVolume) charged twice", "threshold response.p99 < 1us: 7.2 ms"]


def test_an_audit_without_books_does_not_fail_a_run() -> None:
    summary = build_summary(totals(), FACTS, audit(unverifiable="no ledger"), ["audit.lost_units == 0"])
    assert summary["verdict"] == "pass"
    assert summary["audit"]["balanced"] is None
    [line] = summary["thresholds"]
    assert (line["ok"], line["value"]) == (None, "not verified against the CHF's books")


def latency(folded: Totals, operation: str, text: str) -> tuple[bool | None, str]:
    summary = build_summary(folded, FACTS, None, [f"response.{operation}.max < 10ms {text}"])
    return summary["thresholds"][0]["ok"], summary["verdict"]


def test_latencies_are_those_of_the_steady_phase_and_counts_those_of_the_run() -> None:
    folded = Totals()
    recorder = Recorder(t0=0)
    for second, (phase, slow) in enumerate([("warmup", 50), ("steady", 1), ("cooldown", 60), ("drain", 70)], start=1):
        recorder.phase = phase
        interval(recorder, second, draining=phase == "drain", slow=slow)
        folded.add(0, recorder.cut(second * SECOND))
    summary = build_summary(folded, FACTS, None)
    assert summary["operations"]["update"]["requests"] == 3 * 2_000
    assert summary["operations"]["update"]["latency_us"]["response"]["count"] == 2_000
    assert summary["operations"]["update"]["per_s"] == 2_000
    assert [*summary["phases"]] == ["warmup", "steady", "cooldown", "drain"]
    assert summary["phases"]["warmup"]["response_us"]["p50"] > 10 * summary["phases"]["steady"]["response_us"]["p50"]
    assert latency(folded, "update", "") == (True, "pass")
    assert latency(folded, "update", "over run") == (False, "fail")
    assert latency(folded, "update", "over run warn") == (False, "pass")
    [whole, steady] = build_summary(folded, FACTS, None, ["requests.update > 5k", "requests.update < 5k over steady"])[
        "thresholds"
    ]
    assert (whole["value"], steady["value"]) == ("6,000", "2,000")


def test_what_happens_in_the_drain_alone_has_latencies_too() -> None:
    folded = Totals()
    recorder = Recorder(t0=0)
    recorder.counters["requests|create|a|ok"] += 1
    recorder.samples("latency_us|response|create|a|ok").append(10)
    folded.add(0, recorder.cut(SECOND))
    recorder.phase = Phase.DRAIN
    recorder.counters["requests|release|a|ok"] += 1
    recorder.samples("latency_us|response|release|a|ok").append(20)
    folded.add(0, recorder.cut(2 * SECOND))
    assert build_summary(folded, FACTS, None)["operations"]["release"]["latency_us"]["response"]["max"] == 20


def test_a_warning_is_told_and_fails_nothing() -> None:
    summary = build_summary(totals(), FACTS, audit(), ["response.update.p99 < 1ms warn", "success > 99%"])
    assert (summary["verdict"], summary["warnings"]) == ("pass", ["threshold response.update.p99 < 1ms warn: 7.2 ms"])


def test_each_engine_is_told_by_itself() -> None:
    folded = totals(workers=2, cpu=0.5)
    summary = build_summary(folded, replace(FACTS, lost_workers=(1,)), None)
    first, second = summary["engines"]
    assert (first["worker"], first["requests"], first["lost"]) == (0, summary["all"]["requests"] // 2, False)
    assert (second["worker"], second["cpu_share"], second["lost"]) == (1, 0.5, True)


def test_an_engine_that_died_before_its_first_report_is_told_too() -> None:
    engines = build_summary(totals(), replace(FACTS, workers=2, lost_workers=(1,)), None)["engines"]
    assert [(engine["worker"], engine["lost"], engine["requests"] > 0) for engine in engines] == [
        (0, False, True), (1, True, False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("phases", "note"),
    [
        (["warmup", "drain"], "the run had no steady phase: its rates and latencies are those of warmup"),
        (["warmup", "cooldown", "drain"], "its rates and latencies are those of warmup and cooldown"),
        (["warmup", "steady", "drain"], ""),
        ([], ""),
    ],
)
def test_a_run_without_a_steady_phase_says_so(phases: list[str], note: str) -> None:
    folded = Totals()
    recorder = Recorder(t0=0)
    for second, phase in enumerate(phases, start=1):
        recorder.phase = phase
        interval(recorder, second, draining=phase == "drain", slow=3 if phase == "drain" else 1)
        folded.add(0, recorder.cut(second * SECOND))
    summary = build_summary(folded, FACTS, None)
    assert note in "".join(summary["notes"])
    assert len(summary["notes"]) == bool(note)
    if note:
        assert summary["rate"]["offered_per_s"] == 325
        assert summary["operations"]["update"]["latency_us"]["response"]["count"] == 2_000 * (len(phases) - 1)


def test_the_busiest_engine_is_judged_and_not_the_average_one() -> None:
    folded = Totals()
    for worker, (cpu, lag_us) in enumerate([(0.2, 1_000), (1.0, 200_000), (0.2, 1_000), (0.2, 1_000)]):
        recorder = Recorder(0)
        for second in range(1, 11):
            recorder.gauge("cpu_s", cpu * second)
            recorder.gauge("loop_lag_us", lag_us, Merge.MAX)
            folded.add(worker, recorder.cut(second * 1_000_000_000))
    generator = build_summary(folded, FACTS, audit())["generator"]
    assert generator["cpu_share"] == pytest.approx(1.0, rel=0.01)
    assert generator["loop_lag_usual_us"] == pytest.approx(200_000, rel=0.01)
    assert generator["limited"]


def test_an_engine_is_judged_by_its_usual_interval_and_not_by_its_worst() -> None:
    folded, recorder = Totals(), Recorder(0)
    cpu_s = 0.0
    for second in range(1, 21):
        recorder.gauge("cpu_s", cpu_s := cpu_s + (1.0 if second == 7 else 0.2))
        recorder.gauge("loop_lag_us", 900_000 if second == 7 else 1_000, Merge.MAX)
        folded.add(0, recorder.cut(second * SECOND))
    generator = build_summary(folded, FACTS, audit())["generator"]
    assert generator["cpu_share"] == pytest.approx(0.2, rel=0.01)
    assert generator["loop_lag_usual_us"] == pytest.approx(1_000, rel=0.01)
    assert generator["loop_lag_us"] == pytest.approx(900_000, rel=0.01)
    assert not generator["limited"]


def test_a_run_in_which_every_request_failed_is_no_pass_even_without_thresholds() -> None:
    folded = Totals()
    recorder = Recorder(0)
    recorder.counters["requests|create|browsing|failed"] += 7
    folded.add(0, recorder.cut(1_000_000_000))
    summary = build_summary(folded, FACTS, audit())
    assert (summary["verdict"], summary["exit_code"], summary["why"]) == ("fail", 1, ["every request failed"])


def broken_promises(sequence: int) -> Totals:
    """Answers with another sequence number, among good ones."""
    folded = totals()
    recorder = Recorder(0)
    recorder.counters["promises_broken|WRONG_SEQUENCE_NUMBER"] += sequence
    folded.add(9, recorder.cut(1_000_000_000))
    return folded


def test_a_broken_promise_fails_the_run_in_one_line() -> None:
    seen_by_the_chf = replace(FACTS, promises_broken={"NEGATIVE_BALANCE": 1, "RESERVED_TOO_MUCH": 0})
    summary = build_summary(broken_promises(12), seen_by_the_chf, audit())
    assert summary["promises_broken"] == {"NEGATIVE_BALANCE": 1, "WRONG_SEQUENCE_NUMBER": 12}
    assert (summary["verdict"], summary["exit_code"]) == ("fail", 1)
    assert summary["why"] == [
        "the CHF broke its promises: a balance went below zero (once), it answered with another sequence number (12 times)"
    ]


@pytest.mark.parametrize(
    ("threshold", "verdict"),
    [
        ("promises_broken < 20", "pass"),
        ("promises_broken == 0", "fail"),
        ("promises_broken.WRONG_SEQUENCE_NUMBER <= 12", "pass"),
        ("promises_broken.WRONG_SEQUENCE_NUMBER <= 11", "fail"),
        ("promises_broken.GRANT_AFTER_FINAL_UNIT == 0", "fail"),
    ],
)
def test_how_many_broken_promises_are_forgiven_is_the_profiles(threshold: str, verdict: str) -> None:
    summary = build_summary(broken_promises(12), FACTS, audit(), [threshold])
    assert summary["verdict"] == verdict
    assert len(summary["why"]) == (verdict == "fail")


def test_a_session_that_is_right_in_total_and_wrong_in_part_fails_the_run() -> None:
    summary = build_summary(totals(), FACTS, audit(crossed=2))
    assert summary["audit"]["balanced"] is False
    assert summary["audit"]["misbooked_units"] == {"time": 0, "totalVolume": 50_000_000}
    assert summary["why"] == [
        "audit: 50.0 MB (totalVolume) in sessions that lost one report and were charged another one twice"
    ]
