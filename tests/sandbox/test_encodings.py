"""Request bodies that come as gzip."""

from __future__ import annotations

import gzip
import zlib

import orjson
import pytest

from simulator.sandbox.chf import MAX_BODY
from tests.sandbox.smf import COLLECTION, HEADERS, Said, Smf, ask, message

BODY = orjson.dumps(message(0, [ask(300)]))


def coded(smf: Smf, body: bytes, coding: bytes | None = b"gzip") -> Said:
    headers = HEADERS if coding is None else [*HEADERS, (b"content-encoding", coding)]
    return Said(smf.chf.handle(b"POST", COLLECTION, headers, body, smf.now))


@pytest.mark.parametrize("coding", [b"gzip", b"GZIP", b"x-gzip", b"identity, gzip"])
def test_gzip_is_understood(smf: Smf, coding: bytes) -> None:
    assert coded(smf, gzip.compress(BODY), coding).status == 201


def test_identity_is_no_coding(smf: Smf) -> None:
    assert coded(smf, b" " + BODY, b"identity").status == 201


@pytest.mark.parametrize("coding", [b"deflate", b"br", b"zstd", b"gzip, gzip"])
def test_another_coding_is_refused_with_the_one_that_is_understood(smf: Smf, coding: bytes) -> None:
    said = coded(smf, zlib.compress(BODY), coding)
    assert said.status == 415
    assert said.reply.header(b"accept-encoding") == b"gzip"


def test_a_body_that_unfolds_beyond_the_limit_is_too_large(smf: Smf) -> None:
    assert coded(smf, gzip.compress(b" " * (MAX_BODY + 1))).status == 413
    assert coded(smf, gzip.compress(BODY + b" " * (MAX_BODY - len(BODY)))).status == 201
    assert coded(smf, gzip.compress(bytes(500 * MAX_BODY), 9)[:MAX_BODY]).status == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x1f\x8b",
        gzip.compress(BODY)[:-1],
        gzip.compress(BODY) + b"x",
        gzip.compress(BODY)[:-8] + bytes(8),
        b"nonsense",
    ],
)
def test_a_body_that_is_no_gzip_is_a_bad_request(smf: Smf, body: bytes) -> None:
    said = coded(smf, body)
    assert (said.status, said.cause) == (400, "INVALID_MSG_FORMAT")


def test_gzip_that_nobody_announced_is_no_json(smf: Smf) -> None:
    said = coded(smf, gzip.compress(BODY), None)
    assert (said.status, said.cause) == (400, "INVALID_MSG_FORMAT")
