"""The audit's part of the terminal's page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from simulator.report import words
from simulator.report.layout import below, columns, indented

Json = Mapping[str, Any]

_COLUMNS: Final = (
    ("used", "used_units", ""),
    ("acknow-\nledged", "acknowledged_units", ""),
    ("in the\nbooks", "debited_units", ""),
    ("\nlost", "lost_units", "bold red"),
    ("charged\ntwice", "double_charged_units", "bold red"),
    ("in\ndoubt", "in_doubt_units", "yellow"),
)
_NEEDS_BOOKS: Final = ("debited_units", "lost_units", "double_charged_units")
_REMARKS: Final = (
    ("undelivered_units", "reported without an answer, and not charged"),
    ("unverified_units", "acknowledged, but not verified"),
    ("refused_units", "refused by the CHF or not taken by it, not charged"),
    ("unreported_units", "used in denied or failed sessions and never reported"),
    ("open_units", "used in sessions that were left open, not charged yet"),
    ("uncharged_units", "let pass without charging"),
)
_OFFENCES_SHOWN: Final = 5


def audit_page(audit: Json | None) -> Iterator[RenderableType]:
    """Both sides' books by unit type, the conclusion, and the first sessions that are wrong."""
    if audit is None:
        yield from below(Text("The run was not audited.", "yellow"))
        return
    if audit["used_units"]:
        table = columns("audit", *(heading for heading, _, _ in _COLUMNS))
        for unit in audit["used_units"]:
            table.add_row(words.unit(unit), *(_cell(audit, name, unit, style) for _, name, style in _COLUMNS))
        yield from below(table)
    yield from below(_conclusion(audit))
    yield from _misbooked(audit)
    for name, remark in _REMARKS:
        amounts = _amounts(audit[name])
        if amounts:
            yield indented(Text(f"{remark}: {amounts}", "yellow"))
    yield from _doubts(audit)
    yield from _offences(audit)


def _amounts(units: Mapping[str, int]) -> str:
    return ", ".join(words.named_amount(value, unit) for unit, value in units.items() if value)


def _misbooked(audit: Json) -> Iterator[RenderableType]:
    amounts = _amounts(audit["misbooked_units"])
    if amounts:
        text = (
            f"right in total, wrong in part: of {amounts} a report is missing from the books, and another one as large was "
            "charged twice; the two sums cannot tell how many units"
        )
        yield indented(Text(text, "bold red"))


def _doubts(audit: Json) -> Iterator[RenderableType]:
    """Why reports were in doubt, whatever became of them."""
    if not audit["doubted_by_reason"]:
        return
    reasons = "; ".join(f"{reason} {_amounts(units)}" for reason, units in audit["doubted_by_reason"].items())
    resolved = ", and resolved by the books" if audit["verifiable"] else ""
    yield indented(Text(f"in doubt at first{resolved}: {reasons}", "dim" if audit["verifiable"] else "yellow"))


def _cell(audit: Json, name: str, unit: str, style: str) -> Text:
    value = audit[name].get(unit, 0)
    if not value and name in _NEEDS_BOOKS and not audit["verifiable"]:
        return Text("–", "dim")
    return Text(words.amount(value, unit), style) if value else Text("0", "dim")


def _conclusion(audit: Json) -> Text:
    sessions = words.count(audit["sessions"])
    if audit["balanced"] and audit["charged_units"] != audit["used_units"]:
        return Text(f"Balanced: nothing that {sessions} sessions reported was lost or charged twice.", "bold green")
    if audit["balanced"]:
        return Text(f"Balanced: every unit of {sessions} sessions was charged exactly once.", "bold green")
    if audit["balanced"] is None:
        return Text(f"Nothing wrong in {sessions} sessions, but {audit['reason']}.", "yellow")
    wrong = words.count(audit["offending"])
    text = Text(f"Not balanced: {wrong} accounts of {sessions} sessions are wrong or in doubt.", "bold red")
    if audit["reason"]:
        text.append(f" Also {audit['reason']}.", style="not bold yellow")
    return text


def _offences(audit: Json) -> Iterator[RenderableType]:
    for offence in audit["offences"][:_OFFENCES_SHOWN]:
        wrong = {
            "lost": offence["lost"],
            "charged twice": offence["double_charged"],
            "booked wrongly": offence["misbooked"],
            "in doubt": offence["in_doubt"],
        }
        amounts = ", ".join(f"{words.amount(value, offence['unit'])} {word}" for word, value in wrong.items() if value)
        where = f"{offence['key']} rating group {offence['rating_group']}"
        used = words.amount(offence["used"], offence["unit"])
        yield indented(Text.assemble((where, "bold"), f": {amounts}, {used} used; {offence['why']}"))
    if audit["offending"] > _OFFENCES_SHOWN:
        yield indented(Text(f"and {words.count(audit['offending'] - _OFFENCES_SHOWN)} more", "dim"))
