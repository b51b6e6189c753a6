from __future__ import annotations

from typing import Any

import pytest

from simulator.config import Profile
from simulator.measure import parse_threshold
from tests.world import traffic


def profile(*thresholds: Any) -> Profile:
    return traffic({"rate": "1/s"}, thresholds=list(thresholds))


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ({"expect": "drops == 0"}, "drops == 0"),
        ({"expect": "drops == 0", "level": "fail", "abort": False}, "drops == 0"),
        ({"expect": "failed < 10", "abort": True}, "failed < 10 abort"),
        ({"expect": "response.p99 < 1s", "over": "10s", "level": "warn"}, "response.p99 < 1s over 10s warn"),
        ({"expect": "success >= 99%", "over": "steady"}, "success >= 99% over steady"),
        ("response.p99 < 1s over 10s abort", "response.p99 < 1s over 10s abort"),
    ],
)
def test_a_threshold_part_by_part_is_the_same_as_one_line(written: Any, line: str) -> None:
    (text,) = profile(written).thresholds
    assert text == line
    assert parse_threshold(text) == parse_threshold(line)


def test_a_profile_that_was_dumped_for_an_engine_is_the_same() -> None:
    long = profile({"expect": "failed < 10", "abort": True}, "drops == 0")
    assert Profile.model_validate(long.model_dump(mode="json")).thresholds == long.thresholds


def test_the_schema_shows_both_ways() -> None:
    schema = Profile.model_json_schema()
    either = schema["properties"]["thresholds"]["items"]["anyOf"]
    assert {"type": "string"} in either
    assert set(schema["$defs"]["LongThreshold"]["properties"]) == {"expect", "over", "level", "abort"}
