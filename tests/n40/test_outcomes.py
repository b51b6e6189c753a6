"""What the session does about what the CHF answers: result codes of rating groups, causes, failures, silence."""

from __future__ import annotations

import pytest

from simulator.n40 import End, Operation
from simulator.n40.session import MAX_CREATES
from tests.n40.trace import MB, S, Smf, data, granted, voice

CREATE, UPDATE, RELEASE = Operation.CREATE, Operation.UPDATE, Operation.RELEASE


def with_quota(*more: dict[str, object], octets: int = 10 * MB, **options: int | bool) -> Smf:
    """A session with a grant, and its first Update outstanding."""
    smf = Smf(data(), **options)
    smf.starts()
    smf.chf.grants(300, octets=octets)
    smf.sends()
    return smf


# -- result codes of a rating group ---------------------------------------------------------------------------------------

REFUSALS = ["RATING_FAILED", "QUOTA_LIMIT_REACHED", "END_USER_SERVICE_DENIED", "END_USER_SERVICE_REJECTED"]


@pytest.mark.parametrize("code", REFUSALS)
def test_a_refused_group_is_dropped_and_the_others_go_on(code: str) -> None:
    smf = Smf(data(300), voice(100))
    smf.starts()
    smf.chf.answers(granted(300, code=code), granted(100, seconds=60), after=1)
    update = smf.sends()
    assert (update.at, list(update.groups)) == (61 * S, [100])
    smf.chf.grants(100, seconds=60)
    smf.stops(70 * S)
    release = smf.sends()
    assert (release.used(300), release.used(100)) == (0, 9)
    assert smf.used(300) == 0


@pytest.mark.parametrize("code", REFUSALS)
def test_a_group_refused_on_update_keeps_what_it_had_used(code: str) -> None:
    smf = with_quota()
    smf.chf.answers(granted(300, code=code), after=1)
    release = smf.sends()  # it was the only one
    assert (release.operation, release.at, release.used(300)) == (RELEASE, 11 * S, 0)
    smf.chf.answers()
    assert smf.end is End.COMPLETED
    assert smf.records()[300].acknowledged == smf.used(300) == 10 * MB


def test_a_session_of_refused_groups_may_be_kept() -> None:
    smf = with_quota(release_when_stopped=False, release_when_denied=False)
    smf.chf.answers(granted(300, code="RATING_FAILED"))
    smf.is_quiet_until(500 * S)
    assert smf.end is None


def test_a_group_can_be_refused_that_asked_for_nothing() -> None:
    smf = Smf(data(300), data(310))
    smf.starts()
    smf.chf.answers(granted(300, octets=5 * MB), granted(310, octets=100 * MB))
    smf.sends()
    smf.chf.answers(granted(300, octets=100 * MB), granted(310, code="END_USER_SERVICE_DENIED"), after=1)
    smf.is_quiet_until(50 * S)
    assert smf.used(310) == 6 * MB


def test_a_group_without_quota_management_counts_offline() -> None:
    smf = Smf(data(300), voice(100))
    smf.starts()
    smf.chf.answers(granted(300, code="QUOTA_MANAGEMENT_NOT_APPLICABLE"), granted(100, seconds=5), after=1)
    assert list(smf.sends().groups) == [100]
    smf.chf.grants(100, seconds=1000)
    smf.is_quiet_until(20 * S)
    smf.stops(21 * S)
    release = smf.sends()
    assert (release.used(300), release.asks(300)) == (20 * MB, False)
    assert release.container(300)["quotaManagementIndicator"] == "OFFLINE_CHARGING"
    assert release.container(100)["quotaManagementIndicator"] == "ONLINE_CHARGING"


def test_an_offline_group_that_has_all_it_wanted_lets_the_session_end() -> None:
    smf = Smf(data(volume=7 * MB))
    smf.starts()
    smf.chf.answers(granted(300, code="QUOTA_MANAGEMENT_NOT_APPLICABLE"))
    release = smf.sends()
    assert (release.operation, release.at, release.used(300)) == (RELEASE, 7 * S, 7 * MB)


# -- END: no service ------------------------------------------------------------------------------------------------------

NO_SERVICE = [
    "CHARGING_FAILED",
    "RE_AUTHORIZATION_FAILED",
    "END_USER_REQUEST_DENIED",
    "END_USER_REQUEST_REJECTED",
    "USER_UNKNOWN",
]


