"""How a profile writes a distribution: a bare quantity, or a mapping with the law's name as its one key.

`length: 30s`, `length: {lognormal: {median: 5m, sigma: 1}}`. The dimension comes from the field, as in
`Annotated[Distribution, Drawn(DURATION)]`. Written by hand rather than as models: a model of every law in every
dimension took a second to build, at the start of every process.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

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
from simulator.config.errors import Wrong, did_you_mean, located, problem, shown
from simulator.config.quantities import NUMBER, SHARE, SOME_NUMBER, Quantity

MOST_POINTS = 1000
MOST_SIGMA = Quantity(words="a sigma such as 0.8", units=SOME_NUMBER.units, positive=True, at_most=10)

Parameters = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Form:
    """The parameters of a law: what draws the field's own quantity is None, anything else says its quantity."""

    build: Callable[[Parameters], Distribution]
    required: Mapping[str, Quantity | None]
    optional: Mapping[str, Quantity | None]


def _uniform(given: Parameters) -> Distribution:
    least, most = given["min"], given["max"]
    if most < least:
        raise problem("max is less than min")
    return Uniform(least, most) if least < most else Fixed(least)


def _exponential(given: Parameters) -> Distribution:
    return Exponential(_some(given, "mean"), given.get("max", math.inf))


def _lognormal(given: Parameters) -> Distribution:
    if ("median" in given) == ("mean" in given):
        raise problem("expected either median or mean")
    sigma, most = given["sigma"], given.get("max", math.inf)
    if "median" in given:
        return Lognormal(_some(given, "median"), sigma, most)
    return Lognormal(_some(given, "mean") * math.exp(-sigma * sigma / 2), sigma, most)


def _pareto(given: Parameters) -> Distribution:
    most = given.get("max", math.inf)
    if given["alpha"] <= 1 and math.isinf(most):
        raise problem("alpha of 1 or less has no mean: give a max")
    if most < given["min"]:
        raise problem("max is less than min")
    return Pareto(_some(given, "min"), given["alpha"], most)


def _some(given: Parameters, name: str) -> float:
    if given[name] <= 0:
        raise problem(f"expected a {name} of more than 0")
    return float(given[name])


FORMS = {
    "uniform": Form(_uniform, {"min": None, "max": None}, {}),
    "exponential": Form(_exponential, {"mean": None}, {"max": None}),
    "lognormal": Form(_lognormal, {"sigma": MOST_SIGMA}, {"median": None, "mean": None, "max": None}),
    "pareto": Form(_pareto, {"min": None, "alpha": SOME_NUMBER}, {"max": None}),
}
LAWS = ("fixed", *FORMS, "choice", "empirical")


