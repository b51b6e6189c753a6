"""What the machine allows: cores for engines, file descriptors and ports for their connections. Checked before the start."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from simulator.config import Profile
from simulator.run.options import RunError

with suppress(ImportError):  # not on every platform
    import resource

SPARE_DESCRIPTORS: Final = 64
"""Of any process, besides its connections: pipes, records, the loop, tokens, notifications."""
DESCRIPTORS_OF_AN_ENGINE: Final = 8
"""In the process that drives it: its pipes and its files."""
MOST_WORKERS: Final = 256
PORT_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
PORTS_LEFT: Final = 0.8
"""The share of the ports that may be used: closed connections hold theirs for a minute."""


def auto_workers(*, sandbox: bool) -> int:
    """As many engines as this process may use cores, one of which is the embedded sandbox's."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(max(1, cores - sandbox), MOST_WORKERS)


def connections_of_an_engine(profile: Profile, targets: int) -> int:
    """How many connections one engine opens."""
    functions = sum(function.count for function in profile.network_functions.values())
    return functions * profile.connections.per_network_function * max(1, targets)


def check_limits(profile: Profile, workers: int, targets: int, *, sandbox: bool = False) -> None:
    """Raise the limit of file descriptors where that is allowed, for the processes that are started from now on.

    The embedded `sandbox` is one process for all endpoints. Raises RunError where the machine does not allow enough.
    """
    connections = connections_of_an_engine(profile, targets)
    _check_descriptors("an engine", connections + SPARE_DESCRIPTORS)
    if sandbox:
        _check_descriptors("the sandbox", connections * workers + SPARE_DESCRIPTORS)
    _check_descriptors("a run of so many workers", DESCRIPTORS_OF_AN_ENGINE * workers + SPARE_DESCRIPTORS)
    _check_ports(connections // max(1, targets) * workers)


def _check_descriptors(who: str, needed: int) -> None:
    if "resource" not in sys.modules:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise RunError(
            f"{who} needs {needed:,} file descriptors, and the limit is {hard:,}: raise it (ulimit -n {needed}), or use fewer "
            "connections (connections.per_network_function), network functions or workers"
        )
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _check_ports(needed: int) -> None:
    """All connections to one CHF leave from one address, each from a port of its own."""
    try:
        first, last = map(int, PORT_RANGE.read_text().split())
    except (OSError, ValueError):
        return
    available = int((last - first + 1) * PORTS_LEFT)
    if needed > available:
        raise RunError(
            f"{needed:,} connections to one CHF need as many local ports, and about {available:,} can be used "
            f"(net.ipv4.ip_local_port_range is {first} to {last}): widen it, or use fewer connections"
        )
