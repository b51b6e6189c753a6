"""A report in a real browser: drawn, explored, dark, small, printed, without script, and with hostile words in it."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import orjson
import pytest
from playwright.sync_api import Page

from simulator.report.capacity_html import write_capacity_report
from simulator.report.files import REPORT, write_reports
from tests.browser.conftest import Open
from tests.report.folders import run_folder
from tests.report.test_capacity_html import WHOLE

CHARTS = {
    "rate", "requests", "latency", "percentiles", "heat", "codes", "open", "sessions", "units", "connections", "cpu", "lag",
}  # fmt: skip
OVER_TIME = CHARTS - {"percentiles"}
HOSTILE = (
    "</script><script>window.pwned = 1</script>",
    "<img src=x onerror='window.pwned = 1'>",
    "\"><svg onload='window.pwned = 1'>",
    "<a href='javascript:window.pwned = 1'>more</a> ${window.pwned = 1} %{x}",
    "<!--<script>",
    "\u2028\u2029\u202e\x00\x07 $title",
    "Ä€😀" + "x" * 100_000,
)


def drawn(page: Page, name: str) -> list[dict[str, object]]:
    """The traces of a chart, as Plotly has drawn them."""
    traces: list[dict[str, object]] = page.evaluate(
        """(name) => document.getElementById("chart-" + name)._fullData
            .map((trace) => ({name: trace.name, type: trace.type, count: trace.y.length, first: trace.y.find((y) => y !== null),
                              colour: trace.line?.color}))""",
        name,
    )
    return traces


def paper(page: Page, name: str = "rate") -> str:
    colour: str = page.evaluate("(name) => document.getElementById('chart-' + name)._fullLayout.paper_bgcolor", name)
    return colour


def reach(page: Page, name: str) -> list[float]:
    """From where to where a chart goes, seconds."""
    ends: list[float] = page.evaluate(
        "(name) => document.getElementById('chart-' + name)._fullLayout.xaxis.range", name
    )
    return [round(end, 2) for end in ends]


def until(page: Page, condition: str) -> None:
    """Wait for it: the page forbids `eval`, which Playwright's own waiting needs."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(20)
    pytest.fail(f"{condition} does not come true")


def test_every_chart_is_drawn_with_its_data(shown: Page) -> None:
    page = shown
    assert {place.get_attribute("id") for place in page.locator(".chart").all()} == {f"chart-{name}" for name in CHARTS}
    for name in CHARTS:
        assert drawn(page, name), name
        assert all(trace["count"] and trace["first"] is not None for trace in drawn(page, name)), name
        assert page.locator(f"#chart-{name} .main-svg").count() >= 2, name
    assert [trace["name"] for trace in drawn(page, "rate")] == ["achieved", "offered", "intended"]
    assert {trace["name"] for trace in drawn(page, "cpu")} == {"engine 0", "engine 1"}


def test_whoever_points_at_a_chart_reads_the_figures_of_that_moment(shown: Page) -> None:
    page = shown
    area = page.locator("#chart-requests .nsewdrag").first
    area.scroll_into_view_if_needed()
    area.hover()
    page.locator("#chart-requests .hoverlayer .legend").wait_for()
    figures = page.locator("#chart-requests .hoverlayer").text_content() or ""
    assert re.search(r"\d s", figures)
    assert re.search(r"create : [\d.,k]+", figures)


def test_events_are_marked_and_those_that_would_cover_each_other_share_a_mark(shown: Page) -> None:
    page = shown
    for name in OVER_TIME:
        assert page.locator(f"#chart-{name} .annotation-text").all_text_contents() == ["drain", "1–2", "3"], name
    page.locator("#chart-rate .annotation", has_text="1–2").hover()
    hint = page.locator("#chart-rate .hovertext").text_content() or ""
    assert "paused: no session begins" in hint
    assert "resumed" in hint


