"""The audit against an independent model: every unit is a token, and the CHF's books are a bag of tokens."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.audit import Audit, AuditError, Auditor, read_rows

Row = dict[str, Any]


def record(used: int, *, ref: str | None = "r1", key: str = "imsi-1/1", end: str = "completed", **other: Any) -> Row:
    row = {"ref": ref, "key": key, "subscriber": "imsi-1", "usage": "video", "operation": "SCUR", "rg": 300}
    return row | {
        "unit": "totalVolume",
        "used": used,
        "reported": used,
        "acknowledged": used,
        "doubt": 0,
        "end": end,
        **other,
    }


def ledger(units: int, *, ref: str | None = "r1", key: str = "imsi-1/1", **other: Any) -> Row:
    row = {"ref": ref, "key": key, "subscriber": "imsi-1", "rg": 300, "unit": "totalVolume", "units": units}
    return row | {"debited": units, "reports": 1, "open": False, **other}


def audited(records: list[Row], rows: list[Row], **settings: Any) -> Audit:
    auditor = Auditor(**settings)
    auditor.add_ledger(rows)
    auditor.add_records(records)
    return auditor.finish()


Token = tuple[int, int]
"""A unit: the localSequenceNumber of its container, and its place therein."""


def checksum(tokens: Counter[Token]) -> int:
    return sum((number + 1) * times for (number, _), times in tokens.items())


@dataclass
class Session:
    """One charging session whose reports meet one fate; `expected` holds the tokens by what became of them."""

    name: str
    fate: str
    reports: list[int]
    unit: str
    rating_group: int
    expected: Counter[str] = field(default_factory=Counter)

    def rows(self) -> tuple[list[Row], list[Row]]:
        if self.fate == "lost, and another one twice":
            self.reports = [self.reports[0], self.reports[0]]
        tokens = [(number, index) for number, size in enumerate(self.reports, 1) for index in range(size)]
        last = set(tokens[len(tokens) - self.reports[-1] :])
        earlier = set(tokens) - last
        books: Counter[Token] = Counter(tokens)
        acknowledged, doubted = set(tokens), set[Token]()
        figures: Row = {"reported": len(tokens), "end": "completed", "uncharged": 0}
        ref: str | None = f"ref-{self.name}"
        second: Row | None = None
        match self.fate:
            case "lost":
                books -= Counter(last)
            case "twice":
                books += Counter(last)
            case "lost, and another one twice":
                books = Counter(earlier) + Counter(earlier)
            case "twice, under a second reference":
                second = self.ledger_row(Counter(last)) | {"ref": f"ref-{self.name}-again"}
                books_of_both = books + Counter(last)
            case "doubt, charged":
                acknowledged, doubted = earlier, last
                figures |= {"end": "failed"}
            case "doubt, not charged":
                books -= Counter(last)
                acknowledged, doubted = earlier, last
                figures |= {"end": "failed"}
            case "create never answered, charged":
                ref = None
                acknowledged, doubted = set(), set(tokens)
                figures |= {"end": "failed"}
            case "refused":
                books -= Counter(last)
                acknowledged = earlier
                figures |= {"end": "denied"}
            case "failed before the report":
                books -= Counter(last)
                acknowledged = earlier
                figures |= {"reported": len(earlier), "end": "failed"}
            case "open":
                books -= Counter(last)
                acknowledged = earlier
                figures |= {"reported": len(earlier), "end": "open"}
            case "let pass":
                books -= Counter(last)
                acknowledged = earlier
                figures |= {"reported": len(earlier), "uncharged": len(last)}
        doubt = [(len(doubted), checksum(Counter(doubted)), "timeout")] if doubted else []
        figures |= {"acknowledged": len(acknowledged), "checksum": checksum(Counter(acknowledged))}
        figures |= {"doubt": len(doubted), "doubts": doubt}
        excused = {"refused", "failed before the report", "open", "let pass"}
        crossed = self.fate == "lost, and another one twice"
        bag = books_of_both if second else books
        self.expected = Counter(
            {
                "used": len(tokens),
                "debited": bag.total(),
                "charged": len(tokens) if crossed else len(bag),
                "lost": 0 if crossed or self.fate in excused else len(set(tokens) - set(bag) - doubted),
                "undelivered": len(doubted - set(bag)),
                "double_charged": 0 if crossed else sum(times - 1 for times in bag.values()),
                "misbooked": len(tokens) if crossed else 0,
                "doubted": len(doubted),
            }
        )
        smf = record(len(tokens), ref=ref, key=f"key-{self.name}", unit=self.unit, rg=self.rating_group, **figures)
        return [smf], [self.ledger_row(books), *([second] if second else [])]

    def ledger_row(self, books: Counter[Token]) -> Row:
        name = {"ref": f"ref-{self.name}", "key": f"key-{self.name}", "unit": self.unit, "rg": self.rating_group}
        return ledger(books.total(), checksum=checksum(books), **name)


FATES = [
    "charged", "lost", "lost, and another one twice", "twice",
    "twice, under a second reference", "doubt, charged", "doubt, not charged",
    "create never answered, charged", "refused", "failed before the report", "open", "let pass",
]  # fmt: skip


@st.composite
def fleets(draw: st.DrawFn) -> list[Session]:
    fates = draw(st.lists(st.sampled_from(FATES), max_size=12))
    return [
        Session(
            name=f"{index}",
            fate=fate,
            reports=draw(st.lists(st.integers(0, 9), min_size=1, max_size=4)),
            unit=draw(st.sampled_from(["totalVolume", "time"])),
            rating_group=draw(st.sampled_from([100, 300])),
        )
        for index, fate in enumerate(fates)
    ]


@given(fleet=fleets(), shuffled=st.randoms(use_true_random=False))
def test_the_audit_agrees_with_a_bag_of_tokens(fleet: list[Session], shuffled: Any) -> None:
    records: list[Row] = []
    rows: list[Row] = []
    expected: dict[str, Counter[str]] = {"totalVolume": Counter(), "time": Counter()}
    for session in fleet:
        smf, chf = session.rows()
        records += smf
        rows += chf
        expected[session.unit].update(session.expected)
    shuffled.shuffle(records)
    shuffled.shuffle(rows)
    audit = audited(records, rows)
    for name in ("used", "debited", "charged", "lost", "undelivered", "double_charged", "misbooked", "doubted"):
        found = getattr(audit, f"{name}_units")
        assert {unit: found.get(unit, 0) for unit in expected} == {u: sums[name] for u, sums in expected.items()}, name
    assert audit.sessions == len(fleet)
    wrong = sum(sums["lost"] + sums["double_charged"] + sums["misbooked"] for sums in expected.values())
    assert audit.balanced is (wrong == 0)
    assert set(audit.in_doubt_units.values()) <= {0}


def test_offenders_are_named_with_their_figures_up_to_a_bound() -> None:
    records = [record(10, ref=f"r{index}", key=f"imsi-{index}/1") for index in range(30)]
    rows = [ledger(10 if index % 2 else 4, ref=f"r{index}", key=f"imsi-{index}/1") for index in range(30)]
    audit = audited(records, rows, offences_listed=5)
    assert audit.offending == 15
    assert len(audit.offences) == 5
    offence = next(offence for offence in audit.offences if offence.key == "imsi-0/1")
    assert (offence.ref, offence.rating_group, offence.unit) == ("r0", 300, "totalVolume")
    assert (offence.used, offence.charged, offence.lost, offence.double_charged) == (10, 4, 6, 0)
    assert offence.why == "acknowledged by the CHF, but missing from its books"


@pytest.mark.parametrize("end", ["denied", "failed", "gone"])
def test_what_a_session_that_ended_badly_could_not_report_is_not_lost(end: str) -> None:
    audit = audited([record(10, reported=6, acknowledged=6, end=end)], [ledger(6)])
    assert audit.balanced
    assert audit.unreported_units == {"totalVolume": 4}
    assert audit.lost_units == {"totalVolume": 0}


def test_a_one_time_event_that_was_charged_again_on_its_repeat_is_a_double_charge() -> None:
    event = record(1, ref="second", key="imsi-1/42", unit="serviceSpecificUnits", rg=200, operation="IEC")
    rows = [ledger(1, ref=ref, key="imsi-1/42", unit="serviceSpecificUnits", rg=200) for ref in ("first", "second")]
    audit = audited([event], rows)
    assert audit.double_charged_units == {"serviceSpecificUnits": 1}
    assert "second reference" in audit.offences[0].why


def test_units_of_another_kind_do_not_make_up_for_each_other() -> None:
    audit = audited([record(10, unit="time")], [ledger(10, unit="totalVolume")])
    assert audit.lost_units == {"time": 10, "totalVolume": 0}
    assert audit.double_charged_units == {"time": 0, "totalVolume": 10}


def test_sessions_from_before_the_run_are_left_out() -> None:
    auditor = Auditor()
    auditor.exclude([ledger(500, ref="old", key="imsi-1/1")])
    auditor.add_records([record(10)])
    auditor.add_ledger([ledger(10), ledger(700, ref="old", key="imsi-1/1")])
    audit = auditor.finish()
    assert audit.balanced
    assert audit.debited_units == {"totalVolume": 10}


def test_without_a_ledger_nothing_is_called_balanced() -> None:
    audit = audited([record(10), record(6, ref=None, key="k2", acknowledged=0, doubt=6, end="failed")], [],
                    unverifiable="the ledger of this CHF cannot be read")  # fmt: skip
    assert not audit.verifiable
    assert audit.reason == "not verified against the CHF's books: the ledger of this CHF cannot be read"
    assert audit.balanced is False
    assert audit.unverified_units == {"totalVolume": 10}
    assert audit.in_doubt_units == {"totalVolume": 6}
    assert audit.lost_units == audit.double_charged_units == {"totalVolume": 0}


def test_all_acknowledged_without_a_ledger_is_neither_balanced_nor_wrong() -> None:
    assert audited([record(10)], [], unverifiable="no ledger").balanced is None


def test_a_restarted_sandbox_leaves_earlier_charges_unverified_and_still_finds_double_ones() -> None:
    records = [record(10), record(10, ref="r2", key="k2"), record(10, ref="r3", key="k3")]
    rows = [ledger(10, ref="r2", key="k2"), ledger(12, ref="r3", key="k3")]
    audit = audited(records, rows, unverifiable="the sandbox was restarted")
    assert audit.charged_units == {"totalVolume": 20}
    assert audit.unverified_units == {"totalVolume": 10}
    assert audit.lost_units == {"totalVolume": 0}
    assert audit.double_charged_units == {"totalVolume": 2}
    assert audit.balanced is False


def test_an_empty_reference_is_no_reference() -> None:
    assert audited([record(1, ref="")], [ledger(1, ref="", key="imsi-1/1")]).balanced


def test_a_run_without_sessions_balances() -> None:
    audit = audited([], [])
    assert audit.balanced
    assert audit.sessions == 0


def test_checksums_of_many_sessions_of_one_subscriber_add_up_beyond_what_a_database_holds() -> None:
    largest = (1 << 61) - 2
    parts = [record(1, ref=None, key="k", checksum=largest, end="failed") for _ in range(9)]
    rows = [ledger(1, ref=f"r{index}", key="k", checksum=largest) for index in range(9)]
    assert audited(parts, rows).balanced
    rows[0] |= {"checksum": largest - 1}
    assert audited(parts, rows).misbooked_units == {"totalVolume": 9}


@pytest.mark.parametrize("checksum", [None, -1, 1 << 61, "many", 1.5])
def test_a_checksum_that_is_missing_or_nonsense_is_no_evidence(checksum: Any) -> None:
    assert audited([record(10, checksum=12)], [ledger(10, checksum=checksum)]).balanced


def test_doubt_is_named_with_its_reason() -> None:
    doubts = [(2, 4, "timeout"), (1, 3, "unreadable"), (1, 3, "what is this")]
    figures = {"acknowledged": 6, "doubt": 4, "doubts": doubts, "checksum": 12, "end": "failed"}
    resolved = audited([record(10, **figures)], [ledger(8, checksum=16)])
    assert resolved.balanced
    reasons = {reason: sums["totalVolume"] for reason, sums in resolved.doubted_by_reason.items()}
    assert reasons == {"no answer": 1, "no answer in time": 2, "unreadable answer": 1}
    assert (resolved.undelivered_units, resolved.charged_units) == ({"totalVolume": 2}, {"totalVolume": 8})
    (offence,) = audited([record(10, **figures)], [], unverifiable="no ledger").offences
    assert offence.in_doubt == 4
    assert offence.doubts == {"no answer": 1, "no answer in time": 2, "unreadable answer": 1}
    assert "no answer in time, unreadable answer, no answer" in offence.why


def test_the_summary_is_plain_json() -> None:
    summary = audited([record(10)], [ledger(9)]).to_summary()
    assert json.loads(json.dumps(summary)) == summary
    assert summary["lost_units"] == {"totalVolume": 1}
    assert summary["offences"][0]["key"] == "imsi-1/1"


def test_rows_that_cannot_be_audited_are_named() -> None:
    with pytest.raises(AuditError, match=r"session record 2 .*'used'"):
        Auditor().add_records([record(1), {"ref": "r", "key": "k"}])
    with pytest.raises(AuditError, match=r"ledger row 1 .*'units'"):
        Auditor().add_ledger([{"ref": "r", "key": "k", "rg": 1, "unit": "time"}])
    for wrong in ({"ref": 7}, {"key": None}, {"units": "many"}, {"rg": 1.5}):
        with pytest.raises(AuditError, match="ledger row 1 cannot be audited"):
            Auditor().add_ledger([ledger(1) | wrong])
    with pytest.raises(AuditError, match="ledger row 1 has no 'ref'"):
        Auditor().exclude([{"accounts": []}])


def test_one_row_of_nonsense_does_not_cost_the_other_sessions_their_audit() -> None:
    audit = audited([record(10)], [ledger(10), ledger(2**64 - 1) | {"ref": "evil", "key": "imsi-9/9"}])
    assert audit.charged_units == {"totalVolume": 10}
    assert audit.offending == 1


def test_a_line_that_was_cut_off_by_the_writers_end_is_left_out() -> None:
    lines = [json.dumps(record(3)).encode() + b"\n", json.dumps(record(4)).encode()[:20]]
    assert [row["used"] for row in read_rows(lines)] == [3]


def test_a_broken_line_in_the_middle_is_an_error_with_its_number() -> None:
    with pytest.raises(AuditError, match="line 2 is no JSON"):
        list(read_rows([b"{}\n", b"{nonsense\n", b"{}\n"]))


def test_files_are_streamed() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b'{"used": 1}\n'

    assert next(read_rows(endless())) == {"used": 1}


def test_sessions_that_the_chf_gave_one_reference_cannot_be_verified() -> None:
    records = [record(100, key="imsi-1/1"), record(100, key="imsi-2/2"), record(100, ref="r2", key="imsi-3/3")]
    audit = audited(records, [ledger(200), ledger(100, ref="r2", key="imsi-3/3")])
    assert audit.sessions == 3
    assert audit.balanced is None
    assert "gave 1 ChargingDataRef to several sessions" in audit.reason
