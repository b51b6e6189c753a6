"""Who begins which session when, before anything is sent."""

from __future__ import annotations

import math
import tracemalloc
from collections import Counter
from itertools import islice
from typing import Any

import pytest

from simulator.config import Profile
from simulator.config.profile import FILL_PER_S
from simulator.fleet.network_functions import build_network_functions
from simulator.fleet.population import Population, Start
from simulator.fleet.usage import mean_life_s
from simulator.n40.flow import NS_PER_S
from tests.statistics_of import kolmogorov_smirnov
from tests.world import CALL, DOWNLOAD, MESSAGE, World, traffic

MIXED = {"call": CALL, "download": DOWNLOAD, "message": MESSAGE}


def everybody(profile: Profile, workers: int, kind: str = "arrivals", seed: int = 1) -> list[list[Start]]:
    return [list(getattr(Population(profile, seed, index, workers), kind)()) for index in range(workers)]


# -- workers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [2, 3, 7])
@pytest.mark.parametrize("kind", ["arrivals", "open_at_start"])
def test_workers_share_the_sessions_of_one(workers: int, kind: str) -> None:
    profile = traffic({"rate": "100/s", "start_open": 500}, usages=MIXED)
    (alone,) = everybody(profile, 1, kind)
    parts = everybody(profile, workers, kind)
    assert len(alone) > 400
    assert sorted(start for part in parts for start in part) == alone
    for index, part in enumerate(parts):
        assert {start.subscriber % workers for start in part} == {index}
        assert len(part) == pytest.approx(len(alone) / workers, rel=0.2)


def test_devices_of_a_closed_loop_are_shared_too() -> None:
    profile = traffic({"mode": "closed", "devices": 100, "think_time": "5s"})
    world = World(profile, workers=3).run()
    parts = [{each.session[0] for each in world.messages if each.worker == worker} for worker in range(3)]
    assert len(set.union(*parts)) == sum(map(len, parts)) == 100


def test_no_two_sessions_have_one_number() -> None:
    profile = traffic({"rate": "100/s", "start_open": 500})
    population = Population(profile, 1)
    numbers = [start.number for start in (*population.open_at_start(), *population.arrivals())]
    assert len(set(numbers)) == len(numbers)


def test_sessions_of_a_closed_loop_have_numbers_of_their_own() -> None:
    """A device's next session has the number of its last one plus the number of devices."""
    world = World(
        traffic({"mode": "closed", "devices": 7, "think_time": "1s"}, usages={"call": CALL | {"length": "2s"}})
    )
    numbers = [message.session[1] for message in world.run().sent("create")]
    assert len(numbers) > 30
    assert len(set(numbers)) == len(numbers)


# -- subscribers --------------------------------------------------------------------------------------------------------


def test_every_subscriber_has_a_session_before_one_has_a_second() -> None:
    starts = Population(traffic({"rate": "1000/s"}), 1).arrivals()
    assert len({start.subscriber for start in islice(starts, 1000)}) == 1000


def test_identities_are_counted_up_together() -> None:
    """Subscriber n has the n-th IMSI, the n-th MSISDN and the n-th IMEISV after the first; read off the wire."""
    world = World(traffic({"rate": "100/s", "spacing": "constant", "duration": "3s"})).run()
    seen = set()
    for message in world.sent("create"):
        user = message.body["pDUSessionChargingInformation"]["userInformation"]
        number = int(message.body["subscriberIdentifier"].removeprefix("imsi-")) - 1010000000001
        assert message.body["subscriberIdentifier"] == f"imsi-{1010000000001 + number:015d}"
        assert user["servedGPSI"] == f"msisdn-{15550000001 + number}"
        assert user["servedPEI"] == f"imeisv-{3500000000000010 + number:016d}"
        seen.add(number)
    assert len(seen) == 299
    assert max(seen) < 1000


def test_tracking_areas_and_cells_are_written_as_the_profile_writes_them() -> None:
    """An EUTRA tracking area has four digits, or six with leading zeros; both stay as they are."""
    pgw = {"kind": "PGW_C_SMF", "location": {"tac": ["00A1b2", "0c0d"], "cell": ["00Ff001"]}}
    usage = DOWNLOAD | {"network_function": "pgw"}
    world = World(traffic({"rate": "20/s"}, usages={"download": usage}, network_functions={"pgw": pgw})).run()
    places = [
        message.body["pDUSessionChargingInformation"]["userLocationinfo"]["eutraLocation"]
        for message in world.sent("create")
    ]
    assert {place["tai"]["tac"] for place in places} == {"00A1b2", "0c0d"}
    assert {place["ecgi"]["eutraCellId"] for place in places} == {"00Ff001"}


def test_a_thousand_million_subscribers_cost_no_memory() -> None:
    profile = traffic({"rate": "1000/s"}, subscribers={"count": "1G", "first_imsi": "00101000000000"})
    tracemalloc.start()
    starts = list(islice(Population(profile, 1).arrivals(), 100))
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len({start.subscriber for start in starts}) == 100
    assert used < 200_000


def test_network_functions_are_always_the_same_and_all_different() -> None:
    profile = traffic({"rate": "1/s"})
    keys = {
        instance.identity.instance_id: instance.key
        for functions in build_network_functions(profile, worker=0).values()
        for instance in functions
    }
    assert sorted(keys.values()) == ["smf-1", "smf-2", "smsf-1"]
    again = build_network_functions(profile, worker=1)
    assert [each.identity.instance_id for each in again["smf"]] == [
        identity for identity, key in keys.items() if key.startswith("smf-")
    ]


