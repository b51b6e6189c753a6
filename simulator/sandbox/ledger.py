"""The books: one NDJSON record per session and rating group, on a spool when the session has ended.

    {"ref": "1-2a", "key": "imsi-001010000000001/1001", "subscriber": "imsi-001010000000001", "rg": 300,
     "unit": "totalVolume", "counter": "data", "units": 25000000, "debited": 25000000, "overused": 0, "reports": 3,
     "containers": 4, "checksum": 89123456, "open": false, "end": "released"}

`units` is what was reported, first-time reports only; `debited` what was taken from `counter` for it (rounded, priced; 0
and counter null when zero-rated or not rated); `overused` the units beyond a grant. `key` finds a session whose answer
to Create never arrived: the subscriber and the consumer's own identifier of the session, or its time stamp where it has
none. `containers` is how many came, and `checksum` the sum over them of units x (localSequenceNumber + 1), modulo
2**61 - 1: a lost report and an equal one charged twice leave the units right and the checksum wrong. `end` is open,
released, expired or event.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import orjson

from simulator.sandbox.rating import Quota
from simulator.sandbox.sessions import Session, Sessions

_BUFFERED_RECORDS: Final = 256
_CHUNK_OCTETS: Final = 1 << 16


class Ledger:
    """Records of ended sessions, appended to a spool (any binary file that can seek; memory if none is given)."""

    def __init__(self, spool: BinaryIO | None = None) -> None:
        self._spool = spool or io.BytesIO()
        self._buffer: list[bytes] = []
        self.records = 0

    def close_session(self, session: Session, end: bytes) -> None:
        """Appends the records of a session that ended; a session without any usage leaves none."""
        for quota in session.quotas:
            if quota.reports:
                self._buffer.append(_line(session, quota, end))
                self.records += 1
        if len(self._buffer) >= _BUFFERED_RECORDS:
            self.flush()

    def flush(self) -> None:
        """Writes what is buffered."""
        if self._buffer:
            self._spool.seek(0, io.SEEK_END)
            self._spool.write(b"".join(self._buffer))
            self._spool.flush()
            self._buffer.clear()

    def chunks(self, sessions: Sessions) -> Iterator[bytes]:
        """The whole ledger as NDJSON, ended sessions first; whole lines per chunk.

        Each session is told once, however many end while this is read.
        """
        position = 0
        while chunk := self._read(position):
            yield chunk
            position += len(chunk)
        opened = list(sessions)
        lines: list[bytes] = []
        for session in opened:
            lines += [_line(session, quota, b"open") for quota in session.quotas if quota.reports]
            if len(lines) >= _BUFFERED_RECORDS:
                yield b"".join(lines)
                lines.clear()
        yield b"".join(lines)

    def _read(self, position: int) -> bytes:
        """Whole lines from `position` on."""
        self.flush()
        self._spool.seek(position)
        chunk = self._spool.read(_CHUNK_OCTETS)
        return chunk + self._spool.readline() if chunk and not chunk.endswith(b"\n") else chunk


def parse(chunks: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """The records in chunks of the ledger."""
    for chunk in chunks:
        for line in chunk.splitlines():
            yield orjson.loads(line)


def _line(session: Session, quota: Quota, end: bytes) -> bytes:
    subscriber = session.account.subscriber
    group = quota.group
    return (
        b'{"ref":"%b","key":%b,"subscriber":%b,"rg":%d,"unit":"%b","counter":%b,"units":%d,"debited":%d,'
        b'"overused":%d,"reports":%d,"containers":%d,"checksum":%d,"open":%b,"end":"%b"}\n'
    ) % (
        session.reference,
        orjson.dumps(f"{subscriber}/{session.charging_id}"),
        orjson.dumps(subscriber),
        quota.number,
        group.unit.encode(),
        orjson.dumps(group.counter),
        quota.units,
        quota.debited,
        quota.overused,
        quota.reports,
        quota.containers,
        quota.checksum,
        b"true" if end == b"open" else b"false",
        end,
    )
