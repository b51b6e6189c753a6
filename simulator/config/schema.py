"""The JSON Schema of a profile, for editors."""

from __future__ import annotations

from typing import Any

from simulator.config.profile import Profile

ANY = {"oneOf": "anyOf"}
"""A rating group's unit follows from its service where it is not written, so that several alternatives may fit."""


def profile_json_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of a profile as it is written, quantities in words included."""
    schema: dict[str, Any] = _any(Profile.model_json_schema())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _any(value: Any) -> Any:
    if isinstance(value, dict):
        return {ANY.get(key, key): _any(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_any(each) for each in value]
    return value
