"""What `smfleet check` does: reads what was asked for, starts the sandbox if need be, shows and writes what came."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import anyio
import httpx
import orjson
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
from simulator.config import QUIRKS, load_profile
from simulator.config.errors import did_you_mean
from simulator.config.openapi import load_schemas
from simulator.http2 import Target, TargetError, client_tls
from simulator.run.embedded import SandboxFailedError, embedded_sandbox
from simulator.run.options import RunError

_UNREACHED: Final = Target(scheme="http", host="127.0.0.1", port=1)
"""Stands for the sandbox until it is known where that listens."""
_LOOP: Final = {"use_uvloop": sys.platform != "win32"}
_RICH: Final = 10**12
"""Of each balance: a check spends little."""


def chosen(patterns: list[str]) -> list[Case]:
    """The cases of these patterns. Raises RunError for one that has none."""
    for pattern in patterns:
        if not selected([pattern]):
            hint = did_you_mean(pattern, [case.id for case in catalogue()]) if "*" not in pattern else ""
            raise RunError(f'--case: no case "{pattern}"{hint if len(hint) < 100 else ""} (see --list)')
    return selected(patterns)


def show_cases(cases: list[Case], *, with_schemas: bool) -> None:
    """Print identifier, title and clause of each."""
    more = [(name, title, "TS 32.291 A.2") for name, title in SCHEMA_CASES.items()]
    Console().print(render_catalogue(cases, more if with_schemas else ()))


def settings(
    *,
    target: str | None,
    token: str,
    subscribers: dict[str, str | None],
    rating_groups: str | None,
    plmn: str,
    management: str | None,
    openapi: Path | None,
    timeout_s: float,
    idle_s: float,
) -> CheckSettings:
    """What was asked for. Raises RunError or ConfigError."""
    named: dict[str, Any] = {name: given for name, given in subscribers.items() if given is not None}
    return CheckSettings(
        target=_target(target),
        token=token,
        groups=_rating_groups(rating_groups),
        management=management or "",
        schema=None if openapi is None else load_schemas(openapi),
        timeout_s=timeout_s,
        idle_s=idle_s,
        **_plmn(plmn),
        **named,
    )


def check(
    settings: CheckSettings,
    cases: list[Case],
    *,
    embedded: bool,
    mimics: str | None,
    json_file: Path | None,
    junit_file: Path | None,
) -> bool:
    """Run the cases, print and write what came; whether there was no deviation. Raises RunError."""
    # Not asyncio's own loop: a connection that comes while a listener closes stays open there until it is collected.
    result = anyio.run(_checked, settings, cases, embedded, mimics, backend_options=_LOOP)
    with suppress(OSError):
        Console().print(render(result))
    _write(json_file, "--json", orjson.dumps(as_json(result), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    _write(junit_file, "--junit", as_junit(result))
    return result.passed


def mimicked(quirks: str | None, *, embedded: bool) -> str | None:
    """The preset that the sandbox is to mimic. Raises RunError."""
    if quirks is not None and not embedded:
        raise RunError("--quirks: only the embedded sandbox mimics another CHF, and --target names one")
    if quirks is not None and quirks not in QUIRKS:
        raise RunError(f'--quirks: no "{quirks}"{did_you_mean(quirks, QUIRKS)}')
    return quirks


def _target(url: str | None) -> Target:
    if url is None:
        return _UNREACHED
    try:
        return Target.parse(url)
    except ValueError as error:
        raise RunError(str(error)) from None


def token(variable: str | None, file: Path | None) -> str:
    """The bearer token, "" if there is none. Raises RunError."""
    if variable is not None and file is not None:
        raise RunError("--token-env and --token-file: only one of them")
    text = ""
    if variable is not None:
        text = os.environ.get(variable, "").strip()
        if not text:
            raise RunError(f"--token-env: the environment variable {variable} is empty or not there")
    elif file is not None:
        try:
            text = file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise RunError(f"--token-file {file}: {getattr(error, 'strerror', None) or 'not text'}") from None
        if not text:
            raise RunError(f"--token-file {file}: it is empty")
    if not text.isascii() or not text.isprintable():
        raise RunError("the token has characters that no header field has")
    return text


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


def secured(settings: CheckSettings, *, insecure: bool, **files: Path | None) -> CheckSettings:
    """The same with TLS, if the target has it. Raises RunError."""
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


async def _checked(settings: CheckSettings, cases: list[Case], embedded: bool, mimics: str | None) -> CheckResult:
    console = Console(stderr=True)
    with console.status("") as status:

        def show(result: CaseResult) -> None:
            status.update(f"{result.id}: {result.verdict}")

        try:
            if not embedded:
                return await run_checks(settings, cases, show)
            async with _sandbox(settings, mimics) as found:
                return await run_checks(found, cases, show)
        except (TargetError, SandboxFailedError) as error:
            raise RunError(str(error)) from None


@asynccontextmanager
async def _sandbox(settings: CheckSettings, mimics: str | None) -> AsyncIterator[CheckSettings]:
    """A sandbox that knows the subscribers of the check and no others, and answers by the book unless it is to mimic a CHF."""
    profile = load_profile("demo", ["pace=1x", "sandbox.unknown_subscriber=reject"])
    with tempfile.TemporaryDirectory(prefix="smfleet-check-") as folder:
        quirks: dict[str, Any] = {} if mimics is None else {"quirks": mimics}
        async with embedded_sandbox(profile, Path(folder), **quirks) as sandbox:
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
