"""Reads the files in which engines and sandbox leave their rows, one JSON object to a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from simulator.audit.auditor import AuditError


def read_rows(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The rows of an open file. A last line without its newline was cut off by the writer's end and is left out."""
    for number, line in enumerate(lines, start=1):
        if not line.endswith(b"\n"):
            return
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise AuditError(f"line {number} is no JSON: {error}") from error
        if not isinstance(row, dict):
            raise AuditError(f"line {number} is no JSON object")
        yield row
