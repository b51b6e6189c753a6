"""Charging functions that answer nonsense, late, or never, and processes that die: counted, named, and survived."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable

import anyio
import orjson
import pytest

from simulator.fleet import messages
from simulator.http2 import ServerRequest
from simulator.run import books, conductor
from simulator.run.options import Result
from tests.run.rig import (
    Follower,
    brief,
    charging,
    child,
    children,
    completed,
    conducted,
    peer,
    sandbox_core,
    sound,
    steady,
    units,
    url,
)

pytestmark = pytest.mark.anyio

JSON = [(b"content-type", b"application/json")]


def orderly(result: Result) -> None:
    """Whatever the CHF did: every session came to an end, every request was counted once, and nobody had a traceback."""
    summary = result.summary
    sessions = summary["sessions"]
    assert sessions["started"] == sessions["completed"] + sessions["failed"] > 0
    assert sessions["open_at_end"] == 0
    everything = summary["all"]
    assert everything["requests"] == everything["ok"] + everything["denied"] + everything["failed"]


# -- answers ------------------------------------------------------------------------------------------------------------


async def test_nonsense_is_a_counted_failure_of_that_request_and_the_others_go_on() -> None:
    """Every second subscriber is charged and answered; the other ones get each kind of nonsense in turn."""
    good = charging(sandbox_core())
    held: list[ServerRequest] = []
    later = asyncio.get_running_loop().call_later
    nonsense: list[Callable[[ServerRequest], object]] = [
        lambda request: request.respond(200, JSON, b"<html>It works!</html>"),
        lambda request: request.respond(201, JSON, b'{"invocationTimeStamp":"2026'),
        lambda request: request.respond(200, JSON, b"[]"),
        lambda request: request.respond(201, [(b"location", b"/x/1")], b""),
        lambda request: request.respond(200, JSON, b" " * (2 << 20)),
        lambda request: request.respond(500, [], b"Internal Server Error"),
        lambda request: request.respond(302, [(b"location", b"http://elsewhere/")], b""),
        lambda request: later(0.7, request.respond, 200, JSON, b"{}"),
        held.append,
    ]

    def handle(request: ServerRequest) -> None:
        number = int(orjson.loads(request.body)["subscriberIdentifier"].removeprefix("imsi-"))
        if number % 2:
            good(request)
        else:
            nonsense[number // 2 % len(nonsense)](request)

    load = {"rate": "200/s", "spacing": "constant", "sessions": 90, "duration": "10s"}
    profile = brief(load=load, timeouts={"request": "300ms", "drain": "2s"})
    async with peer(handle) as server:
        result = await conducted(profile, targets=[url(server)])
    orderly(result)
    causes = result.summary["causes"]
    assert set(causes) == {"UNREADABLE_ANSWER", "HTTP_500", "HTTP_302", "TOO_LARGE", "TIMEOUT"}
    assert sum(causes.values()) == result.summary["all"]["failed"] == result.summary["sessions"]["failed"] == 45
    assert completed(result) == 45
    assert sound(result), result.why


@pytest.mark.parametrize(
    "body", [b"", b"\x00\xff" * 100, b'{"multipleUnitInformation":[{}]}'], ids=["empty", "octets", "hollow"]
)
async def test_a_charging_function_that_only_answers_nonsense_fails_every_session_in_good_order(body: bytes) -> None:
    async with peer(lambda request: request.respond(201, [(b"location", b"/1")], body)) as server:
        result = await conducted(brief(thresholds=["success >= 99%"]), targets=[url(server)])
    orderly(result)
    assert completed(result) == 0
    assert result.summary["all"]["failed"] == result.summary["all"]["requests"] == 40
    assert result.summary["causes"] == {"UNREADABLE_ANSWER": 40}
    assert (result.verdict, result.exit_code) in {("fail", 1), ("invalid", 3)}


async def test_a_charging_function_that_never_answers_is_given_up() -> None:
    """Each Create is sent twice, 200 ms each; the sessions that are due come and go."""
    requests: list[ServerRequest] = []
    profile = brief(
        load={"mode": "closed", "devices": 40, "sessions": 40, "duration": "10s"},
        timeouts={"request": "200ms", "drain": "2s"},
    )
    async with peer(requests.append) as server:
        began = time.monotonic()
        result = await conducted(profile, targets=[url(server)])
    assert time.monotonic() - began < 5
    orderly(result)
    assert result.summary["causes"] == {"TIMEOUT": 40}
    assert len(requests) == 80
    assert result.summary["all"]["retransmitted"] == 40
    assert result.latency_us("create", "p50", "response") == pytest.approx(400_000, rel=0.2)
    assert result.latency_us("create", "p50", "service") == pytest.approx(200_000, rel=0.2)


async def test_sessions_that_the_drain_cannot_release_are_named() -> None:
    """The CHF stops answering in mid-run; when the drain's time is over the run ends, and says what it left behind."""
    good = charging(sandbox_core())
    silent = False

    def handle(request: ServerRequest) -> None:
        if not silent:
            good(request)

    follower = Follower()
    profile = steady(load={"duration": "1s"}, timeouts={"request": "5s", "drain": "1s"})
    async with peer(handle) as server, anyio.create_task_group() as tasks:

        async def fall_silent() -> None:
            nonlocal silent
            await follower.until(lambda totals: totals.run.count("requests", "create") > 100)
            silent = True

        tasks.start_soon(fall_silent)
        result = await conducted(profile, targets=[url(server)], observer=follower)
    left = result.summary["sessions"]["failed_by_reason"]["open"]
    assert left > 90
    assert any(note.startswith(f"{left:,} sessions were left open") for note in result.summary["notes"])
    assert sum(units(result, "in_doubt").values()) > 0
    assert follower.ended


