"""Whole fleets against the sandbox, in virtual time: every network function and service of the shipped profiles."""

from __future__ import annotations

from pathlib import Path

import jsonschema_rs
import pytest

from tests.n40.strict_schema import strict_validator
from tests.world import Message, World, profile, traffic

SMALL = ("load.duration=2s", "load.warmup=0s", "load.start_open=40", "load.rate=20/s")


@pytest.fixture(scope="module")
def strict(reference: Path) -> jsonschema_rs.Validator:
    return strict_validator(reference, "ChargingDataRequest")


def weather(message: Message) -> str:
    """Now and then the first answer is lost, so that repeats are sent."""
    return "answer lost" if message.attempt == 1 and message.at % 7 == 0 else ""


@pytest.mark.parametrize("name", ["demo", "busy-hour", "voice-evening", "4g-pgw", "video", "iot-meters", "how-to"])
def test_every_message_of_a_shipped_profile_passes_the_strict_check(name: str, strict: jsonschema_rs.Validator) -> None:
    overrides = SMALL if name not in ("how-to", "iot-meters") else ()
    world = World(profile(*overrides, base=name), weather=weather).run(2)
    assert len(world.messages) >= 50
    seen = set()
    for message in world.messages:
        error = next(strict.iter_errors(message.body), None)
        assert error is None, error
        seen.add(message.body["nfConsumerIdentification"]["nodeFunctionality"])
    if name == "4g-pgw":
        assert "PGW_C_SMF" in seen
    if name in ("demo", "busy-hour"):
        assert {"SMF", "SMSF"} <= seen


def test_a_call_that_ends_while_the_create_is_awaited_is_released_without_use() -> None:
    """The PDU session ended at its own moment, however late the answer comes; nothing is used after it."""
    slow = traffic({"rate": "5/s", "sessions": 5, "duration": "60s"}, timeouts={"request": "60s", "drain": "90s"})
    world = World(slow, latency=14 * 10**9).run()
    assert world.records
    assert {record["end"] for record in world.records} == {"completed"}
    assert {record["used"] for record in world.records} == {0}
    released = [message.body for message in world.messages if message.path.endswith("/release")]
    assert len(released) == 5


def test_what_a_call_uses_does_not_depend_on_when_its_last_answer_comes() -> None:
    for latency in (2, 4):  # seconds that each call waits for its quota
        slow = traffic({"rate": "5/s", "sessions": 5, "duration": "60s"}, timeouts={"request": "60s", "drain": "90s"})
        world = World(slow, latency=latency * 10**9).run()
        assert {record["used"] for record in world.records} == {10 - latency}
