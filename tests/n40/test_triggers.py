"""What closes containers and what reports them, at exact moments (TS 32.255 5.2.1.4)."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.n40 import End
from simulator.n40.rating_group import State
from simulator.n40.triggers import (
    DEFERRED,
    GROUP_RULES,
    GROUP_TRIGGERS,
    IMMEDIATE,
    MAX_BUFFERED,
    MAX_HELD,
    OFF,
    SESSION_RULES,
    SESSION_TRIGGERS,
)
from tests.n40.trace import EPOCH, MB, S, Sent, Smf, data, granted, items, voice

GB = 1000 * MB


def running(*groups: Any, **more: Any) -> Smf:
    """A session with quota for longer than the test, by default of one megabyte a second in rating group 300."""
    answer = more.pop("answer", {})
    grants = more.pop("grants", {})
    smf = Smf(*(groups or (data(),)), **more)
    smf.starts()
    amounts = {"totalVolume": "octets", "time": "seconds", "serviceSpecificUnits": "units"}
    smf.chf.answers(
        *(granted(rg, **{amounts[group.spec.unit]: GB}, **grants) for rg, group in smf.groups.items()), **answer
    )
    return smf


def reasons(sent: Sent, rg: int = 300) -> list[tuple[str, str]]:
    """Type and category of the one trigger that closed each container."""
    found = []
    for container in sent.containers(rg):
        (trigger,) = container["triggers"]
        found.append((trigger["triggerType"], trigger["triggerCategory"].partition("_")[0]))
    return found


def amounts(sent: Sent, rg: int = 300) -> list[int]:
    return [container["totalVolume"] for container in sent.containers(rg)]


def armed(name: str, category: str = "IMMEDIATE_REPORT", **limits: Any) -> dict[str, Any]:
    return {"triggerType": name, "triggerCategory": category} | limits


# -- the table ----------------------------------------------------------------------------------------------------------


def test_the_defaults_are_those_of_the_specification() -> None:
    immediate = {name for name, rule in SESSION_RULES.items() if rule.category is IMMEDIATE}
    assert immediate == {
        "PLMN_CHANGE", "RAT_CHANGE", "SERVING_NODE_CHANGE", "UE_TIMEZONE_CHANGE", "TIME_LIMIT", "VOLUME_LIMIT",
        "MAX_NUMBER_OF_CHANGES_IN_CHARGING_CONDITIONS",
    }  # fmt: skip
    deferred = {name for name, rule in SESSION_RULES.items() if rule.category is DEFERRED}
    assert deferred >= {"QOS_CHANGE", "USER_LOCATION_CHANGE", "SESSION_AMBR_CHANGE", "HANDOVER_COMPLETE"}
    assert immediate | deferred == set(SESSION_RULES)
    assert all(rule.changeable for rule in SESSION_RULES.values())
    assert {name for name, rule in GROUP_RULES.items() if rule.changeable} == {
        "TIME_LIMIT",
        "VOLUME_LIMIT",
        "EVENT_LIMIT",
    }
    assert {name: rule.limit for name, rule in SESSION_RULES.items() if rule.limit} == {
        "MAX_NUMBER_OF_CHANGES_IN_CHARGING_CONDITIONS": 20
    }


def test_the_profile_comes_before_the_defaults_and_the_chf_before_both() -> None:
    profile = SESSION_TRIGGERS.overridden({"USER_LOCATION_CHANGE": (IMMEDIATE, 0), "TIME_LIMIT": (IMMEDIATE, 60)})
    assert SESSION_TRIGGERS.category("USER_LOCATION_CHANGE") is DEFERRED
    assert profile.category("USER_LOCATION_CHANGE") is IMMEDIATE
    assert profile.category("RAT_CHANGE") is IMMEDIATE
    smf = running(session_triggers=profile, answer={"triggers": [armed("USER_LOCATION_CHANGE", "DEFERRED_REPORT")]})
    circumstances = smf.session.circumstances
    assert circumstances is not None
    assert circumstances.triggers.category("USER_LOCATION_CHANGE") is DEFERRED
    assert circumstances.triggers.category("RAT_CHANGE") is OFF  # left out of a list that was supplied
    assert circumstances.triggers.time_limit > 10**18


def test_a_chf_cannot_change_what_it_may_not() -> None:
    smf = running(grants={"triggers": [armed("TARIFF_TIME_CHANGE"), armed("TIME_LIMIT", timeLimit=60)]})
    split = smf.groups[300].split
    assert split is not None
    assert split.triggers.category("TARIFF_TIME_CHANGE") is DEFERRED
    assert split.triggers.category("TIME_LIMIT") is IMMEDIATE


def test_a_chf_cannot_switch_off_what_it_may_not() -> None:
    smf = running(grants={"triggers": [armed("VOLUME_LIMIT", "DEFERRED_REPORT", volumeLimit64=5 * MB)]})
    split = smf.groups[300].split
    assert split is not None
    assert split.triggers.category("TARIFF_TIME_CHANGE") is DEFERRED
    assert split.triggers.category("QUOTA_EXHAUSTED") is IMMEDIATE
    assert split.triggers.category("TIME_LIMIT") is OFF
    assert split.triggers.volume_limit == 5 * MB


def test_an_unknown_trigger_of_a_chf_changes_nothing() -> None:
    rules = SESSION_TRIGGERS.answered([])
    assert {rule.category for rule in rules.rules.values()} == {OFF}
    assert GROUP_TRIGGERS.answered([]).category("TARIFF_TIME_CHANGE") is DEFERRED


# -- changes of conditions ----------------------------------------------------------------------------------------------


def test_a_deferred_trigger_closes_a_container_that_the_next_report_carries() -> None:
    smf = running()
    smf.changes("USER_LOCATION_CHANGE", at=10 * S)
    smf.is_quiet_until(20 * S)
    smf.changes("QOS_CHANGE", at=25 * S)
    smf.is_quiet_until(29 * S)
    smf.is_notified(at=30 * S)
    update = smf.sends()
    assert update.at == 30 * S
    assert amounts(update) == [10 * MB, 15 * MB, 5 * MB]
    assert reasons(update) == [
        ("USER_LOCATION_CHANGE", "DEFERRED"), ("QOS_CHANGE", "DEFERRED"), ("FORCED_REAUTHORISATION", "IMMEDIATE"),
    ]  # fmt: skip
    assert [each["localSequenceNumber"] for each in update.containers(300)] == [1, 2, 3]
    assert [each["triggerTimestamp"][17:19] for each in update.containers(300)] == ["50", "05", "10"]
    assert update.fired == []


def test_an_immediate_trigger_of_the_session_reports_every_rating_group_and_stands_at_the_top() -> None:
    smf = running(data(300), data(310, rate=2 * MB), voice(100))
    smf.changes("RAT_CHANGE", at=10 * S)
    update = smf.sends()
    assert update.at == 10 * S
    assert update.fired == ["RAT_CHANGE"]
    assert [amounts(update, rg) for rg in (300, 310)] == [[10 * MB], [20 * MB]]
    assert update.container(100)["time"] == 10
    assert reasons(update, 310) == [("RAT_CHANGE", "IMMEDIATE")]
    assert [update.asks(rg) for rg in (300, 310, 100)] == [True, True, True]  # a report gives quota back, or renews it


def test_a_handover_fires_all_its_triggers_in_one_report() -> None:
    smf = running()
    smf.changes("RAT_CHANGE", "SERVING_NODE_CHANGE", "USER_LOCATION_CHANGE", "HANDOVER_COMPLETE", at=4 * S)
    update = smf.sends()
    assert update.fired == ["RAT_CHANGE", "SERVING_NODE_CHANGE", "USER_LOCATION_CHANGE", "HANDOVER_COMPLETE"]
    assert amounts(update) == [4 * MB]


def test_a_trigger_that_is_off_closes_nothing() -> None:
    smf = running(session_triggers=SESSION_TRIGGERS.overridden({"RAT_CHANGE": (OFF, 0)}))
    smf.changes("RAT_CHANGE", at=4 * S)
    smf.is_quiet_until(10 * S)
    smf.stops()
    assert amounts(smf.sends()) == [10 * MB]


def test_changes_while_an_answer_is_awaited_join_the_next_report_with_their_own_moment() -> None:
    smf = running()
    smf.is_notified(at=10 * S)
    assert amounts(smf.sends()) == [10 * MB]
    smf.changes("USER_LOCATION_CHANGE", at=11 * S)
    smf.changes("RAT_CHANGE", at=13 * S)
    smf.now = 10 * S
    smf.chf.grants(300, octets=GB, after=5)
    update = smf.sends()
    assert update.at == 15 * S
    assert amounts(update) == [MB, 2 * MB, 2 * MB]
    assert [name for name, _ in reasons(update)] == ["USER_LOCATION_CHANGE", "RAT_CHANGE", "RAT_CHANGE"]
    assert update.fired == ["RAT_CHANGE"]


def test_a_container_without_usage_is_none() -> None:
    smf = running(data(bursts=((5, MB, 100),)))
    smf.changes("USER_LOCATION_CHANGE", at=10 * S)
    smf.changes("USER_LOCATION_CHANGE", at=20 * S)
    smf.stops(30 * S)
    assert amounts(smf.sends()) == [5 * MB, 0]


def test_an_immediate_trigger_without_any_usage_is_told_all_the_same() -> None:
    smf = running(data(delay=100))
    smf.changes("PLMN_CHANGE", at=10 * S)
    update = smf.sends()
    assert update.fired == ["PLMN_CHANGE"]
    assert "multipleUnitUsage" not in update.body


def test_so_many_changes_are_reported_and_the_count_begins_again() -> None:
    smf = running(
        session_triggers=SESSION_TRIGGERS.overridden({"MAX_NUMBER_OF_CHANGES_IN_CHARGING_CONDITIONS": (IMMEDIATE, 3)})
    )
    for round_ in (0, 10):
        smf.changes("USER_LOCATION_CHANGE", at=(round_ + 1) * S)
        smf.changes("USER_LOCATION_CHANGE", at=(round_ + 2) * S)
        smf.is_quiet_until((round_ + 3) * S)
        smf.changes("QOS_CHANGE")
        update = smf.sends()
        assert update.at == (round_ + 3) * S
        assert update.fired == ["MAX_NUMBER_OF_CHANGES_IN_CHARGING_CONDITIONS"]
        assert len(update.containers(300)) == 3
        smf.chf.grants(300, octets=GB)


def test_waiting_containers_are_bounded() -> None:
    smf = running(
        session_triggers=SESSION_TRIGGERS.overridden({"MAX_NUMBER_OF_CHANGES_IN_CHARGING_CONDITIONS": (OFF, 0)})
    )
    for second in range(1, MAX_BUFFERED):
        smf.changes("USER_LOCATION_CHANGE", at=second * S)
        assert smf.session.outstanding is None
    smf.changes("USER_LOCATION_CHANGE", at=MAX_BUFFERED * S)
    update = smf.sends()
    assert len(update.containers(300)) == MAX_BUFFERED
    assert sum(amounts(update)) == MAX_BUFFERED * MB


# -- limits -------------------------------------------------------------------------------------------------------------


def test_the_time_limit_of_a_session_reports_again_and_again() -> None:
    smf = running(session_triggers=SESSION_TRIGGERS.overridden({"TIME_LIMIT": (IMMEDIATE, 60)}))
    for number in (1, 2):
        update = smf.sends()
        assert (update.at, update.fired, amounts(update)) == (number * 60 * S, ["TIME_LIMIT"], [60 * MB])
        smf.chf.grants(300, octets=GB)


def test_the_volume_limit_of_a_session_counts_all_its_rating_groups() -> None:
    rules = SESSION_TRIGGERS.overridden({"VOLUME_LIMIT": (IMMEDIATE, 30 * MB)})
    smf = running(data(300), data(310, rate=2 * MB, delay=5), session_triggers=rules)
    update = smf.sends()  # the second one asks when its traffic begins
    assert update.at == 5 * S
    smf.chf.grants(310, octets=GB)
    update = smf.sends()
    # 5 MB in five seconds, then 3 MB a second
    assert abs(update.at - (5 * S + 25 * S // 3)) <= 1000  # units are whole
    assert update.fired == ["VOLUME_LIMIT"]
    assert 30 * MB <= sum(amounts(update)) + sum(amounts(update, 310)) + 5 * MB <= 30 * MB + 5 * MB


def test_a_limit_of_volume_of_a_rating_group_closes_containers_that_wait() -> None:
    smf = running(group_triggers=GROUP_TRIGGERS.overridden({"VOLUME_LIMIT": (DEFERRED, 10 * MB)}))
    smf.is_quiet_until(35 * S)
    smf.stops()
    release = smf.sends()
    assert amounts(release) == [10 * MB, 10 * MB, 10 * MB, 5 * MB]
    assert [name for name, _ in reasons(release)] == ["VOLUME_LIMIT"] * 3 + ["FINAL"]
    assert [each["triggerTimestamp"][17:19] for each in release.containers(300)] == ["50", "00", "10", "15"]


def test_a_time_limit_of_a_rating_group_closes_containers_that_wait() -> None:
    smf = running(voice(100), group_triggers=GROUP_TRIGGERS.overridden({"TIME_LIMIT": (DEFERRED, 30)}))
    smf.stops(70 * S)
    assert [each["time"] for each in smf.sends().containers(100)] == [30, 30, 10]


def test_an_event_limit_counts_units() -> None:
    smf = running(items(400, rate=2), group_triggers=GROUP_TRIGGERS.overridden({"EVENT_LIMIT": (DEFERRED, 6)}))
    smf.stops(7 * S)
    assert [each["serviceSpecificUnits"] for each in smf.sends().containers(400)] == [6, 6, 2]


def test_a_limit_that_the_chf_makes_immediate_reports_and_asks() -> None:
    smf = running(grants={"triggers": [armed("VOLUME_LIMIT", volumeLimit64=10 * MB)]})
    update = smf.sends()
    assert (update.at, amounts(update), update.asks(300)) == (10 * S, [10 * MB], True)
    assert reasons(update) == [("VOLUME_LIMIT", "IMMEDIATE")]


def test_the_tariff_splits_usage_into_two_containers_at_its_moment() -> None:
    smf = running(grants={"tariff_at": 20 * S})
    smf.is_quiet_until(29 * S)
    smf.stops(30 * S)
    release = smf.sends()
    assert amounts(release) == [20 * MB, 10 * MB]
    assert reasons(release) == [("TARIFF_TIME_CHANGE", "DEFERRED"), ("FINAL", "IMMEDIATE")]
    assert release.containers(300)[0]["triggerTimestamp"] == "2026-11-18T11:07:00.000Z"
    assert EPOCH + 20 * S == 1_795_000_020 * S


def test_the_tariff_splits_usage_while_an_answer_is_awaited() -> None:
    smf = running(grants={"tariff_at": 20 * S})
    smf.is_notified(at=15 * S)
    assert amounts(smf.sends()) == [15 * MB]
    smf.chf.grants(300, octets=GB, after=10)
    smf.stops(30 * S)
    assert amounts(smf.sends()) == [5 * MB, 10 * MB]


def test_a_tariff_change_that_is_past_or_nonsense_splits_nothing() -> None:
    for when in ("2026-11-18T11:06:39Z", "midnight"):
        smf = Smf(data())
        smf.starts()
        information = granted(300, octets=GB)
        information["grantedUnit"]["tariffTimeChange"] = when
        smf.chf.answers(information)
        smf.stops(30 * S)
        assert amounts(smf.sends()) == [30 * MB]


# -- timers -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("holding", "trigger", "moment"),
    [(0, "UNIT_COUNT_INACTIVITY_TIMER", 20), (60, "UNIT_COUNT_INACTIVITY_TIMER", 20), (10, "QHT", 15)],
)
def test_the_shorter_of_holding_time_and_inactivity_timer_gives_quota_back(
    holding: int, trigger: str, moment: int
) -> None:
    smf = running(
        data(bursts=((5, MB, 100), (1e9, MB, 0))),
        grants={"holding": holding},
        answer={"pDUSessionChargingInformation": {"unitCountInactivityTimer": 15}},
    )
    update = smf.sends()
    assert (update.at, update.trigger(300), update.asks(300)) == (moment * S, trigger, False)
    assert amounts(update) == [5 * MB]


# -- books --------------------------------------------------------------------------------------------------------------


def test_waiting_containers_are_in_the_books_as_not_yet_reported() -> None:
    smf = running()
    smf.changes("USER_LOCATION_CHANGE", at=10 * S)
    smf.session.on_time(12 * S)
    smf.session.abandon(12 * S, doubt=False)
    record = smf.records()[300]
    assert (record.used, record.reported, record.acknowledged, record.end) == (12 * MB, 0, 0, End.OPEN)


def test_containers_of_a_report_that_nobody_processed_travel_with_the_release_as_they_were() -> None:
    smf = running()
    smf.changes("USER_LOCATION_CHANGE", at=10 * S)
    smf.changes("RAT_CHANGE", at=15 * S)
    lost = smf.sends()
    smf.chf.is_silent(processed=False)
    release = smf.sends()
    assert release.containers(300)[:2] == lost.containers(300)
    assert amounts(release) == [10 * MB, 5 * MB, 0]
    smf.chf.answers()
    record = smf.records()[300]
    assert (record.used, record.reported, record.acknowledged, record.doubt) == (15 * MB, 15 * MB, 15 * MB, 0)


def test_containers_that_are_told_again_stand_before_those_that_were_closed_meanwhile() -> None:
    smf = running()
    smf.changes("USER_LOCATION_CHANGE", at=10 * S)
    smf.changes("RAT_CHANGE", at=15 * S)
    smf.sends()
    smf.changes("USER_LOCATION_CHANGE", at=17 * S)
    smf.chf.is_silent(after=3, processed=False)
    release = smf.sends()
    assert amounts(release) == [10 * MB, 5 * MB, 2 * MB, 3 * MB]
    numbers = [container["localSequenceNumber"] for container in release.containers(300)]
    assert numbers == sorted(numbers)


def test_what_a_lost_session_had_closed_goes_to_the_next_one_in_one_container() -> None:
    smf = running()
    smf.changes("USER_LOCATION_CHANGE", at=10 * S)
    smf.changes("RAT_CHANGE", at=15 * S)
    smf.sends()
    smf.chf.refuses(404)
    smf.sends()
    smf.chf.grants(300, octets=GB)
    smf.stops(20 * S)
    assert amounts(smf.sends()) == [20 * MB]


def test_a_rating_group_that_counts_without_quota_is_reported_at_its_limits() -> None:
    smf = Smf(data(), group_triggers=GROUP_TRIGGERS.overridden({"VOLUME_LIMIT": (IMMEDIATE, 10 * MB)}))
    smf.starts()
    smf.chf.answers(granted(300, code="QUOTA_MANAGEMENT_NOT_APPLICABLE"))
    update = smf.sends()
    assert (update.at, amounts(update), update.asks(300)) == (10 * S, [10 * MB], False)
    assert update.container(300)["quotaManagementIndicator"] == "OFFLINE_CHARGING"
    smf.chf.answers()
    assert smf.groups[300].state is State.OFFLINE


@pytest.mark.parametrize(("category", "fired"), [("IMMEDIATE_REPORT", 1), ("DEFERRED_REPORT", MAX_BUFFERED + 1)])
def test_a_limit_of_one_octet_is_not_looked_at_for_every_octet(category: str, fired: int) -> None:
    smf = running(grants={"triggers": [armed("VOLUME_LIMIT", category, volumeLimit64=1)]})
    group = smf.groups[300]
    looked_at = 0
    while (deadline := group.deadline()) < S:  # an answer is awaited, and traffic goes on within the quota
        group.advance(deadline)
        if group.split is not None and group.split.due is not None:
            smf.session._close(group, group.split.due, deadline)
        looked_at += 1
        assert looked_at <= fired
    assert looked_at == fired
    group.advance(S)
    assert group.flow.used == MB


def test_what_changes_while_no_report_is_possible_is_held_in_a_bounded_number_of_containers() -> None:
    smf = running()
    smf.is_notified(at=S)
    report = smf.sends()
    for moment in range(1, 1001):
        smf.changes("USER_LOCATION_CHANGE", at=S + moment * S // 100)  # the answer is awaited all the time
    assert len(smf.session.groups[0].splits().closed) < 200_000
    assert smf.session.circumstances is not None
    assert smf.session.circumstances.fired.count(b"MAX_NUMBER_OF_CHANGES") == 1
    smf.chf.grants(300, octets=GB)
    update = smf.sends()
    assert len(update.containers(300)) <= MAX_HELD + 1
    smf.chf.grants(300, octets=GB)
    smf.stops()
    told = [*amounts(report), *amounts(update), *amounts(smf.sends())]
    assert sum(told) == smf.used(300) == 11 * MB
