"""Weather made by hand, over the management API, of a sandbox that runs as a service."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from simulator.sandbox.management import management_app
from tests.http2.peers import until
from tests.sandbox.skies import Sky, calling, sky

pytestmark = pytest.mark.anyio


@pytest.fixture
async def found() -> AsyncIterator[Sky]:
    async with sky({"from": "1h", "silence": True}, endpoints=2, stores=2) as each:
        yield each


@pytest.fixture
async def api(found: Sky) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(management_app(*found.endpoints.stores, endpoints=found.endpoints))
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        yield client


async def status(found: Sky, number: int = 1) -> int:
    async with calling(found.endpoint(number)) as smf:
        answer: Any = await smf.create()
        return int(answer.status)


async def test_faults_are_listed_with_their_state(api: httpx.AsyncClient) -> None:
    (fault,) = (await api.get("/faults")).json()["faults"]
    assert fault == {"id": 1, "state": "waiting", "fits": 0, "from": 3600.0, "share": 1.0, "silence": True}


async def test_a_fault_is_added_at_work_and_removed(found: Sky, api: httpx.AsyncClient) -> None:
    added = await api.post("/faults", json={"endpoint": 1, "status": 503})
    assert (added.status_code, added.json()) == (201, {"ids": [2]})
    assert [await status(found, number) for number in (1, 2)] == [503, 201]
    assert [fault["state"] for fault in (await api.get("/faults")).json()["faults"]] == ["waiting", "on"]
    assert (await api.delete("/faults/2")).json() == {"removed": 1}
    assert await status(found) == 201
    assert (await api.delete("/faults/2")).status_code == 404


async def test_several_are_added_at_once_and_all_are_removed(found: Sky, api: httpx.AsyncClient) -> None:
    added = await api.post("/faults", json=[{"status": 500}, {"from": "1h", "outage": True}])
    assert added.json() == {"ids": [2, 3]}
    assert (await api.delete("/faults")).json() == {"removed": 3}
    assert (await api.get("/faults")).json() == {"faults": []}
    assert found.endpoint().server.handler is found.endpoint().plain


async def test_an_outage_by_hand_shows_in_the_endpoints(found: Sky, api: httpx.AsyncClient) -> None:
    await api.post("/faults", json={"endpoint": 2, "outage": True})
    await until(lambda: found.endpoint(2).down)
    one, other = (await api.get("/endpoints")).json()["endpoints"]
    assert (one["number"], one["store"], one["state"]) == (1, 1, "up")
    assert (other["number"], other["store"], other["state"]) == (2, 2, "down")
    await api.delete("/faults")
    await until(lambda: not found.endpoint(2).down)
    assert await status(found, 2) == 201


async def test_endpoints_tell_what_they_did(found: Sky, api: httpx.AsyncClient) -> None:
    await status(found)
    one, other = (await api.get("/endpoints")).json()["endpoints"]
    assert (one["address"], one["requests"], one["responses"]) == (found.endpoint().address, 1, 1)
    assert other["requests"] == 0


async def test_the_clock_starts_all_windows_anew(found: Sky, api: httpx.AsyncClient) -> None:
    await api.post("/faults", json={"until": "1h", "status": 500})
    t0 = time.monotonic_ns() - 2 * 3600 * 1_000_000_000
    assert (await api.post("/faults/clock", json={"t0": t0})).json() == {"t0": t0}
    assert [fault["state"] for fault in (await api.get("/faults")).json()["faults"]] == ["on", "over"]
    assert (await api.post("/faults/clock")).status_code == 200
    assert [fault["state"] for fault in (await api.get("/faults")).json()["faults"]] == ["waiting", "on"]


async def test_totals_count_what_the_weather_did(found: Sky, api: httpx.AsyncClient) -> None:
    assert (await api.get("/totals")).json()["weather"] == {}
    await api.post("/faults", json=[{"endpoint": 1, "status": 503}, {"delay": "1ms"}])
    await status(found, 1)
    await status(found, 2)
    assert (await api.get("/totals")).json()["weather"] == {"delay": 2, "status": 1}


async def test_totals_and_sessions_are_those_of_all_stores(found: Sky, api: httpx.AsyncClient) -> None:
    await status(found, 1)
    await status(found, 2)
    totals = (await api.get("/totals")).json()
    assert totals["sessions"]["created"] == 2
    assert totals["requests"] == {"create": {"201": 2}}
    assert totals["counters"]["data"]["reserved"] == 20_000
    sessions = (await api.get("/sessions")).json()
    assert sessions["open"] == 2
    references = [session["ref"] for session in sessions["sessions"]]
    assert len(set(references)) == 2
    for reference in references:
        assert (await api.get(f"/sessions/{reference}")).status_code == 200


async def test_accounts_are_those_of_one_store(found: Sky, api: httpx.AsyncClient) -> None:
    await api.post("/accounts?store=2", json={"subscriber": "imsi-1", "balances": {"data": 5}})
    assert (await api.get("/accounts/imsi-1?store=2")).status_code == 200
    assert (await api.get("/accounts/imsi-1")).status_code == 404
    assert (await api.get("/accounts?store=3")).json() == {"error": "store: expected a number from 1 to 2"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{", "the body is not JSON"),
        ('{"silance": true}', 'faults.0.silance: unknown key "silance", did you mean "silence"?'),
        ('{"silence": true, "outage": true}', "faults.0: expected exactly one fault, got silence and outage"),
        (
            '[{"silence": true}, {"endpoint": 3, "silence": true}]',
            "faults.1.endpoint: the sandbox has 2 endpoints, got 3",
        ),
        ("7", "faults.0: expected a mapping, got 7"),
    ],
)
async def test_a_slip_is_explained_and_changes_nothing(api: httpx.AsyncClient, body: str, words: str) -> None:
    answer = await api.post("/faults", content=body)
    assert (answer.status_code, answer.json()["error"]) == (400, words)
    assert len((await api.get("/faults")).json()["faults"]) == 1


@pytest.mark.parametrize("body", ["[]", "{}", '{"t0": "now"}', '{"t0": 1e99}', "{"])
async def test_a_clock_that_cannot_be_is_refused(api: httpx.AsyncClient, body: str) -> None:
    assert (await api.post("/faults/clock", content=body)).status_code == 400
