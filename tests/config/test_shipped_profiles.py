"""Every shipped profile is a working example: it loads, it fits the default plan, and one sandbox core can carry it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema_rs
import pytest

from simulator.config import (
    Profile,
    Terms,
    Usage,
    load_plan,
    load_profile,
    profile_json_schema,
    rating_plan,
    shipped_profiles,
)
from simulator.config.document import read

NAMES = [each.name for each in shipped_profiles()]
STORMS = ["validity-storm", "validity-storm-jitter", "reauth-storm", "abort-storm"]
SCENARIOS = [
    "midnight-tariff-switch", "chf-outage-failover", "reattach-herd", "throttled-chf", "quota-exhaustion-topup",
    "lossy-answers", "sms-burst", "near-simultaneous-creates",
]  # fmt: skip
"""Each carries its fault timeline, or what else makes it one."""
PLAN = load_plan()
MOST_REQUESTS_PER_SECOND = 8000


def life(usage: Usage) -> float:
    """Mean seconds of session life, roughly: the length, or the time that the volumes take."""
    if usage.service == "sms":
        return 0.0
    if usage.length is not None:
        return usage.length.mean()
    return max(
        group.volume.mean() / (group.throughput.mean() if group.throughput else 1.0) / activity(group)
        for group in usage.rating_groups
        if group.volume is not None
    )


def activity(group) -> float:
    if group.burst is None or group.pause is None:
        return 1.0
    return group.burst.mean() / (group.burst.mean() + group.pause.mean())


def requests(usage: Usage) -> float:
    """Mean requests of a session, each rating group reporting for itself at its threshold."""
    if usage.service == "sms":
        return 1.0
    updates = 0.0
    for group in usage.rating_groups:
        terms: Terms[int] = PLAN.rating_groups[group.rating_group]
        grant = min(group.requested or terms.grant, terms.max_grant) * (1 - terms.threshold)
        rate = group.throughput.mean() if group.throughput else 1.0
        used = group.volume.mean() if group.volume else life(usage) * activity(group) * rate
        updates += used / grant
    return 2 + updates


def open_sessions(profile: Profile) -> float:
    starts = rates(profile)
    return sum(starts[name] * life(usage) for name, usage in profile.usages.items()) / (profile.pace or 1.0)


def request_rate(profile: Profile) -> float:
    """At the highest rates of its stages."""
    return sum(rate * requests(profile.usages[name]) for name, rate in rates(profile, highest=True).items())


def rates(profile: Profile, *, highest: bool = False) -> dict[str, float]:
    """Starts of each usage per second, at the start or at most."""
    load = profile.load
    if load.streams is None:
        total = sum(profile.mix.values())
        rate = load.most_per_s if highest else load.timeline[0].lanes[0][0].first if load.lanes else 0.0
        return {name: rate * weight / total for name, weight in profile.mix.items()}
    found: dict[str, float] = {}
    for number, stream in enumerate(load.streams):
        pieces = [piece for stage in load.timeline for piece in stage.lanes[number]]
        rate = max(piece.last for piece in pieces) if highest else pieces[0].first
        for name, weight in stream.weights().items():
            found[name] = found.get(name, 0.0) + rate * weight / sum(stream.weights().values())
    return found


def test_the_promised_profiles_are_there():
    others = ["4g-pgw", "a-day", "attach-detach", "busy-hour", "demo", "how-to", "iot-meters", "video", "voice-evening"]
    assert set(NAMES) == {*others, *STORMS, *SCENARIOS}


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_by_name_and_says_what_it_shows(name):
    profile = load_profile(name)
    assert profile.name == name
    assert len(profile.description) > 100


@pytest.mark.parametrize("name", NAMES)
def test_every_usage_is_in_the_mix_and_every_rating_group_in_the_plan_with_the_same_unit(name):
    profile = load_profile(name)
    assert set(profile.mix) == set(profile.usages)
    plan = rating_plan(profile)
    for usage in profile.usages.values():
        for group in usage.rating_groups:
            assert plan.rating_groups[group.rating_group].unit == group.unit


@pytest.mark.parametrize("name", [*SCENARIOS, *STORMS])
def test_a_scenario_is_short_says_what_to_do_with_ones_own_chf_and_holds_the_books_to_account(name):
    profile = load_profile(name)
    assert 20 <= profile.load.duration <= 60
    assert "look at" in profile.description.lower() or "Compare" in profile.description
    assert "Your own CHF" in profile.description
    assert {"audit.lost_units == 0", "audit.double_charged_units == 0"} <= set(profile.thresholds)
    assert all(fault.from_ < profile.load.duration for fault in profile.sandbox.faults)
    assert all((fault.until or 0) < profile.load.duration for fault in profile.sandbox.faults), "and its end is seen"


def test_the_validity_storms_differ_in_their_jitter_only():
    storm, calm = (load_profile(name) for name in STORMS[:2])
    same = {"name", "description", "thresholds", "sandbox"}
    assert storm.model_dump(exclude=same) == calm.model_dump(exclude=same)
    plans = [rating_plan(profile).rating_groups[300] for profile in (storm, calm)]
    assert [plan.validity_jitter for plan in plans] == [0, 0.2]
    assert plans[0].validity == plans[1].validity


@pytest.mark.parametrize("name", NAMES)
def test_one_sandbox_core_can_carry_it(name):
    assert request_rate(load_profile(name)) <= MOST_REQUESTS_PER_SECOND


def test_the_demo_keeps_two_thousand_sessions_of_three_services_open_and_its_start_is_stationary():
    demo = load_profile("demo")
    assert (demo.load.duration, demo.pace) == (30.0, 60.0)
    assert {usage.service for usage in demo.usages.values()} == {"data", "voice", "sms"}
    assert open_sessions(demo) >= 2250  # five standard deviations of a Poisson count above 2,000
    assert demo.load.start_open == pytest.approx(open_sessions(demo), rel=0.05)
    assert 2000 <= request_rate(demo) <= 4000


@pytest.mark.parametrize("name", ["busy-hour", "video", "voice-evening", "4g-pgw", "a-day"])
def test_a_stationary_start_has_the_sessions_that_the_rate_sustains(name):
    profile = load_profile(name)
    assert profile.load.start_open == pytest.approx(open_sessions(profile), rel=0.15)


def test_the_busy_hour_has_the_published_mix():
    busy = load_profile("busy-hour")
    total = sum(busy.mix.values())
    by_service = dict.fromkeys(("data", "voice", "sms"), 0.0)
    for name, weight in busy.mix.items():
        by_service[busy.usages[name].service] += weight / total
    assert by_service == pytest.approx({"data": 0.368, "voice": 0.411, "sms": 0.222}, abs=0.002)
    assert busy.load.rate == pytest.approx(2 * busy.subscribers.count / 3600)


def test_the_how_to_needs_one_renewal_only():
    how_to = load_profile("how-to")
    assert how_to.pace is None
    for name in ("voice", "data"):
        (group,) = how_to.usages[name].rating_groups
        assert group.requested < group.volume.mean() < 1.8 * group.requested


def test_the_meters_are_open_from_the_start_and_stay_in_step():
    iot = load_profile("iot-meters")
    (group,) = iot.usages["meter"].rating_groups
    assert group.burst.mean() + group.pause.mean() == 60
    assert iot.load.start_open * life(iot.usages["meter"]) * iot.mix["meter"] > 0
    meters, readings = (life(iot.usages[name]) * iot.mix[name] for name in ("meter", "reading"))
    assert meters / (meters + readings) > 0.8  # of what is found open at the start


@pytest.mark.parametrize("name", NAMES)
def test_it_fits_the_exported_json_schema_as_it_is_written(name):
    schema = jsonschema_rs.validator_for(profile_json_schema())
    path = next(each.path for each in shipped_profiles() if each.name == name)
    document = read(path.read_text(), str(path)).value
    assert [str(error) for error in schema.iter_errors(document)] == []


@pytest.mark.parametrize("name", NAMES)
def test_what_goes_to_another_process_comes_back_the_same(name):
    profile = load_profile(name)
    assert Profile.model_validate_json(profile.model_dump_json()) == profile


def test_an_installed_package_finds_its_profiles(tmp_path):
    """A wheel holds `simulator/profiles`; here a package laid out like one."""
    source = Path(load_profile.__code__.co_filename).parents[2]
    shutil.copytree(
        source / "simulator", tmp_path / "simulator", ignore=shutil.ignore_patterns("__pycache__", "profiles", "*.so")
    )
    (tmp_path / "simulator" / "profiles").mkdir()
    shutil.copy(source / "profiles" / "demo.yaml", tmp_path / "simulator" / "profiles")
    script = (
        "from simulator.config import *; print(load_profile('demo').name, load_plan().name, len(shipped_profiles()))"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("demo default 1", "")
