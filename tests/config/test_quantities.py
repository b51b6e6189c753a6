"""Quantities: what engineers write, and the base units that it means."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from simulator.config import quantities
from simulator.config.quantities import BALANCE, COUNT, DURATION, OCTETS, PACE, RATE, SHARE, THROUGHPUT, Quantity

ALL = [each for each in vars(quantities).values() if isinstance(each, Quantity)]


@pytest.mark.parametrize(
    ("quantity", "written", "meant"),
    [
        (DURATION, "30s", 30.0),
        (DURATION, "500ms", 0.5),
        (DURATION, "2m", 120.0),
        (DURATION, "1h30m", 5400.0),
        (DURATION, "1d", 86400.0),
        (DURATION, 0.25, 0.25),
        (OCTETS, "10MB", 10_000_000),
        (OCTETS, "10MiB", 10_485_760),
        (OCTETS, "10 MiB", 10_485_760),
        (OCTETS, "2.3MB", 2_300_000),
        (OCTETS, "4kB", 4000),
        (COUNT, "100k", 100_000),
        (COUNT, "1.5M", 1_500_000),
        (COUNT, 1e3, 1000),
        (RATE, "200/s", 200.0),
        (RATE, "1/m", 1 / 60),
        (RATE, "1M/h", 1e6 / 3600),
        (RATE, 12, 12.0),
        (THROUGHPUT, "5Mbps", 625_000.0),
        (THROUGHPUT, "2 Mbit/s", 250_000.0),
        (THROUGHPUT, "600kB/s", 600_000.0),
        (SHARE, "10%", 0.1),
        (SHARE, 0.25, 0.25),
        (PACE, "2.5x", 2.5),
        (BALANCE, "2h", 7200),
    ],
)
def test_what_is_written_means(quantity, written, meant):
    parsed = quantity.parse(written)
    assert parsed == meant
    assert isinstance(parsed, int if quantity.whole else float)


@pytest.mark.parametrize(
    ("quantity", "written"),
    [
        (DURATION, "30"),
        (DURATION, "30 parsecs"),
        (DURATION, "-5s"),
        (DURATION, -1),
        (DURATION, ""),
        (DURATION, True),
        (DURATION, None),
        (DURATION, []),
        (DURATION, float("nan")),
        (DURATION, float("inf")),
        (DURATION, "1" * 70 + "s"),
        (OCTETS, "10Mb"),
        (OCTETS, "10M"),
        (OCTETS, "0.5B"),
        (COUNT, "1.5"),
        (COUNT, 1.5),
        (COUNT, 10**19),
        (RATE, "fast"),
        (RATE, "200"),
        (THROUGHPUT, "5MB"),
        (SHARE, "101%"),
        (PACE, "0x"),
        (PACE, "٣x"),
    ],
)
def test_anything_else_is_refused_with_an_example(quantity, written):
    with pytest.raises(PydanticCustomError, match=re.escape(f"expected {quantity.words}")):
        quantity.parse(written)


@given(quantity=st.sampled_from(ALL), number=st.integers(1, 999), data=st.data())
def test_the_pattern_for_editors_accepts_what_is_accepted(quantity, number, data):
    text = f"{number}{data.draw(st.sampled_from(sorted(quantity.units)))}"
    assert re.search(quantity.pattern, text)
    exact = int(number) * quantity.units[text.removeprefix(str(number))]
    if exact > quantity.at_most or (quantity.whole and exact.denominator != 1):
        with pytest.raises(PydanticCustomError):
            quantity.parse(text)
    else:
        assert quantity.parse(text) == pytest.approx(float(exact))


@given(
    quantity=st.sampled_from(ALL), text=st.text() | st.from_regex(r"[0-9.]{0,5} ?[kMG]?[Bbsmhx/%]{0,3}", fullmatch=True)
)
def test_a_text_is_either_a_number_or_refused(quantity, text):
    try:
        parsed = quantity.parse(text)
    except PydanticCustomError:
        return
    assert 0 <= parsed <= quantity.at_most
