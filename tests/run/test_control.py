"""A run that is changed while it goes: by wishes as a keyboard makes them, and over HTTP."""

from __future__ import annotations

import re
import time
from typing import Any

import anyio
import httpx
import pytest

from simulator.config import Profile
from simulator.fleet.timeline import Timeline
from simulator.measure import Recorder, Totals
from simulator.run.control_api import control_app, run_state
from simulator.run.options import Result
from simulator.run.steering import Steering, SteeringError
from simulator.run.wishes import Action, Wish, Wishes
from tests.report.examples import interval
from tests.run.rig import USAGES, Follower, charging, conducted, peer, sandbox_core, steady, url
from tests.world import traffic

pytestmark = pytest.mark.anyio

SECOND = 1_000_000_000
STAGES = [{"rate": "40/s", "for": "60s"}, {"rate": "120/s", "for": "60s"}]


def staged(**fields: Any) -> Profile:
    return traffic({"stages": STAGES}, usages={"message": USAGES["message"]}, timeouts={"drain": "2s"}, **fields)


def events(result: Result) -> list[str]:
    return [event["text"] for event in result.summary["events"] if event["kind"] == "control"]


async def test_wishes_change_the_load_of_all_engines() -> None:
    follower, wishes = Follower(), Wishes()
    rates: list[float] = []

    async def drive() -> None:
        await follower.begun.wait()
        for wish in (
            Wish(Action.PAUSE),
            Wish(Action.RESUME),
            Wish(Action.RATE, 2.0),
            Wish(Action.NEXT_STAGE),
            Wish(Action.STOP),
        ):
            await anyio.sleep(1.2)
            assert follower.totals is not None
            rates.append(follower.totals.rate("arrivals", "intended"))
            wishes.put(wish)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(drive)
        result = await conducted(staged(), workers=2, observer=follower, wishes=wishes)
    usual, paused, resumed, doubled, second_stage = rates
    assert paused == 0
    assert 15 < usual < 75
    assert 15 < resumed < 75
    assert doubled == pytest.approx(80, rel=0.5)
    assert second_stage == pytest.approx(240, rel=0.35)
    assert events(result) == [
        "paused: no session begins, those that are open go on (key)",
        "resumed (key)",
        "rate 200% of the profile's (key)",
        "on to stage 2 of 2, 120/s (key)",
        "stopped by key: releasing what is open",
    ]
    assert result.summary["duration_s"] < 15
    assert (result.verdict, result.summary["audit"]["balanced"]) == ("pass", True)
    assert result.summary["arrivals"]["intended"] == result.summary["arrivals"]["started"]
    phases = result.summary["phases"]
    assert phases["paused"]["seconds"] == pytest.approx(1.2, abs=0.4), "a pause is no part of the steady phase"
    assert phases["steady"]["seconds"] == pytest.approx(4.8, abs=1.0)


async def test_a_run_can_be_asked_and_changed_over_http() -> None:
    follower = Follower()
    answers: list[tuple[int, Any]] = []

    async def drive() -> None:
        await follower.until(lambda totals: totals.workers == 1)
        [note] = [note for note in follower.notes if note.startswith("management: ")]
        url = re.sub("/run$", "", note.removeprefix("management: "))
        assert "//127.0.0.1:" in url
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            for path, body in (
                ("pause", None), ("pause", None), ("resume", None), ("rate", {"per_s": 60}), ("rate", {"factor": -1}),
                ("rate", [1]), ("rate", {"factor": 1000}), ("next-stage", None), ("next-stage", None),
            ):  # fmt: skip
                answer = await client.post(f"/run/{path}", json=body)
                answers.append((answer.status_code, next(iter(answer.json().values()))))
            foreign = await client.post("/run/stop", headers={"origin": "http://example.org"})
            assert foreign.status_code == 403
            await anyio.sleep(0.2)
            state = (await client.get("/run")).json()
            assert (state["stage"], state["stages"], state["factor"], state["paused"]) == (2, 2, 1.5, False)
            assert state["rate_per_s"] == pytest.approx(180)
            assert 55 < state["left_s"] < 60
            assert (await client.get("/run/stop")).status_code == 405
            assert (await client.post("/run/stop")).is_success

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(drive)
        result = await conducted(staged(), observer=follower, management_port=0)
    assert [status for status, _ in answers] == [200, 409, 200, 200, 400, 400, 409, 200, 409]
    assert answers[1][1] == "the load is paused already"
    assert answers[-1][1] == "this is the last stage"
    assert len(events(result)) == 5
    assert result.verdict == "pass"


