"""Quota of a rating group: when usage is reported, how much, and when traffic waits. Exact to the nanosecond."""

from __future__ import annotations

import pytest

from simulator.n40 import End, Operation
from tests.n40.trace import KB, MB, S, Smf, data, granted, items, voice


def test_create_asks_for_the_groups_that_have_traffic_now() -> None:
    create = Smf(data(300, requested=10 * MB), data(310, delay=5), voice(100)).starts()
    assert create.operation is Operation.CREATE
    assert create.groups == {
        300: {"ratingGroup": 300, "requestedUnit": {"totalVolume": 10 * MB}},
        100: {"ratingGroup": 100, "requestedUnit": {}},
    }


def test_a_session_without_traffic_creates_without_units_and_asks_when_traffic_begins() -> None:
    smf = Smf(data(delay=5))
    assert "multipleUnitUsage" not in smf.starts().body
    smf.chf.answers()
    update = smf.sends()
    assert update.at == 5 * S
    assert (update.trigger(300), update.used(300), update.asks(300)) == ("START_OF_SERVICE_DATA_FLOW", 0, True)


def test_no_traffic_passes_before_a_grant() -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.grants(300, octets=2 * MB, after=7)
    update = smf.sends()
    assert update.at == 9 * S
    assert update.used(300) == 2 * MB


# -- threshold ----------------------------------------------------------------------------------------------------------


def test_a_threshold_is_reported_when_so_much_remains() -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.grants(300, octets=10 * MB, threshold=MB)
    update = smf.sends()
    assert update.at == 9 * S
    assert (update.trigger(300), update.used(300), update.asks(300)) == ("QUOTA_THRESHOLD", 9 * MB, True)


def test_the_rest_is_used_while_the_answer_to_a_threshold_is_awaited() -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.grants(300, octets=10 * MB, threshold=2 * MB)
    assert smf.sends().at == 8 * S
    smf.chf.grants(300, octets=10 * MB, threshold=2 * MB, after=1.5)
    assert smf.used(300) == 9.5 * MB
    update = smf.sends()
    assert update.at == 16 * S  # what was used since the report counts against the new grant
    assert update.used(300) == 8 * MB


def test_a_late_answer_to_a_threshold_finds_traffic_waiting_at_the_end_of_the_grant() -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.grants(300, octets=10 * MB, threshold=2 * MB)
    smf.sends()
    smf.chf.grants(300, octets=10 * MB, threshold=2 * MB, after=60)
    assert smf.used(300) == 10 * MB
    update = smf.sends()
    assert update.at == (68 + 6) * S
    assert update.used(300) == 8 * MB


@pytest.mark.parametrize("threshold", [10 * MB, 11 * MB])
def test_a_threshold_of_the_whole_grant_or_more_is_none(threshold: int) -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.grants(300, octets=10 * MB, threshold=threshold)
    assert smf.sends().trigger(300) == "QUOTA_EXHAUSTED"


def test_a_flow_that_has_all_it_wants_asks_for_no_more() -> None:
    smf = Smf(data(volume=9 * MB))
    smf.starts()
    smf.chf.grants(300, octets=10 * MB, threshold=MB)
    release = smf.sends()
    assert (release.operation, release.at, release.used(300)) == (Operation.RELEASE, 9 * S, 9 * MB)


def test_a_grant_of_exactly_what_the_flow_wants_is_reported_by_the_release() -> None:
    smf = Smf(data(volume=9 * MB), voice())
    smf.starts()
    smf.chf.answers(granted(300, octets=9 * MB), granted(100, seconds=60))
    update = smf.sends()
    assert (update.at, list(update.groups)) == (60 * S, [100])
    smf.stops()
    smf.chf.grants(100, seconds=60)
    assert smf.sends().used(300) == 9 * MB


def test_time_and_unit_thresholds() -> None:
    smf = Smf(voice(), items(rate=2))
    smf.starts()
    smf.chf.answers(granted(100, seconds=60, threshold=10), granted(400, units=90, threshold=6))
    update = smf.sends()
    assert (update.at, update.trigger(400), update.used(400)) == (42 * S, "QUOTA_THRESHOLD", 84)
    smf.chf.answers(granted(400, units=900), after=1)
    update = smf.sends()
    assert (update.at, update.trigger(100), update.used(100)) == (50 * S, "QUOTA_THRESHOLD", 50)
    assert 400 not in update.groups


