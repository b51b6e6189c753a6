"""What a load takes: streams and connections, memory, cores, machines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from simulator.config import Profile
from simulator.run.plan.estimate import UsageFigures

STREAMS_HEADROOM: Final = 2.0
"""A CHF may take twice as long for a while."""
CHANCE: Final = 4.0
"""Standard deviations of a Poisson number of requests under way: what chance exceeds one moment in thirty thousand."""
OCTETS_PER_SESSION: Final = 1_689
"""Memory of an open session with two rating groups in the engine, as `make bench` measures it (README, Speed)."""
REQUESTS_PER_CORE: Final = 16_000
"""Requests per CPU-second of a paced engine, compiled: the profile `demo` on two shared cores (README, Speed)."""
REQUESTS_PER_CORE_ORIGIN: Final = (
    "the project's own measurement of a paced fleet (README, Speed); yours: --measured DIR of a run on your machine"
)
CORES_PER_MACHINE: Final = 16
UTILISATION: Final = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamNeed:
    """One network function of the profile; figures are those of one of its instances, at the peak."""

    name: str
    instances: int
    requests_per_s: float
    in_flight: float
    """Little's law: requests per second x latency."""
    streams: int
    """With head-room for a slower CHF, and for chance."""
    connections: int
    """That these streams need."""
    connections_of_profile: int
    streams_of_profile: int

    @property
    def enough(self) -> bool:
        """Whether the profile has the connections."""
        return self.streams <= self.streams_of_profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """Engine processes, of one core each, and what they stand on."""

    requests_per_core: float
    origin: str
    utilisation: float
    cores: int
    cores_per_machine: int
    machines: int
    session_octets: float
    octets_per_machine: float


def stream_needs(profile: Profile, usages: dict[str, UsageFigures], latency_s: float) -> list[StreamNeed]:
    """What each network function needs for the usages that it serves."""
    by_function: dict[str, float] = {}
    for usage, figures in usages.items():
        name = profile.usages[usage].network_function
        by_function[name] = by_function.get(name, 0.0) + figures.requests_per_s_peak
    pool = profile.connections
    needs = []
    for name, requests_per_s in by_function.items():
        instances = profile.network_functions[name].count
        in_flight = requests_per_s / instances * latency_s
        roomy = in_flight * STREAMS_HEADROOM
        streams = max(1, math.ceil(roomy + CHANCE * math.sqrt(roomy)))
        needs.append(
            StreamNeed(
                name=name,
                instances=instances,
                requests_per_s=requests_per_s / instances,
                in_flight=in_flight,
                streams=streams,
                connections=math.ceil(streams / pool.streams),
                connections_of_profile=pool.per_network_function,
                streams_of_profile=pool.per_network_function * pool.streams,
            )
        )
    return needs


def machines(
    requests_per_s: float,
    sessions_open: float,
    *,
    requests_per_core: float,
    origin: str,
    utilisation: float,
    cores_per_machine: int,
) -> Machines:
    """What it takes at the peak."""
    cores = max(1, math.ceil(requests_per_s / (requests_per_core * utilisation)))
    count = math.ceil(cores / cores_per_machine)
    octets = sessions_open * OCTETS_PER_SESSION
    return Machines(
        requests_per_core=requests_per_core,
        origin=origin,
        utilisation=utilisation,
        cores=cores,
        cores_per_machine=cores_per_machine,
        machines=count,
        session_octets=octets,
        octets_per_machine=octets / count,
    )
