"""A run against a baseline: exact cases, and how often chance alone is taken for a change."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import orjson
import pytest
from rich.console import Console

from simulator.report.compare import Comparison, Figure, Finding, NotComparableError, compare
from simulator.report.compare_page import answer, render_comparison
from simulator.report.run_folder import RunFolderError
from simulator.report.side import Side, side_of
from tests.report.runs import a_run, summary_only

TOLERANCE = 0.05


@pytest.fixture(scope="module")
def baseline() -> Side:
    return a_run(1)


def figure(comparison: Comparison, group: str, name: str) -> Figure:
    (found,) = [each for each in comparison.figures if (each.group, each.name) == (group, name)]
    return found


def changed(side: Side, **parts: dict[str, Any]) -> Side:
    """The same run's summary, alone, with some fields of its parts replaced."""
    summary = orjson.loads(orjson.dumps(side.summary))
    for part, fields in parts.items():
        summary[part] = summary[part] | fields
    return side_of("changed.json", summary)


# -- exact cases ------------------------------------------------------------------------------------------------------


def test_a_run_is_as_good_as_itself(baseline: Side) -> None:
    comparison = compare(baseline, baseline, 0.0)
    assert comparison.exit_code == 0
    assert comparison.warnings == ()
    assert comparison.noise_known == "both"
    assert {each.finding for each in comparison.figures} == {Finding.SAME, Finding.SHOWN}
    assert answer(comparison) == "nothing is worse in B than in A beyond the tolerance of 0 % and noise"


def test_every_figure_is_there(baseline: Side) -> None:
    figures = compare(baseline, baseline, TOLERANCE).figures
    names = {(each.group, each.name) for each in figures}
    for kind in ("response", "service"):
        for operation in ("create", "update", "release", "all"):
            assert {(kind, f"{operation} {rank}") for rank in ("p50", "p90", "p99", "p99.9", "max")} <= names
    assert {("rate", each) for each in ("offered", "achieved", "requests", "achieved of offered")} <= names
    assert {("requests", "failed all"), ("requests", "denied update"), ("result codes", "SUCCESS")} <= names
    assert {("sessions", each) for each in ("failed", "left open", "arrivals dropped")} <= names
    assert {("audit", "balanced"), ("generator", "CPU per request")} <= names
    assert figure(compare(baseline, baseline, 0.0), "response", "all max").finding is Finding.SHOWN


def test_a_change_within_the_tolerance_is_none_however_certain(baseline: Side) -> None:
    slower = a_run(2, slower=1.2, seconds=60)
    assert figure(compare(baseline, slower, 0.05), "service", "all p50").finding is Finding.WORSE
    assert figure(compare(baseline, slower, 0.3), "service", "all p50").finding is Finding.SAME


def test_each_figure_has_its_direction(baseline: Side) -> None:
    slower = a_run(2, slower=1.5)
    for group, name in (("response", "all p50"), ("service", "update p90")):
        assert figure(compare(baseline, slower, TOLERANCE), group, name).finding is Finding.WORSE
        assert figure(compare(slower, baseline, TOLERANCE), group, name).finding is Finding.BETTER
    assert compare(slower, baseline, TOLERANCE).exit_code == 0
    failing = a_run(1, failing=0.02)
    failed = figure(compare(baseline, failing, TOLERANCE), "requests", "failed all")
    assert (failed.finding, failed.change, failed.a) == (Finding.WORSE, None, 0)
    assert figure(compare(failing, baseline, TOLERANCE), "requests", "failed all").finding is Finding.BETTER
    assert figure(compare(baseline, failing, TOLERANCE), "causes", "TIMEOUT").finding is Finding.CHANGED


def test_a_handful_of_failures_is_chance(baseline: Side) -> None:
    """Of 7,200 requests, after none: five are within the exact bounds at this confidence, and twenty are not."""
    few, many = (changed(baseline, all={"failed": failed}) for failed in (5, 20))
    assert figure(compare(baseline, few, TOLERANCE), "requests", "failed all").finding is Finding.NOISE
    assert figure(compare(baseline, many, TOLERANCE), "requests", "failed all").finding is Finding.WORSE