# -- exhaustion ---------------------------------------------------------------------------------------------------------


def test_traffic_waits_for_the_answer_when_the_grant_is_used_up() -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.grants(300, octets=4 * MB)
    update = smf.sends()
    assert update.at == 4 * S
    assert (update.trigger(300), update.used(300), update.asks(300)) == ("QUOTA_EXHAUSTED", 4 * MB, True)
    smf.chf.grants(300, octets=4 * MB, after=3)
    assert smf.used(300) == 4 * MB
    update = smf.sends()
    assert (update.at, update.used(300)) == (11 * S, 4 * MB)


def test_a_crossing_is_rounded_up_to_the_nanosecond_that_completes_the_unit() -> None:
    smf = Smf(data(rate=3))
    smf.starts()
    smf.chf.grants(300, octets=10)
    update = smf.sends()
    assert (update.at, update.used(300)) == (3_333_333_334, 10)


def test_a_grant_used_up_at_the_very_end_of_a_burst_is_reported_there_and_not_after_the_pause() -> None:
    smf = Smf(data(bursts=((10, MB, 50),)))
    smf.starts()
    smf.chf.grants(300, octets=10 * MB)
    assert smf.sends().at == 10 * S


def test_a_threshold_reached_at_the_very_end_of_a_burst_is_reported_there() -> None:
    smf = Smf(data(bursts=((10, MB, 50),)))
    smf.starts()
    smf.chf.grants(300, octets=11 * MB, threshold=MB)
    assert smf.sends().at == 10 * S


def test_a_volume_complete_at_the_very_end_of_a_burst_releases_there() -> None:
    smf = Smf(data(bursts=((10, MB, 50),), volume=10 * MB))
    smf.starts()
    smf.chf.grants(300, octets=20 * MB)
    assert smf.sends().at == 10 * S


def test_a_pause_runs_on_while_the_answer_is_awaited() -> None:
    smf = Smf(data(bursts=((3, MB, 10),)))
    smf.starts()
    smf.chf.grants(300, octets=4 * MB)
    update = smf.sends()
    assert (update.at, update.used(300)) == (14 * S, 4 * MB)
    smf.chf.grants(300, octets=4 * MB, after=100)  # the burst had two seconds left
    update = smf.sends()
    assert (update.at, update.used(300)) == ((114 + 2 + 10 + 2) * S, 4 * MB)


# -- partial grants -----------------------------------------------------------------------------------------------------


def test_a_partial_grant_is_used_and_reported_as_what_it_is() -> None:
    smf = Smf(data(requested=10 * MB))
    smf.starts()
    smf.chf.grants(300, octets=3 * MB)
    assert (smf.sends().at, smf.used(300)) == (3 * S, 3 * MB)
    smf.chf.grants(300, octets=MB)
    update = smf.sends()
    assert (update.at, update.used(300)) == (4 * S, MB)


def test_a_grant_smaller_than_what_was_used_since_the_report_is_exhausted_at_once_and_nothing_is_lost() -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.grants(300, octets=10 * MB, threshold=5 * MB)
    assert smf.sends().used(300) == 5 * MB
    smf.chf.grants(300, octets=2 * MB, after=4)
    update = smf.sends()
    assert (update.at, update.trigger(300), update.used(300)) == (9 * S, "QUOTA_EXHAUSTED", 4 * MB)
    smf.chf.grants(300, octets=2 * MB)
    assert (smf.sends().at, smf.used(300)) == (11 * S, 11 * MB)


def test_a_group_that_got_nothing_asks_again_after_the_back_off() -> None:
    smf = Smf(data(), voice(), retry_after=30 * S)
    smf.starts()
    smf.chf.answers(granted(300, octets=0), granted(100, seconds=3600), after=2)
    update = smf.sends()
    assert (update.at, update.trigger(300), update.used(300)) == (32 * S, "START_OF_SERVICE_DATA_FLOW", 0)
    assert 100 not in update.groups


def test_a_create_answer_that_leaves_a_group_out_is_followed_by_an_update_that_asks() -> None:
    smf = Smf(data(), voice(), retry_after=30 * S)
    smf.starts()
    smf.chf.grants(100, seconds=3600, after=1)
    update = smf.sends()
    assert (update.at, update.asks(300)) == (S, True)
    smf.chf.answers(after=1)
    assert smf.sends().at == 32 * S  # a second time is after the back-off