def steered(sent: list[Any], done: list[str]) -> Steering:
    async def send(command: Any) -> None:
        sent.append((command.action, command.value))

    return Steering(
        Timeline(staged().load.timeline, 0), send=send, stop=lambda: done.append("stop"), record=done.append
    )


async def test_each_wish_is_one_command_or_says_why_not() -> None:
    sent: list[Any] = []
    done: list[str] = []
    steering = steered(sent, done)

    async def wanted(action: Action, factor: float = 1.0) -> str:
        try:
            return await steering.carry_out(Wish(action, factor), SECOND)
        except SteeringError as error:
            return f"no: {error}"

    assert await wanted(Action.RESUME) == "no: the load is not paused"
    assert await wanted(Action.FASTER) == "rate 110% of the profile's (key)"
    assert await wanted(Action.SLOWER) == "rate 100% of the profile's (key)"
    assert await wanted(Action.SLOWER) == "rate 91% of the profile's (key)"
    assert await wanted(Action.RATE, 0.01) == "rate 1% of the profile's (key)"
    out_of_bounds = "no: the rate can be 0.01 to 100 times the profile's, not "
    assert (await wanted(Action.SLOWER)).startswith(out_of_bounds)
    assert (await wanted(Action.RATE, 101)) == out_of_bounds + "101"
    assert await wanted(Action.RATE, 100) == "rate 10000% of the profile's (key)"
    assert (await wanted(Action.PAUSE)).startswith("paused: ")
    assert await wanted(Action.PAUSE) == "no: the load is paused already"
    assert steering.progress(2 * SECOND).left_s is None, "nobody knows when it goes on"
    assert steering.progress(2 * SECOND).paused
    assert await wanted(Action.RESUME) == "resumed (key)"
    assert await wanted(Action.STOP) == "stopped by key: releasing what is open"
    assert await wanted(Action.RESUME) == "no: the load is over"
    assert sent == [
        ("rate", 1.1), ("rate", 1.0), ("rate", pytest.approx(0.9091)), ("rate", 0.01), ("rate", 100), ("pause", None),
        ("resume", None),
    ]  # fmt: skip
    assert len(done) == len(sent) + 2, "what was refused is no event"


async def test_what_is_asked_of_the_api_in_a_wrong_way_is_refused_and_changes_nothing() -> None:
    sent: list[Any] = []
    steering = steered(sent, [])
    steering.timeline.t0 = steering.timeline.first.wall = time.monotonic_ns() - 500 * SECOND
    app = control_app(steering, lambda now: run_state("p", steering.progress(now), Totals()))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://run") as client:
        for wrong in ({"factor": True}, {"factor": "2"}, {"factor": 0}, {"rate": 2}, {"factor": 2, "per_s": 9}, {}, 3):
            assert (await client.post("/run/rate", json=wrong)).status_code == 400, wrong
        assert (await client.post("/run/rate", content=b"{")).status_code == 400
        over = await client.post("/run/rate", json={"per_s": 5})
        assert (over.status_code, *over.json().values()) == (409, "the profile has no rate just now: give a factor")
        assert (await client.post("/run/dance")).status_code == 404
        assert (await client.get("/healthz")).json() == {"status": "ok"}
    assert sent == []


