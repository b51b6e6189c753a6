"""Who writes down what a fleet does, besides its figures and its books. Each is None where nobody wants to know."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.fleet.journal import Journal
from simulator.fleet.samples import FailureSamples
from simulator.fleet.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnesses:
    """Of one engine."""

    journal: Journal | None = None
    samples: FailureSamples | None = None
    trace: Trace | None = None


NOBODY = Witnesses()