@pytest.mark.parametrize("cause", NO_SERVICE)
def test_a_create_refused_ends_the_session_without_service(cause: str) -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.refuses(403, cause, after=1)
    assert smf.end is End.DENIED
    assert smf.session.next_request() is None
    record = smf.records()[300]
    assert (record.used, record.reported, record.doubt, record.reference) == (0, 0, 0, b"")


@pytest.mark.parametrize("cause", NO_SERVICE)
def test_an_update_refused_releases_the_session_with_what_it_could_not_report(cause: str) -> None:
    smf = with_quota()
    smf.chf.refuses(403, cause, after=1)
    release = smf.sends()
    assert (release.operation, release.trigger(300), release.used(300)) == (RELEASE, "ABNORMAL_RELEASE", 10 * MB)
    smf.chf.answers()
    assert smf.end is End.DENIED
    record = smf.records()[300]
    assert (record.used, record.acknowledged, record.doubt) == (10 * MB, 10 * MB, 0)


@pytest.mark.parametrize("status", [400, 411, 413, 415])
def test_a_wrong_message_ends_the_session(status: int) -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.refuses(status)
    assert smf.end is End.FAILED
    smf = with_quota()
    smf.chf.refuses(status)
    assert smf.sends().trigger(300) == "ABNORMAL_RELEASE"
    smf.chf.refuses(status)
    assert smf.end is End.FAILED
    record = smf.records()[300]
    assert (record.used, record.reported) == (10 * MB, 0)  # refused both times: never charged


# -- NO_CREDIT ------------------------------------------------------------------------------------------------------------


def test_a_create_without_credit_is_tried_again_after_the_back_off() -> None:
    smf = Smf(data(volume=5 * MB), data(310, delay=20), retry_after=30 * S)
    first = smf.starts()
    smf.chf.refuses(403, "QUOTA_LIMIT_REACHED", after=2)
    second = smf.sends()
    assert (second.operation, second.at) == (CREATE, 32 * S)
    assert second.body["invocationSequenceNumber"] == first.body["invocationSequenceNumber"] == 0
    assert (first.asks(310), second.asks(310)) == (False, True)  # traffic has begun meanwhile
    assert smf.used(300) == 0
    smf.chf.answers(granted(300, octets=10 * MB), granted(310, octets=MB))
    assert (smf.sends().at, smf.used(300)) == (33 * S, MB)


def test_a_create_tried_again_and_answered_within_the_same_moment_starts_traffic_then() -> None:
    smf = Smf(data(), retry_after=30 * S)
    smf.starts()
    smf.chf.refuses(403, "QUOTA_LIMIT_REACHED")
    smf.sends()
    smf.chf.grants(300, octets=5 * MB)
    assert smf.sends().at == 35 * S


def test_a_subscriber_without_credit_gives_up_after_a_few_creates() -> None:
    smf = Smf(data(), retry_after=30 * S)
    smf.starts()
    for _ in range(MAX_CREATES - 1):
        smf.chf.refuses(403, "QUOTA_LIMIT_REACHED")
        assert smf.sends().operation is CREATE
    smf.chf.refuses(403, "QUOTA_LIMIT_REACHED")
    assert smf.end is End.DENIED
    assert smf.now == (MAX_CREATES - 1) * 30 * S


def test_a_session_stopped_during_the_back_off_is_over() -> None:
    smf = Smf(data(), retry_after=30 * S)
    smf.starts()
    smf.chf.refuses(403, "QUOTA_LIMIT_REACHED")
    smf.stops(10 * S)
    assert smf.end is End.DENIED


def test_a_session_stopped_while_the_refused_create_was_awaited_is_over() -> None:
    smf = Smf(data())
    smf.starts()
    smf.stops(S)
    smf.chf.refuses(403, "QUOTA_LIMIT_REACHED", after=1)
    assert smf.end is End.DENIED


def test_an_update_without_credit_stops_online_traffic_and_the_release_reports_it() -> None:
    smf = with_quota()
    smf.chf.refuses(403, "QUOTA_LIMIT_REACHED", after=1)
    release = smf.sends()
    assert (release.operation, release.trigger(300), release.used(300)) == (RELEASE, "FINAL", 10 * MB)
    assert release.used(300, "time") == 10
    smf.chf.answers()
    assert smf.end is End.COMPLETED
    assert smf.used(300) == 10 * MB


