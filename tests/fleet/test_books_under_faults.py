"""Failure handling, failover, notifications and changes in any weather: the audit ends exact, and nothing is charged twice."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from simulator.audit import Audit, Auditor
from simulator.config import Fault
from simulator.sandbox.moods import Mood
from simulator.sandbox.totals import all_totals
from tests.fleet.test_books import SHARES, figures
from tests.fleet.test_determinism import USAGES
from tests.world import DOWNLOAD, MILLISECOND, SECOND, START, Message, World, traffic

CHFS = (b"chf.example:80", b"chf-2.example:80")
FATES = ("lost", "answer lost", "refused", "unreachable", "garbage", "500", "503", "307")
HANDLINGS = ("TERMINATE", "CONTINUE", "RETRY_AND_TERMINATE")
WRONG = ("lost", "double_charged", "misbooked", "in_doubt", "unverified")


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What a world goes through; `shares` of the attempts meet a fate, `notified` is how often the CHF notifies, in ms."""

    shares: dict[str, float]
    failure: dict[str, Any]
    chfs: int = 1
    separate: bool = False
    notified: int = 0
    triggers: dict[str, Any]
    repeats: int = 1
    seed: int = 1
    flat_out: bool = False
    drain: int = 10


faults = st.builds(
    Faults,
    shares=st.fixed_dictionaries({fate: st.sampled_from([0.0, 0.0, 0.02, 0.1, 0.18]) for fate in FATES}),
    failure=st.fixed_dictionaries(
        {
            "handling": st.sampled_from(HANDLINGS),
            "create": st.sampled_from([*HANDLINGS, {}]),
            "update": st.sampled_from([*HANDLINGS, {}]),
            "session_failover": st.booleans(),
            "retry_every": st.sampled_from(["200ms", "3s"]),
            "recreate_after": st.sampled_from([None, "1s"]),
        }
    ),
    chfs=st.integers(1, 2),
    separate=st.booleans(),
    notified=st.sampled_from([0, 50, 400]),
    triggers=st.sampled_from(
        [
            {},
            {"session": {"USER_LOCATION_CHANGE": "immediate"}},
            {"rating_group": {"VOLUME_LIMIT": {"category": "deferred", "limit": "300kB"}}},
            {"rating_group": {"TIME_LIMIT": {"category": "immediate", "limit": "700ms"}}},
        ]
    ),
    repeats=st.integers(0, 2),
    seed=st.integers(0, 10_000),
    flat_out=st.booleans(),
    drain=st.sampled_from([1, 3, 10]),
)


def digest(message: Message, seed: int) -> float:
    content = b"%d %d %d" % (seed, message.attempt, message.chf) + message.raw
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "little") / 2**64


def drawn(shares: dict[str, float], u: float) -> str:
    for fate, share in shares.items():
        u -= share
        if u < 0:
            return fate
    return ""


def play(faults: Faults, mood: Mood | None = None, **fields: Any) -> World:
    """A world through these faults, with its drain."""
    load: dict[str, Any] = (
        {"mode": "closed", "devices": 20, "sessions": 60} if faults.flat_out else {"rate": "6/s", "start_open": 10}
    )
    profile = traffic(
        load | {"duration": "8s"},
        usages=fields.pop("usages", USAGES),
        pace="flat-out" if faults.flat_out else "1x",
        repeats=faults.repeats,
        failure=faults.failure,
        triggers=faults.triggers,
        timeouts={"request": "1s", "drain": f"{faults.drain}s"},
        **fields,
    )

    def weather(message: Message) -> str:
        fate = drawn(faults.shares, digest(message, faults.seed))
        if fate == "503":
            return "503\nretry-after: 1"
        if fate == "307":
            other = world.names[(message.chf + 1) % len(world.names)].decode()
            return f"307\nlocation: http://{other}{message.path}"
        return fate

    world = World(
        profile, seed=faults.seed, weather=weather, names=CHFS[: faults.chfs], separate=faults.separate, mood=mood
    )
    if faults.notified and profile.dialect.name == "3gpp":
        notify(world, faults, START + faults.notified * MILLISECOND)
    return world.run()


def notify(world: World, faults: Faults, moment: int) -> None:
    """Now and then a CHF wants a session asked again or ended, whether it is still there or not."""

    def strike() -> None:
        recent = [message for message in world.messages[-40:] if message.operation != "event"]
        if recent:
            message = recent[int(digest(recent[-1], faults.seed + 1) * len(recent))]
            number = message.body["pDUSessionChargingInformation"]["chargingId"]
            abort = digest(message, faults.seed + 2) < 0.2
            world.fleets[0].on_notify(number, None, world.now, abort=abort)
        notify(world, faults, moment + faults.notified * MILLISECOND)

    if moment < START + 20 * SECOND:
        world._at(moment, strike)


def charges(message: Message) -> Counter[str]:
    """What a message makes a CHF charge: what it reports, and of an event (IEC) what it asks for."""
    units: Counter[str] = Counter()
    for (_, unit), amount in message.reported().items():
        units[unit] += amount
    if message.operation == "event":
        for usage in message.body["multipleUnitUsage"]:
            units.update(usage.get("requestedUnit", {}))
    return +units


