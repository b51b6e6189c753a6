"""What stands in the records for the audit: container by container, doubt by doubt, and how a session really ended."""

from __future__ import annotations

import pytest

from simulator.n40 import End, FailurePolicy, Handling, Operation, Trouble
from tests.n40.trace import MB, S, Sent, Smf, data, voice

CONTINUE = FailurePolicy(handling=Handling.CONTINUE, retry_every=10 * S)


def checksum(*reports: Sent, rg: int = 300) -> int:
    """As a CHF adds it up from the messages."""
    return sum(
        container.get("totalVolume", container.get("time")) * (container["localSequenceNumber"] + 1)
        for report in reports
        for container in report.containers(rg)
    )


def with_quota(smf: Smf, octets: int = 10 * MB) -> Smf:
    smf.starts()
    smf.chf.grants(300, octets=octets)
    return smf


def test_the_checksum_is_that_of_the_acknowledged_containers_of_each_rating_group() -> None:
    smf = Smf(data(), voice())
    smf.starts()
    smf.chf.answers(
        {"ratingGroup": 300, "grantedUnit": {"totalVolume": 10 * MB}}, {"ratingGroup": 100, "grantedUnit": {"time": 60}}
    )
    update = smf.sends()
    smf.chf.grants(300, octets=100 * MB)
    smf.stops(25 * S)
    release = smf.sends()
    smf.chf.answers()
    records = smf.records()
    assert records[300].checksum == checksum(update, release)
    assert records[100].checksum == checksum(release, rg=100) > 0
    assert records[300].containers == records[100].containers == 3
    assert records[300].doubts == ()


def test_containers_that_were_buffered_count_with_their_own_numbers() -> None:
    smf = with_quota(Smf(data()), 100 * MB)
    for moment in (3 * S, 7 * S):
        smf.changes("QOS_CHANGE", at=moment, qos=1)
    smf.stops(10 * S)
    release = smf.sends()
    assert len(release.containers(300)) == 3
    smf.chf.answers()
    assert smf.records()[300].checksum == checksum(release)


def test_what_was_not_taken_is_told_in_another_container_or_in_the_same_one_and_counts_once() -> None:
    smf = with_quota(Smf(data()))
    smf.sends()
    smf.chf.refuses(403, "QUOTA_LIMIT_REACHED")
    smf.stops(15 * S)
    release = smf.sends()
    assert release.used(300) == 10 * MB
    smf.chf.answers()
    record = smf.records()[300]
    assert (record.checksum, record.doubts) == (checksum(release), ())


def test_each_doubtful_report_stands_by_itself_with_its_reason() -> None:
    smf = with_quota(Smf(data()))
    update = smf.sends()
    smf.chf.is_silent(after=5, trouble=Trouble.CONNECTION)
    release = smf.sends()
    smf.chf.says(500, b"")
    record = smf.records()[300]
    assert record.end is End.FAILED
    assert record.doubts == ((10 * MB, checksum(update), "connection"),)
    assert (record.checksum, release.used(300)) == (0, 0)


def test_a_report_that_is_kept_when_the_run_ends_is_in_doubt() -> None:
    """CONTINUE: it may have been charged, and is waiting to be told again."""
    smf = with_quota(Smf(data(), failure=CONTINUE))
    update = smf.sends()
    smf.chf.is_silent(after=1)
    smf.session.abandon(15 * S, doubt=False)
    record = smf.records()[300]
    assert record.doubts == ((10 * MB, checksum(update), "run ended"),)
    assert (record.end, record.used, record.reported) == (End.OPEN, 14 * MB, 10 * MB)


def test_a_kept_report_that_nobody_processed_is_in_no_doubt_when_the_run_ends() -> None:
    smf = with_quota(Smf(data(), failure=CONTINUE))
    smf.sends()
    smf.chf.is_silent(processed=False, trouble=Trouble.CONNECTION)
    smf.session.abandon(15 * S, doubt=False)
    record = smf.records()[300]
    assert (record.doubts, record.reported) == ((), 0)


@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_session_that_could_not_be_released_when_the_chf_wanted_it_ended_says_so(status: int) -> None:
    smf = with_quota(Smf(data()))
    smf.is_notified(at=5 * S, abort=True)
    assert smf.sends().operation is Operation.RELEASE
    smf.chf.refuses(status)
    assert smf.end in {End.FAILED, End.DENIED, End.GONE}


def test_a_session_that_the_chf_ended_well_is_aborted() -> None:
    smf = with_quota(Smf(data()))
    smf.is_notified(at=5 * S, abort=True)
    smf.sends()
    smf.chf.answers()
    record = smf.records()[300]
    assert (record.end, record.used, record.acknowledged) == (End.ABORTED, 5 * MB, 5 * MB)


def test_uncharged_traffic_stays_uncharged_whatever_the_chf_notifies() -> None:
    """The answer to its Create was lost on the way, so the CHF has a session to notify."""
    smf = Smf(data(), failure=CONTINUE)
    smf.starts()
    smf.chf.is_silent(after=5)
    smf.is_notified(at=20 * S)
    smf.is_quiet_until(30 * S)
    smf.is_notified(at=30 * S, abort=True)
    record = smf.records()[300]
    assert (record.end, record.reported) == (End.UNCHARGED, 0)
    assert record.used > 0


def test_containers_that_wait_when_charging_ceases_to_apply_are_let_pass_and_not_refused() -> None:
    smf = with_quota(Smf(data()), 100 * MB)
    smf.changes("QOS_CHANGE", at=3 * S, qos=1)
    smf.is_notified(at=6 * S)
    smf.sends()
    smf.chf.refuses(403, "CHARGING_NOT_APPLICABLE")
    smf.stops(10 * S)
    record = smf.records()[300]
    assert (record.end, record.used, record.reported, record.acknowledged) == (End.UNCHARGED, 10 * MB, 0, 0)


def test_where_containers_cannot_be_told_apart_there_is_no_checksum() -> None:
    smf = with_quota(Smf(data(), counts_containers=False))
    smf.stops(5 * S)
    smf.sends()
    smf.chf.answers()
    assert smf.records()[300].checksum is None
