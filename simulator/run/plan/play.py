"""Plays a sample of devices in virtual time, each with one session to its very end, and notes what it did at which age."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from simulator.config import Load, Profile
from simulator.fleet.session import LiveSession
from simulator.http2 import Answer, Exchange
from simulator.n40 import Operation
from simulator.run.options import RunError
from simulator.run.plan.arrivals import shares
from simulator.run.plan.kernel import Kernel
from simulator.run.plan.wire import octets
from simulator.run.virtual import NS_PER_S, VirtualWorld

BATCHES: Final = 20
"""Independent plays; how they differ tells how sure the result is."""
DEFAULT_REQUESTS: Final = 100_000
"""A sample that is not asked for has about so many requests: a few seconds of CPU compiled, ten to twenty interpreted."""
MOST_REQUESTS: Final = 2_000_000
"""No play goes on for longer."""
LARGEST_SAMPLE: Final = 20_000
FEWEST: Final = 2
"""Devices of each usage in a batch, however rare it is."""
PILOT: Final = 5
"""Devices of each usage that are played first, to find out how many are worth playing."""
PILOT_REQUESTS: Final = 25_000

REQUESTS: Final = tuple(str(each) for each in Operation)
OCTETS: Final = ("sent", "received", "bodies_sent", "bodies_received")
Kernels = dict[str, Kernel]
"""By usage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What was played: kernels by usage, batch by batch."""

    batches: list[Kernels]
    requests: int

    @property
    def devices(self) -> int:
        """How many sessions (and events), each of a device of its own."""
        return sum(kernel.sessions for kernels in self.batches for kernel in kernels.values())

    def parts(self) -> Iterator[Sample]:
        """The sample without each of its batches."""
        for place in range(len(self.batches)):
            yield replace(self, batches=self.batches[:place] + self.batches[place + 1 :])


class _Notes:
    """Notes the requests of one usage by the age of their session."""

    def __init__(self, kernel: Kernel, pace: float) -> None:
        self._kernel = kernel
        self._pace = pace
        self._open: dict[int, tuple[int, int]] = {}  # by number: when it began, and when it is to end in session time

    def on_request(self, live: LiveSession, operation: Operation, exchange: Exchange, now: int) -> None:
        """Count it, with its octets."""
        begun, _ = self._open.setdefault(live.number, (now, live.ends_at))
        age_s = (now - begun) / NS_PER_S
        kernel = self._kernel
        kernel.add(operation, age_s, 1)
        kernel.add("sent", age_s, octets(exchange.headers, exchange.body))
        kernel.add("bodies_sent", age_s, len(exchange.body))

    def on_answer(self, live: LiveSession, _operation: Operation, answer: Answer, now: int) -> None:
        """Count its octets, and the session's life if this was its end."""
        age_s = (now - self._open[live.number][0]) / NS_PER_S
        kernel = self._kernel
        kernel.add("received", age_s, octets(answer.headers, answer.body))
        kernel.add("bodies_received", age_s, len(answer.body))
        if live.session.end is not None:
            kernel.end(age_s)
            del self._open[live.number]

    def end_all(self, now: int) -> None:
        """What is left has ended at its own time, without another request."""
        for begun, ends_at in self._open.values():
            kernel_end = min(now, int(ends_at / self._pace))
            self._kernel.end((kernel_end - begun) / NS_PER_S)


def play_sample(profile: Profile, *, seed: int, latency_s: float, devices: int | None) -> Sample:
    """Play a sample of so many devices, by default as many as give about DEFAULT_REQUESTS requests. Raises RunError."""
    weights = shares(profile)
    pilot = {usage: _play(profile, usage, PILOT, seed + BATCHES, latency_s, PILOT_REQUESTS) for usage in weights}
    endless = [usage for usage, (_, _, done) in pilot.items() if not done]
    if endless:
        raise RunError(
            f"{profile.name}: {endless[0]}: {PILOT} of its sessions have not ended after {PILOT_REQUESTS:,} requests: "
            "they are too long to be played, or wait for credit that only the profile's faults would bring"
        )
    per_batch = _allocate(weights, pilot, devices)
    batches: list[Kernels] = []
    requests = 0
    for number in range(BATCHES):
        kernels: Kernels = {}
        for usage, count in per_batch.items():
            kernels[usage], played, done = _play(
                profile, usage, count, seed + number, latency_s, MOST_REQUESTS - requests
            )
            requests += played
            if not done:
                raise RunError(
                    f"{profile.name}: {usage}: a sample of {BATCHES * count:,} devices makes more than {MOST_REQUESTS:,} "
                    "requests before all its sessions have ended: expected shorter sessions, or a smaller --sample"
                )
        batches.append(kernels)
    return Sample(batches=batches, requests=requests)


def _allocate(
    weights: dict[str, float], pilot: dict[str, tuple[Kernel, int, bool]], devices: int | None
) -> dict[str, int]:
    """How many devices of each usage a batch has: more of those that weigh more, fewer of those that cost more to play.

    The error of a sum is smallest when each stratum has a share in proportion to its weight and spread, over the root of its cost
    (Neyman); the spread of a session's requests is about their number, which is its cost as well.
    """
    cost = {usage: max(1.0, requests / kernel.sessions) for usage, (kernel, requests, _) in pilot.items()}
    wanted = {usage: weight * cost[usage] ** 0.5 for usage, weight in weights.items()}
    whole = sum(wanted.values())
    parts = {usage: each / whole for usage, each in wanted.items()}
    if devices is None:
        devices = min(LARGEST_SAMPLE, int(DEFAULT_REQUESTS / sum(parts[usage] * cost[usage] for usage in weights)))
    return {usage: max(FEWEST, round(devices * part / BATCHES)) for usage, part in parts.items()}


def _play(
    profile: Profile, usage: str, devices: int, seed: int, latency_s: float, most_requests: int
) -> tuple[Kernel, int, bool]:
    """So many devices in a world of their own: what they did, in how many requests, and whether all have come to their end."""
    assert profile.pace is not None
    kernel = Kernel(profile.load.planned_s, (*REQUESTS, *OCTETS))
    notes = _Notes(kernel, profile.pace)
    world = VirtualWorld(
        _alone(profile, usage, devices),
        seed=seed,
        latency=int(latency_s * NS_PER_S),
        on_request=notes.on_request,
        on_answer=notes.on_answer,
    )
    done = world.play(most_requests)
    notes.end_all(world.now)
    return kernel, world.requests, done


def _alone(profile: Profile, usage: str, devices: int) -> Profile:
    """So many devices that begin one session of that usage each, all within a second."""
    load = Load.model_validate(
        {
            "rate": 2 * devices,
            "spacing": "constant",
            "sessions": devices,
            "max_in_flight": devices + 1,
            "duration": 2,
        }
    )
    config = profile.usages[usage]
    name = config.network_function
    count = max(devices, 2)  # somebody has to be the recipient of a message
    return profile.model_copy(
        update={
            "usages": {usage: config},
            "mix": {usage: 1.0},
            "network_functions": {name: profile.network_functions[name].model_copy(update={"count": 1})},
            "load": load,
            "subscribers": profile.subscribers.model_copy(update={"count": count}),
        }
    )
