"""Rating plans: what the sandbox charges for, by rating group."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BeforeValidator, Discriminator, Field, Tag, ValidationInfo, field_validator

from simulator.config.errors import did_you_mean, located
from simulator.config.model import Model
from simulator.config.quantities import Balance, Duration, Octets, Share, SomeCount, WholeSeconds
from simulator.config.units import RatingGroupId, Unit, by_unit, known_unit

Q = TypeVar("Q", bound=int)


class Terms(Model, Generic[Q]):
    """The terms of one rating group. Amounts are whole octets, seconds or units, by `unit`."""

    unit: Unit
    name: str = ""
    """For people: `voice`, `zero-rated music`."""
    zero_rated: bool = False
    """Granted and counted, never debited."""
    counter: str = Field("", validate_default=True)
    """The balance that is debited; empty where zero-rated."""
    price: SomeCount = 1
    """What `per` units cost, in the counter's smallest unit (octets, seconds, messages, cents); 1 per 1 is an allowance."""
    per: Q = Field(default=1, ge=1, validate_default=True)
    """The units that `price` buys."""
    rounding: Q = Field(default=1, ge=1, validate_default=True)
    """Debits are rounded up to whole multiples of so many units."""
    grant: Q = Field(ge=1)
    """Units granted where the request leaves the amount to the CHF."""
    max_grant: Q = Field(default_factory=lambda data: data["grant"], ge=1)
    """Units granted at most, whatever was asked for."""
    threshold: Share = 0.0
    """The share of a grant that is left when usage must be reported; 0 sends no threshold."""
    validity: WholeSeconds = 0
    """Seconds after which a grant has to be renewed; 0 sends none."""
    holding_time: WholeSeconds = 0
    """Seconds without traffic after which a grant is given back; 0 sends none."""
    final_unit: Literal["TERMINATE"] | None = "TERMINATE"
    """What comes with the last units; null sends no final unit indication."""

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:  # noqa: ARG003
        """Plain, where pydantic would spell out the whole annotation of the amounts."""
        return cls.__name__

    @field_validator("counter", mode="after")
    @classmethod
    def _debits_something(cls, counter: str, info: ValidationInfo) -> str:
        if info.data.get("zero_rated") and counter:
            raise located([((), "a zero-rated rating group debits no counter")])
        if not info.data.get("zero_rated", True) and not counter:
            raise located([((), "expected the balance to debit, or zero_rated: true")])
        return counter


AnyTerms = Annotated[
    Annotated[Terms[Octets], Tag("{totalVolume}")]
    | Annotated[Terms[WholeSeconds], Tag("{time}")]
    | Annotated[Terms[SomeCount], Tag("{serviceSpecificUnits}")],
    Discriminator(by_unit),
    BeforeValidator(known_unit),
]


class RatingPlan(Model):
    """A tariff for all accounts. All amounts are whole numbers; money is in cents."""

    name: str = "unnamed"
    balances: dict[str, Balance]
    """What a new account has on each counter: octets, seconds, messages, cents."""
    rating_groups: Annotated[dict[RatingGroupId, AnyTerms], Field(min_length=1)]
    unknown_subscriber: Literal["provision", "reject"] = "provision"
    """A subscriber without an account gets one, or 404 USER_UNKNOWN."""
    session_expiry: Duration = 7200.0
    """Seconds of session time without an update after which the sandbox ends a session; 0: never."""

    @field_validator("rating_groups", mode="after")
    @classmethod
    def _counters_exist(cls, groups: dict[int, Terms[int]], info: ValidationInfo) -> dict[int, Terms[int]]:
        balances = info.data.get("balances")
        if balances is None:
            return groups
        wrong = [(group, terms) for group, terms in groups.items() if terms.counter and terms.counter not in balances]
        if wrong:
            raise located(
                ((group, "counter"), f'no balance "{terms.counter}"{did_you_mean(terms.counter, balances)}')
                for group, terms in wrong
            )
        return groups
