"""The messages of the cases: ChargingDataRequests as dictionaries, so that a case can spoil one member of them."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime
from typing import Any

from simulator.check.settings import CheckSettings

Json = dict[str, Any]

SMF_NAME = "3f0c9a52-7d4b-4f8e-9b61-5a2c8e7d1f30"
SMSF_NAME = "3f0c9a52-7d4b-4f8e-9b61-5a2c8e7d1f31"
IMS_NAME = "3f0c9a52-7d4b-4f8e-9b61-5a2c8e7d1f32"
MB = 1_000_000


def ask(group: int, **units: int) -> Json:
    """A rating group asks for units; without an amount the CHF chooses."""
    return {"ratingGroup": group, "requestedUnit": units}


def used(
    group: int, number: int = 1, *, trigger: str = "QUOTA_THRESHOLD", then: Json | None = None, **units: int
) -> Json:
    """A rating group reports units in one container, and asks for more if `then` says for what."""
    usage: Json = {"ratingGroup": group, "usedUnitContainer": [container(number, trigger=trigger) | units]}
    return usage if then is None else usage | {"requestedUnit": then}


def container(
    number: int, *, trigger: str = "QUOTA_THRESHOLD", category: str = "IMMEDIATE_REPORT", **units: int
) -> Json:
    """A used unit container."""
    return {
        "localSequenceNumber": number,
        "quotaManagementIndicator": "ONLINE_CHARGING",
        "triggers": [{"triggerType": trigger, "triggerCategory": category}],
        "triggerTimestamp": date_time(),
        **units,
    }


def date_time() -> str:
    """Now, as a CTF stamps it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Messages:
    """Builds messages. No two Creates of one check, or of two, are alike: each has a charging identifier of its own."""

    def __init__(self, settings: CheckSettings) -> None:
        self._settings = settings
        self._numbers = itertools.count(time.time_ns() // 1_000_000 % 2_000_000_000)
        self._plmn = {"mcc": settings.mcc, "mnc": settings.mnc}

    def number(self) -> int:
        """A number that was not used before."""
        return next(self._numbers)

    def request(self, sequence: int, usages: list[Json] | None, **members: Any) -> Json:
        """What every ChargingDataRequest has; `usages` None leaves multipleUnitUsage out."""
        message: Json = {
            "subscriberIdentifier": self._settings.subscriber,
            "nfConsumerIdentification": {"nFName": SMF_NAME, "nFPLMNID": self._plmn, "nodeFunctionality": "SMF"},
            "invocationTimeStamp": date_time(),
            "invocationSequenceNumber": sequence,
        }
        if usages is not None:
            message["multipleUnitUsage"] = usages
        return message | members

    def minimal_session(self) -> Json:
        """The least that describes a PDU session."""
        session = {
            "pduSessionID": 5,
            "dnnId": "internet",
            "networkSlicingInfo": {"sNSSAI": {"sst": 1}},
            "pduType": "IPV4",
            "ratType": "NR",
        }
        return {"chargingId": self.number(), "pduSessionInformation": session}

    def full_session(self, rat: str = "NR") -> Json:
        """A PDU session with all that an SMF usually tells."""
        serving = {
            "servingNetworkFunctionInformation": {"nFPLMNID": self._plmn, "nodeFunctionality": "AMF"},
            "aMFId": "020040",
        }
        if rat == "EUTRA":
            serving = {
                "servingNetworkFunctionInformation": {
                    "nFIPv4Address": "192.0.2.9",
                    "nFPLMNID": self._plmn,
                    "nodeFunctionality": "SGW",
                }
            }
        session = {
            "networkSlicingInfo": {"sNSSAI": {"sst": 1, "sd": "000001"}},
            "pduSessionID": 5,
            "pduType": "IPV4V6",
            "sscMode": "SSC_MODE_1",
            "hPlmnId": self._plmn,
            "ratType": rat,
            "dnnId": "internet",
            "dnnSelectionMode": "VERIFIED",
            "chargingCharacteristics": "0800",
            "chargingCharacteristicsSelectionMode": "HOME_DEFAULT",
            "pduAddress": {"pduIPv4Address": "192.0.2.77", "iPv4dynamicAddressFlag": True},
            "authorizedQoSInformation": {"5qi": 9, "arp": _ARP},
            "authorizedSessionAMBR": {"uplink": "100 Mbps", "downlink": "1 Gbps"},
            "servingNetworkFunctionID": serving,
            "servingCNPlmnId": self._plmn,
            "startTime": date_time(),
        }
        return {
            "chargingId": self.number(),
            "userInformation": {
                "servedGPSI": "msisdn-15550100001",
                "servedPEI": "imeisv-3500000000000010",
                "unauthenticatedFlag": False,
            },
            "userLocationinfo": self.location(rat),
            "uetimeZone": "+00:00",
            "pduSessionInformation": session,
        }

    def location(self, rat: str = "NR") -> Json:
        """Where the device is."""
        if rat == "EUTRA":
            tai = {"plmnId": self._plmn, "tac": "2693"}
            return {"eutraLocation": {"tai": tai, "ecgi": {"plmnId": self._plmn, "eutraCellId": "be4e9c1"}}}
        tai = {"plmnId": self._plmn, "tac": "000001"}
        return {"nrLocation": {"tai": tai, "ncgi": {"plmnId": self._plmn, "nrCellId": "000000010"}}}

    def create(self, *usages: Json, **members: Any) -> Json:
        """The first message of a data session, as small as it may be."""
        session = {"pDUSessionChargingInformation": self.minimal_session()}
        return self.request(0, list(usages), **session | members)

    def ims(self, method: str = "INVITE") -> Json:
        """The members of a call that an IMS node charges."""
        return {
            "nfConsumerIdentification": {"nFName": IMS_NAME, "nodeFunctionality": "IMS_Node"},
            "iMSChargingInformation": {
                "eventType": {"sIPMethod": method},
                "iMSNodeFunctionality": "AS",
                "roleOfNode": "ORIGINATING",
                "userSessionID": f"{self.number()}@as.example.net",
                "callingPartyAddresses": ["tel:+15550100001"],
                "calledPartyAddress": "tel:+15550100002",
            },
            "supportedFeatures": "200",
        }

    def sms(self) -> Json:
        """The members of a short message that an SMSF charges."""
        return {
            "nfConsumerIdentification": {"nFName": SMSF_NAME, "nodeFunctionality": "SMSF"},
            "sMSChargingInformation": {
                "originatorInfo": {"originatorSUPI": self._settings.subscriber, "originatorGPSI": "msisdn-15550100001"},
                "recipientInfo": [{"recipientGPSI": "msisdn-15550100002"}],
                "sMMessageType": "SUBMISSION",
                "numberofMessagesSent": 1,
                "messageReference": f"{self.number():x}",
            },
        }

    def event(self, kind: str, usage: Json, **members: Any) -> Json:
        """A short message as a one-time event: IEC (debited at once) or PEC (after delivery)."""
        return self.request(0, [usage], oneTimeEvent=True, oneTimeEventType=kind, **self.sms() | members)


_ARP: Json = {"priorityLevel": 8, "preemptCap": "NOT_PREEMPT", "preemptVuln": "PREEMPTABLE"}