def test_a_group_that_has_all_it_wants_never_asks_again() -> None:
    smf = Smf(data(volume=10 * MB), voice(), retry_after=30 * S)
    smf.starts()
    smf.chf.answers(granted(300, octets=10 * MB + 1, threshold=2 * MB), granted(100, seconds=3600))
    assert smf.sends().trigger(300) == "QUOTA_THRESHOLD"
    smf.chf.answers(after=5)  # all is used meanwhile, and nothing more was granted
    update = smf.sends()
    assert (update.at, list(update.groups)) == (3600 * S, [100])


# -- validity -----------------------------------------------------------------------------------------------------------


def test_validity_counts_from_the_answer_and_stops_traffic_until_the_next() -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.grants(300, octets=100 * MB, validity=20, after=5)
    update = smf.sends()
    assert (update.at, update.trigger(300), update.used(300)) == (25 * S, "VALIDITY_TIME", 20 * MB)
    assert update.asks(300)
    smf.chf.grants(300, octets=100 * MB, after=10)
    assert smf.used(300) == 20 * MB


def test_validity_ends_during_a_pause_as_well() -> None:
    smf = Smf(data(bursts=((3, MB, 100),)))
    smf.starts()
    smf.chf.grants(300, octets=10 * MB, validity=20)
    update = smf.sends()
    assert (update.at, update.trigger(300), update.used(300)) == (20 * S, "VALIDITY_TIME", 3 * MB)


def test_validity_of_zero_is_none() -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.answers(granted(300, octets=10 * MB) | {"validityTime": 0})
    assert smf.sends().trigger(300) == "QUOTA_EXHAUSTED"


@pytest.mark.parametrize(
    ("seconds", "validity", "at", "trigger"),
    [(30, 20, 20, "VALIDITY_TIME"), (20, 30, 20, "QUOTA_EXHAUSTED"), (20, 20, 20, "QUOTA_EXHAUSTED")],
)
def test_of_a_time_quota_and_its_validity_the_earlier_wins(seconds: int, validity: int, at: int, trigger: str) -> None:
    smf = Smf(voice())
    smf.starts()
    smf.chf.grants(100, seconds=seconds, validity=validity)
    update = smf.sends()
    assert (update.at, update.trigger(100), update.used(100)) == (at * S, trigger, at)


def test_a_new_grant_brings_its_own_validity() -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.grants(300, octets=10 * MB, threshold=5 * MB, validity=20)
    smf.sends()
    smf.chf.grants(300, octets=100 * MB, validity=40)
    assert smf.sends().at == 45 * S


def test_validity_ends_traffic_while_another_answer_is_awaited() -> None:
    smf = Smf(data(300), data(310))
    smf.starts()
    smf.chf.answers(granted(300, octets=10 * MB), granted(310, octets=100 * MB, validity=15))
    smf.sends()
    smf.chf.grants(300, octets=100 * MB, after=20)
    update = smf.sends()
    assert (update.at, update.trigger(310), update.used(310)) == (30 * S, "VALIDITY_TIME", 15 * MB)


def test_validity_ends_traffic_though_a_threshold_waits_to_be_reported() -> None:
    smf = Smf(data(300), data(310))
    smf.starts()
    smf.chf.answers(granted(300, octets=10 * MB), granted(310, octets=100 * MB, threshold=88 * MB, validity=15))
    smf.sends()
    smf.chf.grants(300, octets=100 * MB, after=20)
    update = smf.sends()
    assert (update.at, update.used(310), update.asks(310)) == (30 * S, 15 * MB, True)


# -- quota holding time -------------------------------------------------------------------------------------------------


def test_quota_is_given_back_after_the_holding_time_and_asked_for_when_traffic_resumes() -> None:
    smf = Smf(data(bursts=((3, MB, 60), (100, MB, 0))))
    smf.starts()
    smf.chf.grants(300, octets=10 * MB, holding=20)
    update = smf.sends()
    assert (update.at, update.trigger(300), update.used(300)) == (23 * S, "QHT", 3 * MB)
    assert not update.asks(300)
    smf.chf.answers()
    update = smf.sends()
    assert (update.at, update.trigger(300), update.used(300)) == (63 * S, "START_OF_SERVICE_DATA_FLOW", 0)
    assert update.asks(300)
    smf.chf.grants(300, octets=MB, after=1)
    assert (smf.sends().at, smf.used(300)) == (65 * S, 4 * MB)


