"""The books balance: what the fleet used, what the CHF charged, and what the auditor makes of both, in any weather."""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.audit import Audit
from simulator.config import load_plan
from simulator.sandbox.chf import Chf, LocationForm
from tests.fleet.test_determinism import USAGES, mixed
from tests.world import EPOCH, START, Message, Weather, World, by_session, profile, traffic

SHARES = ("lost", "in_doubt", "undelivered", "unverified", "refused", "unreported", "open", "uncharged")
FAIR = ("double_charged", "misbooked", "doubted", *SHARES)
FATES = ("lost", "answer lost", "refused", "garbage", "500")


def figures(audit: Audit, *names: str) -> dict[str, int]:
    """Sums over all kinds of unit of what is not zero."""
    sums = {name: sum(getattr(audit, f"{name}_units").values()) for name in names or FAIR}
    return {name: value for name, value in sums.items() if value}


def storm(shares: dict[str, float]) -> Weather:
    """Each attempt meets its fate with these probabilities, drawn from its content."""

    def fate(message: Message) -> str:
        digest = blake2b(b"%d" % message.attempt + message.raw, digest_size=8).digest()
        u = int.from_bytes(digest, "little") / 2**64
        for name, share in shares.items():
            u -= share
            if u < 0:
                return name
        return ""

    return fate


class Reports:
    """An account of what was reported and what of it reached the CHF, kept from what passed by on the wire alone."""

    def __init__(self, world: World) -> None:
        self.charged: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()
        reports: dict[tuple[str, Any, int], list[Message]] = {}
        for message in world.messages:
            key = (message.path, message.session, message.body["invocationSequenceNumber"])
            reports.setdefault(key, []).append(message)
        for attempts in reports.values():
            sums = self.charged if any(200 <= each.status < 300 for each in attempts) else self.missed
            for (_, unit), amount in attempts[0].reported().items():
                sums[unit] += amount


# -- fair weather -------------------------------------------------------------------------------------------------------


SMALL = ("load.duration=2s", "load.warmup=0s", "load.start_open=100", "load.rate=30/s")


def balanced_to_the_unit(world: World) -> None:
    audit = world.audit()
    assert audit.balanced
    assert figures(audit) == {}
    assert audit.used_units == audit.acknowledged_units == audit.debited_units
    assert sum(audit.used_units.values()) > 0
    assert audit.sessions == len(by_session(world.messages)) == world.count("sessions|completed")


@pytest.mark.parametrize("name", ["demo", "busy-hour", "voice-evening", "4g-pgw", "video"])
def test_in_fair_weather_every_unit_of_a_shipped_profile_is_charged_exactly_once(name: str) -> None:
    balanced_to_the_unit(World(profile(*SMALL, base=name)).run())


@pytest.mark.parametrize("workers", [1, 3])
def test_in_fair_weather_every_unit_is_charged_exactly_once(workers: int) -> None:
    balanced_to_the_unit(World(mixed(), workers=workers).run())
    balanced_to_the_unit(World(profile(base="how-to"), workers=workers).run())
    closed = {"mode": "closed", "devices": 30, "think_time": "1s"}
    balanced_to_the_unit(World(traffic(closed, usages=USAGES), workers=workers).run())


@pytest.mark.parametrize("location", list(LocationForm))
def test_the_books_balance_however_the_charging_function_names_its_sessions(location: LocationForm) -> None:
    chf = Chf(load_plan(None), pace=1.0, epoch=EPOCH - START, location=location)
    audit = World(mixed(duration="3s"), chf=chf).run().audit()
    assert audit.balanced
    assert figures(audit) == {}


def test_the_figures_of_the_run_agree_with_its_records() -> None:
    world = World(mixed()).run()
    used = world.totals.run.counts_by("units", 1, "used")
    assert used == {unit: amount for unit, amount in world.audit().used_units.items() if amount}


