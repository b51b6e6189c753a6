"""Subscribers, derived from their numbers: a million of them cost nothing until they have a session open."""

from __future__ import annotations

from simulator.config import Location, Subscribers
from simulator.n40.messages import Identity


class SubscriberBook:
    """Identities of subscribers 0 to count - 1 (IMSI, MSISDN, IMEISV, and where they are: tracking area and cell)."""

    __slots__ = ("_cells", "_imeisv", "_imsi", "_msisdn", "_tracking_areas", "imsi_digits")

    def __init__(self, subscribers: Subscribers, location: Location) -> None:
        self._imsi = int(subscribers.first_imsi)
        self.imsi_digits = len(subscribers.first_imsi)
        self._msisdn = int(subscribers.first_msisdn)
        self._imeisv = int(subscribers.first_imeisv)
        self._tracking_areas = [tac.encode() for tac in location.tac]
        self._cells = [cell.encode() for cell in location.cell]

    def identity(self, number: int) -> Identity:
        """Return who a subscriber is and where, as messages take it."""
        tac = self._tracking_areas[number % len(self._tracking_areas)]
        cell = self._cells[number % len(self._cells)]
        return self._imsi + number, (
            self._msisdn + number,
            self._imeisv + number,
            tac,
            cell,
            number >> 16 & 255,
            number >> 8 & 255,
            number & 255,
            number & 0xFFFF,
        )

    def subscriber_identifier(self, number: int) -> str:
        """Return the SUPI, `imsi-...`."""
        return f"imsi-{self._imsi + number:0{self.imsi_digits}d}"
