"""Which charging sessions are open at the CHF, in case nobody is left to release them.

What a session is follows from the profile, the seed and its number; what the CHF called it does not. So one line is written for
each session that outlives the batch in which it was opened, and again where it moves. Ended sessions are told by their records.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson

from simulator.fleet.session import LiveSession
from simulator.n40 import ChargingSession

PERIOD_S: Final = 0.1
"""Between batches: who is killed leaves no word of the sessions opened since the last one."""


class Journal:
    """Collects for `write`, which gets whole lines."""

    __slots__ = ("_fresh", "_left", "_write")

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._fresh: list[LiveSession] = []
        self._left: list[bytes] = []
        self._write = write

    def enter(self, live: LiveSession) -> None:
        """A charging session was opened, or is at another place from now on."""
        self._fresh.append(live)

    def leave_open(self, live: LiveSession) -> None:
        """A session has ended for the fleet, and the CHF may still have it."""
        line = _line(live)
        if line is not None:
            self._left.append(line)

    def flush(self) -> None:
        """Write down what is still open of what was entered."""
        if not self._fresh and not self._left:
            return
        lines = [line for live in self._fresh if live.session.end is None and (line := _line(live)) is not None]
        lines += self._left
        self._fresh.clear()
        self._left.clear()
        if lines:
            self._write(b"".join(lines))


def _line(live: LiveSession) -> bytes | None:
    """What cannot be worked out again; None where the CHF has given no reference."""
    session = live.session
    if not isinstance(session, ChargingSession) or not session.reference:
        return None
    row: dict[str, Any] = {
        "number": live.number,
        "usage": live.usage.name,
        "subscriber": session.subscriber,
        "slot": live.slot % live.usage.all_slots - live.usage.first_slot,
        "ref": session.reference.decode("latin-1"),
        "chf": live.chf + 1,
        "started": session.started,
    }
    if session.path:
        row["path"] = session.path.decode("latin-1")
    if session.origin is not None and not live.rebased:
        row["origin"] = session.origin.decode("latin-1")
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
