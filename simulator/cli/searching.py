"""What `smfleet capacity` does: reads what was asked for, follows the search, shows the answer."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pydantic_core import PydanticCustomError
from rich.text import Text

from simulator.cli.observers import LiveObserver, PatientConsole
from simulator.config import Profile, load_profile
from simulator.config.quantities import DURATION, SHARE, SOME_DURATION, SOME_RATE, Quantity
from simulator.report import words
from simulator.report.capacity_html import write_capacity_report
from simulator.report.capacity_page import render_capacity
from simulator.run.capacity import CapacityOptions, SearchSettings, Step, find_capacity, resume_capacity
from simulator.run.options import Observer, RunError, Silence

DEFAULT_START_PER_S: Final = 10.0
"""Where neither the command nor the profile has a rate."""
_EIGHTH: Final = 8
_CONFIRMING: Final = 3

Json = dict[str, Any]


class StepLines:
    """Says what each step is and what came of it; in a terminal, its run is shown live as well."""

    def __init__(self, console: PatientConsole) -> None:
        self._console = console

    def begin_step(self, step: Step) -> Observer:
        """Name the step."""
        what = "confirming" if step.kind == "confirm" else "trying"
        again = f", look {step.look}" if step.look > 1 else ""
        rest = f" after {words.seconds(step.cool_down_s)} of rest" if step.cool_down_s else ""
        self._say(
            f"step {step.number}: {what} {words.count(step.rate)}/s for {words.seconds(step.seconds)}{again}{rest}",
            "dim",
        )
        return LiveObserver(self._console) if self._console.is_terminal else Silence()

    def end_step(self, step: Json) -> None:
        """Say what came of it."""
        why = f": {step['why']}" if step["why"] else ""
        latency = step.get("latency_us")
        figures = f", p50 {words.latency(latency['p50'])}, p99 {words.latency(latency['p99'])}" if latency else ""
        self._say(f"step {step['number']}: {words.count(step['rate_per_s'])}/s {step['verdict']}{why}{figures}", "")

    def _say(self, line: str, style: str) -> None:
        with suppress(OSError):
            self._console.print(Text(line, style), soft_wrap=True)


def loaded(profile: str | None, overrides: list[str]) -> Profile:
    """The profile that was named. Raises ConfigError and RunError."""
    if profile is None:
        raise RunError("PROFILE: expected a profile, or --resume DIR")
    return load_profile(profile, overrides)


def refuse_with_resume(profile: str | None, slos: list[str] | None, target: list[str] | None, out: Path | None) -> None:
    """A search goes on as it was asked for. Raises RunError for what would change it."""
    given = {"PROFILE": profile, "--slo": slos, "--target": target, "--out": out}
    named = [name for name, value in given.items() if value]
    if named:
        raise RunError(f"--resume goes on as the search was asked for; it does not take {', '.join(named)}")


def settings(
    profile: Profile,
    *,
    start: str | None,
    highest: str | None,
    resolution: str,
    step_time: str,
    confirm_time: str | None,
    cool_down: str,
    looks: int,
    most_steps: int,
    most_time: str,
) -> SearchSettings:
    """The numbers of a search. Raises RunError."""
    rate = profile.load.rate
    first = _number("--from", SOME_RATE, start) if start else rate / _EIGHTH if rate else DEFAULT_START_PER_S
    last = _number("--to", SOME_RATE, highest) if highest else None
    if last is not None and last < first:
        raise RunError(f"--to: expected at least {first:g}/s, the first rate, got {highest}")
    step_s = _number("--step-time", SOME_DURATION, step_time)
    share = _number("--resolution", SHARE, resolution)
    if not 0.001 <= share <= 1:
        raise RunError(f"--resolution: expected 0.1% to 100%, got {resolution}")
    return SearchSettings(
        start=first,
        highest=last,
        resolution=share,
        step_s=step_s,
        confirm_s=_number("--confirm-time", SOME_DURATION, confirm_time) if confirm_time else _CONFIRMING * step_s,
        cool_down_s=_number("--cool-down", DURATION, cool_down),
        most_looks=looks,
        most_steps=most_steps,
        most_s=_number("--most-time", SOME_DURATION, most_time),
    )


def search(
    profile: Profile,
    settings: SearchSettings,
    *,
    slos: list[str],
    confidence: str,
    warmup: str | None,
    seed: int | None,
    run_options: Json,
    out: Path | None,
    quiet: bool,
) -> int:
    """Search, show the answer, and return the exit code."""
    options = CapacityOptions(
        profile=profile,
        search=settings,
        slos=slos,
        confidence=_number("--confidence", SHARE, confidence),
        warmup_s=_number("--warmup", DURATION, warmup) if warmup else None,
        seed=seed,
        run_options=run_options,
    )
    folder = out or Path("runs") / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-capacity-{profile.name}"
    console = PatientConsole()
    return _shown(console, find_capacity(options, folder, observer=_follower(console, quiet)), folder, quiet)


def resume(folder: Path, *, quiet: bool) -> int:
    """Go on with a search, show the answer, and return the exit code."""
    console = PatientConsole()
    return _shown(console, resume_capacity(folder, observer=_follower(console, quiet)), folder, quiet)


def _follower(console: PatientConsole, quiet: bool) -> StepLines | None:
    return None if quiet else StepLines(console)


def _shown(console: PatientConsole, state: Json, folder: Path, quiet: bool) -> int:
    result = state["result"]
    with suppress(OSError):
        write_capacity_report(folder, state)
    with suppress(OSError):
        if quiet:
            console.print(Text(result["sentence"]), soft_wrap=True)
        else:
            console.print()
            console.print(render_capacity(state))
            console.print(Text(f"\ncurve and records: {folder}", "dim"), soft_wrap=True)
    return int(result["exit_code"])


def _number(option: str, quantity: Quantity, given: str) -> float:
    try:
        return float(quantity.parse(given))
    except PydanticCustomError as error:
        raise RunError(f"{option}: {error.message()}") from None
