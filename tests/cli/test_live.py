from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from simulator.cli.live import LiveView, live_line, live_page
from simulator.cli.observers import LiveObserver
from simulator.measure import Recorder, Totals
from simulator.run.options import Progress
from simulator.run.wishes import Action, Wishes
from tests.report.examples import FACTS, SECOND, interval, totals


def under_load(**trouble: Any) -> Totals:
    """Twelve seconds of load, and not yet drained."""
    folded, recorder = Totals(), Recorder(t0=0)
    for second in range(1, 13):
        interval(recorder, second, draining=False, **trouble)
        folded.add(0, recorder.cut(second * SECOND))
    return folded


def shown(totals: Totals, elapsed_s: float = 12.2, width: int = 100) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(live_page(FACTS, totals, elapsed_s))
    return out.getvalue()


def test_the_page_shows_the_last_interval_and_the_whole_run() -> None:
    text = shown(under_load())
    assert "demo  steady  12.2 s, 17.8 s left" in text
    assert "325/s offered, 325/s achieved" in text
    assert "2,098 open" in text
    update = next(line.split() for line in text.splitlines() if line.startswith("update"))
    assert update[1:8] == ["2,000", "24,000", "100", "%", "480", "0", "2.38"]
    assert "QUOTA_LIMIT_REACHED 600" in text
    assert "SUCCESS " in text
    assert "42% of a core, loop lag 1.80 ms" in text


def test_trouble_is_visible_while_it_happens() -> None:
    text = shown(under_load(cpu=0.98, failing=4, dropped=40, waiting=800), width=140)
    assert "480 dropped (limit 480)" in text
    assert "TIMEOUT" in text
    assert "800 waiting for a stream" in text
    assert "strained" in text
    assert "strained" not in shown(under_load())


def test_the_drain_is_named() -> None:
    text = shown(totals(seconds=12), elapsed_s=14)
    assert "demo  drain" in text
    assert "no new sessions" in text
    assert "left" not in text


def chfs(count: int, **gauges: float) -> str:
    """What the page says about so many CHFs; gauges such as `chf_down_1`, of the last interval."""
    folded, recorder = Totals(), Recorder(t0=0)
    interval(recorder, 1, draining=False)
    for name, value in gauges.items():
        what, _, number = name.rpartition("_")
        recorder.gauge(f"{what}|{number}", value)
    recorder.counters["chf|2|requests"] = 70
    folded.add(0, recorder.cut(SECOND))
    facts = replace(FACTS, targets=tuple(f"http://chf-{number}" for number in range(1, count + 1)))
    out = io.StringIO()
    Console(file=out, width=200).print(live_page(facts, folded, 1.0))
    return next((line.rstrip() for line in out.getvalue().splitlines() if line.startswith("CHFs")), "")


def test_each_of_several_chfs_shows_its_state_and_what_it_gets() -> None:
    line = chfs(2, chf_down_1=1)
    assert line.endswith("1 http://chf-1 down, 0 req/s  2 http://chf-2 up, 70 req/s")


def test_one_chf_shows_only_when_something_is_the_matter() -> None:
    assert chfs(0) == chfs(1) == ""
    assert chfs(1, chf_down_1=1).endswith("1 http://chf-1 down")
    assert chfs(1, chf_spared_1=50).endswith("1 http://chf-1 up, wants 50 % less")


@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_page_fits(width: int) -> None:
    text = shown(under_load(cpu=0.98, failing=4, dropped=40, waiting=800), width=width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width


def test_before_the_first_interval_it_says_so() -> None:
    assert "starting" in shown(Totals(), elapsed_s=0.3)
    assert live_line(FACTS, Totals(), 0.3) == "0 s: starting"


def test_a_log_gets_one_line_with_the_same_figures() -> None:
    line = live_line(FACTS, under_load(failing=4, dropped=40), 12.2)
    assert line.startswith("12 s steady, 325/s offered, 285/s achieved, 2,098 sessions open, 2,570 req/s, success 99.")
    assert line.endswith("192 failed, 480 dropped, 17.8 s left")
    assert "\n" not in line


def test_a_run_without_a_planned_end_has_no_time_left() -> None:
    assert "left" not in live_line(replace(FACTS, planned_s=None), under_load(), 12.2)


def test_without_a_terminal_a_line_comes_every_five_seconds() -> None:
    out = io.StringIO()
    with LiveView(replace(FACTS, t0=1), under_load(), console=Console(file=out, width=40)) as view:
        for tenth in range(121):
            view.update(1 + tenth * SECOND // 10)
    lines = out.getvalue().splitlines()
    assert [line.split(" steady")[0] for line in lines] == ["0 s", "5 s", "10 s"]
    assert "\x1b" not in out.getvalue()


def test_on_a_terminal_the_page_is_redrawn_in_place_and_leaves_nothing_behind() -> None:
    out = io.StringIO()
    console = Console(file=out, width=100, height=40, force_terminal=True, color_system="standard")
    with LiveView(replace(FACTS, t0=1), under_load(), console=console) as view:
        for millisecond in range(0, 1_000, 50):
            view.update(1 + millisecond * SECOND // 1_000)
        drawn = out.getvalue().count("demo")
    assert drawn == 5
    assert out.getvalue().count("\x1b[?25h") == 1, "the cursor is given back"


def test_the_cursor_is_given_back_after_an_error() -> None:
    out = io.StringIO()
    with pytest.raises(KeyboardInterrupt), LiveView(FACTS, Totals(), console=Console(file=out, force_terminal=True)):
        raise KeyboardInterrupt
    assert "\x1b[?25h" in out.getvalue()


def test_keys_are_wishes_and_the_key_to_pause_is_the_one_to_resume() -> None:
    wishes = Wishes()
    observer = LiveObserver(Console(file=io.StringIO()), wishes)

    def pressed(keys: str) -> list[Action]:
        for key in keys:
            observer._on_key(key)
        found = []
        while (wish := wishes.take()) is not None:
            assert wish.by == "key"
            found.append(wish.action)
        return found

    assert pressed("p+=-nsqx?") == [
        Action.PAUSE, Action.FASTER, Action.FASTER, Action.SLOWER, Action.NEXT_STAGE, Action.STOP, Action.STOP,
    ]  # fmt: skip
    observer.tick(SECOND, Progress(paused=True))
    assert pressed("p") == [Action.RESUME]
    observer.tick(SECOND, Progress(paused=False))
    assert pressed("p") == [Action.PAUSE]
