"""What a successful answer grants, decoded with its types (TS 32.291 6.1.6.2.1.2 and 6.1.6.2.1.8).

Apart from `answers`, because structures of msgspec are not to be compiled: they are C already.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

OFFLINE_CODES: Final = frozenset({"QUOTA_MANAGEMENT_NOT_APPLICABLE"})

Seconds = Annotated[int, msgspec.Meta(ge=0)] | None
Units = Annotated[int, msgspec.Meta(ge=0)] | None


class TriggerAnswer(msgspec.Struct, frozen=True, gc=False):
    """Trigger of TS 32.291 6.1.6.2.1.6, as a CHF arms it."""

    triggerType: str | None = None  # noqa: N815 - the members' own names
    triggerCategory: str | None = None  # noqa: N815
    timeLimit: Seconds = None  # noqa: N815
    volumeLimit: Units = None  # noqa: N815
    volumeLimit64: Units = None  # noqa: N815
    eventLimit: Units = None  # noqa: N815
    maxNumberOfccc: Units = None  # noqa: N815

    @property
    def limit(self) -> int | None:
        """The limit that goes with its type; None where it has none."""
        match self.triggerType:
            case "TIME_LIMIT":
                return self.timeLimit
            case "VOLUME_LIMIT":
                return self.volumeLimit if self.volumeLimit64 is None else self.volumeLimit64
            case "EVENT_LIMIT":
                return self.eventLimit
            case "MAX_NUMBER_OF_CHANGES_IN_CHARGING_CONDITIONS":
                return self.maxNumberOfccc
            case _:
                return None


class GrantedUnit(msgspec.Struct, frozen=True, gc=False):
    """GrantedUnit of TS 32.291 6.1.6.2.1.13, in the units that a session can use."""

    time: Units = None
    totalVolume: Units = None  # noqa: N815
    serviceSpecificUnits: Units = None  # noqa: N815
    tariffTimeChange: str | None = None  # noqa: N815

    @property
    def is_something(self) -> bool:
        """Whether it grants any units; some CHFs grant 0 to who asks for nothing."""
        return bool(self.time or self.totalVolume or self.serviceSpecificUnits)


class FinalUnitIndication(msgspec.Struct, frozen=True, gc=False):
    """Some CHFs always send it, with an empty action, which says nothing."""

    finalUnitAction: str | None = None  # noqa: N815


class GroupAnswer(msgspec.Struct, frozen=True, gc=False):
    """multipleUnitInformation for one rating group (TS 32.291 6.1.6.2.1.8). Null members count as absent."""

    ratingGroup: int  # noqa: N815
    resultCode: str | None = None  # noqa: N815
    grantedUnit: GrantedUnit | None = None  # noqa: N815
    validityTime: Seconds = None  # noqa: N815
    quotaHoldingTime: Seconds = None  # noqa: N815
    volumeQuotaThreshold: Units = None  # noqa: N815
    timeQuotaThreshold: Units = None  # noqa: N815
    unitQuotaThreshold: Units = None  # noqa: N815
    finalUnitIndication: FinalUnitIndication | None = None  # noqa: N815
    triggers: list[TriggerAnswer] | None = None

    @property
    def code(self) -> str:
        """The result code; none means SUCCESS."""
        return self.resultCode or "SUCCESS"

    @property
    def offline(self) -> bool:
        """Whether this group is to be counted without quota."""
        return self.resultCode in OFFLINE_CODES

    @property
    def refused(self) -> bool:
        """Whether the CHF denies service to this group."""
        return self.code != "SUCCESS" and not self.offline

    @property
    def final(self) -> str:
        """What happens when this last grant is used up (TERMINATE, REDIRECT, RESTRICT_ACCESS); "": it is not the last."""
        indication = self.finalUnitIndication
        return "" if indication is None else indication.finalUnitAction or ""


class ResultError(msgspec.Struct, frozen=True, gc=False):
    """ProblemDetails inside an answer of success."""

    cause: str | None = None
    detail: str | None = None
    title: str | None = None


class InvocationResult(msgspec.Struct, frozen=True, gc=False):
    """The result for the whole session (TS 32.291 6.1.6.2.1.3); without an error it is a success."""

    error: ResultError | None = None
    failureHandling: str | None = None  # noqa: N815


class PduSessionAnswer(msgspec.Struct, frozen=True, gc=False):
    """pDUSessionChargingInformation, as a CHF sends it back."""

    unitCountInactivityTimer: Seconds = None  # noqa: N815


class Success(msgspec.Struct, frozen=True, gc=False):
    """ChargingDataResponse, as far as a session looks at it."""

    invocationSequenceNumber: Any = None  # noqa: N815 - whatever it is: a wrong one is noted, not refused
    invocationResult: InvocationResult | None = None  # noqa: N815
    sessionFailover: str | None = None  # noqa: N815
    multipleUnitInformation: list[GroupAnswer] | None = None  # noqa: N815
    triggers: list[TriggerAnswer] | None = None
    pDUSessionChargingInformation: PduSessionAnswer | None = None  # noqa: N815


decode_success: Final = msgspec.json.Decoder(Success).decode
"""Raises msgspec.DecodeError, and UnicodeDecodeError for a body that is not UTF-8."""
