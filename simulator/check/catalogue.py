"""The catalogue: cases with their identifier, title and clause, in the order in which they are run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from simulator.check.smf import Smf

Play = Callable[[Smf], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case. `play` returns if all is well, and raises DeviationError or NotSupportedError if not."""

    id: str
    title: str
    clause: str
    play: Play


SUBJECTS: Final = (
    "create", "update", "release", "event", "answer", "location", "grant", "repeat", "reference", "sequence", "malformed",
    "missing", "wrong", "problem", "tolerant", "subscriber", "http", "connection", "notify",
)  # fmt: skip
"""What the identifiers begin with, in the order in which the cases are run: what others rest on comes first."""

_CASES: Final[dict[str, Case]] = {}


def case(identifier: str, title: str, clause: str) -> Callable[[Play], Play]:
    """Put a function into the catalogue."""

    def add(play: Play) -> Play:
        add_case(identifier, title, clause, play)
        return play

    return add


def add_case(identifier: str, title: str, clause: str, play: Play) -> None:
    """Put a case into the catalogue."""
    assert identifier not in _CASES, identifier
    assert _subject(identifier) in SUBJECTS, identifier
    _CASES[identifier] = Case(id=identifier, title=title, clause=clause, play=play)


def catalogue() -> list[Case]:
    """All cases."""
    return sorted(_CASES.values(), key=lambda each: SUBJECTS.index(_subject(each.id)))


def _subject(identifier: str) -> str:
    return identifier.partition(".")[0]


def selected(patterns: list[str]) -> list[Case]:
    """The cases whose identifier matches one of the patterns (`grant.*`, `create`); all without a pattern.

    A pattern without wildcards names a case, or all whose identifiers begin with it.
    """
    if not patterns:
        return catalogue()
    return [each for each in catalogue() if any(_matches(each.id, pattern) for pattern in patterns)]


def _matches(identifier: str, pattern: str) -> bool:
    return fnmatchcase(identifier, pattern) or identifier.startswith(f"{pattern}.")
