"""The page of a run: what stands in it, and what a CHF cannot put into it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import orjson
import pytest

from simulator.report.html import render_html
from simulator.report.markup import LONGEST_TEXT, printable, table, text
from simulator.report.run_folder import RunRecord
from tests.report.folders import record

HOSTILE = "</script><img src=x onerror=alert(1)>\x00\u2028\u202e\ud800&amp; ${title} $$"


class Elements(HTMLParser):
    """Every element of a page with its attributes, and whether all that was opened was closed."""

    VOID = ("meta", "img", "br", "link")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def visible(page: str) -> str:
    return page.partition("<main")[2].partition("</main>")[0]


def embedded(page: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data: dict[str, object] = orjson.loads(found[1])
    return data


def test_the_page_is_whole_and_refers_to_nothing_outside(tmp_path: Path) -> None:
    page = render_html(record(tmp_path))
    parsed = Elements(page)
    assert parsed.open == []
    assert not [
        attributes for _, attributes in parsed.elements if {"src", "srcset", "data", "action"} & set(attributes)
    ]
    hrefs = [attributes["href"] for _, attributes in parsed.elements if "href" in attributes]
    assert all(str(href).startswith("#") for href in hrefs)
    names = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(names) == len(set(names))
    assert {str(href)[1:] for href in hrefs} <= set(names)


def test_only_its_own_scripts_may_run_and_nothing_may_be_fetched(tmp_path: Path) -> None:
    page = render_html(record(tmp_path))
    (policy,) = (attributes["content"] for tag, attributes in Elements(page).elements if attributes.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert policy.count("'sha256-") == 2
    assert "http" not in policy
    assert "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in policy.partition("style-src")[0]


def test_the_verdict_and_the_figures_come_first(tmp_path: Path) -> None:
    run = record(tmp_path, failing=30)
    main = visible(render_html(run))
    first = main[: main.index("<section")]
    assert f'demo: <span class="word">{run.summary["verdict"]}</span>' in first
    assert "success" in first
    assert all(text(why) in first for why in run.summary["why"])


def test_a_run_that_its_generator_limited_says_so_before_anything_else(tmp_path: Path) -> None:
    run = record(tmp_path)
    run.summary["generator"] |= {"limited": True, "reasons": ["the engine was busy"]}
    main = visible(render_html(run))
    assert main.index("The generator was the limit: do not judge the CHF") < main.index("<h1>")


def test_a_run_without_answers_has_words_in_place_of_empty_charts(tmp_path: Path) -> None:
    main = visible(render_html(record(tmp_path, steps=0, summary=False)))
    assert "Nothing was answered, so that there are no latencies." in main
    assert "No session was offered." in main
    assert 'class="chart"' not in main


@pytest.mark.parametrize("place", ["profile", "target", "why", "notes", "started_at", "version"])
def test_whatever_a_summary_says_stays_text(tmp_path: Path, place: str) -> None:
    run = record(tmp_path)
    run.summary[place] = [HOSTILE] if isinstance(run.summary[place], list) else HOSTILE
    harmless(run)


def test_whatever_a_chf_says_stays_text(tmp_path: Path) -> None:
    run = record(tmp_path)
    run.events = [{"at_s": 1.0, "text": HOSTILE}]
    message = {"headers": [[HOSTILE, HOSTILE]], "body": HOSTILE * 1_000}
    run.samples = [{"at_s": 1.0, "cause": HOSTILE, "status": HOSTILE, "request": message, "response": message}]
    run.manifest |= {"command": [HOSTILE], "machine": {HOSTILE: HOSTILE}, "run_id": HOSTILE}
    run.manifest["profile"] = {"load": {"stages": [{"name": HOSTILE}]}}
    for name in ("causes", "result_codes", "promises_broken"):
        run.summary[name] = {HOSTILE: 3}
    run.summary["usages"] = {HOSTILE: next(iter(run.summary["usages"].values()))}
    run.summary["sessions"]["failed_by_reason"] = {HOSTILE: 1}
    run.summary["arrivals"]["dropped_by_reason"] = {HOSTILE: 1}
    run.summary["chfs"][0]["target"] = HOSTILE
    run.summary["thresholds"][0] |= {"text": HOSTILE, "value": HOSTILE, "over": HOSTILE}
    run.summary["generator"]["notes"] = [HOSTILE]
    run.summary["audit"]["offences"] = [
        {"key": HOSTILE, "rating_group": 1, "unit": "time", "used": 1, "lost": 1, "double_charged": 0, "in_doubt": 0,
         "why": HOSTILE}
    ]  # fmt: skip
    for point in run.series:
        point.counters[f"causes|{HOSTILE}"] = 5
    harmless(run)


def harmless(run: RunRecord) -> None:
    page = render_html(run)
    page.encode("utf-8")
    parsed = Elements(page)
    assert parsed.open == []
    tags = [tag for tag, _ in parsed.elements]
    assert "img" not in tags
    assert tags.count("script") == 3
    assert not [attributes for _, attributes in parsed.elements if any(name.startswith("on") for name in attributes)]
    assert not set("\x00\u2028\u202e") & set(visible(page))
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "${title} $$" in page
    assert embedded(page)["t"]
    assert len(visible(page)) < 120_000


def test_long_texts_are_cut_and_say_how_much_is_missing() -> None:
    assert printable("a" * LONGEST_TEXT) == "a" * LONGEST_TEXT
    assert printable("a" * (LONGEST_TEXT + 1_234)) == "a" * LONGEST_TEXT + "… (1,234 characters more)"
    assert printable("tab\tline\nÄ€😀") == "tab\tline\nÄ€😀"
    assert text("<b>\x1b[31m") == "&lt;b&gt;\ufffd[31m"


def test_a_table_names_its_rows_and_columns_and_is_left_out_without_any() -> None:
    assert table("Nothing", ("a", "b"), []) == ""
    shown = table("Figures", ("a", "b"), [["1", "2"]])
    assert '<th scope="col">a</th>' in shown
    assert '<th scope="row">1</th><td>2</td>' in shown
    assert "<caption>Figures</caption>" in shown
    assert 'tabindex="0" role="region" aria-label="Figures"' in shown
