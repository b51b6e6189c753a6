"""The file of one subscriber's call flow: what it says of notifications and of what never left, and where it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.fleet import trace
from simulator.fleet.trace import Trace, TraceFile
from simulator.fleet.witnesses import Witnesses
from simulator.http2 import Failure, FailureKind
from tests.world import SECOND, START, World, traffic


def traced(file: TraceFile) -> World:
    """One subscriber, whose call begins after a second."""
    profile = traffic({"rate": "1/s", "spacing": "constant", "duration": "3s"}, subscribers={"count": 1}, repeats=0)
    return World(profile, witnesses=Witnesses(trace=Trace(START, {0: file})))


def titles(file: Path) -> list[str]:
    return [line for line in file.read_text().splitlines() if line and not line.startswith(" ")]


def test_notifications_are_in_the_call_flow_by_their_kind_and_rating_groups(tmp_path: Path) -> None:
    file = TraceFile(tmp_path / "trace.txt")
    world = traced(file)
    world.run_until(1.5)
    world.now = START + SECOND * 3 // 2
    (fleet,) = world.fleets
    for groups, abort in ((None, False), ((100, 200), False), ((), True)):
        assert fleet.on_notify(0, groups, world.now, abort=abort)
    file.close()
    assert [line for line in titles(tmp_path / "trace.txt") if "notify" in line] == [
        "+1.500000 s  <- notify REAUTHORIZATION  call  session 0  rating groups: all",
        "+1.500000 s  <- notify REAUTHORIZATION  call  session 0  rating groups: 100, 200",
        "+1.500000 s  <- notify ABORT_CHARGING  call  session 0  rating groups: none",
    ]


@pytest.mark.parametrize("sent", [True, False])
def test_what_failed_says_how_long_it_took_or_that_it_never_left(sent: bool, tmp_path: Path) -> None:
    file = TraceFile(tmp_path / "trace.txt")
    world = traced(file)
    world.latency = 9 * SECOND
    world.run_until(1.5)
    world.now = START + SECOND * 3 // 2
    (exchange,) = world.exchanges
    exchange.sent = exchange.sent if sent else 0
    world.fleets[0].stop()
    exchange.on_done(exchange, Failure(FailureKind.CLOSED, "closed", safe_to_repeat=not sent), world.now)
    file.close()
    [last] = [line for line in titles(tmp_path / "trace.txt") if "<-" in line]
    assert last.endswith("500.000 ms" if sent else "never sent")


def test_a_trace_ends_at_its_bound_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "MOST_OCTETS", 100)
    file = TraceFile(tmp_path / "trace.txt")
    for _ in range(10):
        file.write("x" * 40 + "\n")
    file.close()
    lines = (tmp_path / "trace.txt").read_text().splitlines()
    assert [line[:17] for line in lines] == ["x" * 17, "x" * 17, "", "The rest is left "]


def test_a_file_that_cannot_be_written_is_given_up_with_a_word(tmp_path: Path) -> None:
    file = TraceFile(tmp_path / "none" / "trace.txt")
    file.write("a\n")
    file.write("b\n")
    assert Trace(START, {0: file}).problems() == ["trace.txt cannot be written: No such file or directory"]
