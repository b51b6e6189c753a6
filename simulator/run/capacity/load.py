"""The load of a step: the profile with the step's rate, near its equilibrium before anything is judged.

One-time events have no life: a step that has run for a moment is what it will be. Sessions have one. A rate of arrivals says
little about a CHF until as many sessions are open as there will be, and by Little's law that is the rate times their mean life.
So a step of sessions begins with that many, found open with the residual lives of a running network, and its warm-up is long
enough to set them up (2,000 a second) and for the CHF to recover from that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from simulator.config import Profile
from simulator.config.profile import FILL_PER_S
from simulator.fleet.usage import mean_life_s
from simulator.run.capacity.search import Step

WARMUP_SHARE: Final = 0.2
"""Of a step's time that comes on top for warming up, where nothing else is said."""
LONGEST_FILL_S: Final = 600.0
"""Setting up what is open in equilibrium may take so long."""
_ROOM: Final = 2
"""Times as many sessions as in equilibrium are allowed to be open, so that a slow CHF is seen to be slow."""


class LoadError(Exception):
    """This rate cannot be offered with this profile; one line that says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Equilibrium:
    """`sessions` that are open on average at a rate, and how long it takes to set them up."""

    sessions: int
    fill_s: float


def equilibrium(profile: Profile, rate: float) -> Equilibrium:
    """Little's law over the usages' mean lives, in wall time; nothing is open flat-out, where life takes no time."""
    if profile.pace is None:
        return Equilibrium(sessions=0, fill_s=0.0)
    weights = sum(profile.mix.values())
    life_s = sum(weight * mean_life_s(profile.usages[name]) for name, weight in profile.mix.items()) / weights
    sessions = round(rate * life_s / profile.pace)
    return Equilibrium(sessions=sessions, fill_s=sessions / FILL_PER_S)


def profile_of_step(profile: Profile, step: Step, slos: list[str], warmup_s: float | None) -> Profile:
    """The profile as that step offers it. Raises LoadError."""
    steady = equilibrium(profile, step.rate)
    if steady.fill_s > LONGEST_FILL_S:
        raise LoadError(
            f"at {step.rate:,.6g}/s {steady.sessions:,} sessions are open in equilibrium, and setting them up takes "
            f"{steady.fill_s:,.0f} s, more than {LONGEST_FILL_S:g} s: raise the pace, or shorten the sessions"
        )
    wanted = warmup_s if warmup_s is not None else profile.load.warmup or WARMUP_SHARE * step.seconds
    warmup = round(wanted + 2 * steady.fill_s, 3)
    load: dict[str, Any] = {
        "mode": "open",
        "rate": step.rate,
        "spacing": profile.load.spacing,
        "max_in_flight": max(profile.load.max_in_flight, _ROOM * steady.sessions),
        "start_open": steady.sessions,
        "warmup": warmup,
        "duration": warmup + step.seconds,
    }
    document = profile.model_dump(mode="json") | {"load": load, "thresholds": slos}
    try:
        return Profile.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise LoadError(f"at {step.rate:,.6g}/s: {place}: {first['msg']}") from None
