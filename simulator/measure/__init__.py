"""Measuring: latency histograms, interval snapshots that merge, thresholds and the generator's own health."""

from simulator.measure.expressions import ThresholdError, parse_threshold
from simulator.measure.health import Health, Vitals, judge_generator
from simulator.measure.histogram import Histogram
from simulator.measure.recorder import Recorder
from simulator.measure.snapshot import INTERVAL_S, Gauge, Merge, Phase, Snapshot, key
from simulator.measure.thresholds import Threshold, VerdictLine
from simulator.measure.totals import Totals
from simulator.measure.watch import Watch

__all__ = [
    "INTERVAL_S",
    "Gauge",
    "Health",
    "Histogram",
    "Merge",
    "Phase",
    "Recorder",
    "Snapshot",
    "Threshold",
    "ThresholdError",
    "Totals",
    "VerdictLine",
    "Vitals",
    "Watch",
    "judge_generator",
    "key",
    "parse_threshold",
]
