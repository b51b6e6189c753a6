"""What the messages of each service say besides who asks and for how many units (TS 32.291 6.1.6.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple, Protocol

from simulator.n40.conditions import AMBRS, SERVING_NODE_OF, TIME_ZONES, USUAL, VISITED_PLMNS, Conditions, five_qi
from simulator.n40.identities import NetworkFunctionIdentity
from simulator.n40.request import Operation
from simulator.n40.template import Document, Member, Slot, literal

ARP: Final = {"priorityLevel": 8, "preemptCap": "NOT_PREEMPT", "preemptVuln": "PREEMPTABLE"}
IMS_FEATURES: Final = "200"
"""Supported features of TS 32.291 6.1.8: IMS."""

CHARGING_ID: Final = Slot(b"%d", ("charging_id",))
STAMP: Final = Slot(b'"%b"', ("stamp",))
STARTED: Final = Slot(b'"%b"', ("started",))
TAC: Final = Slot(b'"%b"', ("tac",))
CELL: Final = Slot(b'"%b"', ("cell",))
MSISDN: Final = Slot(b'"msisdn-%d"', ("msisdn",))
PEER: Final = Slot(b'"msisdn-%d"', ("peer",))
IMEISV: Final = Slot(b'"imeisv-%016d"', ("imeisv",))


class Container(NamedTuple):
    """What a container says about the conditions in which it was filled, and the 5QI of the default bearer in them."""

    document: Document
    five_qi: int


class Service(Protocol):
    """One service at one network function. `identifier` is the way to what the CHF takes as the name of a charging session."""

    identifier: ClassVar[tuple[str, str]]

    @property
    def function(self) -> NetworkFunctionIdentity:
        """Who sends."""

    @property
    def rat(self) -> str:
        """The radio that usually serves, NR or EUTRA."""

    def document(self, operation: Operation, conditions: Conditions) -> Document:
        """Members of a message after those that all messages begin with."""

    def container(self, conditions: Conditions) -> Container | None:
        """What containers say besides their units; None: nothing."""

    def name(self, charging_id: int) -> str:
        """The identifier of a charging session, as the CHF reads it."""


def location(rat: str, plmn: dict[str, str]) -> Document:
    """UserLocation of TS 29.571, of either radio."""
    tai = {"plmnId": plmn, "tac": TAC}
    if rat == "EUTRA":
        return {"eutraLocation": {"tai": tai, "ecgi": {"plmnId": plmn, "eutraCellId": CELL}}}
    return {"nrLocation": {"tai": tai, "ncgi": {"plmnId": plmn, "nrCellId": CELL}}}


def visited(function: NetworkFunctionIdentity, conditions: Conditions) -> dict[str, str]:
    """The network that serves the subscriber."""
    return VISITED_PLMNS[conditions.plmn] or function.plmn


def address_of_session(notify_uri: str) -> Slot:
    """Where the CHF notifies one charging session."""
    return Slot(literal(notify_uri)[:-1] + b'/%d"', ("charging_id",))


def _session(operation: Operation, notify_uri: str, features: str) -> Document:
    """What sessions of every service have: notifyUri in Create and Update, triggers in Update and Release."""
    document: Document = {}
    if operation is not Operation.RELEASE:
        document["notifyUri"] = address_of_session(notify_uri)
    if operation is Operation.CREATE:
        if features:
            document["supportedFeatures"] = features
    else:
        document["triggers"] = Member("triggers")
    return document | {"multipleUnitUsage": Member("units")}


@dataclass(frozen=True, slots=True, kw_only=True)
class PduSession:
    """A PDU session of a usage. `rat` is NR or EUTRA; `slice_id` S-NSSAI as {"sst": 1, "sd": "000001"}."""

    identifier: ClassVar[tuple[str, str]] = ("pDUSessionChargingInformation", "chargingId")

    function: NetworkFunctionIdentity
    dnn: str
    rat: str
    slice_id: dict[str, Any]
    pdu_session_id: int
    five_qi: int
    serving_node: NetworkFunctionIdentity
    notify_uri: str
    features: str = ""

    def document(self, operation: Operation, conditions: Conditions) -> Document:
        """pDUSessionChargingInformation and what goes before it."""
        session = self._information(conditions)
        if operation is not Operation.UPDATE:
            session["startTime"] = STARTED
        if operation is Operation.RELEASE:
            session["stopTime"] = STAMP
        user = {"servedGPSI": MSISDN, "servedPEI": IMEISV, "unauthenticatedFlag": False}
        information = {
            "chargingId": CHARGING_ID,
            "userInformation": user,
            "userLocationinfo": location(conditions.rat or self.rat, visited(self.function, conditions)),
            "uetimeZone": TIME_ZONES[conditions.time_zone],
            "pduSessionInformation": session,
        }
        return _session(operation, self.notify_uri, self.features) | {"pDUSessionChargingInformation": information}

    def _information(self, conditions: Conditions) -> Document:
        serving = self._serving_node(conditions)
        return {
            "networkSlicingInfo": {"sNSSAI": self.slice_id},
            "pduSessionID": self.pdu_session_id,
            "pduType": "IPV4V6",
            "sscMode": "SSC_MODE_1",
            "hPlmnId": self.function.plmn,
            "ratType": conditions.rat or self.rat,
            "dnnId": self.dnn,
            "dnnSelectionMode": "VERIFIED",
            "chargingCharacteristics": "0800",
            "chargingCharacteristicsSelectionMode": "HOME_DEFAULT",
            "authorizedQoSInformation": {"5qi": five_qi(self.five_qi, conditions.qos), "arp": ARP},
            "authorizedSessionAMBR": AMBRS[conditions.ambr],
            "servingNetworkFunctionID": {
                "servingNetworkFunctionInformation": {
                    "nFPLMNID": serving.plmn,
                    "nodeFunctionality": serving.node_functionality,
                    "nFName": serving.instance_id,
                }
            },
            "servingCNPlmnId": serving.plmn,
            "pduAddress": {
                "pduIPv4Address": Slot(b'"10.%d.%d.%d"', ("ip1", "ip2", "ip3")),
                "pduIPv6AddresswithPrefix": Slot(b'"2001:db8::%x"', ("ip6",)),
                "pduAddressprefixlength": 64,
                "iPv4dynamicAddressFlag": True,
            },
        }

    def _serving_node(self, conditions: Conditions) -> NetworkFunctionIdentity:
        rat = conditions.rat or self.rat
        if (rat, conditions.serving_node, conditions.plmn) == (self.rat, 0, 0):
            return self.serving_node
        name = f"{rat}/{conditions.serving_node}/{conditions.plmn}"
        plmn = VISITED_PLMNS[conditions.plmn] or self.serving_node.plmn
        return self.serving_node.sibling(name, SERVING_NODE_OF[rat], plmn)

    def container(self, conditions: Conditions) -> Container | None:
        """pDUContainerInformation: use, place and QoS of a container."""
        rat = conditions.rat or self.rat
        information: Document = {
            "timeofFirstUsage": Slot(b'"%b"', ("first",)),
            "timeofLastUsage": Slot(b'"%b"', ("last",)),
            "rATType": rat,
            "userLocationInformation": location(rat, visited(self.function, conditions)),
            "qoSInformation": {"qosId": "1", "5qi": Slot(b"%d", ("five_qi",)), "arp": ARP},
        }
        if conditions != USUAL:
            information["uetimeZone"] = TIME_ZONES[conditions.time_zone]
        return Container(information, five_qi(self.five_qi, conditions.qos))

    def name(self, charging_id: int) -> str:
        """The chargingId."""
        return str(charging_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImsCall:
    """A call at an application server of the IMS (TS 32.260 by way of TS 32.291, from Rel-17)."""

    identifier: ClassVar[tuple[str, str]] = ("iMSChargingInformation", "userSessionID")

    function: NetworkFunctionIdentity
    rat: str
    notify_uri: str

    @property
    def domain(self) -> str:
        """The IMS's home domain (TS 23.003 13.2)."""
        return f"ims.mnc{self.function.mnc:0>3}.mcc{self.function.mcc}.3gppnetwork.org"

    def document(self, operation: Operation, conditions: Conditions) -> Document:
        """iMSChargingInformation and what goes before it."""
        called = Slot(b'"tel:+%d"', ("peer",))
        domain = self.domain.encode()
        information = {
            "eventType": {"sIPMethod": "BYE" if operation is Operation.RELEASE else "INVITE"},
            "iMSNodeFunctionality": "AS",
            "roleOfNode": "ORIGINATING",
            "userSessionID": Slot(b'"%08x@' + domain + b'"', ("charging_id",)),
            "callingPartyAddresses": [
                Slot(b'"sip:+%d@' + domain + b'"', ("msisdn",)),
                Slot(b'"tel:+%d"', ("msisdn",)),
            ],
            "calledPartyAddress": called,
            "requestedPartyAddress": [called],
            "timeStamps": STARTED,
            "imsChargingIdentifier": Slot(b'"icid-%016x"', ("charging_id",)),
            "interOperatorIdentifier": [{"originatingIOI": self.domain}],
            "imsServiceId": "urn:urn-7:3gpp-service.ims.icsi.mmtel",
            "userLocationInfo": location(conditions.rat or self.rat, visited(self.function, conditions)),
            "ueTimeZone": TIME_ZONES[conditions.time_zone],
        }
        return _session(operation, self.notify_uri, IMS_FEATURES) | {"iMSChargingInformation": information}

    def container(self, conditions: Conditions) -> Container | None:  # noqa: ARG002
        """Nothing: containers of a call hold its seconds only."""
        return None

    def name(self, charging_id: int) -> str:
        """The userSessionID."""
        return f"{charging_id:08x}@{self.domain}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortMessage:
    """Short messages of an SMSF (TS 32.274 by way of TS 32.290). `event_type` is IEC or PEC, "" for a session around each."""

    identifier: ClassVar[tuple[str, str]] = ("sMSChargingInformation", "messageReference")

    function: NetworkFunctionIdentity
    rat: str
    service_centre: str
    event_type: str = ""
    notify_uri: str = ""
    imsi_digits: int = 15

    def document(self, operation: Operation, conditions: Conditions) -> Document:
        """sMSChargingInformation and what goes before it; PEER is who receives the message."""
        if operation is Operation.EVENT:
            before = {
                "oneTimeEvent": True,
                "oneTimeEventType": self.event_type,
                "multipleUnitUsage": Member("units"),
            }
        else:
            before = _session(operation, self.notify_uri, "")
        supi = Slot(b'"imsi-%%0%dd"' % self.imsi_digits, ("imsi",))
        information = {
            "originatorInfo": {"originatorSUPI": supi, "originatorGPSI": MSISDN},
            "recipientInfo": [{"recipientGPSI": PEER}],
            "userEquipmentInfo": IMEISV,
            "userLocationinfo": location(conditions.rat or self.rat, visited(self.function, conditions)),
            "uetimeZone": TIME_ZONES[conditions.time_zone],
            "rATType": conditions.rat or self.rat,
            "sMSCAddress": self.service_centre,
            "sMMessageType": "SUBMISSION",
            "submissionTime": STARTED,
            "messageReference": Slot(b'"%d"', ("charging_id",)),
        }
        if operation is Operation.EVENT:
            information["numberofMessagesSent"] = Slot(b"%d", ("messages",))
        return before | {"sMSChargingInformation": information}

    def container(self, conditions: Conditions) -> Container | None:  # noqa: ARG002
        """Nothing: a container of a short message holds its number only."""
        return None

    def name(self, charging_id: int) -> str:
        """The messageReference."""
        return str(charging_id)
