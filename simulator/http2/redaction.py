"""What of an exchange may be shown or written down: everything but credentials."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from simulator.http2.messages import Header

REMOVED: Final = "(removed)"
"""Stands where a secret was."""
_SECRET: Final = re.compile(
    r"(^|[-_.])(authori[sz]ation|auth|authentication|cookie|credentials?|passwd|password|passphrase|secret|token|api-?_?key|signature|jwt)s?"
    r"($|[-_.])",
    re.IGNORECASE,
)
_PARAMETER: Final = re.compile(r"([?&;])([^=&;#\s\"]{1,100})=([^&;#\s\"]+)")
_BEARER: Final = re.compile(r"\b(Bearer|Basic)\s+(?=[^\s\"]*[0-9._=])[A-Za-z0-9._~+/=-]+", re.IGNORECASE)
"""With a digit or a sign in it: a bearer is also what carries a PDU session."""
_JWT: Final = re.compile(r"\beyJ[\w-]{8,}(?:\.[\w-]*){2,4}")  # RFC 7519, encrypted ones included
_MEMBER: Final = re.compile(r'"([^"\\]{1,100})"(\s*:\s*)"((?:[^"\\]|\\.)+)"')
_USER: Final = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]*://)[^/@\s?#'\"]*@")


def is_secret_name(name: str) -> bool:
    """Whether what bears this name (a header, an option, a parameter of a URL) is a credential."""
    return _SECRET.search(name) is not None


def without_credentials(text: str, known: Iterable[str] = ()) -> str:
    """A text without users in URLs, bearer tokens, what is secret by its name in a URL or in JSON, and `known` secrets."""
    for secret in known:
        text = text.replace(secret, REMOVED)
    text = _USER.sub(r"\1", text)
    text = _PARAMETER.sub(lambda found: _unless_secret(found, f"{found[1]}{found[2]}="), text)
    text = _MEMBER.sub(lambda found: _unless_secret(found, f'"{found[1]}"{found[2]}"', '"'), text)
    return _JWT.sub(REMOVED, _BEARER.sub(rf"\1 {REMOVED}", text))


def _unless_secret(found: re.Match[str], before: str, after: str = "") -> str:
    """What was found, its value removed where its name is that of a secret."""
    return f"{before}{REMOVED}{after}" if any(is_secret_name(each or "") for each in found.groups()[:2]) else found[0]


def shown_headers(headers: Iterable[Header]) -> list[list[str]]:
    """Headers as names and values, without credentials."""
    shown = []
    for name, value in headers:
        word = name.decode("latin-1")
        text = REMOVED if is_secret_name(word) else without_credentials(value.decode("latin-1"))
        shown.append([word, text])
    return shown


def credentials_in(headers: Iterable[Header]) -> list[str]:
    """The credentials that headers carry, so that an echo of them can be removed elsewhere."""
    found = []
    for name, value in headers:
        if is_secret_name(name.decode("latin-1")):
            text = value.decode("latin-1")
            found.append(text.partition(" ")[2] or text)
    return found
