"""What a session does when the CHF fails it: end, go on without it, or begin again; and what stands in the books then."""

from __future__ import annotations

import pytest

from simulator.n40 import End, FailurePolicy, Handling, Operation, Trouble
from simulator.n40.failure import MAX_CONTINUED, trouble_of
from simulator.n40.flow import NEVER
from tests.n40.trace import MB, S, Smf, data

GB = 1000 * MB
CONTINUE = FailurePolicy(handling=Handling.CONTINUE, retry_every=10 * S)


def with_quota(failure: FailurePolicy = CONTINUE, octets: int = 10 * MB) -> Smf:
    smf = Smf(data(), failure=failure)
    smf.starts()
    smf.chf.grants(300, octets=octets)
    return smf


@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        (408, Trouble.TIMEOUT), (429, Trouble.OVERLOAD), (503, Trouble.OVERLOAD), (500, Trouble.SERVER_ERROR),
        (502, Trouble.SERVER_ERROR), (504, Trouble.SERVER_ERROR), (401, Trouble.UNAUTHORIZED), (307, Trouble.UNREADABLE),
    ],
)  # fmt: skip
def test_a_status_tells_the_kind_of_trouble(status: int, trouble: Trouble) -> None:
    assert trouble_of(status) is trouble


def test_the_profile_chooses_by_operation_and_trouble() -> None:
    policy = FailurePolicy(
        handling=Handling.TERMINATE, table={(Operation.UPDATE, Trouble.TIMEOUT): Handling.CONTINUE}, retry_every=10 * S
    )
    for trouble, end in ((Trouble.TIMEOUT, None), (Trouble.CONNECTION, End.FAILED)):
        smf = with_quota(policy)
        smf.sends()
        smf.chf.is_silent(after=1, trouble=trouble)
        if end is None:
            smf.is_quiet_until(20 * S)
        else:
            assert smf.sends().operation is Operation.RELEASE


def test_the_chf_comes_before_the_profile() -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.answers(
        {"ratingGroup": 300, "grantedUnit": {"totalVolume": 10 * MB}},
        invocationResult={"failureHandling": "CONTINUE"},
        sessionFailover="FAILOVER_SUPPORTED",
    )
    assert smf.session.handling(Operation.UPDATE, Trouble.TIMEOUT) is Handling.CONTINUE
    assert smf.session.failover
    smf.sends()
    smf.chf.is_silent(after=1)
    smf.is_quiet_until(20 * S)


def test_a_chf_may_forbid_the_failover_that_the_profile_allows() -> None:
    smf = Smf(data(), failure=FailurePolicy(failover=True))
    smf.starts()
    assert smf.session.failover
    smf.chf.answers({"ratingGroup": 300, "grantedUnit": {"totalVolume": MB}}, sessionFailover="FAILOVER_NOT_SUPPORTED")
    assert not smf.session.failover


def test_traffic_goes_on_without_quota_and_the_report_is_told_again_word_for_word() -> None:
    smf = with_quota()
    update = smf.sends()
    assert (update.at, update.used(300)) == (10 * S, 10 * MB)
    smf.chf.is_silent(after=5)
    assert smf.end is None
    again = smf.sends()
    assert again.at == 25 * S
    assert again.request.body == update.request.body
    assert again.request.repeated
    assert smf.used(300) == 20 * MB  # ten seconds without quota since the CHF was given up
    smf.chf.grants(300, octets=100 * MB, after=1)
    assert smf.groups[300].limit == 110 * MB  # units used since the report count against the grant
    smf.stops(30 * S)
    release = smf.sends()
    assert release.used(300) == 15 * MB
    smf.chf.answers()
    record = smf.records()[300]
    assert (record.used, record.reported, record.acknowledged, record.doubt) == (25 * MB, 25 * MB, 25 * MB, 0)
    assert record.end is End.COMPLETED


def test_what_nobody_processed_is_told_again_without_the_mark_of_a_repeat() -> None:
    smf = with_quota()
    update = smf.sends()
    smf.chf.is_silent(processed=False, trouble=Trouble.CONNECTION)
    again = smf.sends()
    assert again.request.body == update.request.body
    assert not again.request.repeated