def test_who_zooms_one_chart_over_time_sees_the_same_stretch_in_all(report: Path, opened: Open) -> None:
    page = opened(report)
    area = page.locator("#chart-rate .nsewdrag").first
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    until(page, "document.getElementById('chart-lag')._fullLayout.xaxis.range[0] > 1")
    assert reach(page, "rate") == [pytest.approx(2, abs=0.2), pytest.approx(6, abs=0.2)]
    assert {tuple(reach(page, name)) for name in OVER_TIME} == {tuple(reach(page, "rate"))}
    assert reach(page, "percentiles")[0] < 0.1
    page.locator("#latency-scale").select_option("linear")  # painted anew, it keeps its stretch
    assert reach(page, "latency") == reach(page, "rate")
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    assert box is not None
    page.mouse.dblclick(box["x"] + box["width"] * 0.3, box["y"] + box["height"] / 2)
    until(page, "document.getElementById('chart-lag')._fullLayout.xaxis.range[0] < 0.1")
    assert {tuple(reach(page, name)) for name in OVER_TIME} == {(0, 10)}


def test_the_choices_change_what_the_charts_show(report: Path, opened: Open) -> None:
    page = opened(report)
    before = drawn(page, "latency")
    page.locator("#latency-kind").select_option("queue")
    assert drawn(page, "latency")[0]["first"] != before[0]["first"]
    page.get_by_label("operation", exact=True).select_option("event")
    page.locator("#latency-scale").select_option("linear")
    assert page.evaluate("document.getElementById('chart-latency')._fullLayout.yaxis.type") == "linear"
    page.locator("#percentile-scale").select_option("log")
    assert page.evaluate("document.getElementById('chart-percentiles')._fullLayout.yaxis.type") == "log"
    assert {trace["name"] for trace in drawn(page, "percentiles")} == {"all", "create", "update", "release", "event"}
    assert page.evaluate("document.getElementById('chart-units')._fullLayout.yaxis.title.text") == "GB per second"


def test_it_is_dark_where_the_system_is_and_light_when_asked(report: Path, opened: Open) -> None:
    page = opened(report, color_scheme="dark")
    assert paper(page) == "#1b1e23"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 22, 26)"
    button = page.get_by_role("button", name="Change between light and dark colours")
    assert button.inner_text() == "Light"
    button.press("Enter")
    assert paper(page) == "#ffffff"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(252, 252, 251)"
    assert button.inner_text() == "Dark"
    system = opened(report)
    assert paper(system) == "#ffffff"
    system.emulate_media(color_scheme="dark")
    until(system, "document.getElementById('chart-lag')._fullLayout.paper_bgcolor === '#1b1e23'")