def test_more_cpu_per_request_is_told_and_is_no_fault_of_the_chf(baseline: Side) -> None:
    comparison = compare(baseline, a_run(1, cpu_us=90), TOLERANCE)
    cpu = figure(comparison, "generator", "CPU per request")
    assert (cpu.finding, comparison.exit_code) == (Finding.CHANGED, 0)
    assert cpu.noise is not None
    assert 0 < cpu.noise < 0.1


def test_a_profile_that_asks_for_less_is_not_worse(baseline: Side) -> None:
    comparison = compare(baseline, a_run(2, per_interval=20), TOLERANCE)
    assert figure(comparison, "rate", "requests").finding is Finding.CHANGED
    assert figure(comparison, "rate", "achieved of offered").finding is Finding.SAME
    assert comparison.exit_code == 0
    assert any("asked for less" in each for each in comparison.warnings)


def test_what_was_asked_for_and_not_achieved_is_worse(baseline: Side) -> None:
    short = {"achieved_per_s": baseline.summary["rate"]["offered_per_s"] * 0.9}
    comparison = compare(baseline, changed(baseline, rate=short), TOLERANCE)
    assert figure(comparison, "rate", "achieved of offered").finding is Finding.WORSE


def test_the_rates_of_a_closed_loop_are_judged() -> None:
    fast, slow = a_run(1, mode="closed"), a_run(2, mode="closed", per_interval=30)
    comparison = compare(fast, slow, TOLERANCE)
    assert figure(comparison, "rate", "requests").finding is Finding.WORSE
    assert figure(compare(slow, fast, TOLERANCE), "rate", "achieved").finding is Finding.BETTER


def test_sessions_and_drops_are_judged(baseline: Side) -> None:
    comparison = compare(
        baseline,
        changed(baseline, sessions={"failed": 90, "open_at_end": 40}, arrivals={"dropped": 50}),
        TOLERANCE,
    )
    for name in ("failed", "left open", "arrivals dropped"):
        assert figure(comparison, "sessions", name).finding is Finding.WORSE, name


def test_one_unit_that_is_lost_is_worse_than_none(baseline: Side) -> None:
    lossy = changed(baseline, audit={"balanced": False, "lost_units": {"time": 1}})
    comparison = compare(baseline, lossy, TOLERANCE)
    assert figure(comparison, "audit", "balanced").finding is Finding.WORSE
    assert figure(comparison, "audit", "lost time").finding is Finding.WORSE
    assert compare(lossy, baseline, TOLERANCE).exit_code == 0
    unknown = changed(baseline, audit={"balanced": None})
    assert figure(compare(baseline, unknown, TOLERANCE), "audit", "balanced").finding is Finding.CHANGED


def test_promises_that_are_broken_are_worse(baseline: Side) -> None:
    comparison = compare(baseline, changed(baseline, promises_broken={"NEGATIVE_BALANCE": 30}), TOLERANCE)
    assert figure(comparison, "promises broken", "NEGATIVE_BALANCE").finding is Finding.WORSE


# -- summaries alone --------------------------------------------------------------------------------------------------


def test_of_two_summaries_the_tolerance_decides_and_says_so(baseline: Side) -> None:
    other = a_run(2, slower=1.07)
    alone = compare(summary_only(baseline), summary_only(other), TOLERANCE)
    assert alone.noise_known == "neither"
    assert figure(alone, "response", "all p50").noise is None
    assert figure(alone, "response", "all p50").finding is Finding.WORSE
    assert any("noise of latencies is unknown" in each for each in alone.warnings)
    assert "noise" not in answer(alone)
    assert compare(summary_only(baseline), summary_only(other), 0.5).exit_code == 0