# -- connections --------------------------------------------------------------------------------------------------------


async def test_a_charging_function_that_goes_away_and_comes_back_is_reconnected_to_and_doubt_is_named() -> None:
    """It takes requests in, dies with them, and listens again at its port; nothing is repeated, so they stay in doubt."""
    chf = sandbox_core()
    good = charging(chf)
    dying = False
    taken: list[ServerRequest] = []

    def handle(request: ServerRequest) -> None:
        if dying:
            taken.append(request)
        else:
            good(request)

    follower = Follower()
    profile = steady(repeats=0, load={"duration": "2s"}, timeouts={"request": "1s", "drain": "1s"})
    results: list[Result] = []
    async with anyio.create_task_group() as tasks:

        async def run(target: str) -> None:
            results.append(await conducted(profile, targets=[target], observer=follower))
            tasks.cancel_scope.cancel()

        async with peer(handle) as server:
            port = server.port
            tasks.start_soon(run, url(server))
            await follower.until(lambda totals: totals.run.count("requests", "update") > 50)
            dying = True
            with anyio.fail_after(5):
                while len(taken) < 10:  # noqa: ASYNC110 - the requests come over a socket
                    await asyncio.sleep(0.01)
        dying = False
        async with peer(handle, port=port):
            await asyncio.Event().wait()
    (result,) = results
    summary = result.summary
    assert summary["connections"]["reconnects"] >= 1
    assert summary["causes"] == {"CONNECTION_LOST": summary["all"]["failed"]}
    assert summary["sessions"]["failed"] >= 10
    assert sum(units(result, "in_doubt").values()) > 0
    assert summary["audit"]["balanced"] is False
    assert completed(result) > 50, "after it came back"
    assert summary["sessions"]["started"] == completed(result) + summary["sessions"]["failed"]


# -- processes that die -------------------------------------------------------------------------------------------------


