"""A run's folder in which something is not as it was left: one line says what and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.report.files import write_reports
from simulator.report.run_folder import RunFolderError


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("manifest.json", '{"workers": "x"}', "manifest.json: workers: "),
        ("manifest.json", '{"workers": null}', "manifest.json: workers: "),
        ("manifest.json", '{"thresholds": 5}', "manifest.json: thresholds: "),
        ("manifest.json", '{"thresholds": [{"x": 1}]}', "manifest.json: thresholds: "),
        ("manifest.json", '{"thresholds": ["rm -rf"]}', 'manifest.json: thresholds: threshold "rm -rf", column 1: '),
        ("manifest.json", '{"targets": null}', "manifest.json: targets: "),
        ("manifest.json", '{"subscribers": "x"}', "manifest.json: subscribers: "),
        ("events.ndjson", "{}\n", "events.ndjson, line 1: at_s: "),
        ("events.ndjson", '{"at_s": 1, "text": "a"}\n{"at_s": "x", "text": "b"}\n', "events.ndjson, line 2: at_s: "),
        ("samples.ndjson", "{}\n", "samples.ndjson, line 1: at_s: "),
        ("samples.ndjson", '{"at_s": 1, "request": 5}\n', "samples.ndjson, line 1: request: "),
        ("summary.json", "{}", "summary.json: no summary of a run: "),
        ("summary.json", '{"operations": {}}', "summary.json: no summary of a run: "),
    ],
)
def test_what_is_not_as_a_run_leaves_it_is_named(tmp_path: Path, name: str, content: str, words: str) -> None:
    (tmp_path / "intervals.ndjson").touch()
    (tmp_path / name).write_text(content)
    with pytest.raises(RunFolderError, match=words):
        write_reports(tmp_path)


def test_headers_that_are_none_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "intervals.ndjson").touch()
    (tmp_path / "samples.ndjson").write_text(
        '{"at_s": 1, "response": {"headers": [1, ["a", "b"]]}, "request": {"headers": 7}}\n'
    )
    write_reports(tmp_path)
    assert "a: b" in (tmp_path / "report.html").read_text()


def test_a_folder_with_intervals_alone_is_enough_for_a_report(tmp_path: Path) -> None:
    (tmp_path / "intervals.ndjson").touch()
    assert write_reports(tmp_path).killed
    assert (tmp_path / "report.html").exists()
