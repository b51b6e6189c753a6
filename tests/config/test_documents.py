"""YAML: plain values with lines; everything else an error with its line."""

from __future__ import annotations

import pytest

from simulator.config import ConfigError
from simulator.config.document import read


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text, "x.yaml")
    return caught.value.problems


def test_values_know_their_lines():
    document = read("a: 1\nb:\n  - x\n  - c: true\n", "x.yaml")
    assert document.value == {"a": 1, "b": ["x", {"c": True}]}
    assert document.lines["a",] == 1
    assert document.lines["b", 1, "c"] == 4


def test_scalars_are_plain_values_of_yaml_1_2():
    text = "[1, -2, 0x10, 0o17, 1.5, 1e3, .inf, yes, true, null, ~, '1', 2001-12-14, 012]"
    infinite = float("inf")
    assert read(text, "x").value == [
        1,
        -2,
        16,
        15,
        1.5,
        1000.0,
        infinite,
        "yes",
        True,
        None,
        None,
        "1",
        "2001-12-14",
        12,
    ]


def test_a_merged_mapping_gives_what_is_not_said_here():
    text = "base: &base {a: 1, b: 2}\nhere:\n  <<: *base\n  b: 3\nthere:\n  <<: [*base, {c: 4}]\n"
    assert read(text, "x").value == {
        "base": {"a": 1, "b": 2},
        "here": {"b": 3, "a": 1},
        "there": {"a": 1, "b": 2, "c": 4},
    }


def test_every_key_that_stands_twice_is_named_with_both_lines():
    assert problems("a: 1\nb: {c: 1, c: 2}\na: 2\n") == [
        'x.yaml:2: "c" stands twice, first in line 2',
        'x.yaml:3: "a" stands twice, first in line 1',
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", "x.yaml:3: not readable as YAML: "),
        ("a: 1\n\tb: 2\n", "x.yaml:2: not readable as YAML: "),
        ("a: 1\nb: \x07\n", "x.yaml:2: not readable as YAML: a control character"),
        ("a: *nobody\n", "x.yaml:1: not readable as YAML: "),
        ("a: 1\n--- \nb: 2\n", "x.yaml:2: not readable as YAML: "),
        (
            "a: !!python/object/apply:os.system [ls]\n",
            "x.yaml:1: the tag tag:yaml.org,2002:python/object/apply:os.system",
        ),
        ("a: !!binary abc\n", "x.yaml:1: the tag tag:yaml.org,2002:binary is not supported"),
        ("? [a, b]\n: 1\n", "x.yaml:1: expected a name before the colon"),
        ("<<: 5\n", "x.yaml:1: expected a mapping after <<:"),
        ("a: &a [*a]\n", "x.yaml:1: nested too deeply"),
        ("a: &a\n  <<: *a\n", "x.yaml:1: nested too deeply"),
        ("[" * 5000, "x.yaml"),
        ("a: '" + "x" * 1_000_001 + "'", "x.yaml: larger than 1,000,000 characters"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(text, expected):
    assert problems(text)[0].startswith(expected)


def test_aliases_that_multiply_are_stopped():
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    assert "too many parts" in problems("\n".join(levels))[0]


def test_half_a_character_is_none():
    with pytest.raises(ConfigError, match=r"x\.yaml:2: half of a surrogate pair"):
        read('a: 1\nb: "\\ud800"\n', "x.yaml")
