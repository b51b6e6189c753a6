"""Who speaks in a message: network functions, and subscribers as messages take them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Final, Protocol

from simulator.n40.template import Document

Identity = tuple[Any, ...]
"""A subscriber: IMSI, MSISDN, IMEISV, TAC and cell (hexadecimal digits), the last three octets of its IPv4 address, the end of
its IPv6 address; where messages need them, then its device id and the MSISDN of whom it calls."""

IDENTITY: Final = ("imsi", "msisdn", "imeisv", "tac", "cell", "ip1", "ip2", "ip3", "ip6", "device", "peer")


class Identify(Protocol):
    """Turns a subscriber's number into its identity, where it is after so many moves."""

    def __call__(self, number: int, step: int = 0, /) -> Identity:
        """Return the identity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFunctionIdentity:
    """nfConsumerIdentification: who sends (TS 32.291 6.1.6.2.1.4). `node_functionality` is SMF, PGW_C_SMF, SMSF, ..."""

    instance_id: str
    node_functionality: str
    mcc: str
    mnc: str
    address: str = ""
    fqdn: str = ""

    @property
    def plmn(self) -> dict[str, str]:
        """PlmnId of TS 29.571."""
        return {"mcc": self.mcc, "mnc": self.mnc}

    def document(self) -> Document:
        """The JSON object."""
        fields: Document = {"nFName": self.instance_id}
        if self.address:
            fields["nFIPv4Address"] = self.address
        if self.fqdn:
            fields["nFFqdn"] = self.fqdn
        return fields | {"nFPLMNID": self.plmn, "nodeFunctionality": self.node_functionality}

    def sibling(self, name: str, node_functionality: str, plmn: dict[str, str]) -> NetworkFunctionIdentity:
        """Another network function, always the same one of that name."""
        instance_id = str(uuid.uuid5(uuid.UUID(self.instance_id), name))
        return NetworkFunctionIdentity(instance_id=instance_id, node_functionality=node_functionality, **plmn)
