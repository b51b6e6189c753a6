"""The verdict on a run and the exit code that says the same to a script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from simulator.audit import Audit
from simulator.measure import Health, VerdictLine
from simulator.report import words
from simulator.report.facts import RunFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One word, the process's exit code, and the reasons in whole sentences."""

    word: str
    exit_code: int
    why: tuple[str, ...]


def give_verdict(
    facts: RunFacts,
    health: Health,
    audit: Audit | None,
    thresholds: Sequence[VerdictLine],
    *,
    nothing_worked: bool = False,
    promises_broken: Mapping[str, int],
) -> Verdict:
    """What weighs most decides: interrupted, could not run, invalid, fail, pass; the reasons are all named.

    `nothing_worked`: every request failed. That is no pass, even where no threshold asks for success. `promises_broken` is what
    the CHF must never do, by name.
    """
    failures = [*_audit_failures(audit), *_broken(promises_broken), *_threshold_failures(thresholds)]
    if nothing_worked:
        failures.insert(0, "every request failed")
    unfulfilled = [facts.could_not_run] if facts.could_not_run else []
    why = (*unfulfilled, *health.reasons, *failures)
    if facts.interrupted:
        return Verdict(word="interrupted", exit_code=130, why=("the run was interrupted", *why))
    if facts.could_not_run:
        return Verdict(word="could not run", exit_code=2, why=why)
    if health.limited:
        return Verdict(word="invalid", exit_code=3, why=why)
    if failures:
        return Verdict(word="fail", exit_code=1, why=why)
    return Verdict(word="pass", exit_code=0, why=())


def _audit_failures(audit: Audit | None) -> list[str]:
    # Doubt alone fails only where a threshold says so.
    if audit is None:
        return []
    wrong = [
        ("lost", audit.lost_units),
        ("charged twice", audit.double_charged_units),
        ("in sessions that lost one report and were charged another one twice", audit.misbooked_units),
    ]
    return [
        f"audit: {words.named_amount(count, unit)} {word}"
        for word, units in wrong
        for unit, count in sorted(units.items())
        if count
    ]


def _broken(promises: Mapping[str, int]) -> list[str]:
    named = [f"{words.promise(name)} ({words.times(count)})" for name, count in sorted(promises.items())]
    return [f"the CHF broke its promises: {', '.join(named)}"] if named else []


def _threshold_failures(thresholds: Sequence[VerdictLine]) -> list[str]:
    return [missed(line) for line in thresholds if line.ok is False and line.level == "fail"]


def missed(line: VerdictLine) -> str:
    """A threshold that does not hold, in words."""
    return f"threshold {line.text}: {words.measured(line.value, line.over, line.window_at_s)}"
