"""Profiles: who the subscribers are, which network functions serve them, what they do, and how much of it.

All numbers are in base units: seconds, octets, units, and each per second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from simulator.config.dialect import Dialect, NamedDialect, NodeFunctionality
from simulator.config.distributions import Distribution, Fixed
from simulator.config.drawn import Drawn
from simulator.config.errors import Wrong, did_you_mean, located, problem, shown
from simulator.config.failure import Failure
from simulator.config.faults import MOST_ENDPOINTS, EndpointCount, Fault, Faults, Servers, Stores, wrong_endpoints
from simulator.config.headers import Headers
from simulator.config.load import Durations, Load
from simulator.config.model import Model
from simulator.config.notify import Notify
from simulator.config.plan import TimeOfDay
from simulator.config.quantities import (
    COUNT,
    OCTETS,
    RATE,
    THROUGHPUT,
    Balance,
    Count,
    Duration,
    Number,
    Octets,
    Pace,
    Share,
    SomeCount,
    SomeDuration,
    WholeSeconds,
    text,
)
from simulator.config.quirks import BY_THE_BOOK, AnyQuirks
from simulator.config.security import Authentication, NoAuthentication
from simulator.config.threshold import ThresholdText
from simulator.config.triggers import Triggers
from simulator.config.units import RatingGroupId, Unit, by_unit, known_unit
from simulator.n40.form import RELEASES

Kind = Literal["SMF", "PGW_C_SMF", "SMSF", "IMS_Node"]
Rat = Literal["NR", "EUTRA"]
RATS: tuple[Rat, ...] = ("NR", "EUTRA")
Service = Literal["data", "voice", "sms"]
Charging = Literal["SCUR", "IEC", "PEC", "ECUR"]

BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"

Sst = Annotated[Count, Field(le=255)]
Name = Annotated[str, *text("[A-Za-z0-9][A-Za-z0-9_-]{0,63}", "a name of letters, digits, - and _")]
Tac = Annotated[str, *text("[0-9A-Fa-f]{4}([0-9A-Fa-f]{2})?", "four or six hexadecimal digits")]
Cell = Annotated[str, *text("[0-9A-Fa-f]{7}([0-9A-Fa-f]{2})?", "seven (EUTRA) or nine (NR) hexadecimal digits")]
Ipv4 = Annotated[str, *text(rf"{BYTE}(\.{BYTE}){{3}}", "an IPv4 address")]
Fqdn = Annotated[str, *text(r"[A-Za-z0-9.-]{1,253}", "a domain name")]

UNIT_OF: dict[Service, Unit] = {"data": "totalVolume", "voice": "time", "sms": "serviceSpecificUnits"}
UNITS_FOR: dict[Service, tuple[Unit, ...]] = {
    "data": ("totalVolume", "time", "serviceSpecificUnits"),
    "voice": ("time", "serviceSpecificUnits"),
    "sms": ("serviceSpecificUnits",),
}
CHARGING_FOR: dict[Service, tuple[Charging, ...]] = {
    "data": ("SCUR",),
    "voice": ("SCUR",),
    "sms": ("IEC", "PEC", "ECUR"),
}
KINDS_FOR: dict[Service, tuple[Kind, ...]] = {
    "data": ("SMF", "PGW_C_SMF"),
    "voice": ("SMF", "PGW_C_SMF", "IMS_Node"),
    "sms": ("SMSF",),
}
PDU_SESSION_KINDS: tuple[Kind, ...] = ("SMF", "PGW_C_SMF")
MOST_PDU_SESSIONS = 15
"""Of one device at a time (TS 24.501 9.4)."""


def _refuse(why: str) -> Callable[[object], object]:
    """For what other alternatives of a mapping have: nothing but the default is taken."""

    def refuse(given: object) -> object:
        if given:
            raise problem(f"does not belong here: {why}")
        return given

    return refuse


class Plmn(Model):
    """A network's identity."""

    mcc: Annotated[str, *text("[0-9]{3}", "three digits")]
    mnc: Annotated[str, *text("[0-9]{2,3}", "two or three digits")]


class Slice(Model):
    """S-NSSAI (TS 23.003 28.4)."""

    sst: Sst = 1
    sd: Annotated[str, *text("[0-9A-Fa-f]{6}", "six hexadecimal digits")] | None = None