def test_a_pause_shorter_than_the_holding_time_keeps_the_quota() -> None:
    smf = Smf(data(bursts=((3, MB, 19.999),)))
    smf.starts()
    smf.chf.grants(300, octets=6 * MB, holding=20)
    update = smf.sends()
    assert (update.at, update.trigger(300)) == (25_999_000_000, "QUOTA_EXHAUSTED")


def test_traffic_that_resumes_at_the_very_moment_keeps_the_quota() -> None:
    smf = Smf(data(bursts=((3, MB, 20),)))
    smf.starts()
    smf.chf.grants(300, octets=6 * MB, holding=20)
    update = smf.sends()
    assert (update.at, update.trigger(300)) == (26 * S, "QUOTA_EXHAUSTED")


def test_a_grant_that_comes_in_a_long_pause_is_held_from_then_on() -> None:
    smf = Smf(data(bursts=((3, MB, 60), (100, MB, 0))))
    smf.starts()
    smf.chf.grants(300, octets=4 * MB, threshold=2 * MB, holding=20)
    assert smf.sends().at == 2 * S
    smf.chf.grants(300, octets=10 * MB, holding=20, after=30)  # the last traffic was at 3 s
    update = smf.sends()
    assert (update.at, update.trigger(300), update.used(300)) == (52 * S, "QHT", MB)


# -- final units --------------------------------------------------------------------------------------------------------


def test_the_final_units_are_used_up_reported_without_asking_and_the_session_released() -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.grants(300, octets=10 * MB, threshold=MB, final="TERMINATE")
    update = smf.sends()
    assert (update.at, update.trigger(300), update.used(300)) == (10 * S, "QUOTA_EXHAUSTED", 10 * MB)
    assert not update.asks(300)
    smf.chf.answers(after=2)
    release = smf.sends()
    assert (release.operation, release.at, release.used(300)) == (Operation.RELEASE, 12 * S, 0)
    smf.chf.answers()
    assert smf.end is End.COMPLETED
    assert smf.used(300) == 10 * MB


def test_a_session_that_is_kept_after_its_final_units_stays_until_it_is_stopped() -> None:
    smf = Smf(data(), release_when_stopped=False)
    smf.starts()
    smf.chf.grants(300, octets=10 * MB, final="TERMINATE")
    smf.sends()
    smf.chf.answers()
    smf.is_quiet_until(1000 * S)
    smf.stops(1000 * S)
    release = smf.sends()
    assert (release.operation, release.used(300)) == (Operation.RELEASE, 0)
    assert smf.used(300) == 10 * MB


def test_final_units_of_one_group_leave_the_others_alone() -> None:
    smf = Smf(data(300), data(310))
    smf.starts()
    smf.chf.answers(granted(300, octets=2 * MB, final="TERMINATE"), granted(310, octets=5 * MB))
    assert list(smf.sends().groups) == [300]
    smf.chf.answers()
    update = smf.sends()
    assert (update.operation, update.at, list(update.groups)) == (Operation.UPDATE, 5 * S, [310])
    assert smf.used(300) == 2 * MB


def test_a_final_unit_indication_without_units_stops_the_group_at_once() -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.grants(300, octets=0, final="TERMINATE", after=1)
    release = smf.sends()
    assert (release.operation, release.at) == (Operation.RELEASE, S)


def test_final_units_whose_validity_ends_are_asked_for_again() -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.grants(300, octets=10 * MB, validity=4, final="TERMINATE")
    update = smf.sends()
    assert (update.at, update.trigger(300), update.used(300)) == (4 * S, "VALIDITY_TIME", 4 * MB)
    assert update.asks(300)
    smf.chf.grants(300, octets=2 * MB)
    assert (smf.sends().at, smf.used(300)) == (6 * S, 6 * MB)


def test_an_empty_final_unit_action_says_nothing() -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.grants(300, octets=MB, final="")
    update = smf.sends()
    assert (update.trigger(300), update.asks(300)) == ("QUOTA_EXHAUSTED", True)


# -- time beside volume -------------------------------------------------------------------------------------------------


def test_a_time_quota_beside_a_volume_ends_the_grant_when_it_is_reached_first() -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.grants(300, octets=100 * MB, seconds=12)
    update = smf.sends()
    assert (update.at, update.trigger(300)) == (12 * S, "QUOTA_EXHAUSTED")
    assert (update.used(300), update.used(300, "time")) == (12 * MB, 12)
    smf.chf.grants(300, octets=100 * MB, seconds=12, after=1)
    assert smf.sends().at == 25 * S


