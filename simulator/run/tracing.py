"""Which subscribers a user wants to follow."""

from __future__ import annotations

import re
from collections.abc import Sequence

from simulator.config import Profile
from simulator.fleet.trace import MOST_SUBSCRIBERS
from simulator.run.options import RunError


def traced_subscribers(profile: Profile, names: Sequence[str]) -> dict[str, int]:
    """The numbers of subscribers by the names that were given, `imsi-…`. Raises RunError."""
    if len(names) > MOST_SUBSCRIBERS:
        raise RunError(f"--trace: at most {MOST_SUBSCRIBERS} subscribers, not {len(names)}")
    return {name: _number(profile, name) for name in names}


def _number(profile: Profile, name: str) -> int:
    subscribers = profile.subscribers
    first, digits = int(subscribers.first_imsi), len(subscribers.first_imsi)
    if re.fullmatch(r"imsi-[0-9]{5,15}", name) and len(name) == len("imsi-") + digits:
        number = int(name.removeprefix("imsi-")) - first
        if 0 <= number < subscribers.count:
            return number
    last = first + subscribers.count - 1
    raise RunError(
        f"--trace {name}: expected one of the profile's subscribers, imsi-{first:0{digits}d} to imsi-{last:0{digits}d}"
    )
