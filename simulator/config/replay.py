"""Files of moments: CSV, whose first column is seconds, one start a row. They are read with the profile; engines need no file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from simulator.config.document import Document
from simulator.config.errors import ConfigError, shown
from simulator.config.stages import MOST_TIMES

MOST_OCTETS = 32_000_000
LONGEST_S = 1e9


def find_replays(document: Document, folder: Path) -> None:
    """Files that a profile replays are beside it."""
    for _, stage in _replays(document.value):
        stage["replay"] = str(folder / stage["replay"])


def read_replays(document: Document) -> None:
    """Put the moments where the files are named. Raises ConfigError."""
    for place, stage in _replays(document.value):
        path = Path(stage["replay"])
        try:
            stage["replay"] = read_times(path)
        except OSError as error:
            why = f"no file {path}" if isinstance(error, FileNotFoundError) else f"{path}: {error.strerror}"
            raise ConfigError(document.problem((*place, "replay"), why)) from None
        if not stage.get("name"):
            stage["name"] = f"replay of {path.name}"[:64]


def _replays(profile: Any) -> list[tuple[tuple[str | int, ...], dict[str, Any]]]:
    """The stages that name a file, and where they stand."""
    load = profile.get("load") if isinstance(profile, dict) else None
    if not isinstance(load, dict):
        return []
    rows: list[tuple[tuple[str | int, ...], Any]] = [(("load", "stages"), load.get("stages"))]
    streams = load.get("streams")
    for i, stream in enumerate(streams if isinstance(streams, list) else ()):
        if isinstance(stream, dict):
            rows.append((("load", "streams", i, "stages"), stream.get("stages")))
    return [
        ((*place, i), stage)
        for place, stages in rows
        if isinstance(stages, list)
        for i, stage in enumerate(stages)
        if isinstance(stage, dict) and isinstance(stage.get("replay"), str)
    ]


def read_times(path: Path) -> list[float]:
    """The first column of a file, in seconds; a first row that is no number is a header. Raises ConfigError and OSError."""
    with path.open("rb") as file:
        octets = file.read(MOST_OCTETS + 1)
    if len(octets) > MOST_OCTETS:
        raise ConfigError(f"{path}: larger than {MOST_OCTETS:,} octets")
    times: list[float] = []
    for number, row in enumerate(octets.decode("utf-8-sig", "replace").splitlines(), start=1):
        text = row.replace(";", ",").partition(",")[0].strip().strip('"')
        if not text or text.startswith("#"):
            continue
        moment = _number(text)
        if moment is None and number == 1:
            continue
        if moment is None or not 0 <= moment <= LONGEST_S:
            raise ConfigError(f"{path}:{number}: expected seconds such as 12.5 in the first column, got {shown(text)}")
        if times and moment < times[-1]:
            raise ConfigError(f"{path}:{number}: expected moments in ascending order, got {text} after {times[-1]:g}")
        if len(times) == MOST_TIMES:
            raise ConfigError(f"{path}:{number}: expected at most {MOST_TIMES:,} moments")
        times.append(moment)
    if not times:
        raise ConfigError(f"{path}: expected at least one moment")
    return times


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