def test_usage_without_quota_says_so() -> None:
    smf = with_quota()
    smf.sends()
    smf.chf.is_silent(after=5)
    smf.sends()
    smf.chf.answers()  # no new quota: the CHF forgot the rating group
    smf.is_quiet_until(26 * S)
    smf.stops(30 * S)
    assert smf.sends().container(300)["quotaManagementIndicator"] == "ONLINE_CHARGING"

    smf = with_quota()
    smf.sends()
    smf.chf.is_silent(after=5)
    smf.stops(20 * S)
    smf.sends()
    smf.chf.is_silent(after=5)
    release = smf.sends()
    assert release.operation is Operation.RELEASE
    assert release.container(300)["quotaManagementIndicator"] == "QUOTA_MANAGEMENT_SUSPENDED"


def test_a_session_that_ends_meanwhile_tells_its_report_again_at_once_and_then_the_rest() -> None:
    smf = with_quota()
    update = smf.sends()
    smf.chf.is_silent(after=5)
    smf.stops(18 * S)
    again = smf.sends()
    assert (again.at, again.request.body) == (18 * S, update.request.body)
    smf.chf.answers(after=1)
    release = smf.sends()
    assert (release.operation, release.used(300)) == (Operation.RELEASE, 3 * MB)
    smf.chf.answers()
    record = smf.records()[300]
    assert (record.used, record.acknowledged, record.doubt, record.end) == (13 * MB, 13 * MB, 0, End.COMPLETED)


def test_a_report_that_is_never_answered_stays_in_doubt_and_is_not_told_a_second_time_as_something_new() -> None:
    smf = with_quota()
    smf.sends()
    smf.chf.is_silent(after=5)
    smf.stops(18 * S)
    smf.sends()
    smf.chf.is_silent(after=5)
    release = smf.sends()
    assert release.used(300) == 3 * MB
    smf.chf.answers()
    record = smf.records()[300]
    assert (record.used, record.acknowledged, record.doubt) == (13 * MB, 3 * MB, 10 * MB)


def test_going_on_is_bounded() -> None:
    smf = with_quota()
    smf.sends()
    for _ in range(MAX_CONTINUED):
        smf.chf.is_silent()
        assert smf.sends().operation is Operation.UPDATE
    smf.chf.is_silent()
    assert smf.sends().operation is Operation.RELEASE


def test_after_a_failed_create_traffic_is_uncharged() -> None:
    smf = Smf(data(), failure=CONTINUE)
    smf.starts()
    smf.chf.is_silent(after=5)
    smf.is_quiet_until(60 * S)
    smf.stops()
    assert smf.end is End.UNCHARGED
    record = smf.records()[300]
    assert (record.reference, record.used, record.reported, record.end) == (b"", 55 * MB, 0, End.UNCHARGED)


def test_after_a_failed_create_a_session_may_ask_again_and_charges_from_there() -> None:
    smf = Smf(data(), failure=FailurePolicy(handling=Handling.CONTINUE, recreate_after=30 * S))
    smf.starts()
    smf.chf.is_silent(after=5)
    create = smf.sends()
    assert (create.at, create.operation) == (35 * S, Operation.CREATE)
    uncharged = smf.records()[300]
    assert (uncharged.used, uncharged.reported, uncharged.end) == (30 * MB, 0, End.UNCHARGED)
    smf.chf.grants(300, octets=GB)
    smf.stops(45 * S)
    assert smf.sends().used(300) == 10 * MB
    smf.chf.answers()
    record = smf.records()[300]
    assert (record.used, record.acknowledged, record.end) == (10 * MB, 10 * MB, End.COMPLETED)


def test_a_failed_release_ends_the_session_whatever_the_handling() -> None:
    for handling in Handling:
        smf = with_quota(FailurePolicy(handling=handling))
        smf.stops(5 * S)
        smf.sends()
        smf.chf.is_silent(after=5)
        assert smf.end is End.FAILED
        record = smf.records()[300]
        assert (record.used, record.doubt) == (5 * MB, 5 * MB)


def test_without_a_policy_a_failure_ends_the_session() -> None:
    policy = FailurePolicy()
    assert policy.of(Operation.UPDATE, Trouble.TIMEOUT) is Handling.TERMINATE
    assert not policy.failover
    assert policy.recreate_after == NEVER


def test_a_chf_that_does_not_know_the_repeat_gets_a_new_session_and_the_report_stays_in_doubt() -> None:
    smf = with_quota()
    smf.sends()
    smf.chf.is_silent(after=5)
    smf.sends()
    smf.chf.refuses(404, repeats=1)  # the fleet knows that it was a repeat
    create = smf.sends()
    assert create.operation is Operation.CREATE
    lost = smf.records()[300]
    assert (lost.used, lost.doubt, lost.end) == (10 * MB, 10 * MB, End.GONE)
