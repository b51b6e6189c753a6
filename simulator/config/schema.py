"""The JSON Schema of a profile, for editors."""

from __future__ import annotations

import re
from typing import Any

from simulator.config.profile import Profile

REFERENCE = "#/$defs/"
ANY = {"oneOf": "anyOf"}
"""A rating group's unit follows from its service where it is not written, so that several alternatives may fit."""


def profile_json_schema() -> dict[str, Any]:
    """JSON Schema 2020-12. Definitions carry their titles as names, not pydantic's names for generic types."""
    schema = Profile.model_json_schema()
    definitions = schema["$defs"]
    names = {f"{REFERENCE}{old}": f"{REFERENCE}{_title(old, each)}" for old, each in definitions.items()}
    schema["$defs"] = {_title(old, each): each for old, each in definitions.items()}
    renamed: dict[str, Any] = _renamed(schema, names)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **renamed}


def _title(name: str, definition: dict[str, Any]) -> str:
    return str(definition.get("title", name)) if re.search("__", name) else name


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            ANY.get(key, key): names[each] if key == "$ref" else _renamed(each, names) for key, each in value.items()
        }
    if isinstance(value, list):
        return [_renamed(each, names) for each in value]
    return value
