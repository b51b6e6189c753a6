"""One charging session and a CHF that says what the test wants, in virtual time. Tests read like a trace:

    smf = Smf(data(rate=MB))
    smf.starts()
    smf.chf.grants(rg=300, octets=10 * MB, threshold=MB)
    update = smf.sends()
    assert update.at == 9 * S
    assert update.used(300) == 9 * MB

Answers are bytes that `read_answer` reads, as they would come from a connection. `after` is how many seconds they take.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from simulator.n40 import (
    ChargingSession,
    Delivery,
    DeliveryPolicy,
    End,
    Flow,
    GroupSpec,
    NetworkFunctionIdentity,
    Operation,
    RatingGroup,
    Request,
    SessionContext,
    SessionMessages,
    Timestamps,
    Trouble,
    UsageRecord,
    Wording,
    read_answer,
)
from simulator.n40.conditions import Conditions
from simulator.n40.flow import NEVER
from simulator.n40.form import BOOK, MessageForm
from simulator.n40.identities import Identity
from simulator.n40.services import ImsCall, PduSession, Service, ShortMessage

S = 1_000_000_000
KB = 1_000
MB = 1_000_000
EPOCH = 1_795_000_000 * S
RESOURCE = b"/nchf-convergedcharging/v3/chargingdata"
UNITS = {"octets": "totalVolume", "seconds": "time", "units": "serviceSpecificUnits"}
THRESHOLDS = {"octets": "volumeQuotaThreshold", "seconds": "timeQuotaThreshold", "units": "unitQuotaThreshold"}
SERVING_NODES = {"NR": "AMF", "EUTRA": "SGW"}


@dataclass(frozen=True)
class Bursts:
    """Traffic as a table: (seconds active, units per second, seconds of pause), the last line for ever after."""

    table: tuple[tuple[float, float, float], ...]
    delay: float = 0.0

    def burst(self, key: bytes, index: int) -> tuple[int, int, int]:
        active, rate, pause = self.table[min(index, len(self.table) - 1)]
        return round(active * S), round(rate * 1000), round(pause * S)

    def first_pause(self, key: bytes) -> int:
        return round(self.delay * S)


def group(
    rg: int,
    unit: str,
    rate: float,
    bursts: tuple[tuple[float, float, float], ...] | None = None,
    volume: int = NEVER,
    delay: float = 0.0,
    requested: int | None = None,
) -> RatingGroup:
    """A rating group of a session; `bursts` take the place of a steady `rate`."""
    traffic = Bursts(bursts or ((1e9, rate, 0),), delay)
    return RatingGroup(
        GroupSpec(rating_group=rg, unit=unit, requested=requested), Flow(traffic, b"key", 0, volume=volume)
    )


def data(rg: int = 300, rate: float = MB, **more: Any) -> RatingGroup:
    """Octets, a megabyte a second unless told otherwise."""
    return group(rg, "totalVolume", rate, **more)


def voice(rg: int = 100, **more: Any) -> RatingGroup:
    """Seconds."""
    return group(rg, "time", 1, **more)


def items(rg: int = 400, rate: float = 1, **more: Any) -> RatingGroup:
    """Service specific units."""
    return group(rg, "serviceSpecificUnits", rate, **more)


def identify(number: int, step: int = 0, rat: str = "NR") -> Identity:
    """Subscriber `number` after `step` moves, in a tracking area and cell of that radio."""
    tac, cell = (b"0001", b"%07x") if rat == "EUTRA" else (b"000001", b"%09x")
    msisdn, imeisv = 15_550_100_001 + number, 3_500_000_000_000_010 + number
    return (
        1_010_000_000_001 + number, msisdn, imeisv, tac,
        cell % (16 + (number + step) % 16), 0, 0, number & 255, number & 0xFFFF,
        b"00000000-0000-4000-8000-%012d" % number, msisdn + 1,
    )  # fmt: skip


def function(node_functionality: str = "SMF") -> NetworkFunctionIdentity:
    return NetworkFunctionIdentity(
        instance_id="6f1c6b3e-2f7a-4c39-9d3b-0d8c1a2b3c4d",
        node_functionality=node_functionality,
        mcc="001",
        mnc="01",
        address="127.0.0.1",
        fqdn="smf01.5gc.mnc001.mcc001.3gppnetwork.org",
    )


IDENTIFY = {rat: partial(identify, rat=rat) for rat in ("NR", "EUTRA")}
NOTIFY_URI = "http://127.0.0.1:18100/nsmf-callback/n40"


def pdu_session(node_functionality: str = "SMF", rat: str = "NR", features: str = "C081") -> PduSession:
    serving = NetworkFunctionIdentity(
        instance_id="7f1c6b3e-2f7a-4c39-9d3b-0d8c1a2b3c4d",
        node_functionality=SERVING_NODES[rat],
        mcc="001",
        mnc="01",
    )
    return PduSession(
        function=function(node_functionality),
        dnn="internet",
        rat=rat,
        slice_id={"sst": 1, "sd": "000001"},
        pdu_session_id=5,
        five_qi=9,
        serving_node=serving,
        notify_uri=NOTIFY_URI,
        features=features,
    )


def call() -> ImsCall:
    return ImsCall(function=function("IMS_Node"), rat="NR", notify_uri=NOTIFY_URI)


def short_message(event_type: str = "", rat: str = "NR") -> ShortMessage:
    return ShortMessage(
        function=function("SMSF"),
        rat=rat,
        service_centre="15550000000",
        event_type=event_type,
        notify_uri=NOTIFY_URI,
    )


def wording(service: Service, form: MessageForm = BOOK) -> Wording:
    """The demo's rating groups: 100 voice, 200 messages, 300 data."""
    units = {100: "time", 200: "serviceSpecificUnits", 300: "totalVolume", 400: "serviceSpecificUnits"}
    return Wording(service=service, identify=IDENTIFY, form=form, units=units)


