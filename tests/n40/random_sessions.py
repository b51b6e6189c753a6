"""Random charging sessions against a random CHF, in virtual time, with an account of everything that is said.

`plans` draws a session: its traffic, what the CHF answers to each request, what befalls each attempt, when the PDU session ends.
`Life(plan).run()` plays it, and asserts at each step what holds for every session: it keeps books from the messages alone and
compares them with those of the session.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import inf
from typing import Any

import orjson
from hypothesis import strategies as st

from simulator.n40 import (
    Action,
    ChargingAnswer,
    ChargingSession,
    Delivery,
    DeliveryPolicy,
    End,
    Flow,
    GroupSpec,
    Operation,
    RatingGroup,
    Request,
    SessionContext,
    Timestamps,
    UsageRecord,
    read_answer,
)
from simulator.n40.delivery import MAX_UNPROCESSED, Chances, Step
from simulator.n40.flow import NEVER
from tests.n40.trace import EPOCH, MB, RESOURCE, S, messages

NO_CHANCE = Chances()
MAX_REQUESTS = 30
"""After so many the PDU session is stopped."""
LONGEST = 600 * S
"""Then as well: very slow traffic may take years."""
MAX_STEPS = 20_000
UNITS = ("totalVolume", "time", "serviceSpecificUnits")
THRESHOLDS = {
    "totalVolume": "volumeQuotaThreshold",
    "time": "timeQuotaThreshold",
    "serviceSpecificUnits": "unitQuotaThreshold",
}
BEARERS = {
    ("SMF", "NR"): messages("SMF", "NR"),
    ("SMF", "EUTRA"): messages("SMF", "EUTRA", "C085"),
    ("PGW_C_SMF", "EUTRA"): messages("PGW_C_SMF", "EUTRA", "C085"),
}


# -- plans --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Traffic:
    """Bursts (ns, thousandths of a unit per second, ns of pause), over and over again."""

    bursts: tuple[tuple[int, int, int], ...]
    delay: int
    steady: bool  # a second is a second

    def burst(self, key: bytes, index: int) -> tuple[int, int, int]:
        active, rate, pause = self.bursts[index % len(self.bursts)]
        return active, 1000 if self.steady else rate, pause

    def first_pause(self, key: bytes) -> int:
        return self.delay


@dataclass(frozen=True)
class GroupPlan:
    rating_group: int
    unit: str
    requested: int | None
    traffic: Traffic
    volume: int


@dataclass(frozen=True)
class Information:
    """What is answered for one rating group; `share` of a grant is its threshold."""

    missing: bool = False
    code: str | None = "SUCCESS"
    amount: int | None = 10
    share: float = 0.0
    seconds: int | None = None
    validity: int = 0
    holding: int = 0
    final: str | None = None


@dataclass(frozen=True)
class Reply:
    """An answer: `status` 0 is success with `information`; or a problem, or just bytes. `fates` befall the attempts before it."""

    information: tuple[Information, ...] = (Information(),)
    status: int = 0
    content: bytes = b""
    location: str = "path"
    fates: tuple[str, ...] = ()
    latency: int = 0


@dataclass(frozen=True)
class Plan:
    groups: tuple[GroupPlan, ...]
    replies: tuple[Reply, ...]
    bearer: tuple[str, str] = ("SMF", "NR")
    stop_at: int = NEVER
    repeats: int = 1
    retry_after: int = 30 * S
    release_when_stopped: bool = True
    first_sequence: int = 0


SCALE = st.sampled_from([MB, MB, MB, 1, 333_333])
"""A second's worth of octets, where it is one of the other units."""
seconds = st.sampled_from([0, 1, 10**6, S // 3, S, 7 * S, 40 * S])
traffics = st.builds(
    Traffic,
    st.lists(
        st.tuples(
            st.sampled_from([S // 3, S, 20 * S, 1000 * S]),
            st.sampled_from([1, 500, 1000, 1000, 3000, 10**5, 10**9]),
            seconds,
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    seconds,
    st.just(False),
)


@st.composite
def group_plans(draw: st.DrawFn, rating_group: int) -> GroupPlan:
    unit = draw(st.sampled_from(UNITS))
    traffic = draw(traffics)
    bursts = traffic.bursts
    if unit == "totalVolume":
        bursts = tuple((active, rate * draw(SCALE), pause) for active, rate, pause in bursts)
    return GroupPlan(
        rating_group,
        unit,
        draw(st.none() | st.sampled_from([0, 1, 60, 10**7])),
        Traffic(bursts, traffic.delay, steady=unit == "time"),
        draw(st.sampled_from([NEVER, NEVER, 1, 30, 10**6, 10**8])),
    )


codes = st.sampled_from(
    ["SUCCESS"] * 12
    + [
        None,
        "RATING_FAILED",
        "QUOTA_LIMIT_REACHED",
        "END_USER_SERVICE_DENIED",
        "QUOTA_MANAGEMENT_NOT_APPLICABLE",
        "NEW_CODE",
    ]
)
amounts = st.sampled_from([10, 10, 5, 60, 1, 2, 3600, 0, None, 1 << 43])
"""In seconds' worth."""
informations = st.builds(
    Information,
    missing=st.sampled_from([False] * 9 + [True]),
    code=codes,
    amount=amounts,
    share=st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0, 2.0]),
    seconds=st.sampled_from([None, None, None, 0, 1, 10, 3600]),
    validity=st.sampled_from([0, 0, 1, 30, 10**12]),
    holding=st.sampled_from([0, 0, 1, 20]),
    final=st.sampled_from([None, None, None, None, None, "", "TERMINATE"]),
)
fates = st.sampled_from([False] * 9 + [True]).flatmap(
    lambda foul: (
        st.lists(st.sampled_from(["timeout", "lost", "refused"]), max_size=3).map(tuple) if foul else st.just(())
    )
)
latencies = st.sampled_from([0, 1, 5 * 10**6, S // 2, 3 * S, 40 * S])
locations = st.sampled_from(["path", "absolute", "bare", "elsewhere"])
successes = st.builds(
    Reply,
    information=st.lists(informations, min_size=1, max_size=3).map(tuple),
    location=locations,
    fates=fates,
    latency=latencies,
)
CAUSES = (
    "CHARGING_FAILED", "USER_UNKNOWN", "END_USER_REQUEST_DENIED", "CHARGING_NOT_APPLICABLE", "QUOTA_LIMIT_REACHED",
    "QUOTA_LIMIT_REACHED", "CONTEXT_NOT_FOUND", "CONTEXT_NOT_FOUND", "UNHEARD_OF",
)  # fmt: skip
problems = st.builds(
    Reply,
    status=st.sampled_from([400, 403, 404, 410, 408, 413, 429, 500, 503, 307]),
    content=st.sampled_from([b"", b"<html>"])
    | st.sampled_from([b'{"cause":"%b"}' % cause.encode() for cause in CAUSES]),
    fates=fates,
    latency=latencies,
)
garbage = st.builds(
    Reply,
    status=st.sampled_from([200, 201, 204]),
    content=st.sampled_from([b"", b"{}", b"{", b"[]", b'{"multipleUnitInformation":[7]}']) | st.binary(max_size=8),
    location=st.sampled_from(["path", "none", "bad"]),
    latency=latencies,
)
KINDS = {"success": successes, "problem": problems, "garbage": garbage}
replies = st.sampled_from(["success"] * 12 + ["problem"] * 2 + ["garbage"]).flatmap(KINDS.__getitem__)
plans = st.builds(
    Plan,
    groups=st.integers(1, 3).flatmap(lambda count: st.tuples(*(group_plans(300 + 10 * n) for n in range(count)))),
    replies=st.lists(replies, min_size=1, max_size=12).map(tuple),
    bearer=st.sampled_from(sorted(BEARERS)),
    stop_at=st.sampled_from([NEVER, NEVER, 0, 1, 3 * S, 50 * S, 200 * S]) | st.integers(0, 100 * S),
    repeats=st.integers(0, 2),
    retry_after=st.sampled_from([S, 30 * S]),
    release_when_stopped=st.booleans(),
    first_sequence=st.sampled_from([0, 1]),
)


# -- a life -------------------------------------------------------------------------------------------------------------


@dataclass
class Books:
    """Units of one charging session by rating group, kept from what was said alone."""

    acknowledged: Counter[int] = field(default_factory=Counter)
    doubt: Counter[int] = field(default_factory=Counter)

    def settled(self, rg: int) -> int:
        return self.acknowledged[rg] + self.doubt[rg]


class Life:
    """One session from its start to its end. `looks`: it is also looked at when nothing is due, and late."""

    def __init__(self, plan: Plan, *, looks: bool = False) -> None:
        self.plan = plan
        self.looks = looks
        self.now = 0
        self.stop_at = min(plan.stop_at, LONGEST)
        self.stopped = False
        self.stamps = Timestamps(EPOCH)
        self.creates: list[str] = []  # their time stamps
        context = SessionContext(
            messages=BEARERS[plan.bearer],
            timestamps=Timestamps(EPOCH),
            resource=RESOURCE,
            retry_after=plan.retry_after,
            release_when_stopped=plan.release_when_stopped,
            first_sequence=plan.first_sequence,
        )
        self.groups = {each.rating_group: _group(each) for each in plan.groups}
        self.session = ChargingSession(context, 7, 1001, list(self.groups.values()))
        self.bodies: list[bytes] = []
        self.requests: list[Request] = []
        self.after_stop = 0
        self.records: list[UsageRecord] = []
        self.books = Books()
        self.reported_before: Counter[int] = Counter()  # in charging sessions that the CHF lost
        self.seconds: Counter[int] = Counter()  # of traffic in the last message, and in all that were not refused
        self.seconds_before: Counter[int] = Counter()
        self.ceilings: dict[int, float] = dict.fromkeys(self.groups, 0)
        self.sequence = self.local_sequence = 0

    def run(self) -> Life:
        self.session.start(0)
        for _ in range(MAX_STEPS):
            request = self.session.next_request()
            if request is not None:
                self.exchange(request)
            elif self.session.end is not None:
                self.close()
                return self
            else:
                self.pass_time()
        raise AssertionError("the session does not come to an end")

    # -- time

    def pass_time(self) -> None:
        session = self.session
        deadline = session.next_deadline()
        assert deadline >= self.now, "a deadline in the past"
        moment = min(deadline, self.stop_at)
        if self.looks and moment > self.now:
            for part in (1, 2, 5):
                session.on_time(self.now + (moment - self.now) * part // 7)
                assert session.outstanding is None, "something was due before its deadline"
        late = min(self.next_reply.latency, self.stop_at - moment) if self.looks else 0
        session.on_time(moment + late)
        self.now = session.outstanding.due if session.outstanding else moment + late
        if moment >= self.stop_at:
            self.stop()
        self.check_ceilings()

    def stop(self) -> None:
        if not self.stopped:
            self.stopped = True
            if self.session.outstanding is not None and self.session.outstanding not in self.requests[-1:]:
                self.after_stop = -1  # one that fell due at this very moment
            self.session.stop(self.stop_at)
            self.check_ceilings()
            self.stop_traffic()
        self.stop_at = NEVER

    def stop_traffic(self) -> None:
        self.ceilings = {rg: group.flow.used for rg, group in self.groups.items()}

    def check_ceilings(self) -> None:
        """Nothing is used beyond what was granted."""
        for rg, group in self.groups.items():
            assert group.flow.used <= self.ceilings[rg], f"{rg} used more than it was granted"

    # -- requests

    @property
    def next_reply(self) -> Reply:
        replies = self.plan.replies or (Reply(),)
        return replies[len(self.requests) % len(replies)]

    def exchange(self, request: Request) -> None:
        session = self.session
        assert session.next_request() is None, "two requests at a time"
        assert session.next_deadline() == NEVER
        session.on_time(self.now + S)
        assert session.outstanding is request
        reply = self.next_reply
        self.requests.append(request)
        self.after_stop += self.stopped
        assert self.after_stop <= 1, "a session that is stopped sends its release and nothing else"
        pending = self.check_message(request)
        delivery, answer = self.attempts(request, reply)
        answered_at = self.now + reply.latency
        if self.now <= self.stop_at <= answered_at:
            self.stop()
        self.now = answered_at
        ends_here = request.operation is Operation.RELEASE
        if answer is None:
            session.on_failure(request.id, self.now, processed=delivery.processed)
            self.settle(pending, Action.FAILURE, charged=False, doubt=delivery.processed)
        else:
            session.on_answer(request.id, answer, self.now)
            unprocessed = answer.status in (401, 429) or 300 <= answer.status < 400
            doubt = answer.repeats > 0 or (answer.action is Action.FAILURE and not unprocessed)
            self.settle(pending, answer.action, charged=answer.action is Action.GO_ON, doubt=doubt)
        self.check_ceilings()
        self.raise_ceilings(request, answer)
        assert ends_here is (session.end is not None) or not ends_here, "a release always ends the session"
        if len(self.requests) >= MAX_REQUESTS:
            self.stop_at = min(self.stop_at, self.now)

    def attempts(self, request: Request, reply: Reply) -> tuple[Delivery, ChargingAnswer | None]:
        """The request's attempts, until one is answered or it is given up."""
        delivery = Delivery(request, DeliveryPolicy(timeout=10 * S, repeats=self.plan.repeats))
        repeat = b'{"retransmissionIndicator":true,' + request.body[1:]
        maybe_seen = False
        for number, fate in enumerate(reply.fates):
            assert number < self.plan.repeats + 1 + MAX_UNPROCESSED
            assert delivery.body == (repeat if maybe_seen else request.body)
            self.bodies.append(delivery.body)
            maybe_seen = maybe_seen or fate != "refused"
            if delivery.on_failure(NO_CHANCE, safe=fate == "refused", hopeless=False) is Step.GIVE_UP:
                return delivery, None
        assert delivery.body == (repeat if maybe_seen else request.body)
        self.bodies.append(delivery.body)
        answer = self.read(request, reply)
        answer.repeats = delivery.repeats
        return delivery, answer

    def read(self, request: Request, reply: Reply) -> ChargingAnswer:
        operation = request.operation
        reference = b"ref-%d" % len(self.requests)
        location = {
            "path": RESOURCE + b"/" + reference,
            "absolute": b"http://chf-2:8080" + RESOURCE + b"/" + reference,
            "bare": reference,
            "elsewhere": b"/elsewhere/" + reference,
            "bad": b"a b",
            "none": None,
        }[reply.location]
        if operation is not Operation.CREATE:
            location = None
        if reply.status:
            return read_answer(operation, reply.status, location, reply.content)
        content = orjson.dumps({"multipleUnitInformation": self.information(reply)})
        status = {Operation.CREATE: 201, Operation.UPDATE: 200, Operation.RELEASE: 204}[operation]
        return read_answer(operation, status, location, b"" if status == 204 else content)

    def information(self, reply: Reply) -> list[dict[str, Any]]:
        units = []
        for number, (rg, group) in enumerate(self.groups.items()):
            said = reply.information[number % len(reply.information)]
            if said.missing:
                continue
            unit = group.spec.unit
            members: dict[str, Any] = {"ratingGroup": rg}
            if said.code is not None:
                members["resultCode"] = said.code
            amount = said.amount and said.amount * (MB if unit == "totalVolume" else 1)
            amounts = {} if amount is None else {unit: amount}
            if said.seconds is not None and unit != "time":
                amounts["time"] = said.seconds
            if amounts:
                members["grantedUnit"] = amounts
            if said.share and amount:
                members[THRESHOLDS[unit]] = int(said.share * amount)
            timers = {"validityTime": said.validity, "quotaHoldingTime": said.holding}
            members |= {name: value for name, value in timers.items() if value}
            if said.final is not None:
                members["finalUnitIndication"] = {"finalUnitAction": said.final}
            units.append(members)
        return units

    # -- what has to hold

    def check_message(self, request: Request) -> Counter[int]:
        """A message as it leaves; returns the units that it reports."""
        body = orjson.loads(request.body)
        assert request.due == self.now
        self.check_stamp(request, body["invocationTimeStamp"])
        self.check_numbers(request, body)
        assert len({usage["ratingGroup"] for usage in body.get("multipleUnitUsage", [])}) == len(
            body.get("multipleUnitUsage", [])
        )
        assert ("notifyUri" in body) is (request.operation is not Operation.RELEASE)
        assert ("triggers" in body) is (request.operation is Operation.RELEASE)
        pending: Counter[int] = Counter()
        self.seconds = Counter()
        for usage in body.get("multipleUnitUsage", []):
            self.check_usage(request, usage, pending)
        if request.operation is Operation.RELEASE:
            assert set(pending) == set(self.groups)
            self.stop_traffic()
        return pending

    def check_stamp(self, request: Request, stamp: str) -> None:
        again = 0
        if request.operation is Operation.CREATE:
            again = len(self.creates)
            self.creates.append(stamp)
            assert self.creates == sorted(set(self.creates)), "no Create may look like a repeat of another one"
        assert stamp.encode() == self.stamps.later(request.due, again)

    def check_numbers(self, request: Request, body: dict[str, Any]) -> None:
        if request.operation is Operation.CREATE:
            self.sequence, self.local_sequence = self.plan.first_sequence, 0
            assert request.path == RESOURCE
            assert request.origin is None
        else:
            self.sequence += 1
            assert request.path.endswith(b"/" + str(request.operation).encode())
        assert body["invocationSequenceNumber"] == request.sequence == self.sequence

    def check_usage(self, request: Request, usage: dict[str, Any], pending: Counter[int]) -> None:
        rg = usage["ratingGroup"]
        group = self.groups[rg]
        if request.operation is Operation.CREATE:
            assert set(usage) == {"ratingGroup", "requestedUnit"}
            return
        (container,) = usage["usedUnitContainer"]
        self.local_sequence += 1
        assert container["localSequenceNumber"] == self.local_sequence
        pending[rg] += container[group.spec.unit]
        if group.spec.unit == "totalVolume":
            assert container["uplinkVolume"] + container["downlinkVolume"] == container["totalVolume"]
            self.seconds[rg] = container["time"]
            assert self.seconds_before[rg] + container["time"] == group.flow.busy() // S, (
                "time is reported in whole seconds"
            )
        assert self.reported_before[rg] + self.books.settled(rg) + pending[rg] == group.flow.used, (
            "a report holds all there is"
        )
        times = container.get("pDUContainerInformation")
        if times is not None:
            assert times["timeofFirstUsage"] <= times["timeofLastUsage"] <= container["triggerTimestamp"]
        else:
            assert pending[rg] == 0 or self.requests, "units without a time of use"
        (trigger,) = container["triggers"]
        if request.operation is Operation.RELEASE:
            assert trigger["triggerType"] in ("FINAL", "ABNORMAL_RELEASE")
            assert "requestedUnit" not in usage
        elif trigger["triggerType"] in ("QUOTA_THRESHOLD", "START_OF_SERVICE_DATA_FLOW"):
            assert "requestedUnit" in usage
        else:
            assert trigger["triggerType"] in ("QUOTA_EXHAUSTED", "VALIDITY_TIME", "QHT")

    def settle(self, pending: Counter[int], action: Action, *, charged: bool, doubt: bool) -> None:
        if charged:
            self.books.acknowledged += pending
        elif doubt:
            self.books.doubt += pending
        if charged or doubt:
            self.seconds_before += self.seconds
        if self.session.end is None and (records := self.session.next_records()):
            assert action is Action.GONE
            for record in records:
                assert record.end is End.GONE
                assert record.used == record.reported
                self.compare(record)
                self.reported_before[record.rating_group] += record.reported
            self.records += records
            self.books = Books()

    def raise_ceilings(self, request: Request, answer: ChargingAnswer | None) -> None:
        """What may be used after this answer."""
        used = {rg: group.flow.used for rg, group in self.groups.items()}
        if self.stopped or self.session.end is not None or answer is None:
            self.ceilings = {**used}
        elif answer.action is Action.UNCHARGED:
            self.ceilings = dict.fromkeys(self.groups, inf)
        elif answer.action is Action.GO_ON:
            for rg in self.groups:
                self.raise_ceiling(rg, request, answer, used[rg])
        elif answer.action is not Action.NO_CREDIT:
            self.ceilings = {**used}

    def raise_ceiling(self, rg: int, request: Request, answer: ChargingAnswer, used: int) -> None:
        body = orjson.loads(request.body)
        asked = any(
            "requestedUnit" in usage for usage in body.get("multipleUnitUsage", []) if usage["ratingGroup"] == rg
        )
        information = next((each for each in answer.groups if each.ratingGroup == rg), None)
        if information is not None and information.refused:
            self.ceilings[rg] = used
        if not asked or self.ceilings[rg] == inf:
            return
        self.ceilings[rg] = used
        if information is None or information.refused:
            return
        unit = self.groups[rg].spec.unit
        grant = information.grantedUnit
        if information.offline or (
            grant is not None and unit == "totalVolume" and grant.totalVolume is None and grant.time
        ):
            self.ceilings[rg] = inf
        elif grant is not None:
            reported = self.reported_before[rg] + self.books.settled(rg)
            self.ceilings[rg] = max(used, reported + (getattr(grant, unit) or 0))

    def compare(self, record: UsageRecord) -> None:
        rg = record.rating_group
        assert record.acknowledged == self.books.acknowledged[rg]
        assert record.doubt == self.books.doubt[rg]
        assert record.reported == record.acknowledged + record.doubt
        assert record.used >= record.reported
        assert record.unit == self.groups[rg].spec.unit

    def close(self) -> None:
        session = self.session
        assert session.next_deadline() == NEVER
        assert session.next_request() is None
        last = session.next_records()
        assert session.next_records() == []
        ending = last[-len(self.groups) :]
        assert [record.rating_group for record in ending] == list(self.groups)
        for record in ending:
            self.compare(record)
            assert record.end is session.end
            if record.end is End.COMPLETED:
                assert record.used == record.reported == record.acknowledged
        self.records += last
        for rg, group in self.groups.items():
            assert sum(record.used for record in self.records if record.rating_group == rg) == group.flow.used
        session.on_time(self.now + 10**6 * S)
        session.stop(self.now + 10**6 * S)
        assert session.next_request() is None


def _group(plan: GroupPlan) -> RatingGroup:
    spec = GroupSpec(rating_group=plan.rating_group, unit=plan.unit, requested=plan.requested, uplink_permille=123)
    return RatingGroup(spec, Flow(plan.traffic, b"", 0, volume=plan.volume))
