"""What a CHF in trouble says in its headers is read, or has no effect; it is never an exception."""

from __future__ import annotations

import pytest

from simulator.n40.overload import read_overload, read_retry_after

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
    oci = b'Timestamp: "%b"; Period-of-Validity: 5s; Overload-Reduction-Metric: 50%%' % date
    assert read_overload(oci) is None
