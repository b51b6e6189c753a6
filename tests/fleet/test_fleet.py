"""A fleet and the sandbox's charging function in virtual time: what goes over the wire, and when."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from simulator.fleet.pace import NowTimestamps, Pace
from simulator.http2 import Failure, FailureKind
from simulator.n40 import Timestamps
from tests.world import CALL, DOWNLOAD, EPOCH, MESSAGE, REPORT, SECOND, START, World, by_session, traffic

MIXED = {"call": CALL, "download": DOWNLOAD, "message": MESSAGE, "report": REPORT}
LATENCY = 5_000_000


def operations(world: World) -> dict[tuple[str, int], list[str]]:
    return {session: [each.operation for each in sent] for session, sent in by_session(world.messages).items()}


# -- one session after the other ----------------------------------------------------------------------------------------


def test_calls_start_when_they_are_due_and_end_when_their_time_has_come() -> None:
    world = World(traffic({"rate": "2/s", "spacing": "constant", "duration": "2s"})).run(60)
    assert [message.at - START for message in world.sent("create")] == [SECOND // 2, SECOND, 3 * SECOND // 2]
    assert set(map(tuple, operations(world).values())) == {("create", "release")}
    for created, released in zip(world.sent("create"), world.sent("release"), strict=True):
        assert released.at - created.at == 10 * SECOND
    assert {sum(message.reported().values()) for message in world.sent("release")} == {9}, "the answer took its time"


def test_an_event_is_one_message() -> None:
    world = World(traffic({"rate": "5/s"}, usages={"message": MESSAGE, "report": REPORT})).run()
    assert len(world.messages) > 50
    assert set(map(tuple, operations(world).values())) == {("event",)}
    assert world.count("sessions|completed") == len(world.messages)


def test_sequence_numbers_count_up_without_gaps_and_one_request_is_under_way_at_a_time() -> None:
    world = World(traffic({"rate": "5/s"}, usages=MIXED)).run()
    sessions = by_session(world.messages)
    assert len(sessions) > 50
    for sent in sessions.values():
        assert [message.body["invocationSequenceNumber"] for message in sent] == list(range(len(sent)))
        assert all(later.at - earlier.at >= LATENCY for earlier, later in pairwise(sent))


# -- pace ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pace", "factor"), [("1x", 1), ("2.5x", 2.5), ("60x", 60)])
def test_pace_scales_life_inside_a_session_and_not_arrivals(pace: str, factor: float) -> None:
    world = World(traffic({"rate": "2/s", "spacing": "constant", "duration": "3s"}, pace=pace)).run(60)
    assert [message.at - START for message in world.sent("create")] == [n * SECOND // 2 for n in range(1, 6)]
    for created, released in zip(world.sent("create"), world.sent("release"), strict=True):
        assert 0 <= released.at - created.at - 10 * SECOND / factor <= 2


@pytest.mark.parametrize("factor", [1.0, 2.5, 60.0, 1000.0, 0.3])
def test_a_moment_of_session_time_has_come_at_its_wall_time(factor: float) -> None:
    """Never a nanosecond early, or a session would be looked at before it is due."""
    pace = Pace(START, factor)
    for moment in (0, 1, 59, 60, 61, 10**9, 10**9 + 1, 123_456_789_012):
        assert pace.session_time(pace.wall_time(moment)) >= moment
        assert pace.session_time(pace.wall_time(moment) - 2) <= moment


def test_flat_out_the_charging_function_is_all_that_takes_time() -> None:
    """A download of 2 MB or 5 MB in pieces of 1 MB: every request leaves at the moment of the answer before it."""
    load = {"mode": "closed", "devices": 3, "sessions": 30}
    world = World(traffic(load, usages={"download": DOWNLOAD}, pace="flat-out")).run()
    assert len(by_session(world.messages)) == 30
    for sent in by_session(world.messages).values():
        assert {later.at - earlier.at for earlier, later in pairwise(sent)} == {LATENCY}
        reported = sum(sum(message.reported().values()) for message in sent)
        assert reported in (2_000_000, 5_000_000)
        assert len(sent) >= reported // 1_000_000 + 1


def test_flat_out_messages_are_stamped_with_the_present_moment() -> None:
    """A session's own time has run ahead, but the CHF does not get messages from the future."""
    load = {"mode": "closed", "devices": 1, "sessions": 3}
    world = World(traffic(load, pace="flat-out")).run()
    stamps = [message.body["invocationTimeStamp"] for message in world.messages]
    assert stamps == sorted(stamps)
    assert stamps[0][:17] == stamps[-1][:17], "all within one minute, and that of the wall clock"


