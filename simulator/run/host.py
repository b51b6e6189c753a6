"""Whether the machine had time for the engines: what else ran on their cores meanwhile, and what a hypervisor took."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

STAT: Final = Path("/proc/stat")
TICKS_PER_S: Final = 100
"""USER_HZ, in which /proc/stat counts on every Linux that Python runs on."""
SHORTEST_S: Final = 2.0
"""Over less than this, ticks say little."""
FULL_SHARE: Final = 0.95
"""Of their time that the cores were busy."""
OTHERS_SHARE: Final = 0.15
"""Of that time for others than the engines; the driver itself needs some."""
STOLEN_SHARE: Final = 0.02


@dataclass(frozen=True, slots=True)
class HostTicks:
    """Time since the machine's start, added up over the cores that this process may use, in seconds."""

    cores: int
    whole_s: float
    busy_s: float
    stolen_s: float


def host_ticks() -> HostTicks | None:
    """Return those of now; None where the system does not tell."""
    try:
        text = STAT.read_text()
    except OSError:
        return None
    return parse_stat(text, os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def parse_stat(text: str, cores: set[int]) -> HostTicks | None:
    """Read /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal; what follows is part of user already."""
    rows = list(_rows(text, cores))
    if not rows:
        return None
    whole = sum(sum(row[:8]) for row in rows)
    idle = sum(row[3] + row[4] for row in rows)
    return HostTicks(
        cores=len(rows),
        whole_s=whole / TICKS_PER_S,
        busy_s=(whole - idle) / TICKS_PER_S,
        stolen_s=sum(row[7] for row in rows) / TICKS_PER_S,
    )


def _rows(text: str, cores: set[int]) -> Iterator[list[int]]:
    for line in text.splitlines():
        name, *ticks = line.split() or [""]
        if name.startswith("cpu") and name[3:].isdecimal() and int(name[3:]) in cores and len(ticks) >= 8:
            yield [int(each) for each in ticks]


def neighbours(before: HostTicks | None, after: HostTicks | None, engines_s: float, *, sandbox: bool) -> list[str]:
    """What a reader of the figures has to know of the time between; `engines_s` is what the engines used of it."""
    if before is None or after is None or before.cores != after.cores:
        return []
    whole = after.whole_s - before.whole_s
    if whole < SHORTEST_S * after.cores:
        return []
    notes = []
    busy, stolen = after.busy_s - before.busy_s, after.stolen_s - before.stolen_s
    others = busy - stolen - engines_s
    if busy >= FULL_SHARE * whole and others >= OTHERS_SHARE * whole:
        who = "the embedded sandbox and what else runs here" if sandbox else "what else runs here"
        notes.append(
            f"the machine was busy for {busy / whole:.0%} of the load: {engines_s / whole:.0%} the engines, "
            f"{others / whole:.0%} {who}; latencies include the waiting for a core"
        )
    if stolen >= STOLEN_SHARE * whole:
        notes.append(f"other machines of the same host took {stolen / whole:.0%} of the CPU time (steal)")
    return notes