class Subscribers(Model):
    """Identities are counted up from the first; none of them is held in memory."""

    count: Annotated[SomeCount, Field(le=10**9)] = 100_000
    first_imsi: Annotated[str, *text("[0-9]{14,15}", "14 or 15 digits")] = "001010000000001"
    mnc_length: Annotated[Count, Field(ge=2, le=3)] = 2
    """Of the home PLMN, whose digits the IMSI begins with."""
    first_msisdn: Annotated[str, *text("[0-9]{5,15}", "5 to 15 digits")] = "15550000001"
    first_imeisv: Annotated[str, *text("[0-9]{16}", "16 digits")] = "3500000000000010"
    dnn: Annotated[str, *text("[A-Za-z0-9.-]{1,100}", "a data network name")] = "internet"
    slice: Slice = Slice(sst=1, sd="000001")

    @property
    def home_plmn(self) -> Plmn:
        """The first digits of the IMSI."""
        return Plmn(mcc=self.first_imsi[:3], mnc=self.first_imsi[3 : 3 + self.mnc_length])

    @model_validator(mode="after")
    def _identities_suffice(self) -> Self:
        """Counting up must not run over into the home PLMN, nor into one more digit."""
        fixed = {"first_imsi": 3 + self.mnc_length, "first_msisdn": 0, "first_imeisv": 0}
        short = [
            ((name,), f"{self.count:,} subscribers counted up from {first} run out of digits")
            for name, prefix in fixed.items()
            if int((first := getattr(self, name))[prefix:]) + self.count > 10 ** (len(first) - prefix)
        ]
        if short:
            raise located(short)
        return self


FILL_PER_S = 2_000
"""How fast the sessions that are open from the beginning are set up."""


class Location(Model):
    """Where sessions are held: each one gets a tracking area and a cell of these, the same for the same subscriber."""

    tac: Annotated[list[Tac], Field(min_length=1, max_length=10_000)]
    cell: Annotated[list[Cell], Field(min_length=1, max_length=10_000)]

    @classmethod
    def of(cls, rat: Rat) -> Location:
        """One tracking area of sixteen cells."""
        if rat == "EUTRA":
            return cls(tac=["0001"], cell=[f"{cell:07x}" for cell in range(1, 17)])
        return cls(tac=["000001"], cell=[f"{cell:09x}" for cell in range(1, 17)])


class NetworkFunction(Model):
    """One definition, `count` instances of it; each has an instance id, and a connection pool of its own."""

    kind: Kind
    count: Annotated[SomeCount, Field(le=1000)] = 1
    rat: Rat = Field(default_factory=lambda data: "EUTRA" if data["kind"] == "PGW_C_SMF" else "NR")
    node_functionality: NodeFunctionality = Field(default_factory=lambda data: data["kind"])
    """What it calls itself, where the field differs from the book (an SMF that serves EUTRA)."""
    plmn: Plmn | None = None
    """By default the subscribers' home PLMN, which a loaded profile always holds."""
    address: Ipv4 | None = None
    """What it advertises as its own address."""
    fqdn: Fqdn | None = None
    location: Location = Field(default_factory=lambda data: Location.of(data["rat"]))

    @field_validator("location", mode="after")
    @classmethod
    def _cells_fit(cls, location: Location, info: ValidationInfo) -> Location:
        digits = 7 if info.data.get("rat") == "EUTRA" else 9
        wrong = [i for i, cell in enumerate(location.cell) if len(cell) != digits]
        if wrong and "rat" in info.data:
            raise located(
                [(("cell", i), f"expected {digits} hexadecimal digits for {info.data['rat']}") for i in wrong]
            )
        return location


class Connections(Model):
    """The pool of each network function instance."""

    per_network_function: Annotated[SomeCount, Field(le=1000)] = 2
    streams: Annotated[SomeCount, Field(le=10_000)] = 100
    """Requests in flight on one connection at most; the peer may allow fewer."""
    waiting: Annotated[Count, Field(le=1_000_000)] = 10_000
    """Requests that may wait for a stream; what comes on top fails."""
    keepalive: Duration = 30.0
    """Seconds of silence before a PING; 0 sends none."""
    connect_timeout: SomeDuration = 3.0


