"""The check that all other tests of messages rely on: real messages pass, and whatever is broken in them is seen."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.n40.strict_schema import closed, strict_validator

ROOTS = {"request": "ChargingDataRequest", "response": "ChargingDataResponse", "notify": "ChargingNotifyRequest",
         "problem": "ProblemDetails"}  # fmt: skip


def examples(reference: Path) -> Iterator[tuple[str, str, Any]]:
    for file in sorted((reference / "n40-examples").rglob("*.json")):
        yield file.name, ROOTS[file.name.split(".")[-2]], json.loads(file.read_text())


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Every object inside a message, with the way to it."""
    if isinstance(node, dict):
        yield path, node
        for key, value in node.items():
            yield from places(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from places(value, (*path, index))


def at(message: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        message = message[step]
    return message


def test_every_example_passes(reference: Path) -> None:
    validators = {root: strict_validator(reference, root) for root in ROOTS.values()}
    seen = list(examples(reference))
    assert len(seen) == 18 + 5
    for name, root, message in seen:
        errors = [f"{error.instance_path}: {error.message}" for error in validators[root].iter_errors(message)]
        assert not errors, (name, errors)


def test_an_unknown_member_is_seen_wherever_it_stands(reference: Path) -> None:
    validators = {root: strict_validator(reference, root) for root in ROOTS.values()}
    tried = 0
    for name, root, message in examples(reference):
        for path, _ in places(message):
            if path and path[-1] == "presenceReportingAreaInformation":
                continue  # a map: its keys are identifiers
            broken = deepcopy(message)
            at(broken, path)["misspelt"] = 1
            assert not validators[root].is_valid(broken), (name, path)
            tried += 1
    assert tried > 300


WRONG: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
    ("a trigger that 3GPP does not know", lambda m: container(m)["triggers"][0].update(triggerType="QUOTA_TRESHOLD")),
    ("a category of trigger", lambda m: container(m)["triggers"][0].update(triggerCategory="IMMEDIATE")),
    ("a trigger without category", lambda m: container(m)["triggers"][0].pop("triggerCategory")),
    ("an indicator", lambda m: container(m).update(quotaManagementIndicator="ONLINE")),
    ("a radio access type", lambda m: pdu(m).update(ratType="LTE")),
    ("a node functionality", lambda m: m["nfConsumerIdentification"].update(nodeFunctionality="PGW")),
    ("a container without number", lambda m: container(m).pop("localSequenceNumber")),
    ("a usage without rating group", lambda m: m["multipleUnitUsage"][0].pop("ratingGroup")),
    ("a negative volume", lambda m: container(m).update(totalVolume=-1)),
    ("a volume as text", lambda m: container(m).update(totalVolume="1")),
    ("a PDU session without DNN", lambda m: pdu(m).pop("dnnId")),
    ("a time stamp without date", lambda m: m.update(invocationTimeStamp="10:00:00Z")),
    ("no sequence number", lambda m: m.pop("invocationSequenceNumber")),
    ("an instance id that is no UUID", lambda m: m["nfConsumerIdentification"].update(nFName="smf-1")),
    ("a TAC of five digits", lambda m: location(m)["tai"].update(tac="00001")),
    ("a cell of eight digits", lambda m: location(m)["ncgi"].update(nrCellId="00000001")),
]


def container(message: dict[str, Any]) -> Any:
    return message["multipleUnitUsage"][0]["usedUnitContainer"][0]


def pdu(message: dict[str, Any]) -> Any:
    return message["pDUSessionChargingInformation"]["pduSessionInformation"]


def location(message: dict[str, Any]) -> Any:
    return message["pDUSessionChargingInformation"]["userLocationinfo"]["nrLocation"]


@pytest.mark.parametrize(("what", "spoil"), WRONG, ids=[what for what, _ in WRONG])
def test_a_broken_message_fails(reference: Path, what: str, spoil: Callable[[dict[str, Any]], object]) -> None:
    message = json.loads((reference / "n40-examples" / "data_2_update_threshold.request.json").read_text())
    validator = strict_validator(reference, "ChargingDataRequest")
    validator.validate(message)
    spoil(message)
    assert not validator.is_valid(message), what


def test_no_enumeration_of_the_bundle_stays_open(reference: Path) -> None:
    bundle = json.loads((reference / "3gpp" / "n40-rel-17.bundle.schema.json").read_text())
    enumerations = [
        node
        for _, node in places(closed(bundle["$defs"]))
        if any("enum" in option for option in node.get("anyOf", []) if isinstance(option, dict))
    ]
    assert len(enumerations) > 70
    for node in enumerations:
        assert all("enum" in option for option in node["anyOf"])
