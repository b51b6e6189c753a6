"""What a run left behind is read whatever happened to the run; what is no run's is refused in one line."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import orjson
import pytest

from simulator.measure import Histogram
from simulator.report.files import CSV, HDR_LOG, JUNIT, REPORT, write_reports
from simulator.report.run_folder import MOST_SAMPLES, RunFolderError, read_run, read_summary
from tests.report.folders import line, record, run_folder, snapshots


def append(file: Path, octets: bytes) -> None:
    with file.open("ab") as out:
        out.write(octets)


def test_a_run_that_ended_says_itself_what_it_was(tmp_path: Path) -> None:
    whole = record(tmp_path)
    assert not whole.killed
    assert whole.summary == orjson.loads((tmp_path / "summary.json").read_bytes())
    assert whole.totals.run.count("requests") == whole.summary["all"]["requests"]


def test_a_run_that_was_killed_reports_its_complete_intervals(tmp_path: Path) -> None:
    told = record(tmp_path / "a", steps=20).summary
    folder = run_folder(tmp_path / "b", steps=20, summary=False)
    append(folder / "intervals.ndjson", b'{"worker":0,"number":21,"start_s":10.0,"cou')
    killed = read_run(folder)
    assert killed.killed
    assert killed.summary["verdict"] == "could not run"
    assert killed.summary["exit_code"] == 2
    assert killed.summary["why"] == ["the run was killed: this covers its complete intervals, up to 10.0 s"]
    for figures in ("operations", "all", "usages", "rate", "result_codes", "phases"):
        assert killed.summary[figures] == told[figures]
    assert killed.summary["seed"] == 7
    assert killed.summary["thresholds"][0]["ok"] is True


def test_several_workers_of_a_killed_run_are_added_up(tmp_path: Path) -> None:
    one = record(tmp_path / "one", summary=False)
    two = record(tmp_path / "two", workers=2, summary=False)
    assert two.summary["all"]["requests"] == 2 * one.summary["all"]["requests"]
    assert [engine["worker"] for engine in two.summary["engines"]] == [0, 1]
    assert two.summary["duration_s"] == one.summary["duration_s"] == 10.0


def test_without_its_manifest_a_killed_run_has_its_figures_and_no_names(tmp_path: Path) -> None:
    killed = record(tmp_path, manifest=False, summary=False)
    assert killed.summary["all"]["requests"] > 0
    assert killed.summary["profile"] == killed.summary["target"] == "unknown"
    write_reports(tmp_path)


def test_a_run_that_was_killed_before_its_first_interval_has_a_report_as_well(tmp_path: Path) -> None:
    run_folder(tmp_path, steps=0, summary=False)
    write_reports(tmp_path)
    page = (tmp_path / REPORT).read_text()
    assert "No session was offered." in page
    assert 'id="chart-' not in page.split("<script", 1)[0]


def test_the_files_of_a_killed_run_are_all_written(tmp_path: Path) -> None:
    write_reports(run_folder(tmp_path, summary=False))
    assert orjson.loads((tmp_path / "summary.json").read_bytes())["verdict"] == "could not run"
    suite = ET.parse(tmp_path / JUNIT).getroot()[0]
    assert suite.get("errors") == "1"
    assert all((tmp_path / name).stat().st_size > 500 for name in (REPORT, CSV, HDR_LOG))


def test_a_run_that_went_on_after_somebody_had_asked_is_read_anew(tmp_path: Path) -> None:
    before = write_reports(run_folder(tmp_path, steps=10, summary=False)).summary
    for worker, snapshot in list(snapshots(12))[10:]:
        append(tmp_path / "intervals.ndjson", line({"worker": worker, **snapshot.to_wire()}))
    after = write_reports(tmp_path)
    assert after.killed
    assert after.summary["all"]["requests"] > before["all"]["requests"]


def test_a_last_line_that_was_cut_off_is_left_out_of_events_and_samples(tmp_path: Path) -> None:
    run_folder(tmp_path, events=({"at_s": 1.5, "kind": "chf", "text": "CHF 1 is down"},), samples=({"at_s": 2.0},))
    append(tmp_path / "events.ndjson", b'{"at_s": 3.')
    append(tmp_path / "samples.ndjson", b'{"at_s": 3.0, "bo')
    read = read_run(tmp_path)
    assert [event["text"] for event in read.events] == ["CHF 1 is down"]
    assert len(read.samples) == 1


def test_only_so_many_samples_are_held_and_the_others_counted(tmp_path: Path) -> None:
    read = record(tmp_path, samples=tuple({"at_s": float(at)} for at in range(MOST_SAMPLES + 12)))
    assert [sample["at_s"] for sample in read.samples] == list(range(MOST_SAMPLES))
    assert read.more_samples == 12


def interval(**change: Any) -> bytes:
    _, snapshot = next(snapshots(1))
    return line({"worker": 0, **snapshot.to_wire(), "number": 99} | change)


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("intervals.ndjson", b"{]\n", "intervals.ndjson, line 21: not JSON"),
        ("intervals.ndjson", b"[1]\n", "intervals.ndjson, line 21: expected a JSON object"),
        ("intervals.ndjson", b"{}\n", "intervals.ndjson, line 21: no interval of a run: KeyError: 'worker'"),
        ("intervals.ndjson", interval(gauges={"x": [1]}), "intervals.ndjson, line 21: no interval of a run: ValueError"),
        ("intervals.ndjson", interval(number=3), "intervals.ndjson, line 21: worker 0 sent interval 3 after 20"),
        ("intervals.ndjson", b'{"worker": NaN}\n', "intervals.ndjson, line 21: not JSON"),
        ("events.ndjson", b'{"at_s": "soon", "text": ""}\n', "events.ndjson, line 1: at_s: expected float, got 'soon'"),
        ("events.ndjson", b'{"at_s": 1}\n', "events.ndjson, line 1: text: expected str, got None"),
        ("events.ndjson", b"oops\n{}\n", "events.ndjson, line 1: not JSON"),
        ("samples.ndjson", b'{"at_s": 1}\n{}\n', "samples.ndjson, line 2: at_s: expected float, got None"),
    ],
)  # fmt: skip
def test_a_wrong_line_is_named_with_its_file_and_number(
    tmp_path: Path, file: str, content: bytes, expected: str
) -> None:
    run_folder(tmp_path)
    append(tmp_path / file, content)
    assert expected in refused(lambda: read_run(tmp_path))


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("manifest.json", b"{", "manifest.json: not JSON"),
        ("manifest.json", b"[]", "manifest.json: expected a JSON object"),
        ("manifest.json", b'{"thresholds": ["response.p98 < 1ms"]}', "manifest.json: thresholds: "),
        ("manifest.json", b'{"thresholds": [7]}', "manifest.json: thresholds: "),
        ("manifest.json", b'{"workers": "two"}', "manifest.json: workers: expected a number from 1, got 'two'"),
        ("manifest.json", b'{"targets": 5}', "manifest.json: targets: expected a list, got 5"),
        ("summary.json", b"", "summary.json: not JSON"),
        ("summary.json", b'{"profile": "demo"}', "summary.json: no summary of a run: 'verdict' is missing"),
    ],
)  # fmt: skip
def test_a_wrong_document_is_named(tmp_path: Path, file: str, content: bytes, expected: str) -> None:
    run_folder(tmp_path, summary=False)
    (tmp_path / file).write_bytes(content)
    assert expected in refused(lambda: read_run(tmp_path))


def test_a_folder_that_is_no_runs_is_refused(tmp_path: Path) -> None:
    assert "no records of a run here (intervals.ndjson is missing)" in refused(lambda: read_run(tmp_path))
    assert "No such file" in refused(lambda: read_summary(tmp_path / "summary.json"))


def refused(read: Callable[[], object]) -> str:
    with pytest.raises(RunFolderError) as error:
        read()
    assert "\n" not in str(error.value)
    return str(error.value)


def repeated(folder: Path, *, steps: int, workers: int = 1, latencies: int = 75) -> None:
    """Half a second of some 600 requests a second of each worker, over and over."""
    with (folder / "intervals.ndjson").open("wb") as out:
        wires = []
        for _, snapshot in snapshots(1, workers):
            snapshot.histograms = {}
            for kind in ("queue", "service", "response"):
                for operation in ("create", "update", "release", "event"):
                    histogram = snapshot.histograms[f"latency_us|{kind}|{operation}|browsing|ok"] = Histogram()
                    histogram.record_many([300 + value * value for value in range(latencies)])
            wires.append(snapshot.to_wire())
        for step in range(steps):
            at = {"number": step + 1, "start_s": step / 2, "end_s": step / 2 + 0.5}
            for worker, wire in enumerate(wires):
                out.write(line({"worker": worker} | wire | at))


def test_an_hour_of_two_workers_is_read_in_bounded_memory_and_in_seconds(tmp_path: Path) -> None:
    repeated(run_folder(tmp_path, steps=1, workers=2), steps=7_200, workers=2)
    began = time.process_time()
    write_reports(tmp_path)
    assert time.process_time() - began < 30  # a few seconds on a machine of its own
    assert (tmp_path / REPORT).stat().st_size < 8_000_000
    assert (tmp_path / HDR_LOG).stat().st_size < 8_000_000
    assert len((tmp_path / CSV).read_text().splitlines()) == 451


def test_memory_does_not_grow_with_the_length_of_a_run(tmp_path: Path) -> None:
    def peak(steps: int) -> int:
        repeated(run_folder(tmp_path, steps=1), steps=steps, latencies=20)
        tracemalloc.start()
        read_run(tmp_path)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    assert peak(2_400) < 1.1 * peak(600)