async def test_the_state_of_a_run_is_that_of_its_totals() -> None:
    totals, recorder = Totals(), Recorder(0)
    interval(recorder, 1, draining=False, failing=4, dropped=25)
    totals.add(0, recorder.cut(SECOND))
    state = run_state("p", steered([], []).progress(SECOND), totals)
    assert (state["requests"], state["failed"], state["dropped"]) == (2570, 16, 25)
    assert (state["offered_per_s"], state["achieved_per_s"], state["requests_per_s"]) == (325, 300, 2570)
    assert state["response_us"]["p50"] < state["response_us"]["p99"]
    assert run_state("p", steered([], []).progress(SECOND), Totals())["response_us"] is None


async def test_commands_reach_all_engines_before_they_take_effect() -> None:
    sent: list[Any] = []

    async def send(command: Any) -> None:
        sent.append(command)

    steering = Steering(Timeline(staged().load.timeline, 0), send=send, stop=lambda: None, record=lambda text: None)
    await steering.carry_out(Wish(Action.FASTER), 10 * SECOND)
    assert (sent[0].at, sent[0].action, sent[0].value) == (10 * SECOND + 50_000_000, "rate", pytest.approx(1.1))
    assert steering.timeline.rate_at(10 * SECOND) == pytest.approx(40)
    assert steering.timeline.rate_at(11 * SECOND) == pytest.approx(44)
    with pytest.raises(SteeringError, match="the load is over"):
        await steering.carry_out(Wish(Action.PAUSE), 500 * SECOND)


async def test_a_factor_in_a_closed_loop_is_one_of_its_devices() -> None:
    async def send(command: Any) -> None:
        pass

    closed = traffic({"mode": "closed", "devices": 5, "duration": "60s"}, usages={"message": USAGES["message"]})
    steering = Steering(Timeline(closed.load.timeline, 0), send=send, stop=lambda: None, record=lambda text: None)
    done = await steering.carry_out(Wish(Action.RATE, 3.0, by="API"), SECOND)
    assert done == "devices 300% of the profile's, up to its highest number (API)"


async def test_a_load_that_was_ended_cannot_be_changed() -> None:
    """By Ctrl-C for example, or a threshold that aborts: while it drains, nobody is told that it is paused."""
    done: list[str] = []

    async def send(command: Any) -> None:
        done.append(command.action)

    steering = Steering(Timeline(staged().load.timeline, 0), send=send, stop=lambda: None, record=done.append)
    steering.load_is_over()
    for action in Action:
        with pytest.raises(SteeringError, match="the load is over"):
            await steering.carry_out(Wish(action), 10 * SECOND)
    assert done == []
    progress = steering.progress(10 * SECOND)
    assert (progress.left_s, progress.rate_per_s) == (0.0, 0.0)


async def test_a_run_in_its_drain_refuses_changes_over_http() -> None:
    follower = Follower()
    answers: list[int] = []

    async def drive() -> None:
        await follower.until(lambda totals: totals.run.count("sessions", "started") > 0)
        [note] = [note for note in follower.notes if note.startswith("management: ")]
        async with httpx.AsyncClient(trust_env=False) as client:
            run = note.removeprefix("management: ")
            await follower.until(lambda totals: totals.phase == "drain")
            answers.extend(
                [(await client.post(f"{run}/{what}")).status_code for what in ("pause", "next-stage", "stop")]
            )

    handle = charging(sandbox_core())

    def no_release(request: Any) -> None:
        if not request.path.endswith(b"/release"):
            handle(request)

    profile = steady(timeouts={"drain": "2s"}, thresholds=["requests < 20 abort"])
    async with peer(no_release) as server, anyio.create_task_group() as tasks:
        tasks.start_soon(drive)
        await conducted(profile, targets=[url(server)], observer=follower, management_port=0)
    assert answers == [409, 409, 409]
