"""The units that rating groups count (TS 32.291 RequestedUnit), and how a document's amounts follow from them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from simulator.config.errors import did_you_mean, located, shown
from simulator.config.quantities import SomeCount

Unit = Literal["totalVolume", "time", "serviceSpecificUnits"]
UNITS: tuple[Unit, ...] = ("totalVolume", "time", "serviceSpecificUnits")

RatingGroupId = Annotated[SomeCount, Field(le=2**32 - 1)]


def known_unit(given: Any) -> Any:
    """Before a union by unit: says what is wrong with the unit, where pydantic would list the union's alternatives."""
    if isinstance(given, dict):
        if "unit" not in given:
            raise located([(("unit",), f"is missing: expected one of {', '.join(UNITS)}")])
        if given["unit"] not in UNITS:
            raise located([(("unit",), f"no unit {shown(given['unit'])}{did_you_mean(given['unit'], UNITS)}")])
    return given


def by_unit(given: Any) -> str:
    """The tag of the alternative, in the braces that keep it out of error messages."""
    unit = given.get("unit") if isinstance(given, dict) else getattr(given, "unit", UNITS[0])
    return f"{{{unit}}}"
