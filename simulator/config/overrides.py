"""`--set usages.video.rating_groups.0.requested=1MB`: changes to a document before it is checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from simulator.config.document import Document, Path, read
from simulator.config.errors import LONGEST_SHOWN, ConfigError, did_you_mean, one_line, shown

NAMED = {"usages": "usage", "network_functions": "network function"}
"""Mappings whose keys the profile invents: a path that leads through an unknown one is a slip, not a new entry."""

SECRETIVE = "authentication"
"""What somebody sets there by mistake may be a secret: error messages do not quote it."""


def override(document: Document, settings: Iterable[str]) -> None:
    """Apply each `path=value` to the document, in order; values are YAML. ConfigError lists what cannot be applied."""
    problems: list[str] = []
    for setting in settings:
        try:
            _apply(document, setting)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)


def _apply(document: Document, setting: str) -> None:
    written, equals, text = setting.partition("=")
    shy = written.strip().split(".")[0] == SECRETIVE
    source = f"--set {one_line(f'{written}{equals}…' if shy else setting)[:LONGEST_SHOWN]}"
    if not equals or not written.strip():
        raise ConfigError(f"{source}: expected path=value, such as load.rate=500/s")
    created: list[Path] = []
    place = _walk(document.value, written.strip().split("."), read(text, source).value, source, created)
    for below in [each for each in document.overridden if each[: len(place)] == place]:
        del document.overridden[below]
    document.overridden[place] = source
    document.overridden.update(dict.fromkeys(created, source))


def _walk(value: Any, parts: list[str], new: Any, source: str, created: list[Path]) -> Path:
    """Set the value at the end of a path; mappings that are not there yet are `created` on the way."""
    place: list[str | int] = []
    for i, part in enumerate(parts):
        key = _key(value, part, place, source)
        place.append(key)
        if i == len(parts) - 1:
            value[key] = new
        elif isinstance(value, dict) and value.get(key) is None:
            if i == 1 and parts[0] in NAMED:
                raise ConfigError(f"{source}: no {NAMED[parts[0]]} {shown(part)}{did_you_mean(part, value)}")
            value[key] = {}
            created.append(tuple(place))
        value = value[key]
    return tuple(place)


def _key(value: Any, part: str, place: list[str | int], source: str) -> str | int:
    """The part as a key of the value, or as an index."""
    where = ".".join(map(str, place)) or "the profile"
    if isinstance(value, dict):
        return part
    if not isinstance(value, list):
        raise ConfigError(f"{source}: {where} is {shown(value)}, which has nothing named {shown(part)}")
    if not part.isdecimal() or int(part) >= len(value):
        raise ConfigError(f"{source}: {where} is a list of {len(value)}: expected 0 to {len(value) - 1}, got {part}")
    return int(part)
