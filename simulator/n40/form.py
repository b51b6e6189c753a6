"""What the release of the API and the dialect of a CHF make of a message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from simulator.n40.template import Document, filled, merged, without

SUBSCRIBER: Final = frozenset({"imsi", "msisdn", "imeisv", "device", "tac", "cell"})
NETWORK: Final = frozenset({"mcc", "mnc"})
PLACEHOLDERS: Final = SUBSCRIBER | NETWORK | {"tenant"}
"""What a dialect's texts may hold in braces."""

MEMBERS: Final = (
    "subscriberIdentifier", "tenantIdentifier", "nfConsumerIdentification", "retransmissionIndicator", "oneTimeEvent",
    "oneTimeEventType", "notifyUri", "supportedFeatures", "triggers", "multipleUnitUsage", "pDUSessionChargingInformation",
    "sMSChargingInformation", "iMSChargingInformation",
)  # fmt: skip
"""Members of a ChargingDataRequest that a release or dialect may leave out; the invocation's stamp and number always stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What a release of TS 32.291 differs in: the API's version, and members and node functionalities it does not have."""

    version: str
    absent: tuple[str, ...] = ()
    substitutes: Mapping[str, str] = field(default_factory=dict)


RELEASES: Final = {
    "rel15": Release(
        version="v2",
        absent=("retransmissionIndicator", "supportedFeatures", "tenantIdentifier", "iMSChargingInformation"),
        substitutes={"PGW_C_SMF": "SMF"},
    ),
    "rel16": Release(version="v3", absent=("iMSChargingInformation",)),
    "rel17": Release(version="v3"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageForm:
    """How messages differ from the book.

    `subscriber` is the subscriberIdentifier, `node_functionality` what all network functions call themselves ("": what they
    are), `leave_out` paths of members such as `nfConsumerIdentification.nFName`, `add` members that are added, whose texts
    may hold PLACEHOLDERS; `absent` members and `substitutes` for node functionalities are those of the `Release`. Without
    `full_containers` a container holds its number and its units only. `create_containers`: a Create reports containers of 0
    units; `request_zero`: who asks for nothing asks for 0 units.
    """

    subscriber: str = "imsi-{imsi}"
    node_functionality: str = ""
    tenant: str = ""
    leave_out: tuple[str, ...] = ()
    add: Mapping[str, Any] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    substitutes: Mapping[str, str] = field(default_factory=dict)
    full_containers: bool = True
    create_containers: bool = False
    request_zero: bool = False

    def functionality(self, own: str) -> str:
        """What a network function calls itself that is `own`."""
        named = self.node_functionality or own
        return self.substitutes.get(named, named)

    @property
    def marks_repeats(self) -> bool:
        """Whether a repeat says so (retransmissionIndicator)."""
        return "retransmissionIndicator" not in (*self.leave_out, *self.absent)

    def of(self, document: Document, constants: Mapping[str, str], forms: Mapping[str, bytes]) -> Document:
        """The document as this form has it."""
        for path in self.leave_out:
            document = without(document, path.split("."))
        document = merged(document, filled(self.add, constants, forms))
        for member in self.absent:
            document = without(document, [member])
        return document


BOOK: Final = MessageForm()
"""Release 17 as TS 32.291 has it."""
