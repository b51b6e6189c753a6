"""The CHFs of the field that the sandbox mimics, and each quirk by itself."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from simulator.config import Quirks
from simulator.http2 import Answer, FailureKind
from tests.http2.peers import until
from tests.sandbox.skies import Caller, Sky, calling, sky
from tests.sandbox.smf import COLLECTION, KB, ask, message, used

pytestmark = pytest.mark.anyio


async def said(smf: Caller, path: bytes, document: object, **options: Any) -> Answer:
    result = await smf.call(path, document, **options)
    assert isinstance(result, Answer), result
    return result


def path_of(answer: Answer) -> bytes:
    """The session's path, however Location tells it."""
    return COLLECTION + b"/" + (answer.header(b"location") or b"").rpartition(b"/")[2]


def event() -> dict[str, Any]:
    return message(0, [ask(200)], oneTimeEvent=True, oneTimeEventType="IEC")


async def test_sigscale_answers_as_it_does() -> None:
    async with sky(quirks="sigscale") as found, calling(found.endpoint()) as smf:
        opened = await said(smf, COLLECTION, message(0, [ask(300)]))
        assert (opened.header(b"location") or b"").startswith(COLLECTION + b"/")
        assert not orjson.loads(opened.body)["invocationTimeStamp"].endswith("Z")
        released = await said(smf, path_of(opened) + b"/release", message(1, [used(300, totalVolume=KB)]))
        assert released.status == 200
        assert orjson.loads(released.body)["invocationSequenceNumber"] == 1
        assert not orjson.loads(released.body)["invocationTimeStamp"].endswith("Z")
        unknown = await said(smf, COLLECTION + b"/nothing/update", message(1, [ask(300)]))
        assert (unknown.status, unknown.body, unknown.header(b"content-type")) == (404, b"", None)
        without = message(0, [])
        del without["multipleUnitUsage"]
        assert (await said(smf, COLLECTION, without)).status == 400
        refused = await said(
            smf, COLLECTION, message(0, [ask(300)]), headers=((b"accept", b"application/problem+json"),)
        )
        assert refused.status == 406
        broke = await said(smf, COLLECTION, message(0, [ask(200, serviceSpecificUnits=9)], oneTimeEvent=True))
        assert (broke.status, orjson.loads(broke.body)["cause"]) == (403, "QUOTA_LIMIT_REACHED")


async def test_free5gc_answers_as_it_does() -> None:
    async with sky(quirks="free5gc") as found, calling(found.endpoint()) as smf:
        opened = await said(smf, COLLECTION, message(0, [ask(300)]))
        assert (opened.header(b"location") or b"").startswith(b"http://chf" + COLLECTION + b"/")
        assert "multipleUnitInformation" not in orjson.loads(opened.body)
        updated = await said(smf, path_of(opened) + b"/update", message(1, [ask(300)]))
        (entry,) = orjson.loads(updated.body)["multipleUnitInformation"]
        assert entry["grantedUnit"] == {"totalVolume": 10 * KB}
        assert entry["finalUnitIndication"] == {"finalUnitAction": ""}
        assert (await said(smf, path_of(opened) + b"/release", message(2, []))).status == 204
        once = await said(smf, COLLECTION, event())
        assert once.header(b"location") == b"http://chf" + COLLECTION + b"/"
        unknown = await said(smf, COLLECTION + b"/nothing/update", message(1, [ask(300)]))
        assert (unknown.status, orjson.loads(unknown.body)) == (404, {"status": 404})


async def test_totogi_answers_with_bare_references() -> None:
    async with sky(quirks="totogi") as found, calling(found.endpoint()) as smf:
        opened = await said(smf, COLLECTION, message(0, [ask(300)]))
        assert b"/" not in (opened.header(b"location") or b"/")
        updated = await said(smf, path_of(opened) + b"/update", message(1, [ask(300)]))
        assert updated.header(b"location") == opened.header(b"location")


@pytest.mark.parametrize("accept", [b"application/problem+json, application/json", b"*/*", b"application/json;q=0.9"])
async def test_who_accepts_json_as_well_is_served(accept: bytes) -> None:
    async with sky(quirks="sigscale") as found, calling(found.endpoint()) as smf:
        assert (await said(smf, COLLECTION, message(0, [ask(300)]), headers=((b"accept", accept),))).status == 201


async def test_octets_that_are_no_json_get_the_answer_of_the_charging_function() -> None:
    for quirks in ("sigscale", "free5gc", "totogi"):
        async with sky(quirks=quirks) as found, calling(found.endpoint()) as smf:
            assert (await said(smf, COLLECTION, [1, 2])).status == 400


async def test_too_many_frames_on_a_connection_end_it() -> None:
    quirks = Quirks.model_validate({"frames": {"count": 30, "within": "10s"}})
    async with sky(quirks=quirks) as found, calling(found.endpoint()) as smf:
        assert found.endpoint().server.handler is found.endpoint().plain
        for _ in range(25):
            await smf.create()
        await until(lambda: smf.pool.statistics().goaways >= 1)
        assert found.endpoint().server.statistics().accepted > 1


async def test_frames_that_come_slowly_enough_end_nothing() -> None:
    quirks = Quirks.model_validate({"frames": {"count": 8, "within": "20ms"}})
    async with sky(quirks=quirks) as found, calling(found.endpoint()) as smf:
        for _ in range(10):
            assert isinstance(await smf.create(), Answer)
            await asyncio.sleep(0.03)
        assert smf.pool.statistics().goaways == 0


async def cancel(smf: Caller, count: int) -> list[object]:
    return [await smf.create(deadline_s=0.02) for _ in range(count)]


async def test_too_many_cancelled_streams_end_a_connection() -> None:
    quirks = Quirks.model_validate({"cancelled_streams": 3})
    async with sky({"silence": True}, quirks=quirks) as found, calling(found.endpoint()) as smf:
        await cancel(smf, 3)
        assert smf.pool.statistics().goaways == 0
        await cancel(smf, 1)
        await until(lambda: smf.pool.statistics().goaways == 1)


async def test_an_idle_connection_is_closed() -> None:
    quirks = Quirks.model_validate({"idle": "80ms"})
    async with sky(quirks=quirks) as found, calling(found.endpoint()) as smf:
        assert isinstance(await smf.create(), Answer)
        await until(lambda: smf.pool.statistics().goaways == 1)


async def test_a_connection_in_use_is_not_idle() -> None:
    quirks = Quirks.model_validate({"idle": "150ms"})
    async with sky(quirks=quirks) as found, calling(found.endpoint()) as smf:
        for _ in range(6):
            assert isinstance(await smf.create(), Answer)
            await asyncio.sleep(0.04)
        assert smf.pool.statistics().goaways == 0


async def test_faults_and_quirks_go_together() -> None:
    async with sky({"operations": ["release"], "lose_answer": True}, quirks="sigscale") as found:
        await lose_a_release(found)


async def lose_a_release(found: Sky) -> None:
    async with calling(found.endpoint()) as smf:
        opened = await said(smf, COLLECTION, message(0, [ask(300)]))
        lost = await smf.call(path_of(opened) + b"/release", message(1, [used(300, totalVolume=KB)]), deadline_s=0.1)
        assert not isinstance(lost, Answer)
        assert lost.kind is FailureKind.TIMEOUT
        assert found.chf.ended["released"] == 1