def test_a_phone_shows_it_without_scrolling_sideways(report: Path, opened: Open) -> None:
    page = opened(report, width=360, height=740, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    widths = page.evaluate("[...document.querySelectorAll('.chart .main-svg')].map((each) => each.clientWidth)")
    assert 250 < max(widths) <= 330
    assert page.evaluate("document.getElementById('chart-rate')._fullLayout.dragmode") is False


def test_printed_it_has_its_figures_and_charts_on_white(report: Path, opened: Open) -> None:
    page = opened(report, color_scheme="dark")
    octets = page.pdf(format="A4", print_background=True)
    pages = len(re.findall(rb"/Type /Page\b", octets))
    assert 4 <= pages <= 14
    assert vectors(octets) > 5_000  # the charts are drawn, not left out
    assert paper(page) == "#1b1e23"  # and dark again on the screen
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.set_viewport_size({"width": 680, "height": 900})
    assert paper(page) == "#ffffff"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("document.documentElement.scrollWidth") <= 680
    assert not page.locator("nav").is_visible()
    assert page.get_by_role("heading", name="demo: pass").is_visible()


def vectors(octets: bytes) -> int:
    """How many lines and curves a PDF draws."""
    count = 0
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", octets, re.DOTALL):
        try:
            count += len(re.findall(rb" [lc]\n", zlib.decompress(stream)))
        except zlib.error:
            continue
    return count


def test_without_script_the_tables_hold_the_figures(report: Path, opened: Open) -> None:
    page = opened(report, java_script_enabled=False)
    text = page.locator("main").inner_text()
    assert "The charts need JavaScript" in text
    assert not page.locator("figure").first.is_visible()
    for caption in (
        "Phases of the run",
        "Latencies of the steady phase",
        "Requests of the whole run by outcome",
        "Engines",
    ):
        assert page.get_by_role("region", name=caption).is_visible(), caption
    assert "is down: ConnectionRefused" in text


def test_it_can_be_walked_through_by_keyboard_and_its_links_lead_somewhere(shown: Page) -> None:
    page = shown
    page.evaluate("scrollTo(0, 0), document.activeElement.blur()")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the report"
    links = page.locator("nav a")
    assert links.count() >= 10
    for link in links.all():
        target = link.get_attribute("href")
        assert page.locator(str(target)).count() == 1
    unlabelled = page.evaluate("[...document.querySelectorAll('select')].filter((each) => !each.labels.length).length")
    assert unlabelled == 0


def test_hostile_words_of_a_chf_are_shown_and_never_executed(tmp_path: Path, opened: Open) -> None:
    folder = run_folder(
        tmp_path,
        events=tuple({"at_s": float(at), "kind": "note", "text": text} for at, text in enumerate(HOSTILE)),
        samples=tuple(
            {"at_s": 1.0, "operation": text, "subscriber": text, "cause": text, "status": text,
             "request": {"headers": [[text, text]], "body": text}, "response": {"headers": [], "body": text}}
            for text in HOSTILE
        ),
    )  # fmt: skip
    rows = []
    for octets in (folder / "intervals.ndjson").read_bytes().splitlines():
        row = orjson.loads(octets)
        for text in HOSTILE:
            row["counters"] |= {f"causes|{text}": 3, f"requests|update|{text}|failed": 3, f"result_codes|{text}": 9}
            row["histograms"][f"latency_us|response|update|{text}|failed"] = row["histograms"][
                "latency_us|response|release|browsing|ok"
            ]
        rows.append(orjson.dumps(row))
    (folder / "intervals.ndjson").write_bytes(b"\n".join(rows) + b"\n")
    (folder / "summary.json").unlink()
    manifest = orjson.loads((folder / "manifest.json").read_bytes())
    manifest |= {
        "profile_name": HOSTILE[0],
        "targets": list(HOSTILE),
        "command": list(HOSTILE),
        "started_at": HOSTILE[1],
    }
    (folder / "manifest.json").write_bytes(orjson.dumps(manifest))
    write_reports(folder)
    page = opened(folder / REPORT)
    for mark in page.locator("#chart-rate .annotation").all()[1:4]:
        mark.hover()
    page.locator("#chart-codes .nsewdrag").first.hover()
    page.locator("details").first.click()
    page.wait_for_timeout(100)
    assert page.evaluate("window.pwned") is None
    assert page.locator("main img, main .chart a, section script, main svg[onload]").count() == 0
    assert "<img src=x onerror='window.pwned = 1'>" in page.locator("main").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 1100
    assert (folder / REPORT).stat().st_size < 8_000_000


def test_the_curve_of_a_capacity_search_is_drawn(tmp_path: Path, opened: Open) -> None:
    page = opened(write_capacity_report(tmp_path, WHOLE))
    names = [trace["name"] for trace in drawn(page, "capacity")]
    assert names == ["p50", "p50", "p90", "p90", "p99", "p99", "response.event.p99 &lt; 50ms"]
    assert {trace["count"] for trace in drawn(page, "capacity")} == {4, 2}
    page.locator("#chart-capacity .nsewdrag").hover()
    assert page.get_by_role("heading", name="Capacity: busy-hour").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 1100
