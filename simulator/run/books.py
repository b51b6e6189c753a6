"""The CHF's side of a run's books: what was in its ledger before, what is in it afterwards, and what it says of itself."""

from __future__ import annotations

from pathlib import Path

import anyio
import httpx

from simulator.audit import LEDGER, LEDGER_BEFORE, AuditError, Auditor, read_rows
from simulator.http2 import without_user
from simulator.run.embedded import read_ledger, read_promises, read_undelivered
from simulator.run.options import RunError


class ChfBooks:
    """The ledger at `url`, kept in a run's folder; None where it cannot be read. That of the embedded sandbox begins empty."""

    def __init__(self, folder: Path, url: str | None) -> None:
        self._folder = folder
        self._url = url
        self._broken_before: dict[str, int] = {}
        self._undelivered_before = 0

    async def open(self) -> None:
        """Read what is in a foreign CHF's books before the run. Raises RunError, also where that is no ledger."""
        if self._url is None:
            return
        await _save(self._url, self._folder / LEDGER_BEFORE)
        self._broken_before = await read_promises(self._url)
        self._undelivered_before, _ = await read_undelivered(self._url)
        await anyio.to_thread.run_sync(self._check)

    async def close(self) -> str:
        """Read them after the run; return why that cannot be, "" if it can."""
        if self._url is None:
            return ""
        file = self._folder / LEDGER
        try:
            await _save(self._url, file)
        except RunError as error:
            file.unlink(missing_ok=True)
            return str(error)
        return ""

    async def promises_broken(self) -> dict[str, int]:
        """What the CHF saw itself do in this run that it must not, where it tells."""
        if self._url is None:
            return {}
        return {name: n - self._broken_before.get(name, 0) for name, n in (await read_promises(self._url)).items()}

    async def undelivered(self) -> str:
        """A note on notifications of this run that the CHF could not deliver, where it tells; "" if there are none."""
        if self._url is None:
            return ""
        count, why = await read_undelivered(self._url)
        count -= self._undelivered_before
        return f"{count:,} notifications of the CHF could not be delivered: {why}" if count > 0 else ""

    def _check(self) -> None:
        assert self._url is not None
        try:
            with (self._folder / LEDGER_BEFORE).open("rb") as lines:
                Auditor().exclude(read_rows(lines))
        except AuditError as error:
            raise RunError(f"--ledger {without_user(self._url)}: this is no ledger: {error}") from None


async def _save(url: str, file: Path) -> None:
    try:
        async with await anyio.open_file(file, "wb") as out:
            last = b"\n"
            async for chunk in read_ledger(url):
                await out.write(chunk)
                last = chunk[-1:] or last
            if last != b"\n":  # a last line without end would pass for one that was cut off
                await out.write(b"\n")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, OverflowError) as error:
        raise RunError(f"--ledger {without_user(url)}: cannot be read: {str(error) or type(error).__name__}") from None
