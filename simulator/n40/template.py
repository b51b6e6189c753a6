"""JSON documents with places that are filled in for every message, compiled to one bytes formatting.

A document is made of dictionaries, lists and plain values, with `Slot`s where a value differs from message to message and
`Member`s that may be there or not. Release and dialect change the document; what is compiled costs nothing more for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any, NamedTuple

import orjson

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Slot:
    """A value of every message's own: JSON as a formatting of bytes (`b'"msisdn-%d"'`), and the names of what it takes."""

    form: bytes
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Member:
    """A member that may be absent: the argument is empty, or the whole member with a comma before it. Never the first one."""

    name: str


class Template(NamedTuple):
    """`text % values` is the message, with the values of these names in order."""

    text: bytes
    names: tuple[str, ...]


def literal(value: Any) -> bytes:
    """JSON that can stand inside a formatting."""
    return orjson.dumps(value).replace(b"%", b"%%")


def compile_template(document: Document) -> Template:
    """Compile a document."""
    names: list[str] = []
    return Template(_text(document, names), tuple(names))


def _text(value: Any, names: list[str]) -> bytes:
    match value:
        case Slot():
            names += value.names
            return value.form
        case dict():
            return b"{" + _members(value, names) + b"}"
        case list():
            return b"[" + b",".join(_text(each, names) for each in value) + b"]"
        case _:
            return literal(value)


def _members(document: Document, names: list[str]) -> bytes:
    parts: list[bytes] = []
    for key, value in document.items():
        if isinstance(value, Member):
            assert parts, "a member that may be absent brings its comma, so it cannot be the first"
            names.append(value.name)
            parts.append(b"%b")
        else:
            parts.append((b"," if parts else b"") + literal(str(key)) + b":" + _text(value, names))
    return b"".join(parts)


def without(document: Document, path: Sequence[str]) -> Document:
    """The document without the member at a path; what has no such member stays as it is."""
    name, *rest = path
    if name not in document:
        return document
    if not rest:
        return {key: value for key, value in document.items() if key != name}
    below = document[name]
    return document | {name: without(below, rest)} if isinstance(below, dict) else document


def merged(document: Document, more: Mapping[str, Any]) -> Document:
    """The document with more members; where both have an object, its members are joined."""
    found = dict(document)
    for key, value in more.items():
        before = found.get(key)
        found[key] = merged(before, value) if isinstance(before, dict) and isinstance(value, Mapping) else value
    return found


def placeholders(value: Any) -> set[str]:
    """Names in braces in all texts of a value. Raises ValueError for braces that do not match."""
    match value:
        case str():
            return {name for _, name, _, _ in Formatter().parse(value) if name is not None}
        case Mapping():
            return {name for each in value.values() for name in placeholders(each)}
        case list() | tuple():
            return {name for each in value for name in placeholders(each)}
        case _:
            return set()


def filled(value: Any, constants: Mapping[str, str], forms: Mapping[str, bytes]) -> Any:
    """The value with its texts' placeholders filled in: from `constants` now, by `forms` in every message."""
    match value:
        case str():
            return _filled_text(value, constants, forms)
        case Mapping():
            return {key: filled(each, constants, forms) for key, each in value.items()}
        case list() | tuple():
            return [filled(each, constants, forms) for each in value]
        case _:
            return value


def _filled_text(text: str, constants: Mapping[str, str], forms: Mapping[str, bytes]) -> Slot | str:
    parts: list[bytes] = []
    names: list[str] = []
    plain = ""
    for before, name, _, _ in Formatter().parse(text):
        known = before if name is None else before + constants.get(name, "")
        plain += known
        parts.append(literal(known)[1:-1])
        if name is not None and name not in constants:
            parts.append(forms[name])
            names.append(name)
    return Slot(b'"' + b"".join(parts) + b'"', tuple(names)) if names else plain
