"""TLS contexts for HTTP/2: ALPN h2 only, TLS 1.2 or newer (RFC 9113 9.2)."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

File = str | Path


def client_tls(
    *, ca_file: File | None = None, certificate: File | None = None, key: File | None = None, insecure: bool = False
) -> ssl.SSLContext:
    """Context of a client: an own CA, a client certificate for mutual TLS; `insecure` trusts any certificate.

    Where the environment names a file in SSLKEYLOGFILE, the keys of its connections are appended to it, so that what was
    captured on the wire can be read.
    """
    try:
        context = ssl.create_default_context() if ca_file is None else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _log_keys(context)
    except OSError as error:
        raise ValueError(f"SSLKEYLOGFILE: {error.filename}: {error.strerror}") from None
    if ca_file is not None:
        _load_ca(context, ca_file)
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
        _load_ca(context, client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return _for_http2(context)


def _for_http2(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    return context


def _log_keys(context: ssl.SSLContext) -> None:
    """As `ssl.create_default_context` does, but only that."""
    file = os.environ.get("SSLKEYLOGFILE")
    if file and not context.keylog_filename:
        context.keylog_filename = file


def _load_ca(context: ssl.SSLContext, file: File) -> None:
    try:
        context.load_verify_locations(cafile=_readable(file))
    except ssl.SSLError as error:
        raise ValueError(f"CA file {file} cannot be used: {error.reason or error}") from None


def _load_chain(context: ssl.SSLContext, certificate: File, key: File | None) -> None:
    try:
        context.load_cert_chain(_readable(certificate), None if key is None else _readable(key))
    except ssl.SSLError as error:
        why = "there is no key in it: name the file of the key" if key is None else error.reason or error
        raise ValueError(f"certificate {certificate} or its key cannot be used: {why}") from None


def _readable(file: File) -> str:
    if not Path(file).is_file():
        raise ValueError(f"no such file: {file}")
    return str(file)
