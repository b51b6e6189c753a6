"""Who begins a session when: open arrivals, the sessions open at the start, and the devices of a closed loop."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

from simulator.config import Profile
from simulator.config.profile import FILL_PER_S
from simulator.fleet.arrivals import NS_PER_S, arrival_times
from simulator.fleet.draws import Permutation, Purpose, draw, seed_key, session_key, uniform
from simulator.fleet.usage import mean_life_s


class Start(NamedTuple):
    """One session to start: at `moment` (ns after the run's start), the how-manieth of the run, by whom, of which usage."""

    moment: int
    number: int
    subscriber: int
    usage: int
    key: bytes
    residual: bool = False
    device: int = -1


class Population:
    """The part of a profile's sessions that worker `index` of `workers` starts: those of its own subscribers.

    Session numbers are those of the whole fleet: sessions open at the start first, then arrivals. They do not depend on the
    number of workers, so neither do identities, charging ids and usage.
    """

    def __init__(self, profile: Profile, seed: int, index: int = 0, workers: int = 1) -> None:
        self.profile = profile
        self.seed = seed_key(seed)
        self.index = index
        self.workers = workers
        self.subscribers = profile.subscribers.count
        self._think_factor = NS_PER_S / (profile.pace or 1.0)
        self._order = Permutation(self.subscribers, self.seed)
        names = list(profile.usages)
        self._usages = [names.index(name) for name in profile.mix]
        self._weights = list(accumulate(float(weight) for weight in profile.mix.values()))
        lives = [weight * mean_life_s(profile.usages[name]) for name, weight in profile.mix.items()]
        self._open_weights = list(accumulate(lives))

    def arrivals(self) -> Iterator[Start]:
        """Open arrivals of this worker, in order of time."""
        load = self.profile.load
        first = load.start_open
        if not load.rate:
            return
        for number, moment in enumerate(arrival_times(load.rate, load.spacing, self.seed, load.duration), start=first):
            if load.sessions is not None and number - first >= load.sessions:
                return
            subscriber = self._order[number % self.subscribers]
            if subscriber % self.workers == self.index:
                yield self._start(moment, number, subscriber)

    def open_at_start(self) -> Iterator[Start]:
        """Sessions that are open from the beginning, with what is left of them; set up at a steady rate, not in one blow."""
        if self._open_weights[-1] <= 0:
            return
        for number in range(self.profile.load.start_open):
            subscriber = self._order[number % self.subscribers]
            if subscriber % self.workers == self.index:
                key = session_key(self.seed, subscriber, number)
                usage = self._choose(self._open_weights, key)
                yield Start(number * NS_PER_S // FILL_PER_S, number, subscriber, usage, key, residual=True)

    def devices(self) -> Iterator[Start]:
        """First sessions of the devices of a closed loop; thinking begins at a random point, so they do not march in step."""
        for device in range(self.profile.load.devices or 0):
            if self._order[device % self.subscribers] % self.workers == self.index:
                start = self.next_of(device, device, 0)
                if start is not None:
                    yield start

    def next_of(self, device: int, number: int, moment: int) -> Start | None:
        """The next session of a closed device after `moment`, None when the run's number of sessions is reached.

        Thinking takes session time; flat out, where that jumps, it takes its time all the same.
        """
        load = self.profile.load
        if load.sessions is not None and number >= load.sessions:
            return None
        subscriber = self._order[device % self.subscribers]
        key = session_key(self.seed, subscriber, number)
        think = 0.0
        if load.think_time is not None:
            think = draw(load.think_time, key, Purpose.THINK)
        usage = self._choose(self._weights, key)
        return Start(moment + int(think * self._think_factor), number, subscriber, usage, key, device=device)

    def subscriber_of(self, number: int) -> int:
        """Whose session the how-manieth of the run is."""
        devices = self.profile.load.devices
        return self._order[(number % devices if devices else number) % self.subscribers]

    def _start(self, moment: int, number: int, subscriber: int) -> Start:
        key = session_key(self.seed, subscriber, number)
        return Start(moment, number, subscriber, self._choose(self._weights, key), key)

    def _choose(self, weights: list[float], key: bytes) -> int:
        """A usage, drawn by weight."""
        if len(self._usages) == 1:
            return self._usages[0]
        return self._usages[min(bisect_right(weights, uniform(key, Purpose.MIX) * weights[-1]), len(weights) - 1)]