# -- foul weather -------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    shares=st.fixed_dictionaries({fate: st.sampled_from([0.0, 0.02, 0.1, 0.18]) for fate in FATES}),
    repeats=st.integers(0, 2),
    seed=st.integers(0, 1000),
    flat_out=st.booleans(),
)
def test_in_any_weather_the_audit_finds_what_really_happened(
    shares: dict[str, float], repeats: int, seed: int, flat_out: bool
) -> None:
    """What is not charged are the reports that never reached the CHF; nothing is charged twice; the books leave no doubt."""
    load: dict[str, Any] = (
        {"mode": "closed", "devices": 20, "sessions": 60} if flat_out else {"rate": "6/s", "start_open": 10}
    )
    profile = traffic(
        load | {"duration": "8s"},
        usages=USAGES,
        pace="flat-out" if flat_out else "1x",
        repeats=repeats,
        timeouts={"request": "1s", "drain": "10s"},
    )
    world = World(profile, seed=seed, weather=storm(shares)).run()
    audit, seen = world.audit(), Reports(world)
    assert figures(audit, "lost", "double_charged", "misbooked", "in_doubt", "unverified") == {}
    assert {unit: amount for unit, amount in audit.undelivered_units.items() if amount} == +seen.missed
    events = sum(record["doubt"] for record in world.records if record["operation"] == "IEC")
    for unit, amount in audit.debited_units.items():
        asked = events if unit == "serviceSpecificUnits" else 0
        assert 0 <= amount - audit.charged_units[unit] <= asked, "only what nobody heard of is charged and not used"
    assert audit.balanced


def test_a_repeat_is_not_charged_again() -> None:
    """Every first answer is lost: the CHF sees each request twice, and charges it once."""
    load = traffic({"rate": "20/s", "duration": "10s"}, usages=USAGES, timeouts={"request": "1s", "drain": "30s"})
    world = World(load, weather=lambda message: "answer lost" if message.attempt == 1 else "").run()
    assert {message.attempt for message in world.messages} == {1, 2}
    repeats = [message for message in world.messages if message.attempt == 2]
    assert all(message.body["retransmissionIndicator"] for message in repeats)
    audit = world.audit()
    assert audit.balanced
    assert figures(audit) == {}
    assert audit.used_units == audit.debited_units


def test_a_refused_request_is_sent_again_as_it_was() -> None:
    """REFUSED_STREAM says that it was not processed (RFC 9113 8.7): no repeat in the sense of N40, and no doubt."""
    world = World(mixed(), weather=lambda message: "refused" if message.attempt <= 3 else "").run()
    assert max(message.attempt for message in world.messages) == 4
    assert not any("retransmissionIndicator" in message.body for message in world.messages)
    assert figures(world.audit()) == {}
    assert world.count("requests|create") == world.count("sessions|started") - world.count("requests|event")


def test_a_charging_function_that_always_refuses_is_not_asked_for_ever() -> None:
    load = traffic({"rate": "10/s", "duration": "2s"}, usages=USAGES)
    world = World(load, weather=lambda message: "refused").run()
    assert max(message.attempt for message in world.messages) == 11
    assert world.count("sessions|failed") == world.count("sessions|started") > 5
    assert figures(world.audit(), "doubted") == {}, "provably not processed"


def test_doubt_is_only_where_answers_were_really_lost() -> None:
    """Both answers to each of some Updates are lost; their units, and no others, are doubted, and the books resolve it."""

    def fate(message: Message) -> str:
        return "answer lost" if message.operation == "update" and sum(message.raw) % 5 < 2 else ""

    world = World(mixed(), weather=fate).run()
    doubted: Counter[str] = Counter()
    for message in world.sent("update"):
        if message.attempt == 2 and fate(message):
            doubted.update({unit: amount for (_, unit), amount in message.reported().items()})
    audit = world.audit()
    assert sum(doubted.values()) > 0
    assert audit.balanced
    assert all(audit.doubted_units[unit] >= amount for unit, amount in doubted.items())
    assert figures(audit, "lost", "double_charged", "in_doubt") == {}


def test_a_message_whose_charge_nobody_heard_of_is_not_charged_twice() -> None:
    """IEC: the CHF debited it once, both answers were lost, and it was not sent."""
    load = traffic({"rate": "10/s"}, usages={"message": USAGES["message"]})
    world = World(load, weather=lambda message: "answer lost").run()
    audit = world.audit()
    assert audit.debited_units["serviceSpecificUnits"] == world.count("sessions|started") > 100
    assert figures(audit) == {"doubted": world.count("sessions|started")}
    assert audit.used_units["serviceSpecificUnits"] == 0


def test_what_fails_is_counted_by_its_cause() -> None:
    counters = World(mixed(), weather=storm({"garbage": 0.1, "500": 0.1, "lost": 0.3})).run().counters()
    assert counters["causes|UNREADABLE_ANSWER"] > 5
    assert counters["causes|HTTP_500"] > 5
    assert counters["causes|TIMEOUT"] > 5


# -- a CHF that forgets, denies, or is gone -----------------------------------------------------------------------------


def forgetful(seconds: float, **options: Any) -> Chf:
    """Sessions that are silent for longer than this are unknown ever after; what they had reported stays charged."""
    plan = load_plan(None).model_copy(update={"session_expiry": seconds})
    return Chf(plan, pace=1.0, epoch=EPOCH - START, **options)