def test_a_time_quota_counts_time_with_traffic_only() -> None:
    smf = Smf(data(bursts=((5, MB, 10),)))
    smf.starts()
    smf.chf.grants(300, octets=100 * MB, seconds=12)
    update = smf.sends()
    assert (update.at, update.used(300), update.used(300, "time")) == (32 * S, 12 * MB, 12)


def test_a_time_quota_used_up_at_the_very_end_of_a_burst_is_reported_there() -> None:
    smf = Smf(data(bursts=((5, MB, 10),)))
    smf.starts()
    smf.chf.grants(300, octets=100 * MB, seconds=10)
    assert smf.sends().at == 20 * S


def test_a_time_threshold_beside_a_volume() -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.grants(300, octets=100 * MB, seconds=60, time_threshold=15)
    update = smf.sends()
    assert (update.at, update.trigger(300), update.used(300, "time")) == (45 * S, "QUOTA_THRESHOLD", 45)


def test_the_volume_wins_where_it_is_reached_first() -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.grants(300, octets=10 * MB, seconds=60)
    assert smf.sends().at == 10 * S


def test_parts_of_a_second_are_carried_into_the_next_report() -> None:
    smf = Smf(data(rate=100 * KB))
    smf.starts()
    smf.chf.grants(300, octets=150 * KB)
    assert smf.sends().used(300, "time") == 1  # of 1.5
    smf.chf.grants(300, octets=150 * KB)
    assert smf.sends().used(300, "time") == 2  # 3.0 in all


def test_a_time_quota_on_service_units_lets_time_get_on() -> None:
    smf = Smf(items(rate=1))
    smf.starts()
    for _ in range(20):
        smf.chf.grants(400, units=10, seconds=4)
        smf.sends()
    assert smf.now >= 60 * S


def test_a_volume_group_can_be_granted_time_alone() -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.grants(300, seconds=12)
    update = smf.sends()
    assert (update.at, update.trigger(300)) == (12 * S, "QUOTA_EXHAUSTED")
    assert (update.used(300), update.used(300, "time")) == (12 * MB, 12)


# -- several groups -----------------------------------------------------------------------------------------------------


def test_what_fires_while_an_answer_is_awaited_joins_the_next_report() -> None:
    smf = Smf(data(300), data(310), data(320))
    smf.starts()
    smf.chf.answers(*(granted(rg, octets=size * MB) for rg, size in ((300, 10), (310, 11), (320, 12))))
    assert list(smf.sends().groups) == [300]
    smf.chf.grants(300, octets=100 * MB, after=5)
    update = smf.sends()
    assert update.at == 15 * S
    assert {rg: (update.used(rg), update.asks(rg)) for rg in update.groups} == {
        310: (11 * MB, True),
        320: (12 * MB, True),
    }


def test_a_threshold_of_another_group_survives_the_answer_to_the_first() -> None:
    smf = Smf(data(300), data(310), retry_after=30 * S)
    smf.starts()
    smf.chf.answers(granted(300, octets=10 * MB), granted(310, octets=20 * MB, threshold=8 * MB))
    smf.sends()
    smf.chf.grants(300, octets=100 * MB, after=3)
    update = smf.sends()
    assert (update.at, update.trigger(310), update.used(310)) == (13 * S, "QUOTA_THRESHOLD", 13 * MB)
    smf.chf.grants(310, octets=20 * MB)
    assert smf.used(310) == 13 * MB


def test_traffic_that_begins_while_the_create_is_awaited_is_asked_for_at_once() -> None:
    smf = Smf(data(300), data(310, delay=2), retry_after=30 * S)
    smf.starts()
    smf.chf.grants(300, octets=100 * MB, after=5)
    update = smf.sends()
    assert (update.at, update.trigger(310)) == (5 * S, "START_OF_SERVICE_DATA_FLOW")
    smf.chf.grants(310, octets=100 * MB)
    smf.is_quiet_until(50 * S)