def messages(
    node_functionality: str = "SMF", rat: str = "NR", features: str = "C081", form: MessageForm = BOOK
) -> SessionMessages:
    return SessionMessages(wording(pdu_session(node_functionality, rat, features), form))


def context(**more: Any) -> SessionContext:
    more.setdefault("messages", messages())
    return SessionContext(timestamps=Timestamps(EPOCH), resource=RESOURCE, **more)


@dataclass(frozen=True)
class Sent:
    """A request that the session wanted sent, and when."""

    at: int
    request: Request
    body: dict[str, Any]

    @property
    def operation(self) -> Operation:
        return self.request.operation

    @property
    def path(self) -> str:
        return self.request.path.decode()

    @property
    def groups(self) -> dict[int, dict[str, Any]]:
        """multipleUnitUsage by rating group."""
        usages = self.body.get("multipleUnitUsage", [])
        assert len({usage["ratingGroup"] for usage in usages}) == len(usages)
        return {usage["ratingGroup"]: usage for usage in usages}

    def container(self, rg: int) -> dict[str, Any]:
        (container,) = self.groups[rg]["usedUnitContainer"]
        assert isinstance(container, dict)
        return container

    def used(self, rg: int, unit: str | None = None) -> int:
        """Units reported for a rating group."""
        container = self.container(rg)
        name = unit or next(name for name in ("totalVolume", "serviceSpecificUnits", "time") if name in container)
        amount = container[name]
        assert isinstance(amount, int)
        return amount

    def containers(self, rg: int) -> list[dict[str, Any]]:
        """All containers of a rating group, in order."""
        found = self.groups[rg]["usedUnitContainer"]
        assert isinstance(found, list)
        return found

    @property
    def fired(self) -> list[str]:
        """Triggers of the whole session, from the message's top."""
        return [trigger["triggerType"] for trigger in self.body.get("triggers", [])]

    def trigger(self, rg: int) -> str:
        (trigger,) = self.container(rg)["triggers"]
        assert trigger["triggerCategory"] == "IMMEDIATE_REPORT"
        return str(trigger["triggerType"])

    def asks(self, rg: int) -> bool:
        return "requestedUnit" in self.groups.get(rg, {})


def granted(
    rg: int,
    *,
    code: str | None = "SUCCESS",
    threshold: int = 0,
    validity: int = 0,
    holding: int = 0,
    final: str | None = None,
    time_threshold: int = 0,
    triggers: list[dict[str, Any]] | None = None,
    tariff_at: int | None = None,
    **amounts: int,
) -> dict[str, Any]:
    """multipleUnitInformation; amounts in `octets`, `seconds` and `units`, the threshold in the first of them."""
    information: dict[str, Any] = {"ratingGroup": rg}
    if code is not None:
        information["resultCode"] = code
    if amounts:
        information["grantedUnit"] = {UNITS[name]: amount for name, amount in amounts.items()}
    if tariff_at is not None:
        stamp = Timestamps(EPOCH).stamp(tariff_at).decode()
        information.setdefault("grantedUnit", {})["tariffTimeChange"] = stamp
    if triggers is not None:
        information["triggers"] = triggers
    if threshold:
        information[THRESHOLDS[next(iter(amounts))]] = threshold
    if time_threshold:
        information["timeQuotaThreshold"] = time_threshold
    if validity:
        information["validityTime"] = validity
    if holding:
        information["quotaHoldingTime"] = holding
    if final is not None:
        information["finalUnitIndication"] = {"finalUnitAction": final}
    return information


