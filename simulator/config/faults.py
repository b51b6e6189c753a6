"""The sandbox's weather: what goes wrong, when, and for whom; and how many servers a CHF of known capacity has.

    faults:
      - {from: 10s, until: 20s, endpoint: 1, outage: true}
      - {operations: [update], share: 2%, status: {code: 503, cause: NF_CONGESTION, retry_after: 5s}}
      - {subscribers: 001010000000001..001010000000100, delay: {lognormal: {median: 50ms, sigma: 1}}}

Seconds of wall time count from the start of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
    model_validator,
)

from simulator.config.distributions import Distribution
from simulator.config.drawn import Drawn
from simulator.config.errors import Wrong, did_you_mean, located, problem, shown
from simulator.config.model import Model
from simulator.config.quantities import (
    DURATION,
    Balance,
    Count,
    Duration,
    Rate,
    Share,
    SomeCount,
    SomeDuration,
    SomeRate,
    WholeSeconds,
    text,
)
from simulator.config.units import RatingGroupId

MOST_FAULTS = 1000
MOST_ENDPOINTS = 64
MOST_STREAMS = (1 << 31) - 1
"""A connection has no more stream ids than that (RFC 9113 5.1.1)."""

EndpointCount = Annotated[SomeCount, Field(le=MOST_ENDPOINTS)]
Stores = Literal["shared", "separate"]

Operation = Literal["create", "update", "release", "event", "token"]
ResultCode = Literal[
    "RATING_FAILED",
    "QUOTA_LIMIT_REACHED",
    "END_USER_SERVICE_DENIED",
    "END_USER_SERVICE_REJECTED",
    "QUOTA_MANAGEMENT_NOT_APPLICABLE",
]
StreamError = Literal[
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
]
"""Names of RFC 9113 7."""


def _only_true(given: object) -> bool:
    if given is not True:
        raise problem(f"expected true, got {shown(given)}; leave the fault out if it is not meant")
    return True


def _short(name: str) -> Callable[[object], object]:
    """A mapping may be written as the value of its first member alone."""

    def expand(given: object) -> object:
        return given if isinstance(given, dict | Model) else {name: given}

    return expand


def _no_mapping_needed(given: object) -> object:
    return {} if given is True else given


def _redirect_code(given: object) -> object:
    if given not in (307, 308):
        raise problem(f"expected 307 or 308, got {shown(given)}")
    return given


Yes = Annotated[bool, BeforeValidator(_only_true), WithJsonSchema({"const": True})]
ServiceTime = Annotated[Distribution, Drawn(DURATION)]
Cause = Annotated[str, *text("[A-Z][A-Z0-9_]{0,63}", "a cause such as NF_CONGESTION")]
Uri = Annotated[str, *text(r'https?://[!"$-.0->@-~]{1,300}', "an API root such as http://127.0.0.1:8080")]
Detail = Annotated[str, *text("[\t\n\r -~\u00a0-\ud7ff\ue000-\U0010ffff]{0,1000}", "a text of at most 1000 characters")]
Address = Annotated[str, *text("[!-~]{1,1000}", "an address such as http://topup.example/")]
Uuid = Annotated[str, *text("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "a UUID")]
SubscriberRange = Annotated[
    str,
    *text(
        r"(imsi-)?[0-9]{5,15}\.\.(imsi-)?[0-9]{5,15}|[!-~]{1,64}",
        "an identifier, or a range such as 001010000000001..001010000000100",
    ),
]


class Overload(Model):
    """3gpp-Sbi-Oci (TS 29.500 6.4.3): please send less."""

    reduction: Share
    """Of what is sent to this CHF."""
    validity: WholeSeconds = 60


class StatusAnswer(Model):
    """An answer that is no success; the request is not charged."""

    code: Annotated[Count, Field(ge=400, le=599)]
    cause: Cause | None = None
    detail: Detail = ""
    retry_after: WholeSeconds | None = None
    oci: Overload | None = None
    empty: bool = False
    """Without a body, as some CHFs answer."""


class Reset(Model):
    """The connection is cut, without a word (TCP RST)."""

    charged: bool = False
    """Whether the request is charged before."""


class StreamReset(Model):
    """RST_STREAM instead of an answer."""

    error: StreamError = "INTERNAL_ERROR"
    charged: bool = False
    """Whether the request is charged before."""


class Redirect(Model):
    """The request is to be sent elsewhere; it is not charged."""

    code: Annotated[int, BeforeValidator(_redirect_code), WithJsonSchema({"enum": [307, 308]})] = 307
    endpoint: SomeCount | None = None
    """The number of one of the sandbox's own endpoints, or else a `uri`."""
    uri: Uri | None = None
    target_nf: Uuid | None = None
    """3gpp-Sbi-Target-Nf-Id."""

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.endpoint is None) == (self.uri is None):
            raise problem("expected either the number of an endpoint, or a uri")
        return self


