"""What is known about a run besides its measurements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What was run and how it ended.

    `planned_s` is how long load was to be offered (None: until all sessions are done), `duration_s` how long the run
    took, with its drain. `t0` is the start in monotonic nanoseconds, `started_at` the same in UTC, ISO 8601. `notes`
    are what a reader of the figures has to know ("the CHF's certificate was not checked"), `could_not_run` why the
    run did not happen as asked, if so. `targets` are the CHFs in order of priority, the first of them being `target`. `events` is
    what happened to them and when: `{"at_s": 12.5, "text": "CHF 1 (http://chf1:80) is down: …"}`. `promises_broken` is what the
    CHF itself saw of what it must not do, by name. `lost_workers` are the engines that did not live to the end.
    """

    profile: str
    seed: int
    version: str
    target: str
    targets: tuple[str, ...] = ()
    sandbox: bool = False
    pace: str = "1x"
    mode: str = "open"
    subscribers: int = 0
    workers: int = 1
    started_at: str = ""
    t0: int = 0
    planned_s: float | None = None
    duration_s: float = 0.0
    interrupted: bool = False
    notes: tuple[str, ...] = ()
    events: tuple[dict[str, object], ...] = ()
    could_not_run: str = ""
    promises_broken: Mapping[str, int] = field(default_factory=dict)
    lost_workers: tuple[int, ...] = ()
