"""A small SMF for tests: writes requests, and reads like a trace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from simulator.config import RatingPlan
from simulator.sandbox import Chf, Reply

COLLECTION = b"/nchf-convergedcharging/v3/chargingdata"
HEADERS = [
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":authority", b"chf.example:8080"),
    (b"content-type", b"application/json"),
]
SUBSCRIBER = "imsi-001010000000001"
SECOND = 1_000_000_000
KB = 1000


def plan(
    rating_groups: Mapping[int, Mapping[str, Any]] | None = None,
    *,
    data: int = 100 * KB,
    sms: int = 3,
    voice: int = 600,
    money: int = 1000,
    unknown_subscriber: str = "provision",
    session_expiry: float = 7200,
) -> RatingPlan:
    """100 voice, 200 SMS, 300 and 301 data, 310 zero-rated, 400 money at 3 cents for 2 units; small balances."""
    groups: dict[int, dict[str, Any]] = {
        100: {"unit": "time", "counter": "voice", "grant": 60, "max_grant": 600, "threshold": 0.1, "validity": 300},
        200: {"unit": "serviceSpecificUnits", "counter": "sms", "grant": 1, "max_grant": 100},
        300: {"unit": "totalVolume", "counter": "data", "grant": 10 * KB, "max_grant": 50 * KB, "threshold": 0.1,
              "validity": 1800, "holding_time": 600},
        301: {"unit": "totalVolume", "counter": "data", "grant": 10 * KB, "rounding": KB},
        310: {"unit": "totalVolume", "zero_rated": True, "grant": 10 * KB},
        400: {"unit": "serviceSpecificUnits", "counter": "money", "grant": 10, "max_grant": 100, "price": 3, "per": 2},
    }  # fmt: skip
    return RatingPlan.model_validate(
        {
            "rating_groups": groups if rating_groups is None else rating_groups,
            "balances": {"data": data, "sms": sms, "voice": voice, "money": money},
            "unknown_subscriber": unknown_subscriber,
            "session_expiry": session_expiry,
        }
    )


def ask(rating_group: int, **units: int) -> dict[str, Any]:
    """A rating group asks for quota; without units the charging function chooses."""
    return {"ratingGroup": rating_group, "requestedUnit": units}


def used(
    rating_group: int, *, then_ask: bool = False, trigger: str = "QUOTA_THRESHOLD", **units: int
) -> dict[str, Any]:
    """A rating group reports usage."""
    container = {
        "localSequenceNumber": 1,
        "triggers": [{"triggerType": trigger, "triggerCategory": "IMMEDIATE_REPORT"}],
        **units,
    }
    usage = {"ratingGroup": rating_group, "usedUnitContainer": [container]}
    return usage | {"requestedUnit": {}} if then_ask else usage


def message(sequence: int, usages: list[dict[str, Any]], subscriber: str = SUBSCRIBER, **fields: Any) -> dict[str, Any]:
    """A ChargingDataRequest."""
    return {
        "subscriberIdentifier": subscriber,
        "nfConsumerIdentification": {
            "nFName": "6f1c6b3e-2f7a-4c39-9d3b-0d8c1a2b3c4d",
            "nodeFunctionality": "SMF",
        },
        "invocationTimeStamp": "2026-11-22T10:00:00Z",
        "invocationSequenceNumber": sequence,
        "multipleUnitUsage": usages,
        **fields,
    }


@dataclass
class Said:
    """What the charging function answered."""

    reply: Reply

    @property
    def status(self) -> int:
        return self.reply.status

    @property
    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = orjson.loads(self.reply.body)
        return document

    @property
    def cause(self) -> str | None:
        assert self.reply.header(b"content-type") == b"application/problem+json"
        cause: str | None = self.json.get("cause")
        return cause

    def invalid(self) -> list[str]:
        return [each["param"] for each in self.json["invalidParams"]]

    def information(self, rating_group: int) -> dict[str, Any]:
        (entry,) = [each for each in self.json["multipleUnitInformation"] if each["ratingGroup"] == rating_group]
        return entry

    def granted(self, rating_group: int) -> int:
        (units,) = self.information(rating_group)["grantedUnit"].values()
        assert isinstance(units, int)
        return units

    def is_final(self, rating_group: int) -> bool:
        return "finalUnitIndication" in self.information(rating_group)


class Smf:
    """Sends to one charging function, with a clock that the test moves."""

    def __init__(self, chf: Chf) -> None:
        self.chf = chf
        self.now = 1_000 * SECOND

    def send(self, path: bytes, document: object, method: bytes = b"POST") -> Said:
        return Said(self.chf.handle(method, path, HEADERS, orjson.dumps(document), self.now))

    def create(
        self, *usages: dict[str, Any], charging_id: int = 1, subscriber: str = SUBSCRIBER, **fields: Any
    ) -> Said:
        pdu = {"pDUSessionChargingInformation": {"chargingId": charging_id}}
        return self.send(COLLECTION, message(0, list(usages), subscriber, **pdu | fields))

    def open(self, *usages: dict[str, Any], charging_id: int = 1, subscriber: str = SUBSCRIBER) -> bytes:
        """A Create that must succeed: the path of the session."""
        said = self.create(*usages, charging_id=charging_id, subscriber=subscriber)
        assert said.status == 201
        return said.reply.header(b"location") or b""

    def update(self, session: bytes, sequence: int, *usages: dict[str, Any], **fields: Any) -> Said:
        return self.send(session + b"/update", message(sequence, list(usages), **fields))

    def release(self, session: bytes, sequence: int, *usages: dict[str, Any], **fields: Any) -> Said:
        return self.send(session + b"/release", message(sequence, list(usages), **fields))

    def event(self, kind: str, usage: dict[str, Any], reference: str = "01", **fields: Any) -> Said:
        document = message(
            0,
            [usage],
            oneTimeEvent=True,
            oneTimeEventType=kind,
            sMSChargingInformation={"messageReference": reference},
            **fields,
        )
        return self.send(COLLECTION, document)

    def balance(self, counter: str, subscriber: str = SUBSCRIBER) -> tuple[int, int, int]:
        """Available, reserved, used."""
        account = self.chf.accounts.get(subscriber)
        assert account is not None
        balance = account.balance(counter)
        assert balance.total == balance.available + balance.reserved + balance.used
        return balance.available, balance.reserved, balance.used
