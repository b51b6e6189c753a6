"""What a run is, before its load begins: enough to report on it, and to name its sessions, when nothing else is left."""

from __future__ import annotations

import os
import platform
from typing import Any, Final

from simulator import native
from simulator.fleet.engine import TIMER_FLOOR_NS
from simulator.http2 import without_user
from simulator.report import RunFacts
from simulator.run.options import RunOptions
from simulator.run.secrets import command_without_secrets, without_secrets
from simulator.version import __version__

FORMAT: Final = 1


def build_manifest(
    options: RunOptions, facts: RunFacts, *, run_id: str, epoch: int, notes: list[str]
) -> dict[str, Any]:
    """The manifest, JSON-able, without secrets. `epoch` is the start in ns since 1970."""
    profile = options.profile
    return {
        "format": FORMAT,
        "run_id": run_id,
        "version": __version__,
        "profile_name": profile.name,
        "profile": without_secrets(profile.model_dump(mode="json")),
        "seed": facts.seed,
        "command": command_without_secrets(options.command),
        "machine": machine(),
        "driver_pid": os.getpid(),
        "targets": [without_user(target) for target in facts.targets],
        "sandbox": facts.sandbox,
        "pace": facts.pace,
        "mode": facts.mode,
        "subscribers": facts.subscribers,
        "workers": facts.workers,
        "started_at": facts.started_at,
        "t0": facts.t0,
        "epoch": epoch,
        "planned_s": facts.planned_s,
        "thresholds": [*profile.thresholds, *options.thresholds],
        "timer_resolution_us": TIMER_FLOOR_NS // 1000,
        "conformance": options.conformance,
        "codec": options.codec,
        "notes": notes,
    }


def machine() -> dict[str, Any]:
    """What the run runs on."""
    return {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cpus": _cpus(),
        "memory_bytes": _memory_bytes(),
        "native": native.state(),
    }


def _cpus() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
