"""`make bench`: measures the budget table, prints it, and writes `build/bench.json`.

Exit code 1 if a must is missed. Everything runs on the loopback, in processes of its own, in about three minutes;
`--quick` takes one short run of each. Figures are per CPU-second (user and system) of the process in question, over a
steady window, client and server on a core each; the runs of a round follow each other directly, and each ratio is taken
within its round, so that a machine that is slower for a while is slower for both.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from simulator import native
from simulator.version import __version__
from tests.performance import measurements as measure
from tests.performance.budget import BUDGETS, Figure, failed
from tests.performance.canned import session_messages
from tests.performance.children import BenchError, find_h2load
from tests.performance.measurements import Rates

OUT = Path("build/bench.json")
SATURATED_SHARE = 0.95
NO_H2LOAD = "not measured: h2load is not installed (Debian: nghttp2-client)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long and how often."""

    rounds: int = 5
    window_s: float = 2.5
    few_sessions: int = 20_000
    many_sessions: int = 200_000
    arrivals_s: float = 11.5
    starts: int = 5


QUICK = Effort(rounds=1, window_s=1.5, many_sessions=50_000, arrivals_s=measure.SHORTEST_ARRIVALS_S, starts=2)


@dataclass(slots=True)
class Rounds:
    """The runs of all rounds, by who drives whom."""

    engine: list[Rates] = field(default_factory=list)
    h2load: list[Rates] = field(default_factory=list)
    httpx: list[Rates] = field(default_factory=list)
    sandbox: list[Rates] = field(default_factory=list)

    def figures(self) -> dict[str, Figure]:
        """Ratios within each round, and the absolute figures."""
        figures = {
            "engine_vs_h2load": Figure(missing=NO_H2LOAD),
            "engine_vs_httpx": _ratio(
                (one.client_per_cpu_s for one in self.engine), (one.client_per_cpu_s for one in self.httpx)
            ),
            "sandbox_vs_minimal": _ratio(
                (one.server_per_cpu_s for one in self.sandbox), (one.server_per_cpu_s for one in self.engine)
            ),
            "engine_requests_per_cpu_s": Figure.of([one.client_per_cpu_s for one in self.engine]),
            "sandbox_requests_per_cpu_s": Figure.of([one.server_per_cpu_s for one in self.sandbox]),
        }
        if self.h2load:
            figures["engine_vs_h2load"] = _ratio(
                (one.client_per_cpu_s for one in self.engine), (one.client_per_cpu_s for one in self.h2load)
            )
        return figures

    def peer_shares(self) -> dict[str, float]:
        """How much of its core the peer used at most, by client."""
        return {
            name: round(max(one.server_share for one in runs), 3)
            for name, runs in (("engine", self.engine), ("h2load", self.h2load), ("httpx", self.httpx))
            if runs
        }


def _ratio(numerators: Iterable[float], denominators: Iterable[float]) -> Figure:
    return Figure.of([one / other for one, other in zip(numerators, denominators, strict=True)])


def play_rounds(effort: Effort, say: Callable[[str], None]) -> Rounds:
    """Engine, h2load, httpx and sandbox in turn, several times."""
    rounds, h2load = Rounds(), find_h2load()
    with tempfile.TemporaryDirectory() as folder:
        create = Path(folder) / "create.json"
        create.write_bytes(session_messages()[0][1])
        for number in range(effort.rounds):
            say(f"round {number + 1} of {effort.rounds}: engine, h2load, httpx, sandbox")
            rounds.engine.append(measure.engine_on_peer(effort.window_s))
            if h2load is not None:
                rounds.h2load.append(measure.h2load_on_peer(h2load, create, effort.window_s))
            rounds.httpx.append(measure.httpx_on_peer(effort.window_s))
            rounds.sandbox.append(measure.engine_on_sandbox(effort.window_s))
    return rounds


def measure_all(effort: Effort, say: Callable[[str], None]) -> tuple[dict[str, Figure], Rounds]:
    """Every figure of the table."""
    rounds = play_rounds(effort, say)
    figures = rounds.figures()
    say(f"memory of {effort.many_sessions:,} open sessions")
    grown = measure.bytes_per_open_session(effort.few_sessions, effort.many_sessions, timeout_s=60)
    figures["bytes_per_open_session"] = Figure.of([grown])
    say(f"arrivals, constant and Poisson, {effort.arrivals_s:g} s each")
    errors = [measure.arrivals(spacing, effort.arrivals_s) for spacing in ("constant", "poisson")]
    figures["arrival_error"] = Figure.worst_of(errors)
    say(f"{effort.starts} starts")
    figures["first_request_s"] = Figure.of([measure.first_request_s() for _ in range(effort.starts)])
    return figures, rounds


def show(figures: dict[str, Figure], shares: dict[str, float], console: Console) -> None:
    """Print the table."""
    table = Table("figure", "what", "must", "aim", "measured", "lowest - highest", "mark")
    for budget in BUDGETS:
        figure, form = figures[budget.key], budget.form.format
        sign = "≤ " if budget.at_most else "≥ "
        measured = "" if figure.missing else form(figure.median)
        spread = "" if figure.missing else f"{form(figure.lowest)} - {form(figure.highest)}"
        table.add_row(
            budget.key,
            budget.what,
            sign + form(budget.must),
            sign + form(budget.aim),
            measured,
            spread,
            budget.mark(figure),
        )
    for key in ("engine_requests_per_cpu_s", "sandbox_requests_per_cpu_s"):
        figure = figures[key]
        spread = f"{figure.lowest:,.0f} - {figure.highest:,.0f}"
        table.add_row(key, "moves with the machine", "", "", f"{figure.median:,.0f}", spread, "")
    console.print(table)
    console.print("peer's core used at most: " + ", ".join(f"{share:.0%} by {name}" for name, share in shares.items()))
    for name, share in shares.items():
        if share >= SATURATED_SHARE:
            console.print(f"the peer was the limit under {name}; see H2load for what that does to the figure")


def document(figures: dict[str, Figure], shares: dict[str, float], *, quick: bool) -> dict[str, Any]:
    """`build/bench.json`: the table's keys on top, and how they came about."""
    missed = failed(figures, everything_required=_ci())
    return {
        **{key: None if figure.missing else figure.median for key, figure in figures.items()},
        "spread": {key: [figure.lowest, figure.highest] for key, figure in figures.items() if not figure.missing},
        "missed": missed,
        "peer_share": shares,
        "quick": quick,
        "machine": machine(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def machine() -> dict[str, Any]:
    """What it was measured on."""
    libraries = ("ngh2", "uvloop", "orjson", "httpx", "h2")
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "smfleet": __version__,
        "hot_path": native.state(),
        **{name: version(name) for name in libraries},
    }


def _ci() -> bool:
    return bool(os.environ.get("CI"))


def main() -> int:
    """Measure, show, write, judge."""
    parser = argparse.ArgumentParser(prog="bench", description="Measure the budget table.")
    parser.add_argument("--quick", action="store_true", help="one short run of each measurement")
    quick = parser.parse_args().quick
    console, progress = Console(width=150), Console(stderr=True, highlight=False)
    try:
        figures, rounds = measure_all(QUICK if quick else Effort(), lambda text: progress.print(text, style="dim"))
    except BenchError as error:
        progress.print(f"bench: {error}")
        return 1
    shares = rounds.peer_shares()
    show(figures, shares, console)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(document(figures, shares, quick=quick), indent=2) + "\n")
    console.print(f"written to {OUT}")
    missed = failed(figures, everything_required=_ci())
    if missed:
        console.print(f"missed: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