def test_sessions_that_the_charging_function_lost_begin_anew_and_nothing_is_lost() -> None:
    """Bursts of traffic with long pauses: the Update after a pause meets 404, and a new Create takes over."""
    usage = {
        "service": "data",
        "rating_groups": [
            {
                "rating_group": 300,
                "requested": "1MB",
                "volume": "12MB",
                "throughput": "8Mbps",
                "burst": {"uniform": {"min": "1s", "max": "3s"}},
                "pause": {"choice": ["1s", "12s"]},
            }
        ],
    }
    profile = traffic({"rate": "1/s", "duration": "100s"}, usages={"browsing": usage}, timeouts={"drain": "60s"})
    world = World(profile, chf=forgetful(8)).run()
    gone = [message for message in world.messages if message.status == 404]
    assert len([message for message in gone if message.operation == "update"]) > 50
    creates = Counter(message.session for message in world.sent("create"))
    assert creates.most_common(1)[0][1] > 2
    assert max(creates.values()) <= 5
    audit = world.audit()
    assert figures(audit, "lost", "double_charged", "in_doubt", "doubted") == {}
    assert audit.balanced
    used: Counter[str] = Counter()
    for record in world.records:
        used[record["key"]] += record["used"]
    whole = {record["key"] for record in world.records if record["end"] == "completed" and record["used"]}
    assert Counter(used[key] for key in whole).most_common(1)[0][0] == 12_000_000, "over all of its charging sessions"
    assert max(used.values()) == 12_000_000, "nothing is used twice because it was reported anew"
    at_release = sum(sum(message.reported().values()) for message in gone if message.operation == "release")
    assert figures(audit, "unreported")["unreported"] >= at_release > 0, "what a 404 to a Release leaves is named"


def test_a_release_that_meets_404_is_over() -> None:
    """Calls of ten seconds that the CHF forgets after five."""
    world = World(traffic({"rate": "5/s", "duration": "10s"}), chf=forgetful(5)).run()
    assert {message.status for message in world.sent("release") if message.at < START + 19 * 10**9} >= {404}
    assert world.count("sessions|failed|call|gone") > 10
    assert all(fleet.finished for fleet in world.fleets)
    audit = world.audit()
    assert figures(audit, "lost", "double_charged", "in_doubt") == {}
    talked = sum(sum(message.reported().values()) for message in world.sent("release") if message.status == 404)
    assert figures(audit) == {"unreported": talked}


def test_subscribers_without_credit_are_denied_and_come_back() -> None:
    """Ten seconds of talk each: a denial is the CHF doing its job, not a failure."""
    plan = load_plan(None)
    broke = plan.model_copy(update={"balances": dict.fromkeys(plan.balances, 0)})
    chf = Chf(broke, pace=1.0, epoch=EPOCH - START)
    world = World(traffic({"rate": "5/s", "duration": "5s"}, backoff="2s"), chf=chf).run()
    assert {message.status for message in world.sent("create")} == {403}
    creates = Counter(message.session for message in world.sent("create"))
    assert max(creates.values()) > 1, "asked again after the back-off"
    assert world.count("requests|create|call|denied") == len(world.sent("create"))
    assert world.count("requests|create|call|failed") == 0
    assert world.count("sessions|failed|call|denied") == world.count("sessions|started") > 10
    audit = world.audit()
    assert audit.balanced
    assert figures(audit) == {}


def test_a_charging_function_that_is_silent_from_the_middle_on_leaves_nothing_unexplained() -> None:
    middle = START + 4 * 10**9
    profile = traffic(
        {"rate": "10/s", "start_open": 50, "duration": "8s"}, usages=USAGES, timeouts={"request": "1s", "drain": "5s"}
    )
    world = World(profile, weather=lambda message: "lost" if message.at > middle else "").run()
    audit, seen = world.audit(), Reports(world)
    assert {unit: amount for unit, amount in audit.undelivered_units.items() if amount} == +seen.missed
    assert sum(audit.undelivered_units.values()) > 0
    assert figures(audit, "lost", "double_charged", "in_doubt") == {}
    assert all(
        audit.used_units[unit]
        == sum(
            getattr(audit, f"{share}_units")[unit]
            for share in (
                "charged",
                "lost",
                "in_doubt",
                "undelivered",
                "unverified",
                "refused",
                "unreported",
                "open",
                "uncharged",
            )
        )
        for unit in audit.used_units
    )
