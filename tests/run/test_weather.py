"""Runs against the embedded sandbox in bad weather."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulator.run.embedded import EmbeddedSandbox, embedded_sandbox
from tests.run.rig import brief, conducted, units

pytestmark = pytest.mark.anyio


async def faults_of(sandbox: EmbeddedSandbox) -> list[dict[str, Any]]:
    async with httpx.AsyncClient(trust_env=False) as client:
        found: list[dict[str, Any]] = (await client.get(f"{sandbox.management}/faults")).json()["faults"]
        return found


async def test_the_weather_of_the_profile_waits_for_the_start_of_the_run(tmp_path: Path) -> None:
    faults = [{"from": "10s", "until": "20s", "endpoint": 2, "outage": True}, {"silence": True}]
    profile = brief(sandbox={"endpoints": 2, "stores": "separate", "faults": faults})
    async with embedded_sandbox(profile, tmp_path) as sandbox:
        assert len(set(sandbox.endpoints)) == 2
        assert sandbox.endpoints[0] == sandbox.n40
        assert [fault["state"] for fault in await faults_of(sandbox)] == ["stopped", "stopped"]
        await sandbox.start_weather(time.monotonic_ns())
        assert [fault["state"] for fault in await faults_of(sandbox)] == ["waiting", "on"]


async def test_a_sandbox_that_died_comes_back_at_its_addresses_and_in_its_weather(tmp_path: Path) -> None:
    profile = brief(sandbox={"endpoints": 2, "faults": [{"silence": True}]})
    async with embedded_sandbox(profile, tmp_path) as sandbox:
        await sandbox.start_weather(time.monotonic_ns())
        before = list(sandbox.endpoints)
        assert sandbox._process is not None
        sandbox._process.kill()
        await sandbox.wait()
        await sandbox.restart()
        assert sandbox.endpoints == before
        assert [fault["state"] for fault in await faults_of(sandbox)] == ["on"]


async def test_a_run_meets_the_weather_of_its_profile() -> None:
    faults = [{"operations": ["update"], "share": "20%", "delay": "5ms"}, {"operations": ["create"], "status": 500}]
    result = await conducted(brief(sandbox={"faults": faults}))
    created = result.summary["operations"]["create"]
    assert created["failed"] == created["requests"] > 0


async def test_answers_lost_before_a_chf_that_charges_repeats_again_are_found_by_the_audit() -> None:
    lost = {"operations": ["update"], "share": "10%", "lose_answer": True}
    twice = {"operations": ["update"], "charge_repeats": True}
    profile = brief(timeouts={"request": "300ms"}, sandbox={"faults": [lost, twice]})
    result = await conducted(profile)
    assert sum(units(result, "double_charged").values()) > 0
    assert result.exit_code == 1


async def test_answers_lost_before_a_chf_by_the_book_are_charged_once() -> None:
    lost = {"operations": ["update"], "share": "10%", "lose_answer": True}
    result = await conducted(brief(timeouts={"request": "300ms"}, sandbox={"faults": [lost]}))
    assert sum(operation["retransmitted"] for operation in result.summary["operations"].values()) > 0
    assert units(result, "double_charged") == {}
