"""How a profile writes a distribution: a bare quantity, or a mapping with the law's name as its one key.

`length: 30s`, `length: {lognormal: {median: 5m, sigma: 1}}`. The quantity's dimension comes from the field, as in
`Annotated[Distribution, Drawn(Duration)]`; the same forms give the JSON schema.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Any, Generic, Self, TypeVar, Union

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    Tag,
    create_model,
    model_validator,
)
from pydantic_core import CoreSchema

from simulator.config.distributions import (
    Choice,
    Distribution,
    Empirical,
    Exponential,
    Fixed,
    Lognormal,
    Pareto,
    Uniform,
)
from simulator.config.errors import did_you_mean, problem, shown
from simulator.config.model import Model
from simulator.config.quantities import Number, Quantity, Share, SomeNumber

Q = TypeVar("Q", bound=float)
MOST_POINTS = 1000


class Form(Model):
    """The parameters of one law, of one dimension."""

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """`UniformDuration`, which the JSON schema shows."""
        return f"{cls.__name__}{_name(params[0])}"


class UniformForm(Form, Generic[Q]):
    """Every value between min and max alike."""

    min: Q
    max: Q

    def law(self) -> Distribution:
        """The law with these parameters."""
        if self.max < self.min:
            raise problem("max is less than min")
        return Uniform(self.min, self.max) if self.min < self.max else Fixed(self.min)


class ExponentialForm(Form, Generic[Q]):
    """Without memory: what is left never depends on how long it has lasted."""

    mean: Q
    max: Q | None = None

    def law(self) -> Distribution:
        """The law with these parameters."""
        return Exponential(_some("mean", self.mean), _most(self.max))


class LognormalForm(Form, Generic[Q]):
    """Many small values and a few large ones. Give the median, or the mean (before `max` cuts it)."""

    median: Q | None = None
    mean: Q | None = None
    sigma: Annotated[SomeNumber, Field(le=10)]
    max: Q | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.median is None) == (self.mean is None):
            raise problem("expected either median or mean")
        return self

    def law(self) -> Distribution:
        """The law with these parameters."""
        if self.median is not None:
            return Lognormal(_some("median", self.median), self.sigma, _most(self.max))
        mean = _some("mean", self.mean or 0)
        return Lognormal(mean * math.exp(-self.sigma * self.sigma / 2), self.sigma, _most(self.max))


class ParetoForm(Form, Generic[Q]):
    """A heavy tail above min; the smaller alpha, the heavier."""

    min: Q
    alpha: SomeNumber
    max: Q | None = None

    def law(self) -> Distribution:
        """The law with these parameters."""
        if self.alpha <= 1 and self.max is None:
            raise problem("alpha of 1 or less has no mean: give a max")
        if self.max is not None and self.max < self.min:
            raise problem("max is less than min")
        return Pareto(_some("min", self.min), self.alpha, _most(self.max))


class WeightedForm(Form, Generic[Q]):
    """One value of a choice."""

    value: Q
    weight: Number = 1.0


class EmpiricalForm(Form, Generic[Q]):
    """Measured quantiles, such as [[0, 1s], [0.5, 20s], [0.99, 5m], [1, 1h]]; linear in between."""

    quantiles: Annotated[list[tuple[Share, Q]], Field(min_length=2, max_length=MOST_POINTS)]

    def law(self) -> Distribution:
        """The law with these parameters."""
        shares, values = zip(*self.quantiles, strict=True)
        if shares[0] != 0 or shares[-1] != 1:
            raise problem("expected the first quantile at 0 and the last at 1")
        if any(here >= after for here, after in pairwise(shares)):
            raise problem("expected the shares of the quantiles in ascending order")
        if any(here > after for here, after in pairwise(values)):
            raise problem("expected quantiles that never fall")
        return Empirical(shares, values)


PARAMETERS: dict[str, type[Form]] = {
    "uniform": UniformForm,
    "exponential": ExponentialForm,
    "lognormal": LognormalForm,
    "pareto": ParetoForm,
    "empirical": EmpiricalForm,
}
BARE = "{bare}"
LAWS = ("fixed", "uniform", "exponential", "lognormal", "pareto", "choice", "empirical")


class Drawn:
    """Annotates a `Distribution` with the quantity that it draws."""

    def __init__(self, quantity: Any) -> None:
        self.quantity = quantity

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A union of the written forms, then the law that they describe."""
        written: list[Any] = [Annotated[self._mapping(law), Tag(f"{{{law}}}")] for law in LAWS]
        union: Any = Union.__getitem__((Annotated[self.quantity, Tag(BARE)], *written))
        steps = (Discriminator(_form), BeforeValidator(_one_law), AfterValidator(_law))
        return handler.generate_schema(Annotated[(union, *steps, PlainSerializer(_document))])

    def _mapping(self, law: str) -> type[Model]:
        """`{law: parameters}`."""
        title = f"{law.capitalize()}{_name(self.quantity)}"
        fields: dict[str, Any] = {law: (self._parameters(law), ...)}
        return create_model(title, __base__=Model, __module__=__name__, **fields)

    def _parameters(self, law: str) -> Any:
        if law == "fixed":
            return self.quantity
        if law == "choice":
            weighted: Any = WeightedForm.__class_getitem__(self.quantity)
            item: Any = Annotated[weighted, Tag("{weighted}")] | Annotated[self.quantity, Tag(BARE)]
            items: Any = list.__class_getitem__(Annotated[item, Discriminator(_weighted)])
            return Annotated[items, Field(min_length=1, max_length=MOST_POINTS)]
        return PARAMETERS[law].__class_getitem__(self.quantity)


def _one_law(given: Any) -> Any:
    if isinstance(given, Distribution):
        return given.document()
    if not isinstance(given, dict):
        return given
    unknown = [key for key in given if key not in LAWS]
    if unknown:
        raise problem(f"no distribution {shown(unknown[0])}{did_you_mean(unknown[0], LAWS)}")
    if len(given) != 1:
        raise problem(f"expected one distribution, got {' and '.join(given) or 'none'}")
    return given


def _document(law: Distribution) -> dict[str, Any]:
    return law.document()


def _form(given: Any) -> str:
    return f"{{{next(iter(given))}}}" if isinstance(given, dict) else BARE


def _weighted(given: Any) -> str:
    return "{weighted}" if isinstance(given, dict) else BARE


def _name(quantity: Any) -> str:
    return "".join(each.name for each in getattr(quantity, "__metadata__", ()) if isinstance(each, Quantity))


def _law(form: Any) -> Distribution:
    if isinstance(form, int | float):
        return Fixed(form)
    ((law, parameters),) = ((name, getattr(form, name)) for name in type(form).model_fields)
    if law == "fixed":
        return Fixed(parameters)
    if law == "choice":
        return _choice(parameters)
    built: Distribution = parameters.law()
    return built


def _choice(items: list[Any]) -> Distribution:
    weighted = [(item, 1.0) if isinstance(item, int | float) else (item.value, item.weight) for item in items]
    if sum(weight for _, weight in weighted) <= 0:
        raise problem("expected weights that add up to more than 0")
    return Choice.of(weighted)


def _some(name: str, value: float) -> float:
    if value <= 0:
        raise problem(f"expected a {name} of more than 0")
    return value


def _most(value: float | None) -> float:
    return math.inf if value is None else value
