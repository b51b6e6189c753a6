"""What a wrong profile gets: every problem, with file, line, field, what was expected, and the nearest valid name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.config import ConfigError, Profile, load_profile, rating_plan, shipped_profiles
from simulator.config.document import read

GOOD = """\
network_functions:
  smf: {kind: SMF}
  pgw: {kind: PGW_C_SMF}
  smsf: {kind: SMSF}
usages:
  browsing:
    service: data
    length: 5m
    rating_groups:
      - rating_group: 300
        throughput: 2Mbps
  call:
    service: voice
    length: {exponential: {mean: 3m}}
    rating_groups: [{rating_group: 100, requested: 60s}]
  message:
    service: sms
    rating_groups: [{rating_group: 200}]
mix: {browsing: 2, message: 1}
load:
  rate: 200/s
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(here: Path, text: str, *overrides: str) -> Profile:
    (here / "x.yaml").write_text(text, encoding="utf-8")
    return load_profile("x.yaml", overrides)


def problems(here: Path, text: str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(here, text, *overrides)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def test_what_is_not_said_follows_from_what_is(here):
    profile = load(here, GOOD)
    assert profile.name == "x"
    assert [usage.network_function for usage in profile.usages.values()] == ["smf", "smf", "smsf"]
    assert [usage.charging for usage in profile.usages.values()] == ["SCUR", "SCUR", "IEC"]
    units = [usage.rating_groups[0].unit for usage in profile.usages.values()]
    assert units == ["totalVolume", "time", "serviceSpecificUnits"]
    smf, pgw = profile.network_functions["smf"], profile.network_functions["pgw"]
    assert (smf.rat, smf.node_functionality, smf.plmn.mcc, smf.plmn.mnc) == ("NR", "SMF", "001", "01")
    assert (pgw.rat, pgw.node_functionality) == ("EUTRA", "PGW_C_SMF")
    assert {len(cell) for cell in smf.location.cell} == {9}
    assert {len(cell) for cell in pgw.location.cell} == {7}


def test_base_units_are_what_the_model_holds(here):
    profile = load(here, GOOD)
    assert profile.load.rate == 200.0
    assert profile.usages["call"].length.mean() == 180.0
    assert profile.usages["call"].rating_groups[0].requested == 60
    assert profile.usages["browsing"].rating_groups[0].throughput.mean() == 250_000.0
    assert profile.usages["message"].units.mean() == 1
    assert profile.pace == 1.0
    assert load(here, GOOD + "pace: flat-out\n").pace is None


def test_all_problems_come_at_once_in_the_order_of_the_file(here):
    text = GOOD.replace("kind: SMSF", "kind: SMFS").replace("length: 5m", "lenght: 5m").replace("200/s", "fast")
    assert problems(here, text + "pase: 60x\ntimeouts: 5s\n") == [
        'x.yaml:4: network_functions.smsf.kind: expected SMF or PGW_C_SMF or SMSF or IMS_Node, got "SMFS", did you mean "SMF"?',
        'x.yaml:8: usages.browsing.lenght: unknown key "lenght", did you mean "length"?',
        'x.yaml:21: load.rate: expected a rate such as 200/s, 30/m or 1M/h, got "fast"',
        'x.yaml:22: pase: unknown key "pase", did you mean "pace"?',
        'x.yaml:23: timeouts: expected a mapping, got "5s"',
    ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("    service: data\n", "", "x.yaml:6: usages.browsing.service: is missing"),
        (
            "length: 5m",
            "length: {lognormal: {median: 5m}}",
            "x.yaml:8: usages.browsing.length.lognormal.sigma: is missing",
        ),
        (
            "length: 5m",
            "length: {lognormal: {median: 5m, mean: 5m, sigma: 1}}",
            "x.yaml:8: usages.browsing.length.lognormal: expected either median or mean",
        ),
        (
            "length: 5m",
            "length: {logn: {median: 5m}}",
            'x.yaml:8: usages.browsing.length: no distribution "logn", did you mean "lognormal"?',
        ),
        (
            "length: 5m",
            "length: {fixed: 5m, uniform: {min: 1s, max: 2s}}",
            "x.yaml:8: usages.browsing.length: expected one distribution, got fixed and uniform",
        ),
        (
            "length: 5m",
            "length: {uniform: {min: 9s, max: 2s}}",
            "x.yaml:8: usages.browsing.length.uniform: max is less than min",
        ),
        (
            "length: 5m",
            "length: {pareto: {min: 9s, alpha: 1}}",
            "x.yaml:8: usages.browsing.length.pareto: alpha of 1 or less has no mean: give a max",
        ),
        (
            "length: 5m",
            "length: {exponential: {mean: 0s}}",
            "x.yaml:8: usages.browsing.length.exponential: expected a mean of more than 0",
        ),
        (
            "length: 5m",
            "length: {choice: [{value: 1s, weight: 0}]}",
            "x.yaml:8: usages.browsing.length.choice: expected weights that add up to more than 0",
        ),
        (
            "length: 5m",
            "length: {empirical: {quantiles: [[0, 5s], [1, 2s]]}}",
            "x.yaml:8: usages.browsing.length.empirical: expected quantiles that never fall",
        ),
        (
            "length: 5m",
            "charging: IEC",
            "x.yaml:8: usages.browsing.charging: expected SCUR for data, got IEC",
        ),
        (
            "    length: 5m\n",
            "",
            "x.yaml:6: usages.browsing: never ends: expected a length, or a volume for at least one rating group",
        ),
        (
            "throughput: 2Mbps",
            "throughput: 2Mbps\n        burst: 5s",
            "x.yaml:10: usages.browsing.rating_groups.0.pause: burst and pause belong together: give both or neither",
        ),
        (
            "        throughput: 2Mbps\n",
            "",
            "x.yaml:10: usages.browsing.rating_groups.0.throughput: is missing",
        ),
        (
            "requested: 60s",
            "throughput: 5",
            "x.yaml:15: usages.call.rating_groups.0.throughput: does not belong here: time passes at one second per second",
        ),
        (
            "rating_group: 100,",
            "rating_group: 100, unit: totalVolume, throughput: 1Mbps, requested: 5MB},{rating_group: 101,",
            "x.yaml:15: usages.call.rating_groups.0.unit: voice counts time or serviceSpecificUnits, got totalVolume",
        ),
        (
            "rating_group: 100,",
            "rating_group: 100, unit: tme,",
            'x.yaml:15: usages.call.rating_groups.0.unit: no unit "tme", did you mean "time"?',
        ),
        (
            "[{rating_group: 200}]",
            "[{rating_group: 200}, {rating_group: 201}]",
            "x.yaml:18: usages.message.rating_groups: an SMS event has exactly one rating group, got 2",
        ),
        (
            "service: sms",
            "service: sms\n    network_function: smf",
            "x.yaml:18: usages.message.network_function: expected a SMSF for sms, and smf is SMF",
        ),
        (
            "service: sms",
            "service: sms\n    network_function: smfs",
            'x.yaml:18: usages.message.network_function: no network function "smfs", did you mean "smf"?',
        ),
        ("  smsf: {kind: SMSF}\n", "", "x.yaml:15: usages.message: sms needs a network function of kind SMSF"),
        ("message: 1}", "massage: 1}", 'x.yaml:19: mix.massage: no usage "massage", did you mean "message"?'),
        ("{browsing: 2, message: 1}", "{browsing: 0}", "x.yaml:19: mix: expected weights that add up to more than 0"),
        ("rate: 200/s", "mode: closed", "x.yaml:20: load.devices: is missing: mode is closed"),
        ("rate: 200/s", "spacing: constant", "x.yaml:20: load.rate: is missing: mode is open"),
        (
            "rate: 200/s",
            "rate: 1/s\n  devices: 5",
            "x.yaml:22: load.devices: belongs to the closed mode, and mode is open",
        ),
        ("rate: 200/s", "rate: 0/s", "x.yaml:21: load.rate: expected a rate of more than 0, or sessions that are open"),
        (
            "rate: 200/s",
            "rate: 200/s\n  warmup: 1h",
            "x.yaml:22: load.warmup: expected less than the duration of 30 s",
        ),
        (
            "rate: 200/s",
            "rate: 200/s\n  start_open: 60k",
            "x.yaml:22: load.start_open: more than max_in_flight, 50000",
        ),
        (
            "load:",
            "subscribers: {count: 10}\nload:\n  start_open: 11",
            "x.yaml:22: load.start_open: more than the 10 subscribers",
        ),
        (
            "load:",
            'timestamps: wall\nsession_clock: "23:50"\nload:',
            "x.yaml:21: session_clock: belongs to timestamps: session",
        ),
        (
            "load:",
            "subscribers: {first_imsi: 001010000000001}\nload:",
            "x.yaml:20: subscribers.first_imsi: expected 14 or 15 digits in quotes",
        ),
        (
            "load:",
            'subscribers: {first_imsi: "001019999999000", count: 2k}\nload:',
            "x.yaml:20: subscribers.first_imsi: 2,000 subscribers counted up from 001019999999000 run out of digits",
        ),
        (
            "kind: SMF}",
            'kind: SMF, location: {tac: ["0001"], cell: ["0000001"]}}',
            "x.yaml:2: network_functions.smf.location",
        ),
        ("load:", "pace: fast\nload:", 'x.yaml:20: pace: expected a pace such as 1x, 60x or flat-out, got "fast"'),
        ("load:", "seed: true\nload:", "x.yaml:20: seed: expected a whole number such as 500, 100k or 1M, got true"),
        ("load:", "repeats: 11\nload:", "x.yaml:20: repeats: expected at most 10, got 11"),
        (
            "load:",
            "thresholds:\n  - success >= 99%\n  - respnse.p99 < 1s\nload:",
            'x.yaml:22: thresholds.1: threshold "respnse.p99 < 1s", column 1: unknown name "respnse"; did you mean "response"?',
        ),
        ("browsing:", "a|b:", "x.yaml:6: usages.a|b: expected a name of letters, digits, - and _, got"),
        (
            "kind: SMF}",
            "kind: SMF, address: 10.0.0.256}",
            "x.yaml:2: network_functions.smf.address: expected an IPv4 address",
        ),
        (
            "throughput: 2Mbps",
            "throughput: 2Mbps\n        burst: 0s\n        pause: 5s",
            "x.yaml:12: usages.browsing.rating_groups.0.burst: bursts without any length never use anything",
        ),
        (
            "load:",
            "thresholds:\n  - {expect: response.p99 < 1s, over: noon}\nload:",
            'x.yaml:21: thresholds.0: threshold "response.p99 < 1s over noon", column 24: expected run, steady or a window',
        ),
        (
            "load:",
            "thresholds:\n  - success >= 99%\n  - expect: drops == 0\n    levle: warn\nload:",
            'x.yaml:23: thresholds.1.levle: unknown key "levle", did you mean "level"?',
        ),
        (
            "load:",
            "thresholds:\n  - {expect: drops == 0, level: loud}\nload:",
            'x.yaml:21: thresholds.0.level: expected fail or warn, got "loud"',
        ),
        (
            "load:",
            "thresholds:\n  - {expect: failed < 9 over run, over: 10s}\nload:",
            'x.yaml:21: thresholds.0: threshold "failed < 9 over run over 10s", column 21: "over" is said twice',
        ),
        ("load:", "thresholds: [5]\nload:", "x.yaml:20: thresholds.0: expected a text, got 5; write it in quotes"),
        ("load:", "sandbox: {plan: my.yaml}\nload:", "x.yaml:20: sandbox.plan: no file my.yaml"),
        (
            "load:",
            "sandbox: {balances: {voce: 1h}}\nload:",
            'x.yaml:20: sandbox.balances.voce: no balance "voce", did you mean "voice"?',
        ),
    ],
)
def test_a_slip_is_explained_where_it_stands(here, before, after, expected):
    assert before in GOOD
    found = problems(here, GOOD.replace(before, after))
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_overrides_change_any_field(here):
    profile = load(
        here,
        GOOD,
        "load.rate=1k/s",
        "usages.browsing.rating_groups.0.requested=1MB",
        "usages.browsing.length={exponential: {mean: 1m}}",
        "timeouts.request=1s",
        "subscribers.first_imsi='262019999000001'",
        "mix.call=3",
    )
    assert profile.load.rate == 1000.0
    assert profile.usages["browsing"].rating_groups[0].requested == 1_000_000
    assert profile.usages["browsing"].length.mean() == 60.0
    assert profile.timeouts.request == 1.0
    assert profile.network_functions["smf"].plmn.mcc == "262"
    assert profile.mix == {"browsing": 2, "message": 1, "call": 3}


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("load.rte=5/s", '--set load.rte=5/s: load.rte: unknown key "rte", did you mean "rate"?'),
        ("load.rate=fast", '--set load.rate=fast: load.rate: expected a rate such as 200/s, 30/m or 1M/h, got "fast"'),
        ("load.rate", "--set load.rate: expected path=value, such as load.rate=500/s"),
        ("=5", "--set =5: expected path=value, such as load.rate=500/s"),
        ("load.rate.max=5", '--set load.rate.max=5: load.rate is "200/s", which has nothing named "max"'),
        ("usages.brosing.length=5s", '--set usages.brosing.length=5s: no usage "brosing", did you mean "browsing"?'),
        (
            "usages.call.rating_groups.1.requested=5s",
            "--set usages.call.rating_groups.1.requested=5s: usages.call.rating_groups is a list of 1: expected 0 to 0, got 1",
        ),
        ("load.rate=[1", "--set load.rate=[1:1: not readable as YAML"),
    ],
)
def test_an_override_that_does_not_fit_is_explained_in_its_own_words(here, setting, expected):
    assert problems(here, GOOD, setting)[0].startswith(expected)