def test_an_update_without_credit_leaves_groups_alone_that_asked_for_nothing() -> None:
    smf = Smf(data(300), data(310))
    smf.starts()
    smf.chf.answers(granted(300, octets=5 * MB), granted(310, octets=10 * MB))
    smf.sends()
    smf.chf.refuses(403, "QUOTA_LIMIT_REACHED", after=7)
    update = smf.sends()  # has fired meanwhile, asks for the first time
    assert (update.at, update.asks(310), update.used(310)) == (12 * S, True, 10 * MB)
    smf.chf.grants(310, octets=3 * MB)
    assert (smf.sends().at, smf.used(300), smf.used(310)) == (15 * S, 5 * MB, 13 * MB)


# -- CHARGING_NOT_APPLICABLE ----------------------------------------------------------------------------------------------


def test_where_charging_does_not_apply_the_session_goes_on_uncharged() -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.refuses(403, "CHARGING_NOT_APPLICABLE", after=1)
    smf.is_quiet_until(100 * S)
    smf.stops(101 * S)
    assert smf.end is End.UNCHARGED
    record = smf.records()[300]
    assert (record.used, record.reported) == (100 * MB, 0)


def test_an_uncharged_session_ends_when_it_has_all_it_wanted() -> None:
    smf = Smf(data(volume=5 * MB))
    smf.starts()
    smf.chf.refuses(403, "CHARGING_NOT_APPLICABLE")
    assert smf.session.next_deadline() == 5 * S
    smf.session.on_time(5 * S)
    assert (smf.end, smf.used(300)) == (End.UNCHARGED, 5 * MB)


def test_charging_can_cease_to_apply_in_the_middle() -> None:
    smf = with_quota()
    smf.chf.refuses(400, "CHARGING_NOT_APPLICABLE")
    smf.is_quiet_until(100 * S)
    smf.stops(100 * S)
    assert smf.end is End.UNCHARGED
    record = smf.records()[300]
    assert (record.used, record.reported, record.acknowledged) == (100 * MB, 0, 0)


# -- the charging session is gone -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "cause"), [(404, "CONTEXT_NOT_FOUND"), (400, "CONTEXT_NOT_FOUND"), (404, None), (410, None)]
)
def test_a_lost_session_is_created_anew_and_unreported_units_are_carried_over(status: int, cause: str | None) -> None:
    smf = with_quota(first_sequence=1)
    smf.chf.grants(300, octets=10 * MB, threshold=2 * MB)
    smf.sends()
    smf.chf.refuses(status, cause, after=1)
    create = smf.sends()
    assert (create.operation, create.at, create.asks(300)) == (CREATE, 19 * S, True)
    assert create.body["invocationSequenceNumber"] == 1
    assert create.path == "/nchf-convergedcharging/v3/chargingdata"
    (lost,) = smf.session.next_records()
    assert (lost.reference, lost.end) == (b"ref-1", End.GONE)
    assert (lost.used, lost.reported, lost.acknowledged, lost.doubt) == (10 * MB, 10 * MB, 10 * MB, 0)
    smf.chf.location = b"ref-2"
    smf.chf.grants(300, octets=20 * MB, after=1)
    assert smf.used(300) == 19 * MB  # no traffic without quota
    update = smf.sends()
    assert (update.at, update.used(300)) == (31 * S, 20 * MB)  # nine of them from before
    assert update.body["invocationSequenceNumber"] == 2
    assert update.container(300)["localSequenceNumber"] == 1
    assert update.path.endswith("/ref-2/update")
    smf.chf.answers(granted(300, code="RATING_FAILED"))
    smf.sends()
    smf.chf.answers()
    record = smf.records()[300]
    assert (record.reference, record.used, record.acknowledged, record.end) == (
        b"ref-2",
        20 * MB,
        20 * MB,
        End.COMPLETED,
    )


def test_creates_of_one_pdu_session_within_a_millisecond_do_not_look_like_one_and_its_repeat() -> None:
    smf = Smf(data())
    stamps = [smf.starts().body["invocationTimeStamp"]]
    for _ in range(2):
        smf.chf.answers()  # grants nothing, so that the first Update asks at once
        assert smf.sends().operation is UPDATE
        smf.chf.refuses(404)
        stamps.append(smf.sends().body["invocationTimeStamp"])
    assert smf.now < 100
    assert stamps == sorted(set(stamps))