class _RatingGroup(Model):
    rating_group: RatingGroupId
    start: Durations = Fixed(0.0)
    """Delay from the session's start to this rating group's first traffic."""
    length: Durations | None = None
    """How long after its start it has traffic; null: to the session's end."""
    five_qi: Annotated[Count, Field(ge=1, le=255)] | None = None
    """Of a bearer of its own; null: the default bearer's."""
    burst: Durations | None = None
    """Length of a period of activity; without one, it is always active."""
    pause: Durations | None = Field(None, validate_default=True)
    """Silence between two bursts."""

    @field_validator("burst", mode="after")
    @classmethod
    def _some_activity(cls, burst: Distribution | None) -> Distribution | None:
        if burst is not None and burst.mean() <= 0:
            raise problem("bursts without any length never use anything")
        return burst

    @field_validator("pause", mode="after")
    @classmethod
    def _bursts_and_pauses(cls, pause: Distribution | None, info: ValidationInfo) -> Distribution | None:
        if "burst" in info.data and (pause is None) != (info.data["burst"] is None):
            raise problem("burst and pause belong together: give both or neither")
        return pause


class VolumeGroup(_RatingGroup):
    """Counts octets, uplink and downlink together."""

    unit: Literal["totalVolume"] = "totalVolume"
    requested: Annotated[Octets, Field(ge=1)] | None = None
    """Asked for in each request; null leaves the amount to the CHF."""
    volume: Annotated[Distribution, Drawn(OCTETS)] | None = None
    """Octets this rating group uses in all; null: as many as come until the session ends."""
    throughput: Annotated[Distribution, Drawn(THROUGHPUT)]
    """Octets per second, drawn for each burst."""
    uplink_share: Share = 0.1


class TimeGroup(_RatingGroup):
    """Counts seconds, one per second of activity."""

    unit: Literal["time"] = "time"
    requested: Annotated[WholeSeconds, Field(ge=1)] | None = None
    volume: Durations | None = None
    """Seconds this rating group uses in all; null: until the session ends."""
    throughput: Annotated[None, BeforeValidator(_refuse("time passes at one second per second"))] = None
    uplink_share: Annotated[float, BeforeValidator(_refuse("time has no direction"))] = 0.0


class UnitsGroup(_RatingGroup):
    """Counts service-specific units: messages, or whatever else the plan means by them."""

    unit: Literal["serviceSpecificUnits"] = "serviceSpecificUnits"
    requested: Annotated[Count, Field(ge=1)] | None = None
    volume: Annotated[Distribution, Drawn(COUNT)] | None = None
    """Units this rating group uses in all; null: as many as come until the session ends."""
    throughput: Annotated[Distribution, Drawn(RATE)] | None = None
    """Units per second, drawn for each burst."""
    uplink_share: Annotated[float, BeforeValidator(_refuse("units have no direction"))] = 0.0


RatingGroup = VolumeGroup | TimeGroup | UnitsGroup
AnyRatingGroup = Annotated[
    Annotated[VolumeGroup, Tag("{totalVolume}")]
    | Annotated[TimeGroup, Tag("{time}")]
    | Annotated[UnitsGroup, Tag("{serviceSpecificUnits}")],
    Discriminator(by_unit),
    BeforeValidator(known_unit),
]


class ConditionChange(Model):
    """A change of charging conditions in the middle of a session, once or again and again."""

    change: Literal["location", "rat", "handover", "qos", "serving_node", "time_zone", "plmn", "ambr"]
    """handover: between 4G and 5G, with radio, serving node and location."""
    at: Durations | None = None
    """Once, so long after the session's start."""
    every: Durations | None = None
    """Again and again, so long after the one before."""

    @model_validator(mode="after")
    def _once_or_often(self) -> Self:
        if (self.at is None) == (self.every is None):
            raise problem("expected either at or every")
        if self.every is not None and self.every.mean() <= 0:
            raise located([(("every",), "expected more than 0 between two changes")])
        return self


