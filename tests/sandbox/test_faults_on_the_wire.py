"""Every kind of fault as an SMF meets it: real connections, both codecs where HTTP/2 itself is concerned."""

from __future__ import annotations

import asyncio
import gzip
import socket
import subprocess
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from simulator.config import Fault
from simulator.http2 import Answer, Failure, FailureKind
from simulator.http2.codec import MAX_CONCURRENT_STREAMS
from tests.http2.peers import until
from tests.sandbox.skies import Caller, Sky, calling, sky
from tests.sandbox.smf import COLLECTION, KB, SUBSCRIBER, ask, message, used

pytestmark = pytest.mark.anyio
both_codecs = pytest.mark.parametrize("codec", ["ngh2", "h2"])


async def created(caller: Caller, **options: Any) -> Answer:
    result = await caller.create(**options)
    assert isinstance(result, Answer), result
    return result


async def failed(caller: Caller, **options: Any) -> Failure:
    result = await caller.create(**options)
    assert isinstance(result, Failure), result
    return result


async def test_in_fair_weather_nothing_stands_between_the_server_and_the_charging_function() -> None:
    async with sky() as found, calling(found.endpoint()) as smf:
        assert found.endpoint().server.handler is found.endpoint().plain
        assert (await created(smf)).status == 201
        assert found.counts == {}


async def test_the_handler_changes_with_the_weather_and_back_on_connections_that_are_there() -> None:
    async with sky({"until": "100ms", "status": 503}, {"from": "1h", "silence": True}) as found:
        endpoint = found.endpoint()
        assert endpoint.server.handler is not endpoint.plain
        async with calling(endpoint) as smf:
            assert (await created(smf)).status == 503
            await until(lambda: endpoint.server.handler is endpoint.plain)
            assert (await created(smf)).status == 201


async def test_what_comes_over_endpoints_leaves_their_requests_alone() -> None:
    faults = (
        {"max_streams": 3},
        {"close_window": True, "from": "1h"},
        {"from": "1h", "outage": True},
        {"goaway": "graceful"},
    )
    async with sky(*faults) as found:
        assert found.endpoint().server.handler is found.endpoint().plain


async def test_a_delay_is_kept() -> None:
    async with sky({"delay": "60ms"}) as found, calling(found.endpoint()) as smf:
        before = asyncio.get_running_loop().time()
        assert (await created(smf)).status == 201
        assert asyncio.get_running_loop().time() - before >= 0.055


async def test_a_status_with_all_that_belongs_to_it() -> None:
    overload = {"reduction": "50%", "validity": "75s"}
    status = {"code": 503, "cause": "NF_CONGESTION", "detail": "come back", "retry_after": "7s", "oci": overload}
    async with sky({"status": status}) as found, calling(found.endpoint()) as smf:
        answer = await created(smf)
        assert (answer.status, answer.header(b"retry-after")) == (503, b"7")
        assert answer.header(b"content-type") == b"application/problem+json"
        assert orjson.loads(answer.body) == {
            "type": "about:blank",
            "title": "Service Unavailable",
            "status": 503,
            "detail": "come back",
            "cause": "NF_CONGESTION",
        }
        oci = (answer.header(b"3gpp-sbi-oci") or b"").decode()
        assert oci.startswith('Timestamp: "')
        assert "; Period-of-Validity: 75s; Overload-Reduction-Metric: 50%; NF-Instance: " in oci
        assert found.opened() == 0
        assert found.counts == {"status": 1}


async def test_a_status_without_a_body() -> None:
    async with sky({"status": {"code": 404, "empty": True}}) as found, calling(found.endpoint()) as smf:
        answer = await created(smf)
        assert (answer.status, answer.body, answer.header(b"content-type")) == (404, b"", None)


@pytest.mark.parametrize(("fault", "charged"), [({"silence": True}, 0), ({"lose_answer": True}, 1)])
async def test_no_answer_comes(fault: dict[str, Any], charged: int) -> None:
    async with sky(fault) as found, calling(found.endpoint()) as smf:
        assert (await failed(smf, deadline_s=0.1)).kind is FailureKind.TIMEOUT
        assert found.opened() == charged
        found.clear()
        assert (await created(smf)).status == 201


