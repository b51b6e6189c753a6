"""The CHF's books before and after a run: what was there before is no doing of this run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulator.run import books
from simulator.run.books import ChfBooks
from simulator.run.options import RunError

pytestmark = pytest.mark.anyio
URL = "http://me:s3cr3t@chf/ledger"


@pytest.fixture
def chf(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the CHF says at the moment: chunks of its ledger (or an error), promises broken, notifications undelivered."""
    says: dict[str, Any] = {"ledger": [b""], "promises": {}, "undelivered": (0, "")}

    async def read_ledger(url: str) -> AsyncIterator[bytes]:
        for chunk in says["ledger"]:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    async def read_promises(url: str) -> Any:
        return says["promises"]

    async def read_undelivered(url: str) -> Any:
        return says["undelivered"]

    for each in (read_ledger, read_promises, read_undelivered):
        monkeypatch.setattr(books, each.__name__, each)
    return says


def left(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


async def test_what_the_chf_did_before_the_run_is_not_counted(chf: dict[str, Any], tmp_path: Path) -> None:
    chf |= {"promises": {"NEGATIVE_BALANCE": 3}, "undelivered": (5, "refused")}
    read = ChfBooks(tmp_path, URL)
    await read.open()
    assert (await read.promises_broken(), await read.undelivered()) == ({"NEGATIVE_BALANCE": 0}, "")
    chf |= {"promises": {"NEGATIVE_BALANCE": 4, "GRANT_TOO_MUCH": 1}, "undelivered": (7, "refused")}
    assert await read.promises_broken() == {"NEGATIVE_BALANCE": 1, "GRANT_TOO_MUCH": 1}
    assert await read.undelivered() == "2 notifications of the CHF could not be delivered: refused"


@pytest.mark.parametrize("chunks", [[b'{"a":', b"1}"], [b'{"a":1}\n', b""], [b'{"a":1}\n']])
async def test_a_last_line_without_its_end_gets_one(chf: dict[str, Any], tmp_path: Path, chunks: list[bytes]) -> None:
    chf["ledger"] = chunks
    assert await ChfBooks(tmp_path, URL).close() == ""
    assert (tmp_path / "ledger.ndjson").read_bytes() == b'{"a":1}\n'


async def test_half_a_ledger_is_none_and_the_line_names_no_password(chf: dict[str, Any], tmp_path: Path) -> None:
    chf["ledger"] = [b'{"a":1}\n', httpx.ReadError("gone")]
    why = await ChfBooks(tmp_path, URL).close()
    assert why.endswith("cannot be read: gone")
    assert "s3cr3t" not in why
    assert not left(tmp_path)


async def test_what_is_no_ledger_is_refused_before_the_run(chf: dict[str, Any], tmp_path: Path) -> None:
    chf["ledger"] = [b"<html>\n"]
    with pytest.raises(RunError, match="this is no ledger"):
        await ChfBooks(tmp_path, URL).open()


async def test_without_books_there_is_nothing_to_read(tmp_path: Path) -> None:
    read = ChfBooks(tmp_path, None)
    await read.open()
    assert (await read.close(), await read.promises_broken(), await read.undelivered()) == ("", {}, "")
    assert not left(tmp_path)
