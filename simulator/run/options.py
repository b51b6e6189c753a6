"""What can be asked of a run, and what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from simulator.config import Profile
from simulator.measure import Totals
from simulator.report import RunFacts, one_line
from simulator.run.wishes import Wishes


class RunError(Exception):
    """The run could not be done as asked; the message is what the user sees. Exit code 2."""


class InterruptedRunError(RunError):
    """Ctrl-C came before the load began. Exit code 130."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a load is: the stage (from 1) of how many, what it is meant to be, and how long it goes on as things are.

    `factor` is what the profile's rate is multiplied by; `left_s` is None while the load is paused.
    """

    stage: int = 1
    stages: int = 1
    name: str = ""
    rate_per_s: float = 0.0
    factor: float = 1.0
    paused: bool = False
    left_s: float | None = None


class Observer(Protocol):
    """Follows a run as it goes."""

    def begin(self, facts: RunFacts, totals: Totals) -> None:
        """The load begins at `facts.t0`; `totals` is live."""

    def tick(self, now: int, progress: Progress) -> None:
        """Some more has been measured; `now` is monotonic ns, `progress` where the load is by now."""

    def note(self, text: str) -> None:
        """Something happened that a person should know at once."""

    def end(self) -> None:
        """Nothing more will come."""


class Silence:
    """An observer that shows nothing."""

    def begin(self, facts: RunFacts, totals: Totals) -> None:
        """Say nothing."""

    def tick(self, now: int, progress: Progress) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def end(self) -> None:
        """Say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """A run in full.

    `targets` are the API roots of the CHFs in order of priority, none for the embedded sandbox. `ledger` is where the books of a
    foreign CHF can be read: the `/ledger` of a sandbox's management API. `out` is the folder for what the run leaves behind;
    without one, a new folder in `runs`; without either, nothing is left. `command` is the command line, for the manifest.
    `traces` are subscribers (`imsi-…`) whose call flow is written down in the folder. `thresholds` come on top of the profile's.
    `conformance` is the share (0 to 1) of answers that is checked against the book, and against the OpenAPI files in the folder
    `openapi`. `handle_signals` lets Ctrl-C drain instead of breaking off. `wishes` are what somebody at a keyboard
    wants changed, `management_port` is where the run can be asked and changed over HTTP, on the loopback; 0 chooses one.
    """

    profile: Profile
    targets: Sequence[str] = ()
    ledger: str | None = None
    thresholds: Sequence[str] = ()
    seed: int | None = None
    workers: int = 1
    out: Path | None = None
    runs: Path | None = None
    command: Sequence[str] = ()
    traces: Sequence[str] = ()
    codec: str = "ngh2"
    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    insecure: bool = False
    conformance: float = 0.0
    openapi: Path | None = None
    handle_signals: bool = False
    wishes: Wishes | None = None
    management_port: int | None = None
    observer: Observer = field(default_factory=Silence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run found. `summary` is the summary JSON as a dictionary, the rest are its usual questions.

    `folder` is where the records are, None where none were kept; `unwritten` is why its reports are not there, "" if they are.
    """

    summary: dict[str, Any]
    folder: Path | None = None
    unwritten: str = ""

    @property
    def verdict(self) -> str:
        """Return pass, fail, invalid, interrupted or could not run."""
        return str(self.summary["verdict"])

    @property
    def exit_code(self) -> int:
        """Return the exit code that says the verdict to a script."""
        return int(self.summary["exit_code"])

    @property
    def passed(self) -> bool:
        """Whether thresholds and audit hold, and the generator was not the limit."""
        return self.exit_code == 0

    @property
    def line(self) -> str:
        """Return the run in one line, for a log."""
        return one_line(self.summary)

    @property
    def why(self) -> Sequence[str]:
        """Return the reasons of a verdict other than pass."""
        return list(self.summary["why"])

    def latency_us(self, operation: str, percentile: str = "p99", kind: str = "response") -> float:
        """Return a latency in microseconds, for example `latency_us("update", "p99", "service")`.

        Raises ValueError where nothing was measured.
        """
        latency = self.summary["operations"][operation]["latency_us"][kind][percentile]
        if latency is None:
            raise ValueError(f"no {operation} was measured")
        return float(latency)
