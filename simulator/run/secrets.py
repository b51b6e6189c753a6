"""What must not be written down: credentials in command lines, in profiles' headers and in URLs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from simulator.http2 import REMOVED, is_secret_name, without_credentials

_PLACES = ("env", "file")
"""Of a secret: these say where it is, not what it is."""


def command_without_secrets(arguments: Sequence[str]) -> list[str]:
    """A command line with the values of tokens and passwords replaced, and without users in URLs."""
    shown: list[str] = []
    value_is_secret = False
    for argument in arguments:
        if value_is_secret:
            shown.append(REMOVED)
            value_is_secret = False
            continue
        name, equals, _ = argument.removeprefix("--set=").partition("=")
        if not equals:
            value_is_secret = argument.startswith("--") and is_secret_name(argument)
            shown.append(without_credentials(argument))
        elif _names_a_secret(name) or _holds_a_secret(argument):
            shown.append(argument[: len(argument) - len(argument.removeprefix("--set="))] + f"{name}={REMOVED}")
        else:
            shown.append(without_credentials(argument))
    return shown


def _holds_a_secret(argument: str) -> bool:
    """Whether a value in braces or brackets, `headers={extra: {x-api-key: …}}`, names a credential somewhere.

    Then all of it is left out: which of its words is the secret only YAML could tell, and it may be none.
    """
    value = argument.removeprefix("--set=").partition("=")[2]
    return any(sign in value for sign in "{[") and any(
        map(_names_a_secret, re.findall(r"[\w.-]+(?=[\"']?\s*:)", value))
    )


def _names_a_secret(key: str) -> bool:
    """Whether an option or a field of a profile holds a secret itself; `authentication.token.env` does not."""
    *_, last = parts = key.split(".")
    if last in _PLACES or last in {"kind", "token_url", "client_id", "scope", "allowed_hosts"}:
        return False
    return any(is_secret_name(part) for part in parts)


def without_secrets(profile: dict[str, Any]) -> dict[str, Any]:
    """A checked profile, as JSON, without the values of headers that are credentials by their names."""
    headers = profile.get("headers") or {}
    extra = {name: REMOVED if is_secret_name(name) else value for name, value in (headers.get("extra") or {}).items()}
    return {**profile, "headers": {**headers, "extra": extra}}


def headers_removed(profile: dict[str, Any]) -> list[str]:
    """Names of the headers whose values a kept profile does not have."""
    extra = (profile.get("headers") or {}).get("extra") or {}
    return [name for name, value in extra.items() if value == REMOVED]