@both_codecs
@pytest.mark.parametrize("charged", [False, True])
async def test_a_connection_is_reset(codec: str, charged: bool) -> None:
    fault = {"reset_connection": {"charged": charged}}
    async with sky(fault) as found, calling(found.endpoint(), codec=codec) as smf:
        failure = await failed(smf)
        assert failure.kind is FailureKind.CONNECTION_LOST
        assert not failure.safe_to_repeat
        assert found.opened() == charged


@both_codecs
async def test_a_stream_is_reset_with_the_error_that_was_asked_for(codec: str) -> None:
    async with sky({"reset_stream": "ENHANCE_YOUR_CALM"}) as found, calling(found.endpoint(), codec=codec) as smf:
        failure = await failed(smf)
        assert failure.kind is FailureKind.RESET
        assert "ENHANCE_YOUR_CALM" in failure.detail
        assert found.opened() == 0
        found.clear()
        assert (await created(smf)).status == 201
        assert found.endpoint().server.statistics().accepted == 1


async def test_a_refused_stream_may_be_repeated_and_one_that_was_charged_tells_a_lie() -> None:
    async with (
        sky({"reset_stream": {"error": "REFUSED_STREAM", "charged": True}}) as found,
        calling(found.endpoint()) as smf,
    ):
        failure = await failed(smf)
        assert (failure.kind, failure.safe_to_repeat) == (FailureKind.REFUSED, True)
        assert found.opened() >= 1


@both_codecs
async def test_a_graceful_goaway_lets_what_is_under_way_be_answered(codec: str) -> None:
    async with sky({"delay": "80ms"}) as found, calling(found.endpoint(), codec=codec) as smf:
        underway = smf.create()
        await until(lambda: found.endpoint().server.statistics().unanswered == 1)
        add(found, {"goaway": "graceful"})
        answer = await underway
        assert isinstance(answer, Answer)
        assert answer.status == 201
        assert (await created(smf)).status == 201
        statistics = found.endpoint().server.statistics()
        assert statistics.accepted == 2
        assert found.counts["goaway"] == 1


@both_codecs
async def test_an_abrupt_goaway_leaves_what_is_under_way_without_an_answer(codec: str) -> None:
    async with sky({"delay": "10s"}) as found, calling(found.endpoint(), codec=codec) as smf:
        underway = smf.create()
        await until(lambda: found.endpoint().server.statistics().unanswered == 1)
        add(found, {"goaway": "abrupt"})
        failure = await underway
        assert isinstance(failure, Failure)
        assert failure.kind is FailureKind.CONNECTION_LOST
        found.clear()
        assert (await created(smf)).status == 201
        assert smf.pool.statistics().goaways == 1


async def test_a_goaway_by_request_ends_the_connection_of_each() -> None:
    fault = {"goaway": "graceful", "operations": ["create"]}
    async with sky(fault) as found, calling(found.endpoint()) as smf:
        for _ in range(3):
            assert (await created(smf)).status == 201
        assert found.counts == {"goaway": 3}
        await until(lambda: found.endpoint().server.statistics().accepted >= 3)


def add(found: Sky, *faults: dict[str, Any]) -> None:
    """As the management API does."""
    found.weather.add([Fault.model_validate(fault) for fault in faults], time.monotonic_ns())
    found.endpoints.turn()


@both_codecs
async def test_fewer_streams_are_allowed_while_it_lasts(codec: str) -> None:
    async with sky({"delay": "30ms"}) as found, calling(found.endpoint(), codec=codec, streams=50) as smf:
        assert (await created(smf)).status == 201
        add(found, {"max_streams": 2})
        await until(lambda: most_streams(smf) == 2)
        assert await busiest(found, smf) == 2
        found.clear()
        add(found, {"delay": "30ms"})
        await until(lambda: most_streams(smf) > 2)
        assert await busiest(found, smf) == 8


