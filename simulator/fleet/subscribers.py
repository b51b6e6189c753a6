"""Subscribers, derived from their numbers: a million of them cost nothing until they have a session open."""

from __future__ import annotations

import uuid
from typing import Final

from simulator.config import Location, Subscribers
from simulator.n40.identities import Identity

DEVICES: Final = uuid.UUID("0f8f1c86-6c0b-4b0e-9d5e-2f7f6c1b7a11")
"""Device ids are UUIDs of version 5 under this name, of the IMSI: whoever provisions them finds the same ones."""
NEIGHBOUR: Final = 7919
"""Who is called or texted lives so many subscribers away: a prime, so that hardly anybody talks to themselves."""


class SubscriberBook:
    """Identities of subscribers 0 to count - 1: IMSI, MSISDN, IMEISV, and where they are (tracking area and cell).

    `devices`: identities in full hold a device id, which takes as long as all the rest.
    """

    __slots__ = ("_cells", "_count", "_devices", "_imeisv", "_imsi", "_msisdn", "_tracking_areas", "imsi_digits")

    def __init__(self, subscribers: Subscribers, location: Location, *, devices: bool = False) -> None:
        self._imsi = int(subscribers.first_imsi)
        self.imsi_digits = len(subscribers.first_imsi)
        self._msisdn = int(subscribers.first_msisdn)
        self._imeisv = int(subscribers.first_imeisv)
        self._count = subscribers.count
        self._devices = devices
        self._tracking_areas = [tac.encode() for tac in location.tac]
        self._cells = [cell.encode() for cell in location.cell]

    def identity(self, number: int, step: int = 0) -> Identity:
        """Return who a subscriber is, and where after so many moves, as messages take it."""
        place = number + step
        return (
            self._imsi + number,
            self._msisdn + number,
            self._imeisv + number,
            self._tracking_areas[place % len(self._tracking_areas)],
            self._cells[place % len(self._cells)],
            number >> 16 & 255,
            number >> 8 & 255,
            number & 255,
            number & 0xFFFF,
        )

    def full_identity(self, number: int, step: int = 0) -> Identity:
        """Return the same with the device id, and the MSISDN of whom the subscriber calls."""
        device = self.device(number).encode() if self._devices else b""
        return (*self.identity(number, step), device, self._msisdn + (number + NEIGHBOUR) % self._count)

    def device(self, number: int) -> str:
        """Return the id of a subscriber's device."""
        return str(uuid.uuid5(DEVICES, self.subscriber_identifier(number)))

    def subscriber_identifier(self, number: int) -> str:
        """Return the SUPI, `imsi-...`."""
        return f"imsi-{self._imsi + number:0{self.imsi_digits}d}"
