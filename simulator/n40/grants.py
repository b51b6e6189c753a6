"""What a successful answer grants, decoded with its types (TS 32.291 6.1.6.2.1.2 and 6.1.6.2.1.8).

Apart from `answers`, because structures of msgspec are not to be compiled: they are C already.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

OFFLINE_CODES: Final = frozenset({"QUOTA_MANAGEMENT_NOT_APPLICABLE"})

Seconds = Annotated[int, msgspec.Meta(ge=0)] | None
Units = Annotated[int, msgspec.Meta(ge=0)] | None


class GrantedUnit(msgspec.Struct, frozen=True, gc=False):
    """GrantedUnit of TS 32.291 6.1.6.2.1.13, in the units that a session can use."""

    time: Units = None
    totalVolume: Units = None  # noqa: N815 - the members' own names
    serviceSpecificUnits: Units = None  # noqa: N815


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
    def final(self) -> bool:
        """Whether the grant is the last one."""
        indication = self.finalUnitIndication
        return indication is not None and bool(indication.finalUnitAction)


class ResultError(msgspec.Struct, frozen=True, gc=False):
    """ProblemDetails inside an answer of success."""

    cause: str | None = None
    detail: str | None = None
    title: str | None = None


class InvocationResult(msgspec.Struct, frozen=True, gc=False):
    """The result for the whole session (TS 32.291 6.1.6.2.1.3); without an error it is a success."""

    error: ResultError | None = None


class Success(msgspec.Struct, frozen=True, gc=False):
    """ChargingDataResponse, as far as a session looks at it."""

    invocationResult: InvocationResult | None = None  # noqa: N815
    multipleUnitInformation: list[GroupAnswer] | None = None  # noqa: N815


decode_success: Final = msgspec.json.Decoder(Success).decode
"""Raises msgspec.DecodeError, and UnicodeDecodeError for a body that is not UTF-8."""
