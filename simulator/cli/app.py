"""The commands, and the one place where an error becomes a line and an exit code."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from simulator import native
from simulator.cli import capacity, check, compare, orphans, plan, profiles, report, run, sandbox
from simulator.config import ConfigError
from simulator.run.options import InterruptedRunError, RunError
from simulator.version import __version__

CANNOT_RUN = 2
INTERRUPTED = 130

app = typer.Typer(
    name="smfleet",
    help="A fleet of virtual SMFs and PGWs that loads a charging function over N40, and proves that every unit was charged once.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run.run_command)
app.command("sandbox")(sandbox.sandbox_command)
app.command("capacity")(capacity.capacity_command)
app.command("check")(check.check_command)
app.command("report")(report.report_command)
app.command("compare")(compare.compare_command)
app.command("plan")(plan.plan_command)
app.command("release-orphans")(orphans.release_orphans_command)
app.add_typer(profiles.app, name="profiles")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"smfleet {__version__} ({native.state()})")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Options of the whole command."""


def _is_text(argument: str) -> bool:
    """Whether the system could decode an argument; what it could not is kept as surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in argument)


def main() -> None:
    """Run the command line; errors that a person can mend are lines on stderr, without a traceback."""
    if native.stale():
        print(f"smfleet: the hot path was {native.state()}", file=sys.stderr)
    strange = next((each for each in sys.argv if not _is_text(each)), None)
    if strange is not None:
        print(f"smfleet: {strange!a} is no text in the terminal's encoding", file=sys.stderr)
        sys.exit(CANNOT_RUN)
    try:
        app()
    except (ConfigError, RunError) as error:
        print(f"smfleet: {error}", file=sys.stderr)
        sys.exit(INTERRUPTED if isinstance(error, InterruptedRunError) else CANNOT_RUN)
    except BrokenPipeError:
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
