"""`smfleet compare`: a run against a baseline, with an exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare_command(
    a: Annotated[
        Path, typer.Argument(metavar="A", help="The baseline: the folder of a run, or a summary.json that was kept.")
    ],
    b: Annotated[Path, typer.Argument(metavar="B", help="The run that is held against it, likewise.")],
    tolerance: Annotated[
        str, typer.Option(metavar="SHARE", help="Changes up to this do not count, however certain they are.")
    ] = "5%",
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all as JSON.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="One line instead of the page.")] = False,
) -> None:
    """Compare run B with baseline A: latencies, rates, failures, audit; each change is held against noise.

    A change counts if it is more than the tolerance, and more than chance.

    Percentiles have order-statistic bounds and shares binomial ones,
    widened by how the intervals vary: requests in one queue are slow together.
    That takes run folders; of two summary.json the tolerance decides alone.

    Exit code 0: nothing is worse; 1: something is; 2: not comparable.
    """
    import orjson  # noqa: PLC0415 - other commands start as fast without all this
    from pydantic_core import PydanticCustomError  # noqa: PLC0415

    from simulator.cli.observers import PatientConsole  # noqa: PLC0415
    from simulator.config.quantities import SHARE  # noqa: PLC0415
    from simulator.report.compare import NotComparableError, compare  # noqa: PLC0415
    from simulator.report.compare_page import answer, render_comparison  # noqa: PLC0415
    from simulator.report.run_folder import RunFolderError  # noqa: PLC0415
    from simulator.report.side import read_side  # noqa: PLC0415
    from simulator.run.options import RunError  # noqa: PLC0415

    try:
        comparison = compare(read_side(a), read_side(b), float(SHARE.parse(tolerance)))
    except PydanticCustomError as error:
        raise RunError(f"--tolerance: {error.message()}") from None
    except (RunFolderError, NotComparableError) as error:
        raise RunError(str(error)) from None
    if json_file is not None:
        try:
            json_file.write_bytes(
                orjson.dumps(comparison.to_json(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
            )
        except OSError as error:
            raise RunError(f"--json {json_file}: {error.strerror}") from None
    console = PatientConsole()
    if quiet:
        console.print(f"smfleet: {answer(comparison)}", soft_wrap=True, highlight=False)
    else:
        console.print(render_comparison(comparison))
    raise typer.Exit(comparison.exit_code)
