"""Every case passes with a charging function that keeps the book, and finds out one that does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from simulator.check import Verdict, catalogue
from tests.check.faults import FAULTS
from tests.check.faulty import Fault, played

pytestmark = pytest.mark.anyio


async def test_a_charging_function_that_keeps_the_book_passes_every_case() -> None:
    results = await played(Fault())
    assert len(results) >= 65
    assert {result.id: result for result in results if result.verdict is Verdict.DEVIATION} == {}
    assert {result.id for result in results if result.verdict is Verdict.NOT_SUPPORTED} <= {"http.body.gzip"}


async def test_so_does_one_on_another_http2_library() -> None:
    results = await played(Fault(codec="h2"))
    assert {result.id: result for result in results if result.verdict is Verdict.DEVIATION} == {}


@pytest.mark.parametrize(("case", "fault"), FAULTS, ids=[f"{case}-{number}" for number, (case, _) in enumerate(FAULTS)])
async def test_a_case_finds_its_fault(case: str, fault: Callable[[], Fault]) -> None:
    result = next(each for each in await played(fault(), case) if each.id == case)
    assert result.verdict is Verdict.DEVIATION
    for found in result.found:
        assert found.clause
        assert found.expected
        assert found.found


def test_there_is_a_fault_for_every_case() -> None:
    assert {case.id for case in catalogue()} == {case for case, _ in FAULTS}
