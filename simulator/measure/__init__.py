"""Measuring: latency histograms, interval snapshots that merge, thresholds and the generator's own health."""

from simulator.measure.histogram import Histogram
from simulator.measure.recorder import Recorder
from simulator.measure.snapshot import Gauge, Merge, Phase, Snapshot, key
from simulator.measure.totals import Totals

__all__ = ["Gauge", "Histogram", "Merge", "Phase", "Recorder", "Snapshot", "Totals", "key"]
