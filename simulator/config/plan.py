"""Rating plans: what the sandbox charges for, by rating group."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import BeforeValidator, Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from simulator.config.errors import did_you_mean, located
from simulator.config.model import Model
from simulator.config.quantities import Balance, Count, Duration, Octets, Share, SomeCount, WholeSeconds, text
from simulator.config.units import RatingGroupId, Unit, by_unit, known_unit

Q = TypeVar("Q", bound=int)

MOST_TRIGGERS = 32
MOST_TARIFF_CHANGES = 24

FinalUnit = Literal["TERMINATE", "REDIRECT", "RESTRICT_ACCESS"]
TimeOfDay = Annotated[str, *text(r"([01][0-9]|2[0-3]):[0-5][0-9]", "a time of day such as 18:00")]
ShortText = Annotated[str, Field(min_length=1, max_length=256)]


class RedirectServer(Model):
    """Where the traffic of a subscriber without credit is sent (TS 32.291 RedirectServer)."""

    address: ShortText
    type: Literal["IPV4", "IPV6", "URL", "URI"] = "URL"


class PlanTrigger(Model):
    """A trigger that the CHF sends: when the SMF has to report (TS 32.291 Trigger, TS 32.255 5.2.1)."""

    type: Annotated[str, *text(r"[A-Z][A-Z0-9_]{0,63}", "a trigger type such as RAT_CHANGE")]
    category: Literal["IMMEDIATE_REPORT", "DEFERRED_REPORT"] = "IMMEDIATE_REPORT"
    time_limit: WholeSeconds | None = None
    volume_limit: Octets | None = None
    event_limit: Annotated[Count, Field(le=2**32 - 1)] | None = None
    max_changes: Annotated[Count, Field(le=2**32 - 1)] | None = None
    """How many changes of charging conditions are collected before they are reported."""


Triggers = Annotated[list[PlanTrigger], Field(max_length=MOST_TRIGGERS)]


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
    validity_jitter: Share = 0.0
    """By what share of it the validity is longer or shorter, in some sessions more and in others less, so that sessions that
    began together do not renew together for ever."""
    holding_time: WholeSeconds = 0
    """Seconds without traffic after which a grant is given back; 0 sends none."""
    final_unit: FinalUnit | None = "TERMINATE"
    """What comes with the last units; null sends no final unit indication."""
    redirect_server: RedirectServer | None = None
    """Where REDIRECT leads."""
    filter_ids: list[ShortText] = Field(default_factory=list, max_length=32)
    """What RESTRICT_ACCESS leaves open: names of filters that the network has."""
    final_validity: WholeSeconds | None = None
    """Seconds after which the last grant has to be renewed; null: as every other grant."""
    tariff_changes: list[TimeOfDay] = Field(default_factory=list, max_length=MOST_TARIFF_CHANGES)
    """Times of day (UTC) at which the tariff switches; a grant names the next one, as the clock of the SMF has it."""
    triggers: Triggers = Field(default_factory=list)
    """What the SMF has to report in this rating group, sent with every grant; an empty list sends none."""

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

    @model_validator(mode="after")
    def _final_unit_is_complete(self) -> Self:
        if (self.final_unit == "REDIRECT") is not (self.redirect_server is not None):
            raise located([(("redirect_server",), "belongs to final_unit: REDIRECT, which needs it")])
        if self.filter_ids and self.final_unit != "RESTRICT_ACCESS":
            raise located([(("filter_ids",), "belongs to final_unit: RESTRICT_ACCESS")])
        return self


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
    triggers: Triggers = Field(default_factory=list)
    """What the SMF has to report for the whole session, told in the answer to Create; an empty list sends none."""
    unit_count_inactivity_timer: WholeSeconds = 0
    """Seconds without any usage after which the SMF has to say so, told in the answer to Create; 0 sends none."""
    failure_handling: Literal["TERMINATE", "CONTINUE", "RETRY_AND_TERMINATE"] | None = None
    """What the SMF does when the CHF fails, told in the answer to Create; null leaves it to the SMF."""
    session_failover: Literal["FAILOVER_SUPPORTED", "FAILOVER_NOT_SUPPORTED"] | None = None
    """Whether the session may go on at another CHF, told in the answer to Create; null leaves it to the SMF."""
    notify_on_credit: bool = True
    """Sessions that ran short of a credited balance are told to ask again (REAUTHORIZATION)."""

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
