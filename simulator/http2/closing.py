"""Waiting for transports to close, for a bounded time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable


async def all_done(futures: Iterable[asyncio.Future[None]], timeout_s: float) -> None:
    """Wait until all are done, or the time is over."""
    pending = [future for future in futures if not future.done()]
    if pending:
        await asyncio.wait(pending, timeout=timeout_s)
