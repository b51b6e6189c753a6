"""`smfleet plan`: its options. The work is in `simulator.run.plan`, imported by the call so that other commands start fast."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer
from pydantic_core import PydanticCustomError
from rich.console import Console

from simulator.config.quantities import SOME_COUNT, SOME_DURATION, SOME_RATE, Quantity
from simulator.run.options import RunError

if TYPE_CHECKING:
    from simulator.config import Profile


def plan_command(
    profile: Annotated[str, typer.Argument(help="A shipped profile (see `smfleet profiles`) or a file.")],
    subscribers: Annotated[
        str | None,
        typer.Option(metavar="COUNT", help="Size of the population: 100M. Arrivals, or devices, scale with it."),
    ] = None,
    rate: Annotated[
        str | None, typer.Option(metavar="RATE", help="Session starts of them all, instead of the scaled rate: 60k/s.")
    ] = None,
    pace: Annotated[
        str | None, typer.Option(help="How fast sessions live: 1x is real time; default: the profile's.")
    ] = None,
    latency: Annotated[
        str, typer.Option(metavar="TIME", help="What the CHF is expected to take for an answer.")
    ] = "20ms",
    sample: Annotated[
        str | None,
        typer.Option(metavar="COUNT", help="Devices that are played; default: about 100,000 requests' worth."),
    ] = None,
    requests_per_core: Annotated[
        str | None, typer.Option(metavar="COUNT", help="Requests per CPU-second of one engine core; default: 16k.")
    ] = None,
    measured: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Take that figure from the folder of a run on your machine.")
    ] = None,
    utilisation: Annotated[
        float, typer.Option(min=0.05, max=1, help="How busy an engine core may be at the peak.")
    ] = 0.7,
    cores_per_machine: Annotated[int, typer.Option(min=1, max=1024, help="Cores for engines in a machine.")] = 16,
    seed: Annotated[
        int | None, typer.Option(min=0, max=(1 << 63) - 1, help="The same seed gives the same plan.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a field: --set load.rate=100/s")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all as JSON.")] = None,
) -> None:
    """Tell what a load would take: sessions, requests, bandwidth, connections, machines. Nothing is sent anywhere."""
    from simulator.cli.plan_page import render  # noqa: PLC0415
    from simulator.run.plan import PlanOptions, measured_per_core, plan  # noqa: PLC0415

    if measured is not None and requests_per_core is not None:
        raise RunError("--requests-per-core and --measured: only one of them")
    per_core = {}
    if measured is not None:
        per_core = {"requests_per_core": measured_per_core(measured), "origin": f"measured by the run in {measured}"}
    elif requests_per_core is not None:
        given = _number(SOME_COUNT, "--requests-per-core", requests_per_core)
        per_core = {"requests_per_core": given, "origin": "--requests-per-core"}
    options = PlanOptions(
        subscribers=_whole(_optional(SOME_COUNT, "--subscribers", subscribers)),
        rate_per_s=_optional(SOME_RATE, "--rate", rate),
        latency_s=_number(SOME_DURATION, "--latency", latency),
        sample=_whole(_optional(SOME_COUNT, "--sample", sample)),
        seed=seed,
        utilisation=utilisation,
        cores_per_machine=cores_per_machine,
        **per_core,  # type: ignore[arg-type]
    )
    result = plan(_profile(profile, overrides or [], pace), options)
    if json_file is not None:
        try:
            json_file.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        except OSError as error:
            raise RunError(f"--json {json_file}: {error.strerror}") from None
    with suppress(OSError):
        Console().print(render(result))


def _profile(name: str, overrides: list[str], pace: str | None) -> Profile:
    from simulator.config import load_profile  # noqa: PLC0415

    return load_profile(name, overrides if pace is None else [*overrides, f"pace={pace}"])


def _number(quantity: Quantity, option: str, text: str) -> float:
    try:
        return quantity.parse(text)
    except PydanticCustomError as error:
        raise RunError(f"{option}: {error.message()}") from None


def _optional(quantity: Quantity, option: str, text: str | None) -> float | None:
    return None if text is None else _number(quantity, option, text)


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
