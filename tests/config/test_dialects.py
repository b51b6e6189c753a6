"""Dialects, releases, services and headers of a profile: what is accepted, and what a slip is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from pydantic import ValidationError

from simulator.config import (
    ConfigError,
    Dialect,
    Profile,
    load_dialect,
    load_profile,
    profile_json_schema,
    shipped_dialects,
)
from simulator.config.model import CONSEQUENCES
from tests.world import CALL, DOWNLOAD, MESSAGE, traffic

TENANT = "tenant=a-provider"
IMS = {"ims": {"kind": "IMS_Node"}}
ECUR: dict[str, Any] = MESSAGE | {"charging": "ECUR"}


def slip(make: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        make()
    (line,) = caught.value.problems
    return line


def wrong(**fields: Any) -> str:
    """What is wrong with a profile of calls in which these fields are set."""
    with pytest.raises(ValidationError) as caught:
        traffic({"rate": "1/s"}, **fields)
    (error,) = [each for each in caught.value.errors() if each["type"] not in CONSEQUENCES]
    return f"{'.'.join(str(part) for part in error['loc'] if not str(part).startswith('{'))}: {error['msg']}"


# -- dialects -----------------------------------------------------------------------------------------------------------


def test_two_dialects_are_shipped_and_the_book_is_the_default() -> None:
    assert shipped_dialects() == ["3gpp", "totogi"]
    assert load_dialect("3gpp") == Dialect() == load_profile("demo").dialect


def test_a_profile_names_a_shipped_dialect_and_takes_it_along() -> None:
    profile = load_profile("demo", ["dialect=totogi", TENANT])
    assert profile.dialect == load_dialect("totogi")
    assert Profile.model_validate_json(profile.model_dump_json()) == profile


def test_a_dialect_of_ones_own_is_a_file_beside_the_profile(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text("subscriber: 'msisdn-{msisdn}'\nlocation: path\n")
    base = load_profile("demo").model_dump_json(exclude={"dialect", "name"})
    (tmp_path / "load.yaml").write_text(f"{base[:-1]}, dialect: lab.yaml}}")
    dialect = load_profile(tmp_path / "load.yaml").dialect
    assert (dialect.name, dialect.subscriber, dialect.location, dialect.first_sequence) == (
        "lab", "msisdn-{msisdn}", "path", 0,
    )  # fmt: skip
    assert load_dialect(tmp_path / "lab.yaml") == dialect


def test_what_is_wrong_in_a_dialects_file_is_said_with_its_own_line(tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text("first_sequence: 1\nlocaton: path\n")
    line = slip(lambda: load_profile("demo", [f"dialect={file}"]))
    assert line == f'{file}:2: locaton: unknown key "locaton", did you mean "location"?'
    assert "did you mean" in slip(lambda: load_dialect("totogy"))
    assert "No such file" in slip(lambda: load_dialect("./nowhere.yaml"))


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("path", "nchf", "expected a path"),
        ("path", "/{root}/chargingdata", "no placeholder {root}: expected one of version"),
        ("subscriber", "imsi-{ims}", 'no placeholder {ims}, did you mean "imsi"?'),
        ("subscriber", "everybody", "the same for all subscribers"),
        ("subscriber", "a b {imsi}", "expected an identifier"),
        ("add", {"x": ["{cel}"]}, 'no placeholder {cel}, did you mean "cell"?'),
        ("add", {"x": "{"}, "braces do not match"),
        ("leave_out", ["notifyURI"], 'did you mean "notifyUri"?'),
        ("leave_out", ["invocationTimeStamp"], "that may be left out"),
        ("leave_out", ["nfConsumerIdentification"], "the rest is required"),
        ("leave_out", ["nfConsumerIdentification.nodeFunctionality"], "the rest is required"),
        ("first_sequence", 2, "expected at most 1"),
        ("node_functionality", "PGW", "expected AMF or SMF"),
    ],
)
def test_a_dialect_that_cannot_be_is_refused(tmp_path: Path, field: str, value: Any, says: str) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(json.dumps({field: value}))
    assert says in slip(lambda: load_dialect(file))


def test_a_dialect_that_names_the_tenant_needs_one() -> None:
    assert slip(lambda: load_profile("demo", ["dialect=totogi"])).endswith(
        "tenant: is missing: dialect totogi puts it into every message"
    )


def test_a_dialect_by_name_fits_the_json_schema() -> None:
    schema = jsonschema_rs.validator_for(profile_json_schema())
    given = {
        "network_functions": {"smf": {"kind": "SMF"}},
        "usages": {"call": CALL},
        "mix": {"call": 1},
        "load": {"rate": 1},
    }
    for dialect, fits in (
        ("totogi", True),
        ({"subscriber": "{device}"}, True),
        (7, False),
        ({"subscribr": "x"}, False),
    ):
        assert schema.is_valid(given | {"dialect": dialect}) is fits


# -- releases and services ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("release", ["rel15", "rel16"])
def test_calls_of_the_ims_need_the_release_that_has_them(release: str) -> None:
    said = wrong(network_functions=IMS, release=release)
    assert said == (
        "usages.call.network_function: calls of an IMS_Node need iMSChargingInformation, "
        f"which {release} does not have: expected release rel17"
    )
    assert traffic({"rate": "1/s"}, network_functions=IMS).release == "rel17"


def test_calls_of_the_ims_have_no_bearers() -> None:
    usages = {"call": CALL | {"rating_groups": [{"rating_group": 100, "five_qi": 1}]}}
    assert "has no bearer" in wrong(network_functions=IMS, usages=usages)


def test_a_device_has_fifteen_pdu_sessions_at_most() -> None:
    usages = {
        "call": CALL | {"sessions": 5},
        "download": DOWNLOAD | {"sessions": 10},
        "message": ECUR | {"sessions": 15},
    }
    assert traffic({"rate": "1/s"}, usages=usages).usages["download"].sessions == 10
    usages["more"] = CALL
    assert wrong(usages=usages) == (
        "usages.download.sessions: a device has 15 PDU sessions at most, and those of all usages add up to 16"
    )


@pytest.mark.parametrize(
    ("usage", "says"),
    [
        (MESSAGE | {"delivery": "3s"}, "only ECUR waits for a delivery, and charging is IEC"),
        (CALL | {"delivery": "3s"}, "only ECUR waits for a delivery, and charging is SCUR"),
        (MESSAGE | {"create_without_units": True}, "an event has one message"),
        (MESSAGE | {"changes": [{"change": "qos", "at": "1s"}]}, "over before anything changes"),
        (CALL | {"changes": [{"change": "qos"}]}, "expected either at or every"),
        (CALL | {"changes": [{"change": "qos", "at": "1s", "every": "1s"}]}, "expected either at or every"),
        (CALL | {"changes": [{"change": "qos", "every": "0s"}]}, "more than 0 between two changes"),
        (MESSAGE | {"rating_groups": [{"rating_group": 200, "length": "1s"}]}, "an SMS event has no length"),
    ],
)
def test_what_does_not_belong_to_a_usage_is_said(usage: Any, says: str) -> None:
    assert says in wrong(usages={"usage": usage})


def test_an_ecur_is_delivered_after_five_seconds_unless_told_otherwise() -> None:
    usages = {"usual": ECUR, "quick": ECUR | {"delivery": "1s"}, "event": MESSAGE}
    delivery = [usage.delivery for usage in traffic({"rate": "1/s"}, usages=usages).usages.values()]
    assert [law and law.mean() for law in delivery] == [5.0, 1.0, None]


# -- headers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"message_priority": 32}, "headers.message_priority"),
        ({"callback": "notify"}, "headers.callback: expected such as"),
        ({"target_api_root": "chf:80"}, "headers.target_api_root: expected an API root"),
        ({"extra": {"X-Lab": "1"}}, "headers.extra.X-Lab: expected a header's name in lower case"),
        ({"extra": {":path": "/"}}, "headers.extra.:path: expected a header's name in lower case"),
        ({"extra": {"x-lab": "a\r\nb: c"}}, "headers.extra.x-lab: expected up to 1,000 visible"),
        ({"extra": {"authorization": "Bearer x"}}, "headers.extra.authorization: is not to be set here"),
        ({"extra": {"connection": "close"}}, "headers.extra.connection: is not to be set here"),
        ({"extra": {"content-type": "x"}}, "headers.extra.content-type: is not to be set here"),
    ],
)
def test_headers_that_would_do_harm_are_refused(headers: Any, says: str) -> None:
    assert wrong(headers=headers).startswith(says)


def test_headers_of_ones_own_are_taken() -> None:
    profile = traffic({"rate": "1/s"}, headers={"extra": {"x-lab": "one two"}, "message_priority": 0}, gzip=True)
    assert (profile.headers.extra, profile.headers.message_priority, profile.gzip) == ({"x-lab": "one two"}, 0, True)
