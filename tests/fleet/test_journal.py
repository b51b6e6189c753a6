"""The journal holds what is open and outlives a batch, and nothing else."""

from __future__ import annotations

from typing import Any

import orjson

from simulator.fleet.journal import Journal
from simulator.fleet.witnesses import Witnesses
from tests.world import CALL, World, traffic


def journaled(usage: dict[str, Any], seconds: float) -> tuple[World, Journal, list[dict[str, Any]]]:
    """Ten calls a second for so long, without any batch until then."""
    rows: list[dict[str, Any]] = []
    journal = Journal(lambda lines: rows.extend(map(orjson.loads, lines.splitlines())))
    profile = traffic({"rate": "10/s", "duration": "20s"}, usages={"call": usage})
    world = World(profile, witnesses=Witnesses(journal=journal))
    world.run_until(seconds)
    return world, journal, rows


def test_a_session_that_is_still_open_at_the_end_of_its_batch_has_one_line() -> None:
    world, journal, rows = journaled(CALL | {"length": "1h"}, 5)
    journal.flush()
    journal.flush()
    assert world.chf is not None
    open_at_the_chf = {session.reference for session in world.chf.sessions}
    assert {row["ref"].encode() for row in rows} == {bytes(reference) for reference in open_at_the_chf}
    assert len(rows) == len(open_at_the_chf) > 40
    assert set(rows[0]) == {"number", "usage", "subscriber", "slot", "ref", "chf", "started"}
    assert len({row["number"] for row in rows}) == len(rows)


def test_what_has_ended_within_its_batch_costs_no_line() -> None:
    world, journal, rows = journaled(CALL | {"length": "100ms"}, 5)
    journal.flush()
    assert len(world.sent("release")) > 40
    assert len(rows) <= 2


def test_a_session_whose_release_failed_is_entered_when_it_ends() -> None:
    rows: list[dict[str, Any]] = []
    journal = Journal(lambda lines: rows.extend(map(orjson.loads, lines.splitlines())))
    profile = traffic({"rate": "10/s", "duration": "3s"}, usages={"call": CALL | {"length": "100ms"}})
    weather = lambda message: "500" if message.operation == "release" else ""  # noqa: E731
    world = World(profile, weather=weather, witnesses=Witnesses(journal=journal)).run()
    journal.flush()
    journal.flush()
    assert world.chf is not None
    assert len({row["ref"] for row in rows}) == len(rows) == len(list(world.chf.sessions)) > 20
    assert not any(record["released"] for record in world.records)


def test_records_tell_which_sessions_the_chf_has_let_go() -> None:
    world, _, _ = journaled(CALL | {"length": "1s"}, 5)
    world.fleets[0].books.flush()
    assert world.records
    assert all(record["released"] for record in world.records)
    assert all(isinstance(record["number"], int) for record in world.records)


def test_a_line_has_the_place_among_the_sessions_of_its_usage_and_the_origin_of_a_moved_one() -> None:
    rows: list[dict[str, Any]] = []
    journal = Journal(lambda lines: rows.extend(map(orjson.loads, lines.splitlines())))
    usages = {name: CALL | {"length": "1h", "sessions": 2} for name in ("first", "second")}
    profile = traffic({"rate": "20/s", "duration": "20s"}, usages=usages, subscribers={"count": 3})
    world = World(profile, witnesses=Witnesses(journal=journal))
    world.run_until(5)
    journal.flush()
    assert sorted((row["subscriber"], row["usage"], row["slot"]) for row in rows) == [
        (subscriber, usage, slot) for subscriber in range(3) for usage in usages for slot in (0, 1)
    ]
    for rebased in (False, True):
        live = next(iter(world.fleets[0]._open.values()))
        live.session.origin, live.rebased = b"http://moved:80", rebased  # type: ignore[union-attr]
        journal.enter(live)
        journal.flush()
    assert [row.get("origin") for row in rows[-2:]] == ["http://moved:80", None]