class Chf:
    """Answers the request that is outstanding."""

    def __init__(self, smf: Smf) -> None:
        self._smf = smf
        self.location = b"/nchf-convergedcharging/v3/chargingdata/ref-1"

    def grants(self, rg: int, *, after: float = 0.0, **more: Any) -> None:
        """Grant units to one rating group."""
        self.answers(granted(rg, **more), after=after)

    def answers(
        self, *information: dict[str, Any], after: float = 0.0, location: bytes | None = None, **more: Any
    ) -> None:
        """Success, with what is said about each rating group, and `more` about the session."""
        operation = self._smf.outstanding.operation
        status = {Operation.CREATE: 201, Operation.UPDATE: 200, Operation.RELEASE: 204}[operation]
        if location is None and operation is Operation.CREATE:
            location = self.location
        number = self._smf.outstanding.sequence
        body = {"invocationTimeStamp": "2026-11-22T10:00:00Z", "invocationSequenceNumber": number, **more}
        if information:
            body["multipleUnitInformation"] = list(information)
        self.says(status, orjson.dumps(body) if status != 204 else b"", location=location, after=after)

    def refuses(self, status: int, cause: str | None = None, *, after: float = 0.0, repeats: int = 0) -> None:
        """A problem; without a cause the body is empty."""
        body = b"" if cause is None else orjson.dumps({"status": status, "cause": cause})
        self.says(status, body, after=after, repeats=repeats)

    def says(
        self, status: int, body: bytes, *, location: bytes | None = None, after: float = 0.0, repeats: int = 0
    ) -> None:
        """Any answer at all."""
        request = self._smf.outstanding
        answer = read_answer(request.operation, status, location, body)
        answer.repeats = repeats
        self._smf.now += round(after * S)
        self._smf.session.on_answer(request.id, answer, self._smf.now)
        self._smf.broken = answer.broken

    def is_silent(self, *, after: float = 0.0, processed: bool = True, trouble: Trouble = Trouble.TIMEOUT) -> None:
        """No answer comes; `processed` says whether the CHF may have seen the request."""
        request = self._smf.outstanding
        self._smf.now += round(after * S)
        self._smf.session.on_failure(request.id, self._smf.now, processed=processed, trouble=trouble)


class Smf:
    """A charging session in virtual time; `now` is session time in ns."""

    def __init__(self, *groups: RatingGroup, **more: Any) -> None:
        self.now = 0
        self.groups = {each.spec.rating_group: each for each in groups}
        self.session = ChargingSession(context(**more), 7, 1001, list(groups))
        self.chf = Chf(self)
        self.broken = ""  # the promise that the last answer broke

    @property
    def outstanding(self) -> Request:
        request = self.session.outstanding
        assert request is not None, "nothing is outstanding"
        return request

    @property
    def end(self) -> End | None:
        return self.session.end

    def starts(self) -> Sent:
        self.session.start(self.now)
        return self.sends()

    def sends(self) -> Sent:
        """Time passes until the session wants something sent."""
        for _ in range(1000):
            assert self.session.end is None, f"the session has ended: {self.session.end}"
            request = self.session.next_request()
            if request is not None:
                assert self.session.next_request() is None
                return Sent(request.due, request, orjson.loads(request.body))
            deadline = self.session.next_deadline()
            assert deadline < NEVER, "nothing would ever be sent"
            assert deadline >= self.now, "a deadline in the past"
            self.now = deadline
            self.session.on_time(deadline)
        raise AssertionError("the session asks to be looked at for ever")

    def is_quiet_until(self, moment: int) -> None:
        """Time passes, and nothing is sent."""
        while (deadline := self.session.next_deadline()) <= moment:
            self.session.on_time(deadline)
            assert self.session.next_request() is None, f"something is sent at {deadline / S} s"
        self.now = moment
        self.session.on_time(moment)
        assert self.session.next_request() is None

    def changes(self, *names: str, at: int | None = None, step: int = 0, **conditions: Any) -> None:
        """The charging conditions change, which fires these triggers."""
        self.now = self.now if at is None else at
        if self.session.outstanding is None:
            self.session.on_time(self.now)
        self.session.on_change(names, Conditions(**conditions), step, self.now)

    def is_notified(self, *rating_groups: int, abort: bool = False, at: int | None = None) -> None:
        """The CHF wants to be asked for these rating groups (none named: for all), or wants the session ended."""
        self.now = self.now if at is None else at
        if self.session.outstanding is None:
            self.session.on_time(self.now)
        self.session.on_notify(rating_groups or None, self.now, abort=abort)

    def stops(self, at: int | None = None) -> None:
        """The PDU session ends."""
        self.now = self.now if at is None else at
        self.session.on_time(self.now)
        self.session.stop(self.now)

    def used(self, rg: int) -> int:
        return self.groups[rg].flow.used

    def records(self) -> dict[int, UsageRecord]:
        """What the session enters in the books, by rating group."""
        return {record.rating_group: record for record in self.session.next_records()}


def delivery(
    body: bytes = b'{"a":1}', repeats: int = 1, operation: Operation = Operation.CREATE, **more: Any
) -> Delivery:
    request = Request(0, operation, 0, 0, RESOURCE, body)
    return Delivery(request, DeliveryPolicy(timeout=10 * S, repeats=repeats, **more))
