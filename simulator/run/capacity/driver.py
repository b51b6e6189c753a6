"""A capacity search against a real CHF: each step is a run of its own, in a folder of its own, and judged when it is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from simulator.config import Profile
from simulator.measure import Threshold, ThresholdError, parse_threshold
from simulator.run import run
from simulator.run.capacity import record
from simulator.run.capacity.answer import INTERRUPTED, result_of
from simulator.run.capacity.evidence import Evidence, read_steady
from simulator.run.capacity.judgement import Judged, confidence_of_a_look, judge_step
from simulator.run.capacity.load import LoadError, profile_of_step
from simulator.run.capacity.search import Outcome, Search, SearchSettings, Step, Verdict
from simulator.run.options import InterruptedRunError, Observer, Result, RunError, Silence
from simulator.version import __version__

SHORTEST_STEP_S: Final = 5.0
"""Of shorter steps there are too few intervals (half a second each) to see whether requests that are slow come in clumps."""
_MOST_CUT_SHORT: Final = 1000
_INTERRUPTED_VERDICT: Final = "interrupted"

Json = dict[str, Any]


class CapacityObserver(Protocol):
    """Follows a search as it goes."""

    def begin_step(self, step: Step) -> Observer:
        """A step begins, with its rest; who follows its run."""

    def end_step(self, step: Json) -> None:
        """A step is over; what is recorded of it."""


class Unwatched:
    """Nobody follows."""

    def begin_step(self, step: Step) -> Observer:  # noqa: ARG002
        """Say nothing."""
        return Silence()

    def end_step(self, step: Json) -> None:
        """Say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityOptions:
    """What is asked of a search.

    `slos` are thresholds, those of the profile by default. `warmup_s` of each step comes on top of its time (None: that of the
    profile, or a fifth of the step). `run_options` are those of `simulator.run.run` that every step has: target, ledger, workers,
    codec, certificates. Step n is run with the seed plus n: a CHF that is asked twice is not asked by the same sessions.
    """

    profile: Profile
    search: SearchSettings
    slos: Sequence[str] = ()
    confidence: float = 0.95
    warmup_s: float | None = None
    seed: int | None = None
    run_options: Json = field(default_factory=dict)


RunStep = Callable[..., Result]
"""`simulator.run.run`, or what stands for it."""


