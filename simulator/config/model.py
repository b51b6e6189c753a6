"""What all models of a document share: frozen, closed, and an unknown key answered with the nearest valid one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import ErrorDetails, InitErrorDetails

from simulator.config.document import Document
from simulator.config.errors import did_you_mean, problem, shown

CONSEQUENCES = ("default_factory_not_called", "consequence")
"""Errors that say only that something else is wrong, which is reported itself."""


class Model(BaseModel):
    """One mapping of a document."""

    # What was given is quoted by our own messages only, which know what may be a secret.
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True)

    @model_validator(mode="wrap")
    @classmethod
    def _name_the_nearest_key(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Everything else is still checked where a key is unknown, so that all problems come at once."""
        if not isinstance(data, dict):
            return handler(data)
        known = [field.alias or name for name, field in cls.model_fields.items()]
        unknown = [key for key in data if key not in known]
        if not unknown:
            return handler(data)
        found = [_unknown(key, known) for key in unknown]
        try:
            handler({key: value for key, value in data.items() if key in known})
        except ValidationError as other:
            found += [_again(each) for each in _own(other)]
        raise ValidationError.from_exception_data(cls.__name__, found)


def _unknown(key: object, known: Iterable[str]) -> InitErrorDetails:
    message = f"unknown key {shown(key)}{did_you_mean(key, known)}"
    return InitErrorDetails(type=problem(message), loc=(key if isinstance(key, str | int) else str(key),), input=None)


def _again(error: ErrorDetails) -> InitErrorDetails:
    return InitErrorDetails(type=problem(message_of(error)), loc=error["loc"], input=error["input"])


def message_of(error: ErrorDetails) -> str:
    """Our words for one of pydantic's errors."""
    given = shown(error["input"])
    match error["type"]:
        case "config":
            return error["msg"]
        case "missing":
            return "is missing"
        case "literal_error":
            names = re.findall(r"'([^']*)'", str(error.get("ctx", {}).get("expected", "")))
            near = did_you_mean(error["input"], names).partition("did you mean")
            return f"expected {' or '.join(names)}, got {given}{', did you mean' + near[2] if near[1] else ''}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"expected a mapping, got {given}"
        case "list_type":
            return f"expected a list, got {given}"
        case "string_type":
            return f"expected a text, got {given}" + ("" if given.startswith("a ") else "; write it in quotes")
        case "bool_type" | "bool_parsing":
            return f"expected true or false, got {given}"
        case "greater_than_equal":
            return f"expected at least {error['ctx']['ge']}, got {given}"
        case "less_than_equal":
            return f"expected at most {error['ctx']['le']}, got {given}"
        case "too_short":
            return "expected at least one entry, got none"
        case "too_long":
            return f"expected at most {error['ctx']['max_length']} entries, got {error['ctx']['actual_length']}"
        case _:
            return f"{error['msg'][:1].lower()}{error['msg'][1:]}, got {given}"


def _own(invalid: ValidationError) -> list[ErrorDetails]:
    return [each for each in invalid.errors(include_url=False) if each["type"] not in CONSEQUENCES]


def problems(invalid: ValidationError, document: Document) -> list[str]:
    """One line per problem, in the order of the document."""
    lines = dict.fromkeys(document.problem(each["loc"], message_of(each)) for each in _own(invalid))
    return document.in_order(lines)
