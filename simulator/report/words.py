"""How figures are written for people: few digits, thousands marked, units that fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_OCTETS: Final = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3))
_SECONDS: Final = (("h", 3600), ("min", 60))


def count(value: float) -> str:
    """A count: 12,345; small fractions keep one digit."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.1f}"


def latency(microseconds: float) -> str:
    """A latency with three figures: 612 µs, 4.21 ms, 38.5 ms, 1.20 s."""
    if microseconds < 1_000:
        return f"{microseconds:.0f} µs"
    if microseconds < 999_500:
        return f"{_three(microseconds / 1e3)} ms"
    return f"{_three(microseconds / 1e6)} s"


def seconds(value: float) -> str:
    """A duration: 30.2 s, 5 min 20 s, 2 h 05 min."""
    if value < 60:
        return f"{value:.1f} s"
    if value < 3600:
        return f"{value // 60:.0f} min {value % 60:02.0f} s"
    return f"{value // 3600:.0f} h {value % 3600 // 60:02.0f} min"


def amount(value: int, unit: str) -> str:
    """Charged units: octets as 12.4 GB, seconds as 3.5 h, service specific units as they are."""
    scales = _OCTETS if "volume" in unit.lower() else _SECONDS if unit == "time" else ()
    for word, size in scales:
        if value >= size:
            return f"{_three(value / size)} {word}"
    return f"{value:,}" if not scales else f"{value} {'B' if scales is _OCTETS else 's'}"


def unit(name: str) -> str:
    """A unit type, short enough for a column."""
    return {"serviceSpecificUnits": "service units"}.get(name, name)


def measured(value: str, over: str, window_at_s: float | None) -> str:
    """What a threshold was held against; of a moving window also which one was the worst."""
    return value if window_at_s is None else f"{value} in the {over} before {seconds(window_at_s)}"


def named_amount(value: int, name: str) -> str:
    """An amount with its unit type: 12.4 GB (totalVolume), 3 (service units)."""
    return f"{amount(value, name)} ({unit(name)})"


def share(part: float, whole: float) -> str:
    """A percentage that is 100 % or 0 % only when it is exactly that."""
    if not whole:
        return "–"
    percent = 100 * part / whole
    if percent in {0, 100}:
        return f"{percent:.0f} %"
    return f"{min(max(percent, 0.01), 99.99):.2f} %"


def listed(counts: Mapping[str, int], *, most: int = 8) -> str:
    """Counts by name, the largest first: SUCCESS 1,204 · RATING_FAILED 3."""
    seen = [f"{name} {value:,}" for name, value in counts.items() if value]
    shown, more = seen[:most], len(seen) - most
    return " · ".join([*shown, *([f"and {more} more"] if more > 0 else [])]) or "none"


PROMISES: Final = {
    "WRONG_SEQUENCE_NUMBER": "it answered with another sequence number",
    "GRANT_NOT_ASKED_FOR": "it granted what nobody asked for",
    "GRANT_TOO_MUCH": "it debited more than an event asked for",
    "GRANT_AFTER_FINAL_UNIT": "it granted units after the final ones",
    "NEGATIVE_BALANCE": "a balance went below zero",
    "RESERVED_TOO_MUCH": "it reserved more than there is",
}
"""What a CHF must not do."""


def promise(name: str) -> str:
    """A promise that was broken, in words."""
    return PROMISES.get(name, name)


def times(value: int) -> str:
    """How often: once, twice, 1,204 times."""
    return {1: "once", 2: "twice"}.get(value, f"{value:,} times")


def _three(value: float) -> str:
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:,.{digits}f}"


def dropped(by_reason: Mapping[str, int]) -> tuple[str, str]:
    """Arrivals that were not started, in words and their style: those that a CHF wanted to be spared are nobody's fault."""
    style = "yellow" if set(by_reason) <= {"throttled"} else "bold red"
    return f"{count(sum(by_reason.values()))} dropped ({listed(by_reason)})", style