def test_flat_out_a_stamp_of_a_millisecond_later_is_one_of_the_wall_clock() -> None:
    stamps = NowTimestamps(EPOCH)
    stamps.set_now(5_000_000)
    ahead = 3_600 * 10**9  # where the session's own time is
    assert stamps.stamp(ahead) == stamps.later(ahead, 0) != stamps.later(ahead, 1)
    assert stamps.later(ahead, 1) == Timestamps(EPOCH).stamp(6_000_000)


# -- closed loop --------------------------------------------------------------------------------------------------------


def test_a_device_of_a_closed_loop_thinks_between_its_sessions() -> None:
    load = {"mode": "closed", "devices": 4, "think_time": "3s", "duration": "60s"}
    world = World(traffic(load)).run()
    by_subscriber: dict[str, list[int]] = {}
    for message in world.messages:
        by_subscriber.setdefault(message.session[0], []).append(message.at)
    assert len(by_subscriber) == 4
    for moments in by_subscriber.values():
        releases, creates = moments[1:-1:2], moments[2::2]
        assert len(creates) >= 3
        assert all(create - release == 3 * SECOND + LATENCY for release, create in zip(releases, creates, strict=False))


def test_think_time_is_session_time() -> None:
    load = {"mode": "closed", "devices": 1, "think_time": "60s", "duration": "10s"}
    world = World(traffic(load, pace="60x")).run()
    assert len(world.sent("create")) > 5, "a minute of thought takes a second, and ten seconds of talk a sixth of one"


def test_a_closed_loop_never_has_more_open_than_devices() -> None:
    load = {"mode": "closed", "devices": 5, "duration": "60s"}
    world = World(traffic(load)).run()
    assert world.totals.peak("sessions_open") == 5


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_number_of_sessions_is_that_of_the_profile(workers: int) -> None:
    for load in (
        {"mode": "closed", "devices": 10, "sessions": 47, "duration": "1000s"},
        {"rate": "20/s", "sessions": 47},
    ):
        world = World(traffic(load), workers=workers).run()
        assert len(by_session(world.messages)) == 47
        assert all(fleet.finished for fleet in world.fleets)


def test_a_device_whose_start_was_dropped_comes_again() -> None:
    """The engine stood still for four seconds, in which every device was due."""
    usages = {"call": CALL | {"length": "1s"}}
    world = World(traffic({"mode": "closed", "devices": 10, "think_time": "1s", "duration": "20s"}, usages=usages))
    world.run_until(2.5)  # all of them have had their first session and think
    world.now = START + 6 * SECOND
    world.fleets[0].on_time(world.now)
    dropped = world.count("arrivals|dropped|late")
    world.run_until(19)
    assert dropped == 10
    assert {message.session[1] % 10 for message in world.sent("create") if message.at > START + 7 * SECOND} == {
        *range(10)
    }


def test_sessions_that_are_open_at_the_start_do_not_count_as_arrivals() -> None:
    world = World(traffic({"rate": "20/s", "sessions": 10, "start_open": 30})).run()
    assert world.count("arrivals|intended") == world.count("arrivals|started") == 10
    assert world.count("sessions|started") == 40


# -- what cannot start is counted ---------------------------------------------------------------------------------------


def test_a_subscriber_that_is_busy_is_a_counted_drop() -> None:
    """Twenty arrivals at five subscribers, one after the other; a call and its release take a little more than ten seconds."""
    load = {"rate": "1/s", "spacing": "constant", "duration": "21s"}
    world = World(traffic(load, subscribers={"count": 5})).run()
    assert world.counters()["arrivals|intended"] == 20
    assert world.counters()["arrivals|dropped|busy"] == 10
    assert world.counters()["arrivals|started"] == 10
    assert [message.at - START for message in world.sent("create")] == [
        second * SECOND for second in (1, 2, 3, 4, 5, 16, 17, 18, 19, 20)
    ]


