"""The user's own copy of the 3GPP OpenAPI files, as checks of what a CHF sends.

A folder holds the YAML files as 3GPP publishes them (TS32291_Nchf_ConvergedCharging.yaml and those it refers to, such as
TS29571_CommonData.yaml), or one JSON Schema bundle (`*.schema.json`) with `$defs` and `x-roots`. Only what the types of
`ROOTS` need is read. Nothing is fetched, and every file and reference is within the folder.

The published schemas forbid little: each enumeration is `anyOf: [enum, string]`, and unknown members are allowed, so that
later releases fit. So there are two readings: as published, and strictly, where a misspelt member or enumeration value shows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import jsonschema_rs

from simulator.config.document import read
from simulator.config.errors import ConfigError, one_line
from simulator.config.loading import read_text
from simulator.n40.conformance import SchemaCheck, SchemaFault

SERVICE: Final = "TS32291_Nchf_ConvergedCharging"
COMMON: Final = "TS29571_CommonData"
ROOTS: Final = {
    "ChargingDataResponse": SERVICE,
    "ChargingNotifyRequest": SERVICE,
    "ChargingNotifyResponse": SERVICE,
    "ProblemDetails": COMMON,
}
MOST_FILES: Final = 100
MOST_SCHEMAS: Final = 5_000
MOST_FAULTS: Final = 10
"""Told for one document."""
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_AS_THEY_ARE: Final = ("not", "if")
"""Keywords whose schemas are conditions: closing one would make another condition of it."""
_is_file_name: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII).fullmatch

Json = dict[str, Any]


def load_schemas(folder: Path) -> SchemaCheck:
    """A check of documents by the name of their type. Raises ConfigError."""
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder")
    definitions, roots = _bundle(folder) or _Library(folder).collect()
    try:
        published = {root: _validator(definitions, name) for root, name in roots.items()}
        closed = {name: _closed(schema) for name, schema in _opened(definitions).items()}
        strict = {root: _validator(closed, name) for root, name in roots.items()}
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise ConfigError(f"{folder}: the schemas cannot be used: {one_line(error)[:300]}") from None
    return _Check(published, strict)


class _Check:
    """A document is checked as published first; what only the strict reading finds is marked as such."""

    def __init__(
        self, published: dict[str, jsonschema_rs.Validator], strict: dict[str, jsonschema_rs.Validator]
    ) -> None:
        self._published = published
        self._strict = strict

    def __call__(self, root: str, document: object) -> Sequence[SchemaFault]:
        """See `simulator.n40.conformance.SchemaCheck`; a type that the folder does not have is not checked."""
        strict = self._strict.get(root)
        if strict is None or strict.is_valid(document):
            return []
        faults = _faults(self._published[root], document, strict=False)
        return faults or _faults(strict, document, strict=True)


def _faults(validator: jsonschema_rs.Validator, document: object, *, strict: bool) -> list[SchemaFault]:
    faults = []
    for error in validator.iter_errors(document):
        place = "".join(f"/{part}" for part in error.instance_path)
        faults.append(SchemaFault(place=place, problem=one_line(error.message)[:300], strict=strict))
        if len(faults) == MOST_FAULTS:
            break
    return faults


def _validator(definitions: Json, name: str) -> jsonschema_rs.Validator:
    schema = {"$schema": _DIALECT, "$defs": definitions, "$ref": f"#/$defs/{name}"}
    return jsonschema_rs.validator_for(schema, validate_formats=True)


def _bundle(folder: Path) -> tuple[Json, dict[str, str]] | None:
    """Definitions and roots of a JSON Schema bundle, if the folder has one."""
    file = next(iter(sorted(folder.glob("*.schema.json"))), None)
    if file is None:
        return None
    try:
        bundle = json.loads(read_text(file))
        definitions = bundle["$defs"]
        roots = {root: bundle["x-roots"][root].rpartition("/")[2] for root in ROOTS if root in bundle["x-roots"]}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ConfigError(f"{file}: expected a JSON Schema bundle with $defs and x-roots") from None
    missing = [root for root, name in roots.items() if name not in definitions]
    if missing or not roots:
        raise ConfigError(f"{file}: x-roots names no definition for {', '.join(missing or ROOTS)}")
    return definitions, roots


class _Library:
    """Reads files when they are referred to; collects schemas as `$defs` called `file__name`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, Json] = {}
        self._definitions: Json = {}
        self._wanted: list[tuple[str, str, str]] = []
        """File, schema, and who refers to it."""

    def collect(self) -> tuple[Json, dict[str, str]]:
        """All that the roots need."""
        roots = {}
        for root, file in ROOTS.items():
            if root in self._schemas(file, "") or root == "ChargingDataResponse":
                roots[root] = self._refer(file, root, "")
        while self._wanted:
            file, name, referrer = self._wanted.pop()
            self._definitions[f"{file}__{name}"] = self._converted(self._schema(file, name, referrer), file, 0)
        return self._definitions, roots

    def _refer(self, file: str, name: str, referrer: str) -> str:
        key = f"{file}__{name}"
        if key not in self._definitions:
            if len(self._definitions) >= MOST_SCHEMAS:
                raise ConfigError(f"{self._folder}: more than {MOST_SCHEMAS} schemas")
            self._definitions[key] = True
            self._wanted.append((file, name, referrer))
        return key

    def _schema(self, file: str, name: str, referrer: str) -> object:
        schemas = self._schemas(file, referrer)
        if name not in schemas:
            by = f", which {referrer} refers to" if referrer else ""
            raise ConfigError(f"{self._path(file)}: no schema {name}{by}")
        return schemas[name]

    def _path(self, file: str) -> Path:
        named = (self._folder / f"{file}{suffix}" for suffix in (".yaml", ".yml"))
        return next((path for path in named if path.is_file()), self._folder / f"{file}.yaml")

    def _schemas(self, file: str, referrer: str) -> Json:
        if file not in self._files:
            path = self._path(file)
            if not path.is_file():
                by = f", which {referrer} refers to" if referrer else ""
                raise ConfigError(f"{self._folder}: no {path.name}{by}")
            if len(self._files) >= MOST_FILES:
                raise ConfigError(f"{self._folder}: more than {MOST_FILES} files are referred to")
            self._files[file] = self._read(path)
        return self._files[file]

    def _read(self, path: Path) -> Json:
        value = read(read_text(path), str(path)).value
        try:
            schemas = value["components"]["schemas"]
        except (KeyError, TypeError):
            schemas = None
        if not isinstance(schemas, dict):
            raise ConfigError(f"{path}: expected an OpenAPI document with components.schemas")
        return schemas

    def _converted(self, node: object, file: str, depth: int) -> Any:
        """OpenAPI 3.0 as JSON Schema: references to `$defs`, `nullable`, exclusive bounds as numbers."""
        if isinstance(node, list):
            return [self._converted(each, file, depth + 1) for each in node]
        if not isinstance(node, dict):
            return node
        if isinstance(node.get("$ref"), str):  # whatever stands beside it is ignored, as OpenAPI 3.0 says
            return {"$ref": f"#/$defs/{self._target(node['$ref'], file)}"}
        schema: Json = {}
        for key, value in node.items():
            if key == "properties" and isinstance(value, dict):
                schema[key] = {name: self._converted(each, file, depth + 1) for name, each in value.items()}
            elif key in _KEPT:
                schema[key] = value
            elif key in _WITH_SCHEMAS:
                schema[key] = self._converted(value, file, depth + 1)
        _bound(schema, "exclusiveMinimum", "minimum")
        _bound(schema, "exclusiveMaximum", "maximum")
        return {"anyOf": [schema, {"type": "null"}]} if node.get("nullable") is True else schema

    def _target(self, reference: str, file: str) -> str:
        other, _, pointer = reference.partition("#")
        name = pointer.removeprefix("/components/schemas/")
        stem = other.removesuffix(".yaml").removesuffix(".yml") if other else file
        if name == pointer or not _is_file_name(stem) or not _is_file_name(name):
            raise ConfigError(f"{self._path(file)}: a reference that cannot be followed: {one_line(reference)[:100]}")
        return self._refer(stem, name, f"{file}.yaml")


