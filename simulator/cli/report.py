"""`smfleet report`: what a run left behind, as a page, files and an exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report_command(
    folder: Annotated[Path, typer.Argument(help="What `smfleet run` left behind: runs/<time>-<profile>.")],
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="One line instead of the page.")] = False,
) -> None:
    """Report on a run again, also on one that was killed: its complete intervals are all there."""
    from simulator.cli.observers import PatientConsole  # noqa: PLC0415 - other commands start as fast without all this
    from simulator.report import one_line, render  # noqa: PLC0415
    from simulator.report.files import CSV, HDR_LOG, JUNIT, REPORT, write_reports  # noqa: PLC0415
    from simulator.report.run_folder import RunFolderError  # noqa: PLC0415
    from simulator.run.options import RunError  # noqa: PLC0415

    try:
        record = write_reports(folder)
    except RunFolderError as error:
        raise RunError(str(error)) from None
    except OSError as error:
        raise RunError(f"{error.filename or folder}: {error.strerror}") from None
    console = PatientConsole()
    if quiet:
        console.print(f"smfleet: {one_line(record.summary)}", soft_wrap=True, highlight=False)
    else:
        console.print(render(record.summary))
        console.print(f"\n{folder / REPORT}, {CSV}, {HDR_LOG}, {JUNIT}", soft_wrap=True, highlight=False)
    raise typer.Exit(int(record.summary["exit_code"]))
