from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from simulator.run import limits, run
from simulator.run.limits import auto_workers, check_limits, connections_of_an_engine
from simulator.run.options import RunError
from tests.run.rig import Follower, brief


@pytest.fixture
def nofile(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The limits of file descriptors: what was asked for is appended."""
    state = [(1024, 4096)]
    monkeypatch.setattr(resource, "getrlimit", lambda what: state[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda what, limit: state.append(limit))
    return state


def functions(count: int, connections: int) -> dict[str, object]:
    return {
        "network_functions": {"smf": {"kind": "SMF", "count": count}, "smsf": {"kind": "SMSF"}},
        "connections": {"per_network_function": connections},
    }


def test_each_network_function_has_its_connections_to_each_chf() -> None:
    assert connections_of_an_engine(brief(**functions(9, 3)), targets=2) == 10 * 3 * 2


def test_a_soft_limit_is_raised_by_what_is_needed(nofile: list[tuple[int, int]]) -> None:
    check_limits(brief(**functions(9, 200)), workers=1, targets=1)
    assert nofile[-1] == (2_064, 4_096)


def test_a_limit_that_suffices_is_left_alone(nofile: list[tuple[int, int]]) -> None:
    check_limits(brief(), workers=1, targets=1)
    assert nofile == [(1024, 4096)]


def test_a_hard_limit_is_said_before_the_run_with_what_to_do(nofile: list[tuple[int, int]]) -> None:
    with pytest.raises(
        RunError, match=r"an engine needs 10,064 file descriptors, and the limit is 4,096: raise it \(ulimit -n 10064\)"
    ):
        check_limits(brief(**functions(9, 1000)), workers=1, targets=1)


def test_a_hard_limit_that_is_just_enough_is_enough(nofile: list[tuple[int, int]]) -> None:
    check_limits(brief(**functions(62, 64)), workers=1, targets=1)
    assert nofile[-1] == (63 * 64 + 64, 4_096) == (4_096, 4_096)


def test_the_sandbox_holds_the_connections_of_all_engines(nofile: list[tuple[int, int]]) -> None:
    check_limits(brief(**functions(9, 30)), workers=8, targets=1, sandbox=True)
    assert nofile[-1] == (10 * 30 * 8 + 64, 4_096)
    with pytest.raises(
        RunError, match=r"the sandbox needs 4,864 file descriptors, and the limit is 4,096: .* or workers"
    ):
        check_limits(brief(**functions(9, 30)), workers=16, targets=1, sandbox=True)


def test_many_workers_need_descriptors_in_the_process_that_drives_them(nofile: list[tuple[int, int]]) -> None:
    check_limits(brief(), workers=256, targets=1)
    assert nofile[-1] == (256 * 8 + 64, 4_096)


def test_too_many_connections_for_the_ports_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "range"
    file.write_text("32768\t60999\n")
    monkeypatch.setattr(limits, "PORT_RANGE", file)
    monkeypatch.setattr(limits, "_check_descriptors", lambda who, needed: None)
    check_limits(brief(**functions(99, 100)), workers=2, targets=2)
    with pytest.raises(
        RunError, match="30,000 connections to one CHF need as many local ports, and about 22,585 can be used"
    ):
        check_limits(brief(**functions(99, 100)), workers=3, targets=2)


@pytest.mark.parametrize(
    ("cores", "sandbox", "workers"),
    [(8, True, 7), (8, False, 8), (2, True, 1), (1, True, 1), (1, False, 1), (900, True, 256)],
)
def test_auto_is_a_core_for_each_engine_and_one_for_the_sandbox(
    cores: int, sandbox: bool, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)))
    assert auto_workers(sandbox=sandbox) == workers


def test_a_run_says_how_many_workers_auto_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "auto_workers", lambda *, sandbox: 2 - sandbox)
    follower = Follower()
    result = run(brief(), workers="auto", observer=follower)
    assert result.summary["workers"] == 1
    assert follower.notes[0].startswith("--workers auto: 1 engine")
