"""What an engine process and whoever drives it say to each other: one JSON object a line.

Standard library and orjson only: a gevent-patched driver loads this module.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import orjson

PROTOCOL = 1
"""Both sides say which version they speak; others are refused."""

MAX_LINE = 16 << 20
"""Octets; a snapshot of a large profile is some 100 KB."""


class MessageError(ValueError):
    """A line that is no message; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message; `TYPE` is its name on the wire."""

    TYPE: ClassVar[str] = ""

    def encode(self) -> bytes:
        """Return the line."""
        # Not `asdict`, which copies a whole snapshot field by field.
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return orjson.dumps({"type": self.TYPE, **values}, option=orjson.OPT_APPEND_NEWLINE)


# -- to the engine ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Configure(Message):
    """Become worker `worker` of `workers` of a run. `targets` are the API roots of the CHFs in order of
    priority, `records` is the file for audit records, `journal` that for open sessions, `traces` those of subscribers to follow,
    by number.

    `profile` is the checked profile as JSON. TLS: `ca_file`, `certificate` and `key` are paths.
    `conformance` is the share of answers that is checked, by the OpenAPI files in the folder `openapi` too, if there is one.
    """

    TYPE: ClassVar[str] = "configure"
    protocol: int
    version: str
    profile: dict[str, Any]
    seed: int
    worker: int
    workers: int
    targets: list[str]
    records: str
    codec: str = "ngh2"
    ca_file: str | None = None
    certificate: str | None = None
    key: str | None = None
    insecure: bool = False
    conformance: float = 0.0
    openapi: str | None = None
    journal: str | None = None
    traces: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start(Message):
    """Start the load at `t0` (ns of the machine's monotonic clock), which is `epoch` ns since 1970."""

    TYPE: ClassVar[str] = "start"
    t0: int
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Control(Message):
    """Change the load from `at` on (ns of the machine's monotonic clock): `pause`, `resume`, `rate` (`value` times that of the
    profile), or on to the next `stage`. All workers get the same commands in the same order.
    """

    TYPE: ClassVar[str] = "control"
    at: int
    action: str
    value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain(Message):
    """Start nothing more, release what is open within `timeout_s`, then say goodbye."""

    TYPE: ClassVar[str] = "drain"
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop(Message):
    """Stop at once, whatever is open."""

    TYPE: ClassVar[str] = "stop"


# -- from the engine ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready(Message):
    """Connected, waiting for Start."""

    TYPE: ClassVar[str] = "ready"
    worker: int
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotReport(Message):
    """What happened in one interval; `snapshot` is a measure.Snapshot on the wire."""

    TYPE: ClassVar[str] = "snapshot"
    worker: int
    snapshot: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Message):
    """Something worth telling: `name`, and what goes with it.

    `finished`: nothing is open and nothing will start any more. `note`: `subject` and `text` are for people.
    """

    TYPE: ClassVar[str] = "event"
    worker: int
    name: str
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample(Message):
    """An attempt that failed, with its exchange, without credentials: see `fleet.samples`."""

    TYPE: ClassVar[str] = "sample"
    worker: int
    sample: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained(Message):
    """The end of the load: how many sessions are left open at the CHF."""

    TYPE: ClassVar[str] = "drained"
    worker: int
    open: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Error(Message):
    """The engine cannot do what it was asked to; one line for the user."""

    TYPE: ClassVar[str] = "error"
    worker: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bye(Message):
    """The last line."""

    TYPE: ClassVar[str] = "bye"
    worker: int


_KINDS: dict[str, type[Message]] = {
    kind.TYPE: kind
    for kind in (Configure, Start, Control, Drain, Stop, Ready, SnapshotReport, Event, Sample, Drained, Error, Bye)
}


def decode(line: bytes) -> Message:
    """Read one line. Raises MessageError."""
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise MessageError(f"not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise MessageError("not a JSON object")
    kind = _KINDS.get(str(fields.pop("type", "")))
    if kind is None:
        raise MessageError("unknown type of message")
    try:
        return kind(**fields)
    except TypeError as error:
        raise MessageError(f"{kind.TYPE}: {error}") from None
