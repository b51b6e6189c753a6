"""The few shapes that the terminal's pages are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich import box
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text


def columns(first: str, *others: str) -> Table:
    """A table of one name column and many figure columns."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column(first, no_wrap=True)
    for heading in others:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def below(part: RenderableType) -> Iterator[RenderableType]:
    """The part, set off from what stands above by an empty line."""
    yield Text()
    yield part


def bullets(lines: Iterable[str]) -> RenderableType:
    """One dash and one hanging paragraph for each line."""
    grid = Table.grid(padding=(0, 1))
    for line in lines:
        grid.add_row("-", Text(line))
    return grid


def indented(text: Text) -> RenderableType:
    """A paragraph that hangs two columns in."""
    return Padding(text, (0, 0, 0, 2), expand=False)
