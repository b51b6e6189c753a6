from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from simulator.run import host
from simulator.run.host import HostTicks, host_ticks, neighbours, parse_stat

STAT = """\
cpu  9 9 9 9 9 9 9 9 9 9
cpu0 1000 100 200 600 50 10 20 20 500 0
cpu1 100 0 0 1900 0 0 0 0 0 0
cpu2 5 5 5 5 5 5 5 5 5 5
intr 12345
"""
IDLE = HostTicks(cores=2, whole_s=1000.0, busy_s=100.0, stolen_s=0.0)


def after(*, seconds: float = 10.0, busy: float, stolen: float = 0.0) -> HostTicks:
    """So many seconds later on two cores, of which that share was busy."""
    whole = 2 * seconds
    return HostTicks(2, IDLE.whole_s + whole, IDLE.busy_s + busy * whole, IDLE.stolen_s + stolen * whole)


def test_only_the_cores_that_may_be_used_count() -> None:
    assert parse_stat(STAT, {0, 1}) == HostTicks(cores=2, whole_s=40.0, busy_s=14.5, stolen_s=0.2)
    assert parse_stat(STAT, {1}) == HostTicks(cores=1, whole_s=20.0, busy_s=1.0, stolen_s=0.0)
    assert parse_stat("", {0}) is None


def test_a_machine_with_time_to_spare_is_not_mentioned() -> None:
    assert neighbours(IDLE, after(busy=0.9), 4.0, sandbox=True) == []


def test_engines_that_fill_their_cores_themselves_have_no_neighbours() -> None:
    assert neighbours(IDLE, after(busy=1.0), 18.0, sandbox=False) == []


def test_a_machine_that_others_fill_is_named_with_both_shares() -> None:
    (note,) = neighbours(IDLE, after(busy=0.98), 7.0, sandbox=True)
    assert note.startswith("the machine was busy for 98% of the load: 35% the engines, 63% the embedded sandbox and")
    (note,) = neighbours(IDLE, after(busy=0.98), 7.0, sandbox=False)
    assert "sandbox" not in note


def test_what_the_hypervisor_took_is_named() -> None:
    assert neighbours(IDLE, after(busy=0.5, stolen=0.07), 4.0, sandbox=False) == [
        "other machines of the same host took 7% of the CPU time (steal)"
    ]


def test_what_the_hypervisor_took_is_not_taken_for_neighbours() -> None:
    assert neighbours(IDLE, after(busy=1.0, stolen=0.2), 16.0, sandbox=False) == [
        "other machines of the same host took 20% of the CPU time (steal)"
    ]


@pytest.mark.parametrize("before", [None, replace(IDLE, cores=1)])
def test_what_is_not_known_is_not_said(before: HostTicks | None) -> None:
    assert neighbours(before, after(busy=1.0), 1.0, sandbox=True) == []
    assert neighbours(IDLE, None, 1.0, sandbox=True) == []
    assert neighbours(IDLE, after(seconds=1.0, busy=1.0), 0.1, sandbox=True) == []


def test_this_machine_tells_or_does_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = host_ticks()
    assert found is None or 0 < found.busy_s < found.whole_s
    monkeypatch.setattr(host, "STAT", tmp_path / "none")
    assert host_ticks() is None