async def test_a_sandbox_that_dies_is_restarted_once_and_its_charges_are_unverifiable() -> None:
    follower = Follower()
    profile = steady(load={"duration": "2500ms"}, timeouts={"request": "500ms", "drain": "1s"})
    async with anyio.create_task_group() as tasks:

        async def kill() -> None:
            await follower.until(lambda totals: totals.run.count("requests", "update") > 50)
            child("simulator.sandbox").kill()

        tasks.start_soon(kill)
        result = await conducted(profile, observer=follower)
    audit = result.summary["audit"]
    about_the_sandbox = [note for note in follower.notes if note.startswith("the sandbox")]
    assert about_the_sandbox == ["the sandbox died and was restarted; what it had charged before is unverifiable"]
    assert about_the_sandbox[0] in [event["text"] for event in result.summary["events"]]
    assert audit["verifiable"] is False
    assert audit["balanced"] is not True
    assert "the sandbox died" in audit["reason"]
    assert sum(units(result, "unverified").values()) > 0
    assert units(result, "lost") == {}, "what the dead one had in its books is not called lost"
    assert result.summary["connections"]["reconnects"] >= 1
    assert completed(result) > 30, "charged by the second one"
    assert result.verdict != "could not run"


async def test_a_sandbox_that_dies_twice_ends_the_run() -> None:
    follower = Follower()
    profile = steady(load={"duration": "20s"}, timeouts={"request": "300ms", "drain": "500ms"})
    async with anyio.create_task_group() as tasks:

        async def kill_twice() -> None:
            await follower.until(lambda totals: totals.run.count("requests", "update") > 20)
            child("simulator.sandbox").kill()
            await follower.until(lambda totals: totals.run.count("http2", "opened") > 6)
            child("simulator.sandbox").kill()

        tasks.start_soon(kill_twice)
        began = time.monotonic()
        result = await conducted(profile, observer=follower)
    assert time.monotonic() - began < 12
    assert (result.verdict, result.exit_code) == ("could not run", 2)
    assert "the sandbox died a second time" in result.why[0]


async def test_an_engine_that_dies_is_noticed_and_named() -> None:
    """Out of memory, say: its share of the load is gone, and its open sessions cannot be accounted for."""
    follower = Follower()
    chf = sandbox_core()
    async with peer(charging(chf)) as server, anyio.create_task_group() as tasks:

        async def kill() -> None:
            await follower.until(lambda totals: totals.run.count("requests", "update") > 20)
            child("simulator.fleet.process").kill()

        tasks.start_soon(kill)
        began = time.monotonic()
        result = await conducted(steady(load={"duration": "30s"}), targets=[url(server)], observer=follower)
    assert [engine["lost"] for engine in result.summary["engines"]].count(True) == 1
    assert time.monotonic() - began < 10, "nobody waits for the rest of the load"
    assert (result.verdict, result.exit_code) == ("could not run", 2)
    assert "worker 0 died" in result.why[0]
    assert follower.notes == ["worker 0 died"]
    assert result.summary["audit"]["balanced"] is not True
    assert result.summary["audit"]["verifiable"] is False
    assert result.summary["all"]["requests"] > 100, "what was reported before is kept"
    assert follower.ended


async def test_the_other_workers_go_on_when_one_dies() -> None:
    follower = Follower()
    async with peer(charging(sandbox_core())) as server, anyio.create_task_group() as tasks:

        async def kill() -> None:
            await follower.until(lambda totals: totals.workers == 2)
            children("simulator.fleet.process")[0].kill()

        tasks.start_soon(kill)
        result = await conducted(
            steady(load={"duration": "1500ms"}, timeouts={"drain": "1s"}),
            targets=[url(server)],
            workers=2,
            observer=follower,
        )
    assert "worker" in result.why[0]
    assert completed(result) > 30
    assert result.verdict == "could not run"


async def test_an_engine_whose_report_cannot_be_read_is_stopped_and_what_it_reported_before_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, snapshots = messages.decode, 0

    def decode(line: bytes) -> messages.Message:
        nonlocal snapshots
        report = read(line)
        snapshots += isinstance(report, messages.SnapshotReport)
        if snapshots > 3:
            raise messages.MessageError("this is no JSON")
        return report

    monkeypatch.setattr(messages, "decode", decode)
    follower = Follower()
    async with peer(charging(sandbox_core())) as server:
        began = time.monotonic()
        result = await conducted(steady(load={"duration": "30s"}), targets=[url(server)], observer=follower)
    assert time.monotonic() - began < 10
    assert (result.verdict, result.exit_code) == ("could not run", 2)
    assert "worker 0: an unreadable report: this is no JSON" in result.why[0]
    assert result.summary["all"]["requests"] > 50
    assert result.summary["audit"]["balanced"] is not True
    assert not children("simulator.fleet.process")


