"""Bearer tokens, given out as an NRF does (TS 29.510 5.4.2, TS 33.501 13.4.1, RFC 6749 4.4) and asked for on N40.

A token is a random text that means something here only. All of them live equally long, so the oldest expire first.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import parse_qsl

import orjson

from simulator.sandbox.answers import Header, Problem, Reply

SCOPE: Final = "nchf-convergedcharging"
MAX_TOKENS: Final = 100_000
"""Valid at a time; one more ends the oldest."""
MAX_REQUEST: Final = 8192
"""Octets of a token request."""
_FORM: Final = b"application/x-www-form-urlencoded"
_NS_PER_S: Final = 1_000_000_000
_HEADERS: Final[list[Header]] = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]


class TokenRefused(Exception):  # noqa: N818 - an ordinary answer (RFC 6749 5.2)
    """A token request that is answered with an error of RFC 6749 5.2."""

    def __init__(self, error: str, description: str, status: int = 400, headers: Iterable[Header] = ()) -> None:
        super().__init__(description)
        self.error = error
        self.status = status
        self.headers = headers

    def reply(self) -> Reply:
        """The reply with its JSON body."""
        body = orjson.dumps({"error": self.error, "error_description": str(self)})
        return Reply(self.status, [*_HEADERS, *self.headers], body)


class Tokens:
    """Those that are valid. `clients` has secrets by client id; empty: whoever names its NF instance gets a token."""

    def __init__(self, lifetime_s: float, clients: Mapping[str, str] | None = None) -> None:
        self.lifetime_s = lifetime_s
        self._clients = dict(clients or {})
        self._expiries: dict[bytes, int] = {}
        """When each token ends (ns), the oldest first."""
        self.issued = 0
        self.refused = 0
        """Token requests that got none."""
        self.rejected = 0
        """N40 requests without a valid token."""

    def valid(self, now: int) -> int:
        """How many tokens are valid."""
        return sum(expiry > now for expiry in self._expiries.values())

    def revoke(self) -> int:
        """Ends all tokens at once; returns how many there were, expired ones that nobody asked for included."""
        count = len(self._expiries)
        self._expiries.clear()
        return count

    def check(self, headers: Iterable[Header], now: int) -> None:
        """Problem 401 unless there is a bearer token that is valid now (ns)."""
        for name, value in headers:
            if name == b"authorization":
                scheme, _, token = value.partition(b" ")
                if scheme.lower() == b"bearer" and self._expiries.get(token.strip(), 0) > now:
                    return
        self.rejected += 1
        challenge = [(b"www-authenticate", b'Bearer error="invalid_token"')]
        raise Problem(401, None, "there is no bearer token, or it is not valid any more", headers=challenge)

    def issue(self, method: bytes, headers: Iterable[Header], body: bytes, now: int) -> Reply:
        """Answers a token request: form-encoded client credentials; by HTTP Basic, in the form, or of an NF instance."""
        try:
            form = _read_form(method, headers, body)
            self._identify(form, dict(headers).get(b"authorization"))
        except TokenRefused as refused:
            self.refused += 1
            return refused.reply()
        answer = {
            "access_token": self._new_token(now),
            "token_type": "Bearer",
            "expires_in": int(self.lifetime_s),
            "scope": form.get("scope", SCOPE),
        }
        return Reply(200, _HEADERS, orjson.dumps(answer))

    def _new_token(self, now: int) -> str:
        token = secrets.token_urlsafe(24)
        expiries = self._expiries
        for _ in range(2):  # two at most, to catch up
            oldest = next(iter(expiries), None)
            if oldest is not None and (expiries[oldest] <= now or len(expiries) >= MAX_TOKENS):
                del expiries[oldest]
        expiries[token.encode()] = now + int(self.lifetime_s * _NS_PER_S)
        self.issued += 1
        return token

    def _identify(self, form: Mapping[str, str], authorization: bytes | None) -> None:
        """Who asks, and whether that one may."""
        if authorization is not None:
            client, secret = _basic(authorization)
        else:
            client, secret = form.get("client_id", ""), form.get("client_secret", "")
        if self._clients:
            expected = self._clients.get(client)
            if expected is None or not secrets.compare_digest(expected.encode(), secret.encode()):
                raise _not_this_client()
        elif not client and not form.get("nfInstanceId"):
            raise TokenRefused("invalid_request", "nfInstanceId is missing, and there are no client credentials")


def _read_form(method: bytes, headers: Iterable[Header], body: bytes) -> dict[str, str]:
    if method != b"POST":
        raise TokenRefused("invalid_request", "only POST is possible here", 405, [(b"allow", b"POST")])
    kind = next((value for name, value in headers if name == b"content-type"), b"")
    if kind.partition(b";")[0].strip().lower() != _FORM or len(body) > MAX_REQUEST:
        raise TokenRefused("invalid_request", f"expected a form: {_FORM.decode()}, at most {MAX_REQUEST} octets")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=64, errors="strict")
    except ValueError:
        raise TokenRefused("invalid_request", "the form cannot be read") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise TokenRefused("invalid_request", "a parameter is there more than once")
    grant = form.get("grant_type")
    if grant is None:
        raise TokenRefused("invalid_request", "grant_type is missing")
    if grant != "client_credentials":
        raise TokenRefused("unsupported_grant_type", "grant_type must be client_credentials")
    if SCOPE not in form.get("scope", SCOPE).split():
        raise TokenRefused("invalid_scope", f"scope must name {SCOPE}")
    if form.get("targetNfType", "CHF") != "CHF":
        raise TokenRefused("invalid_request", "targetNfType must be CHF: there is no other here")
    return form


def _basic(authorization: bytes) -> tuple[str, str]:
    """Client id and secret of HTTP Basic (RFC 7617)."""
    scheme, _, credentials = authorization.partition(b" ")
    try:
        client, colon, secret = base64.b64decode(credentials.strip(), validate=True).decode().partition(":")
    except ValueError:
        raise _not_this_client() from None
    if scheme.lower() != b"basic" or not colon:
        raise _not_this_client()
    return client, secret


def _not_this_client() -> TokenRefused:
    challenge = [(b"www-authenticate", b'Basic realm="tokens"')]
    return TokenRefused("invalid_client", "there is no such client, or this is not its secret", 401, challenge)
