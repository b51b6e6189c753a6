"""`smfleet check`."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import anyio
import httpx
import orjson
import typer
from rich.console import Console

from simulator.check import (
    SCHEMA_CASES,
    Case,
    CaseResult,
    CheckResult,
    CheckSettings,
    RatingGroups,
    as_json,
    as_junit,
    catalogue,
    render,
    render_catalogue,
    run_checks,
    selected,
)
from simulator.config import load_profile
from simulator.config.errors import did_you_mean
from simulator.config.openapi import load_schemas
from simulator.http2 import Target, TargetError, client_tls
from simulator.run.embedded import SandboxFailedError, embedded_sandbox
from simulator.run.options import RunError

DEVIATION: Final = 1
_UNREACHED: Final = Target(scheme="http", host="127.0.0.1", port=1)
"""Stands for the sandbox until it is known where that listens."""
DEFAULTS: Final = CheckSettings(target=_UNREACHED)
_RICH: Final = 10**12
"""Of each balance: a check spends little."""


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
    subscriber: Annotated[str, typer.Option(help="A subscriber with credit.")] = DEFAULTS.subscriber,
    unknown_subscriber: Annotated[
        str, typer.Option(help="A subscriber that the CHF does not know.")
    ] = DEFAULTS.unknown_subscriber,
    broke_subscriber: Annotated[str, typer.Option(help="A subscriber without credit.")] = DEFAULTS.broke_subscriber,
    rating_groups: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="data=300,data2=310,voice=100,sms=200,unknown=999999, or some of them."),
    ] = None,
    plmn: Annotated[str, typer.Option(help="Home network, MCC-MNC.")] = "001-01",
    management: Annotated[
        str | None, typer.Option(metavar="URL", help="Management API that makes the CHF notify (POST /notify).")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, max=60, help="Seconds for one exchange.")] = DEFAULTS.timeout_s,
    idle: Annotated[
        float, typer.Option(min=0, max=3600, help="Seconds that a connection is left alone, to see if it is kept.")
    ] = DEFAULTS.idle_s,
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
    chosen = _chosen(cases or [])
    if list_cases:
        more = [(name, title, "TS 32.291 A.2") for name, title in SCHEMA_CASES.items()]
        Console().print(render_catalogue(chosen, () if cases else more))
        return
    settings = CheckSettings(
        target=_target(target),
        token=_token(token_env, token_file),
        subscriber=subscriber,
        unknown_subscriber=unknown_subscriber,
        broke_subscriber=broke_subscriber,
        groups=_rating_groups(rating_groups),
        management=management or "",
        schema=None if openapi is None else load_schemas(openapi),
        timeout_s=timeout,
        idle_s=idle,
        **_plmn(plmn),
    )
    settings = _secured(settings, ca_file=ca_file, certificate=certificate, key=key, insecure=insecure)
    result = anyio.run(_check, settings, chosen, target is None)
    with suppress(OSError):
        Console().print(render(result))
    _write(json_file, "--json", orjson.dumps(as_json(result), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    _write(junit_file, "--junit", as_junit(result))
    raise typer.Exit(0 if result.passed else DEVIATION)


def _chosen(patterns: list[str]) -> list[Case]:
    for pattern in patterns:
        if not selected([pattern]):
            hint = did_you_mean(pattern, [case.id for case in catalogue()]) if "*" not in pattern else ""
            raise RunError(f'--case: no case "{pattern}"{hint if len(hint) < 100 else ""} (see --list)')
    return selected(patterns)


def _target(url: str | None) -> Target:
    if url is None:
        return _UNREACHED
    try:
        return Target.parse(url)
    except ValueError as error:
        raise RunError(str(error)) from None


def _token(variable: str | None, file: Path | None) -> str:
    if variable is not None and file is not None:
        raise RunError("--token-env and --token-file: only one of them")
    token = ""
    if variable is not None:
        token = os.environ.get(variable, "").strip()
        if not token:
            raise RunError(f"--token-env: the environment variable {variable} is empty or not there")
    elif file is not None:
        try:
            token = file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise RunError(f"--token-file {file}: {getattr(error, 'strerror', None) or 'not text'}") from None
        if not token:
            raise RunError(f"--token-file {file}: it is empty")
    if not token.isascii() or not token.isprintable():
        raise RunError("the token has characters that no header field has")
    return token


def _rating_groups(text: str | None) -> RatingGroups:
    groups = RatingGroups()
    for part in (text or "").split(","):
        if not part.strip():
            continue
        name, _, number = (each.strip() for each in part.partition("="))
        if name not in RatingGroups.__slots__:
            raise RunError(f'--rating-groups: no "{name}"{did_you_mean(name, RatingGroups.__slots__)}')
        if not (number.isascii() and number.isdecimal() and int(number) < 1 << 32):
            raise RunError(f"--rating-groups: {name}: expected a number, such as 300")
        groups = replace(groups, **{name: int(number)})
    return groups


def _plmn(text: str) -> dict[str, Any]:
    mcc, _, mnc = text.partition("-")
    if not (text.isascii() and mcc.isdecimal() and mnc.isdecimal() and len(mcc) == 3 and len(mnc) in (2, 3)):
        raise RunError(f"--plmn {text}: expected MCC-MNC, such as 001-01")
    return {"mcc": mcc, "mnc": mnc}


def _secured(settings: CheckSettings, *, insecure: bool, **files: Path | None) -> CheckSettings:
    if settings.target.scheme != "https":
        named = [name for name, file in files.items() if file is not None] + ["insecure"] * insecure
        if named:
            raise RunError(f"--{named[0].replace('_', '-')}: needs a target with https://")
        return settings
    if insecure:
        print("smfleet: the CHF's certificate is not checked (--insecure)", file=sys.stderr)
    try:
        return replace(settings, tls=client_tls(**files, insecure=insecure))
    except (OSError, ValueError) as error:
        raise RunError(str(error)) from None


async def _check(settings: CheckSettings, cases: list[Case], embedded: bool) -> CheckResult:
    console = Console(stderr=True)
    with console.status("") as status:

        def show(result: CaseResult) -> None:
            status.update(f"{result.id}: {result.verdict}")

        try:
            if not embedded:
                return await run_checks(settings, cases, show)
            async with _sandbox(settings) as found:
                return await run_checks(found, cases, show)
        except (TargetError, SandboxFailedError) as error:
            raise RunError(str(error)) from None


@asynccontextmanager
async def _sandbox(settings: CheckSettings) -> AsyncIterator[CheckSettings]:
    """A sandbox that knows the subscribers of the check and no others, and answers Location by the book."""
    profile = load_profile("demo", ["pace=1x", "sandbox.unknown_subscriber=reject"])
    with tempfile.TemporaryDirectory(prefix="smfleet-check-") as folder:
        async with embedded_sandbox(profile, Path(folder), location="absolute") as sandbox:
            await _open_accounts(sandbox.management, settings)
            yield replace(settings, target=Target.parse(sandbox.n40), management=sandbox.management)


async def _open_accounts(management: str, settings: CheckSettings) -> None:
    balances = dict.fromkeys(("voice", "sms", "data", "money"), _RICH)
    async with httpx.AsyncClient(base_url=management, trust_env=False) as client:
        for subscriber, credit in ((settings.subscriber, balances), (settings.broke_subscriber, {})):
            answer = await client.post("/accounts", json={"subscriber": subscriber, "balances": credit})
            if not answer.is_success:
                raise RunError(f"the sandbox has no account for {subscriber}: {answer.text.strip()}")


def _write(path: Path | None, option: str, octets: bytes) -> None:
    if path is None:
        return
    try:
        path.write_bytes(octets)
    except OSError as error:
        raise RunError(f"{option} {path}: {error.strerror}") from None
