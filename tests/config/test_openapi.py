"""The user's copy of the OpenAPI files as checks: references across files, both readings, and files that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simulator.config import ConfigError
from simulator.config.openapi import load_schemas
from simulator.n40.conformance import SchemaFault

SERVICE = """
openapi: 3.0.0
info: {title: a charging service, version: 1.0.0}
paths:
  /data:
    post:
      responses:
        '201':
          content:
            application/json:
              schema: {$ref: '#/components/schemas/ChargingDataResponse'}
components:
  schemas:
    ChargingDataResponse:
      type: object
      properties:
        invocationTimeStamp:
          $ref: 'TS29571_CommonData.yaml#/components/schemas/DateTime'
        invocationSequenceNumber:
          $ref: 'TS29571_CommonData.yaml#/components/schemas/Uint32'
        failureHandling:
          $ref: '#/components/schemas/FailureHandling'
        entries:
          type: array
          minItems: 1
          items:
            $ref: '#/components/schemas/Entry'
        properties:
          type: string
          description: a member that is called like a keyword
        share:
          type: number
          minimum: 0
          exclusiveMinimum: true
        note:
          type: string
          nullable: true
        both:
          allOf:
            - $ref: '#/components/schemas/Left'
            - $ref: '#/components/schemas/Right'
        either:
          oneOf:
            - type: object
              required: [left]
              properties: {left: {type: integer}}
            - type: object
              required: [right]
              properties: {right: {type: integer}}
      required:
        - invocationTimeStamp
        - invocationSequenceNumber
    Entry:
      type: object
      properties:
        ratingGroup: {$ref: 'TS29571_CommonData.yaml#/components/schemas/Uint32'}
        next: {$ref: '#/components/schemas/Entry'}
      required: [ratingGroup]
    Left: {type: object, properties: {left: {type: integer}}}
    Right: {type: object, properties: {right: {type: integer}}}
    FailureHandling:
      anyOf:
        - type: string
          enum: [TERMINATE, CONTINUE]
        - type: string
    Unused:
      $ref: 'TS99999_NotThere.yaml#/components/schemas/Whatever'
"""
COMMON = """
components:
  schemas:
    DateTime: {type: string, format: date-time}
    Uint32: {type: integer, minimum: 0, maximum: 4294967295}
    ProblemDetails:
      type: object
      properties:
        status: {type: integer}
        cause: {type: string}
        invalidParams: {type: array, items: {type: object}, minItems: 1}
"""
ANSWER: dict[str, Any] = {"invocationTimeStamp": "2026-11-22T10:00:00Z", "invocationSequenceNumber": 1}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "TS32291_Nchf_ConvergedCharging.yaml").write_text(SERVICE)
    (tmp_path / "TS29571_CommonData.yaml").write_text(COMMON)
    return tmp_path


def faults(folder: Path, root: str = "ChargingDataResponse", **members: Any) -> list[tuple[str, bool]]:
    """Where, and whether only the strict reading says so."""
    document = ANSWER | members if root == "ChargingDataResponse" else members
    return [(fault.place, fault.strict) for fault in load_schemas(folder)(root, document)]


def test_an_answer_as_the_files_have_it_has_no_faults(folder: Path) -> None:
    entries = [{"ratingGroup": 1, "next": {"ratingGroup": 2}}]
    assert faults(folder, entries=entries, failureHandling="CONTINUE", properties="x", share=0.5, note=None) == []
    assert faults(folder, both={"left": 1, "right": 2}, either={"right": 1}) == []
    assert faults(folder, "ProblemDetails", status=400, cause="CHARGING_FAILED") == []


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"invocationSequenceNumber": "1"}, "/invocationSequenceNumber"),
        ({"invocationTimeStamp": "2026-11-22T10:00:00"}, "/invocationTimeStamp"),
        ({"entries": []}, "/entries"),
        ({"entries": [{"ratingGroup": 1, "next": {}}]}, "/entries/0/next"),
        ({"share": 0}, "/share"),
        ({"note": 1}, "/note"),
        ({"both": {"left": "one"}}, "/both/left"),
    ],
)
def test_what_the_files_forbid_is_a_fault_of_either_reading(folder: Path, members: dict[str, Any], place: str) -> None:
    assert faults(folder, **members) == [(place, False)]


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"unknown": 1}, ""),
        ({"failureHandling": "CONTINU"}, "/failureHandling"),
        ({"entries": [{"ratingGroup": 1, "ratinGroup": 1}]}, "/entries/0"),
        ({"both": {"left": 1, "middle": 2}}, "/both"),
    ],
)
def test_unknown_members_and_values_are_faults_of_the_strict_reading(
    folder: Path, members: dict[str, Any], place: str
) -> None:
    assert faults(folder, **members) == [(place, True)]


def test_a_type_that_the_files_do_not_have_is_not_checked(folder: Path) -> None:
    assert faults(folder, "ChargingNotifyRequest", anything=1) == []


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("TS29571_CommonData.yaml", None, "no TS29571_CommonData.yaml"),
        ("TS29571_CommonData.yaml", "components: {schemas: {DateTime: {}}}", "no schema Uint32"),
        ("TS32291_Nchf_ConvergedCharging.yaml", "openapi: 3.0.0", "expected an OpenAPI document"),
        ("TS32291_Nchf_ConvergedCharging.yaml", "a: [", "TS32291_Nchf_ConvergedCharging.yaml:1"),
        (
            "TS32291_Nchf_ConvergedCharging.yaml",
            "components: {schemas: {ChargingDataResponse: {$ref: '../../etc/passwd#/components/schemas/X'}}}",
            "a reference that cannot be followed",
        ),
        (
            "TS32291_Nchf_ConvergedCharging.yaml",
            "components: {schemas: {ChargingDataResponse: {type: string, pattern: '('}}}",
            "the schemas cannot be used",
        ),
        ("all.schema.json", "{", "expected a JSON Schema bundle"),
        ("all.schema.json", '{"$defs": {}, "x-roots": {"ProblemDetails": "#/$defs/X"}}', "x-roots names no definition"),
    ],
)
def test_files_that_cannot_be_used_are_named(folder: Path, name: str, text: str | None, words: str) -> None:
    (folder / name).unlink() if text is None else (folder / name).write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_schemas(folder)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        load_schemas(tmp_path / "3gpp")


def test_a_bundle_of_all_schemas_does_too(reference: Path) -> None:
    check = load_schemas(reference / "3gpp")
    examples = reference / "n40-examples"
    answer = json.loads((examples / "data_1_create.response.json").read_text())
    assert check("ChargingDataResponse", answer) == []
    assert check("ProblemDetails", json.loads((examples / "problem_403.problem.json").read_text())) == []
    assert check("ChargingNotifyRequest", json.loads((examples / "notify_reauth.notify.json").read_text())) == []
    answer["multipleUnitInformation"][0]["validityTime"] = "3600"
    (fault,) = check("ChargingDataResponse", answer)
    assert (fault.place, fault.strict) == ("/multipleUnitInformation/0/validityTime", False)


def test_a_schema_fault_says_what_is_wrong(folder: Path) -> None:
    (fault,) = load_schemas(folder)("ChargingDataResponse", ANSWER | {"invocationSequenceNumber": -1})
    assert isinstance(fault, SchemaFault)
    assert "-1" in fault.problem
