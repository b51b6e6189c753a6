"""A strict check against the Rel-17 schema of TS 32.291: enumerations closed, unknown members forbidden.

3GPP writes every enumeration as `anyOf: [enum, string]` and forbids no member, so that later releases fit. A misspelt key or
a wrong enumeration value therefore passes plain validation; here it does not.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs

NEGATIVE = ("not", "if")
"""Keywords whose subschemas must stay as they are: closing a condition would turn it into another one."""


def strict_validator(reference: Path, root: str) -> jsonschema_rs.Validator:
    """The validator of one of the bundle's roots, for example `ChargingDataRequest`."""
    bundle = json.loads((reference / "3gpp" / "n40-rel-17.bundle.schema.json").read_text())
    definitions = {name: closed(definition) for name, definition in bundle["$defs"].items()}
    schema = {"$schema": bundle["$schema"], "$defs": definitions, "$ref": bundle["x-roots"][root]}
    return jsonschema_rs.validator_for(schema, validate_formats=True)


def closed(node: Any) -> Any:
    """The same schema with closed enumerations and objects."""
    if isinstance(node, list):
        return [closed(each) for each in node]
    if not isinstance(node, dict):
        return node
    # What is a member's name under `properties` is no keyword: only its schema is closed.
    schema = {key: value if key in NEGATIVE else _closed_value(key, value) for key, value in node.items()}
    options = schema.get("anyOf", [])
    if any("enum" in option for option in options):
        schema["anyOf"] = [option for option in options if "enum" in option]
    if "properties" in schema and "type" in schema:
        schema.setdefault("additionalProperties", False)
    return schema


def _closed_value(key: str, value: Any) -> Any:
    if key == "properties":
        return {name: closed(member) for name, member in value.items()}
    return closed(value)