_KEPT: Final = frozenset({
    "type", "enum", "const", "pattern", "format", "required", "multipleOf", "uniqueItems", "minimum", "maximum",
    "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems", "minProperties",
    "maxProperties",
})  # fmt: skip
_WITH_SCHEMAS: Final = frozenset(["items", "additionalProperties", "allOf", "anyOf", "oneOf", "not"])
"""What else stands in a schema describes it to people, or generates code."""


def _bound(schema: Json, exclusive: str, inclusive: str) -> None:
    """In OpenAPI 3.0 `exclusiveMinimum: true` says how `minimum` is meant; in JSON Schema it is the number."""
    if schema.pop(exclusive, None) is True and inclusive in schema:
        schema[exclusive] = schema.pop(inclusive)


# The strict reading.


def _opened(definitions: Json) -> Json:
    """The definitions, of which those that are parts of an `allOf` are marked: they allow what the other parts have."""
    parts: set[str] = set()
    for schema in definitions.values():
        _walk(schema, lambda node: parts.update(_references(node.get("allOf"))))
    waiting = list(parts)
    while waiting:  # a part of a part is one too
        inner = _references([definitions.get(waiting.pop())])
        waiting += [name for name in inner if name not in parts]
        parts.update(inner)
    return {
        name: schema | {_PART: True} if _is_part(name, schema, parts) else schema
        for name, schema in definitions.items()
    }


_PART: Final = "x-part"


def _is_part(name: str, schema: object, parts: set[str]) -> bool:
    return name in parts and isinstance(schema, dict)


def _references(nodes: object) -> set[str]:
    """The definitions that these schemas are, themselves or by a reference at their top."""
    if not isinstance(nodes, list):
        return set()
    return {node["$ref"].rpartition("/")[2] for node in nodes if isinstance(node, dict) and "$ref" in node}


def _walk(node: object, look: Callable[[Json], None]) -> None:
    if isinstance(node, dict):
        look(node)
        for value in node.values():
            _walk(value, look)
    elif isinstance(node, list):
        for value in node:
            _walk(value, look)


def _closed(node: Any, *, part: bool = False) -> Any:
    """The same schema with closed enumerations and objects."""
    if isinstance(node, list):
        return [_closed(each, part=part) for each in node]
    if not isinstance(node, dict):
        return node
    part = part or bool(node.get(_PART))
    schema = {key: _closed_value(key, value) for key, value in node.items() if key != _PART}
    options = [option for option in schema.get("anyOf") or () if isinstance(option, dict)]
    if any("enum" in option for option in options):
        schema["anyOf"] = [option for option in options if "enum" in option or option.get("type") == "null"]
    if not part and "additionalProperties" not in schema and ("properties" in schema or "allOf" in schema):
        schema["unevaluatedProperties"] = False
    return schema


def _closed_value(key: str, value: Any) -> Any:
    if key in _AS_THEY_ARE:
        return value
    if key == "properties" and isinstance(value, dict):
        # What is a member's name there is no keyword: only its schema is closed.
        return {name: _closed(member) for name, member in value.items()}
    return _closed(value, part=key == "allOf")