def most_streams(smf: Caller) -> int:
    """What the pool's one connection may have under way."""
    return smf.pool.statistics().max_streams


async def busiest(found: Sky, smf: Caller) -> int:
    """How many of eight Creates are under way at the CHF at the most."""
    most, calls = 0, [smf.create() for _ in range(8)]
    while not all(call.done() for call in calls):
        most = max(most, found.endpoint().server.statistics().unanswered)
        await asyncio.sleep(0.002)
    assert all(isinstance(call.result(), Answer) for call in calls)
    return most


@both_codecs
async def test_a_connection_made_under_a_limit_begins_with_it(codec: str) -> None:
    async with sky({"max_streams": 2}, {"delay": "20ms"}) as found, calling(found.endpoint(), codec=codec) as smf:
        assert await busiest(found, smf) == 2


@both_codecs
async def test_bodies_stall_before_a_closed_window_until_it_opens(codec: str) -> None:
    async with sky() as found, calling(found.endpoint(), codec=codec) as smf:
        assert (await created(smf)).status == 201
        add(found, {"close_window": True})
        await asyncio.sleep(0.05)
        assert (await failed(smf, deadline_s=0.15)).kind is FailureKind.TIMEOUT
        stalled = smf.create()
        await asyncio.sleep(0.05)
        assert found.opened() == 1
        found.clear()
        answer = await stalled
        assert isinstance(answer, Answer)
        assert answer.status == 201
        assert found.opened() == 2


async def test_a_connection_made_before_a_closed_window_sends_no_body() -> None:
    async with sky({"close_window": True}) as found, calling(found.endpoint()) as smf:
        assert (await failed(smf, deadline_s=0.15)).kind is FailureKind.TIMEOUT
        assert found.endpoint().server.statistics().requests == 0


async def test_json_is_cut_off() -> None:
    async with sky({"truncate": True}) as found, calling(found.endpoint()) as smf:
        answer = await created(smf)
        assert answer.status == 201
        assert answer.body.startswith(b'{"invocationTimeStamp"')
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(answer.body)


async def test_json_is_garbage() -> None:
    async with sky({"garbage": True}) as found, calling(found.endpoint()) as smf:
        answer = await created(smf)
        assert answer.header(b"content-type") == b"application/json"
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(answer.body)
        location = answer.header(b"location") or b""
        released = await smf.call(location + b"/release", message(1, []))
        assert isinstance(released, Answer)
        assert (released.status, found.counts) == (204, {"garbage": 1})


async def test_a_good_answer_under_a_wrong_content_type() -> None:
    async with sky({"content_type": "text/html"}) as found, calling(found.endpoint()) as smf:
        answer = await created(smf)
        assert answer.header(b"content-type") == b"text/html"
        assert orjson.loads(answer.body)["invocationSequenceNumber"] == 0


async def test_another_sequence_number_than_the_request_had() -> None:
    async with sky({"wrong_sequence": True}) as found, calling(found.endpoint()) as smf:
        assert orjson.loads((await created(smf)).body)["invocationSequenceNumber"] == 1


async def test_good_answers_ask_for_less() -> None:
    async with sky({"overload": "20%"}) as found, calling(found.endpoint()) as smf:
        answer = await created(smf)
        assert answer.status == 201
        assert b"Overload-Reduction-Metric: 20%" in (answer.header(b"3gpp-sbi-oci") or b"")


async def test_a_redirection_names_another_endpoint() -> None:
    target = "6f1c6b3e-2f7a-4c39-9d3b-0d8c1a2b3c4d"
    fault = {"endpoint": 1, "redirect": {"code": 308, "endpoint": 2, "target_nf": target}}
    async with sky(fault, endpoints=2) as found, calling(found.endpoint(1)) as smf:
        answer = await created(smf)
        assert answer.status == 308
        assert answer.header(b"location") == found.endpoint(2).address.encode() + COLLECTION
        assert answer.header(b"3gpp-sbi-target-nf-id") == f"nfinst={target}".encode()
        async with calling(found.endpoint(2)) as other:
            assert (await created(other)).status == 201


