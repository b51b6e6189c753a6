"""The audit's own control and the grant oracle, with real processes: what is wrong is found, and the run fails."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from simulator.config import Profile
from simulator.run import books
from simulator.run.embedded import read_promises
from simulator.run.options import Result
from tests.run.rig import brief, conducted, sandbox_process, sound, units
from tests.world import MESSAGE, REPORT, traffic

pytestmark = pytest.mark.anyio


async def posted(url: str, document: Any) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        (await client.post(url, json=document)).raise_for_status()


async def totals_of(management: str) -> dict[str, Any]:
    async with httpx.AsyncClient(trust_env=False) as client:
        found: dict[str, Any] = (await client.get(f"{management}/totals")).json()
        return found


async def beside(sandbox: dict[str, str], profile: Profile) -> Result:
    """A run against a sandbox of its own, whose books it reads."""
    return await conducted(profile, targets=[sandbox["n40"]], ledger=f"{sandbox['management']}/ledger")


async def test_every_event_that_is_charged_again_is_found_and_the_run_fails() -> None:
    """The audit's own control: it finds as many as the sandbox counted, each of one unit."""
    load = {"mode": "closed", "devices": 10, "sessions": 60, "duration": "20s"}
    usages = {"message": MESSAGE, "report": REPORT}
    profile = traffic(load, usages=usages, pace="flat-out", repeats=3, timeouts={"request": "200ms"})
    with sandbox_process() as sandbox:
        faults = [{"operations": ["event"], "share": "20%", "lose_answer": True}, {"charge_repeats": True}]
        await posted(f"{sandbox['management']}/faults", faults)
        result = await beside(sandbox, profile)
        counted = (await totals_of(sandbox["management"]))["weather"]["charge_repeats"]
    assert counted > 0
    assert units(result, "double_charged") == {"serviceSpecificUnits": counted}
    assert result.summary["audit"]["offending"] <= counted
    assert (result.verdict, result.exit_code) in {("fail", 1), ("invalid", 3)}  # a busy machine limits the generator
    assert any("charged twice" in why for why in result.why)


async def test_the_same_events_at_a_chf_by_the_book_are_charged_once_and_pass() -> None:
    load = {"mode": "closed", "devices": 10, "sessions": 60, "duration": "20s"}
    lost = {"operations": ["event"], "share": "20%", "lose_answer": True}
    profile = traffic(
        load, usages={"message": MESSAGE}, pace="flat-out", repeats=3, timeouts={"request": "200ms"},
        sandbox={"faults": [lost]},
    )  # fmt: skip
    result = await conducted(profile)
    assert result.summary["all"]["retransmitted"] > 0
    assert units(result, "double_charged") == {}
    assert result.summary["promises_broken"] == {}
    assert sound(result), result.why


async def test_answers_with_another_sequence_number_are_found_and_fail_the_run_in_one_line() -> None:
    wrong = {"operations": ["update", "event"], "share": "30%", "wrong_sequence": True}
    result = await conducted(brief(sandbox={"faults": [wrong]}))
    broken = result.summary["promises_broken"]
    assert set(broken) == {"WRONG_SEQUENCE_NUMBER"}
    (line,) = [why for why in result.why if "promise" in why]
    assert line.startswith("the CHF broke its promises: it answered with another sequence number (")
    assert result.exit_code in (1, 3)


async def test_a_threshold_may_forgive_broken_promises() -> None:
    wrong = {"operations": ["update"], "share": "30%", "wrong_sequence": True}
    result = await conducted(brief(sandbox={"faults": [wrong]}, thresholds=["promises_broken < 1000"]))
    assert result.summary["promises_broken"]["WRONG_SEQUENCE_NUMBER"] > 0
    assert sound(result), result.why


async def test_what_a_sandbox_says_of_itself_counts_from_the_beginning_of_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It had broken promises before, and broke one of them again."""
    said = iter([{"NEGATIVE_BALANCE": 7, "RESERVED_TOO_MUCH": 2}, {"NEGATIVE_BALANCE": 8, "RESERVED_TOO_MUCH": 2}])

    async def read(url: str) -> dict[str, int]:
        assert url.endswith("/ledger")
        return next(said)

    monkeypatch.setattr(books, "read_promises", read)
    with sandbox_process() as sandbox:
        result = await beside(sandbox, brief())
    assert result.summary["promises_broken"] == {"NEGATIVE_BALANCE": 1}
    assert "the CHF broke its promises: a balance went below zero (once)" in result.why
    assert result.exit_code in (1, 3)  # a busy machine limits the generator


async def test_promises_are_read_beside_the_ledger_of_a_sandbox_and_nowhere_else() -> None:
    with sandbox_process() as sandbox:
        none = {"NEGATIVE_BALANCE": 0, "RESERVED_TOO_MUCH": 0}
        assert await read_promises(f"{sandbox['management']}/ledger") == none
        for other in ("/records", "/x/ledger", "/ledger?page=1"):
            assert await read_promises(sandbox["management"] + other) == {}
    assert await read_promises("http://127.0.0.1:1/ledger") == {}
