"""`smfleet capacity`: its options. What it does is in `searching`, imported by the call."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

MOST_WORKERS = 256


def capacity_command(
    profile: Annotated[
        str | None,
        typer.Argument(help="A shipped profile (see `smfleet profiles`) or a file; its rate is what is searched."),
    ] = None,
    slos: Annotated[
        list[str] | None,
        typer.Option(
            "--slo",
            metavar="EXPR",
            help='What has to hold: "response.event.p99 < 100ms", "success >= 99.9%"; default: the profile\'s thresholds.',
        ),
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option(help="API root of your CHF, as in `smfleet run`; default: the sandbox.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="RATE", help="The first and lowest rate; default: an eighth of the profile's."),
    ] = None,
    highest: Annotated[str | None, typer.Option("--to", metavar="RATE", help="Go no higher.")] = None,
    resolution: Annotated[str, typer.Option(metavar="SHARE", help="How exactly the rate is searched.")] = "2%",
    step_time: Annotated[str, typer.Option(metavar="TIME", help="What each step measures, after its warm-up.")] = "30s",
    confirm_time: Annotated[
        str | None, typer.Option(metavar="TIME", help="What the last, confirming step measures; default: three steps.")
    ] = None,
    warmup: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Of each step, on top; default: the profile's, or a fifth of the step."),
    ] = None,
    cool_down: Annotated[str, typer.Option(metavar="TIME", help="Rest of the CHF between two steps.")] = "5s",
    confidence: Annotated[
        str, typer.Option(metavar="SHARE", help="With which a step has to be shown to hold, or to fail.")
    ] = "95%",
    looks: Annotated[
        int, typer.Option(min=1, max=10, help="How often a step that is not decided is made, each time twice as long.")
    ] = 3,
    most_steps: Annotated[int, typer.Option(min=2, max=1000, help="Steps at most.")] = 60,
    most_time: Annotated[str, typer.Option(metavar="TIME", help="Load and rests at most.")] = "4h",
    seed: Annotated[
        int | None, typer.Option(min=0, max=(1 << 62) - 1, help="Step n has this seed plus n; default: the profile's.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=MOST_WORKERS, help="Engine processes, one core each.")] = 1,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a field of the profile.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the result and the steps' records; default: runs/<time>-capacity-<profile>."),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Go on with the search in that folder, as it was asked for.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="The answer only.")] = False,
    ledger: Annotated[
        str | None, typer.Option(metavar="URL", help="Books of the CHF for the audit of each step.")
    ] = None,
    ca_file: Annotated[Path | None, typer.Option(help="Trust this CA for the CHF's certificate.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="Client certificate (PEM) for mutual TLS.")] = None,
    key: Annotated[Path | None, typer.Option(help="Key of the client certificate.")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Do not check the CHF's certificate.")] = False,
    codec: Annotated[str, typer.Option(help="HTTP/2 codec: ngh2 (fast) or h2 (portable).")] = "ngh2",
) -> None:
    """Search the highest rate that your CHF, or the embedded sandbox, holds.

    Exit codes: 0 found, 1 not even the lowest rate held, 2 could not run or not finished, 3 the generator was the limit,
    130 interrupted.
    """
    from simulator.cli import searching  # noqa: PLC0415

    if resume is not None:
        searching.refuse_with_resume(profile, slos, target, out)
        raise typer.Exit(searching.resume(resume, quiet=quiet))
    loaded = searching.loaded(profile, overrides or [])
    settings = searching.settings(
        loaded,
        start=start,
        highest=highest,
        resolution=resolution,
        step_time=step_time,
        confirm_time=confirm_time,
        cool_down=cool_down,
        looks=looks,
        most_steps=most_steps,
        most_time=most_time,
    )
    run_options = {
        "target": target or None,
        "workers": workers,
        "ledger": ledger,
        "ca_file": _text(ca_file),
        "certificate": _text(certificate),
        "key": _text(key),
        "insecure": insecure,
        "codec": codec,
    }
    raise typer.Exit(
        searching.search(
            loaded,
            settings,
            slos=slos or [],
            confidence=confidence,
            warmup=warmup,
            seed=seed,
            run_options=run_options,
            out=out,
            quiet=quiet,
        )
    )


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
