"""The management API."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import orjson
import pytest

from simulator.sandbox import Chf
from simulator.sandbox.management import management_app
from simulator.sandbox.notifier import Kind, Notifier
from simulator.sandbox.sessions import Session
from simulator.sandbox.tokens import Tokens
from simulator.web import MAX_BODY
from tests.sandbox.smf import KB, SUBSCRIBER, Smf, ask, plan, used

pytestmark = pytest.mark.anyio


@pytest.fixture
async def api(smf: Smf) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(management_app(smf.chf))
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        yield client


async def read(api: httpx.AsyncClient, path: str, **query: str | int) -> Any:
    answer = await api.get(path, params=query)
    assert answer.status_code == 200
    return answer.json()


async def test_it_is_healthy(api: httpx.AsyncClient) -> None:
    assert await read(api, "/healthz") == {"status": "ok"}


async def test_totals_tell_what_was_asked_reported_and_debited(smf: Smf, api: httpx.AsyncClient) -> None:
    session = smf.open(ask(300), ask(400))
    smf.update(session, 1, used(300, totalVolume=2 * KB), used(400, serviceSpecificUnits=3))
    smf.update(session, 1, used(300, totalVolume=2 * KB), used(400, serviceSpecificUnits=3))
    smf.event("IEC", ask(200, serviceSpecificUnits=9))
    smf.create({"ratingGroup": "x"})
    told = await read(api, "/totals")
    assert told["units"] == {"totalVolume": 2 * KB, "serviceSpecificUnits": 3, "time": 0}
    assert told["counters"]["data"] == {"debited": 2 * KB, "reserved": 8 * KB}
    assert told["counters"]["money"] == {"debited": 5, "reserved": 10}
    assert told["requests"] == {
        "create": {"201": 1, "400": 1},
        "event": {"403": 1},
        "update": {"200": 1, "repeated": 1},
    }
    assert told["repeats"] == 1
    assert told["sessions"] == {"open": 1, "created": 1, "released": 0, "expired": 0}
    assert told["promises"] == {"negative_balance": 0, "reserved_too_much": 0}
    assert told["tokens"] is None
    assert told["notifications"]["sent"] == 0


async def test_an_account_is_read_with_all_its_balances(smf: Smf, api: httpx.AsyncClient) -> None:
    smf.open(ask(300))
    account = await read(api, f"/accounts/{SUBSCRIBER}")
    assert account["subscriber"] == SUBSCRIBER
    assert account["balances"]["data"] == {"total": 100 * KB, "available": 90 * KB, "reserved": 10 * KB, "used": 0}
    assert account["balances"]["sms"]["available"] == 3


async def test_accounts_are_read_page_by_page(smf: Smf, api: httpx.AsyncClient) -> None:
    names = [f"imsi-00101000000000{number}" for number in range(5)]
    for name in names:
        smf.open(ask(300), subscriber=name)
    seen: list[str] = []
    query: dict[str, str | int] = {"limit": 2}
    while True:
        page = await read(api, "/accounts", **query)
        seen += [account["subscriber"] for account in page["accounts"]]
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert seen == names


async def test_an_account_is_created_and_credited(smf: Smf, api: httpx.AsyncClient) -> None:
    document = {"subscriber": "imsi-1", "balances": {"data": 5 * KB}}
    first = await api.post("/accounts", json=document)
    second = await api.post("/accounts", json=document)
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json()["balances"] == {"data": {"total": 10 * KB, "available": 10 * KB, "reserved": 0, "used": 0}}
    assert smf.create(ask(300, totalVolume=20 * KB), subscriber="imsi-1").granted(300) == 10 * KB


async def test_a_top_up_adds_to_a_provisioned_account(smf: Smf, api: httpx.AsyncClient) -> None:
    smf.open(ask(300))
    answer = await api.post("/accounts", json={"subscriber": SUBSCRIBER, "balances": {"data": KB}})
    assert answer.json()["balances"]["data"]["total"] == 101 * KB


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 10_000, "not JSON"),
        (b"[]", "expected"),
        (b'{"subscribr":"x"}', "expected"),
        (b"{}", "subscriber"),
        (b'{"subscriber":""}', "subscriber"),
        (b'{"subscriber":"a\\nb"}', "subscriber"),
        (b'{"subscriber":"x","balances":[]}', "balances"),
        (b'{"subscriber":"x","balances":{"dat":1}}', "balances.dat: the plan has data, money, sms, voice"),
        (b'{"subscriber":"x","balances":{"data":-1}}', "balances.data"),
        (b'{"subscriber":"x","balances":{"data":1.5}}', "balances.data"),
        (b'{"subscriber":"x","balances":{"data":true}}', "balances.data"),
    ],
)
async def test_a_wrong_credit_is_refused(smf: Smf, api: httpx.AsyncClient, body: bytes, words: str) -> None:
    answer = await api.post("/accounts", content=body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]
    assert len(smf.chf.accounts) == 0


async def test_a_body_that_is_too_large_is_refused(api: httpx.AsyncClient) -> None:
    answer = await api.post("/accounts", content=b" " * (MAX_BODY + 1))
    assert answer.status_code == 413


@pytest.mark.parametrize("limit", ["0", "-1", "x", "10001", "", "1e3", "９", "99999999999999999999"])
@pytest.mark.parametrize("path", ["/accounts", "/sessions"])
async def test_a_wrong_limit_is_refused(api: httpx.AsyncClient, path: str, limit: str) -> None:
    answer = await api.get(path, params={"limit": limit})
    assert answer.status_code == 400
    assert "limit" in answer.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/accounts/nobody", 404),
        ("GET", "/sessions/9-9", 404),
        ("GET", "/sessions/%C3%A9", 404),
        ("GET", "/accounts?after=nobody", 400),
        ("DELETE", "/accounts", 405),
        ("GET", "/notify", 405),
        ("POST", "/tokens/revoke", 409),
        ("POST", "/totals", 405),
    ],
)
async def test_every_error_is_json(api: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    answer = await api.request(method, path)
    assert answer.status_code == status
    assert answer.json()["error"]


async def test_sessions_are_read_with_their_quotas(smf: Smf, api: httpx.AsyncClient) -> None:
    session = smf.open(ask(300), charging_id=7)
    smf.open(ask(300), charging_id=8, subscriber="imsi-2")
    smf.update(session, 1, used(300, totalVolume=KB))
    everything = await read(api, "/sessions")
    assert everything["open"] == 2
    assert [each["charging_id"] for each in everything["sessions"]] == [8, 7]
    (told,) = (await read(api, "/sessions", subscriber=SUBSCRIBER))["sessions"]
    assert told["sequence"] == 1
    assert told["rating_groups"]["300"] | {"granted_left": 9 * KB, "reserved": 9 * KB} == told["rating_groups"]["300"]
    one = await read(api, f"/sessions/{told['ref']}")
    assert one["rating_groups"] == told["rating_groups"]


async def test_the_ledger_is_read_as_ndjson(api: httpx.AsyncClient, smf: Smf) -> None:
    for number in range(600):
        session = smf.open(ask(310), charging_id=number)
        smf.update(session, 1, used(310, totalVolume=number))
        if number % 2:
            smf.release(session, 2)
    answer = await api.get("/ledger")
    assert answer.headers["content-type"] == "application/x-ndjson"
    records = [orjson.loads(line) for line in answer.content.splitlines()]
    assert sorted(record["units"] for record in records) == list(range(600))
    assert {record["open"] for record in records if record["units"] % 2} == {False}


async def test_sums_beyond_64_bits_can_be_read(smf: Smf, api: httpx.AsyncClient) -> None:
    session = smf.open(ask(310))
    report = used(310, totalVolume=2**64 - 1)
    report["usedUnitContainer"] *= 2
    smf.update(session, 1, report)
    assert (await read(api, "/totals"))["units"]["totalVolume"] == 2 * (2**64 - 1)


def test_the_ledger_tells_each_session_once_while_they_end() -> None:
    """Sessions end between the chunks: each is told once, as it was or as it ended."""
    smf = Smf(Chf(plan()))
    paths = []
    for number in range(1000):
        paths.append(smf.open(ask(310), charging_id=number))
        smf.update(paths[-1], 1, used(310, totalVolume=1))
    for path in paths[:500]:
        smf.release(path, 2)
    chunks = []
    for index, chunk in enumerate(smf.chf.ledger.chunks(smf.chf.sessions)):
        chunks.append(chunk)
        for path in paths[500 + 100 * index : 600 + 100 * index]:
            smf.release(path, 2)
    keys = [orjson.loads(line)["key"] for line in b"".join(chunks).splitlines()]
    assert len(keys) == len(set(keys)) == 1000


class Recorded(Notifier):
    """Notes what it would send."""

    def __init__(self, smf: Smf) -> None:
        super().__init__(smf.chf.sessions)
        self.told: list[tuple[bytes, Kind, list[int]]] = []

    def notify(self, session: Session, kind: Kind, rating_groups: Any = ()) -> bool:
        self.told.append((session.reference, kind, list(rating_groups)))
        return True


@pytest.fixture
def recorded(smf: Smf) -> Recorded:
    for number, subscriber in enumerate([SUBSCRIBER, "imsi-2", SUBSCRIBER]):
        smf.open(ask(300), charging_id=number, subscriber=subscriber)
    return Recorded(smf)


@pytest.fixture
async def notify(smf: Smf, recorded: Recorded) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(management_app(smf.chf, notifiers=[recorded]))
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        yield client
    await recorded.aclose()


async def test_a_session_or_a_subscriber_is_notified(notify: httpx.AsyncClient, recorded: Recorded) -> None:
    answer = await notify.post("/notify", json={"session": "1-2", "type": "ABORT_CHARGING"})
    assert (answer.status_code, answer.json()) == (202, {"sessions": 1, "sent": 1})
    answer = await notify.post("/notify", json={"subscriber": SUBSCRIBER, "rating_groups": [300]})
    assert (answer.status_code, answer.json()) == (202, {"sessions": 2, "sent": 2})
    assert recorded.told == [
        (b"1-2", "ABORT_CHARGING", []),
        (b"1-1", "REAUTHORIZATION", [300]),
        (b"1-3", "REAUTHORIZATION", [300]),
    ]


async def test_a_storm_is_started_and_stopped(notify: httpx.AsyncClient, recorded: Recorded) -> None:
    answer = await notify.post("/notify", json={"share": 1, "rate": 0.001, "type": "ABORT_CHARGING"})
    assert (answer.status_code, answer.json()) == (202, {"sessions": 3, "rate": 0.001})
    while not recorded.told:  # noqa: ASYNC110 - the storm is a task of its own
        await anyio.sleep(0.001)
    assert (await read(notify, "/totals"))["notifications"]["storm_left"] == 2
    assert (await notify.delete("/notify")).json() == {"stopped": True, "left": 2}
    assert (await notify.delete("/notify")).json() == {"stopped": False, "left": 0}
    assert len(recorded.told) == 1


@pytest.mark.parametrize(
    ("document", "status", "words"),
    [
        ([], 400, "expected"),
        ({}, 400, "expected"),
        ({"subscriber": "imsi-2", "share": 1}, 400, "expected"),
        ({"subscriber": "imsi-9"}, 404, "no open session of imsi-9"),
        ({"session": "9-9"}, 404, "no open session of 9-9"),
        ({"session": 5}, 404, "no open session of 5"),
        ({"session": "1-2", "rate": 5}, 400, "rate: does not belong here"),
        ({"session": "1-2", "tpye": "x"}, 400, "tpye: does not belong here"),
        ({"session": "1-2", "type": "ABORT"}, 400, "type: expected REAUTHORIZATION or ABORT_CHARGING"),
        ({"session": "1-2", "type": []}, 400, "type"),
        ({"session": "1-2", "rating_groups": 300}, 400, "rating_groups"),
        ({"session": "1-2", "rating_groups": [-1]}, 400, "rating_groups"),
        ({"session": "1-2", "rating_groups": [True]}, 400, "rating_groups"),
        ({"share": 0}, 400, "share"),
        ({"share": 1.5}, 400, "share"),
        ({"share": "1"}, 400, "share"),
        ({"share": True}, 400, "share"),
        ({"share": 1, "rate": 0}, 400, "rate"),
        ({"share": 1, "rate": 10**9}, 400, "rate"),
    ],
)
async def test_a_wrong_notify_is_refused(
    notify: httpx.AsyncClient, recorded: Recorded, document: Any, status: int, words: str
) -> None:
    answer = await notify.post("/notify", json=document)
    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert recorded.told == []


async def test_tokens_are_revoked_and_counted() -> None:
    chf = Chf(plan(), tokens=Tokens(60))
    assert chf.tokens is not None
    form = b"grant_type=client_credentials&nfInstanceId=1"
    headers = [(b"content-type", b"application/x-www-form-urlencoded")]
    now = time.monotonic_ns()
    chf.handle(b"POST", b"/oauth2/token", headers, form, now)
    chf.handle(b"POST", b"/oauth2/token", headers, b"", now)
    transport = httpx.ASGITransport(management_app(chf))
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        told = (await client.get("/totals")).json()["tokens"]
        assert told == {"valid": 1, "issued": 1, "refused": 1, "rejected_requests": 0}
        assert (await client.post("/tokens/revoke")).json() == {"revoked": 1}
        assert (await client.get("/totals")).json()["tokens"]["valid"] == 0