async def test_moods_reach_the_charging_function() -> None:
    faults = ({"grant": "50%"}, {"final_unit": "REDIRECT"}, {"operations": ["update"], "result_code": "RATING_FAILED"})
    async with sky(*faults) as found, calling(found.endpoint()) as smf:
        (entry,) = orjson.loads((await created(smf)).body)["multipleUnitInformation"]
        assert entry["grantedUnit"] == {"totalVolume": 5 * KB}
        assert entry["finalUnitIndication"]["finalUnitAction"] == "REDIRECT"
        assert found.counts == {"grant": 1, "final_unit": 1}


async def test_a_faulty_chf_charges_a_repeat_again() -> None:
    async with sky({"operations": ["update"], "charge_repeats": True}) as found, calling(found.endpoint()) as smf:
        location = (await created(smf)).header(b"location") or b""
        for _ in range(3):
            await smf.call(location + b"/update", message(1, [used(300, totalVolume=KB, then_ask=True)]))
        assert found.counts == {"charge_repeats": 2}
        (record,) = found.chf.ledger_records()
        assert record["units"] == 3 * KB


async def test_faults_know_the_subscriber_of_a_session_whose_reports_do_not_name_it() -> None:
    fault = {"operations": ["update"], "subscribers": SUBSCRIBER, "status": 500}
    async with sky(fault) as found, calling(found.endpoint()) as smf:
        location = (await created(smf)).header(b"location") or b""
        report = message(1, [ask(300)])
        del report["subscriberIdentifier"]
        answer = await smf.call(location + b"/update", report)
        assert isinstance(answer, Answer)
        assert answer.status == 500


@both_codecs
async def test_an_outage_cuts_refuses_and_ends(codec: str) -> None:
    async with sky() as found, calling(found.endpoint(), codec=codec) as smf:
        endpoint = found.endpoint()
        assert (await created(smf)).status == 201
        port = endpoint.server.port
        add(found, {"outage": True})
        await until(lambda: endpoint.server.statistics().connections == 0)
        assert (await failed(smf, deadline_s=0.1)).kind in (FailureKind.CONNECT_FAILED, FailureKind.CONNECTION_LOST)
        with socket.socket() as refused:
            refused.setblocking(False)
            with pytest.raises(ConnectionRefusedError):
                await asyncio.get_running_loop().sock_connect(refused, ("127.0.0.1", port))
        assert (endpoint.down, endpoint.killed) == (True, 1)
        found.clear()
        await until(lambda: not endpoint.down)
        assert (await created(smf)).status == 201
        assert endpoint.server.port == port
        assert found.counts == {"outage": 1}


async def test_an_outage_of_one_endpoint_leaves_the_others_alone() -> None:
    async with sky({"endpoint": 1, "outage": True}, endpoints=2) as found:
        await until(lambda: found.endpoint(1).down)
        async with calling(found.endpoint(2)) as smf:
            assert (await created(smf)).status == 201


async def test_an_outage_ends_by_itself_when_its_window_does() -> None:
    async with sky({"until": "150ms", "outage": True}) as found:
        await until(lambda: found.endpoint().down)
        await until(lambda: not found.endpoint().down)
        async with calling(found.endpoint()) as smf:
            assert (await created(smf)).status == 201


async def test_a_storm_is_handed_to_whoever_notifies() -> None:
    async with sky(
        {"from": "20ms", "until": "5s", "endpoint": 1, "notify": {"type": "ABORT_CHARGING", "rate": 10}}
    ) as found:
        await until(lambda: bool(found.storms))
        ((storm, endpoint, end),) = found.storms
        assert (storm.type, storm.rate, endpoint) == ("ABORT_CHARGING", 10.0, 1)
        assert end is not None