def test_a_summary_is_taken_to_be_as_noisy_as_the_run_that_is_held_against_it(baseline: Side) -> None:
    """The CI's case: a committed summary.json and today's folder."""
    for seed in range(2, 6):
        assert compare(summary_only(baseline), a_run(seed), 0.0).exit_code == 0
    slower = compare(summary_only(baseline), a_run(7, slower=1.2), TOLERANCE)
    assert (slower.exit_code, slower.noise_known) == (1, "B")
    both = figure(compare(baseline, a_run(7, slower=1.2), TOLERANCE), "response", "all p50").noise
    one = figure(slower, "response", "all p50").noise
    assert one == pytest.approx(both, rel=0.5)
    assert any("as noisy" in each for each in slower.warnings)


# -- not comparable, and less comparable ------------------------------------------------------------------------------


def test_runs_without_anything_in_common_are_refused(baseline: Side) -> None:
    idle = changed(baseline, all={"requests": 0})
    with pytest.raises(NotComparableError, match="sent no request"):
        compare(baseline, idle, TOLERANCE)
    with pytest.raises(NotComparableError, match=r"open loop and .* in closed loop"):
        compare(baseline, a_run(1, seconds=5, mode="closed"), TOLERANCE)
    none = baseline.summary["operations"]["event"]
    events_only = changed(baseline, operations=dict.fromkeys(("create", "update", "release"), none))
    with pytest.raises(NotComparableError, match="no operation in common"):
        compare(baseline, events_only, TOLERANCE)
    with pytest.raises(NotComparableError, match=r"manifest.json has format 2"):
        compare(baseline, a_run(1, seconds=5, manifest={"format": 2}), TOLERANCE)


@pytest.mark.parametrize("part", ["all", "rate", "operations", "result_codes"])
def test_a_file_that_is_no_summary_is_named(baseline: Side, part: str) -> None:
    with pytest.raises(RunFolderError, match=rf"x.json: this is no summary of a run: {part}.* is missing"):
        side_of("x.json", {name: value for name, value in baseline.summary.items() if name != part})


def test_a_summary_of_another_version_is_told_by_what_it_lacks(baseline: Side) -> None:
    older = orjson.loads(orjson.dumps(baseline.summary))
    del older["operations"]["update"]["latency_us"]["response"]["p99_9"]
    with pytest.raises(RunFolderError, match=r"operations.update.latency_us.response.p99_9 is missing"):
        side_of("x.json", older)
    without_books = {name: value for name, value in baseline.summary["audit"].items() if name != "offending"}
    with pytest.raises(RunFolderError, match=r"audit.offending is missing"):
        side_of("x.json", baseline.summary | {"audit": without_books})
    assert compare(baseline, side_of("x.json", baseline.summary | {"audit": None}), TOLERANCE).warnings[-2:] == (
        "only one of the runs was audited",
        "B has no interval records: its latencies are taken to be as noisy as those of A",
    )


def test_what_differs_between_the_runs_is_told(baseline: Side) -> None:
    other = a_run(
        1, seed=9, pace="1x", target="http://chf.lab:8080", sandbox=False, version="0.2.0", profile="other",
        manifest={"machine": {"cpus": 64}, "profile": {"load": {"rate": 81}}},
    )  # fmt: skip
    warnings = compare(baseline, other, TOLERANCE).warnings
    assert warnings == (
        "profile differs: demo in A, other in B",
        "seed differs: 1 in A, 9 in B",
        "pace differs: 60x in A, 1x in B",
        "version differs: 0.1.0 in A, 0.2.0 in B",
        "target differs: the sandbox in A, http://chf.lab:8080 in B",
        "machine differs: cpus: 2 in A, 64 in B",
        "profile differs: load.rate: 80 in A, 81 in B",
    )


