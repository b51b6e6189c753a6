"""The conformance check: a catalogue of N40 exchanges, each tried on a charging function and judged by its clause.

`catalogue()` lists the cases, `run_checks(settings, cases)` plays them, and `render`, `as_json` and `as_junit` tell what came.
A case is a small function in `cases`, which says with an :class:`Smf` what is sent and what must come back.
"""

from simulator.check import cases
from simulator.check.catalogue import Case, catalogue, selected
from simulator.check.documents import as_json, as_junit
from simulator.check.runner import run_checks
from simulator.check.schemas import TITLES as SCHEMA_CASES
from simulator.check.settings import CheckSettings, RatingGroups
from simulator.check.terminal import render, render_catalogue
from simulator.check.verdicts import CaseResult, CheckResult, Verdict

__all__ = [
    "SCHEMA_CASES",
    "Case",
    "CaseResult",
    "CheckResult",
    "CheckSettings",
    "RatingGroups",
    "Verdict",
    "as_json",
    "as_junit",
    "cases",
    "catalogue",
    "render",
    "render_catalogue",
    "run_checks",
    "selected",
]
