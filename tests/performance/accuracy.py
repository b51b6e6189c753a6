"""How exactly sessions begin when the engine is busy: the arrival error at 70 % of what one engine can do.

`python -m tests.performance.accuracy` finds the rate of full sessions at which one engine has no more CPU time left, by what
it needs at a lower rate, and then offers shares of that rate for ten seconds each, at constant and at Poisson spacing.
"""

from __future__ import annotations

import argparse
import time

from tests.performance.budget import NS_PER_S, arrival_error
from tests.performance.canned import session_profile
from tests.performance.children import Engine, Peer
from tests.performance.measurements import HEAD_START_S, arrival_times

WARM_S = 2.0


def offered(rate: float, spacing: str, seconds: float) -> tuple[float, float]:
    """Offer sessions at a rate; return the arrival error, and the engine's share of its core after the first two seconds."""
    overrides = ["load.mode=open", "load.devices=null", f"load.rate={rate:g}", f"load.spacing={spacing}"]
    profile = session_profile(*overrides, f"load.duration={seconds}s")
    with Peer(300) as peer, Engine() as engine:
        t0 = engine.start(profile, peer.url, head_start_s=HEAD_START_S)
        time.sleep(HEAD_START_S + WARM_S)
        before, began = engine.cpu_s, time.monotonic()
        time.sleep(seconds - WARM_S)
        share = (engine.cpu_s - before) / (time.monotonic() - began)
        time.sleep(0.3)
        observed = peer.ask("creates")
        engine.stop()
    moments = [t0 + moment for moment in arrival_times(profile)]
    return arrival_error(moments, observed, t0 + int(seconds * NS_PER_S)), share


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Arrival error of a busy engine")
    parser.add_argument("--seconds", type=float, default=12.0)
    given = parser.parse_args()
    saturation = 0.0
    for probe in (2_000.0, None, None):  # the busier an engine is, the less a session costs it
        rate = probe or 0.8 * saturation
        _, share = offered(round(rate), "constant", given.seconds)
        saturation = rate / share
        print(f"at {rate:,.0f} sessions/s the engine uses {share:.0%} of its core: saturation near {saturation:,.0f}/s")
    for part in (0.3, 0.5, 0.7):
        for spacing in ("constant", "poisson"):
            error, share = offered(round(saturation * part), spacing, given.seconds)
            print(f"{part:.0%} of that, {spacing}: arrival error {error:.3%}, {share:.0%} of the core")


if __name__ == "__main__":
    main()