def test_what_makes_a_run_doubtful_is_told(baseline: Side) -> None:
    short = a_run(1, seconds=4)
    limited = changed(baseline, generator={"limited": True})
    killed = Side(
        place="k", summary=baseline.summary, record=replace(baseline.record, killed=True),  # type: ignore[type-var]
        all_points=baseline.all_points, steady_points=baseline.steady_points,
    )  # fmt: skip
    steered = a_run(1, events=({"at_s": 3.0, "kind": "control", "text": "paused"},))
    assert any("by hand" in each for each in compare(baseline, steered, TOLERANCE).warnings)
    for other, told in ((short, "8 intervals is too short"), (limited, "generator was the limit"), (killed, "killed")):
        assert any(told in each for each in compare(baseline, other, TOLERANCE).warnings), told


# -- chance -----------------------------------------------------------------------------------------------------------

TRIALS = 20


@pytest.mark.parametrize("correlation", [0.0, 0.6])
def test_two_equal_systems_are_rarely_told_apart(correlation: float) -> None:
    """At most 5 % may be; of 100 pairs of half a minute it was none at correlations of 0 and 0.5, and 7 at 0.9."""
    runs = [a_run(seed, seconds=15, per_interval=25, correlation=correlation) for seed in range(2 * TRIALS)]
    flagged = sum(compare(a, b, 0.0).exit_code for a, b in zip(runs[::2], runs[1::2], strict=True))
    assert flagged <= 1


def test_without_the_intervals_correlated_ones_would_be_told_apart() -> None:
    """The bounds of independent requests are too narrow for such runs: that they are widened is what keeps the peace above."""
    told_apart = 0
    for seed in range(0, 10, 2):
        a, b = (a_run(each, seconds=15, per_interval=25, correlation=0.9) for each in (seed, seed + 1))
        for side in (a, b):
            side.steady_points = []
        comparison = compare(a, b, 0.0)
        told_apart += bool(comparison.found(Finding.WORSE) or comparison.found(Finding.BETTER))
    assert told_apart >= 4


def test_a_fifth_more_latency_is_found() -> None:
    for seed in range(5):
        comparison = compare(a_run(seed), a_run(seed + 100, slower=1.2), TOLERANCE)
        assert figure(comparison, "response", "all p50").finding is Finding.WORSE
        assert figure(comparison, "response", "all p90").finding is Finding.WORSE


def test_correlated_requests_take_a_longer_run_to_tell() -> None:
    short, more = (
        compare(
            a_run(1, correlation=0.5, per_interval=10, seconds=seconds),
            a_run(2, correlation=0.5, per_interval=10, seconds=seconds, slower=1.2),
            TOLERANCE,
        )
        for seconds in (20, 240)
    )
    before, after = (figure(each, "response", "all p50") for each in (short, more))
    assert before.noise is not None
    assert after.noise is not None
    assert before.noise > 0.3
    assert after.noise < 0.2
    assert after.finding is Finding.WORSE


# -- shown ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 120])
def test_the_page_has_both_sides_the_change_and_the_answer(baseline: Side, width: int) -> None:
    comparison = compare(baseline, a_run(2, slower=1.5, failing=0.02), TOLERANCE)
    out = io.StringIO()
    Console(file=out, width=width).print(render_comparison(comparison))
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert text.startswith("A run-1\nB run-2\n")
    (row,) = [line for line in text.splitlines() if line.startswith("failed all")]
    assert "from none" in row
    assert row.split()[-1] == "worse"
    (row,) = [line for line in text.split("service ", 1)[1].splitlines() if line.startswith("all p50")]
    assert row.split()[-1] == "worse"
    assert row.count("ms") == 2
    assert "B is worse than A beyond the tolerance of 5 % and noise in " in " ".join(text.split())


def test_the_json_has_all_of_it(baseline: Side) -> None:
    comparison = compare(baseline, a_run(2, slower=1.5), TOLERANCE)
    document = orjson.loads(orjson.dumps(comparison.to_json()))
    assert (document["format"], document["exit_code"], document["tolerance"]) == (1, 1, 0.05)
    (p50,) = [each for each in document["figures"] if (each["group"], each["name"]) == ("service", "all p50")]
    assert p50["finding"] == "worse"
    assert p50["change"] == pytest.approx(0.5, abs=0.05)
    assert len(document["figures"]) == len(comparison.figures)