def test_a_chf_that_loses_everything_is_given_up() -> None:
    smf = Smf(data())
    smf.starts()
    for number in range(MAX_CREATES):
        smf.chf.grants(300, octets=(number + 1) * MB)  # what is carried over counts against it
        assert smf.sends().used(300) == (number + 1) * MB
        smf.chf.refuses(404)
        if number < MAX_CREATES - 1:
            assert smf.sends().operation is CREATE
    assert smf.end is End.GONE
    records = smf.session.next_records()
    assert [record.reported for record in records] == [0] * MAX_CREATES
    assert sum(record.used for record in records) == smf.used(300) == MAX_CREATES * MB


def test_a_lost_session_that_is_to_stop_is_not_created_anew() -> None:
    smf = with_quota()
    smf.stops(11 * S)
    smf.chf.refuses(404, after=1)
    assert smf.end is End.GONE
    record = smf.records()[300]
    assert (record.used, record.reported) == (10 * MB, 0)


@pytest.mark.parametrize("status", [404, 410])
def test_a_release_of_a_lost_session_ends_it_unreported(status: int) -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.grants(300, octets=10 * MB)
    smf.stops(3 * S)
    smf.sends()
    smf.chf.refuses(status)
    assert smf.end is End.GONE
    record = smf.records()[300]
    assert (record.used, record.reported, record.doubt) == (3 * MB, 0, 0)


def test_a_repeated_release_answered_404_is_released_in_doubt() -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.grants(300, octets=10 * MB)
    smf.stops(3 * S)
    smf.sends()
    smf.chf.refuses(404, repeats=1)
    record = smf.records()[300]
    assert (record.used, record.reported, record.acknowledged, record.doubt) == (3 * MB, 3 * MB, 0, 3 * MB)


# -- failures -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_after_a_failed_update_the_units_are_in_doubt_and_not_reported_twice(status: int) -> None:
    smf = with_quota()
    smf.chf.refuses(status)
    release = smf.sends()
    assert (release.operation, release.trigger(300), release.used(300)) == (RELEASE, "ABNORMAL_RELEASE", 0)
    assert release.body["invocationSequenceNumber"] == 2
    smf.chf.answers()
    assert smf.end is End.FAILED
    record = smf.records()[300]
    assert (record.used, record.reported, record.acknowledged, record.doubt) == (10 * MB, 10 * MB, 0, 10 * MB)


def test_an_update_answered_429_was_not_processed_and_is_reported_by_the_release() -> None:
    smf = with_quota()
    smf.chf.refuses(429)
    assert smf.sends().used(300) == 10 * MB
    smf.chf.answers()
    assert smf.end is End.FAILED
    record = smf.records()[300]
    assert (record.acknowledged, record.doubt) == (10 * MB, 0)


@pytest.mark.parametrize("content", [b"", b"<html>", b'{"multipleUnitInformation":7}'])
def test_an_unreadable_update_answer_leaves_its_units_in_doubt(content: bytes) -> None:
    smf = with_quota()
    smf.chf.says(200, content)
    assert smf.sends().used(300) == 0
    smf.chf.answers()
    assert smf.end is End.FAILED
    assert smf.records()[300].doubt == 10 * MB


@pytest.mark.parametrize(("processed", "left"), [(True, 0), (False, 10 * MB)])
def test_an_update_without_an_answer_is_in_doubt_only_if_it_may_have_been_processed(processed: bool, left: int) -> None:
    smf = with_quota()
    smf.chf.is_silent(after=10, processed=processed)
    release = smf.sends()
    assert (release.at, release.used(300)) == (20 * S, left)
    smf.chf.answers()
    assert smf.end is End.FAILED
    record = smf.records()[300]
    assert (record.used, record.acknowledged, record.doubt) == (10 * MB, left, 10 * MB - left)


def test_a_failed_create_ends_the_session_without_service() -> None:
    for status in (503, 429, 0):
        smf = Smf(data())
        smf.starts()
        if status:
            smf.chf.refuses(status)
        else:
            smf.chf.is_silent(after=10)
        assert (smf.end, smf.used(300)) == (End.FAILED, 0)
        assert smf.session.next_deadline() > 10**18


def test_a_failed_release_still_ends_the_session() -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.grants(300, octets=10 * MB)
    smf.stops(3 * S)
    smf.sends()
    smf.chf.refuses(500)
    assert smf.end is End.FAILED
    assert smf.records()[300].doubt == 3 * MB


