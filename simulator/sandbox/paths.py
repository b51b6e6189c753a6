"""Where N40 is served, side by side: any API root, the versions of Rel-15 (v2) and later ones (v3), and the spelling of
the `totogi` dialect, `chargingData`, whose answers tell the bare reference and whose zeros mean zero. A collection of another
dialect is served where it is said to be.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from simulator.sandbox.answers import Problem

COLLECTION: Final = b"/nchf-convergedcharging/v3/chargingdata"
TOKENS: Final = b"/oauth2/token"
"""Where bearer tokens are given out, as at an NRF (TS 29.510 6.3)."""
MAX_ROOT: Final = 256
"""Octets of an API root."""
MAX_PLACES: Final = 64
"""Places other than the first that are remembered, so that all answers of one share its octets."""

_ITEMS: Final = COLLECTION + b"/"
_API: Final = b"/nchf-convergedcharging/"
_SPELLINGS: Final = (b"v3/chargingdata", b"v2/chargingdata", b"v3/chargingData")
_TOTOGI: Final = b"v3/chargingData"
_ACTIONS: Final = {b"update": "update", b"release": "release"}


class Place:
    """A collection of charging sessions: `items` is what stands before a reference."""

    __slots__ = ("is_totogi", "items")

    def __init__(self, items: bytes, is_totogi: bool) -> None:
        self.items = items
        self.is_totogi = is_totogi


class Paths:
    """Reads the paths of requests."""

    __slots__ = ("_first", "_others", "_places")

    def __init__(self, others: Iterable[bytes] = ()) -> None:
        """Also read collections of sessions at the paths `others`."""
        self._first = Place(_ITEMS, False)
        self._others = [Place(path + b"/", False) for path in others]
        self._places: dict[bytes, Place] = {}

    def route(self, method: bytes, path: bytes) -> tuple[str, bytes, Place]:
        """Operation, ChargingDataRef (empty for a Create) and place. Problem 404 or 405."""
        place = self._first
        if path == COLLECTION:
            operation, reference = "create", b""
        elif path.startswith(_ITEMS):
            operation, reference = _item(path[len(_ITEMS) :])
        else:
            operation, reference, place = self._elsewhere(path)
        if not operation:
            if b"?" in path:
                return self.route(method, path.partition(b"?")[0])
            detail = f"there is nothing at this path; sessions are created at {COLLECTION.decode()}"
            raise Problem(404, "RESOURCE_URI_STRUCTURE_NOT_FOUND", detail)
        if method != b"POST":
            raise Problem(405, None, "only POST is possible here", headers=[(b"allow", b"POST")])
        return operation, reference, place

    def _elsewhere(self, path: bytes) -> tuple[str, bytes, Place]:
        """Below another root, in another spelling, or in another dialect. No operation: there is nothing."""
        start = path.rfind(_API)
        if not 0 <= start <= MAX_ROOT or (start and not path.startswith(b"/")):
            return self._in_another_dialect(path)
        rest = path[start + len(_API) :]
        for spelling in _SPELLINGS:
            if rest == spelling:
                return "create", b"", self._place(path[:start], spelling)
            if rest.startswith(spelling + b"/"):
                operation, reference = _item(rest[len(spelling) + 1 :])
                return operation, reference, self._place(path[:start], spelling)
        return self._in_another_dialect(path)

    def _in_another_dialect(self, path: bytes) -> tuple[str, bytes, Place]:
        for place in self._others:
            if path + b"/" == place.items:
                return "create", b"", place
            if path.startswith(place.items):
                operation, reference = _item(path[len(place.items) :])
                return operation, reference, place
        return "", b"", self._first

    def _place(self, root: bytes, spelling: bytes) -> Place:
        items = root + _API + spelling + b"/"
        place = self._places.get(items)
        if place is None:
            place = Place(items, spelling == _TOTOGI)
            if len(self._places) < MAX_PLACES:
                self._places[items] = place
        return place


def _item(rest: bytes) -> tuple[str, bytes]:
    """Operation and reference of what follows the collection; no operation if there is nothing."""
    reference, _, action = rest.rpartition(b"/")
    if b"/" in reference or not reference:
        return "", b""
    return _ACTIONS.get(action, ""), reference