def test_a_group_that_fires_again_while_it_is_awaited_is_answered_once() -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.grants(300, octets=10 * MB, threshold=5 * MB)
    assert smf.sends().at == 5 * S
    smf.chf.grants(300, octets=10 * MB, threshold=5 * MB, after=20)  # exhausted meanwhile
    update = smf.sends()  # five of the ten new ones are used already: at the threshold
    assert (update.at, update.trigger(300), update.used(300)) == (25 * S, "QUOTA_THRESHOLD", 5 * MB)


# -- the end ------------------------------------------------------------------------------------------------------------


def test_release_reports_what_is_left_of_every_group() -> None:
    smf = Smf(data(300), voice(100), data(310, delay=1000))
    smf.starts()
    smf.chf.answers(granted(300, octets=100 * MB), granted(100, seconds=1000))
    smf.stops(7_500_000_000)
    release = smf.sends()
    assert (release.operation, release.at) == (Operation.RELEASE, 7_500_000_000)
    assert {rg: (release.trigger(rg), release.used(rg), release.asks(rg)) for rg in release.groups} == {
        300: ("FINAL", 7_500_000, False),
        100: ("FINAL", 7, False),
        310: ("FINAL", 0, False),
    }
    assert [trigger["triggerType"] for trigger in release.body["triggers"]] == ["FINAL"]
    smf.chf.answers(after=3)
    assert smf.end is End.COMPLETED
    assert smf.used(300) == 7_500_000
    records = smf.records()
    assert records[300].used == records[300].reported == records[300].acknowledged == 7_500_000
    assert records[300].reference == b"ref-1"
    assert smf.records() == {}


def test_a_session_stopped_while_an_answer_is_awaited_uses_nothing_more_and_releases_after_it() -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.grants(300, octets=10 * MB, threshold=5 * MB)
    smf.sends()
    smf.stops(6 * S)
    assert smf.session.next_request() is None
    smf.chf.grants(300, octets=10 * MB, threshold=5 * MB, after=2)
    release = smf.sends()
    assert (release.operation, release.at, release.used(300)) == (Operation.RELEASE, 8 * S, MB)


def test_a_session_stopped_while_the_create_is_awaited_is_released_after_it() -> None:
    smf = Smf(data())
    smf.starts()
    smf.stops(S)
    smf.chf.grants(300, octets=10 * MB, after=2)
    release = smf.sends()
    assert (release.operation, release.at, release.used(300)) == (Operation.RELEASE, 3 * S, 0)


def test_stopping_twice_releases_once() -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.grants(300, octets=10 * MB)
    smf.stops(S)
    smf.sends()
    smf.stops(2 * S)
    assert smf.session.next_request() is None
    smf.chf.answers()
    smf.stops(3 * S)
    assert smf.end is End.COMPLETED


def test_sequence_numbers_count_requests_and_local_ones_count_containers() -> None:
    smf = Smf(data(300), data(310), first_sequence=1)
    sent = [smf.starts()]
    smf.chf.answers(granted(300, octets=5 * MB), granted(310, octets=5 * MB))
    sent.append(smf.sends())
    smf.chf.answers(granted(300, octets=5 * MB), granted(310, octets=50 * MB))
    sent.append(smf.sends())
    smf.chf.grants(300, octets=5 * MB)
    smf.stops(12 * S)
    sent.append(smf.sends())
    assert [each.body["invocationSequenceNumber"] for each in sent] == [1, 2, 3, 4]
    local = [[each.container(rg)["localSequenceNumber"] for rg in each.groups] for each in sent[1:]]
    assert local == [[1, 2], [3], [4, 5]]


def test_the_volume_is_split_into_uplink_and_downlink() -> None:
    smf = Smf(data())
    smf.starts()
    smf.chf.grants(300, octets=999_999)
    container = smf.sends().container(300)
    assert (container["uplinkVolume"], container["downlinkVolume"]) == (99_999, 900_000)


def test_a_container_says_when_it_was_first_and_last_used() -> None:
    smf = Smf(data(bursts=((3, MB, 10),), delay=2))
    smf.starts()
    smf.chf.answers()
    smf.sends()
    smf.chf.grants(300, octets=10 * MB, validity=10)
    information = smf.sends().container(300)["pDUContainerInformation"]
    assert information["timeofFirstUsage"] == "2026-11-18T11:06:42.000Z"
    assert information["timeofLastUsage"] == "2026-11-18T11:06:45.000Z"
    smf.chf.grants(300, octets=10 * MB, validity=1)
    assert "pDUContainerInformation" not in smf.sends().container(300)  # no use since
