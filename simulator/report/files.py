"""The files that a run's folder gets when the run is over, made from what the run left there."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

import orjson

from simulator.report.csv_file import intervals_csv
from simulator.report.hdr_log import write_hdr_log
from simulator.report.html import render_html
from simulator.report.junit import junit
from simulator.report.run_folder import SUMMARY, RunRecord, read_run

REPORT: Final = "report.html"
CSV: Final = "intervals.csv"
HDR_LOG: Final = "latency.hlog"
JUNIT: Final = "junit.xml"


def write_reports(folder: Path) -> RunRecord:
    """Write report.html, intervals.csv, latency.hlog and junit.xml anew, and summary.json where the run could not.

    Raises RunFolderError for a folder that is no run's, and OSError.
    """
    record = read_run(folder)
    if record.killed:
        (folder / SUMMARY).write_bytes(
            orjson.dumps(record.summary, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        )
    (folder / REPORT).write_text(render_html(record), "utf-8")
    (folder / CSV).write_text(intervals_csv(record.series), "utf-8")
    (folder / JUNIT).write_bytes(junit(record.summary))
    with (folder / HDR_LOG).open("w", encoding="utf-8") as out:
        write_hdr_log(out, _started_s(record), record.series)
    return record


def _started_s(record: RunRecord) -> float:
    try:
        return datetime.fromisoformat(str(record.summary["started_at"])).timestamp()
    except ValueError:
        return 0.0
