"""Asks a token server for access tokens: client credentials as at an NRF (TS 29.510 5.4.2.2, RFC 6749 4.4).

An NRF speaks HTTP/2 only, and on plain http without any upgrade; other token servers speak HTTP/1.1 there. So HTTP/2 with
prior knowledge is tried first, and what the server has shown to speak is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

import httpx
import orjson

from simulator.config.security import OAuth2
from simulator.fleet.token_life import AccessToken, TokenError, sendable

MOST_OCTETS: Final = 65_536
"""Of an answer."""
LONGEST_LIFETIME_S: Final = 366 * 86_400.0
UNDER_WAY: Final = 8
"""Requests at a time; a fleet of a thousand network functions starts at once."""
TIMEOUT_S: Final = 5.0

_BROKEN: Final = (httpx.RemoteProtocolError, httpx.LocalProtocolError, httpx.ReadError, httpx.WriteError)
"""What a server of the other version of HTTP makes of a request."""
_HEADERS: Final = {"accept": "application/json", "accept-encoding": "identity"}
_WORD: Final = re.compile(r"[A-Za-z0-9_.-]{1,60}")

# Of the libraries below httpx it alone writes header values to its log, the client's secret among them.
logging.getLogger("hpack").setLevel(logging.WARNING)


class TokenClient:
    """One for all network functions of an engine. `tls` makes the context for https; raises ValueError if it cannot.

    Raises TokenError for a URL that cannot be one.
    """

    def __init__(self, config: OAuth2, secret: str | None, tls: Callable[[], ssl.SSLContext]) -> None:
        self._config = config
        self._secret = secret
        try:
            self._url = httpx.URL(config.token_url)
        except httpx.InvalidURL as error:
            raise TokenError(f"authentication.token_url: {error}") from None
        if self._url.scheme == "https":
            self._clients = [self._client(http1=True, http2=True, verify=tls())]
        else:
            self._clients = [self._client(http1=False, http2=True), self._client(http1=True, http2=False)]
        self._spoken: httpx.AsyncClient | None = None
        self._places = asyncio.Semaphore(UNDER_WAY)

    def _client(self, *, http1: bool, http2: bool, verify: ssl.SSLContext | bool = False) -> httpx.AsyncClient:
        basic = None
        if self._config.client_id is not None and self._secret is not None:
            basic = httpx.BasicAuth(self._config.client_id, self._secret)
        return httpx.AsyncClient(
            http1=http1, http2=http2, verify=verify, auth=basic, trust_env=False, timeout=TIMEOUT_S, headers=_HEADERS
        )

    async def fetch(self, instance_id: str, nf_type: str) -> AccessToken:
        """A new token for a network function. Raises TokenError."""
        form = {
            "grant_type": "client_credentials",
            "nfInstanceId": instance_id,
            "nfType": nf_type,
            "targetNfType": self._config.target_nf_type,
            "scope": self._config.scope,
        }
        async with self._places:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    status, body = await self._ask(form)
            except (TimeoutError, httpx.TimeoutException):
                raise TokenError(f"{self._url} did not answer within {TIMEOUT_S:g} s") from None
            except httpx.HTTPError as error:
                raise TokenError(f"{self._url}: {_explain(error)}") from None
        try:
            return read_token(status, body)
        except TokenError as error:
            echoed = self._secret is not None and self._secret in str(error)
            raise TokenError(f"{self._url} {f'answered {status}' if echoed else error}") from None

    async def _ask(self, form: dict[str, str]) -> tuple[int, bytes]:
        if self._spoken is not None:
            with contextlib.suppress(*_BROKEN):  # a connection that the server has closed meanwhile
                return await _post(self._spoken, self._url, form)
            return await _post(self._spoken, self._url, form)
        first: httpx.HTTPError | None = None
        for client in self._clients:
            try:
                answer = await _post(client, self._url, form)
            except _BROKEN as error:
                first = first or error
            else:
                self._spoken = client
                return answer
        assert first is not None
        raise first

    async def aclose(self) -> None:
        """Close its connections."""
        for client in self._clients:
            await client.aclose()


async def _post(client: httpx.AsyncClient, url: httpx.URL, form: dict[str, str]) -> tuple[int, bytes]:
    async with client.stream("POST", url, data=form) as answer:
        return answer.status_code, await _bounded(answer.aiter_raw())


async def _bounded(chunks: AsyncIterator[bytes]) -> bytes:
    body = b""
    async for chunk in chunks:
        body += chunk
        if len(body) > MOST_OCTETS:
            raise httpx.DecodingError(f"its answer is larger than {MOST_OCTETS:,} octets")
    return body


def read_token(status: int, body: bytes) -> AccessToken:
    """Read an answer (RFC 6749 5.1, 5.2). Raises TokenError with what the server "…"."""
    document = _document(body)
    if status != 200:
        raise TokenError(f"answered {status}{_reason(document)}")
    if document is None:
        raise TokenError("answered 200 without a JSON object")
    token, kind = document.get("access_token"), document.get("token_type")
    if not isinstance(token, str) or not token:
        raise TokenError("answered 200 without an access_token")
    if not sendable(token):
        raise TokenError("answered an access_token that no header can carry")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise TokenError("answered a token whose token_type is not Bearer")
    return AccessToken(value=token, lifetime_s=_lifetime(document.get("expires_in")))


def _document(body: bytes) -> dict[str, Any] | None:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def _reason(document: dict[str, Any] | None) -> str:
    """The code of an error, where there is one: RFC 6749's `error`, or the `cause` of a ProblemDetails. Texts are not shown."""
    for name in ("error", "cause"):
        word = document.get(name) if document else None
        if isinstance(word, str) and _WORD.fullmatch(word):
            return f" {word}"
    return ""


def _lifetime(given: object) -> float | None:
    """Seconds; some servers write them as a text."""
    if given is None:
        return None
    text = str(given) if isinstance(given, int | float | str) and not isinstance(given, bool) else ""
    if not re.fullmatch(r"[0-9]{1,15}(\.[0-9]+)?", text) or float(text) <= 0:
        raise TokenError("answered a token whose expires_in is not a number of seconds")
    return min(float(text), LONGEST_LIFETIME_S)


def _explain(error: httpx.HTTPError) -> str:
    """The innermost reason in a few words; httpx hides it behind "all connection attempts failed"."""
    for cause in _causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                return f"its certificate is not trusted: {cause.verify_message}"
            case ssl.SSLError():
                return f"TLS failed: {cause.reason or type(cause).__name__}"
            case socket.gaierror():
                return f"cannot resolve its name: {cause.strerror}"
            case BrokenPipeError() | ConnectionResetError():
                return "closed the connection without an answer"
            case OSError() if cause.errno and cause.strerror:
                return cause.strerror.lower()
    if isinstance(error, httpx.DecodingError):
        return str(error)
    if isinstance(error, _BROKEN):
        return "closed the connection, or speaks neither HTTP/2 nor HTTP/1.1"
    return type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what led to it, the innermost first."""
    if error is None:
        return
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _causes(each)
    yield from _causes(error.__cause__ or error.__context__)
    yield error
