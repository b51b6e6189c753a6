"""Rating plans: the default one, and what a wrong one gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.config import ConfigError, RatingPlan, load_plan

GOOD = """\
balances: {data: 1GB, money: 500}
rating_groups:
  300: {unit: totalVolume, counter: data, grant: 1MB}
  400: {unit: serviceSpecificUnits, counter: money, grant: 10, price: 2, per: 5}
"""


def problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> list[str]:
    monkeypatch.chdir(tmp_path)
    Path("p.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_plan("p.yaml")
    return caught.value.problems


def test_the_default_plan_has_the_demos_rating_groups():
    plan = load_plan()
    assert {number: terms.unit for number, terms in plan.rating_groups.items()} == {
        100: "time",
        200: "serviceSpecificUnits",
        300: "totalVolume",
        310: "totalVolume",
        320: "totalVolume",
        380: "totalVolume",
        400: "serviceSpecificUnits",
    }
    assert [number for number, terms in plan.rating_groups.items() if terms.zero_rated] == [310, 320, 380]


def test_data_is_granted_as_the_field_trace_grants_it():
    data = load_plan().rating_groups[300]
    assert (data.grant, data.threshold, data.validity, data.final_unit) == (10_485_760, 0.1, 1800, "TERMINATE")


def test_amounts_are_whole_numbers_of_the_unit():
    voice = load_plan().rating_groups[100]
    assert (voice.grant, voice.max_grant, voice.rounding, voice.price, voice.per) == (60, 600, 1, 1, 1)
    assert load_plan().balances["voice"] == 100_000 * 3600


def test_no_more_than_the_grant_unless_the_plan_says_so(tmp_path):
    (tmp_path / "p.yaml").write_text(GOOD)
    plan = load_plan(tmp_path / "p.yaml")
    assert plan.rating_groups[300].max_grant == plan.rating_groups[300].grant == 1_000_000
    assert plan.name == "p"


def test_what_goes_to_another_process_comes_back_the_same():
    assert RatingPlan.model_validate_json(load_plan().model_dump_json()) == load_plan()


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            "counter: data",
            "counter: date",
            'p.yaml:3: rating_groups.300.counter: no balance "date", did you mean "data"?',
        ),
        (
            "counter: data, ",
            "",
            "p.yaml:3: rating_groups.300.counter: expected the balance to debit, or zero_rated: true",
        ),
        (
            "counter: data",
            "counter: data, zero_rated: true",
            "p.yaml:3: rating_groups.300.counter: a zero-rated rating group",
        ),
        (
            "unit: totalVolume, ",
            "",
            "p.yaml:3: rating_groups.300.unit: is missing: expected one of totalVolume, time, service",
        ),
        (
            "grant: 1MB",
            "grant: 60s",
            'p.yaml:3: rating_groups.300.grant: expected a volume such as 10MB or 10MiB, got "60s"',
        ),
        ("grant: 1MB", "grant: 0", "p.yaml:3: rating_groups.300.grant: expected at least 1, got 0"),
        (
            "grant: 1MB",
            "grant: 1MB, final_unit: REDIRCT",
            "p.yaml:3: rating_groups.300.final_unit: expected TERMINATE or REDIRECT or RESTRICT_ACCESS, got",
        ),
        (
            "grant: 1MB",
            "grant: 1MB, final_unit: REDIRECT",
            "p.yaml:3: rating_groups.300.redirect_server: belongs to final_unit: REDIRECT, which needs it",
        ),
        (
            "grant: 1MB",
            "grant: 1MB, redirect_server: {address: http://topup.example/}",
            "p.yaml:3: rating_groups.300.redirect_server: belongs to final_unit: REDIRECT",
        ),
        (
            "grant: 1MB",
            "grant: 1MB, filter_ids: [topup]",
            "p.yaml:3: rating_groups.300.filter_ids: belongs to final_unit: RESTRICT_ACCESS",
        ),
        (
            "grant: 1MB",
            'grant: 1MB, tariff_changes: ["24:00"]',
            'p.yaml:3: rating_groups.300.tariff_changes.0: expected a time of day such as 18:00, got "24:00"',
        ),
        (
            "grant: 1MB",
            "grant: 1MB, triggers: [{type: RAT_CHANGE, categry: DEFERRED_REPORT}]",
            'p.yaml:3: rating_groups.300.triggers.0.categry: unknown key "categry", did you mean "category"?',
        ),
        (
            "grant: 1MB",
            "grant: 1MB, tresh: 10%",
            'p.yaml:3: rating_groups.300.tresh: unknown key "tresh", did you mean "thresho',
        ),
        (
            "  300:",
            "  data:",
            'p.yaml:3: rating_groups.data: expected a whole number such as 500, 100k or 1M, got "data"',
        ),
        (
            "price: 2",
            "price: 0.5",
            "p.yaml:4: rating_groups.400.price: expected a whole number such as 500, 100k or 1M, got 0.5",
        ),
        (
            "money: 500",
            "money: 5.50",
            "p.yaml:1: balances.money: expected a balance such as 100h, 50GB or 1000, got 5.5",
        ),
    ],
)
def test_a_slip_is_explained_where_it_stands(tmp_path, monkeypatch, before, after, expected):
    assert before in GOOD
    found = problems(tmp_path, monkeypatch, GOOD.replace(before, after))
    assert len(found) == 1
    assert found[0].startswith(expected)
