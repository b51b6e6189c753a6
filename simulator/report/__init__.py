"""Reports: a run's totals, facts and audit as a summary, and the summary on a terminal."""

from simulator.report.facts import RunFacts
from simulator.report.junit import junit
from simulator.report.line import one_line
from simulator.report.summary import build_summary
from simulator.report.terminal import render
from simulator.report.verdict import Verdict

__all__ = ["RunFacts", "Verdict", "build_summary", "junit", "one_line", "render"]
