"""Credentials do not leave an exchange: by their names, by their form, and where they are repeated."""

from __future__ import annotations

import pytest

from simulator.http2 import REMOVED, credentials_in, is_secret_name, shown_headers, without_credentials


@pytest.mark.parametrize(
    "name",
    ["authorization", "Proxy-Authorization", "cookie", "set-cookie", "x-api-key", "apikey", "access_token", "--password",
     "client_secret", "3gpp-sbi-client-credentials", "X-Auth-Token", "headers.extra.x-token"],
)  # fmt: skip
def test_credentials_are_known_by_their_names(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["content-type", "key", "--key", "location", "3gpp-sbi-oci", "author", "tokenizer"])
def test_other_names_are_not_credentials(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:pass@chf/x", "http://chf/x"),
        ("http://chf/x?access_token=abc&y=2", f"http://chf/x?access_token={REMOVED}&y=2"),
        ('{"detail":"Bearer eyJhbGciOi.x-y_z refused"}', f'{{"detail":"Bearer {REMOVED} refused"}}'),
        ("the bearer setup failed", "the bearer setup failed"),
        ("nothing to hide: a=b?", "nothing to hide: a=b?"),
    ],
)
def test_credentials_in_texts_are_removed(text: str, shown: str) -> None:
    assert without_credentials(text) == shown


def test_headers_keep_their_names() -> None:
    headers = [
        (b"authorization", b"Bearer abc1"),
        (b"x-api-key", b"k1"),
        (b":path", b"/x"),
        (b"x-echo", b"Bearer abc1"),
    ]
    assert shown_headers(headers) == [
        ["authorization", REMOVED], ["x-api-key", REMOVED], [":path", "/x"], ["x-echo", f"Bearer {REMOVED}"],
    ]  # fmt: skip
    assert credentials_in(headers) == ["abc1", "k1"]