# -- what else an answer can bring ----------------------------------------------------------------------------------------


def test_answers_to_anything_but_the_outstanding_request_are_ignored() -> None:
    smf = with_quota()
    stale = smf.outstanding.id - 1
    smf.session.on_failure(stale, smf.now, processed=True)
    assert smf.outstanding.id == stale + 1
    smf.chf.grants(300, octets=MB)
    smf.session.on_failure(stale + 1, smf.now, processed=True)
    assert smf.end is None


@pytest.mark.parametrize(
    ("location", "path", "origin"),
    [
        (b"http://chf-2:8080/nchf-convergedcharging/v3/chargingdata/r", "/nchf-convergedcharging/v3/chargingdata/r", b"http://chf-2:8080"),
        (b"/nchf-convergedcharging/v3/chargingdata/r", "/nchf-convergedcharging/v3/chargingdata/r", None),
        (b"r", "/nchf-convergedcharging/v3/chargingdata/r", None),
        (b"/elsewhere/r", "/elsewhere/r", None),
    ],
)  # fmt: skip
def test_updates_and_the_release_go_where_location_says(location: bytes, path: str, origin: bytes | None) -> None:
    smf = Smf(data())
    smf.chf.location = location
    assert smf.starts().path == "/nchf-convergedcharging/v3/chargingdata"
    smf.chf.grants(300, octets=MB)
    update = smf.sends()
    assert (update.path, update.request.origin) == (path + "/update", origin)
    smf.chf.grants(300, octets=MB)
    smf.stops()
    release = smf.sends()
    assert (release.path, release.request.origin) == (path + "/release", origin)


def test_the_location_of_an_update_answer_replaces_the_old_one() -> None:
    smf = with_quota()
    smf.chf.answers(granted(300, octets=MB), location=b"http://chf-2/x/moved")
    update = smf.sends()
    assert (update.path, update.request.origin) == ("/x/moved/update", b"http://chf-2")


def test_a_session_that_is_abandoned_has_what_is_on_its_way_in_doubt() -> None:
    smf = with_quota()
    smf.session.abandon(smf.now, doubt=True)
    assert smf.end is End.OPEN
    record = smf.records()[300]
    assert (record.used, record.reported, record.doubt) == (10 * MB, 10 * MB, 10 * MB)


def test_a_session_that_is_abandoned_between_requests_has_nothing_in_doubt() -> None:
    smf = with_quota()
    smf.chf.grants(300, octets=10 * MB)
    smf.session.abandon(smf.now, doubt=False)
    record = smf.records()[300]
    assert (record.acknowledged, record.doubt) == (10 * MB, 0)


def test_a_report_that_never_left_is_not_in_doubt_when_its_session_is_abandoned() -> None:
    smf = with_quota()
    smf.session.abandon(smf.now, doubt=False)
    record = smf.records()[300]
    assert (record.used, record.reported, record.doubt) == (10 * MB, 0, 0)


@pytest.mark.parametrize(
    ("status", "cause"), [(429, None), (403, "CHARGING_FAILED"), (404, None), (403, "QUOTA_LIMIT_REACHED"), (503, None)]
)
def test_whatever_a_repeat_is_answered_the_first_attempt_may_have_been_charged(status: int, cause: str | None) -> None:
    """Nothing of it is reported again: that would be charging twice, by the SMF."""
    smf = with_quota()
    smf.chf.refuses(status, cause, repeats=1)
    lost = smf.session.next_records()
    if smf.session.outstanding is not None and smf.outstanding.operation is not CREATE:
        assert smf.sends().used(300) == 0
    elif smf.session.outstanding is not None:
        smf.sends()
    if smf.session.end is None:
        smf.session.abandon(smf.now, doubt=False)
    records = [*lost, *smf.session.next_records()]
    assert sum(record.doubt for record in records) == 10 * MB
    assert sum(record.reported for record in records) == 10 * MB


@pytest.mark.parametrize("status", [302, 307, 308, 429])
def test_what_was_redirected_or_throttled_was_not_processed(status: int) -> None:
    smf = with_quota()
    smf.chf.refuses(status)
    release = smf.sends()
    assert (release.operation, release.used(300)) == (Operation.RELEASE, 10 * MB)
    smf.chf.answers()
    assert smf.records()[300].doubt == 0
