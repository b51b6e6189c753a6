"""A pytest fixture for teams that test a charging function: `smfleet` runs a fleet and returns what it found.

def test_busy_hour(smfleet):
    result = smfleet("busy-hour", target="http://chf.lab:8080", duration="1m")
    assert result.passed, result.why
    assert result.latency_us("update", "p99") < 50_000
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from simulator.run.options import Result


@pytest.fixture
def smfleet() -> Callable[..., Result]:
    """The function `simulator.run`."""
    from simulator.run import run  # noqa: PLC0415

    return run