def test_workers_have_callback_ports_of_their_own() -> None:
    ports = {build_network_functions(traffic({"rate": "1/s"}), worker)["smf"][0].notify_uri for worker in range(4)}
    assert len(ports) == 4


# -- which usage --------------------------------------------------------------------------------------------------------


def test_usages_are_drawn_by_their_weights() -> None:
    profile = traffic({"rate": "500/s"}, usages=MIXED, mix={"call": 1, "download": 6, "message": 3})
    counts = Counter(start.usage for start in Population(profile, 1).arrivals())
    total = counts.total()
    for usage, share in enumerate((0.1, 0.6, 0.3)):
        assert abs(counts[usage] - share * total) < 4 * math.sqrt(total * share * (1 - share))


def test_a_usage_of_no_weight_never_begins() -> None:
    profile = traffic({"rate": "500/s"}, usages=MIXED, mix={"call": 0, "download": 1, "message": 0})
    assert {start.usage for start in Population(profile, 1).arrivals()} == {1}


# -- a running network at second 0 --------------------------------------------------------------------------------------


def test_sessions_open_at_the_start_are_set_up_at_a_steady_rate() -> None:
    starts = list(Population(traffic({"rate": "1/s", "start_open": 900}), 1).open_at_start())
    assert [start.moment for start in starts] == [number * NS_PER_S // FILL_PER_S for number in range(900)]
    assert all(start.residual for start in starts)


def test_what_is_open_is_weighted_by_how_long_it_lives() -> None:
    """Calls of ten minutes and of one minute start as often: at any moment ten of eleven open ones are long."""
    usages: dict[str, Any] = {"long": CALL | {"length": "10m"}, "short": CALL | {"length": "1m"}, "message": MESSAGE}
    starts = list(Population(traffic({"rate": "1/s", "start_open": 1000}, usages=usages), 1).open_at_start())
    counts = Counter(start.usage for start in starts)
    assert counts[0] / 1000 == pytest.approx(10 / 11, abs=0.04)
    assert counts[2] == 0, "an event is never open"


@pytest.mark.parametrize(
    ("length", "left"),
    [
        ("100s", lambda seconds: min(1.0, seconds / 100)),
        ({"exponential": {"mean": "100s"}}, lambda seconds: 1 - math.exp(-seconds / 100)),
        (
            {"uniform": {"min": "0s", "max": "100s"}},
            lambda seconds: 1 - (1 - min(100, seconds) / 100) ** 2,
        ),
    ],
    ids=["fixed", "exponential", "uniform"],
)
def test_what_is_left_of_open_sessions_is_as_in_a_network_that_has_been_running(length: Any, left: Any) -> None:
    """Their ends are read off the wire: nothing else starts, and every session is released when its time has come."""
    usages = {"call": CALL | {"length": length}}
    profile = traffic({"rate": 0, "start_open": 500, "duration": "2000s"}, usages=usages)
    world = World(profile, latency=2).run()
    created = {message.session: message.at for message in world.sent("create")}
    lives = [(message.at - created[message.session]) / NS_PER_S for message in world.sent("release")]
    assert len(lives) == 500
    assert kolmogorov_smirnov(lives, left) < 1.63


def test_the_number_of_open_sessions_stays_where_it_began() -> None:
    """Ten calls a second of thirty seconds each: three hundred are open, at the start and ever after."""
    usages = {"call": CALL | {"length": {"exponential": {"mean": "30s"}}}}
    world = World(traffic({"rate": "10/s", "start_open": 300, "duration": "120s"}, usages=usages))
    levels = []
    for second in range(1, 120):
        world.run_until(second)
        levels.append(world.fleets[0].open_sessions)
    assert sum(levels) / len(levels) == pytest.approx(300, rel=0.05)
    assert min(levels) > 300 - 4 * math.sqrt(300)
    assert max(levels) < 300 + 4 * math.sqrt(300)


def test_a_part_of_a_volume_is_left_of_sessions_without_a_length() -> None:
    usages = {"download": DOWNLOAD}
    world = World(traffic({"rate": 0, "start_open": 300, "duration": "60s"}, usages=usages)).run()
    used = [record["used"] for record in world.records]
    assert len(used) == 300
    assert all(0 < amount <= 5_000_000 for amount in used)
    # of 2 MB and 5 MB downloads: what is left on average is E[x^2] / 2 E[x]
    assert sum(used) / 300 == pytest.approx(14.5e6 / 7, rel=0.1)


def test_mean_lives_come_from_the_length_or_the_volume() -> None:
    profile = traffic({"rate": "1/s"}, usages=MIXED)
    lives = [mean_life_s(profile.usages[name]) for name in MIXED]
    assert lives == [10.0, pytest.approx(3.5), 0.0]


@pytest.mark.parametrize(("final_unit", "released"), [("release", True), ("keep", False)])
def test_the_profile_says_whether_a_session_outlives_its_final_units(final_unit: str, released: bool) -> None:
    fleet = World(traffic({"rate": "1/s"}, usages={"download": DOWNLOAD | {"final_unit": final_unit}})).fleets[0]
    (usage,) = fleet._usages
    assert {context.release_when_stopped for places in usage._contexts for context in places} == {released}
