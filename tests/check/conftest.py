from __future__ import annotations

import pytest

from tests.http2.conftest import certificates

__all__ = ["certificates"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