class Usage(Model):
    """What a device does in one session, or with one event."""

    service: Service
    charging: Charging = Field(default_factory=lambda data: CHARGING_FOR[data["service"]][0], validate_default=True)
    network_function: str = ""
    """A name in network_functions; by default the first of a fitting kind, which a loaded profile always names."""
    length: Durations | None = None
    """Seconds that a session lives; null: until its rating groups have used their volume."""
    rating_groups: Annotated[list[AnyRatingGroup], Field(min_length=1, max_length=50)]
    units: Annotated[Distribution, Drawn(COUNT)] | None = Field(
        default_factory=lambda data: Fixed(1) if data["service"] == "sms" else None
    )
    """Messages of one SMS event, 1 by default; None for other services."""
    delivery: Durations | None = Field(
        default_factory=lambda data: Fixed(5.0) if data.get("charging") == "ECUR" else None
    )
    """From the Create of an ECUR to the message's delivery, which is its Release; 5 s by default, None for others."""
    sessions: Annotated[Count, Field(ge=1, le=MOST_PDU_SESSIONS)] = 1
    """How many of this usage one device may have open at a time."""
    create_without_units: bool = False
    """The Create asks for no units; the first Update does."""
    changes: Annotated[list[ConditionChange], Field(max_length=20)] = Field(default_factory=list)
    """Changes of charging conditions while a session lives."""
    final_unit: Literal["release", "keep"] = "release"
    """After the final unit of the last rating group: release the session, or keep it without service."""

    @field_validator("charging", mode="after")
    @classmethod
    def _charging_fits(cls, charging: Charging, info: ValidationInfo) -> Charging:
        service = info.data.get("service")
        if service is not None and charging not in CHARGING_FOR[service]:
            raise problem(f"expected {' or '.join(CHARGING_FOR[service])} for {service}, got {charging}")
        return charging

    @field_validator("rating_groups", mode="before")
    @classmethod
    def _unit_of_the_service(cls, groups: Any, info: ValidationInfo) -> Any:
        if "service" not in info.data:
            raise PydanticCustomError("consequence", "the unit follows from the service")
        if not isinstance(groups, list):
            return groups
        unit = {"unit": UNIT_OF[info.data["service"]]}
        return [unit | group if isinstance(group, dict) else group for group in groups]

    @field_validator("rating_groups", mode="after")
    @classmethod
    def _groups_fit(cls, groups: list[RatingGroup], info: ValidationInfo) -> list[RatingGroup]:
        service: Service | None = info.data.get("service")
        if service is None:
            return groups
        wrong = list(_event_groups(groups) if service == "sms" else _session_groups(groups))
        for i, group in enumerate(groups):
            if group.unit not in UNITS_FOR[service]:
                wrong.append(((i, "unit"), f"{service} counts {' or '.join(UNITS_FOR[service])}, got {group.unit}"))
            if group.rating_group in [before.rating_group for before in groups[:i]]:
                wrong.append(((i, "rating_group"), f"rating group {group.rating_group} stands twice"))
        if wrong:
            raise located(wrong)
        return groups

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.delivery is not None and self.charging != "ECUR":
            raise located([(("delivery",), f"only ECUR waits for a delivery, and charging is {self.charging}")])
        if self.service == "sms":
            events = [
                ("length", "an SMS event has no length"),
                ("changes", "an SMS event is over before anything changes"),
            ]
            if self.charging != "ECUR":
                events.append(("create_without_units", "an event has one message, which holds its units"))
            wrong = [((name,), text) for name, text in events if getattr(self, name)]
            if wrong:
                raise located(wrong)
            return self
        if self.units is not None:
            raise located([(("units",), "only SMS events have units; sessions have a volume per rating group")])
        if self.length is None and all(group.volume is None for group in self.rating_groups):
            raise problem("never ends: expected a length, or a volume for at least one rating group")
        return self


def _event_groups(groups: list[RatingGroup]) -> Iterator[Wrong]:
    """An event has one rating group and no life of its own."""
    if len(groups) > 1:
        yield (), f"an SMS event has exactly one rating group, got {len(groups)}"
    for i, group in enumerate(groups):
        for name in ("volume", "throughput", "burst", "pause", "length", "five_qi"):
            if getattr(group, name) is not None:
                yield (i, name), f"an SMS event has no {name}"


def _session_groups(groups: list[RatingGroup]) -> Iterator[Wrong]:
    for i, group in enumerate(groups):
        if group.unit == "time":
            continue
        if group.throughput is None:
            yield (i, "throughput"), "is missing: expected units per second such as 2/m"
        elif group.throughput.mean() <= 0:
            yield (i, "throughput"), "expected a throughput of more than 0"


class Timeouts(Model):
    """Wall time."""

    request: SomeDuration = 5.0
    """Seconds until an attempt without an answer has failed."""
    drain: SomeDuration = 15.0
    """Seconds for releasing what is open at the end."""


