"""Where a pool connects to, and what is said when that does not work."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit


def without_user(url: str) -> str:
    """The URL as it may be shown: what stands before an @ in its authority can be a password."""
    return re.sub(r"//[^/?#]*@", "//…@", url)


class TargetError(Exception):
    """The target cannot be used; the message is one line that says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An HTTP/2 server: `http` with prior knowledge (RFC 9113 3.3) or `https` with ALPN h2 (3.2)."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> bytes:
        """Value of `:authority`; the scheme's default port is left out (RFC 3986 6.2.3)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = {"http": 80, "https": 443}[self.scheme]
        return (host if self.port == default else f"{host}:{self.port}").encode()

    @classmethod
    def parse(cls, url: str) -> Target:
        """Read `http://host:port` or `https://host:port`; raises ValueError with one line that says what is wrong."""
        shown = without_user(url)
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise ValueError(f"target {shown!r}: {error}") from None
        if parts.scheme not in {"http", "https"}:
            raise ValueError(f"target {shown!r}: expected http://host:port or https://host:port")
        try:
            port = parts.port
        except ValueError:
            raise ValueError(f"target {shown!r}: the port is not a number between 1 and 65535") from None
        if not parts.hostname or port == 0:
            raise ValueError(f"target {shown!r}: {'port 0' if parts.hostname else 'no host'}")
        if parts.path not in {"", "/"} or parts.query or parts.fragment or parts.username is not None:
            raise ValueError(f"target {shown!r}: only scheme, host and port belong here")
        return cls(scheme=parts.scheme, host=parts.hostname, port=port or (443 if parts.scheme == "https" else 80))

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"
