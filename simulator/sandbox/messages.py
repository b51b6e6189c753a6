"""The parts of a ChargingDataRequest that decide about charging (TS 32.291 6.1.6.2); other members are skipped.

The types say what may stand in a message of which nothing is wrong. They are narrower than what is accepted: values that
are allowed but odd, such as null for a member that is not there, are left to `validation`, which makes these same
structures out of them. Amounts above 63 bits are among them, because bounds of msgspec end there.
"""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

MAX_RATING_GROUPS = 256
"""In one message and in one session."""

MAX_TEXT = 256
"""Characters of an identifier that is kept."""

MAX_URI = 512
"""Characters of a `notifyUri`; every open session holds one."""

UINT32 = 0xFFFF_FFFF
UINT64 = 0xFFFF_FFFF_FFFF_FFFF

UNIT_LIMITS = {
    "time": UINT32,
    "totalVolume": UINT64,
    "uplinkVolume": UINT64,
    "downlinkVolume": UINT64,
    "serviceSpecificUnits": UINT64,
}

Uint8 = Annotated[int, Meta(ge=0, le=255)]
Uint32 = Annotated[int, Meta(ge=0, le=UINT32)]
Uint63 = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
ShortText = Annotated[str, Meta(max_length=MAX_TEXT)]
Subscriber = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
Uri = Annotated[str, Meta(max_length=MAX_URI)]
Identifier = Uint63 | ShortText | None

_ENDING_TRIGGERS = frozenset({"QHT", "FINAL"})


class Units(Struct, gc=False, frozen=True, kw_only=True):
    """Amounts by kind of unit, under the members' own names; none of them need be there."""

    time: Uint32 | UnsetType = UNSET
    totalVolume: Uint63 | UnsetType = UNSET  # noqa: N815
    uplinkVolume: Uint63 | UnsetType = UNSET  # noqa: N815
    downlinkVolume: Uint63 | UnsetType = UNSET  # noqa: N815
    serviceSpecificUnits: Uint63 | UnsetType = UNSET  # noqa: N815

    def amount(self, unit: str) -> int:
        """The units of that kind, 0 if there are none; a total volume may be told as uplink and downlink only."""
        value: int | UnsetType = getattr(self, unit)
        if value is not UNSET:
            return value
        return (self.uplinkVolume or 0) + (self.downlinkVolume or 0) if unit == "totalVolume" else 0

    def kinds(self) -> set[str]:
        """The kinds of unit that are there."""
        return {unit for unit in UNIT_LIMITS if getattr(self, unit) is not UNSET}


class Trigger(Struct, gc=False, frozen=True, kw_only=True):
    """Why a report is made."""

    category: str = field(name="triggerCategory")
    kind: str = field(default="", name="triggerType")


class Container(Units, gc=False, frozen=True, kw_only=True):
    """An entry of `usedUnitContainer`."""

    number: Uint63 = field(name="localSequenceNumber")
    indicator: str = field(default="ONLINE_CHARGING", name="quotaManagementIndicator")
    triggers: list[Trigger] = []


class Usage(Struct, gc=False, frozen=True, kw_only=True):
    """One entry of `multipleUnitUsage`: what a rating group used and what it asks for (None: nothing)."""

    rating_group: Uint32 = field(name="ratingGroup")
    requested: Units | None = field(default=None, name="requestedUnit")
    containers: list[Container] = field(default_factory=list, name="usedUnitContainer")

    def returns_quota(self) -> bool:
        """Whether a report without a request ends the use of the grant: a trigger QHT or FINAL says so."""
        return any(trigger.kind in _ENDING_TRIGGERS for container in self.containers for trigger in container.triggers)


class Consumer(Struct, gc=False, frozen=True, kw_only=True):
    """The network function that sends, as far as a report needs it."""

    functionality: str = field(name="nodeFunctionality")


