"""YAML (1.2) to plain values that remember the line they came from. Nothing but plain values is ever built.

A document of bounded size becomes mappings, lists, texts, numbers, booleans and None; a tag that asks for anything
else, a key that stands twice, and aliases that multiply beyond a bound are errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from simulator.config.errors import ConfigError, one_line, shown

MOST_CHARACTERS = 1_000_000
MOST_NODES = 100_000
DEEPEST = 50

Path = tuple[str | int, ...]
TAG = "tag:yaml.org,2002:"
SCHEMAS_OWN = ("{", "[key]")
"""What stands in a place for the schema's own sake: the name of an alternative, and a key rather than its value."""


@dataclass(slots=True, kw_only=True)
class Document:
    """A document's value, and where each part of it stands."""

    source: str
    value: Any
    lines: dict[Path, int] = field(default_factory=dict)
    overridden: dict[Path, str] = field(default_factory=dict)
    """Parts that came from the command line, and the words there."""

    def problem(self, place: Iterable[str | int], message: str) -> str:
        """`profiles/x.yaml:12: load.rate: message`."""
        where = tuple(part for part in place if not str(part).startswith(SCHEMAS_OWN))
        spot = self._spot(where)
        prefix = f"{spot}: " if spot else ""
        return f"{prefix}{'.'.join(one_line(part) for part in where)}: {message}" if where else f"{prefix}{message}"

    def in_order(self, messages: Iterable[str]) -> list[str]:
        """By line, then as given."""

        def line(message: str) -> int:
            number = message.removeprefix(f"{self.source}:").partition(":")[0]
            return int(number) if number.isdigit() else 0

        return sorted(messages, key=line)

    def _spot(self, place: Path) -> str:
        for length in range(len(place), -1, -1):
            if place[:length] in self.overridden:
                return self.overridden[place[:length]]
            if place[:length] in self.lines:
                return f"{self.source}:{self.lines[place[:length]]}"
        return self.source


def read(text: str, source: str) -> Document:
    """The document of a text; ConfigError names source and line."""
    node = _compose(text, source)
    reader = _Reader(source)
    value = reader.value(node, (), 0) if node is not None else None
    if reader.problems:
        raise ConfigError(reader.problems)
    return Document(source=source, value=value, lines=reader.lines)


def _compose(text: str, source: str) -> Node | None:
    if len(text) > MOST_CHARACTERS:
        raise ConfigError(f"{source}: larger than {MOST_CHARACTERS:,} characters")
    try:
        return cast("Node | None", YAML(typ="safe", pure=True).compose(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}:{mark.line + 1}" if mark else source
        raise ConfigError(f"{where}: not readable as YAML: {_words(error)}") from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"{source}:{line}: not readable as YAML: a control character") from None
    except YAMLError as error:
        raise ConfigError(f"{source}: not readable as YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise ConfigError(f"{source}: nested too deeply") from None
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, NotImplementedError, AssertionError) as error:
        # The parser's own slips on texts that are no YAML (an escape beyond Unicode, an odd %YAML directive).
        raise ConfigError(f"{source}: not readable as YAML: {one_line(error)}") from None


def _words(error: MarkedYAMLError) -> str:
    return ", ".join(" ".join(str(part).split()) for part in (error.context, error.problem) if part)


class _Reader:
    """Builds plain values from nodes; collects what is wrong with the nodes themselves."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.lines: dict[Path, int] = {}
        self.problems: list[str] = []
        self.nodes = 0

    def value(self, node: Node, place: Path, depth: int) -> Any:
        self._count(node, depth)
        self.lines.setdefault(place, _line(node))
        match node:
            case MappingNode() if str(node.tag) == f"{TAG}map":
                return self._mapping(node, place, depth)
            case SequenceNode() if str(node.tag) == f"{TAG}seq":
                return [self.value(item, (*place, i), depth + 1) for i, item in enumerate(node.value)]
            case ScalarNode():
                return self._scalar(node)
            case _:
                return self._wrong(node, f"the tag {one_line(node.tag)} is not supported")

    def _count(self, node: Node, depth: int) -> None:
        """Also what ends an alias of itself, and a few aliases that multiply to billions of nodes."""
        self.nodes += 1
        if self.nodes > MOST_NODES or depth > DEEPEST:
            raise ConfigError(f"{self.source}:{_line(node)}: nested too deeply, or too many parts")

    def _mapping(self, node: MappingNode, place: Path, depth: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key_node, value_node in self._pairs(node, depth):
            key = self._scalar(key_node) if isinstance(key_node, ScalarNode) else None
            if not isinstance(key, str | int):
                self._wrong(key_node, f"expected a name before the colon, got {shown(key)}")
            elif key in found:
                self._wrong(key_node, f"{shown(key)} stands twice, first in line {self.lines[*place, key]}")
            else:
                self.lines[*place, key] = _line(key_node)
                found[key] = self.value(value_node, (*place, key), depth + 1)
        return found

    def _pairs(self, node: MappingNode, depth: int) -> Iterator[tuple[Node, Node]]:
        """The mapping's own pairs, then those of `<<: *base` that it does not have itself."""
        merges = [value for key, value in node.value if str(key.tag) == f"{TAG}merge"]
        own = [(key, value) for key, value in node.value if str(key.tag) != f"{TAG}merge"]
        yield from own
        taken = {key.value for key, _ in own if isinstance(key, ScalarNode)}
        for base in [
            each for merge in merges for each in (merge.value if isinstance(merge, SequenceNode) else [merge])
        ]:
            self._count(base, depth)
            if not isinstance(base, MappingNode):
                self._wrong(base, "expected a mapping after <<:")
                continue
            for key, value in self._pairs(base, depth + 1):
                if isinstance(key, ScalarNode) and key.value not in taken:
                    taken.add(key.value)
                    yield key, value

    def _scalar(self, node: ScalarNode) -> Any:
        match str(node.tag).removeprefix(TAG):
            case "str" | "timestamp" | "value" | "merge":
                if any("\ud800" <= character <= "\udfff" for character in node.value):
                    return self._wrong(node, "half of a surrogate pair is no character")
                return node.value
            case "null":
                return None
            case "bool":
                return node.value.lower() == "true"
            case "int":
                return _integer(node.value)
            case "float":
                return _number(node.value)
            case _:
                return self._wrong(node, f"the tag {one_line(node.tag)} is not supported")

    def _wrong(self, node: Node, message: str) -> None:
        self.problems.append(f"{self.source}:{_line(node)}: {message}")


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _integer(text: str) -> int | str:
    try:
        return int(text, 0) if text.lstrip("+-")[:2].lower() in {"0x", "0o", "0b"} else int(text)
    except ValueError:
        return text


def _number(text: str) -> float | str:
    try:
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:
        return text