def test_overrides_that_are_wrong_come_all_at_once(here):
    assert len(problems(here, GOOD, "load", "load.rate.x=1", "mix.call=1")) == 2


def test_a_plan_stands_beside_its_profile_and_takes_the_profiles_balances(here):
    (here / "plans").mkdir()
    (here / "plans" / "poor.yaml").write_text(
        "balances: {voice: 1h, data: 1GB}\n"
        "rating_groups:\n  300: {unit: totalVolume, counter: data, grant: 1MB}\n"
        "  100: {unit: time, counter: voice, grant: 30s, max_grant: 1m}\n"
    )
    text = GOOD + "sandbox: {plan: poor.yaml, unknown_subscriber: reject, balances: {data: 5MB}}\n"
    (here / "plans" / "poor-profile.yaml").write_text(text)
    plan = rating_plan(load_profile(here / "plans" / "poor-profile.yaml"))
    assert (plan.name, plan.unknown_subscriber) == ("poor", "reject")
    assert plan.balances == {"voice": 3600, "data": 5_000_000}


def test_a_name_that_nobody_ships_gets_the_nearest(here):
    with pytest.raises(ConfigError, match='no profile "vidio", did you mean "video"'):
        load_profile("vidio")
    with pytest.raises(ConfigError, match=r"nothing\.yaml: No such file or directory"):
        load_profile("nothing.yaml")
    with pytest.raises(ConfigError, match="Is a directory"):
        load_profile(here)


