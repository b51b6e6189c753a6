"""The CHFs of a run in order of priority: which one a new session goes to, which are down, and how much they want of it.

No clock: `now` is wall time in ns. A CHF that fails several times in a row is down; new sessions go to the next one, and one
request every now and then finds out whether it is back (fail-back). Open sessions stay where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from simulator.fleet.draws import Purpose, uniform
from simulator.n40.overload import OverloadInformation


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where requests go: the pseudo headers of the target, and the path under which its API begins."""

    scheme: bytes
    authority: bytes
    root: bytes = b""

    @property
    def origin(self) -> bytes:
        """Scheme and authority, as an absolute Location would name them."""
        return self.scheme + b"://" + self.authority.lower()


class Chf:
    """One of them. `number` counts from 1, in order of priority."""

    __slots__ = (
        "authority", "down_until", "failed", "failed_at", "failures", "not_before", "number", "origin", "overload",
        "overload_until", "redirects_to", "requests", "scheme",
    )  # fmt: skip

    def __init__(self, number: int, destination: Destination) -> None:
        self.number = number
        self.origin = destination.origin
        self.scheme = (b":scheme", destination.scheme)
        self.authority = (b":authority", destination.authority)
        self.failures = 0  # in a row
        self.failed_at = -ONE_EVENT  # when the last one was counted
        self.down_until = 0  # when to find out whether it is back; 0: it is up
        self.not_before = 0  # it asked for no new sessions until then (Retry-After)
        self.overload: OverloadInformation | None = None
        self.overload_until = 0
        self.redirects_to = b""  # the NF instance that it named last
        self.requests = self.failed = 0  # since the last cut

    @property
    def down(self) -> bool:
        """Whether it counts as down."""
        return self.down_until != 0

    def spared(self, now: int) -> int:
        """How much of what would begin it wants to be spared, in per cent (Retry-After, TS 29.500 6.4.3)."""
        if now < self.not_before:
            return 100
        return self.overload.reduction if self.overload is not None and now < self.overload_until else 0


ONE_EVENT: Final = 10_000_000
"""ns. A connection that is cut takes all its requests along, and a deadline that passes is that of many."""
MAX_INSTANCE: Final = 100
"""How much of a header is shown."""
Tell = Callable[[Chf, str], None]
"""A CHF has changed its state: what happened, in words."""


class Chfs:
    """All of them. `down_after` failures in a row make one count as down; then it is tried again every `recheck` ns."""

    def __init__(self, destinations: Sequence[Destination], *, down_after: int, recheck: int, tell: Tell) -> None:
        self.all = [Chf(number, each) for number, each in enumerate(destinations, 1)]
        self._down_after = down_after
        self._recheck = recheck
        self._tell = tell
        self.limited = False  # whether any of them wants less than it would get
        self._by_origin = {chf.origin: place for place, chf in enumerate(self.all)}

    def of_origin(self, origin: bytes) -> int | None:
        """The place of the CHF with that scheme and authority, if it is one of them."""
        return self._by_origin.get(origin)

    def choose(self, now: int) -> int:
        """The place of the CHF for a new session: the first that is up, or that it is time to try again.

        One that asked to be left alone (Retry-After) is left alone where another is up.
        """
        busy: int | None = None
        for place, chf in enumerate(self.all):
            if not chf.down_until:
                if chf.not_before <= now:
                    return place
                busy = place if busy is None else busy
            elif chf.down_until <= now:
                chf.down_until = now + self._recheck  # this session finds out; the others do not wait for it
                return place
        return busy or 0

    def refuge(self, place: int, now: int) -> int | None:
        """Another CHF that is up, for a report to one that is known to be down; None where that one is up, or no other."""
        if self.all[place].down_until <= now:
            return None
        return next((other for other, chf in enumerate(self.all) if not chf.down_until), None)

    def next_after(self, place: int, tried: int, now: int) -> int | None:
        """Another CHF that is not known to be down, for a request that was tried at `place` and so many others; None: no more."""
        others = [(place + step) % len(self.all) for step in range(1, len(self.all) - tried)]
        return next((other for other in others if self.all[other].down_until <= now), None)

    def on_life(self, chf: Chf) -> None:
        """It answered something sensible."""
        chf.failures = 0
        if chf.down_until:
            chf.down_until = 0
            self._tell(chf, "is back")

    def on_failure(self, chf: Chf, why: str, now: int) -> None:
        """It did not answer, or not as a CHF that is well. What fails at one moment fails for one reason, and counts once."""
        if now - chf.failed_at < ONE_EVENT:
            return
        chf.failed_at = now
        chf.failures += 1
        if chf.failures >= self._down_after:
            if not chf.down_until:
                self._tell(chf, f"is down: {chf.failures} failures in a row, the last one {why}")
            chf.down_until = now + self._recheck

    def on_retry_after(self, chf: Chf, wait: int, now: int) -> None:
        """It wants no new sessions for so many ns."""
        if now + wait > chf.not_before:
            if chf.not_before <= now:
                self._tell(chf, f"wants no new sessions for {wait / 1e9:g} s (Retry-After)")
            chf.not_before = now + wait
            self.limited = True

    def on_redirect(self, chf: Chf, instance: bytes) -> None:
        """It sends a request to another NF instance, which it names (3gpp-Sbi-Target-Nf-Id)."""
        if chf.redirects_to != instance:
            chf.redirects_to = instance
            self._tell(chf, f"redirects to {instance[:MAX_INSTANCE].decode('ascii', 'replace')}")

    def on_overload(self, chf: Chf, overload: OverloadInformation, now: int) -> None:
        """Overload control (TS 29.500 6.4.3): newer information replaces older, until its validity ends."""
        known = chf.overload
        if known is not None and overload.timestamp <= known.timestamp:
            return
        if known is None or known.reduction != overload.reduction or now >= chf.overload_until:
            self._tell(chf, f"wants {overload.reduction} % less for {overload.validity_s:g} s (overload control)")
        self.limited = True
        chf.overload = overload
        chf.overload_until = now + int(overload.validity_s * 1e9)

    def throttles(self, place: int, key: bytes, now: int) -> bool:
        """Whether a new session is one of those that this CHF wants to be spared (TS 29.500 6.4.3.5.2, the loss algorithm)."""
        spared = self.all[place].spared(now)
        if spared:
            return uniform(key, Purpose.THROTTLE) * 100 < spared
        self.limited = any(now < max(each.not_before, each.overload_until) for each in self.all)
        return False
