"""`smfleet release-orphans`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic_core import PydanticCustomError

from simulator.config.quantities import SOME_RATE
from simulator.run.options import RunError

STILL_OPEN = 1
"""The exit code where some could not be released."""


def release_orphans_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that the run has left behind.")],
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="API root of the CHF that has the sessions; default: the run's. Once more for each of several."
        ),
    ] = None,
    rate: Annotated[str, typer.Option(help="Releases that are sent at most.")] = "200/s",
    force: Annotated[bool, typer.Option("--force", help="Although the run seems to be going still.")] = False,
    ca_file: Annotated[Path | None, typer.Option(help="Trust this CA for the CHF's certificate.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="Client certificate (PEM) for mutual TLS.")] = None,
    key: Annotated[Path | None, typer.Option(help="Key of the client certificate.")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Do not check the CHF's certificate.")] = False,
    codec: Annotated[str, typer.Option(help="HTTP/2 codec: ngh2 (fast) or h2 (portable).")] = "ngh2",
) -> None:
    """Release the sessions that a run left open at the CHF, because it was killed or its drain took too long.

    The Releases report no usage: what was used after the last report is not known. Say it again and it goes on where it was.
    """
    import asyncio  # noqa: PLC0415 - as all below it: other commands start as fast

    from simulator.run.releasing import ReleaseOptions, release_orphans  # noqa: PLC0415

    options = ReleaseOptions(
        folder=folder,
        targets=target or (),
        rate=_rate(rate),
        force=force,
        ca_file=ca_file,
        certificate=certificate,
        key=key,
        insecure=insecure,
        codec=codec,
    )
    done = asyncio.run(release_orphans(options, lambda text: print(f"smfleet: {text}", file=sys.stderr)))
    typer.echo(
        f"{done.released:,} released (without usage: what was used since the last report is not known), "
        f"{done.unknown:,} unknown to the CHF, {done.failed:,} failed"
    )
    if done.unknown and not done.released:
        typer.echo("the CHF knew none of them: is it the one that has them? Say it again with another --target")
    if done.unnamed:
        typer.echo(
            f"up to {done.unnamed:,} more may be open there, which nobody can name: "
            "the answer to their Create never came, or came when the run was killed"
        )
    if done.failed:
        typer.echo(f"the first that failed: {done.first_problem}; say it again to go on")
        raise typer.Exit(STILL_OPEN)


def _rate(text: str) -> float:
    try:
        return float(SOME_RATE.parse(text))
    except PydanticCustomError as error:
        raise RunError(f"--rate: {error.message()}") from None