def find_capacity(
    options: CapacityOptions,
    folder: Path,
    *,
    observer: CapacityObserver | None = None,
    run_step: RunStep | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Json:
    """Search, and return what capacity.json says in the end; `folder` is new or empty. Raises RunError."""
    _check(options)
    _make(folder)
    state: Json = {
        "format": record.FORMAT,
        "version": __version__,
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "profile_name": options.profile.name,
        "profile": options.profile.model_dump(mode="json"),
        "slos": list(options.slos or options.profile.thresholds),
        "confidence": options.confidence,
        "seed": options.profile.seed if options.seed is None else options.seed,
        "warmup_s": options.warmup_s,
        "settings": record.settings_to_wire(options.search),
        "options": options.run_options,
        "steps": [],
        "result": None,
    }
    return _Driver(state, folder, observer, run_step, sleep).go()


def resume_capacity(
    folder: Path,
    *,
    observer: CapacityObserver | None = None,
    run_step: RunStep | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Json:
    """Go on with the search of a folder where it stopped; the step that it stopped in is run again. Raises RunError."""
    state = record.read_state(folder)
    try:
        driver = _Driver(state, folder, observer, run_step, sleep)
        driver.replay()
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"--resume {folder}: {record.STATE} cannot be read: {error}") from None
    return driver.go()


def _check(options: CapacityOptions) -> None:
    if not (options.slos or options.profile.thresholds):
        raise RunError(
            "--slo: expected what has to hold, such as response.event.p99 < 100ms (the profile has no thresholds)"
        )
    for text in options.slos or options.profile.thresholds:
        try:
            parse_threshold(text)
        except ThresholdError as error:
            raise RunError(f"--slo: {error}") from None
    if options.search.step_s < SHORTEST_STEP_S:
        raise RunError(f"--step-time: expected at least {SHORTEST_STEP_S:g} s")
    if not 0.5 < options.confidence < 1:
        raise RunError("--confidence: expected more than 50 % and less than 100 %")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise RunError(f"--out {folder}: the folder is not empty (--resume {folder} goes on with a search)")
    except OSError as error:
        raise RunError(f"--out {folder}: {error.strerror}") from None


class _Driver:
    """Holds what is known about one search while it goes."""

    def __init__(
        self,
        state: Json,
        folder: Path,
        observer: CapacityObserver | None,
        run_step: RunStep | None,
        sleep: Callable[[float], None],
    ) -> None:
        self._state = state
        self._folder = folder
        self._observer = observer or Unwatched()
        self._run_step = run_step or run
        self._sleep = sleep
        self._settings = SearchSettings(**state["settings"])
        self._search = Search(self._settings)
        self._slos: list[Threshold] = [parse_threshold(text) for text in state["slos"]]
        self._confidence = confidence_of_a_look(state["confidence"], self._settings.most_looks)
        self._profile = Profile.model_validate(state["profile"])
        self._pool: list[str] = []  # folders of the runs that are judged together with the next one

    def replay(self) -> None:
        """Tell the search what is recorded. Raises ValueError where that cannot be."""
        for wire in self._state["steps"]:
            self._take(*record.step_from_wire(wire), wire["folder"])

    def go(self) -> Json:
        """Do all steps that are not done yet."""
        self._state["result"] = None
        record.write_state(self._folder, self._state)
        try:
            while (step := self._search.next_step()) is not None:
                recorded = self._do(step)
                self._state["steps"].append(recorded)
                self._take(*record.step_from_wire(recorded), recorded["folder"])
                record.write_state(self._folder, self._state)
                self._observer.end_step(recorded)
        except (KeyboardInterrupt, InterruptedRunError):
            self._state["result"] = self._broken_off()
        except RunError as error:
            raise RunError(f"{error} (smfleet capacity --resume {self._folder} goes on)") from None
        else:
            assert self._search.conclusion is not None
            self._state["result"] = result_of(
                self._search.conclusion, self._state["slos"], self._state["confidence"], self._state["steps"]
            )
        record.write_state(self._folder, self._state)
        return self._state

    def _take(self, step: Step, outcome: Outcome, folder: str) -> None:
        """Tell the search; what was measured and not decided waits for the next look."""
        asked = self._search.next_step()
        if asked != step:
            raise ValueError(f"step {step.number} is not the one that the settings ask for")
        self._search.on_result(step, outcome)
        if outcome.verdict is Verdict.UNDECIDED:
            self._pool.append(folder)
        elif outcome.verdict is not Verdict.NOT_VALID:
            self._pool.clear()
        following = self._search.next_step()
        if following is not None and following.look == 1:
            self._pool.clear()

    def _do(self, step: Step) -> Json:
        """Run one step and judge it."""
        follower = self._observer.begin_step(step)
        name = f"step-{step.number:02d}-{step.rate:g}"
        self._set_aside(name)
        try:
            profile = profile_of_step(self._profile, step, self._state["slos"], self._state["warmup_s"])
        except LoadError as error:
            if step.number == 1:
                raise RunError(str(error)) from None
            return self._recorded(step, Outcome(verdict=Verdict.NOT_VALID, why=str(error)), name)
        self._sleep(step.cool_down_s)
        started_at = datetime.now(UTC).isoformat(timespec="seconds")
        result = self._run_step(
            profile,
            seed=self._state["seed"] + step.number,
            out=self._folder / name,
            handle_signals=True,
            observer=follower,
            **self._state["options"],
        )
        if result.verdict == _INTERRUPTED_VERDICT:
            raise InterruptedRunError("interrupted in a step")
        this = Evidence([read_steady(self._folder / name)])
        evidence = Evidence([*(read_steady(self._folder / each) for each in self._pool), *this.runs])
        outcome, judged = judge_step(self._slos, evidence, result.summary, step.rate, self._confidence)
        figures = _figures(this, judged, result.summary) | {
            "started_at": started_at,
            "warmup_s": profile.load.warmup,
            "start_open": profile.load.start_open,
        }
        return self._recorded(step, outcome, name) | figures

    @staticmethod
    def _recorded(step: Step, outcome: Outcome, name: str) -> Json:
        return record.step_to_wire(step, outcome) | {"folder": name}

    def _set_aside(self, name: str) -> None:
        """What a step left that was cut short is kept, under another name: it may tell which sessions are still open."""
        folder = self._folder / name
        if not folder.exists():
            return
        for number in range(1, _MOST_CUT_SHORT):
            aside = folder.with_name(f"{name}.cut-short-{number}")
            if not aside.exists():
                folder.rename(aside)
                return
        raise RunError(f"{folder}: cut short {_MOST_CUT_SHORT} times")

    def _broken_off(self) -> Json:
        steps = len(self._state["steps"])
        after = f"interrupted after {steps} step{'' if steps == 1 else 's'}"
        return {
            "ending": _INTERRUPTED_VERDICT,
            "exit_code": INTERRUPTED,
            "sentence": f"{after}; smfleet capacity --resume {self._folder} goes on",
        }


def _figures(evidence: Evidence, judged: Sequence[Judged], summary: Json) -> Json:
    """What a curve needs of one run, under steady load."""
    response = evidence.latency("response")
    names = {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "p99_9": 99.9, "max": 100}
    requests = evidence.count("requests")
    good = evidence.count("requests", None, None, "ok") + evidence.count("requests", None, None, "denied")
    generator = summary["generator"]
    return {
        "measured_s": round(evidence.seconds, 3),
        "offered_per_s": round(evidence.per_s("arrivals", "intended"), 3),
        "achieved_per_s": round(evidence.per_s("arrivals", "started"), 3),
        "requests_per_s": round(evidence.per_s("requests"), 3),
        "requests": requests,
        "success": round(good / requests, 9) if requests else None,
        "latency_us": dict(zip(names, response.percentiles(names.values()), strict=True)) if requests else None,
        "slos": [each.to_wire() for each in judged],
        "run_verdict": summary["verdict"],
        "generator": {name: generator[name] for name in ("cpu_share", "loop_lag_usual_us", "limited", "reasons")},
    }
