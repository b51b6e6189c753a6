"""Rating plans: what the sandbox charges for, by rating group."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import Discriminator, Field, Tag, field_validator

from simulator.config.errors import did_you_mean, located, problem
from simulator.config.model import Model
from simulator.config.quantities import Balance, Count, Duration, Octets, Share, SomeCount, WholeSeconds

Unit = Literal["totalVolume", "time", "serviceSpecificUnits"]
UNITS: tuple[Unit, ...] = ("totalVolume", "time", "serviceSpecificUnits")
RatingGroupId = Annotated[SomeCount, Field(le=2**32 - 1)]

Q = TypeVar("Q", bound=int)


class Terms(Model, Generic[Q]):
    """The terms of one rating group. Amounts are whole octets, seconds or units, by `unit`."""

    unit: Unit
    name: str = ""
    """For people: `voice`, `international data`."""
    zero_rated: bool = False
    """Counted and granted, never debited."""
    counter: str = ""
    """The balance that is debited; empty only where zero-rated."""
    price: SomeCount = 1
    """What `per` units cost, in the counter's smallest unit (cents, octets, seconds); rounded up to a whole one."""
    per: Annotated[Q, Field(ge=1)]
    rounding: Annotated[Q, Field(ge=1)]
    """Debits are rounded up to whole multiples of this many units."""
    grant: Annotated[Q, Field(ge=1)]
    """Units granted where the request leaves the choice to the CHF."""
    max_grant: Annotated[Q, Field(ge=1)]
    """Units granted at most, whatever is asked for."""
    threshold: Share = 0.0
    """The share of a grant that remains when usage must be reported; 0 sends no threshold."""
    validity: WholeSeconds = 0
    """Seconds after which a grant must be renewed; 0 sends none."""
    holding_time: WholeSeconds = 0
    """Seconds without traffic after which a grant is given back; 0 sends none."""
    final_unit: Literal["TERMINATE"] | None = "TERMINATE"
    """What happens after the last units; null: no final unit indication."""
