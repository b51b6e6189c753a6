"""`smfleet sandbox`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from simulator.config import QUIRKS, Quirks, load_faults, load_plan
from simulator.config.faults import MOST_ENDPOINTS
from simulator.config.model import message_of
from simulator.run.options import RunError
from simulator.sandbox.chf import LocationForm
from simulator.sandbox.process import Ready, SandboxError, SandboxSettings, run_sandbox


def sandbox_command(
    plan: Annotated[Path | None, typer.Option(help="Rating plan (YAML); default: the shipped one.")] = None,
    host: Annotated[str, typer.Option(help="Where N40 listens; 0.0.0.0 opens it to the network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port of N40; 0 takes a free one.")] = 8080,
    management_host: Annotated[str, typer.Option(help="Where the management API listens.")] = "127.0.0.1",
    management_port: Annotated[int, typer.Option(min=0, max=65_535, help="Port of the management API.")] = 8081,
    pace: Annotated[
        str, typer.Option(help="How fast session time passes for idle sessions: 1x, 60x, flat-out.")
    ] = "1x",
    location: Annotated[LocationForm, typer.Option(help="How Location names a session.")] = LocationForm.ABSOLUTE,
    certificate: Annotated[Path | None, typer.Option(help="Certificate (PEM): N40 over TLS.")] = None,
    key: Annotated[Path | None, typer.Option(help="Key of the certificate.")] = None,
    client_ca: Annotated[Path | None, typer.Option(help="Ask clients for a certificate of this CA.")] = None,
    ledger_folder: Annotated[
        Path | None, typer.Option(help="Keep the ledger of ended sessions in this folder.")
    ] = None,
    endpoints: Annotated[
        int, typer.Option(min=1, max=MOST_ENDPOINTS, help="N40 endpoints: the port and those that follow it.")
    ] = 1,
    separate_stores: Annotated[
        bool, typer.Option("--separate-stores", help="Accounts, sessions and books of its own for each endpoint.")
    ] = False,
    faults: Annotated[Path | None, typer.Option(help="What goes wrong (YAML): faults, and servers.")] = None,
    quirks: Annotated[str | None, typer.Option(help=f"Mimic a CHF of the field: {', '.join(QUIRKS)}.")] = None,
    seed: Annotated[int, typer.Option(help="Of all chance in the faults.")] = 1,
    require_tokens: Annotated[
        bool, typer.Option("--require-tokens", help="N40 needs a bearer token of /oauth2/token.")
    ] = False,
    lifetime: Annotated[str, typer.Option("--token-lifetime", help="How long a token is valid.")] = "1h",
    notify_host: Annotated[
        list[str] | None,
        typer.Option(help="A host, or network, that may be notified besides loopback; can be given several times."),
    ] = None,
) -> None:
    """Run the embedded charging function by itself, until Ctrl-C."""
    try:
        settings = SandboxSettings(
            plan=load_plan(plan),
            host=host,
            port=port,
            management_host=management_host,
            management_port=management_port,
            pace=pace,  # type: ignore[arg-type]  # pydantic reads the text
            location=location,
            certificate=certificate,
            key=key,
            client_ca=client_ca,
            ledger_folder=ledger_folder,
            endpoints=endpoints,
            stores="separate" if separate_stores else "shared",
            seed=seed,
            quirks=quirks or Quirks(),  # type: ignore[arg-type]  # pydantic reads the name
            tokens={"lifetime": lifetime} if require_tokens else None,  # type: ignore[arg-type]  # pydantic reads it
            notify_hosts=notify_host or [],
            **_read_faults(faults),
        )
        run_sandbox(settings, on_ready=_show)
    except ValidationError as error:
        first = error.errors()[0]
        raise RunError(f"sandbox: {'.'.join(map(str, first['loc']))}: {message_of(first)}") from None
    except SandboxError as error:
        raise RunError(str(error)) from None


def _read_faults(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    read = load_faults(file)
    return {"faults": read.faults, "servers": read.servers}


def _show(ready: Ready) -> None:
    with suppress(OSError):  # nobody reads it
        _say(ready)


def _say(ready: Ready) -> None:
    for address in ready.endpoints:
        typer.echo(f"N40         {address}/nchf-convergedcharging/v3/chargingdata")
    typer.echo(f"management  {ready.management}   (/accounts /sessions /totals /ledger /notify /faults /endpoints)")
    typer.echo(f"Charge it:  smfleet run --target {ready.n40} --ledger {ready.management}/ledger")