def test_a_subscriber_can_have_one_session_of_each_usage() -> None:
    usages = {"call": CALL, "other": CALL}
    load = {"rate": "1/s", "spacing": "constant", "duration": "9s"}
    world = World(traffic(load, usages=usages, subscribers={"count": 1}), seed=3).run()
    assert world.counters()["arrivals|started"] == 2
    assert world.counters()["arrivals|dropped|busy"] == 6


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_beyond_the_bound_on_open_sessions_arrivals_are_counted_drops(workers: int) -> None:
    world = World(traffic({"rate": "20/s", "max_in_flight": 30, "duration": "5s"}), workers=workers).run()
    counters = world.counters()
    assert counters["arrivals|intended"] == counters["arrivals|started"] + counters["arrivals|dropped|limit"]
    assert counters["arrivals|started"] == 30, "the bound is that of the fleet, not of each worker"


def test_an_engine_that_stood_still_does_not_catch_up_in_a_burst() -> None:
    world = World(traffic({"rate": "10/s", "spacing": "constant"}))
    world.now = START + 5 * SECOND  # the loop was blocked for five seconds
    world.fleets[0].on_time(world.now)
    assert world.counters()["arrivals|dropped|late"] == 39
    assert world.counters()["arrivals|started"] == 1
    world.run_until(6.05)
    starts = [each.at - START - 5 * SECOND for each in world.sent("create")]
    assert {later - earlier for earlier, later in pairwise(starts[:19])} == {50_000_000}, (
        "twice as fast as it was meant to"
    )
    assert len(starts) == 21, "what is late by less than a second is caught up with"


