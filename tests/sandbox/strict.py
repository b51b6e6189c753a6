"""A strict check against the 3GPP schema: enumerations closed, unknown members refused."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema_rs


def strict_validator(reference: Path, root: str) -> jsonschema_rs.Validator:
    """The validator of one of the bundle's roots, for example `ChargingDataResponse`."""
    bundle = json.loads((reference / "3gpp" / "n40-rel-17.bundle.schema.json").read_text())
    schema = {"$schema": bundle["$schema"], "$defs": _closed(bundle["$defs"]), "$ref": bundle["x-roots"][root]}
    return jsonschema_rs.validator_for(schema, validate_formats=True)


def _closed(node: Any) -> Any:
    if isinstance(node, list):
        return [_closed(each) for each in node]
    if not isinstance(node, dict):
        return deepcopy(node)
    closed = {key: _closed(value) for key, value in node.items()}
    options = closed.get("anyOf")
    if isinstance(options, list) and any("enum" in option for option in options):
        closed["anyOf"] = [option for option in options if option != {"type": "string"}]
    if isinstance(closed.get("properties"), dict) and closed.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed
