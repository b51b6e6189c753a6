"""Dialects: how the N40 of one CHF differs from the book, as data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from simulator.config.document import read
from simulator.config.errors import Wrong, did_you_mean, located, problem, shown
from simulator.config.model import Model
from simulator.config.quantities import Count, text
from simulator.n40.form import MEMBERS, PLACEHOLDERS, SUBSCRIBER
from simulator.n40.template import placeholders

FOLDER = Path(__file__).resolve().parent.parent / "dialects"

NodeFunctionality = Literal[
    "AMF", "SMF", "SMSF", "PGW_C_SMF", "SGW", "I_SMF", "V_SMF", "ePDG", "CEF", "NEF", "IMS_Node"
]
CONSUMER = ("nFName", "nFIPv4Address", "nFFqdn", "nFPLMNID")
"""Members of nfConsumerIdentification that may be left out."""
MOST_ENTRIES = 100


def _no_stray_braces(value: Any, allowed: frozenset[str]) -> None:
    try:
        found = placeholders(value)
    except ValueError:
        raise problem("braces do not match; {{ and }} are braces themselves") from None
    for name in sorted(found - allowed):
        raise problem(f"no placeholder {{{name}}}{did_you_mean(name, sorted(allowed))}")


class Dialect(Model):
    """What differs from TS 32.291; the defaults are the book's."""

    name: Annotated[str, *text("[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "a name of letters, digits, dots and dashes")] = (
        "3gpp"
    )
    """By default the file's name."""
    path: Annotated[str, *text(r"(/[A-Za-z0-9._~{}-]+)+", "a path such as /nchf-convergedcharging/v3/chargingdata")] = (
        "/nchf-convergedcharging/{version}/chargingdata"
    )
    """Of the chargingdata collection, below the target; {version} is the release's."""
    location: Literal["uri", "path", "reference"] = "uri"
    """uri: requests go to the authority that Location names; path: of Location only its path is kept (rebase); reference: the
    whole of Location is the ChargingDataRef."""
    first_sequence: Annotated[Count, Field(le=1)] = 0
    """invocationSequenceNumber of a Create."""
    local_sequence: Literal["counting", "constant"] = "counting"
    """localSequenceNumber counts over the session, or is always 1."""
    subscriber: Annotated[str, *text("[!-~]{1,128}", "an identifier such as imsi-{imsi}")] = "imsi-{imsi}"
    """subscriberIdentifier. {device} is a UUID that follows from the IMSI."""
    node_functionality: NodeFunctionality | None = None
    """What all network functions call themselves; null: what they are."""
    leave_out: Annotated[list[str], Field(max_length=MOST_ENTRIES)] = Field(default_factory=list)
    """Members, or paths such as nfConsumerIdentification.nFName."""
    add: Annotated[dict[str, Any], Field(max_length=MOST_ENTRIES)] = Field(default_factory=dict)
    """Members of every message; their texts may hold placeholders."""
    containers: Literal["full", "minimal"] = "full"
    """minimal: localSequenceNumber and the units, nothing else."""
    create_containers: bool = False
    """A Create reports a container of 0 units for each rating group that it asks for."""
    request_zero: bool = False
    """A report that asks for nothing asks for 0 units."""

    @field_validator("path", mode="after")
    @classmethod
    def _version_only(cls, path: str) -> str:
        _no_stray_braces(path, frozenset({"version"}))
        return path

    @field_validator("subscriber", mode="after")
    @classmethod
    def _of_the_subscriber(cls, subscriber: str) -> str:
        _no_stray_braces(subscriber, SUBSCRIBER)
        if not placeholders(subscriber):
            raise problem("is the same for all subscribers: expected {imsi}, {msisdn} or {device} in it")
        return subscriber

    @field_validator("add", mode="after")
    @classmethod
    def _known_placeholders(cls, add: dict[str, Any]) -> dict[str, Any]:
        _no_stray_braces(add, PLACEHOLDERS)
        return add

    @field_validator("leave_out", mode="after")
    @classmethod
    def _optional_members(cls, paths: list[str]) -> list[str]:
        wrong: list[Wrong] = []
        for i, path in enumerate(paths):
            member, _, below = path.partition(".")
            if member not in MEMBERS:
                wrong.append(((i,), f"no member {shown(member)} that may be left out{did_you_mean(member, MEMBERS)}"))
            elif member == "nfConsumerIdentification" and below not in CONSUMER:
                wrong.append(((i,), f"expected {member}.{f' or {member}.'.join(CONSUMER)}: the rest is required"))
        if wrong:
            raise located(wrong)
        return paths

    def uses(self, name: str) -> bool:
        """Whether messages hold this placeholder."""
        return name in placeholders([self.subscriber, self.add])


def shipped_dialects() -> list[str]:
    """Return their names."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def shipped_dialect(name: str) -> Dialect:
    """Return the dialect of that name. Raises a pydantic error."""
    names = shipped_dialects()
    if name not in names:
        raise problem(
            f"no dialect {shown(name)}{did_you_mean(name, names)} (a file of your own needs its path, ./{name}.yaml)"
        )
    path = FOLDER / f"{name}.yaml"
    return Dialect.model_validate({"name": name} | read(path.read_text(encoding="utf-8"), str(path)).value)


def _named(given: Any) -> Any:
    if isinstance(given, str):
        return shipped_dialect(given)
    return {"name": "own"} | given if isinstance(given, dict) else given


NamedDialect = Annotated[Dialect, BeforeValidator(_named, json_schema_input_type=str | Dialect)]
"""A shipped dialect's name, or a dialect; a file is read by whoever loads the profile."""
