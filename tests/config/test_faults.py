"""Faults, servers and quirks as a document writes them, and what a wrong one gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from simulator.config import QUIRKS, ConfigError, Fault, FaultFile, Profile, load_faults, load_profile
from simulator.config.faults import KINDS, StreamError
from simulator.http2.codec import ERROR_NAMES

EVERY_KIND: dict[str, Any] = {
    "delay": {"lognormal": {"median": "50ms", "sigma": 1}},
    "status": {
        "code": 503,
        "cause": "NF_CONGESTION",
        "retry_after": "5s",
        "oci": {"reduction": "50%", "validity": "75s"},
    },
    "silence": True,
    "lose_answer": True,
    "reset_connection": {"charged": True},
    "reset_stream": "REFUSED_STREAM",
    "goaway": "abrupt",
    "max_streams": 1,
    "close_window": True,
    "truncate": True,
    "garbage": True,
    "content_type": "text/html",
    "redirect": {"code": 308, "endpoint": 2, "target_nf": "6f1c6b3e-2f7a-4c39-9d3b-0d8c1a2b3c4d"},
    "overload": "30%",
    "grant": "50%",
    "result_code": "RATING_FAILED",
    "final_unit": "REDIRECT",
    "charge_repeats": True,
    "wrong_sequence": True,
    "outage": True,
    "notify": {"type": "REAUTHORIZATION", "rate": "1k/s", "share": "20%"},
    "credit": {"balances": {"data": "40MB"}, "rate": "100/s"},
}


def fault(**fields: Any) -> Fault:
    return Fault.model_validate(fields)


def problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> list[str]:
    monkeypatch.chdir(tmp_path)
    Path("f.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_faults("f.yaml")
    return caught.value.problems


def test_every_kind_of_fault_is_written_here():
    assert tuple(EVERY_KIND) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_what_goes_to_another_process_comes_back_the_same(kind):
    written = fault(**{kind: EVERY_KIND[kind], "from": "10s", "until": "1m"})
    assert written.kind == kind
    assert Fault.model_validate_json(written.model_dump_json()) == written


def test_short_forms_say_the_same_as_long_ones():
    assert fault(status=429) == fault(status={"code": 429})
    assert fault(reset_connection=True) == fault(reset_connection={"charged": False})
    assert fault(reset_stream="CANCEL") == fault(reset_stream={"error": "CANCEL"})
    assert fault(redirect=2) == fault(redirect={"endpoint": 2})
    assert fault(final_unit="TERMINATE") == fault(final_unit={"action": "TERMINATE"})
    assert fault(overload="10%") == fault(overload={"reduction": 0.1})


def test_the_errors_of_a_stream_are_those_of_http2():
    assert get_args(StreamError) == ERROR_NAMES


def test_a_file_has_faults_and_servers(tmp_path):
    (tmp_path / "f.yaml").write_text(
        "servers: {count: 4, service_time: 2ms, queue: 100}\nfaults:\n  - {from: 10s, until: 20s, endpoint: 1, outage: true}\n"
    )
    read = load_faults(tmp_path / "f.yaml")
    assert read.servers is not None
    assert (read.servers.count, read.servers.service_time.mean(), read.servers.queue) == (4, 0.002, 100)
    (outage,) = read.faults
    assert (outage.from_, outage.until, outage.endpoint, outage.kind) == (10.0, 20.0, 1, "outage")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{silence: true, delay: 5ms}", "faults.0: expected exactly one fault, got delay and silence"),
        ("{from: 3s}", "faults.0: expected exactly one fault, got none of delay, status"),
        ("{form: 3s, silence: true}", 'faults.0.form: unknown key "form", did you mean "from"?'),
        ("{from: 9s, until: 3s, silence: true}", "faults.0.until: expected more than from, 9 s"),
        ("{silence: false}", "faults.0.silence: expected true, got false; leave the fault out"),
        ("{status: 200}", "faults.0.status.code: expected at least 400, got 200"),
        ("{status: {code: 503, cause: no credit}}", "faults.0.status.cause: expected a cause such as NF_CONGESTION"),
        ("{reset_stream: CALM}", "faults.0.reset_stream.error: expected NO_ERROR or "),
        ("{redirect: {code: 301, endpoint: 1}}", "faults.0.redirect.code: expected 307 or 308, got 301"),
        ("{redirect: {code: 307}}", "faults.0.redirect: expected either the number of an endpoint, or a uri"),
        ("{outage: true, share: 5%}", "faults.0.share: does not belong here: outage comes over an endpoint"),
        (
            "{credit: {balances: {data: 1MB}}, operations: [create]}",
            "faults.0.operations: does not belong here: credit comes to accounts",
        ),
        ("{credit: {balances: {}}}", "faults.0.credit.balances: expected at least one entry, got none"),
        ("{silence: true, rating_groups: [300]}", "faults.0.rating_groups: belongs to final_unit, grant, result_code"),
        ("{silence: true, subscribers: 200000..100000}", "faults.0.subscribers: expected the first before the last"),
        ("{silence: true, subscribers: 20000..100000}", "faults.0.subscribers: expected first and last with as many"),
        ("{silence: true, subscribers: 001010000000001}", "faults.0.subscribers: expected an identifier, or a range"),
        ("{silence: true, operations: [updaet]}", "faults.0.operations.0: expected create or update or release"),
        ("{delay: {lognormal: {median: 5ms}}}", "faults.0.delay.lognormal.sigma: is missing"),
    ],
)
def test_a_slip_is_explained_where_it_stands(tmp_path, monkeypatch, written, expected):
    (found,) = problems(tmp_path, monkeypatch, f"faults:\n  - {written}\n")
    assert found.startswith(f"f.yaml:2: {expected}")


@pytest.mark.parametrize(
    "impossible",
    [
        {"max_streams": 1 << 31},
        {"status": {"code": 503, "detail": "\ud800"}},
        {"status": {"code": 503, "detail": "x" * 1001}},
        {"redirect": {"uri": "http://\u00e4"}},
        {"redirect": {"uri": "http://" + "x" * 301}},
        {"redirect": {"uri": "http://chf/path"}},
        {"final_unit": {"action": "REDIRECT", "redirect_to": "http://topup\ud800"}},
    ],
)
def test_what_could_not_be_sent_is_refused_before_it_has_to_be(impossible):
    with pytest.raises(ValidationError, match=r"expected|less than or equal"):
        Fault.model_validate(impossible)


def test_a_profile_has_weather_for_its_sandbox():
    overrides = [
        "sandbox.endpoints=2",
        "sandbox.stores=separate",
        "sandbox.servers={count: 2, service_time: 5ms}",
        "sandbox.quirks=free5gc",
        "sandbox.faults=[{endpoint: 2, silence: true}]",
    ]
    profile = load_profile("demo", overrides)
    assert profile.sandbox.quirks == QUIRKS["free5gc"]
    assert profile.sandbox.faults[0].endpoint == 2
    assert Profile.model_validate(profile.model_dump(mode="json")).sandbox == profile.sandbox


def test_an_endpoint_that_is_not_there_is_said():
    with pytest.raises(ConfigError) as caught:
        load_profile("demo", ["sandbox.faults=[{endpoint: 2, silence: true}]"])
    assert "sandbox.faults.0.endpoint: the sandbox has 1 endpoint, got 2" in str(caught.value)


def test_quirks_that_are_not_known_are_said():
    with pytest.raises(ConfigError) as caught:
        load_profile("demo", ["sandbox.quirks=sigscal"])
    assert 'sandbox.quirks: no quirks "sigscal", did you mean "sigscale"?' in str(caught.value)


def test_nothing_is_said_where_nothing_is_set():
    assert FaultFile().model_dump() == {"faults": [], "servers": None}
    assert not any(
        getattr(load_profile("demo").sandbox.quirks, name) for name in ("release_with_body", "idle", "frames")
    )
