"""Over random interleavings of requests and repeats, the books are right at every step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from simulator.sandbox import Chf
from simulator.sandbox.repeats import SESSION_ANSWERS
from simulator.sandbox.totals import totals
from tests.sandbox.smf import KB, SECOND, Said, Smf, ask, plan, used

SUBSCRIBERS = ["imsi-001010000000001", "imsi-001010000000002"]
GROUPS = {100: ("time", "voice"), 300: ("totalVolume", "data"), 200: ("serviceSpecificUnits", "sms")}
TOTALS = {"voice": 600, "data": 100 * KB, "sms": 30}
EXPIRY_S = 100


@dataclass
class Told:
    """What was sent, and what the first answer was."""

    send: Any
    said: Said


@dataclass
class Open:
    """What the SMF knows of a session."""

    path: bytes
    subscriber: str
    sequence: int = 0
    granted: dict[int, int] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)


class Charging(RuleBasedStateMachine):
    """An SMF that mostly keeps to its grants, loses answers and repeats; the charging function must not mind."""

    def __init__(self) -> None:
        super().__init__()
        self.smf = Smf(Chf(plan(sms=30, session_expiry=EXPIRY_S)))
        self.open: list[Open] = []
        self.once: list[Told] = []
        self.reported = {(subscriber, group): 0 for subscriber in SUBSCRIBERS for group in GROUPS}
        self.charging_id = 0
        self.overused = False
        self.numbers = 0
        self.checksums = dict.fromkeys(self.reported, 0)
        self.containers = dict.fromkeys(self.reported, 0)
        self.total = {(subscriber, counter): total for subscriber in SUBSCRIBERS for counter, total in TOTALS.items()}
        self.asked_again: list[tuple[str, list[int]]] = []
        self.smf.chf.on_credit = lambda session, groups: self.asked_again.append((session.account.subscriber, groups))

    @rule(subscriber=st.sampled_from(SUBSCRIBERS), groups=st.sets(st.sampled_from([100, 300])), size=st.integers(0, 60))
    def create(self, subscriber: str, groups: set[int], size: int) -> None:
        self.charging_id += 1
        charging_id = self.charging_id
        asked = [ask(group, **{GROUPS[group][0]: size * (KB if group == 300 else 1)}) for group in sorted(groups)]

        def send() -> Said:
            return self.smf.create(*asked, charging_id=charging_id, subscriber=subscriber)

        said = send()
        self.once.append(Told(send, said))
        if said.status == 201:
            session = Open(said.reply.header(b"location") or b"", subscriber)
            self.take_grants(session, said)
            self.open.append(session)
        else:
            assert (said.status, said.cause) == (403, "QUOTA_LIMIT_REACHED")

    @rule(subscriber=st.sampled_from(SUBSCRIBERS), units=st.integers(1, 8), kind=st.sampled_from(["IEC", "PEC"]))
    def event(self, subscriber: str, units: int, kind: str) -> None:
        self.charging_id += 1
        reference = str(self.charging_id)
        usage = ask(200, serviceSpecificUnits=units) if kind == "IEC" else used(200, serviceSpecificUnits=units)

        def send() -> Said:
            return self.smf.event(kind, usage, reference, subscriberIdentifier=subscriber)

        said = send()
        self.once.append(Told(send, said))
        if said.status == 201:
            self.reported[subscriber, 200] += units
            self.overused |= kind == "PEC"
            if kind == "PEC":
                self.checksums[subscriber, 200] += 2 * units  # its container has the number 1
                self.containers[subscriber, 200] += 1

    @precondition(lambda self: self.open)
    @rule(
        data=st.data(),
        share=st.floats(0, 1.2),
        asks=st.booleans(),
        gap=st.sampled_from([1, 1, 1, 3]),
        offline=st.sampled_from([0, 0, 0, 7]),
    )
    def update(self, data: st.DataObject, share: float, asks: bool, gap: int, offline: int) -> None:
        session = data.draw(st.sampled_from(self.open))
        session.sequence += gap
        said = self.report(session, self.smf.update, share, asks, offline)
        assert said.status == 200
        self.take_grants(session, said)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), share=st.floats(0, 1))
    def release(self, data: st.DataObject, share: float) -> None:
        session = data.draw(st.sampled_from(self.open))
        session.sequence += 1
        assert self.report(session, self.smf.release, share, asks=False, offline=0).status == 204
        self.open.remove(session)
        self.once += session.told[-SESSION_ANSWERS:]

    @rule(subscriber=st.sampled_from(SUBSCRIBERS), counter=st.sampled_from(list(TOTALS)), amount=st.integers(1, 20))
    def credit(self, subscriber: str, counter: str, amount: int) -> None:
        """Only who has a rating group that is short of this counter is asked to ask again."""
        account = self.smf.chf.accounts.get(subscriber)
        if account is None:
            return
        self.asked_again.clear()
        self.smf.chf.credit(account, {counter: amount})
        self.total[subscriber, counter] += amount
        for who, groups in self.asked_again:
            assert who == subscriber
            assert groups
            assert {GROUPS[group][1] for group in groups} == {counter}

    def report(self, session: Open, operation: Any, share: float, asks: bool, offline: int) -> Said:
        usages = []
        for group, granted in session.granted.items():
            units = int(granted * share)
            self.overused |= units > granted or offline > 0
            usage = used(group, then_ask=asks, **{GROUPS[group][0]: units})
            if offline:
                aside = {"quotaManagementIndicator": "OFFLINE_CHARGING", GROUPS[group][0]: offline}
                usage["usedUnitContainer"].append(aside)
            for container in usage["usedUnitContainer"]:
                self.numbers += 1
                container["localSequenceNumber"] = self.numbers
                self.checksums[session.subscriber, group] += container[GROUPS[group][0]] * (self.numbers + 1)
                self.containers[session.subscriber, group] += 1
            usages.append(usage)
            self.reported[session.subscriber, group] += units + offline
            session.granted[group] = max(0, granted - units)
        path, sequence, subscriber = session.path, session.sequence, session.subscriber

        def send() -> Said:
            said: Said = operation(path, sequence, *usages, subscriberIdentifier=subscriber)
            return said

        said = send()
        session.told.append(Told(send, said))
        return said

    @staticmethod
    def take_grants(session: Open, said: Said) -> None:
        for entry in said.json.get("multipleUnitInformation", []):
            granted = entry.get("grantedUnit", {GROUPS[entry["ratingGroup"]][0]: 0})
            session.granted[entry["ratingGroup"]] = next(iter(granted.values()))

    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """Any earlier request comes again, even after later ones."""
        candidates = self.once + [told for session in self.open for told in session.told[-SESSION_ANSWERS:]]
        if candidates:
            told = data.draw(st.sampled_from(candidates))
            again = told.send().reply
            first = told.said.reply
            assert (again.status, again.headers, again.body) == (first.status, first.headers, first.body)

    @rule(seconds=st.integers(0, 20))
    def time_passes(self, seconds: int) -> None:
        """Short enough that no answer is forgotten; sessions are kept alive by those that are used."""
        if self.smf.now + seconds * SECOND < 1_050 * SECOND:
            self.smf.now += seconds * SECOND
            self.smf.chf.on_time(self.smf.now)

    @invariant()
    def balances_add_up(self) -> None:
        for subscriber in SUBSCRIBERS:
            if self.smf.chf.accounts.get(subscriber) is None:
                continue
            for counter in TOTALS:
                available, reserved, taken = self.smf.balance(counter, subscriber)
                assert available + reserved + taken == self.total[subscriber, counter]
                assert reserved >= 0
                if not self.overused:
                    assert available >= 0

    @invariant()
    def what_is_reserved_is_what_sessions_hold(self) -> None:
        chf = self.smf.chf
        for counter in TOTALS:
            held = sum(
                quota.reserved for session in chf.sessions for quota in session.quotas if quota.group.counter == counter
            )
            accounts = [account for name in SUBSCRIBERS if (account := chf.accounts.get(name)) is not None]
            assert held == sum(account.balance(counter).reserved for account in accounts)
            assert held == totals(chf)["counters"][counter]["reserved"]

    @invariant()
    def every_unit_is_debited_exactly_once(self) -> None:
        for group, (_, counter) in GROUPS.items():
            for subscriber in SUBSCRIBERS:
                if self.smf.chf.accounts.get(subscriber) is not None:
                    assert self.smf.balance(counter, subscriber)[2] == self.reported[subscriber, group]

    @invariant()
    def the_ledger_says_the_same(self) -> None:
        told, checksums, containers = (dict.fromkeys(self.reported, 0) for _ in range(3))
        for record in self.smf.chf.ledger_records():
            assert record["units"] == record["debited"]
            told[record["subscriber"], record["rg"]] += record["units"]
            checksums[record["subscriber"], record["rg"]] += record["checksum"]
            containers[record["subscriber"], record["rg"]] += record["containers"]
        assert told == self.reported
        assert checksums == self.checksums
        assert containers == self.containers

    @invariant()
    def no_promise_is_broken(self) -> None:
        assert set(totals(self.smf.chf)["promises"].values()) == {0}

    def teardown(self) -> None:
        """Silent sessions expire, and nothing stays reserved."""
        self.smf.chf.on_time(self.smf.now + (EXPIRY_S + 1) * SECOND)
        assert len(self.smf.chf.sessions) == 0
        assert all(counter["reserved"] == 0 for counter in totals(self.smf.chf)["counters"].values())
        self.every_unit_is_debited_exactly_once()


Charging.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestCharging = Charging.TestCase