def test_files_that_are_no_profile(here):
    assert problems(here, "") == ["x.yaml: expected a profile, a mapping of names to values"]
    assert problems(here, "- a\n") == ["x.yaml: expected a profile, a mapping of names to values"]
    (here / "x.yaml").write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(ConfigError, match=r"x\.yaml:2: not UTF-8 text"):
        load_profile("x.yaml")
    (here / "x.yaml").write_bytes(b"a" * 2_000_001)
    with pytest.raises(ConfigError, match="larger than 2,000,000 octets"):
        load_profile("x.yaml")


SHIPPED = [each.path.read_text() for each in shipped_profiles()] + [GOOD]
fuzzed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["5s", "1MB", "1/s", "SMF"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def problems_of(path: Path, overrides: tuple[str, ...] = ()) -> list[str]:
    """Nothing but a ConfigError may come out, and its message is one line per problem."""
    try:
        load_profile(path, overrides)
    except ConfigError as error:
        return error.problems or ["an error that says nothing\n"]
    return []


def all_on_one_line(found: list[str]) -> bool:
    return all(problem and len(problem.splitlines()) == 1 for problem in found)


@fuzzed
@given(text=st.text() | st.text("ab1:-[]{}#&*!|>'\"%@`?, \n\t<=~.", max_size=60))
def test_any_text_is_a_profile_or_an_error(tmp_path, text):
    path = tmp_path / "fuzz.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert all_on_one_line(problems_of(path))


@fuzzed
@given(text=st.sampled_from(SHIPPED), data=st.data())
def test_any_damage_to_a_profile_leaves_a_profile_or_an_error(tmp_path, text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 20)))
    path = tmp_path / "fuzz.yaml"
    path.write_text(text[:start] + data.draw(st.text(max_size=5)) + text[end:], encoding="utf-8", newline="")
    assert all_on_one_line(problems_of(path))


@fuzzed
@given(data=st.data(), value=values)
def test_any_value_anywhere_is_taken_or_explained(tmp_path, data, value):
    path = tmp_path / "fuzz.yaml"
    path.write_text(data.draw(st.sampled_from(SHIPPED)))
    document = read(path.read_text(), "x")
    place = data.draw(st.sampled_from(sorted(document.lines, key=str)))
    if place:
        assert all_on_one_line(problems_of(path, (f"{'.'.join(map(str, place))}={value!r}",)))


def test_what_is_missing_beside_an_override_is_blamed_on_the_override(here):
    (found,) = problems(here, GOOD, "network_functions.smf.plmn.mcc='262'")
    assert found.startswith("--set network_functions.smf.plmn.mcc='262': network_functions.smf.plmn.mnc")


@pytest.mark.parametrize(
    ("file", "name"), [("my demo", "my-demo"), ("é", "unnamed"), ("busy-hour_2.1", "busy-hour_2.1")]
)
def test_a_profile_without_a_name_is_called_like_its_file(here, file, name):
    path = here / f"{file}.yaml"
    path.write_text(GOOD.replace("name: ", "# name: ", 1) if GOOD.startswith("name: ") else GOOD)
    assert load_profile(path).name == name