class Drawn:
    """Annotates a `Distribution` with the quantity that it draws."""

    def __init__(self, quantity: Quantity) -> None:
        self.quantity = quantity

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A plain function; written out again in base units."""
        written = core_schema.plain_serializer_function_ser_schema(lambda law: law.document())
        return core_schema.no_info_plain_validator_function(self.law, serialization=written)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The bare quantity, or one of the laws."""
        laws = {law: self._form_schema(law) for law in LAWS}
        return {"anyOf": [self.quantity.json_schema(), *(_closed({law: form}) for law, form in laws.items())]}

    def law(self, given: object) -> Distribution:
        """The law that is written; a pydantic error with the place of everything that is wrong."""
        if isinstance(given, Distribution):
            return given
        if not isinstance(given, dict):
            return Fixed(self.quantity.parse(given))
        unknown = [name for name in given if name not in LAWS]
        if unknown:
            raise problem(f"no distribution {shown(unknown[0])}{did_you_mean(unknown[0], LAWS)}")
        if len(given) != 1:
            raise problem(f"expected one distribution, got {' and '.join(given) or 'none'}")
        ((name, parameters),) = given.items()
        (law,) = _all([((name,), self._reader(name), parameters)])
        assert isinstance(law, Distribution)
        return law

    def _reader(self, name: str) -> Callable[[Any], Distribution]:
        match name:
            case "fixed":
                return lambda given: Fixed(self.quantity.parse(given))
            case "choice":
                return self._choice
            case "empirical":
                return self._empirical
            case _:
                return lambda given: FORMS[name].build(self._parameters(given, FORMS[name]))

    def _parameters(self, given: object, form: Form) -> Parameters:
        known = {**form.required, **form.optional}
        if not isinstance(given, dict):
            raise problem(f"expected a mapping with {', '.join(known)}, got {shown(given)}")
        wrong: list[Wrong] = [((name,), "is missing") for name in form.required if name not in given]
        wrong += [
            ((str(name),), f"unknown key {shown(name)}{did_you_mean(name, known)}")
            for name in given
            if name not in known
        ]
        reads = [((name,), (known[name] or self.quantity).parse, given[name]) for name in known if name in given]
        values = _all(reads, wrong)
        return dict(zip((place[0] for place, _, _ in reads), values, strict=True))

    def _choice(self, given: object) -> Distribution:
        items = _points(given, least=1)
        weighted = _all(((i,), self._weighted, item) for i, item in enumerate(items))
        if math.fsum(weight for _, weight in weighted) <= 0:
            raise problem("expected weights that add up to more than 0")
        return Choice.of(weighted)

    def _weighted(self, given: object) -> tuple[float, float]:
        if not isinstance(given, dict):
            return self.quantity.parse(given), 1.0
        form = Form(_uniform, {"value": None}, {"weight": NUMBER})
        values = self._parameters(given, form)
        return values["value"], values.get("weight", 1.0)

    def _empirical(self, given: object) -> Distribution:
        points = given.get("quantiles") if isinstance(given, dict) and len(given) == 1 else None
        if points is None:
            raise problem("expected {quantiles: [[0, …], …, [1, …]]}")
        pairs = _all((("quantiles", i), self._quantile, point) for i, point in enumerate(_points(points, least=2)))
        shares, values = zip(*pairs, strict=True)
        if shares[0] != 0 or shares[-1] != 1:
            raise problem("expected the first quantile at 0 and the last at 1")
        if any(here >= after for here, after in pairwise(shares)):
            raise problem("expected the shares of the quantiles in ascending order")
        if any(here > after for here, after in pairwise(values)):
            raise problem("expected quantiles that never fall")
        return Empirical(shares, values)

    def _quantile(self, given: object) -> tuple[float, float]:
        if not isinstance(given, list) or len(given) != 2:
            raise problem(f"expected [share, value], got {shown(given)}")
        share, value = _all([((0,), SHARE.parse, given[0]), ((1,), self.quantity.parse, given[1])])
        return share, value

    def _form_schema(self, law: str) -> dict[str, Any]:
        own = self.quantity.json_schema()
        if law == "fixed":
            return own
        if law == "choice":
            weighted = _closed({"value": own, "weight": NUMBER.json_schema()}, required=["value"])
            return {"type": "array", "minItems": 1, "maxItems": MOST_POINTS, "items": {"anyOf": [own, weighted]}}
        if law == "empirical":
            pair = {"type": "array", "minItems": 2, "maxItems": 2, "prefixItems": [SHARE.json_schema(), own]}
            return _closed({"quantiles": {"type": "array", "minItems": 2, "maxItems": MOST_POINTS, "items": pair}})
        form = FORMS[law]
        known = {**form.required, **form.optional}
        properties = {name: quantity.json_schema() if quantity else own for name, quantity in known.items()}
        return _closed(properties, required=list(form.required))


def _points(given: object, *, least: int) -> list[Any]:
    if not isinstance(given, list) or not least <= len(given) <= MOST_POINTS:
        raise problem(f"expected a list of {least} to {MOST_POINTS} entries, got {shown(given)}")
    return given


Read = tuple[tuple[str | int, ...], Callable[[Any], Any], Any]


def _all(reads: Iterable[Read], wrong: Iterable[Wrong] = ()) -> list[Any]:
    """Everything that is read; or one error with everything that is wrong, each at its place."""
    values: list[Any] = []
    problems = list(wrong)
    for place, reader, given in reads:
        try:
            values.append(reader(given))
        except PydanticCustomError as error:
            problems.append((place, error.message()))
        except ValidationError as error:
            problems += [((*place, *each["loc"]), each["msg"]) for each in error.errors(include_url=False)]
    if problems:
        raise located(problems)
    return values


def _closed(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    needed = list(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": needed, "additionalProperties": False}
