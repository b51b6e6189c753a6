"""Instructions per request, counted by valgrind: the same on a busy machine as on an idle one.

`python -m tests.performance.instructions` plays the benchmark's sessions through the engine's core (`Fleet`, in virtual
time, against fixed answers) and through the sandbox's (`Chf.handle`, called by the same fleet, whose own share is taken
off). Each is played for two lengths: the difference is free of start-up and imports. It takes about two minutes.
Instructions are no times: they tell whether a change makes the code do less, not how much faster it gets.
"""

from __future__ import annotations

import argparse
import gc
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from simulator.config import load_plan
from simulator.http2 import Answer, Exchange
from simulator.sandbox.chf import Chf
from tests.performance.canned import EPOCH_NS, START_NS, Answerer, CannedFleet, fixed_answerer, session_profile

VALGRIND = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
SHORT, LONG = 200, 1_000
"""Sessions; the first hundreds fill caches."""
DEVICES = 100
TIMEOUT_S = 300


def sandbox_answerer() -> Answerer:
    """A sandbox in memory."""
    chf = Chf(load_plan(), pace=None, epoch=EPOCH_NS - START_NS)

    def answer(exchange: Exchange, now: int) -> Answer:
        reply = chf.handle(b"POST", exchange.headers[3][1], exchange.headers, exchange.body, now)
        return Answer(reply.status, reply.headers, reply.body)

    return answer


def play(who: str, sessions: int) -> int:
    """Play so many sessions; return how many requests they made."""
    profile = session_profile(f"load.devices={DEVICES}", f"load.sessions={sessions}")
    fleet = CannedFleet(profile, fixed_answerer(profile) if who == "engine" else sandbox_answerer())
    gc.freeze()
    gc.disable()  # as in an engine
    fleet.run()
    return fleet.exchanges


def count_instructions(who: str, sessions: int) -> tuple[int, int]:
    """Play under valgrind; return instructions and requests."""
    played = subprocess.run(
        [*VALGRIND, sys.executable, "-m", "tests.performance.instructions", "--play", who, str(sessions)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        check=True,
    )
    collected = re.search(r"Collected : (\d+)", played.stderr)
    if collected is None:
        raise RuntimeError(f"valgrind counted nothing: {played.stderr[-500:]}")
    return int(collected[1]), int(played.stdout)


def main() -> int:
    """Count and print."""
    parser = argparse.ArgumentParser(prog="instructions", description="Count instructions per request.")
    parser.add_argument("--play", nargs=2, metavar=("WHO", "SESSIONS"), help=argparse.SUPPRESS)
    play_only = parser.parse_args().play
    if play_only:
        print(play(play_only[0], int(play_only[1])))
        return 0
    if shutil.which("valgrind") is None:
        print("valgrind is not installed (Debian: valgrind)", file=sys.stderr)
        return 2
    runs = [(who, sessions) for who in ("engine", "both") for sessions in (SHORT, LONG)]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        (short, few), (long, many), (short_both, _), (long_both, _) = threads.map(
            count_instructions, *zip(*runs, strict=True)
        )
    engine = (long - short) / (many - few)
    both = (long_both - short_both) / (many - few)
    print(f"engine (Fleet): {engine:,.0f} instructions per request")
    print(f"sandbox (Chf.handle): {both - engine:,.0f} instructions per request")
    return 0


if __name__ == "__main__":
    sys.exit(main())