class FinalUnit(Model):
    """What the SMF is to do when the grant is used up."""

    action: Literal["TERMINATE", "REDIRECT", "RESTRICT_ACCESS"]
    redirect_to: Address = "http://topup.example/"
    filter_id: Detail = "restricted"


class NotifyStorm(Model):
    """The CHF notifies open sessions, at a rate, until the window ends or its share of them was told."""

    type: Literal["REAUTHORIZATION", "ABORT_CHARGING"]
    rate: Rate
    share: Share = 1.0
    """Of the sessions that are open when the storm begins."""


class Credit(Model):
    """Accounts are topped up, once each, until they all are or the window ends."""

    balances: Annotated[dict[str, Balance], Field(min_length=1)]
    """What is added, by counter."""
    rate: SomeRate = 1000.0
    """Accounts per second."""


KINDS = (
    "delay",
    "status",
    "silence",
    "lose_answer",
    "reset_connection",
    "reset_stream",
    "goaway",
    "max_streams",
    "close_window",
    "truncate",
    "garbage",
    "content_type",
    "redirect",
    "overload",
    "grant",
    "result_code",
    "final_unit",
    "charge_repeats",
    "wrong_sequence",
    "outage",
    "notify",
    "credit",
)
ENDPOINT_KINDS = frozenset({"max_streams", "close_window", "outage", "notify"})
"""They come over an endpoint as a whole, not over single requests."""
RATING_GROUP_KINDS = frozenset({"grant", "result_code", "final_unit"})


class Fault(Model):
    """One thing that goes wrong: when, for whom, and exactly one of what follows `rating_groups`."""

    from_: Duration = Field(0.0, alias="from")
    """Seconds after the start."""
    until: SomeDuration | None = None
    """Seconds after the start; null: to the end."""
    endpoint: SomeCount | None = None
    """The number of one endpoint, counted from 1; null: all."""
    operations: Annotated[list[Operation], Field(min_length=1)] | None = None
    """null: all but token, which has to be named."""
    subscribers: SubscriberRange | None = None
    """IMSIs `first..last`, or one identifier; null: all."""
    share: Share = 1.0
    """Of the requests that the rest fits."""
    rating_groups: Annotated[list[RatingGroupId], Field(min_length=1)] | None = None
    """For grant, result_code and final_unit; null: all."""

    delay: ServiceTime | None = None
    """The answer takes so long; delays of several faults add up."""
    status: Annotated[StatusAnswer, BeforeValidator(_short("code"))] | None = None
    """4xx or 5xx, not charged."""
    silence: Yes | None = None
    """No charge, no answer."""
    lose_answer: Yes | None = None
    """The charge is made, the answer never comes."""
    reset_connection: Annotated[Reset, BeforeValidator(_no_mapping_needed)] | None = None
    reset_stream: Annotated[StreamReset, BeforeValidator(_short("error"))] | None = None
    goaway: Literal["graceful", "abrupt"] | None = None
    """graceful: requests under way are answered; abrupt: they are not. Every connection that is there at `from`, once;
    with operations, subscribers or a share, the connection on which such a request comes."""
    max_streams: Annotated[Count, Field(le=MOST_STREAMS)] | None = None
    """SETTINGS_MAX_CONCURRENT_STREAMS while it lasts."""
    close_window: Yes | None = None
    """SETTINGS_INITIAL_WINDOW_SIZE 0 while it lasts: headers come, bodies stall."""
    truncate: Yes | None = None
    """The JSON of an answer is cut off."""
    garbage: Yes | None = None
    """The body of an answer is no JSON."""
    content_type: Annotated[str, *text("[!-~]{1,100}", "a content type such as text/html")] | None = None
    """Of a good answer."""
    redirect: Annotated[Redirect, BeforeValidator(_short("endpoint"))] | None = None
    overload: Annotated[Overload, BeforeValidator(_short("reduction"))] | None = None
    """Good answers carry 3gpp-Sbi-Oci."""
    grant: Share | None = None
    """So much of what would be granted, at least one unit."""
    result_code: ResultCode | None = None
    """Instead of a grant."""
    final_unit: Annotated[FinalUnit, BeforeValidator(_short("action"))] | None = None
    """Grants are marked as the last ones."""
    charge_repeats: Yes | None = None
    """A faulty CHF: what it was already charged for, it charges again."""
    wrong_sequence: Yes | None = None
    """Answers carry another invocationSequenceNumber than the request."""
    outage: Yes | None = None
    """The endpoint cuts all connections and refuses new ones, until it comes back."""
    notify: NotifyStorm | None = None
    credit: Credit | None = None
    """Nothing goes wrong: those subscribers (all, or a share) that have an account at `from` are topped up."""

    @property
    def kind(self) -> str:
        """What goes wrong."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def picks_requests(self) -> bool:
        """Whether it is for some requests only."""
        return self.operations is not None or self.subscribers is not None or self.share < 1.0

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(kinds) != 1:
            raise problem(f"expected exactly one fault, got {' and '.join(kinds) or 'none of ' + ', '.join(KINDS)}")
        wrong: list[Wrong] = []
        if self.until is not None and self.until <= self.from_:
            wrong.append((("until",), f"expected more than from, {self.from_:g} s"))
        if kinds[0] in ENDPOINT_KINDS:
            wrong += [
                ((name,), f"does not belong here: {kinds[0]} comes over an endpoint, not over single requests")
                for name in ("operations", "subscribers", "share")
                if getattr(self, name) not in (None, 1.0)
            ]
        if self.credit is not None and self.operations is not None:
            wrong.append((("operations",), "does not belong here: credit comes to accounts, not with requests"))
        if self.rating_groups is not None and kinds[0] not in RATING_GROUP_KINDS:
            wrong.append((("rating_groups",), f"belongs to {', '.join(sorted(RATING_GROUP_KINDS))}, not to {kinds[0]}"))
        wrong += [] if self.subscribers is None else _wrong_range(self.subscribers)
        if wrong:
            raise located(wrong)
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Only what is there, under the names of the document."""
        return {
            "from" if name == "from_" else name: value for name, value in handler(self).items() if value is not None
        }


