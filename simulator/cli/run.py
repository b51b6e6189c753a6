"""`smfleet run`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import orjson
import typer
from pydantic_core import PydanticCustomError

from simulator.cli.observers import LiveObserver, PatientConsole
from simulator.config.quantities import SHARE
from simulator.report import junit
from simulator.report.terminal import render
from simulator.run import run
from simulator.run.limits import MOST_WORKERS
from simulator.run.options import Observer, RunError, Silence
from simulator.run.wishes import Wishes

RUNS = Path("runs")
"""Where runs leave their records by default, below the working directory."""


def run_command(
    profile: Annotated[str, typer.Argument(help="A shipped profile (see `smfleet profiles`) or a file.")] = "demo",
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="API root of your CHF, http:// (prior knowledge) or https://; default: the sandbox. Once more for each CHF to "
            "fail over to, in order of priority."
        ),
    ] = None,
    duration: Annotated[str | None, typer.Option(metavar="TIME", help="How long load is offered: 30s, 5m, 1h.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=(1 << 63) - 1, help="The same seed gives the same traffic.")
    ] = None,
    workers: Annotated[
        str,
        typer.Option(metavar="N", help="Engine processes, one core each; auto: as many as there are cores for them."),
    ] = "1",
    thresholds: Annotated[
        list[str] | None,
        typer.Option(
            "--threshold", metavar="EXPR", help="Besides the profile's: 'response.update.p99 < 50ms over 10s abort'."
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a field: --set load.rate=100/s")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for what the run leaves behind; default: runs/TIME-PROFILE."),
    ] = None,
    trace: Annotated[
        list[str] | None,
        typer.Option(metavar="IMSI", help="Write down one subscriber's call flow: imsi-001010000000001; repeatable."),
    ] = None,
    no_records: Annotated[bool, typer.Option("--no-records", help="Leave nothing behind.")] = False,
    summary_json: Annotated[Path | None, typer.Option(help="Write the summary as JSON; - is stdout.")] = None,
    junit_file: Annotated[Path | None, typer.Option("--junit", help="Write the judgements as JUnit XML.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No live view; one line at the end.")] = False,
    ledger: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Books of the CHF for the audit: /ledger of a sandbox's management API."),
    ] = None,
    ca_file: Annotated[Path | None, typer.Option(help="Trust this CA for the CHF's certificate.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="Client certificate (PEM) for mutual TLS.")] = None,
    key: Annotated[Path | None, typer.Option(help="Key of the client certificate.")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Do not check the CHF's certificate.")] = False,
    conformance: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Check this share of the answers against the book: 1%.")
    ] = None,
    openapi: Annotated[
        Path | None, typer.Option(metavar="DIR", help="With --conformance: by your copy of the 3GPP OpenAPI files too.")
    ] = None,
    management_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65_535, help="Ask and change the run over HTTP on the loopback: GET /run; 0 chooses a port."
        ),
    ] = None,
    codec: Annotated[str, typer.Option(help="HTTP/2 codec: ngh2 (fast) or h2 (portable).")] = "ngh2",
) -> None:
    """Run a profile against your CHF, or against the embedded sandbox."""
    if no_records and out is not None:
        raise RunError("--no-records: leaves nothing for --out to keep")
    if no_records and trace:
        raise RunError("--no-records: leaves no place for --trace")
    to_stdout = summary_json is not None and str(summary_json) == "-"
    for option, file in (("--summary-json", None if to_stdout else summary_json), ("--junit", junit_file)):
        if file is not None:
            _check_writable(option, file)
    if insecure:
        print("smfleet: the CHF's certificate is not checked (--insecure)", file=sys.stderr)
    console = PatientConsole(stderr=to_stdout)
    wishes = Wishes()
    observer: Observer = Silence() if quiet else LiveObserver(console, wishes)
    result = run(
        profile,
        target=target,
        overrides=overrides or (),
        duration=duration,
        seed=seed,
        workers=_workers(workers),
        thresholds=thresholds or (),
        out=out,
        runs=None if no_records else RUNS,
        command=sys.argv,
        traces=trace or (),
        ledger=ledger,
        ca_file=ca_file,
        certificate=certificate,
        key=key,
        insecure=insecure,
        codec=codec,
        conformance=_share(conformance, openapi),
        openapi=openapi,
        handle_signals=True,
        wishes=wishes,
        management_port=management_port,
        observer=observer,
    )
    if not quiet:
        with suppress(OSError):
            console.print(render(result.summary))
            if result.folder is not None:
                console.print(f"records: {result.folder}", highlight=False, soft_wrap=True)
    else:
        print(f"smfleet: {result.line}", file=sys.stderr)
    if result.unwritten:
        print(f"smfleet: {result.unwritten}", file=sys.stderr)
    if junit_file is not None:
        _write("--junit", junit_file, junit(result.summary))
    if summary_json is not None:
        octets = orjson.dumps(result.summary, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        if to_stdout:
            with suppress(BrokenPipeError):
                _write_all(octets)
        else:
            _write("--summary-json", summary_json, octets)
    raise typer.Exit(result.exit_code)


def _share(conformance: str | None, openapi: Path | None) -> float:
    """The share of answers to check; where files are given, 1 % by default."""
    if conformance is None:
        return 0.0 if openapi is None else 0.01
    try:
        return float(SHARE.parse(conformance))
    except PydanticCustomError as error:
        raise RunError(f"--conformance: {error.message()}") from None


def _write_all(octets: bytes) -> None:
    """To stdout, which may take it in pieces."""
    left = memoryview(octets)
    while left:
        left = left[os.write(1, left) :]


def _workers(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= MOST_WORKERS:
        raise RunError(f"--workers: expected a number from 1 to {MOST_WORKERS}, or auto, got {text!r}")
    return int(text)


def _write(option: str, path: Path, octets: bytes) -> None:
    try:
        path.write_bytes(octets)
    except OSError as error:
        raise RunError(f"{option} {path}: {error.strerror}") from None


def _check_writable(option: str, path: Path) -> None:
    """Fail before the run rather than after it."""
    is_new = not path.exists()
    try:
        with path.open("ab"):
            pass
        if is_new:
            path.unlink()
    except OSError as error:
        raise RunError(f"{option} {path}: {error.strerror}") from None