class Sandbox(Model):
    """The embedded charging function, where there is no other target."""

    plan: str = "default"
    """`default`, or a plan's file, relative to the profile's folder."""
    unknown_subscriber: Literal["provision", "reject"] | None = None
    """Instead of the plan's."""
    balances: dict[str, Balance] = Field(default_factory=dict)
    """Instead of the plan's, counter by counter."""
    endpoints: EndpointCount = 1
    """CHF endpoints, each with an address of its own."""
    stores: Stores = "shared"
    """Whether the endpoints have one set of books, or one each."""
    servers: Servers | None = None
    """The capacity of each endpoint; null: as much as the machine can do."""
    quirks: AnyQuirks = BY_THE_BOOK
    """A preset, or single quirks."""
    faults: Faults = Field(default_factory=list)
    """What goes wrong, and when."""

    @field_validator("faults", mode="after")
    @classmethod
    def _known_endpoints(cls, faults: list[Fault], info: ValidationInfo) -> list[Fault]:
        wrong = wrong_endpoints(faults, info.data.get("endpoints", MOST_ENDPOINTS))
        if wrong:
            raise located(wrong)
        return faults


class Profile(Model):
    """One load: everything a run needs to know but its target."""

    name: Annotated[str, *text(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "a name of letters, digits, dots and dashes")] = (
        "unnamed"
    )
    """By default the file's name."""
    description: str = ""
    seed: Annotated[Count, Field(le=(1 << 63) - 1)] = 1
    subscribers: Subscribers = Subscribers()
    network_functions: Annotated[dict[Name, NetworkFunction], Field(min_length=1)]
    connections: Connections = Connections()
    release: Literal["rel15", "rel16", "rel17"] = "rel17"
    """Of TS 32.291: the API's version and the members that messages may have."""
    dialect: NamedDialect = Dialect()
    """A shipped dialect's name, or a file beside the profile."""
    tenant: Annotated[str, *text("[!-~]{0,256}", "an identifier without blanks")] = Field("", validate_default=True)
    """tenantIdentifier; some dialects need it."""
    gzip: bool = False
    """Request bodies are compressed (content-encoding: gzip)."""
    headers: Headers = Headers()
    """What requests carry besides; see TS 29.500."""
    usages: Annotated[dict[Name, Usage], Field(min_length=1)]
    mix: Annotated[dict[str, Number], Field(min_length=1)]
    """Weights of session (and event) starts, by usage."""
    load: Load
    pace: Pace = 1.0
    timestamps: Literal["wall", "session"] = "wall"
    """Which time messages carry."""
    session_clock: TimeOfDay | None = Field(None, validate_default=True)
    """Time of day (UTC) at which session time begins, for `timestamps: session`; null: as late as it is. Two runs of a day
    then tell the same times: give each a seed of its own where the CHF remembers the other."""
    timeouts: Timeouts = Timeouts()
    repeats: Annotated[Count, Field(le=10)] = 1
    """Repeats of a request after a timeout or a lost connection."""
    backoff: Duration = 30.0
    """Session time until a device that found no credit tries again."""
    failure: Failure = Failure()
    triggers: Triggers = Triggers()
    authentication: Authentication = NoAuthentication()
    notify: Notify = Notify()
    sandbox: Sandbox = Sandbox()
    thresholds: list[ThresholdText] = Field(default_factory=list, max_length=100)
    """Such as `response.update.p99 < 50ms over 10s warn`, or a mapping: {expect: …, over: 10s, level: warn, abort: true}."""

    @field_validator("network_functions", mode="after")
    @classmethod
    def _home_plmn(cls, functions: dict[str, NetworkFunction], info: ValidationInfo) -> dict[str, NetworkFunction]:
        subscribers: Subscribers | None = info.data.get("subscribers")
        if subscribers is None:
            return functions
        home = subscribers.home_plmn
        return {name: each.model_copy(update={"plmn": each.plmn or home}) for name, each in functions.items()}

    @field_validator("usages", mode="after")
    @classmethod
    def _network_function_fits(cls, usages: dict[str, Usage], info: ValidationInfo) -> dict[str, Usage]:
        functions: dict[str, NetworkFunction] | None = info.data.get("network_functions")
        if functions is None:
            return usages
        wrong: list[Wrong] = []
        for name, usage in usages.items():
            fitting = [each for each, function in functions.items() if function.kind in KINDS_FOR[usage.service]]
            given = usage.network_function
            kinds = " or ".join(KINDS_FOR[usage.service])
            if given and given not in functions:
                wrong.append(
                    ((name, "network_function"), f'no network function "{given}"{did_you_mean(given, functions)}')
                )
            elif given and given not in fitting:
                message = f"expected a {kinds} for {usage.service}, and {given} is {functions[given].kind}"
                wrong.append(((name, "network_function"), message))
            elif not fitting:
                wrong.append(((name,), f"{usage.service} needs a network function of kind {kinds}"))
            else:
                usages = usages | {name: usage.model_copy(update={"network_function": given or fitting[0]})}
        if wrong:
            raise located(wrong)
        return usages

    @field_validator("usages", mode="after")
    @classmethod
    def _sessions_fit_into_a_device(cls, usages: dict[str, Usage], info: ValidationInfo) -> dict[str, Usage]:
        functions: dict[str, NetworkFunction] = info.data.get("network_functions", {})
        kinds = {name: each.kind for name, each in functions.items()}
        sessions = {
            name: usage.sessions
            for name, usage in usages.items()
            if kinds.get(usage.network_function) in PDU_SESSION_KINDS
        }
        total = sum(sessions.values())
        if total > MOST_PDU_SESSIONS:
            most = max(sessions, key=sessions.__getitem__)
            text = f"a device has {MOST_PDU_SESSIONS} PDU sessions at most, and those of all usages add up to {total}"
            raise located([((most, "sessions"), text)])
        return usages

    @field_validator("usages", mode="after")
    @classmethod
    def _calls_of_the_ims(cls, usages: dict[str, Usage], info: ValidationInfo) -> dict[str, Usage]:
        functions: dict[str, NetworkFunction] = info.data.get("network_functions", {})
        wrong: list[Wrong] = []
        for name, usage in usages.items():
            function = functions.get(usage.network_function)
            if function is None or function.kind != "IMS_Node":
                continue
            release = info.data.get("release", "rel17")
            if "iMSChargingInformation" in RELEASES[release].absent:
                text = f"calls of an IMS_Node need iMSChargingInformation, which {release} does not have: expected release rel17"
                wrong.append(((name, "network_function"), text))
            wrong += [
                ((name, "rating_groups", i, "five_qi"), "a call of an IMS_Node has no bearer")
                for i, group in enumerate(usage.rating_groups)
                if group.five_qi is not None
            ]
        if wrong:
            raise located(wrong)
        return usages

    @field_validator("tenant", mode="after")
    @classmethod
    def _tenant_where_needed(cls, tenant: str, info: ValidationInfo) -> str:
        dialect: Dialect | None = info.data.get("dialect")
        if dialect is not None and dialect.uses("tenant") and not tenant:
            raise problem(f"is missing: dialect {dialect.name} puts it into every message")
        return tenant

    @field_validator("session_clock", mode="after")
    @classmethod
    def _clock_of_session_time(cls, clock: str | None, info: ValidationInfo) -> str | None:
        if clock is not None and info.data.get("timestamps", "session") != "session":
            raise problem("belongs to timestamps: session")
        return clock

    @field_validator("mix", mode="after")
    @classmethod
    def _mix_of_usages(cls, mix: dict[str, float], info: ValidationInfo) -> dict[str, float]:
        usages: dict[str, Usage] | None = info.data.get("usages")
        unknown = [name for name in mix if usages is not None and name not in usages]
        if unknown:
            raise located(((name,), f"no usage {shown(name)}{did_you_mean(name, usages or ())}") for name in unknown)
        if sum(mix.values()) <= 0:
            raise problem("expected weights that add up to more than 0")
        return mix

    @field_validator("pace", mode="after")
    @classmethod
    def _time_for_equilibrium(cls, pace: float | None, info: ValidationInfo) -> float | None:
        if pace is None and "load" in info.data and info.data["load"].equilibrium:
            raise problem("flat-out has no equilibrium: sessions take no time")
        return pace

    @field_validator("load", mode="after")
    @classmethod
    def _enough_subscribers(cls, load: Load, info: ValidationInfo) -> Load:
        subscribers: Subscribers | None = info.data.get("subscribers")
        usages: dict[str, Usage] | None = info.data.get("usages")
        if usages is not None:
            wrong_names = [
                (("streams", i, *place), f"no usage {shown(name)}{did_you_mean(name, usages)}")
                for i, stream in enumerate(load.streams or ())
                for name in stream.weights()
                if name not in usages
                for place in [("usage",) if stream.usage is not None else ("mix", name)]
            ]
            if wrong_names:
                raise located(wrong_names)
        if subscribers is not None and usages is not None:
            each = min(usage.sessions for usage in usages.values())
            what = f"{subscribers.count:,} subscribers" + (f" with {each} sessions each" if each > 1 else "")
            many = {"start_open": load.start_open, "stages" if load.stages else "devices": load.most_devices}
            wrong = [
                ((name,), f"more than the {what}") for name, count in many.items() if count > subscribers.count * each
            ]
            if wrong:
                raise located(wrong)
        return load
