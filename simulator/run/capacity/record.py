"""What a search leaves behind: `capacity.json`, from which it can go on and a curve can be drawn, and `capacity.csv`.

`capacity.json` has what was asked (`settings`, `slos`, `options`, the checked `profile`), every step with its figures and verdict
(`steps`), and, when the search is over, the `result`. It is replaced as a whole after each step: whoever reads it finds the state
after the last step or the one before, also when the power went.
"""

from __future__ import annotations

import csv
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import orjson

from simulator.run.capacity.search import Kind, Outcome, SearchSettings, Step, Verdict
from simulator.run.options import RunError

FORMAT: Final = 1
STATE: Final = "capacity.json"
CURVE: Final = "capacity.csv"
LARGEST_OCTETS: Final = 50_000_000
_COLUMNS: Final = (
    "number", "kind", "look", "rate_per_s", "offered_per_s", "achieved_per_s", "requests_per_s", "success", "p50_us", "p90_us",
    "p95_us", "p99_us", "p99_9_us", "max_us", "seconds", "verdict", "why", "folder",
)  # fmt: skip

Json = dict[str, Any]


def step_to_wire(step: Step, outcome: Outcome) -> Json:
    """The part of a recorded step from which the search goes on."""
    return {
        "number": step.number,
        "kind": step.kind,
        "rate_per_s": step.rate,
        "seconds": step.seconds,
        "cool_down_s": step.cool_down_s,
        "look": step.look,
        "verdict": outcome.verdict,
        "why": outcome.why,
    }


def step_from_wire(wire: Json) -> tuple[Step, Outcome]:
    """A recorded step and what came of it."""
    step = Step(
        number=wire["number"],
        kind=Kind(wire["kind"]),
        rate=wire["rate_per_s"],
        seconds=wire["seconds"],
        cool_down_s=wire["cool_down_s"],
        look=wire["look"],
    )
    return step, Outcome(verdict=Verdict(wire["verdict"]), why=wire["why"])


def settings_to_wire(settings: SearchSettings) -> Json:
    """As `capacity.json` has it."""
    return asdict(settings)


def write_state(folder: Path, state: Json) -> None:
    """Replace `capacity.json`, and the CSV of its curve. Raises RunError."""
    try:
        _replace(folder / STATE, orjson.dumps(state, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        _write_curve(folder / CURVE, state["steps"])
    except OSError as error:
        raise RunError(f"{folder / STATE} cannot be written: {error.strerror}") from None


def read_state(folder: Path) -> Json:
    """What `write_state` wrote. Raises RunError."""
    file = folder / STATE
    try:
        with file.open("rb") as octets:
            state = orjson.loads(octets.read(LARGEST_OCTETS))
    except OSError as error:
        raise RunError(f"--resume {folder}: {STATE}: {error.strerror}") from None
    except orjson.JSONDecodeError as error:
        raise RunError(f"--resume {folder}: {STATE} is not JSON: {error}") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise RunError(f"--resume {folder}: {STATE} is not of a capacity search of this version")
    return state


def _replace(file: Path, octets: bytes) -> None:
    new = file.with_suffix(".new")
    with new.open("wb") as out:
        out.write(octets)
        out.flush()
        os.fsync(out.fileno())
    new.replace(file)


def _write_curve(file: Path, steps: list[Json]) -> None:
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(_COLUMNS)
        for step in steps:
            flat = step | {f"{name}_us": value for name, value in (step.get("latency_us") or {}).items()}
            rows.writerow([flat.get(column, "") for column in _COLUMNS])
