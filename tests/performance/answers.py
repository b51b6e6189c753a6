"""What the benchmark's peer answers, built once: the same grant to everybody, whatever was asked."""

from __future__ import annotations

from collections.abc import Sequence

COLLECTION = b"/nchf-convergedcharging/v3/chargingdata"
CHARGING_DATA_REF = b"5f3e-1"
GRANT_OCTETS = 10_000_000
THRESHOLD_OCTETS = 1_000_000
"""Grant and threshold are those of the sandbox's default plan for rating group 300, if 10 MB are asked for."""

Header = tuple[bytes, bytes]
FixedAnswer = tuple[list[Header], bytes]
"""Headers, `:status` first, and body."""


def fixed_answers(rating_groups: Sequence[int]) -> tuple[FixedAnswer, FixedAnswer, FixedAnswer]:
    """Answers to Create, Update and Release (TS 32.291 6.1.3: 201 with Location, 200, 204)."""
    grants = b",".join(
        b'{"ratingGroup":%d,"resultCode":"SUCCESS","grantedUnit":{"totalVolume":%d},"validityTime":1800,'
        b'"volumeQuotaThreshold":%d,"quotaHoldingTime":600}' % (rating_group, GRANT_OCTETS, THRESHOLD_OCTETS)
        for rating_group in rating_groups
    )
    body = (
        b'{"invocationTimeStamp":"2026-11-22T10:00:00.000Z","invocationSequenceNumber":0,"multipleUnitInformation":['
        + grants
        + b"]}"
    )
    form = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    location = (b"location", COLLECTION + b"/" + CHARGING_DATA_REF)
    return (
        ([(b":status", b"201"), location, *form], body),
        ([(b":status", b"200"), *form], body),
        ([(b":status", b"204")], b""),
    )
