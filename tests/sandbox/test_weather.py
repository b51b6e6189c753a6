"""What the weather decides, in virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.config import Fault, Servers
from simulator.sandbox.capacity import Capacity
from simulator.sandbox.weather import FAIR, Conditions, Fate, Weather
from tests.sandbox.smf import SECOND, SUBSCRIBER

MS = SECOND // 1000


def faults(*given: dict[str, Any]) -> list[Fault]:
    return [Fault.model_validate(each) for each in given]


def weather(*given: dict[str, Any], at: int | None = 0, **options: Any) -> Weather:
    """Faults whose time runs from `at`."""
    sky = Weather(faults(*given), **options)
    if at is not None:
        sky.start(at)
    return sky


def update(sky: Weather, now: float = 0, subscriber: str = SUBSCRIBER, endpoint: int = 1) -> Fate:
    return sky.decide("update", subscriber, endpoint, int(now * SECOND))


def hit(fate: Fate) -> bool:
    return fate is not FAIR


def test_a_fault_lasts_from_its_first_nanosecond_to_the_one_before_its_last():
    sky = weather({"from": "10s", "until": "20s", "silence": True}, at=5 * SECOND)
    assert [hit(sky.decide("update", "", 1, 15 * SECOND + step)) for step in (-1, 0)] == [False, True]
    assert [hit(sky.decide("update", "", 1, 25 * SECOND + step)) for step in (-1, 0)] == [True, False]


def test_before_the_timeline_starts_the_weather_is_fair():
    sky = weather({"silence": True}, at=None)
    assert update(sky, 1000) is FAIR
    assert not sky.touches_requests(1, 1000 * SECOND)
    sky.start(2000 * SECOND)
    assert hit(update(sky, 2000))


def test_what_is_added_later_counts_from_then():
    sky = weather()
    (number,) = sky.add(faults({"from": "1s", "until": "2s", "silence": True}), 100 * SECOND)
    assert [hit(update(sky, second)) for second in (1.5, 100.5, 101.5, 102.5)] == [False, False, True, False]
    assert sky.remove(number) == 1
    assert not hit(update(sky, 101.5))
    assert sky.remove(number) == 0


def test_only_the_operations_that_are_named_are_hit():
    sky = weather({"operations": ["release", "event"], "silence": True})
    told = {operation: hit(sky.decide(operation, "", 1, 0)) for operation in ("create", "update", "release", "event")}
    assert told == {"create": False, "update": False, "release": True, "event": True}


def test_tokens_are_only_hit_where_they_are_named():
    assert not hit(weather({"silence": True}).decide("token", "", 1, 0))
    assert hit(weather({"operations": ["token"], "status": 500}).decide("token", "", 1, 0))


@pytest.mark.parametrize(
    ("subscribers", "hits"),
    [
        ("001010000000001..001010000000002", ["imsi-001010000000001", "imsi-001010000000002", "001010000000001"]),
        ("imsi-001010000000003..imsi-001010000000009", ["imsi-001010000000003"]),
        ("imsi-001010000000002", ["imsi-001010000000002"]),
        ("device-7", ["device-7"]),
    ],
)
def test_only_the_subscribers_that_are_named_are_hit(subscribers: str, hits: list[str]):
    sky = weather({"subscribers": subscribers, "silence": True})
    everybody = [f"imsi-00101000000000{n}" for n in (1, 2, 3)] + ["001010000000001", "device-7", ""]
    assert [each for each in everybody if hit(update(sky, subscriber=each))] == hits


def test_only_the_endpoint_that_is_named_is_hit():
    sky = weather({"endpoint": 2, "silence": True}, endpoints=2)
    assert [hit(update(sky, endpoint=number)) for number in (1, 2)] == [False, True]
    assert [sky.touches_requests(number, 0) for number in (1, 2)] == [False, True]


def test_a_share_of_the_requests_is_hit_and_the_same_ones_for_the_same_seed():
    def struck(seed: int) -> list[bool]:
        sky = weather({"share": "20%", "silence": True}, seed=seed)
        return [hit(update(sky)) for _ in range(5000)]

    assert struck(1) == struck(1)
    assert struck(1) != struck(2)
    assert sum(struck(1)) == pytest.approx(1000, abs=120)


def test_chance_begins_again_with_the_timeline():
    sky = weather({"share": "50%", "silence": True})
    before = [hit(update(sky)) for _ in range(100)]
    sky.start(0)
    assert [hit(update(sky)) for _ in range(100)] == before


def test_a_request_that_does_not_fit_uses_up_no_chance():
    alone, among = (weather({"share": "50%", "operations": ["update"], "silence": True}) for _ in range(2))
    wanted = [hit(update(alone)) for _ in range(100)]
    found = []
    for _ in range(100):
        among.decide("create", "", 1, 0)
        found.append(hit(update(among)))
    assert found == wanted


def test_delays_add_up_and_are_drawn_for_each_request():
    sky = weather({"delay": "20ms"}, {"delay": {"uniform": {"min": 0, "max": "10ms"}}})
    delays = [update(sky).delay for _ in range(200)]
    assert all(20 * MS <= delay < 30 * MS for delay in delays)
    assert len(set(delays)) == 200
    assert sky.counts == {"delay": 400}


def test_the_first_of_two_endings_has_the_word():
    sky = weather({"operations": ["create"], "silence": True}, {"status": 503}, {"lose_answer": True})
    ending = update(sky).ending
    assert ending is not None
    assert ending.kind == "status"
    assert sky.counts == {"status": 1}


@pytest.mark.parametrize(
    ("fault", "charged"),
    [
        ({"status": 500}, False),
        ({"silence": True}, False),
        ({"redirect": {"uri": "http://elsewhere"}}, False),
        ({"reset_connection": True}, False),
        ({"reset_stream": "CANCEL"}, False),
        ({"reset_connection": {"charged": True}}, True),
        ({"reset_stream": {"error": "CANCEL", "charged": True}}, True),
        ({"lose_answer": True}, True),
        ({"truncate": True}, True),
        ({"goaway": "abrupt", "operations": ["update"]}, True),
    ],
)
def test_what_is_charged_and_what_is_not(fault: dict[str, Any], charged: bool):
    assert update(weather(fault)).is_charged is charged


def test_an_endpoint_is_down_as_long_as_any_outage_lasts():
    sky = weather({"from": "1s", "until": "3s", "outage": True}, {"from": "2s", "until": "4s", "outage": True})
    assert [sky.conditions(1, int(s * SECOND)).down for s in (0.5, 1, 2.5, 3.5, 4)] == [False, True, True, True, False]


def test_the_least_of_several_stream_limits_holds():
    sky = weather(
        {"max_streams": 10}, {"from": "1s", "max_streams": 3}, {"endpoint": 2, "close_window": True}, endpoints=2
    )
    assert sky.conditions(1, 0) == Conditions(max_streams=10)
    assert sky.conditions(1, SECOND) == Conditions(max_streams=3)
    assert sky.conditions(2, 0) == Conditions(max_streams=10, window_closed=True)
    assert not sky.touches_requests(1, 0)


def test_changes_are_announced_one_after_the_other():
    sky = weather({"from": "1s", "until": "3s", "outage": True}, {"from": "2s", "silence": True})
    moments, now = [], -1
    while (moment := sky.next_change(now)) is not None:
        moments.append(moment / SECOND)
        now = moment
    assert moments == [0.95, 1, 1.95, 2, 3]


def test_an_endpoint_asks_about_requests_a_little_before_a_fault_and_not_after_it():
    sky = weather({"from": "1s", "until": "2s", "silence": True})
    assert [sky.touches_requests(1, ms * MS) for ms in (949, 950, 999, 1000, 1999, 2000)] == [
        False,
        True,
        True,
        True,
        True,
        False,
    ]
    assert update(sky, 0.999) is FAIR


def test_a_goaway_for_nobody_in_particular_happens_once():
    sky = weather({"from": "1s", "goaway": "graceful"})
    assert sky.begun(0) == []
    assert [rule.kind for rule in sky.begun(SECOND)] == ["goaway"]
    assert sky.begun(2 * SECOND) == []
    assert update(sky, 2) is FAIR
    assert hit(update(weather({"goaway": "graceful", "share": "100%", "operations": ["update"]})))


def test_a_storm_of_notifications_begins_once():
    sky = weather({"from": "1s", "until": "2s", "notify": {"type": "REAUTHORIZATION", "rate": "100/s"}})
    (rule,) = sky.begun(SECOND)
    assert rule.end == 2 * SECOND
    assert sky.begun(SECOND) == []


def serve(count: int, arrivals: list[int], queue: int = 1000, service_time: Any = "10ms") -> list[int | None]:
    capacity = Capacity(Servers.model_validate({"count": count, "service_time": service_time, "queue": queue}))
    return [capacity.admit(moment * MS) for moment in arrivals]


def test_two_servers_serve_in_the_order_of_arrival():
    assert serve(2, [0, 1, 2, 3, 50]) == [10 * MS, 11 * MS, 20 * MS, 21 * MS, 60 * MS]


def test_who_finds_the_queue_full_is_turned_away():
    assert serve(1, [0, 1, 2, 3, 15, 16], queue=2) == [10 * MS, 20 * MS, 30 * MS, None, 40 * MS, None]


def test_without_a_queue_only_a_free_server_helps():
    assert serve(1, [0, 9, 10], queue=0) == [10 * MS, None, 20 * MS]


def test_a_chf_of_known_capacity_serves_what_its_servers_can():
    done = serve(4, list(range(10_000)), queue=10**6, service_time={"exponential": {"mean": "8ms"}})
    assert all(moment is not None for moment in done)
    last = max(moment for moment in done if moment is not None)
    assert 10_000 / (last / SECOND) == pytest.approx(4 / 0.008, rel=0.05)


def test_busy_and_waiting_are_told():
    capacity = Capacity(Servers.model_validate({"count": 2, "service_time": "10ms"}))
    for _ in range(5):
        capacity.admit(0)
    assert (capacity.busy(0), capacity.waiting(0)) == (2, 3)
    assert (capacity.busy(10 * MS), capacity.waiting(10 * MS)) == (2, 1)
    assert (capacity.busy(30 * MS), capacity.waiting(30 * MS)) == (0, 0)
