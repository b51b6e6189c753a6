"""The terminal's page of a comparison."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from simulator.report import words
from simulator.report.compare import Comparison, Figure, Finding
from simulator.report.layout import below, bullets, columns

_STYLES: Final = {
    Finding.SAME: "dim", Finding.NOISE: "dim", Finding.TOO_FEW: "yellow", Finding.BETTER: "green",
    Finding.WORSE: "bold red", Finding.CHANGED: "yellow", Finding.SHOWN: "dim",
}  # fmt: skip
_MOST_NAMED: Final = 6


def render_comparison(comparison: Comparison) -> RenderableType:
    """What makes it doubtful, every figure, and the answer."""
    return Group(*_parts(comparison))


def answer(comparison: Comparison) -> str:
    """The comparison in one sentence."""
    worse, better = comparison.found(Finding.WORSE), comparison.found(Finding.BETTER)
    beyond = f"the tolerance of {100 * comparison.tolerance:g} %"
    if comparison.noise_known != "neither":
        beyond += " and noise"
    if worse:
        text = f"B is worse than A beyond {beyond} in {_named(worse)}"
    else:
        text = f"nothing is worse in B than in A beyond {beyond}"
    if better:
        text += f"; better in {_named(better)}"
    undecided = len(comparison.found(Finding.TOO_FEW))
    if undecided:
        text += f"; {undecided} changed, of too few independent requests to tell (longer runs do)"
    return text


def _parts(comparison: Comparison) -> Iterator[RenderableType]:
    yield Text.assemble(("A ", "bold"), comparison.a, "\n", ("B ", "bold"), comparison.b)
    if comparison.warnings:
        yield bullets(comparison.warnings)
    shown = [figure for figure in comparison.figures if figure.a or figure.b or figure.unit == "flag"]
    for group, figures in groupby(shown, key=lambda figure: figure.group):
        yield from below(_table(group, list(figures)))
    style = "bold red" if comparison.exit_code else "bold green"
    sentence = answer(comparison)
    yield from below(Text(sentence[0].upper() + sentence[1:] + ".", style))


def _table(group: str, figures: list[Figure]) -> Table:
    table = columns(group, "A", "B", "change", "noise")
    table.add_column("", no_wrap=True)
    for figure in figures:
        table.add_row(
            figure.name,
            _value(figure, figure.a),
            _value(figure, figure.b),
            _change(figure),
            "–" if figure.noise is None else f"±{_percent(figure.noise)}",
            Text(figure.finding, _STYLES[figure.finding]),
        )
    return table


def _value(figure: Figure, value: float | None) -> str:
    if figure.unit == "flag":
        return {True: "yes", False: "NO", None: "not known"}[None if value is None else bool(value)]
    if value is None:
        return "–"
    match figure.unit:
        case "us":
            return words.latency(value)
        case "share":
            return words.share(value, 1)
        case _:
            return words.count(value)


def _change(figure: Figure) -> str:
    if figure.unit == "flag" or figure.a is None or figure.b is None:
        return "–"
    if figure.change is None:
        return "from none"
    return f"{'+' if figure.change > 0 else '−' if figure.change < 0 else ''}{_percent(abs(figure.change))}"


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:,.0f} %" if percent >= 99.5 or not percent else f"{percent:.1f} %"


def _named(figures: list[Figure]) -> str:
    """The largest changes first."""
    ordered = sorted(figures, key=lambda figure: -abs(figure.change) if figure.change is not None else float("-inf"))
    shown = [
        f"{_place(each)} ({_change(each)})" if each.unit != "flag" else _place(each) for each in ordered[:_MOST_NAMED]
    ]
    more = len(figures) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _place(figure: Figure) -> str:
    return f"{figure.group} {figure.name}"
