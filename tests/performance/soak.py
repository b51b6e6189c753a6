"""Whether memory grows with the length of a run: `python -m tests.performance.soak --minutes 30`.

A run against a sandbox of its own, with everything written down that a run can write down, while the resident memory of driver
and engine is looked at. What is judged is the slope after a warm-up, per session that came and went: a dictionary that is kept
for each of them would be 200 octets or more. The sandbox is shown and not judged: without a folder for its ledger it keeps the
books of all ended sessions in memory, with one their totals; it keeps an account for each subscriber that it has seen, and the
answers of the last seconds for whoever repeats a request.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import orjson
import psutil  # type: ignore[import-untyped]

from simulator.measure import Snapshot

MOST_PER_SESSION = 256.0
"""Octets by which a process may grow with each session; in a short run the noise of the allocator alone is some dozens."""
MOST_LOOKS = 400
"""Of one process; the slope is taken over all pairs of them."""
ROOT = Path(__file__).parents[2]
PROFILE = """
name: soak
subscribers: {{count: 2000}}
network_functions: {{smf: {{kind: SMF}}, smsf: {{kind: SMSF}}}}
usages:
  data:
    service: data
    length: {{exponential: {{mean: 20s}}}}
    rating_groups: [{{rating_group: 300, requested: 10MB, throughput: 8Mbps}}]
  message: {{service: sms, rating_groups: [{{rating_group: 200}}]}}
mix: {{data: 4, message: 1}}
load: {{rate: {rate}/s, duration: {seconds}s}}
pace: 20x
timeouts: {{request: 2s}}
"""


@dataclass(slots=True)
class Watched:
    """One process: moments (s) and resident octets."""

    name: str
    process: psutil.Process
    moments: list[float] = field(default_factory=list)
    octets: list[int] = field(default_factory=list)

    def look(self, moment: float) -> None:
        """Take one sample, if it is still there."""
        try:
            self.octets.append(self.process.memory_info().rss)
        except psutil.NoSuchProcess:
            return
        self.moments.append(moment)

    def slope(self, begin: float) -> float:
        """Octets per second after `begin`: the median over all pairs, which one jump does not move (Theil and Sen)."""
        points = [point for point in zip(self.moments, self.octets, strict=True) if point[0] >= begin]
        points = points[:: max(1, len(points) // MOST_LOOKS + 1)]
        slopes = [(later - earlier) / (at - before) for (before, earlier), (at, later) in combinations(points, 2)]
        return statistics.median(slopes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Soaked:
    """What was found. Growth is in octets per session that ended, by process."""

    sessions: int
    sessions_per_s: float
    growth: dict[str, float]
    resident: dict[str, int]

    def too_much(self) -> list[str]:
        """Processes of ours that grow with the run."""
        return [name for name in ("driver", "engine") if self.growth[name] > MOST_PER_SESSION]


def soak(seconds: float, *, rate: int = 150, warm_up: float = 0.3) -> Soaked:
    """Run for so long; the first part, a share of it, is not looked at."""
    with tempfile.TemporaryDirectory(prefix="smfleet-soak-") as name:
        folder = Path(name)
        (folder / "soak.yaml").write_text(PROFILE.format(rate=rate, seconds=f"{seconds:g}"))
        sandbox = subprocess.Popen(
            [sys.executable, "-m", "simulator.sandbox"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        with sandbox:
            try:
                return _soak(folder, sandbox, seconds, seconds * warm_up)
            finally:
                sandbox.terminate()


def _soak(folder: Path, sandbox: subprocess.Popen[bytes], seconds: float, begin: float) -> Soaked:
    assert sandbox.stdin is not None
    assert sandbox.stdout is not None
    sandbox.stdin.write(orjson.dumps({"pace": 20.0, "ledger_folder": str(folder)}) + b"\n")
    sandbox.stdin.flush()
    address = orjson.loads(sandbox.stdout.readline())["ready"]["n40"]
    out = folder / "out"
    command = [
        sys.executable, "-c", "from simulator.cli import main; main()", "run", str(folder / "soak.yaml"),
        "--target", address, "--out", str(out), "--trace", "imsi-001010000000001", "--quiet",
    ]  # fmt: skip
    with subprocess.Popen(command, cwd=ROOT) as driver:
        try:
            while not (out / "intervals.ndjson").exists():
                if driver.poll() is not None:
                    raise RuntimeError(f"the run ended with exit code {driver.returncode}")
                time.sleep(0.05)
            (engine,) = psutil.Process(driver.pid).children()
            watched = [
                Watched("driver", psutil.Process(driver.pid)),
                Watched("engine", engine),
                Watched("sandbox", psutil.Process(sandbox.pid)),
            ]
            began = time.monotonic()
            while (passed := time.monotonic() - began) < seconds - 1.5 and driver.poll() is None:
                for each in watched:
                    each.look(passed)
                time.sleep(min(1.0, seconds / 100))
        finally:
            driver.terminate()
    ended, per_s = _sessions(out)
    return Soaked(
        sessions=ended,
        sessions_per_s=per_s,
        growth={each.name: each.slope(begin) / per_s for each in watched},
        resident={each.name: each.octets[-1] for each in watched},
    )


def _sessions(out: Path) -> tuple[int, float]:
    """How many ended, in all and a second."""
    ended, last_s = 0, 0.0
    for line in (out / "intervals.ndjson").read_bytes().splitlines():
        row = orjson.loads(line)
        row.pop("worker")
        snapshot = Snapshot.from_wire(row)
        ended += snapshot.count("sessions", "completed") + snapshot.count("sessions", "failed")
        last_s = max(last_s, snapshot.end_s)
    return ended, ended / last_s


def main() -> None:
    """Soak and judge."""
    parser = argparse.ArgumentParser(description="Whether memory grows with the length of a run.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=int, default=300, help="sessions a second")
    given = parser.parse_args()
    found = soak(given.minutes * 60, rate=given.rate)
    print(f"{found.sessions:,} sessions and events, {found.sessions_per_s:,.0f}/s")
    for name, growth in found.growth.items():
        judged = "" if name == "sandbox" else f" (at most {MOST_PER_SESSION:g})"
        print(f"{name:8} {found.resident[name] / 2**20:7.1f} MiB, {growth:+8.1f} octets per session{judged}")
    sys.exit(1 if found.too_much() else 0)


if __name__ == "__main__":
    main()
