"""What the sandbox's tests share."""

from __future__ import annotations

import pytest

from simulator.sandbox import Chf
from tests.sandbox.smf import Smf, plan


@pytest.fixture
def smf() -> Smf:
    return Smf(Chf(plan()))


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}
