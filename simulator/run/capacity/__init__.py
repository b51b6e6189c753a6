"""How much does a CHF hold: a search by steps, each of which is a run of its own."""

from simulator.run.capacity.driver import CapacityObserver, CapacityOptions, find_capacity, resume_capacity
from simulator.run.capacity.search import SearchSettings, Step

__all__ = ["CapacityObserver", "CapacityOptions", "SearchSettings", "Step", "find_capacity", "resume_capacity"]
