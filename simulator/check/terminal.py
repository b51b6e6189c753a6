"""What came of a check, for people: a table of the cases, then each deviation with its exchange."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from simulator.check.catalogue import Case
from simulator.check.verdicts import CaseResult, CheckResult, Exchange, Found, Verdict, shown_body
from simulator.http2 import Header

STYLES: Final = {Verdict.PASS: "green", Verdict.DEVIATION: "bold red", Verdict.NOT_SUPPORTED: "yellow"}
_MOST_LINES: Final = 24
"""Of one body; the JSON document has all of it."""
_UNINTERESTING: Final = frozenset({":scheme", ":authority", "accept", "date"})


def render(result: CheckResult) -> RenderableType:
    """The whole page; its layout follows the width of the console."""
    return _Page(result)


class _Page:
    def __init__(self, result: CheckResult) -> None:
        self._result = result

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield _table(self._result.cases)
        for case in self._result.cases:
            if case.found:
                yield Text()
                yield from _deviation(case, options.max_width)
        yield Text()
        yield _totals(self._result)


def render_catalogue(cases: Sequence[Case], more: Iterable[tuple[str, str, str]] = ()) -> RenderableType:
    """The cases that there are: identifier, title and clause."""
    table = _plain_table("case", "what is tried", "clause")
    for case in cases:
        table.add_row(case.id, case.title, case.clause)
    for row in more:
        table.add_row(*row)
    return table


def _plain_table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    first, *others = headings
    table.add_column(first, no_wrap=True)
    for heading in others:
        table.add_column(heading)
    return table


def _table(cases: Sequence[CaseResult]) -> RenderableType:
    table = _plain_table("result", "case", "what was tried")
    table.columns[1].no_wrap = True
    for case in cases:
        table.add_row(Text(case.verdict.value, STYLES[case.verdict]), case.id, _what(case))
    return table


def _what(case: CaseResult) -> Text:
    text = Text(case.title)
    if case.reason:
        text.append(f": {printable(case.reason)}", "yellow")
    return text


def _deviation(case: CaseResult, width: int) -> Iterator[RenderableType]:
    yield Text.assemble((case.id, "bold red"), f"  {case.title}")
    shown: list[Exchange] = []
    for found in case.found:
        yield Padding(_found(found), (0, 0, 0, 2))
        exchange = found.exchange
        if exchange is not None and not any(exchange is each for each in shown):
            shown.append(exchange)
    for exchange in shown:
        lines = exchange_text(exchange, brief=True, width=max(40, width - 4))
        yield Padding(Text(lines, "dim", overflow="fold"), (0, 0, 0, 4))


def _found(found: Found) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("clause", Text(found.clause))
    grid.add_row("expected", Text(found.expected))
    grid.add_row("found", Text(printable(found.found), "bold"))
    return grid


def _totals(result: CheckResult) -> Text:
    text = Text(f"{result.target}: {len(result.cases)} cases in {result.seconds:.1f} s: ")
    parts = []
    for verdict, (one, many) in {
        Verdict.PASS: ("passed", "passed"),
        Verdict.DEVIATION: ("deviation", "deviations"),
        Verdict.NOT_SUPPORTED: ("not supported", "not supported"),
    }.items():
        count = result.count(verdict)
        parts.append(Text(f"{count} {one if count == 1 else many}", STYLES[verdict] if count else ""))
    return text + Text(", ").join(parts)


def printable(text: str) -> str:
    """Text of a peer, without what a terminal would act on."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def exchange_text(exchange: Exchange, *, brief: bool = False, width: int = 0) -> str:
    """An exchange as text: `>` is what was sent, `<` what came. `brief` leaves out what is the same in all of them."""
    there, back = ("<", ">") if exchange.from_chf else (">", "<")
    lines = [f"{there} {line}" for line in _message(exchange.headers, exchange.body, brief, width)]
    if exchange.failure:
        lines.append(f"{back} no answer: {printable(exchange.failure)}")
    else:
        answer = exchange.answer_headers or [(b":status", str(exchange.status).encode())]
        lines += [f"{back} {line}" for line in _message(answer, exchange.answer_body, brief, width)]
    return "\n".join(lines)


def _message(headers: Sequence[Header], body: bytes, brief: bool, width: int) -> Iterator[str]:
    shown = dict(Exchange(headers=headers, body=b"").document()["request"]["headers"])
    first = [shown.pop(name) for name in (":method", ":path", ":status") if name in shown]
    yield printable(" ".join(first))
    for name, value in shown.items():
        if not (brief and name in _UNINTERESTING):
            yield printable(f"{name}: {value}")
    if body:
        yield from _body(body, brief, width)


def _body(body: bytes, brief: bool, width: int) -> Iterator[str]:
    text = shown_body(body)
    if not brief:
        yield text
        return
    with suppress(ValueError, RecursionError):  # what was shortened is no JSON
        text = json.dumps(json.loads(text), ensure_ascii=False)  # with spaces, at which it can be folded
    lines = textwrap.wrap(printable(text), max(20, width - 2), break_on_hyphens=False) or [""]
    yield from lines[:_MOST_LINES]
    if len(lines) > _MOST_LINES:
        yield f"… ({len(body):,} octets)"
