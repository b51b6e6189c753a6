"""`smfleet check`: its options. The work is in `checking`, imported by the call, so that other commands start as fast."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEVIATION = 1
"""The exit code of a check that found one."""


def check_command(
    target: Annotated[
        str | None,
        typer.Option(help="Your CHF, http:// (prior knowledge) or https://; default: the embedded sandbox."),
    ] = None,
    cases: Annotated[
        list[str] | None, typer.Option("--case", metavar="PATTERN", help="Only these: create, grant.*, release.status.")
    ] = None,
    list_cases: Annotated[bool, typer.Option("--list", help="Show the cases and their clauses, and exit.")] = False,
    openapi: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Your copy of the 3GPP OpenAPI files: check every answer by them."),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all as JSON.")] = None,
    junit_file: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML.")] = None,
    subscriber: Annotated[
        str | None, typer.Option(help="A subscriber with credit; default: imsi-001010000000001.")
    ] = None,
    unknown_subscriber: Annotated[
        str | None, typer.Option(help="A subscriber that the CHF does not know; default: imsi-001019999999999.")
    ] = None,
    broke_subscriber: Annotated[
        str | None, typer.Option(help="A subscriber without credit; default: imsi-001010000000002.")
    ] = None,
    rating_groups: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="data=300, data2=310, voice=100, sms=200, unknown=999999, or some of them."),
    ] = None,
    quirks: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The sandbox mimics a CHF of the field: sigscale, free5gc, totogi."),
    ] = None,
    plmn: Annotated[str, typer.Option(help="Home network, MCC-MNC.")] = "001-01",
    management: Annotated[
        str | None, typer.Option(metavar="URL", help="Management API, as the sandbox has one: notify, balances.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, max=60, help="Seconds for one exchange.")] = 5.0,
    idle: Annotated[
        float, typer.Option(min=0, max=3600, help="Seconds that a connection is left alone, to see if it is kept.")
    ] = 2.0,
    ca_file: Annotated[Path | None, typer.Option(help="Trust this CA for the CHF's certificate.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="Client certificate (PEM) for mutual TLS.")] = None,
    key: Annotated[Path | None, typer.Option(help="Key of the client certificate.")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Do not check the CHF's certificate.")] = False,
    token_env: Annotated[
        str | None, typer.Option(metavar="NAME", help="Environment variable that holds a bearer token.")
    ] = None,
    token_file: Annotated[Path | None, typer.Option(help="File that holds a bearer token.")] = None,
) -> None:
    """Try a catalogue of N40 exchanges on your CHF, or on the embedded sandbox, and tell what deviates from the book."""
    from simulator.cli import checking  # noqa: PLC0415

    chosen = checking.chosen(cases or [])
    if list_cases:
        checking.show_cases(chosen, with_schemas=not cases)
        return
    settings = checking.settings(
        target=target,
        token=checking.token(token_env, token_file),
        subscribers={
            "subscriber": subscriber,
            "unknown_subscriber": unknown_subscriber,
            "broke_subscriber": broke_subscriber,
        },
        rating_groups=rating_groups,
        plmn=plmn,
        management=management,
        openapi=openapi,
        timeout_s=timeout,
        idle_s=idle,
    )
    settings = checking.secured(settings, ca_file=ca_file, certificate=certificate, key=key, insecure=insecure)
    mimics = checking.mimicked(quirks, embedded=target is None)
    passed = checking.check(
        settings, chosen, embedded=target is None, mimics=mimics, json_file=json_file, junit_file=junit_file
    )
    raise typer.Exit(0 if passed else DEVIATION)
