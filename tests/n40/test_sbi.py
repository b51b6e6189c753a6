"""Headers keep to the rules of TS 29.500, and compressed bodies are gzip."""

from __future__ import annotations

import gzip
import re

import pytest

from simulator.n40.sbi import SbiHeaders, compressed, sender_timestamp

NS = 1_000_000_000
NOON = 1_795_000_000 * NS + 123_456_789
RULES = {
    b"3gpp-sbi-sender-timestamp": rb"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d "
    rb"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d\.\d{3} GMT",
    b"3gpp-sbi-max-rsp-time": rb"\d{1,5}",
    b"3gpp-sbi-message-priority": rb"3[01]|[12]\d|\d",
    b"3gpp-sbi-correlation-info": rb"[!#$%&'*+.^_`|~0-9A-Za-z]+-[-!#$%&'*+.^_`|~0-9A-Za-z@]+",
    b"3gpp-sbi-target-apiroot": rb"https?://[^/]+(/.*)?",
    b"3gpp-sbi-callback": rb"[-_0-9A-Za-z]+(;[ \t]*apiversion=\d*)+",
}
ALL = SbiHeaders(
    sender_timestamp=True,
    max_rsp_time=True,
    message_priority=31,
    correlation_info=True,
    target_api_root="https://chf.example:8443/root",
    callback="Nchf_ConvergedCharging_Notify; apiversion=3",
    extra=(("x-lab", "one two"),),
)


def test_nothing_is_sent_unless_it_is_wanted() -> None:
    assert SbiHeaders().render("imsi-001010000000001", NOON, 5 * NS) == []


def test_every_header_follows_its_rule() -> None:
    headers = dict(ALL.render("imsi-001010000000001", NOON, 5 * NS))
    assert headers.keys() == RULES.keys() | {b"x-lab"}
    for name, rule in RULES.items():
        assert re.fullmatch(rule, headers[name]), headers[name]
    assert headers[b"3gpp-sbi-correlation-info"] == b"imsi-001010000000001"
    assert headers[b"3gpp-sbi-max-rsp-time"] == b"5000"
    assert headers[b"x-lab"] == b"one two"


def test_headers_of_another_attempt_are_its_own() -> None:
    first = ALL.render("imsi-001010000000001", NOON, 5 * NS)
    second = ALL.render("imsi-001010000000002", NOON + NS, 3 * NS)
    changed = {name for name, value in second if dict(first)[name] != value}
    assert changed == {b"3gpp-sbi-sender-timestamp", b"3gpp-sbi-max-rsp-time", b"3gpp-sbi-correlation-info"}


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0, b"Thu, 01 Jan 1970 00:00:00.000 GMT"),
        (NOON, b"Wed, 18 Nov 2026 11:06:40.123 GMT"),
        (1_709_210_096 * NS + 999_999_999, b"Thu, 29 Feb 2024 12:34:56.999 GMT"),
    ],
)
def test_the_senders_timestamp_is_in_english_and_milliseconds(at: int, text: bytes) -> None:
    assert sender_timestamp(at) == text


def test_a_response_time_has_five_digits_at_most() -> None:
    (header,) = SbiHeaders(max_rsp_time=True).render("imsi-1", NOON, 3600 * NS)
    assert header == (b"3gpp-sbi-max-rsp-time", b"99999")


def test_a_device_id_is_no_correlation_info() -> None:
    """Its first part would read as the type of the identifier."""
    assert SbiHeaders(correlation_info=True).render("fffe30f9-3d86-5e8c-8731-8dd51f652e21", NOON, NS) == []


def test_a_compressed_body_is_smaller_and_always_the_same_gzip() -> None:
    body = b'{"ratingGroup":300,"requestedUnit":{"totalVolume":1000}}' * 20
    packed = compressed(body)
    assert len(packed) < len(body) // 5
    assert gzip.decompress(packed) == body
    assert compressed(body) == packed
    assert gzip.decompress(compressed(b"")) == b""
