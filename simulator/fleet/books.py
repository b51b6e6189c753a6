"""Audit records: what each session used, reported and saw acknowledged, one line per rating group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import orjson

from simulator.fleet.session import LiveSession
from simulator.measure import Recorder
from simulator.n40 import End, UsageRecord

SERIES: Final = {
    unit: (f"units|used|{unit}", f"units|acknowledged|{unit}")
    for unit in ("totalVolume", "time", "serviceSpecificUnits")
}
_UNCHARGED: Final = End.UNCHARGED  # a global, because looking up an enum's member costs ten times as much


class Books:
    """Writes the records of ended sessions, and counts their units."""

    __slots__ = ("_counters", "_lines", "_write")

    def __init__(self, recorder: Recorder, write: Callable[[bytes], None]) -> None:
        self._counters = recorder.counters
        self._lines: list[bytes] = []
        self._write = write

    def enter(self, live: LiveSession, records: list[UsageRecord]) -> None:
        """Enter what a charging session left behind."""
        session, messages = live.session, live.session.context.messages
        subscriber = messages.subscriber_identifier(session.subscriber)
        name = messages.charging_name(session.charging_id)
        for record in records:
            unit = record.unit
            counters = self._counters
            used, acknowledged = SERIES[unit]
            counters[used] += record.used
            counters[acknowledged] += record.acknowledged
            line = {
                "ref": record.reference.decode() or None,
                "key": f"{subscriber}/{name or record.created.decode()}",  # as a CHF that reads the messages names it
                "subscriber": subscriber,
                "number": live.number,
                "released": live.released or session.end is None,  # one that the CHF lost is no longer there either
                "usage": live.usage.name,
                "operation": live.usage.charging,
                "rg": record.rating_group,
                "unit": unit,
                "used": record.used,
                "reported": record.reported,
                "acknowledged": record.acknowledged,
                "doubt": record.doubt,
                "doubts": record.doubts,
                "checksum": record.checksum,
                "containers": record.containers,
                "uncharged": record.used - record.reported if record.end is _UNCHARGED else 0,
                "end": record.end,
            }
            self._lines.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def flush(self) -> None:
        """Hand over what has been entered."""
        if self._lines:
            self._write(b"".join(self._lines))
            self._lines.clear()
