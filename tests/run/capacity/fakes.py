"""A run that takes no time: a queue in virtual time stands for engine and CHF, and leaves what a run leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import orjson

from simulator.config import Profile
from simulator.run.options import Result
from tests.run.capacity.queueing import Queue

FINE: dict[str, Any] = {
    "verdict": "pass",
    "why": [],
    "generator": {"limited": False, "reasons": [], "cpu_share": 0.2, "loop_lag_usual_us": 900},
}
TIRED = {**FINE["generator"], "limited": True, "reasons": ["the busiest engine used 99% of its core"]}


@dataclass
class FakeRuns:
    """Stands for `simulator.run.run`. `before(number, profile, folder)` may raise, or return another summary."""

    queue: Queue
    before: Callable[[int, Profile, Path], dict[str, Any] | None] = lambda number, profile, folder: None
    made: list[tuple[float, int, str]] = field(default_factory=list)

    def __call__(self, profile: Profile, *, seed: int, out: Path, **options: Any) -> Result:
        load = profile.load
        assert load.rate is not None
        self.made.append((load.rate, seed, out.name))
        out.mkdir()
        summary = self.before(len(self.made), profile, out) or FINE
        random = Random(seed)
        with (out / "intervals.ndjson").open("wb") as lines:
            for interval in self.queue.measured(load.rate, load.warmup, load.duration - load.warmup, random):
                interval.counters["arrivals|intended"] = interval.counters["arrivals|started|message"]
                lines.write(orjson.dumps({"worker": 0, **interval.to_wire()}) + b"\n")
        return Result(summary=summary)

    @property
    def rates(self) -> list[float]:
        return [rate for rate, _, _ in self.made]
