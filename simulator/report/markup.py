"""Pieces of a page: texts that cannot become markup, tables, lists, figures, charts and their controls, and the page itself."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from typing import Any, Final

import orjson

from simulator.report import words

Json = Mapping[str, Any]

_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, those that turn the direction of text, and halves of characters: a CHF's words may hold them all."""
LONGEST_TEXT: Final = 400
"""Characters of a name, a reason or an event."""


def printable(said: object, longest: int = LONGEST_TEXT) -> str:
    """What somebody else said, in a length and in characters that can be shown."""
    text = str(said)
    cut = text if len(text) <= longest else f"{text[:longest]}… ({len(text) - longest:,} characters more)"
    return _UNPRINTABLE.sub("\ufffd", cut)


def text(said: object, longest: int = LONGEST_TEXT) -> str:
    """The same as HTML."""
    return escape(printable(said, longest))


def styled(style: str, said: object) -> str:
    """Of a colour: good, bad, warn or note. The words say it too."""
    return f'<span class="{style}">{text(said)}</span>'


def flag(value: int, style: str = "bad") -> str:
    """A count that should be none."""
    return styled(style, words.count(value)) if value else "0"


def delay(microseconds: float | None) -> str:
    """A latency, or a dash."""
    return "–" if microseconds is None else text(words.latency(microseconds))


def anchor(title: str) -> str:
    """Where a section is found."""
    return title.lower().replace(" ", "-")


def section(title: str, content: str) -> str:
    """A part of the page."""
    return f'<section aria-labelledby="{anchor(title)}"><h2 id="{anchor(title)}">{text(title)}</h2>{content}</section>'


def table(caption: str, headings: Sequence[str], rows: Iterable[Sequence[str]], *, texts: Sequence[int] = ()) -> str:
    """Cells are HTML already; the first of a row names it; the columns in `texts` hold prose and may wrap. "" without rows."""
    body = "".join(f"<tr>{_cells('td', row, texts)}</tr>" for row in rows)
    if not body:
        return ""
    head = _cells("th", [text(heading) for heading in headings], texts)
    narrow = ' class="narrow"' if len(headings) <= 3 and not texts else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(caption)}"><table{narrow}>'
        f"<caption>{text(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cells(tag: str, row: Sequence[str], texts: Sequence[int]) -> str:
    def cell(place: int, content: str) -> str:
        kind = ' class="text"' if place in texts else ""
        if tag == "th":
            return f'<th scope="col"{kind}>{content}</th>'
        return f'<th scope="row"{kind}>{content}</th>' if place == 0 else f"<td{kind}>{content}</td>"

    return "".join(cell(place, content) for place, content in enumerate(row))


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and values, one below the other; values are HTML already."""
    return f'<dl class="facts">{"".join(f"<dt>{text(name)}</dt><dd>{value}</dd>" for name, value in pairs)}</dl>'


def figures(pairs: Iterable[tuple[str, str]]) -> str:
    """Large figures side by side; values are HTML already."""
    cards = "".join(f"<div><dt>{text(name)}</dt><dd>{value}</dd></div>" for name, value in pairs)
    return f'<dl class="figures">{cards}</dl>'


def hint(said: str) -> str:
    """An explanation in small."""
    return f'<p class="hint">{text(said)}</p>'


def chart(name: str, title: str, explained: str = "", controls: str = "", *, empty: str = "") -> str:
    """A frame that the script draws in; where there is nothing to draw, `empty` says so instead."""
    if empty:
        return f"<h3>{text(title)}</h3>{hint(empty)}"
    chosen = f'<div class="controls">{controls}</div>' if controls else ""
    return (
        f'<figure aria-labelledby="title-{name}"><figcaption><h3 id="title-{name}">{text(title)}</h3>'
        f"{hint(explained) if explained else ''}</figcaption>"
        f'{chosen}<div class="chart" id="chart-{name}" role="img" aria-label="Chart: {text(title)}"></div></figure>'
    )


def choice(name: str, label: str, options: Iterable[str], chosen: str = "") -> str:
    """A choice of what a chart shows."""
    shown = "".join(f"<option{' selected' if each == chosen else ''}>{text(each)}</option>" for each in options)
    return f'<span><label for="{name}">{text(label)}</label> <select id="{name}">{shown}</select></span>'


def page(*, title: str, top: str, parts: Iterable[tuple[str, str]], footer: str, data: Json) -> str:
    """The whole file: `top` and the parts that have content, with what the charts need."""
    assets = files("simulator.report") / "assets"
    shown = [(name, content) for name, content in parts if content]
    script = (assets / "report.js").read_text("utf-8")
    library, library_hash = _plotly()
    return Template((assets / "report.html").read_text("utf-8")).substitute(
        title=text(title),
        scripts=f"'sha256-{library_hash}' 'sha256-{_hash(script)}'",
        style=(assets / "report.css").read_text("utf-8"),
        navigation="".join(f'<a href="#{anchor(name)}">{text(name)}</a>' for name, _ in shown),
        content=top + "".join(section(name, content) for name, content in shown),
        footer=text(footer),
        data=_embedded(data),
        library=library,
        script=script,
    )


@cache
def _plotly() -> tuple[str, str]:
    """The library's own minified file, and its hash. A closing tag in one of its texts must not end the script."""
    octets = (files("plotly") / "package_data" / "plotly.min.js").read_bytes()
    library = octets.decode("utf-8").replace("</script", "<\\/script").replace("\r\n", "\n")
    return library, _hash(library)


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _embedded(document: Json) -> str:
    """JSON that cannot end the element it stands in, whatever a CHF called its causes."""
    return orjson.dumps(document).decode().replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
