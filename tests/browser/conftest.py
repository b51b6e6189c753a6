"""One browser for these tests, the system's Chromium, and a page of a run in it.

Not for the whole session: while it is there, playwright keeps an event loop running in which no other test could run its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from simulator.report.files import REPORT, write_reports
from tests.conftest import missing
from tests.report.folders import run_folder

EVENTS = (
    {"at_s": 2.25, "kind": "control", "text": "paused: no session begins (API)"},
    {"at_s": 2.4, "kind": "control", "text": "resumed (API)"},
    {"at_s": 6.0, "kind": "chf", "text": "CHF 1 (http://127.0.0.1:41234) is down: ConnectionRefused"},
)
SAMPLE = {
    "at_s": 3.1, "worker": 0, "operation": "update", "usage": "video", "subscriber": "imsi-001010000000007", "cause": "TIMEOUT",
    "status": None, "attempt": 1, "request": {"headers": [[":method", "POST"]], "body": '{"invocationSequenceNumber": 4}'},
    "response": None, "service_us": 2_000_000,
}  # fmt: skip

Open = Callable[..., Page]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        missing("Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run with events, failures and two engines."""
    folder = run_folder(tmp_path_factory.mktemp("run"), workers=2, failing=3, events=EVENTS, samples=(SAMPLE,))
    write_reports(folder)
    return folder / REPORT


@contextmanager
def pages(browser: Browser) -> Iterator[Open]:
    """Opens pages; whatever they complain of, or ask of anybody, fails the test."""
    contexts, complaints = [], []

    def open_page(file: Path, *, width: int = 1100, height: int = 900, **settings: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on(
            "request",
            lambda asked: asked.url.startswith(("file:", "data:", "blob:")) or complaints.append(asked.url),
        )
        page.goto(file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def opened(browser: Browser) -> Iterator[Open]:
    with pages(browser) as open_page:
        yield open_page


@pytest.fixture(scope="package")
def shown(browser: Browser, report: Path) -> Iterator[Page]:
    """The report, for tests that leave it as it is."""
    with pages(browser) as open_page:
        yield open_page(report)
