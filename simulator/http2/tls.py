"""TLS contexts for HTTP/2: ALPN h2 only, TLS 1.2 or newer (RFC 9113 9.2)."""

from __future__ import annotations

import ssl
from pathlib import Path

File = str | Path


def client_tls(
    *, ca_file: File | None = None, certificate: File | None = None, key: File | None = None, insecure: bool = False
) -> ssl.SSLContext:
    """Context of a client: an own CA, a client certificate for mutual TLS; `insecure` trusts any certificate."""
    context = ssl.create_default_context(cafile=_readable(ca_file))
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        _load_chain(context, certificate, key)
    return _for_http2(context)


def server_tls(certificate: File, key: File, client_ca: File | None = None) -> ssl.SSLContext:
    """Context of a server; with `client_ca` it asks every client for a certificate of that CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load_chain(context, certificate, key)
    if client_ca is not None:
        context.load_verify_locations(cafile=_readable(client_ca))
        context.verify_mode = ssl.CERT_REQUIRED
    return _for_http2(context)


def _for_http2(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    return context


def _load_chain(context: ssl.SSLContext, certificate: File, key: File | None) -> None:
    try:
        context.load_cert_chain(_readable(certificate) or "", _readable(key))
    except ssl.SSLError as error:
        raise ValueError(f"certificate {certificate} or its key cannot be used: {error.reason or error}") from None


def _readable(file: File | None) -> str | None:
    if file is not None and not Path(file).is_file():
        raise ValueError(f"no such file: {file}")
    return None if file is None else str(file)
