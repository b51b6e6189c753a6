"""Joins the SMF's session records with the CHF's ledger and adds up the judgements.

The two sides are joined by ChargingDataRef. What has no counterpart by reference (its Create was never answered, a
repeat was taken for a second session) is joined by its key, subscriber and charging id.

Sums alone would let a lost report pass where an equal one was charged twice. So both sides may tell a checksum besides:
the sum over the containers of units x (localSequenceNumber + 1), modulo 2**61 - 1.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import orjson

from simulator.audit.judgement import (
    CHECKSUM_MODULUS,
    REASONS,
    RUN_ENDED,
    UNKNOWN,
    Account,
    Doubt,
    Judgement,
    explain,
    judge,
)

MOST_UNITS: Final = 1 << 53
"""In one row: nine petabytes. What a CHF was told beyond that is nonsense, and must not cost the sums of everybody else."""

_NOT_VERIFIED: Final = "not verified against the CHF's books"

_REST: Final = (
    "lost", "double_charged", "misbooked", "in_doubt", "undelivered", "unverified", "refused", "unreported", "open",
    "uncharged",
)  # fmt: skip
_WRONG: Final = ("lost", "double_charged", "misbooked", "in_doubt")

# On disk, with a bounded cache: a million sessions cost 60 MB of memory, where dictionaries take many times that.
_SCHEMA: Final = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA temp_store = FILE;
PRAGMA cache_size = -32000;
CREATE TABLE ledger (ref TEXT, key TEXT, rg INTEGER, unit TEXT, charged INTEGER, checksum INTEGER);
CREATE TABLE excluded (ref TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE records (
    ref TEXT, key TEXT, rg INTEGER, unit TEXT, used INTEGER, reported INTEGER, acknowledged INTEGER, doubts TEXT,
    uncharged INTEGER, unreported INTEGER, open INTEGER, end TEXT, checksum INTEGER,
    containers INTEGER
);
"""

# Checksums are summed up in two halves, because the sum of a few would be more than SQLite holds.
_JOIN: Final = """
CREATE INDEX record_refs ON records (ref);
CREATE INDEX ledger_refs ON ledger (ref);
SELECT max(ref), coalesce(max(iif(end IS NULL, NULL, key)), max(key)), rg, unit, coalesce(max(end), ''), max(end IS NOT NULL),
       group_concat(doubts), max(containers), max(checksum IS NULL),
       sum(iif(end IS NULL, 0, checksum >> 31)), sum(iif(end IS NULL, 0, checksum & 0x7fffffff)),
       sum(iif(end IS NULL, checksum >> 31, 0)), sum(iif(end IS NULL, checksum & 0x7fffffff, 0)),
       sum(used), sum(reported), sum(acknowledged), sum(uncharged), sum(unreported), sum(open), sum(charged)
FROM (
    SELECT iif(ref IN (SELECT ref FROM ledger), 'r' || ref, 'k' || key) AS account, ref, key, rg, unit, end, used,
           reported, acknowledged, doubts, uncharged, unreported, open, 0 AS charged, checksum, containers
    FROM records
    UNION ALL
    SELECT iif(ref IN (SELECT ref FROM records), 'r' || ref, 'k' || key), ref, key, rg, unit, NULL, 0,
           0, 0, NULL, 0, 0, 0, charged, checksum, 0
    FROM ledger WHERE ref IS NULL OR ref NOT IN (SELECT ref FROM excluded)
)
GROUP BY account, rg, unit
"""


class AuditError(Exception):
    """A record or ledger row that cannot be audited; the message says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offence:
    """One rating group of one session that did not balance, with the figures to look for in the CHF.

    `doubts` are the units of reports without a usable answer, by reason.
    """

    key: str
    ref: str | None
    rating_group: int
    unit: str
    end: str
    used: int
    reported: int
    acknowledged: int
    charged: int
    lost: int
    double_charged: int
    misbooked: int
    in_doubt: int
    doubts: Mapping[str, int]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The verdict on a run's charging. Every map is by unit type; `judgement` says what each word means.

    `doubted_units` is what had no usable answer at first, and `doubted_by_reason` why, whatever the books then told.

    `verifiable` is false when one side's books are missing or incomplete, for the reason that `reason` gives; then
    nothing can be called balanced, and `balanced` is None unless something is known to be wrong.
    """

    verifiable: bool
    reason: str
    balanced: bool | None
    sessions: int
    offending: int
    used_units: Mapping[str, int]
    acknowledged_units: Mapping[str, int]
    debited_units: Mapping[str, int]
    charged_units: Mapping[str, int]
    lost_units: Mapping[str, int]
    double_charged_units: Mapping[str, int]
    misbooked_units: Mapping[str, int]
    in_doubt_units: Mapping[str, int]
    undelivered_units: Mapping[str, int]
    doubted_units: Mapping[str, int]
    doubted_by_reason: Mapping[str, Mapping[str, int]]
    unverified_units: Mapping[str, int]
    refused_units: Mapping[str, int]
    unreported_units: Mapping[str, int]
    open_units: Mapping[str, int]
    uncharged_units: Mapping[str, int]
    offences: tuple[Offence, ...]

    def to_summary(self) -> dict[str, Any]:
        """The audit's part of a run's summary, JSON-able."""
        maps = {name: dict(value) if isinstance(value, Mapping) else value for name, value in _fields(self)}
        return maps | {"offences": [asdict(offence) for offence in self.offences]}