def test_devices_that_were_due_while_the_engine_stood_still_do_not_begin_in_a_burst() -> None:
    """A hundred devices attach within a second, of which the engine sleeps through nine tenths."""
    stages = [{"ramp_to": 100, "for": "1s"}, {"devices": 100, "for": "20s"}]
    world = World(traffic({"mode": "closed", "stages": stages}, subscribers={"count": 1000}, pace=1))
    world.now = START + 9 * SECOND // 10
    world.fleets[0].on_time(world.now)
    assert world.counters()["arrivals|started"] <= 5
    world.run_until(1.5)
    starts = [each.at - START for each in world.sent("create")]
    assert len(starts) == 100
    busiest = max(
        sum(begin <= each < begin + SECOND // 10 for each in starts)
        for begin in range(0, SECOND * 3 // 2, SECOND // 50)
    )
    assert busiest <= 2 * 2 * 10 + 2, "twice as fast as it was meant to, beside those that are due then anyway"


def test_an_engine_that_always_wakes_a_little_late_catches_up_all_the_same() -> None:
    """It stood still for half a second; every timer fires ten milliseconds late."""
    world = World(traffic({"rate": "40/s", "spacing": "constant"}))
    (fleet,) = world.fleets
    world.now = START + SECOND // 2
    fleet.on_time(world.now)
    while world.now < START + SECOND:
        world.now = max(world.now, min(fleet.next_deadline(), START + SECOND)) + SECOND // 100
        fleet.on_time(world.now)
    assert world.count("arrivals|started") >= 39, "at twice the rate half a second is caught up with in half a second"


def test_arrivals_are_conserved() -> None:
    load = {"rate": "30/s", "max_in_flight": 60, "duration": "30s"}
    counters = World(traffic(load, subscribers={"count": 150}, usages=MIXED)).run().counters()
    dropped = sum(value for name, value in counters.items() if name.startswith("arrivals|dropped"))
    assert counters["arrivals|intended"] == counters["arrivals|started"] + dropped
    assert {name for name in counters if name.startswith("arrivals|dropped")} == {
        "arrivals|dropped|busy",
        "arrivals|dropped|limit",
    }


# -- drain --------------------------------------------------------------------------------------------------------------

LONG = {"call": CALL | {"length": "1h"}}


def test_a_drain_starts_nothing_and_releases_everything_at_the_steady_rate() -> None:
    world = World(traffic({"rate": "20/s", "spacing": "constant", "duration": "5s"}, usages=LONG)).run()
    end = START + 5 * SECOND
    assert max(message.at for message in world.sent("create")) < end
    releases = [message.at - end for message in world.sent("release")]
    assert len(releases) == 99
    assert {later - earlier for earlier, later in pairwise(releases)} == {SECOND // 20}
    assert world.fleets[0].finished
    assert {record["end"] for record in world.records} == {"completed"}


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_together_release_at_the_steady_rate(workers: int) -> None:
    world = World(traffic({"rate": "20/s", "duration": "5s"}, usages=LONG), workers=workers).run()
    releases = [message.at for message in world.sent("release")]
    assert len(releases) == len(world.sent("create")) > 50
    rate = len(releases) / ((releases[-1] - releases[0]) / SECOND)
    assert rate == pytest.approx(20, rel=0.1)


def test_a_drain_without_a_rate_releases_as_fast_as_sessions_are_set_up() -> None:
    world = World(traffic({"rate": 0, "start_open": 200, "duration": "1s"}, usages=LONG)).run()
    releases = [message.at for message in world.sent("release") if message.at >= START + SECOND]
    assert len(releases) > 150
    assert {later - earlier for earlier, later in pairwise(releases)} == {SECOND // 2000}


def test_a_drain_ends_within_half_of_its_time_when_the_rate_is_too_slow_for_it() -> None:
    load = {"rate": "0.1/s", "start_open": 200, "duration": "1s", "spacing": "constant"}
    world = World(traffic(load, usages=LONG, timeouts={"drain": "4s"})).run()
    releases = [message.at - START - SECOND for message in world.sent("release")]
    assert len(releases) == 200
    assert 1.9 * SECOND < max(releases) <= 2 * SECOND


def test_a_closed_loop_that_is_interrupted_drains_although_devices_are_thinking() -> None:
    """Sessions that would have begun during the drain are not waited for."""
    usages = {"call": CALL | {"length": {"uniform": {"min": "1s", "max": "9s"}}}}
    think_time = {"uniform": {"min": "0s", "max": "9s"}}
    world = World(traffic({"mode": "closed", "devices": 50, "think_time": think_time}, usages=usages)).run(10)
    assert all(fleet.finished for fleet in world.fleets)
    assert max(message.at for message in world.sent("create")) <= START + 10 * SECOND
    assert set(map(tuple, operations(world).values())) == {("create", "release")}


@pytest.mark.parametrize("pace", ["1x", "flat-out"])
def test_sessions_that_get_no_answer_are_abandoned_and_entered_as_open(pace: str) -> None:
    """The CHF falls silent just before the drain; nothing more is heard of it."""
    silent_from = START + 2 * SECOND
    profile = traffic(
        {"rate": "20/s", "duration": "2s"}, usages=LONG, pace=pace, timeouts={"drain": "3s", "request": "30s"}
    )
    world = World(profile, weather=lambda message: "lost" if message.at >= silent_from - SECOND // 2 else "").run()
    left = world.fleets[0].abandoned
    assert left > 5
    assert world.count("sessions|failed") == left
    opened = [record for record in world.records if record["end"] == "open"]
    assert len(opened) == left
    assert not world.fleets[0].open_sessions
    assert world.count("sessions|started") == world.count("sessions|completed") + left


@pytest.mark.parametrize("sent", [True, False])
def test_what_is_under_way_when_the_run_stops_counts_as_failed_and_its_session_as_left_open(sent: bool) -> None:
    """A CHF that swallows requests must not look flawless; a request that has not left yet is in no doubt."""
    world = World(traffic({"rate": "20/s"}, usages={"message": MESSAGE}), latency=9 * SECOND)
    world.run_until(2)
    (fleet,) = world.fleets
    open_sessions, requests = fleet.open_sessions, world.count("requests")
    assert (open_sessions > 10, requests) == (True, 0)
    fleet.stop()
    for exchange in world.exchanges:
        exchange.sent = world.now if sent else 0
        exchange.on_done(exchange, Failure(FailureKind.CLOSED, "closed", safe_to_repeat=not sent), world.now)
    fleet.abandon(world.now)
    fleet.books.flush()
    fleet.set_gauges(world.now)
    assert fleet.abandoned == open_sessions == world.count("causes|UNANSWERED")
    assert world.count("requests") == open_sessions
    assert {(record["end"], record["doubt"] > 0) for record in world.records} == {("open", sent)}
    assert world.totals.gauge("sessions_open") == open_sessions


def test_answers_that_come_after_the_end_change_nothing() -> None:
    profile = traffic({"rate": "20/s", "duration": "2s"}, usages=LONG, timeouts={"drain": "1s", "request": "30s"})
    world = World(profile, latency=3 * SECOND).run()
    before = (world.counters(), list(world.records))
    assert world.fleets[0].abandoned > 5
    while world.events:
        world.now, _, happen = world.events.pop(0)
        happen()
    assert (world.counters(), world.records) == before


@pytest.mark.parametrize("load", [{"rate": "20/s"}, {"mode": "closed", "devices": 10, "think_time": "1s"}])
def test_a_command_that_comes_in_the_drain_brings_nothing_back(load: dict[str, Any]) -> None:
    world = World(traffic({"duration": "60s"} | load))
    world.run_until(2)
    (fleet,) = world.fleets
    fleet.drain(world.now, 4 * SECOND)
    for action, value in (("pause", None), ("rate", 9.0), ("resume", None)):
        assert fleet.control(world.now, action, value, world.now)
    created = len(world.sent("create"))
    world.run_until(6)
    assert fleet.finished
    assert len(world.sent("create")) == created


# -- the levels ---------------------------------------------------------------------------------------------------------


def test_levels_keep_the_peak_between_two_looks() -> None:
    world = World(
        traffic({"rate": "20/s", "sessions": 20, "duration": "5s"}, usages={"call": CALL | {"length": "1s"}})
    ).run()
    assert world.totals.gauge("sessions_open") == 0
    assert world.totals.peak("sessions_open") > 10


# -- latencies ----------------------------------------------------------------------------------------------------------


def test_three_latencies_are_kept_apart() -> None:
    """On a quiet engine nothing queues, and what the CHF takes is both service and response."""
    world = World(traffic({"rate": "20/s", "duration": "5s"}), latency=40_000_000).run()
    run = world.totals.run
    for operation in ("create", "release"):
        assert run.histogram("latency_us", "queue", operation).max_us == 0
        for kind in ("service", "response"):
            assert run.histogram("latency_us", kind, operation).percentile(50) == pytest.approx(40_000, rel=0.01)


def test_a_repeat_counts_in_the_response_and_each_attempt_in_the_service() -> None:
    """The first attempt of each Create is lost: five seconds of timeout, then an answer in five milliseconds."""
    world = World(traffic({"rate": "2/s", "duration": "5s"}), weather=_first_creates_lost).run()
    creates = len({message.session for message in world.sent("create")})
    run = world.totals.run
    assert run.histogram("latency_us", "service", "create").count == 2 * creates
    response = run.histogram("latency_us", "response", "create")
    assert response.count == creates
    assert response.percentile(50) == pytest.approx(5_005_000, rel=0.01)
    assert world.count("retransmitted|create") == creates
    assert world.count("requests|create|call|ok") == creates


def _first_creates_lost(message: Any) -> str:
    return "lost" if message.operation == "create" and message.attempt == 1 else ""


def test_a_late_start_shows_as_queueing_and_not_as_a_slow_charging_function() -> None:
    """The intended moment counts: the engine woke up 300 ms after the first arrivals were due."""
    world = World(traffic({"rate": "10/s", "spacing": "constant"}))
    world.now = START + 3 * SECOND // 10
    world.fleets[0].on_time(world.now)
    world.run()
    queue = world.totals.run.histogram("latency_us", "queue", "create")
    assert queue.max_us == pytest.approx(200_000, rel=0.01)
    assert world.totals.run.histogram("latency_us", "service", "create").max_us == pytest.approx(5_000, rel=0.01)


@pytest.mark.parametrize("load", [{"rate": "20/s"}, {"mode": "closed", "devices": 40}])
def test_what_an_engine_never_got_to_is_a_counted_drop(load: dict[str, Any]) -> None:
    """It stood still from the start until the drain, and must not keep quiet about it."""
    world = World(traffic({"duration": "3s", "spacing": "constant"} | load))
    (fleet,) = world.fleets
    fleet.drain(START + 3 * SECOND, SECOND)
    started, dropped = world.count("arrivals|started"), world.count("arrivals|dropped|late")
    assert world.count("arrivals|intended") == started + dropped
    assert dropped >= 38
    if "rate" in load:
        assert started + dropped == 59, "every arrival up to the end is accounted for"