def charged_on_the_wire(world: World) -> dict[str, int]:
    """What the CHFs charged, as it was seen on the wire: a repeat is no other report, and is charged by one store only."""
    stores: defaultdict[tuple[str, bytes], set[int]] = defaultdict(set)
    charged: Counter[str] = Counter()
    for message in world.messages:
        report = message.path, message.raw.replace(b'"retransmissionIndicator":true,', b"")
        if charges(message) and 200 <= message.status < 300:
            if report not in stores:
                charged += charges(message)
            stores[report].add(id(world.stores[message.chf]))
    assert all(len(each) == 1 for each in stores.values()), "a report was charged by two CHFs"
    return dict(charged)


def is_exact(world: World) -> Audit:
    audit = world.audit()
    assert figures(audit, *WRONG) == {}, audit.offences
    assert audit.balanced
    for unit, used in audit.used_units.items():
        shares = ("charged", *SHARES)
        assert used == sum(getattr(audit, f"{share}_units")[unit] for share in shares)
        unheard_of = sum(record["doubt"] for record in world.records if record["unit"] == unit and not record["used"])
        assert 0 <= audit.debited_units[unit] - audit.charged_units[unit] <= unheard_of
    assert charged_on_the_wire(world) == {unit: units for unit, units in audit.debited_units.items() if units}
    assert world.count("promises_broken") == 0
    stores = list({id(store): store for store in world.stores}.values())
    assert all_totals(stores)["promises"] == {"negative_balance": 0, "reserved_too_much": 0}
    return audit


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(faults=faults)
def test_under_any_faults_the_audit_is_exact_and_no_repeat_is_charged_twice(faults: Faults) -> None:
    world = play(faults)
    audit = is_exact(world)
    for name in figures(audit):
        event(name)


def test_both_sides_give_a_session_the_same_name() -> None:
    """Where messages hold no identifier of the session, it is the time stamp of its Create."""
    fair = Faults(shares={}, failure={}, triggers={})
    for dialect in ({"dialect": "3gpp"}, {"dialect": "totogi", "tenant": "a-provider"}):
        world = play(fair, **dialect)
        ours = {(record["ref"], record["key"]) for record in world.records if record["reported"]}
        theirs = {(row["ref"], row["key"]) for row in world.stores[0].ledger_records() if row["units"]}
        assert ours == theirs
        assert len(ours) > 30


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(faults=faults)
def test_where_messages_hold_no_name_of_the_session_its_books_are_found_by_the_time_stamp(faults: Faults) -> None:
    is_exact(play(faults, dialect="totogi", tenant="a-provider"))


Accounts = Counter[tuple[str, int]]
"""Units by reference (of an event: its key) and rating group."""


def charged_again(world: World) -> Accounts:
    """What the CHF charged for reports that it had charged before, as it was seen on the wire."""
    again: Accounts = Counter()
    seen: set[tuple[str, bytes]] = set()
    for message in world.messages:
        report = message.path, message.raw.replace(b'"retransmissionIndicator":true,', b"")
        if 200 <= message.status < 300:
            if report in seen and message.operation == "event":
                again["{}/{}".format(*message.session), 200] += charges(message).total()
            elif report in seen:
                reference = message.path.split("/")[-2]
                again.update(
                    {(reference, rating_group): units for (rating_group, _), units in message.reported().items()}
                )
            seen.add(report)
    return +again


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(faults=faults.map(lambda each: replace(each, separate=False, notified=0)))
def test_every_repeat_that_a_faulty_charging_function_charges_again_is_found(faults: Faults) -> None:
    """The audit's own control. To the unit, unless some report of the same session is in doubt as well."""
    world = play(faults, mood=Mood([Fault(charge_repeats=True)], Counter()))
    again = charged_again(world)
    auditor = Auditor(offences_listed=10_000)
    auditor.add_records(world.records)
    auditor.add_ledger(world.stores[0].ledger_records())
    audit = auditor.finish()
    found = {}
    for offence in audit.offences:
        name = (offence.ref or "", offence.rating_group)
        found[name if name in again else (offence.key, offence.rating_group)] = offence
    assert set(found) == set(again)
    assert all(offence.double_charged or offence.misbooked for offence in found.values())
    assert all(found[name].double_charged == units for name, units in again.items() if not found[name].doubts)
    assert audit.balanced is (not again)
    event(f"{min(audit.offending, 10)} offences or more")


@pytest.mark.parametrize(
    ("status", "named", "stays"),
    [("307", "", False), ("308", "", True), ("307", "\n3gpp-sbi-target-nf-id: nfinst=4711", True)],
)
def test_a_session_stays_where_a_redirect_says_that_it_is(status: str, named: str, stays: bool) -> None:
    """307 is for one request; 308, or the name of the instance that has the session, for all that come."""

    def weather(message: Message) -> str:
        if message.chf == 1 or message.operation == "create":
            return ""
        return f"{status}\nlocation: http://{CHFS[1].decode()}{message.path}{named}"

    world = World(traffic({"rate": "5/s"}, usages={"download": DOWNLOAD}), weather=weather, names=CHFS).run()
    updates = [message for message in world.messages if message.operation == "update"]
    asked_first = [message.session for message in updates if message.chf == 0]
    assert len(updates) > 3 * len(set(asked_first)) > 0
    assert len(asked_first) == (len(set(asked_first)) if stays else len(updates) / 2)
    assert world.audit().balanced
    assert len(world.events_told) == (1 if named else 0), world.events_told
