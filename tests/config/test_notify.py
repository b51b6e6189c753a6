"""Where the fleet listens for notifications, and what it advertises."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from simulator.config.model import message_of
from simulator.config.notify import Notify


def uri(worker: int, port: int, **fields: Any) -> str:
    return Notify.model_validate(fields).base_uri(worker, port)


def test_by_default_each_worker_listens_on_a_port_of_its_own() -> None:
    assert Notify().port(3) == 0  # a free one
    notify = Notify(listen="127.0.0.1:18100")
    assert (notify.enabled, notify.host) == (True, "127.0.0.1")
    assert [notify.port(worker) for worker in range(3)] == [18_100, 18_101, 18_102]
    assert notify.base_uri(2, 18_102) == "http://127.0.0.1:18102/nsmf-callback/n40/2"


def test_port_0_is_a_free_one_for_every_worker() -> None:
    notify = Notify(listen="127.0.0.1:0")
    assert [notify.port(worker) for worker in range(3)] == [0, 0, 0]


def test_ipv6_stands_in_brackets() -> None:
    assert Notify(listen="[::1]:18100").host == "::1"
    assert uri(0, 18_100, listen="[::1]:18100") == "http://[::1]:18100/nsmf-callback/n40/0"


def test_with_a_certificate_it_is_https() -> None:
    tls = {"certificate": "smf.pem", "key": "smf.key"}
    assert uri(0, 9, listen="smf.example:9", tls=tls) == "https://smf.example:9/nsmf-callback/n40/0"


@pytest.mark.parametrize(
    ("advertise", "expected"),
    [
        ("http://203.0.113.7:{port}", "http://203.0.113.7:18101/nsmf-callback/n40/1"),
        ("https://smf.example/", "https://smf.example/nsmf-callback/n40/1"),
        ("https://smf-{worker}.example:8443/lab/", "https://smf-1.example:8443/lab/nsmf-callback/n40/1"),
        ("http://[2001:db8::7]:3{port}/w{worker}", "http://[2001:db8::7]:318101/w1/nsmf-callback/n40/1"),
    ],
)
def test_what_is_advertised_can_be_something_else(advertise: str, expected: str) -> None:
    assert uri(1, 18_101, advertise=advertise, listen="0.0.0.0:18100") == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"listen": "127.0.0.1"}, "expected host:port such as 127.0.0.1:18100 or [::1]:18100, got"),
        ({"listen": "::1:18100"}, "expected host:port such as"),
        ({"listen": 18_100}, "expected host:port such as"),
        ({"listen": "127.0.0.1:65536"}, "expected a port from 0 to 65535, got"),
        ({"listen": "0.0.0.0:18100"}, "is missing: the fleet listens on every address, and the CHF needs one of them"),
        ({"listen": "[::]:18100"}, "is missing: the fleet listens on every address, and the CHF needs one of them"),
        ({"advertise": "smf.example:18100"}, "expected a URI such as http://203.0.113.7:{port}, got"),
        ({"advertise": "ftp://smf.example"}, "expected a URI such as http://203.0.113.7:{port}, got"),
        ({"advertise": "http://smf.example:{prt}"}, "expected {worker} and {port} as the only placeholders, got"),
        ({"advertise": "http://smf.example:{port"}, "expected {worker} and {port} as the only placeholders, got"),
        ({"advertise": "http://smf.example/a?b"}, "expected a URI without query, fragment and blanks, got"),
        ({"advertise": "http://smf.example/a b"}, "expected a URI of printable ASCII, got"),
        ({"advertise": 'http://smf.example/"'}, "expected a URI without query, fragment and blanks, got"),
        ({"tls": {"certificate": "smf.pem"}}, "is missing"),
    ],
)
def test_what_is_wrong_is_one_clear_line(fields: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Notify.model_validate(fields)
    (error,) = caught.value.errors()
    assert message_of(error).startswith(expected)
