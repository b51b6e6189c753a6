"""How one rating group uses units: bursts and pauses, integrated exactly, standing still without quota."""

from __future__ import annotations

from typing import Final, Protocol

NS_PER_S: Final = 1_000_000_000
RATE_UNIT: Final = 1000 * NS_PER_S
"""Rates are thousandths of a unit per second, so that two units a minute are a rate as well."""
NEVER: Final = (1 << 62) - 1
"""A moment that does not come (146 years of nanoseconds); the largest integer that compiled code keeps unboxed."""


class TrafficSource(Protocol):
    """Draws the traffic of a rating group; the same key and index always give the same burst."""

    def burst(self, key: bytes, index: int) -> tuple[int, int, int]:
        """Return (active ns, thousandths of a unit per second while active, at least 1, pause ns after it)."""

    def first_pause(self, key: bytes) -> int:
        """How long the group is silent at first, in ns."""


class Flow:
    """Traffic of one rating group in session time.

    Units accumulate as floor(rate x time) over all bursts, so that a crossing has one exact moment and one exact count, however
    late the clock is looked at. A flow whose quota is used up stands still inside its burst; a pause runs on by itself.
    `volume` is what the flow wants in all, `until` the moment after which it has no traffic (NEVER: no bound).
    """

    __slots__ = (
        "active", "active_ns", "base", "clock", "elapsed", "first_use", "index", "key", "last_use", "length", "rate", "source",
        "until", "used", "volume",
    )  # fmt: skip

    def __init__(self, source: TrafficSource, key: bytes, now: int, volume: int = NEVER, until: int = NEVER) -> None:
        self.source = source
        self.key = key
        self.clock = now
        self.volume = volume
        self.until = until
        self.used = 0  # units since the flow began
        self.active_ns = 0  # time with traffic before this burst
        self.first_use = NEVER  # moments of the first and last use in this container
        self.last_use = 0
        self.index = -1
        self.base = 0  # RATE_UNITths of a unit used before this burst
        self.elapsed = 0  # ns into this burst and its pause
        self.active = 0
        self.rate = 1
        self.length = source.first_pause(key)
        if not self.length:
            self._next_burst()

    def _next_burst(self) -> None:
        self.active_ns += self.active
        self.index += 1
        self.base += self.rate * self.active
        self.elapsed = 0
        self.active, self.rate, pause = self.source.burst(self.key, self.index)
        self.length = self.active + pause

    @property
    def finished(self) -> bool:
        """Whether all that the flow wanted has been used."""
        return self.used >= self.volume

    @property
    def wants(self) -> bool:
        """Whether there is traffic now, or would be with quota."""
        return self.elapsed < self.active and self.used < self.volume

    def busy(self) -> int:
        """Nanoseconds with traffic since the flow began."""
        return self.active_ns + min(self.elapsed, self.active)

    def _crossing(self, limit: int, busy_limit: int) -> int:
        """Ns into this burst at which `limit` units or `busy_limit` ns of traffic are reached, maybe after its end."""
        # The smallest n with floor((base + rate * n) / 1e12) >= limit.
        end = -((self.base - limit * RATE_UNIT) // self.rate)
        if busy_limit != NEVER and end > busy_limit - self.active_ns:
            return busy_limit - self.active_ns
        return end

    def reaches(self, limit: int, busy_limit: int = NEVER) -> int:
        """When to look again: a limit reached, the end of this burst and its pause, or of all; NEVER while standing still."""
        elapsed = self.elapsed
        if elapsed >= self.active:
            if self.used >= self.volume:
                return NEVER
            moment = self.clock + self.length - elapsed
            return moment if moment < self.until else self.until
        if limit > self.volume:
            limit = self.volume
        end = self._crossing(limit, busy_limit)
        if self.used >= limit or elapsed >= end:
            return NEVER
        moment = self.clock + (end if end <= self.active else self.length) - elapsed
        return moment if moment < self.until else self.until

    def used_by(self, moment: int, limit: int) -> int:
        """What will have been used at a moment within this burst (no later than `reaches` tells), up to `limit`."""
        if self.elapsed >= self.active:
            return self.used
        elapsed = min(self.elapsed + moment - self.clock, self.active)
        return max(self.used, min((self.base + self.rate * elapsed) // RATE_UNIT, limit, self.volume))

    def quiet_since(self) -> int:
        """When the present burst ends, or ended if traffic pauses already."""
        return self.clock + self.active - self.elapsed

    def end(self) -> None:
        """No more traffic from here on."""
        self.volume = self.used

    def advance(self, now: int, limit: int, busy_limit: int = NEVER) -> None:
        """Let traffic run until `now`, using no more than `limit` units and `busy_limit` ns of traffic in all."""
        if now >= self.until:
            self._advance_to_end(now, limit, busy_limit)
            return
        left = now - self.clock
        self.clock = now
        if limit > self.volume:
            limit = self.volume
        elapsed = self.elapsed + left
        if elapsed < self.active and self.used < limit and busy_limit == NEVER:
            # The usual case: inside one burst, short of the limit.
            used = (self.base + self.rate * elapsed) // RATE_UNIT
            if used < limit:
                if self.first_use == NEVER:
                    self.first_use = now - left
                self.elapsed, self.used, self.last_use = elapsed, used, now
                return
        self._advance_stepwise(now, left, limit, busy_limit)

    def _advance_to_end(self, now: int, limit: int, busy_limit: int) -> None:
        """Its time is over: nothing is used after `until`."""
        until, self.until = self.until, NEVER
        if until > self.clock:
            self.advance(until, limit, busy_limit)
        self.end()
        self.clock = now

    def _advance_stepwise(self, now: int, left: int, limit: int, busy_limit: int) -> None:
        """The same from burst to burst and up to a limit, `left` ns in all."""
        while left > 0:
            if self.elapsed < self.active:
                end = self._crossing(limit, busy_limit)
                step = (end if end < self.active else self.active) - self.elapsed
                if step <= 0 or self.used >= limit:
                    return
                if step > left:
                    step = left
                if self.first_use == NEVER:
                    self.first_use = now - left
                self.elapsed += step
                used = (self.base + self.rate * self.elapsed) // RATE_UNIT
                self.used = used if used < limit else limit
                self.last_use = now - left + step
            elif self.used >= self.volume:
                return
            else:
                step = min(left, self.length - self.elapsed)
                self.elapsed += step
            left -= step
            if self.elapsed >= self.length and self.used < self.volume:
                self._next_burst()
