"""Quantities as engineers write them (`30s`, `10MB`, `200/s`, `5Mbps`, `100k`) to plain numbers in base units.

Base units are seconds, octets, units, and each of them per second; a bare number is in base units already.
Arithmetic is exact until the last step, so that `2.3MB` is 2,300,000 octets.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from simulator.config.errors import problem, shown

LARGEST = 10**18
LONGEST_TEXT = 64

TIMES = {
    "us": Fraction(1, 1_000_000), "ms": Fraction(1, 1000), "s": Fraction(1), "m": Fraction(60), "min": Fraction(60),
    "h": Fraction(3600), "d": Fraction(86_400),
}  # fmt: skip
DECIMAL = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
COUNTS = {prefix: Fraction(factor) for prefix, factor in DECIMAL.items()}
VOLUMES = {f"{prefix}B": Fraction(factor) for prefix, factor in ({**DECIMAL, "K": 10**3} | BINARY).items()}
RATES = {
    f"{prefix}/{time}": factor / TIMES[time]
    for prefix, factor in COUNTS.items()
    for time in ("s", "m", "min", "h", "d")
}
THROUGHPUTS = {f"{volume}/s": factor for volume, factor in VOLUMES.items()} | {
    f"{prefix}{bits}": factor / 8 for prefix, factor in COUNTS.items() for bits in ("bps", "bit/s")
}
SHARES = {"": Fraction(1), "%": Fraction(1, 100)}
PACES = {"x": Fraction(1)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quantity:
    """One dimension: how it is written, and what a value must keep to."""

    words: str
    """What an error message says was expected: `a rate such as 200/s`."""
    units: dict[str, Fraction]
    whole: bool = False
    positive: bool = False
    compound: bool = False
    """Whether `1h30m` adds up."""
    at_most: int = LARGEST

    @property
    def pattern(self) -> str:
        """The regular expression of a text, also for the JSON schema."""
        units = "|".join(re.escape(unit) for unit in sorted(self.units, key=len, reverse=True))
        term = rf"[0-9]+(\.[0-9]+)? ?({units})"
        return rf"^({term})+$" if self.compound else rf"^{term}$"

    def parse(self, given: object) -> float | int:
        """The number in base units; ValueError (a pydantic one) says what was expected instead."""
        exact = self._exact(given)
        if exact is None or (self.whole and exact.denominator != 1):
            raise problem(f"expected {self.words}, got {shown(given)}")
        if exact < 0 or (self.positive and exact == 0):
            raise problem(
                f"expected {self.words}, {'more than' if self.positive else 'at least'} 0, got {shown(given)}"
            )
        if exact > self.at_most:
            raise problem(f"expected {self.words}, at most {self.at_most}, got {shown(given)}")
        return int(exact) if self.whole else float(exact)

    def _exact(self, given: object) -> Fraction | None:
        if isinstance(given, bool):
            return None
        if isinstance(given, int):
            return Fraction(given)
        if isinstance(given, float):
            return Fraction(given) if math.isfinite(given) else None
        if isinstance(given, str) and len(given) <= LONGEST_TEXT:
            return self._read(given.strip())
        return None

    def _read(self, text: str) -> Fraction | None:
        if not re.fullmatch(self.pattern, text):
            return None
        terms = re.findall(r"([0-9.]+) ?([^0-9. ]*)", text)
        return sum((Fraction(number) * self.units[unit] for number, unit in terms), Fraction(0))

    def json_schema(self) -> dict[str, Any]:
        """For editors: a number in base units, or a text."""
        number = {"type": "integer" if self.whole else "number", "exclusiveMinimum" if self.positive else "minimum": 0}
        return {"anyOf": [number, {"type": "string", "pattern": self.pattern}], "description": self.words}


def _field(quantity: Quantity) -> tuple[BeforeValidator, WithJsonSchema]:
    return BeforeValidator(quantity.parse), WithJsonSchema(quantity.json_schema(), mode="validation")


DURATION = Quantity(words="a duration such as 30s, 500ms or 1h30m", units=TIMES, compound=True, at_most=10**9)
SOME_DURATION = Quantity(words=DURATION.words, units=TIMES, compound=True, at_most=10**9, positive=True)
WHOLE_SECONDS = Quantity(words="whole seconds such as 60s", units=TIMES, compound=True, whole=True, at_most=10**9)
OCTETS = Quantity(words="a volume such as 10MB or 10MiB", units=VOLUMES, whole=True)
COUNT = Quantity(words="a whole number such as 500, 100k or 1M", units=COUNTS, whole=True)
SOME_COUNT = Quantity(words=COUNT.words, units=COUNTS, whole=True, positive=True)
NUMBER = Quantity(words="a number such as 1.5", units=COUNTS)
SOME_NUMBER = Quantity(words=NUMBER.words, units=COUNTS, positive=True)
RATE = Quantity(words="a rate such as 200/s, 30/m or 1M/h", units=RATES)
SOME_RATE = Quantity(words=RATE.words, units=RATES, positive=True)
THROUGHPUT = Quantity(words="a throughput such as 5Mbps or 600kB/s", units=THROUGHPUTS)
SHARE = Quantity(words="a share such as 10% or 0.1", units=SHARES, at_most=1)
BALANCE = Quantity(words="a balance such as 100h, 50GB or 1000", units=TIMES | VOLUMES | COUNTS, whole=True)
PACE = Quantity(words="a pace such as 1x, 60x or flat-out", units=PACES, positive=True, at_most=10**6)

Duration = Annotated[float, *_field(DURATION)]
"""Seconds, 0 allowed."""
SomeDuration = Annotated[float, *_field(SOME_DURATION)]
"""Seconds, more than 0."""
WholeSeconds = Annotated[int, *_field(WHOLE_SECONDS)]
Octets = Annotated[int, *_field(OCTETS)]
Count = Annotated[int, *_field(COUNT)]
SomeCount = Annotated[int, *_field(SOME_COUNT)]
Number = Annotated[float, *_field(NUMBER)]
Rate = Annotated[float, *_field(RATE)]
"""Per second."""
SomeRate = Annotated[float, *_field(SOME_RATE)]
"""Per second, more than 0."""
Share = Annotated[float, *_field(SHARE)]
"""0 to 1."""
Balance = Annotated[int, *_field(BALANCE)]
"""Whole seconds, octets or units."""


def _pace(given: object) -> float | None:
    return None if given == "flat-out" else PACE.parse(given)


Pace = Annotated[
    float | None,
    BeforeValidator(_pace),
    PlainSerializer(lambda pace: "flat-out" if pace is None else pace),
    WithJsonSchema({"anyOf": [*PACE.json_schema()["anyOf"], {"const": "flat-out"}], "description": PACE.words}),
]
"""Seconds of session life per second; None is flat-out."""


def text(pattern: str, words: str) -> tuple[BeforeValidator, WithJsonSchema]:
    """A text of a given form. Digits without quotes are a number in YAML, and have lost their leading zeros."""

    def check(given: object) -> str:
        if isinstance(given, int | float) and not isinstance(given, bool):
            raise problem(
                f'expected {words} in quotes ("…", or YAML drops leading zeros), got the number {shown(given)}'
            )
        if not isinstance(given, str) or not re.fullmatch(pattern, given):
            raise problem(f"expected {words}, got {shown(given)}")
        return given

    return BeforeValidator(check), WithJsonSchema({"type": "string", "pattern": f"^{pattern}$", "description": words})