def _fields(audit: Audit) -> Iterator[tuple[str, Any]]:
    return ((name, getattr(audit, name)) for name in Audit.__slots__)


class Auditor:
    """Takes both sides' rows in any order, then `finish()` judges them. Memory stays bounded by using a scratch file.

    `unverifiable` says why one side's books are incomplete or missing ("this CHF's ledger cannot be read", "the
    sandbox was restarted"); without it, both are taken to hold everything.
    """

    def __init__(self, *, unverifiable: str = "", offences_listed: int = 20) -> None:
        self._unverifiable = unverifiable
        self._offences_listed = offences_listed
        self._scratch = sqlite3.connect("", isolation_level=None)
        self._scratch.executescript(_SCHEMA)

    def add_records(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Add the SMF's side: one row per ended (or still open) session and rating group.

        Fields: ref, key, rg, unit, used, reported, acknowledged, doubt, end (completed, denied, failed, gone, aborted,
        uncharged or open), and where they are known `uncharged`, what was let pass, `checksum`, that of what was
        acknowledged, `containers`, the last number of one, and `doubts`, the reports that make up `doubt`: units,
        checksum, reason. Several rows of one session and rating group add up.
        """
        self._insert("records", 14, (_record_row(number, record) for number, record in enumerate(records, 1)))

    def add_ledger(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add the CHF's side: ref, key, rg, unit, `units`, what it charged before rounding and price, maybe `checksum`."""
        self._insert("ledger", 6, (_ledger_row(number, row) for number, row in enumerate(rows, 1)))

    def exclude(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Leave out the sessions of these ledger rows: they were in a long-lived CHF's books before the run."""
        refs = (_ledger_row(number, row)[:1] for number, row in enumerate(rows, 1))
        self._scratch.executemany("INSERT OR IGNORE INTO excluded VALUES (?)", (ref for ref in refs if ref[0]))

    def _insert(self, table: str, columns: int, rows: Iterator[tuple[Any, ...]]) -> None:
        marks = ",".join("?" * columns)
        self._scratch.execute("BEGIN")
        try:
            self._scratch.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608  (our own names)
        except (OverflowError, sqlite3.Error) as error:
            raise AuditError(f"a row of the {table} cannot be audited: {error}") from error
        self._scratch.execute("COMMIT")

    def finish(self) -> Audit:
        """Join, judge and close; the auditor is of no use afterwards."""
        *indexes, join = _JOIN.split(";")
        for statement in indexes:
            self._scratch.execute(statement)
        unverifiable = self._unverifiable or self._shared_references()
        tally = _Tally(complete=not unverifiable, offences_listed=self._offences_listed)
        for row in self._scratch.execute(join):
            tally.add(_account(*row))
        sessions = self._scratch.execute("SELECT count(*) FROM (SELECT DISTINCT ref, key FROM records)").fetchone()[0]
        self._scratch.close()
        return tally.audit(sessions, unverifiable)

    def _shared_references(self) -> str:
        """A loss of one session and a double charge of another would cancel out where both have one ChargingDataRef."""
        shared = "SELECT count(*) FROM (SELECT ref FROM records WHERE ref > '' GROUP BY ref HAVING min(key) < max(key))"
        count = self._scratch.execute(shared).fetchone()[0]
        return f"the CHF gave {count} ChargingDataRef to several sessions each" if count else ""


def _account(
    ref: str | None,
    key: str,
    rg: int,
    unit: str,
    ends: str,
    known: int,
    doubts: str | None,
    containers: int,
    without_checksum: int,
    *figures: int,
) -> Account:
    *halves, used, reported, acknowledged, uncharged, unreported, still_open, charged = figures
    return Account(
        ref=ref,
        key=key,
        rating_group=rg,
        unit=unit,
        ends=ends,
        known=bool(known),
        used=used,
        reported=reported,
        acknowledged=acknowledged,
        doubts=tuple(Doubt(*each) for each in orjson.loads(f"[{doubts}]")) if doubts else (),
        uncharged=uncharged,
        unreported=unreported,
        open=still_open,
        charged=charged,
        containers=containers,
        checksums=None if without_checksum else (_whole(*halves[:2]), _whole(*halves[2:])),
    )


def _whole(high: int, low: int) -> int:
    return ((high << 31) + low) % CHECKSUM_MODULUS


def _record_row(number: int, record: Mapping[str, Any]) -> tuple[Any, ...]:
    try:
        used, reported, end = record["used"], record["reported"], record["end"]
        uncharged = record.get("uncharged", 0)
        silent = max(0, used - reported - uncharged)
        return (
            record["ref"] or None,
            record["key"],
            record["rg"],
            record["unit"],
            used,
            reported,
            record["acknowledged"],
            _doubts(record),
            uncharged,
            silent if end in {"denied", "failed", "gone"} else 0,
            silent if end == "open" else 0,
            end,
            _checksum(record),
            record.get("containers", 0),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise AuditError(f"session record {number} cannot be audited: {error!r} in {record!r}") from error


def _doubts(record: Mapping[str, Any]) -> str | None:
    """As JSON without brackets; where the reports are not told one by one, the sum is one of them."""
    doubts = record.get("doubts")
    if not doubts:
        if not record["doubt"]:
            return None
        doubts = [(record["doubt"], 0, RUN_ENDED if record["end"] == "open" else UNKNOWN)]
    return ",".join(
        f'[{units:d},{checksum:d},"{reason if reason in REASONS else UNKNOWN}"]' for units, checksum, reason in doubts
    )


def _checksum(row: Mapping[str, Any]) -> int | None:
    """None where there is none, or where it is nonsense."""
    checksum = row.get("checksum")
    return checksum if isinstance(checksum, int) and 0 <= checksum < CHECKSUM_MODULUS else None


def _ledger_row(number: int, row: Mapping[str, Any]) -> tuple[str | None, str, int, str, int, int | None]:
    try:
        ref, key, rg, unit, units = row["ref"] or None, row["key"], row["rg"], row["unit"], row["units"]
    except KeyError as error:
        raise AuditError(f"ledger row {number} has no {error} in {row!r}") from error
    texts = isinstance(ref, str | None) and isinstance(key, str) and isinstance(unit, str)
    if not (texts and isinstance(rg, int) and isinstance(units, int)):
        raise AuditError(f"ledger row {number} cannot be audited: {row!r}")
    return ref, key, rg, unit, min(units, MOST_UNITS), _checksum(row)


class _Tally:
    """The sums by unit type, and the first offences."""

    def __init__(self, *, complete: bool, offences_listed: int) -> None:
        self._complete = complete
        self._offences_listed = offences_listed
        self._sums: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._doubted: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._offending = 0
        self._offences: list[Offence] = []

    def add(self, account: Account) -> None:
        sums, unit = self._sums, account.unit
        sums["used"][unit] += account.used
        sums["acknowledged"][unit] += account.acknowledged
        sums["debited"][unit] += account.charged
        for doubt in account.doubts:
            sums["doubted"][unit] += doubt.units
            self._doubted[REASONS[doubt.reason]][unit] += doubt.units
        judgement = judge(account, complete=self._complete)
        sums["charged"][unit] += judgement.charged
        if judgement.charged != account.used or judgement.offends:
            self._add_the_rest(account, judgement)

    def _add_the_rest(self, account: Account, judgement: Judgement) -> None:
        for name in _REST:
            self._sums[name][account.unit] += getattr(judgement, name)
        if judgement.offends:
            self._offending += 1
            if len(self._offences) < self._offences_listed:
                self._offences.append(_offence(account, judgement))

    def _by_unit(self, name: str) -> dict[str, int]:
        """Every unit type appears in every map, so that a reader need not guess what a missing one means."""
        return {unit: self._sums[name][unit] for unit in sorted(self._sums["used"])}

    def audit(self, sessions: int, unverifiable: str) -> Audit:
        return Audit(
            verifiable=self._complete,
            reason=f"{_NOT_VERIFIED}: {unverifiable}" if unverifiable else "",
            balanced=self._balanced(),
            sessions=sessions,
            offending=self._offending,
            used_units=self._by_unit("used"),
            acknowledged_units=self._by_unit("acknowledged"),
            debited_units=self._by_unit("debited"),
            charged_units=self._by_unit("charged"),
            lost_units=self._by_unit("lost"),
            double_charged_units=self._by_unit("double_charged"),
            misbooked_units=self._by_unit("misbooked"),
            in_doubt_units=self._by_unit("in_doubt"),
            undelivered_units=self._by_unit("undelivered"),
            doubted_units=self._by_unit("doubted"),
            doubted_by_reason={reason: dict(sorted(sums.items())) for reason, sums in sorted(self._doubted.items())},
            unverified_units=self._by_unit("unverified"),
            refused_units=self._by_unit("refused"),
            unreported_units=self._by_unit("unreported"),
            open_units=self._by_unit("open"),
            uncharged_units=self._by_unit("uncharged"),
            offences=tuple(self._offences),
        )

    def _balanced(self) -> bool | None:
        wrong = any(self._sums[name].total() for name in _WRONG)
        if wrong:
            return False
        return True if self._complete else None


def _offence(account: Account, judgement: Judgement) -> Offence:
    return Offence(
        key=account.key,
        ref=account.ref,
        rating_group=account.rating_group,
        unit=account.unit,
        end=account.ends or "unknown",
        used=account.used,
        reported=account.reported,
        acknowledged=account.acknowledged,
        charged=account.charged,
        lost=judgement.lost,
        double_charged=judgement.double_charged,
        misbooked=judgement.misbooked,
        doubts=_by_reason(account),
        in_doubt=judgement.in_doubt,
        why=explain(account, judgement),
    )


def _by_reason(account: Account) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for doubt in account.doubts:
        sums[REASONS[doubt.reason]] += doubt.units
    return dict(sums)
