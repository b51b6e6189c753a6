"""The budget table: what must be reached, where we are going, and how figures compare with it. Pure."""

from __future__ import annotations

import statistics
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NS_PER_S = 1_000_000_000
WINDOW_S = 10
STEP_NS = NS_PER_S // 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """The median of several runs, the lowest and the highest; or why there is none."""

    median: float = 0.0
    lowest: float = 0.0
    highest: float = 0.0
    missing: str = ""

    @classmethod
    def of(cls, values: Sequence[float]) -> Figure:
        """Sum up several runs."""
        return cls(median=statistics.median(values), lowest=min(values), highest=max(values))

    @classmethod
    def worst_of(cls, values: Sequence[float]) -> Figure:
        """Where the budget is for any run, the highest counts, not the median."""
        return cls(median=max(values), lowest=min(values), highest=max(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """One row: a share or factor that is to be reached, or (`at_most`) a cost that is not to be exceeded."""

    key: str
    what: str
    must: float
    aim: float
    form: str
    at_most: bool = False

    def holds(self, value: float, bar: float) -> bool:
        """Whether a value is on the right side of a bar."""
        return value <= bar if self.at_most else value >= bar

    def mark(self, figure: Figure) -> str:
        """`aim`, `must`, `missed`, or why there is no figure."""
        if figure.missing:
            return figure.missing
        if self.holds(figure.median, self.aim):
            return "aim"
        return "must" if self.holds(figure.median, self.must) else "missed"


BUDGETS = (
    Budget(
        key="engine_vs_h2load",
        what="engine, full sessions: share of h2load's requests per CPU-second",
        must=0.15,
        aim=0.30,
        form="{:.3f}",
    ),
    Budget(
        key="engine_vs_httpx",
        what="engine: multiple of an httpx client's requests per CPU-second",
        must=40,
        aim=80,
        form="{:.1f}",
    ),
    Budget(
        key="sandbox_vs_minimal",
        what="sandbox CHF: share of the minimal peer's requests per CPU-second",
        must=0.25,
        aim=0.50,
        form="{:.3f}",
    ),
    Budget(
        key="bytes_per_open_session",
        what="memory of an open session with two rating groups, octets",
        must=4096,
        aim=2048,
        form="{:,.0f}",
        at_most=True,
    ),
    Budget(
        key="arrival_error",
        what="arrivals against the schedule, in any 10 s",
        must=0.01,
        aim=0.001,
        form="{:.3%}",
        at_most=True,
    ),
    Budget(
        key="first_request_s",
        what="process start to the first request at the peer, seconds",
        must=2,
        aim=1,
        form="{:.2f}",
        at_most=True,
    ),
)


def failed(figures: Mapping[str, Figure], *, everything_required: bool) -> list[str]:
    """Keys of the rows that fail: a must is missed, or (where everything is required) there is no figure."""
    keys = []
    for budget in BUDGETS:
        mark = budget.mark(figures[budget.key])
        if mark == "missed" or (figures[budget.key].missing and everything_required):
            keys.append(budget.key)
    return keys


def arrival_error(schedule: Sequence[int], observed: Sequence[int], end: int) -> float:
    """The largest deviation, as a share, between the arrivals that any ten seconds should hold and those they held.

    Moments in ns, in order; windows begin every 10 ms from the first scheduled arrival on, and end by `end`.
    """
    width = WINDOW_S * NS_PER_S
    if end - schedule[0] < width:
        raise ValueError(f"the schedule covers less than {WINDOW_S} s")
    worst = 0.0
    for begin in range(schedule[0], end - width + 1, STEP_NS):
        due = bisect_left(schedule, begin + width) - bisect_left(schedule, begin)
        came = bisect_left(observed, begin + width) - bisect_left(observed, begin)
        worst = max(worst, abs(came - due) / due)
    return worst