async def test_books_that_cannot_be_audited_do_not_cost_the_run_its_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ledger(url: str) -> AsyncIterator[bytes]:
        yield b'{"ref": "1-1"}'

    monkeypatch.setattr(books, "read_ledger", ledger)
    result = await conducted(brief())
    assert (result.verdict, result.exit_code) == ("could not run", 2)
    assert "the books cannot be audited: ledger row 1" in result.why[0]
    assert result.summary["audit"] is None
    assert completed(result) == 40


async def test_a_chf_that_swallows_requests_does_not_look_flawless() -> None:
    """Requests that nobody has answered when the run stops have failed, though their deadline is far away."""
    profile = steady(
        load={"duration": "1s"}, timeouts={"request": "60s", "drain": "300ms"}, thresholds=["success >= 99%"]
    )
    good = charging(sandbox_core())

    def handle(request: ServerRequest) -> None:
        if not request.path.endswith(b"/update"):
            good(request)

    async with peer(handle) as server:
        result = await conducted(profile, targets=[url(server)])
    summary = result.summary
    left = summary["sessions"]["open_at_end"]
    assert left == summary["sessions"]["failed_by_reason"]["open"] > 50
    assert summary["operations"]["update"]["failed"] == summary["causes"]["UNANSWERED"] > 50
    assert [line["ok"] for line in summary["thresholds"]] == [False]
    assert result.exit_code in (1, 3)


async def test_an_engine_that_hangs_is_given_up_and_its_books_are_not_called_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conductor, "GRACE_S", 0.5)
    follower = Follower()
    async with anyio.create_task_group() as tasks:

        async def hang() -> None:
            await follower.until(lambda totals: totals.run.count("requests", "update") > 20)
            child("simulator.fleet.process").suspend()

        tasks.start_soon(hang)
        profile = steady(load={"duration": "2s"}, timeouts={"drain": "500ms"})
        result = await conducted(profile, observer=follower)
    assert (result.verdict, result.exit_code) == ("could not run", 2)
    assert "worker 0 did not end its drain" in result.why[0]
    assert result.summary["audit"]["verifiable"] is False
    assert not units(result, "double_charged")


async def test_a_terminal_that_is_closed_ends_the_run_as_ctrl_c_does() -> None:
    follower = Follower()

    async def hang_up() -> None:
        await follower.until(lambda totals: totals.run.count("requests", "update") > 20)
        os.kill(os.getpid(), signal.SIGHUP)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hang_up)
        result = await conducted(steady(timeouts={"drain": "5s"}), observer=follower, handle_signals=True)
    assert (result.verdict, result.summary["sessions"]["open_at_end"]) == ("interrupted", 0)


async def test_a_hangup_that_is_ignored_stays_ignored() -> None:
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        follower = Follower()

        async def hang_up() -> None:
            await follower.begun.wait()
            os.kill(os.getpid(), signal.SIGHUP)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hang_up)
            result = await conducted(brief(), observer=follower, handle_signals=True)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert result.verdict != "interrupted"


async def test_ctrl_c_while_the_books_are_joined_does_not_cost_the_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    real = books.read_ledger

    async def interrupted(url: str) -> AsyncIterator[bytes]:
        os.kill(os.getpid(), signal.SIGINT)
        await anyio.sleep(0.1)
        async for line in real(url):
            yield line

    monkeypatch.setattr(books, "read_ledger", interrupted)
    result = await conducted(brief(), handle_signals=True)
    assert (result.verdict, result.exit_code) == ("interrupted", 130)
    assert result.summary["audit"]["balanced"] is True
