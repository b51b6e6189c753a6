"""Retry-After and 3gpp-Sbi-Oci as CHFs write them, and as nobody should."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.n40.overload import OverloadInformation, read_overload, read_retry_after

NOON = 1_795_348_800.0
"""22 November 2026, 12:00 UTC."""


def oci(stamp: str = "Sun, 22 Nov 2026 12:00:00 GMT", reduction: str = "50%", validity: str = "75s") -> bytes:
    return (
        f'Timestamp: "{stamp}"; Period-of-Validity: {validity}; Overload-Reduction-Metric: {reduction}; '
        "NF-Instance: b8f5c9d2-6a3e-4f17-9c41-2d7e5a0b1c34"
    ).encode()


@pytest.mark.parametrize(
    ("stamp", "moment"),
    [
        ("Sun, 22 Nov 2026 12:00:00 GMT", NOON),
        ("Sun, 22 Nov 2026 12:00:00.250 GMT", NOON + 0.25),
        ("2026-11-22T12:00:00Z", NOON),
        ("2026-11-22T13:00:00.5+01:00", NOON + 0.5),
    ],
)
def test_overload_information_is_read_with_its_moment(stamp: str, moment: float) -> None:
    assert read_overload(oci(stamp)) == OverloadInformation(timestamp=moment, validity_s=75.0, reduction=50)


@pytest.mark.parametrize(
    "header",
    [b"", oci("yesterday"), oci(reduction="101%"), oci(reduction="half"), oci(validity="long"), oci() + b" " * 3000],
)
def test_overload_information_that_makes_no_sense_is_none(header: bytes) -> None:
    assert read_overload(header) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (b"5", 5.0),
        (b" 120 ", 120.0),
        (b"Sun, 22 Nov 2026 12:00:30 GMT", 30.0),
        (b"Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        (b"-5", 0.0),
        (b"soon", 0.0),
        (b"9" * 40, 0.0),
    ],
)
def test_a_time_to_wait_is_seconds_or_a_date(header: bytes, seconds: float) -> None:
    assert read_retry_after(header, NOON) == seconds


@pytest.mark.parametrize("zone", ["+99999999999999", "-" + "9" * 30])
def test_a_date_beyond_all_dates_is_none(zone: str) -> None:
    assert read_retry_after(f"Sun, 22 Nov 2026 12:00:00 {zone}".encode(), NOON) == 0.0
    assert read_overload(oci(f"Sun, 22 Nov 2026 12:00:00 {zone}")) is None


@given(
    st.binary(max_size=60)
    | st.from_regex(
        rb"Sun, [0-9]{1,30} Nov [0-9]{1,30} [0-9]{1,30}:00:00(\.[0-9]+)? [+-]?[0-9A-Z]{0,30}", fullmatch=True
    )
)
def test_no_header_raises_anything(header: bytes) -> None:
    assert read_retry_after(header, NOON) >= 0.0
    read_overload(b'Timestamp: "' + header + b'"; Period-of-Validity: 1s; Overload-Reduction-Metric: 1%')


IMPOSSIBLE = (
    b"Fri, 31 Dec 99999999999999999999 23:59:59 GMT",
    b"Fri, 31 Dec 2026 99999999999999999999:59:59 GMT",
    b"Fri, 31 Dec 2026 23:59:59 +99999999999999999",
    b"Fri, 31 Feb 2026 23:59:59 GMT",
    b", , ,",
)


@pytest.mark.parametrize("date", IMPOSSIBLE)
def test_a_date_that_no_calendar_has_says_nothing(date: bytes) -> None:
    assert read_retry_after(date, 0.0) == 0.0
    header = b'Timestamp: "%b"; Period-of-Validity: 5s; Overload-Reduction-Metric: 50%%' % date
    assert read_overload(header) is None
