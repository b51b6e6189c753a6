"""How CHFs in the field differ from the book: flags that each change one thing, and presets that mimic known ones.

What is not known of a CHF is not here.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, WithJsonSchema

from simulator.config.errors import did_you_mean, problem, shown
from simulator.config.model import Model
from simulator.config.quantities import SomeCount, SomeDuration


class FrameLimit(Model):
    """More frames than that end a connection with GOAWAY ENHANCE_YOUR_CALM."""

    count: SomeCount
    within: SomeDuration = 10.0


class Quirks(Model):
    """All off: by the book."""

    location: Literal["path", "absolute", "bare"] | None = None
    """How Location tells the ChargingDataRef; null: as the sandbox is set."""
    location_on_update: bool = False
    """Update answers carry Location too."""
    release_with_body: bool = False
    """Release is answered 200 with a body instead of 204."""
    timestamps_without_zone: bool = False
    unknown_reference_empty: bool = False
    """An unknown ChargingDataRef is answered 404 without a body."""
    bare_problems: bool = False
    """Problem bodies have `status` and nothing else."""
    needs_unit_usage: bool = False
    """A Create without multipleUnitUsage is answered 400."""
    refuses_problem_only: bool = False
    """`Accept: application/problem+json` alone is answered 406."""
    grants_only_on_update: bool = False
    empty_event_reference: bool = False
    """The Location of a one-time event ends where the reference should be."""
    empty_final_unit: bool = False
    """Every grant comes with an empty finalUnitAction."""
    frames: FrameLimit | None = None
    """Of a connection."""
    cancelled_streams: SomeCount | None = None
    """So many on one connection end it with GOAWAY ENHANCE_YOUR_CALM."""
    idle: SomeDuration | None = None
    """Seconds after which a silent connection is closed."""

    @property
    def changes_messages(self) -> bool:
        """Whether requests or answers are treated in another way than by the book."""
        connection = {"location", "frames", "cancelled_streams", "idle"}
        return any(getattr(self, name) for name in type(self).model_fields if name not in connection)


BY_THE_BOOK: Final = Quirks()

QUIRKS: Final = {
    "sigscale": Quirks(
        location="path",
        release_with_body=True,
        timestamps_without_zone=True,
        unknown_reference_empty=True,
        needs_unit_usage=True,
        refuses_problem_only=True,
        frames=FrameLimit(count=10_000, within=10.0),
        cancelled_streams=500,
        idle=60.0,
    ),
    "free5gc": Quirks(
        location="absolute",
        grants_only_on_update=True,
        empty_event_reference=True,
        empty_final_unit=True,
        bare_problems=True,
    ),
    "totogi": Quirks(location="bare", location_on_update=True),
}
"""The CHFs that are known from their public sources or clients, by name."""


def _named(given: object) -> object:
    if not isinstance(given, str):
        return given
    if given not in QUIRKS:
        raise problem(f"no quirks {shown(given)}{did_you_mean(given, QUIRKS)}")
    return QUIRKS[given]


AnyQuirks = Annotated[
    Quirks,
    BeforeValidator(_named),
    WithJsonSchema(
        {"anyOf": [{"enum": list(QUIRKS)}, {"type": "object"}], "description": "a preset, or single quirks"}
    ),
]
