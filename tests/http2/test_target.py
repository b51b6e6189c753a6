from __future__ import annotations

import pytest

from simulator.http2 import Target


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://chf.example:8080", b"chf.example:8080"),
        ("http://chf.example", b"chf.example"),
        ("https://chf.example/", b"chf.example"),
        ("https://chf.example:80", b"chf.example:80"),
        ("http://[::1]:8080", b"[::1]:8080"),
    ],
)
def test_a_target_is_read_and_names_its_authority(url: str, authority: bytes) -> None:
    assert Target.parse(url).authority == authority


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("chf.example:8080", "expected http://host:port or https://host:port"),
        ("ftp://chf.example", "expected http://host:port or https://host:port"),
        ("http://", "no host"),
        ("http://:8080", "no host"),
        ("http://chf:0", "port 0"),
        ("http://chf:99999", "the port is not a number between 1 and 65535"),
        ("http://chf:http", "the port is not a number between 1 and 65535"),
        ("http://[::1", "Invalid IPv6 URL"),
        ("http://chf/nchf", "only scheme, host and port belong here"),
    ],
)
def test_a_wrong_target_gets_one_clear_line(url: str, line: str) -> None:
    with pytest.raises(ValueError, match=r"^target ") as caught:
        Target.parse(url)
    assert str(caught.value) == f"target {url!r}: {line}"


@pytest.mark.parametrize("url", ["http://fleet:hunter2@chf:8080", "ftp://hunter2@chf", "http://a@hunter2@chf:99999"])
def test_a_password_in_a_target_is_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"^target '(http|ftp)://…@chf") as caught:
        Target.parse(url)
    assert "hunter2" not in str(caught.value)