class NamedConsumer(Consumer, gc=False, frozen=True, kw_only=True):
    """The network function that sends, with its names and addresses."""

    nFName: ShortText | UnsetType = UNSET  # noqa: N815
    nFIPv4Address: ShortText | UnsetType = UNSET  # noqa: N815
    nFIPv6Address: ShortText | UnsetType = UNSET  # noqa: N815
    nFFqdn: ShortText | UnsetType = UNSET  # noqa: N815


CONSUMER_NAMES = ("nFName", "nFIPv4Address", "nFIPv6Address", "nFFqdn")


class PduSession(Struct, gc=False, frozen=True, kw_only=True):
    """The required members of `pduSessionInformation`."""

    number: Uint8 = field(name="pduSessionID")
    dnn: str = field(name="dnnId")


class Service(Struct, gc=False, frozen=True, kw_only=True):
    """What describes the service; `identifier` is what the consumer calls this charging."""

    identifier: Identifier = None
    pdu_session: PduSession | None = field(default=None, name="pduSessionInformation")


class PduSessionService(Service, gc=False, frozen=True, kw_only=True):
    """PDUSessionChargingInformation."""

    identifier: Identifier = field(default=None, name="chargingId")


class ImsService(Service, gc=False, frozen=True, kw_only=True):
    """IMSChargingInformation."""

    identifier: Identifier = field(default=None, name="userSessionID")


class SmsService(Service, gc=False, frozen=True, kw_only=True):
    """SMSChargingInformation."""

    identifier: Identifier = field(default=None, name="messageReference")


class Report(Struct, gc=False, frozen=True, kw_only=True):
    """An Update or Release; `subscriber` may be empty."""

    consumer: Consumer = field(name="nfConsumerIdentification")
    stamp: str = field(name="invocationTimeStamp")
    sequence: Uint32 = field(name="invocationSequenceNumber")
    subscriber: Subscriber = field(default="", name="subscriberIdentifier")
    notify_uri: Uri = field(default="", name="notifyUri")
    usages: Annotated[list[Usage], Meta(max_length=MAX_RATING_GROUPS)] = field(
        default_factory=list, name="multipleUnitUsage"
    )


class Create(Report, gc=False, frozen=True, kw_only=True):
    """A Create or one-time event."""

    consumer: NamedConsumer = field(name="nfConsumerIdentification")
    subscriber: Subscriber = field(name="subscriberIdentifier")
    is_event: bool = field(default=False, name="oneTimeEvent")
    event_kind: Literal["", "IEC", "PEC"] = field(default="", name="oneTimeEventType")
    action: str = field(default="", name="requestedAction")
    """`TOP_UP` in the `totogi` dialect: an event that credits."""
    pdu_session: PduSessionService | None = field(default=None, name="pDUSessionChargingInformation")
    ims: ImsService | None = field(default=None, name="iMSChargingInformation")
    sms: SmsService | None = field(default=None, name="sMSChargingInformation")

    @property
    def one_time_event(self) -> str | None:
        """None in a Create; the kind of a one-time event, which may be empty."""
        return self.event_kind if self.is_event else None

    def network_function(self) -> str:
        """Who sends: the name of the network function, or else its address."""
        consumer = self.consumer
        for name in CONSUMER_NAMES:
            value: str | UnsetType = getattr(consumer, name)
            if value is not UNSET:
                return sys.intern(value)
        return ""

    def charging_id(self) -> int | str:
        """What the consumer calls this charging: charging id, IMS user session id or SMS message reference, or ''."""
        for service in (self.pdu_session, self.ims, self.sms):
            if service is not None and service.identifier is not None:
                return service.identifier
        return ""


def second_requests(usages: list[Usage]) -> list[int]:
    """Where a rating group asks for quota again: two entries would each reserve, and only one could be granted."""
    seen: set[int] = set()
    places = []
    for place, usage in enumerate(usages):
        if usage.requested is not None:
            if usage.rating_group in seen:
                places.append(place)
            seen.add(usage.rating_group)
    return places
