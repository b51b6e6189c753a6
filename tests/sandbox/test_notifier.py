"""Notifications, to a real HTTP/2 server."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest

from simulator.http2 import Server, ServerRequest, client_tls
from simulator.sandbox import Chf, notifier
from simulator.sandbox.notifier import Hosts, Notifier, Storm
from simulator.sandbox.sessions import Session
from tests.http2.conftest import Certificates
from tests.http2.peers import free_port, until
from tests.sandbox.smf import KB, SUBSCRIBER, Smf, ask, plan
from tests.sandbox.strict import strict_validator

pytestmark = pytest.mark.anyio
SECOND = 1_000_000_000


class Consumer:
    """An SMF that is notified; `status` is what it answers, None: nothing."""

    def __init__(self) -> None:
        self.status: int | None = 204
        self.headers: list[tuple[bytes, bytes]] = []
        self.got: list[ServerRequest] = []
        self.server: Server

    def answer(self, request: ServerRequest) -> None:
        self.got.append(request)
        if self.status is not None:
            request.respond(self.status, self.headers)

    def uri(self, path: str, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.server.port}{path}"

    def said(self, place: int = 0) -> Any:
        return orjson.loads(self.got[place].body)


@asynccontextmanager
async def consuming(**options: Any) -> AsyncIterator[Consumer]:
    consumer = Consumer()
    consumer.server = await Server.serve(consumer.answer, "127.0.0.1", 0, **options)
    try:
        yield consumer
    finally:
        await consumer.server.aclose()


@asynccontextmanager
async def notifying(smf: Smf, **options: Any) -> AsyncIterator[Notifier]:
    sender = Notifier(smf.chf.sessions, **options)
    try:
        yield sender
    finally:
        await sender.aclose()


def open_at(smf: Smf, uri: str, charging_id: int = 1) -> Session:
    said = smf.create(ask(310), charging_id=charging_id, notifyUri=uri)
    session = smf.chf.sessions.get((said.reply.header(b"location") or b"").rpartition(b"/")[2])
    assert session is not None
    return session


async def outcome(sender: Notifier, session: Session, kind: notifier.Kind = "REAUTHORIZATION", *groups: int) -> str:
    """What becomes of one notification."""
    before = Counter(sender.results)
    sender.notify(session, kind, groups)
    await until(lambda: sender.results != before)
    ((_, what),) = (sender.results - before).keys()
    return what


async def test_a_session_is_asked_to_report(smf: Smf, reference: Path) -> None:
    schema = strict_validator(reference, "ChargingNotifyRequest")
    async with consuming() as consumer, notifying(smf) as sender:
        session = open_at(smf, consumer.uri("/nsmf-callback/n40/w3/17?x=1#y"))
        assert await outcome(sender, session, "REAUTHORIZATION", 300, 100) == "204"
        assert await outcome(sender, session) == "204"
        assert await outcome(sender, session, "ABORT_CHARGING", 300) == "204"
        first = consumer.got[0]
        assert (first.method, first.path) == (b"POST", b"/nsmf-callback/n40/w3/17?x=1")
        assert first.header(b":authority") == b"127.0.0.1:%d" % consumer.server.port
        assert first.header(b"content-type") == b"application/json"
        assert consumer.said() == {
            "notificationType": "REAUTHORIZATION",
            "reauthorizationDetails": [{"ratingGroup": 300}, {"ratingGroup": 100}],
        }
        assert consumer.said(1) == {"notificationType": "REAUTHORIZATION"}
        assert consumer.said(2) == {"notificationType": "ABORT_CHARGING"}
        for place in range(3):
            schema.validate(consumer.said(place))


@pytest.mark.parametrize("status", [200, 404, 503])
async def test_answers_are_counted_by_status(smf: Smf, status: int) -> None:
    async with consuming() as consumer, notifying(smf) as sender:
        consumer.status = status
        assert await outcome(sender, open_at(smf, consumer.uri("/x"))) == str(status)
        assert sender.document()["results"] == {"REAUTHORIZATION": {str(status): 1}}


async def test_a_redirect_is_not_followed(smf: Smf) -> None:
    async with consuming() as consumer, consuming() as other, notifying(smf) as sender:
        consumer.status = 307
        consumer.headers = [(b"location", other.uri("/x").encode())]
        assert await outcome(sender, open_at(smf, consumer.uri("/x"))) == "307"
        assert (len(consumer.got), len(other.got)) == (1, 0)


async def test_a_consumer_that_does_not_listen_is_a_failure(smf: Smf) -> None:
    async with notifying(smf) as sender:
        session = open_at(smf, f"http://127.0.0.1:{free_port()}/x")
        assert await outcome(sender, session) == "failed"
        assert "connection refused" in sender.problem
        assert await outcome(sender, session) == "failed"
        assert sender.in_flight == 0


async def test_a_consumer_that_listens_later_is_reached(smf: Smf) -> None:
    port = free_port()
    async with notifying(smf) as sender:
        session = open_at(smf, f"http://127.0.0.1:{port}/x")
        assert await outcome(sender, session) == "failed"
        consumer = Consumer()
        consumer.server = await Server.serve(consumer.answer, "127.0.0.1", port)
        try:
            assert await outcome(sender, session) == "204"
        finally:
            await consumer.server.aclose()


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("", "no_uri"),
        ("smf.example/x", "no_uri"),
        ("ftp://127.0.0.1/x", "no_uri"),
        ("file:///etc/passwd", "no_uri"),
        ("http://127.0.0.1:99999/x", "no_uri"),
        ("http://user@127.0.0.1/x", "no_uri"),
        ("http:///x", "no_uri"),
        ("http://127.0.0.1/a b", "no_uri"),
        ("http://127.0.0.1/a\r\nx: y", "no_uri"),
        ("http://127.0.0.1/é", "no_uri"),
        ("http://169.254.169.254/latest", "not_allowed"),
        ("http://10.1.2.3/x", "not_allowed"),
        ("http://0.0.0.0/x", "not_allowed"),
        ("http://2130706433/x", "not_allowed"),
        ("http://[2001:db8::1]/x", "not_allowed"),
        ("http://[::ffff:10.1.2.3]/x", "not_allowed"),
        ("http://localhost.example/x", "not_allowed"),
        ("http://smf.example/x", "not_allowed"),
    ],
)
async def test_what_is_not_sent_to(smf: Smf, uri: str, expected: str) -> None:
    async with notifying(smf) as sender:
        session = open_at(smf, uri)
        for _ in range(2):
            assert await outcome(sender, session) == expected
        assert (sender.sent, sender.in_flight) == (0, 0)


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("smf-1", True),
        ("SMF-1", False),  # the target of a URI is in lower case
        ("10.9.1.2", True),
        ("10.10.1.2", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
    ],
)
async def test_hosts_are_allowed_by_name_address_or_network(host: str, allowed: bool) -> None:
    assert (host in Hosts(["Smf-1", "10.9.0.0/16", "192.0.2.7"])) is allowed


async def test_notifications_under_way_are_bounded(smf: Smf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifier, "MAX_IN_FLIGHT", 3)
    async with consuming() as consumer, notifying(smf) as sender:
        consumer.status = None
        session = open_at(smf, consumer.uri("/x"))
        assert [sender.notify(session, "ABORT_CHARGING") for _ in range(4)] == [True, True, True, False]
        assert sender.results["ABORT_CHARGING", "failed"] == 1
        await until(lambda: len(consumer.got) == 3)
        for request in consumer.got:
            request.respond(204, [])
        await until(lambda: sender.in_flight == 0)
        assert sender.notify(session, "ABORT_CHARGING")


async def test_authorities_are_bounded_and_forgotten_when_nothing_is_sent_to_them(
    smf: Smf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifier, "MAX_AUTHORITIES", 1)
    monkeypatch.setattr(notifier, "IDLE_S", 0.02)
    async with consuming() as one, consuming() as two, notifying(smf) as sender:
        first, second = open_at(smf, one.uri("/1"), 1), open_at(smf, two.uri("/2"), 2)
        assert await outcome(sender, first) == "204"
        assert await outcome(sender, second) == "failed"
        assert "authorities are notified already" in sender.problem
        housekeeping = asyncio.get_running_loop().create_task(sender.run())
        await until(lambda: sender.document()["authorities"] == 0)
        assert await outcome(sender, second) == "204"
        housekeeping.cancel()
        await asyncio.wait([housekeeping])
        await until(lambda: one.server.statistics().connections == 0)


async def test_a_consumer_is_notified_over_tls(smf: Smf, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)

    def make_tls() -> Any:
        certificate, key = certificates.client_files
        return client_tls(ca_file=certificates.ca_file, certificate=certificate, key=key)

    async with consuming(tls=certificates.server(mutual=True)) as consumer, notifying(smf, make_tls=make_tls) as sender:
        assert await outcome(sender, open_at(smf, consumer.uri("/x", "localhost", "https"))) == "204"


async def test_a_consumer_whose_certificate_is_not_trusted_is_not_notified(smf: Smf, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    async with consuming(tls=certificates.server()) as consumer, notifying(smf) as sender:
        assert await outcome(sender, open_at(smf, consumer.uri("/x", "localhost", "https"))) == "failed"
        assert "certificate" in sender.problem
        assert consumer.got == []


async def test_nghttpd_is_notified(smf: Smf, require_tool: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "callback").write_text("{}")
    port = free_port()
    server = await asyncio.create_subprocess_exec(require_tool("nghttpd"), "-d", str(tmp_path), "--no-tls", str(port))
    try:
        async with notifying(smf) as sender:
            session = open_at(smf, f"http://127.0.0.1:{port}/callback")
            async with asyncio.timeout(10):
                while await outcome(sender, session) != "200":  # noqa: ASYNC110 - the program opens its port when it likes
                    await asyncio.sleep(0.01)
            assert await outcome(sender, open_at(smf, f"http://127.0.0.1:{port}/none", 2)) == "404"
    finally:
        server.kill()
        await server.wait()


# Storms.


def many(smf: Smf, consumer: Consumer, count: int) -> None:
    for number in range(count):
        open_at(smf, consumer.uri(f"/w1/{number}"), number + 1)


async def test_a_storm_reaches_every_session_once(smf: Smf) -> None:
    async with consuming() as consumer, notifying(smf) as sender:
        many(smf, consumer, 5000)
        sender.storm("REAUTHORIZATION", 50_000, rating_groups=[310])
        await until(lambda: sender.results["REAUTHORIZATION", "204"] == 5000)
        assert len({request.path for request in consumer.got}) == len(consumer.got) == 5000
        await until(lambda: sender.blowing is None)
        assert sender.stop() is False


async def test_a_storm_may_be_of_a_share_of_the_sessions(smf: Smf) -> None:
    async with consuming() as consumer, notifying(smf) as sender:
        many(smf, consumer, 1000)
        storm = sender.storm("ABORT_CHARGING", 100_000, 0.3)
        assert storm.left == 300
        await until(lambda: sender.results["ABORT_CHARGING", "204"] == 300)
        # Spread over all of them.
        numbers = sorted(int(request.path.rpartition(b"/")[2]) for request in consumer.got)
        assert max(later - number for number, later in pairwise(numbers)) == 4


async def test_a_storm_leaves_out_sessions_that_have_ended(smf: Smf) -> None:
    async with consuming() as consumer, notifying(smf) as sender:
        many(smf, consumer, 20)
        sender.storm("ABORT_CHARGING", 100_000)
        for session in list(smf.chf.sessions)[10:]:
            smf.release(b"/nchf-convergedcharging/v3/chargingdata/" + session.reference, 1)
        await until(lambda: sender.blowing is None and sender.in_flight == 0)
        assert len(consumer.got) == 10


async def test_a_storm_can_be_stopped_and_another_one_ends_it(smf: Smf) -> None:
    async with consuming() as consumer, notifying(smf) as sender:
        many(smf, consumer, 100)
        sender.storm("ABORT_CHARGING", 1)
        await until(lambda: len(consumer.got) == 1)
        assert sender.document()["storm_left"] == 99
        sender.storm("REAUTHORIZATION", 1)
        await until(lambda: len(consumer.got) == 2)
        assert sender.stop()
        assert sender.blowing is None
        assert (sender.results["ABORT_CHARGING", "204"], sender.sent) == (1, 2)


def is_full(sender: Notifier, consumer: Consumer, answered: int) -> bool:
    """Whether as many are under way as may be: four, or those that are left."""
    return sender.in_flight == min(4, 10 - answered) == len(consumer.got) - answered


async def test_a_storm_waits_for_consumers_that_are_slow(smf: Smf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifier, "MAX_IN_FLIGHT", 4)
    async with consuming() as consumer, notifying(smf) as sender:
        many(smf, consumer, 10)
        consumer.status = None
        sender.storm("REAUTHORIZATION", 100_000)
        for answered in range(10):
            await until(partial(is_full, sender, consumer, answered))
            consumer.got[answered].respond(204, [])
        await until(lambda: sender.results["REAUTHORIZATION", "204"] == 10)
        assert sender.results["REAUTHORIZATION", "failed"] == 0


async def test_the_pace_of_a_storm() -> None:
    storm = Storm("REAUTHORIZATION", 10, [b"%d" % number for number in range(25)])
    assert storm.due(0, 99) == [b"0"]
    assert storm.due(SECOND // 10 - 1, 99) == []
    assert storm.due(SECOND // 10, 99) == [b"1"]
    assert len(storm.due(SECOND, 99)) == 9
    assert storm.due(SECOND, 99) == []
    assert len(storm.due(2 * SECOND, 4)) == 4  # there is no room for more
    assert storm.due(2 * SECOND, 0) == []
    assert storm.due(2 * SECOND, -3) == []
    assert len(storm.due(2 * SECOND, 99)) == 6
    assert storm.left == 4
    assert len(storm.due(100 * SECOND, 99)) == 4
    assert storm.left == 0


async def test_a_credit_asks_the_sessions_that_ran_short_of_it() -> None:
    smf = Smf(Chf(plan(data=KB)))
    async with consuming() as consumer, notifying(smf) as sender:
        smf.chf.on_credit = lambda session, groups: sender.notify(session, "REAUTHORIZATION", groups)
        smf.create(ask(300), charging_id=1, notifyUri=consumer.uri("/short"))
        smf.create(ask(310), charging_id=2, notifyUri=consumer.uri("/rich"))
        account = smf.chf.accounts.get(SUBSCRIBER)
        assert account is not None
        smf.chf.credit(account, {"data": KB})
        await until(lambda: sender.results["REAUTHORIZATION", "204"] == 1)
        assert [request.path for request in consumer.got] == [b"/short"]
        assert consumer.said()["reauthorizationDetails"] == [{"ratingGroup": 300}]
