"""Two checkouts against each other: what a change costs the engine, in rounds that alternate between them.

`python -m tests.performance.ab OTHER --rounds 5` compares this checkout with that in the folder OTHER, which has to be compiled
the same way. Each figure is the engine's requests per CPU-second with full sessions against the fixed peer. A ratio below 1 means
that this checkout is slower; the spread of the ratios tells what the machine itself does from round to round.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from tests.performance.budget import Figure

HERE = Path(__file__).parents[2]
MEASURE = "from tests.performance.measurements import engine_on_peer; print(engine_on_peer({seconds}).client_per_cpu_s)"


def measured(tree: Path, seconds: float) -> float:
    """One measurement in that checkout, by a process that imports nothing of this one."""
    command = [sys.executable, "-c", MEASURE.format(seconds=seconds)]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=60 + 3 * seconds, check=True)
    return float(done.stdout)


def state(tree: Path) -> str:
    """Compiled or interpreted."""
    command = [sys.executable, "-c", "from simulator import native; print(native.state())"]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="This checkout's engine against another one's")
    parser.add_argument("other", type=Path, help="the folder of the other checkout")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args()
    print(f"this: {state(HERE)}, the other: {state(given.other)}")
    ratios, ours, theirs = [], [], []
    for number in range(given.rounds):
        first, second = (HERE, given.other) if number % 2 else (given.other, HERE)
        rates = {tree: measured(tree, given.seconds) for tree in (first, second)}
        ours.append(rates[HERE])
        theirs.append(rates[given.other])
        ratios.append(rates[HERE] / rates[given.other])
        print(f"round {number + 1}: {rates[HERE]:,.0f} against {rates[given.other]:,.0f}, ratio {ratios[-1]:.3f}")
    ratio = Figure.of(ratios)
    print(
        f"median {Figure.of(ours).median:,.0f} against {Figure.of(theirs).median:,.0f} requests per CPU-second; "
        f"ratio {ratio.median:.3f} ({ratio.lowest:.3f} to {ratio.highest:.3f})"
    )


if __name__ == "__main__":
    main()
