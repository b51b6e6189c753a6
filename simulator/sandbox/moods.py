"""How a charging function charges when it does not do so by the book: partial grants, result codes, final units, repeats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import orjson

from simulator.config import Fault
from simulator.config.faults import FinalUnit
from simulator.sandbox.rating import Quota

MOOD_KINDS: Final = frozenset({"grant", "result_code", "final_unit", "charge_repeats"})
"""The kinds of fault that a mood is made of."""
_THRESHOLDS: Final = ("timeQuotaThreshold", "volumeQuotaThreshold", "unitQuotaThreshold")


class Mood:
    """What the faults that struck one request make of its charging. The first fault for a rating group has the word.

    `counts` counts what really came of it.
    """

    def __init__(self, faults: Sequence[Fault], counts: Counter[str]) -> None:
        self._faults = faults
        self._counts = counts
        self._charges_repeats = any(fault.charge_repeats is not None for fault in faults)

    def charges_again(self) -> bool:
        """Whether a repeat is charged once more; asked only where there is one."""
        self._counts["charge_repeats"] += self._charges_repeats
        return self._charges_repeats

    def grant(self, quota: Quota, wanted: int) -> bytes:
        """In place of `Quota.grant`."""
        refusal = self._refusal(quota)
        if refusal is not None:
            quota.give_back()
            return refusal
        entry = quota.grant(self._reduced(quota, wanted))
        final = self._of(quota, "final_unit")
        if final is None or b'"grantedUnit"' not in entry:
            return entry
        self._counts["final_unit"] += 1
        return _final(entry, final.final_unit)

    def buy(self, quota: Quota, wanted: int) -> bytes | None:
        """In place of `Quota.buy`."""
        return self._refusal(quota) or quota.buy(self._reduced(quota, wanted))

    def _refusal(self, quota: Quota) -> bytes | None:
        fault = self._of(quota, "result_code")
        if fault is None or fault.result_code is None:
            return None
        self._counts["result_code"] += 1
        # The other way round than a want of credit is written, which would refuse the whole Create.
        return b'{"resultCode":"%b","ratingGroup":%d}' % (fault.result_code.encode(), quota.number)

    def _reduced(self, quota: Quota, wanted: int) -> int:
        fault = self._of(quota, "grant")
        if fault is None or fault.grant is None:
            return wanted
        self._counts["grant"] += 1
        return max(1, int(min(wanted or quota.group.grant, quota.group.max_grant) * fault.grant))

    def _of(self, quota: Quota, kind: str) -> Fault | None:
        for fault in self._faults:
            if fault.kind == kind and (fault.rating_groups is None or quota.number in fault.rating_groups):
                return fault
        return None


def _final(entry: bytes, final: FinalUnit | None) -> bytes:
    """The entry of `multipleUnitInformation`, marked as the last one (TS 32.291 6.1.6.2.1.11); no threshold is left then."""
    assert final is not None
    information: dict[str, Any] = orjson.loads(entry)
    for name in _THRESHOLDS:
        information.pop(name, None)
    indication: dict[str, Any] = {"finalUnitAction": final.action}
    if final.action == "REDIRECT":
        indication["redirectServer"] = {
            "redirectAddressType": "URL",
            "redirectServerAddress": final.redirect_to,
        }
    elif final.action == "RESTRICT_ACCESS":
        indication["filterId"] = final.filter_id
    return orjson.dumps(information | {"finalUnitIndication": indication})