def _wrong_range(subscribers: str) -> list[Wrong]:
    first, last = subscriber_range(subscribers) or ("", "")
    if len(first) != len(last):
        return [(("subscribers",), "expected first and last with as many digits")]
    return [(("subscribers",), "expected the first before the last")] if first > last else []


def subscriber_range(subscribers: str) -> tuple[str, str] | None:
    """The digits of the first and the last; None for a single identifier."""
    first, dots, last = subscribers.partition("..")
    return (first.removeprefix("imsi-"), last.removeprefix("imsi-")) if dots else None


class Servers(Model):
    """The capacity of each endpoint: so many requests are served at a time, the others wait in one queue, in order."""

    count: SomeCount
    service_time: ServiceTime
    queue: Count = 1000
    """Requests that wait at most; one more is answered 503 NF_CONGESTION."""


Faults = Annotated[list[Fault], Field(max_length=MOST_FAULTS)]


class FaultFile(Model):
    """What `smfleet sandbox --faults` reads."""

    faults: Faults = Field(default_factory=list)
    servers: Servers | None = None


def wrong_endpoints(faults: Iterable[Fault], endpoints: int) -> list[Wrong]:
    """Faults that name an endpoint which is not there."""
    words = f"the sandbox has {endpoints} endpoint{'s' if endpoints > 1 else ''}"
    wrong: list[Wrong] = []
    for i, fault in enumerate(faults):
        if fault.endpoint is not None and fault.endpoint > endpoints:
            wrong.append(((i, "endpoint"), f"{words}, got {fault.endpoint}"))
        if fault.redirect is not None and (fault.redirect.endpoint or 0) > endpoints:
            wrong.append(((i, "redirect", "endpoint"), f"{words}, got {fault.redirect.endpoint}"))
    return wrong


def wrong_counters(faults: Iterable[Fault], counters: Iterable[str]) -> list[Wrong]:
    """Credit for balances that the plan does not have."""
    known = list(counters)
    return [
        ((i, "credit", "balances", name), f'no balance "{name}"{did_you_mean(name, known)}')
        for i, fault in enumerate(faults)
        for name in (fault.credit.balances if fault.credit is not None else ())
        if name not in known
    ]
