"""What a CHF that wants less of it gets less of: Retry-After and overload control, in virtual time."""

from __future__ import annotations

from tests.world import CALL, SECOND, START, Message, World, traffic


def overloaded(reduction: int, *, validity: int = 5, until: float = 5.0) -> World:
    """Calls at 200 a second; until a moment the CHF refuses Creates with that overload information."""

    def weather(message: Message) -> str:
        if message.at - START > until * SECOND or message.operation != "create":
            return ""
        stamp = f"Wed, 18 Nov 2026 11:06:4{(message.at - START) // SECOND}.000 GMT"
        oci = f'Timestamp: "{stamp}"; Period-of-Validity: {validity}s; Overload-Reduction-Metric: {reduction}%'
        return f"503\n3gpp-sbi-oci: {oci}; NF-Instance: 54804518-4191-46b3-955c-ac631f953ed8"

    load = {"rate": "200/s", "duration": "20s"}
    profile = traffic(load, usages={"call": CALL}, repeats=0, subscribers={"count": 10_000})
    return World(profile, weather=weather)


def offered(world: World, first_s: float, last_s: float) -> int:
    """Creates that left between two moments."""
    return sum(first_s * SECOND <= message.at - START < last_s * SECOND for message in world.sent("create"))


def test_overload_control_lowers_what_is_offered_by_as_much_as_it_says_for_as_long_as_it_says() -> None:
    world = overloaded(50)
    world.run()
    assert abs(offered(world, 1, 5) - 400) < 60  # half of 800, drawn
    assert abs(offered(world, 5.1, 8.9) - 380) < 60  # for five seconds after what was told at second 4
    assert 1700 < offered(world, 10.5, 20) < 2100
    dropped = world.counters()["arrivals|dropped|throttled"]
    assert world.count("arrivals|intended") == world.count("arrivals|started") + dropped
    assert any("wants 50 % less for 5 s (overload control)" in told for told in world.events_told)


def test_a_reduction_of_everything_lets_nothing_through() -> None:
    world = overloaded(100)
    world.run()
    assert offered(world, 0.1, 4.9) == 0


def test_updates_of_open_sessions_are_not_held_back() -> None:
    world = overloaded(100, until=0.5)
    world.weather = lambda message, refuse=world.weather: "" if message.at - START < SECOND // 4 else refuse(message)
    world.run()
    releases = [message for message in world.sent("release") if message.at - START < 12 * SECOND]
    assert len(releases) > 30


def test_retry_after_holds_new_sessions_back_and_the_request_waits_as_long() -> None:
    first: list[int] = []

    def weather(message: Message) -> str:
        if message.operation == "create" and not first:
            first.append(message.at)
            return "503\nretry-after: 3"
        return ""

    world = World(traffic({"rate": "50/s", "duration": "10s"}, usages={"call": CALL}), weather=weather)
    world.run()
    creates = [message.at for message in world.sent("create")]
    assert offered(world, 0.2, 2.9) == 0
    assert creates.count(first[0] + world.latency + 3 * SECOND) >= 1  # the one that was told to wait
    assert world.counters()["arrivals|dropped|throttled"] > 100


def test_devices_of_a_closed_loop_do_not_spin_while_they_are_held_back() -> None:
    told: list[int] = []

    def weather(message: Message) -> str:
        if not told:
            told.append(message.at)
            return "429\nretry-after: 2"
        return ""

    load = {"mode": "closed", "devices": 5, "duration": "5s"}
    world = World(traffic(load, usages={"call": CALL}, pace="flat-out"), weather=weather, keep=False)
    world.run()
    assert world.counters()["arrivals|dropped|throttled"] <= 5 * 21
    assert world.count("sessions|completed") > 100


def test_devices_that_are_held_back_ask_again_ten_times_a_second_and_not_at_once() -> None:
    load = {"mode": "closed", "devices": 20, "duration": "10s"}
    usages = {"call": CALL | {"length": "1s"}}
    world = World(traffic(load, usages=usages, repeats=0), weather=overloaded(100).weather)
    world.run()
    dropped = world.counters()["arrivals|dropped|throttled"]
    assert dropped == 20 * 10 * 5, "for the five seconds that were asked for"
    assert world.count("arrivals|intended") == world.count("arrivals|started") + dropped
    assert offered(world, 5.0, 5.2) == 20