async def test_servers_let_requests_wait_and_turn_away_who_is_too_many() -> None:
    servers = {"count": 1, "service_time": "40ms", "queue": 2}
    async with sky(servers=servers) as found, calling(found.endpoint()) as smf:
        answers = await asyncio.gather(*[smf.create() for _ in range(5)])
        statuses = [answer.status for answer in answers if isinstance(answer, Answer)]
        assert sorted(statuses) == [201, 201, 201, 503, 503]
        congested = next(answer for answer in answers if isinstance(answer, Answer) and answer.status == 503)
        assert orjson.loads(congested.body)["cause"] == "NF_CONGESTION"
        assert found.counts == {"congestion": 2}


async def test_a_mistake_of_ours_is_a_500_in_any_weather(caplog: pytest.LogCaptureFixture) -> None:
    async with sky({"delay": "1ms"}) as found, calling(found.endpoint()) as smf:
        found.endpoint().chf = None  # type: ignore[assignment]
        assert (await created(smf)).status == 500
        assert "could not be answered" in caplog.text


async def test_separate_stores_know_nothing_of_each_other_and_make_no_reference_twice() -> None:
    async with (
        sky(endpoints=2, stores=2) as found,
        calling(found.endpoint(1)) as one,
        calling(found.endpoint(2)) as other,
    ):
        locations = [(await created(smf)).header(b"location") or b"" for smf in (one, other)]
        assert locations[0] != locations[1]
        answer = await other.call(locations[0] + b"/update", message(1, [ask(300)]))
        assert isinstance(answer, Answer)
        assert (answer.status, orjson.loads(answer.body)["cause"]) == (404, "CONTEXT_NOT_FOUND")


async def test_a_shared_store_serves_a_session_at_every_endpoint() -> None:
    async with sky(endpoints=2) as found, calling(found.endpoint(1)) as one, calling(found.endpoint(2)) as other:
        location = (await created(one)).header(b"location") or b""
        answer = await other.call(location + b"/update", message(1, [ask(300)]))
        assert isinstance(answer, Answer)
        assert answer.status == 200


async def test_nghttp_sees_the_frames_it_should(require_tool: Callable[[str], str]) -> None:
    nghttp = require_tool("nghttp")

    async def say(found: Sky) -> str:
        def run() -> str:
            address = found.endpoint().address + COLLECTION.decode()
            command = [nghttp, "-v", "-t", "2", "-H", "content-type: application/json", address]
            done = subprocess.run(command, capture_output=True, timeout=20, check=False)
            return (done.stdout + done.stderr).decode()

        return await asyncio.to_thread(run)

    async with sky({"reset_stream": "ENHANCE_YOUR_CALM"}, {"max_streams": 7}) as found:
        said = await say(found)
        assert "recv RST_STREAM" in said
        assert "error_code=ENHANCE_YOUR_CALM(0x0b)" in said
        assert f"SETTINGS_MAX_CONCURRENT_STREAMS(0x0{MAX_CONCURRENT_STREAMS}):7" in said
    async with sky({"close_window": True}) as found:
        assert "SETTINGS_INITIAL_WINDOW_SIZE(0x04):0" in await say(found)
    async with sky({"goaway": "abrupt", "operations": ["create"]}) as found:
        said = await say(found)
        assert "recv GOAWAY" in said
        assert "error_code=INTERNAL_ERROR(0x02)" in said


async def test_faults_look_into_bodies_that_are_coded() -> None:
    fault = {"operations": ["event"], "subscribers": SUBSCRIBER, "status": 500}
    async with sky(fault, quirks="free5gc") as found, calling(found.endpoint()) as smf:
        event = message(0, [ask(200)], oneTimeEvent=True, oneTimeEventType="IEC")
        for document, status in ((event, 500), (message(0, [ask(300)]), 201)):
            pseudo = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"chf"), (b":path", COLLECTION)]
            headers = [*pseudo, (b"content-type", b"application/json"), (b"content-encoding", b"gzip")]
            answer = await smf.submit(gzip.compress(orjson.dumps(document)), headers=headers)
            assert isinstance(answer, Answer)
            assert answer.status == status
