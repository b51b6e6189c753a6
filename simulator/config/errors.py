"""What a wrong profile or plan gets: one line per problem, with the place, what was expected and the nearest valid name."""

from __future__ import annotations

import json
from collections.abc import Iterable
from difflib import get_close_matches

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

LONGEST_SHOWN = 60

Wrong = tuple[tuple[str | int, ...], str]
"""A place below the value under validation, and what is wrong there."""


class ConfigError(Exception):
    """A file or an override that cannot be used. The message is what the user sees, one line per problem."""

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


def shown(value: object) -> str:
    """The value as an error message quotes it, short and on one line."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = one_line(json.dumps(value, ensure_ascii=False) if isinstance(value, str | int | float) else str(value))
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


def one_line(text: object) -> str:
    """The text without what would break a line of an error message."""
    return " ".join("".join(each if each.isprintable() else " " for each in str(text)).split())


def did_you_mean(name: object, valid: Iterable[str]) -> str:
    """`, did you mean "rate"?`, or the valid names where none is near."""
    names = list(valid)
    lowered = {each.lower(): each for each in names}
    given = str(name)[:100].lower()
    near = get_close_matches(given, lowered, n=1, cutoff=0.6)
    near = near or [each for each in lowered if len(given) >= 3 and each.startswith(given)]
    if near:
        return f', did you mean "{lowered[near[0]]}"?'
    return f": expected one of {', '.join(names)}" if names else ""


def problem(message: str) -> PydanticCustomError:
    """To be raised in a validator; the place is added by whoever called it."""
    return PydanticCustomError("config", "{message}", {"message": message})


def located(problems: Iterable[Wrong]) -> ValidationError:
    """Several problems at places below the value under validation; pydantic prefixes them with its own place."""
    details = [InitErrorDetails(type=problem(message), loc=place, input=None) for place, message in problems]
    return ValidationError.from_exception_data("config", details)
