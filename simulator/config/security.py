"""How the fleet proves who it is to the CHF: not at all, with a token of the user's, or with tokens of an NRF (TS 29.510).

A profile never holds a secret, only where it is: in a variable of the environment or in a file, read by the engine that
needs it. So nothing that shows a profile, sends it to an engine or writes it down can give the secret away.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from simulator.config.errors import ConfigError, did_you_mean, located, one_line, problem, shown
from simulator.config.model import Model
from simulator.config.quantities import Share, text
from simulator.http2 import Target

MOST_OCTETS = 65_536
"""Of a file with a secret."""
MOST_ORIGINS = 1_024
"""Origins whose answer is remembered."""

INSTEAD = "expected {env: NAME} or {file: PATH}, which say where the secret is"


def _no_literal(given: Any) -> Any:
    """A secret that was written into the profile is refused without being quoted."""
    if isinstance(given, dict | Secret):
        return given
    raise located([((), f"a secret does not belong in a profile: {INSTEAD}")])


def _text(pattern: str, words: str) -> BeforeValidator:
    """As `quantities.text`, but what was given is not quoted: it may be the secret itself."""

    def check(given: object) -> str:
        if not isinstance(given, str) or not re.fullmatch(pattern, given):
            raise located([((), f"expected {words}")])
        return given

    return BeforeValidator(check)


class Secret(Model):
    """Where a secret is. One newline at its end is no part of it."""

    env: Annotated[str, _text("[A-Za-z_][A-Za-z0-9_]{0,127}", "the name of an environment variable")] | None = None
    file: Annotated[str, _text(r"[^\x00-\x1f]{1,1000}", "the path of a file")] | None = None
    """Relative to the profile's folder."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise located([((), INSTEAD)])
        return self

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"the environment variable {self.env}" if self.env is not None else f"the file {self.file}"

    def read(self) -> str:
        """Return the secret itself. Raises ConfigError."""
        content = self._read_file(self.file) if self.file is not None else os.environ.get(self.env or "")
        if content is None:
            raise self._wrong("is not set")
        secret = content.removesuffix("\n").removesuffix("\r")
        if not secret:
            raise self._wrong("is empty")
        if not secret.isprintable():
            raise self._wrong("holds a line break or another control character")
        return secret

    def note(self) -> str:
        """Return what a person should know about how the secret is kept, "" if nothing."""
        if self.file is None or os.name != "posix":
            return ""
        try:
            mode = Path(self.file).stat().st_mode
        except OSError:
            return ""
        if not mode & stat.S_IROTH:
            return ""
        return f"authentication: every user of this machine can read {self.place}; say chmod 600 {self.file}"

    def _read_file(self, file: str) -> str:
        try:
            with Path(file).open("rb") as opened:
                octets = opened.read(MOST_OCTETS + 1)
            if len(octets) > MOST_OCTETS:
                raise self._wrong(f"is larger than {MOST_OCTETS:,} octets")
            return octets.decode()
        except OSError as error:
            raise self._wrong(f"cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise self._wrong("is not UTF-8 text") from None

    def _wrong(self, what: str) -> ConfigError:
        return ConfigError(f"authentication: {one_line(self.place)} {what}")


def _token_url(given: str) -> str:
    """An absolute http or https URL of printable ASCII, in which nothing secret can stand."""
    try:
        parts = urlsplit(given)
        Target.parse(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")
    except ValueError:
        raise problem("expected a URL such as http://nrf.example:8000/oauth2/token") from None
    if parts.username is not None:
        raise problem("credentials do not belong in a URL: say client_id and client_secret")
    if parts.query or parts.fragment or not re.fullmatch("[!-~]+", given):
        raise problem("expected a URL without query, fragment, blanks or letters beyond ASCII")
    return given


TokenUrl = Annotated[str, _text("(?s).{1,1000}", "a URL"), AfterValidator(_token_url)]
Scope = Annotated[str, *text("[!#-\\[\\]-~]+( [!#-\\[\\]-~]+)*", "scopes without quotes, with one blank between them")]
Host = Annotated[str, *text(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?", "a host, or host:port")]
Hosts = Annotated[list[Host], Field(max_length=100)]
ClientId = Annotated[str, *text("[!-9;-~]{1,200}", "a client id of printable characters without blanks and colons")]
NfType = Annotated[str, *text("[A-Z0-9_]{1,40}", "a type of network function such as CHF")]


class NoAuthentication(Model):
    """Requests carry no token."""

    kind: Literal["none"] = "none"


class StaticToken(Model):
    """One token for all network functions, from somewhere else; it is never renewed."""

    kind: Literal["token"]
    token: Annotated[Secret, BeforeValidator(_no_literal)]
    allowed_hosts: Hosts = Field(default_factory=list)
    """Hosts that may have the token besides the target: updates go where Location says."""


class OAuth2(Model):
    """A token for each network function by client credentials (RFC 6749 4.4), as at an NRF (TS 29.510 5.4.2.2)."""

    kind: Literal["oauth2"]
    token_url: TokenUrl
    client_id: ClientId | None = None
    """With a secret: HTTP Basic. An NRF knows its network functions otherwise, by their certificate or their address."""
    client_secret: Annotated[Secret, BeforeValidator(_no_literal)] | None = None
    scope: Scope = "nchf-convergedcharging"
    target_nf_type: NfType = "CHF"
    renew_at: Annotated[Share, Field(ge=0.1, le=0.95)] = 0.8
    """Share of its lifetime after which a token is renewed, at the latest."""
    allowed_hosts: Hosts = Field(default_factory=list)
    """Hosts that may have the token besides the target: updates go where Location says."""

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.client_id is None) != (self.client_secret is None):
            raise located([((), "client_id and client_secret belong together: give both or neither")])
        return self


KINDS = ("none", "token", "oauth2")


def _known_kind(given: Any) -> Any:
    """Before the union by kind: says what is wrong with the kind, and quotes nothing else."""
    if isinstance(given, NoAuthentication | StaticToken | OAuth2):
        return given
    if not isinstance(given, dict):
        raise located([((), f"expected a mapping with kind: {', '.join(KINDS[:-1])} or {KINDS[-1]}")])
    if "kind" not in given:
        raise located([(("kind",), f"is missing: expected one of {', '.join(KINDS)}")])
    if given["kind"] not in KINDS:
        raise located([(("kind",), f"no kind {shown(given['kind'])}{did_you_mean(given['kind'], KINDS)}")])
    return given


def _by_kind(given: Any) -> str:
    """The tag of the alternative, in the braces that keep it out of error messages."""
    kind = given.get("kind") if isinstance(given, dict) else getattr(given, "kind", KINDS[0])
    return f"{{{kind}}}"


Authentication = Annotated[
    Annotated[NoAuthentication, Tag("{none}")]
    | Annotated[StaticToken, Tag("{token}")]
    | Annotated[OAuth2, Tag("{oauth2}")],
    Discriminator(_by_kind),
    BeforeValidator(_known_kind),
]


class TokenAudience:
    """Who may have the token: the configured targets, and the hosts that the profile allows besides.

    An allowed host without a port may have it at any; none may have it in the clear where all targets are https.
    """

    def __init__(self, targets: Iterable[str], allowed_hosts: Iterable[str]) -> None:
        self._targets = {Target.parse(target) for target in targets}
        self._schemes = {target.scheme for target in self._targets} | {"https"}
        self._hosts = {host.lower().replace("[", "").replace("]", "") for host in allowed_hosts}
        self._known: dict[bytes, bool] = {}

    def may_send_to(self, origin: bytes) -> bool:
        """Whether requests to `scheme://authority` carry the token. Never raises: a CHF names these origins."""
        known = self._known.get(origin)
        if known is None:
            if len(self._known) >= MOST_ORIGINS:
                self._known.clear()
            known = self._known[origin] = self._decide(origin)
        return known

    def _decide(self, origin: bytes) -> bool:
        try:
            target = Target.parse(origin.decode("ascii").lower())
        except ValueError:
            return False
        if target in self._targets:
            return True
        return target.scheme in self._schemes and bool(self._hosts & {target.host, f"{target.host}:{target.port}"})
