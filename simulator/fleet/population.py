"""Who begins a session when: open arrivals, the sessions open at the start, and the devices of a closed loop."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Final, NamedTuple

from simulator.config import Profile
from simulator.config.profile import FILL_PER_S
from simulator.fleet.arrivals import Arrivals, earliest
from simulator.fleet.draws import Permutation, Purpose, draw, seed_key, session_key, uniform
from simulator.fleet.timeline import Timeline
from simulator.fleet.usage import mean_life_s
from simulator.n40.flow import NEVER, NS_PER_S

LANES: Final = (1 << 64) - 1
"""No session has this number."""
DRAWN: Final = -1.0
"""A think time that is drawn from the profile's law."""


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

    Session numbers are those of the whole fleet: sessions open at the start first, then arrivals, of which each lane of the load
    has every so-manieth. They do not depend on the number of workers, so neither do identities, charging ids and usage.
    """

    def __init__(self, profile: Profile, seed: int, index: int = 0, workers: int = 1) -> None:
        self.profile = profile
        self.seed = seed_key(seed)
        self.index = index
        self.workers = workers
        self.subscribers = profile.subscribers.count
        self._think_factor = NS_PER_S / (profile.pace or 1.0)
        self._order = Permutation(self.subscribers, self.seed)
        self._first = profile.load.start_open
        self._lanes = max(1, len(profile.load.lanes))
        self._stride = profile.load.most_devices
        self._mix = Mix(profile, profile.mix)
        self._in_session = _share_in_session(profile)
        self._open_mix = Mix(profile, {name: weight * life for name, weight, life in _lives(profile)})
        streams = profile.load.streams
        mixes = [self._mix] if streams is None else [Mix(profile, stream.weights()) for stream in streams]
        self._mix_of_lane = [mixes[stream] for stream, _ in profile.load.lanes]

    def arrivals(self, timeline: Timeline | None = None) -> OpenArrivals:
        """Open arrivals of this worker, in order of time."""
        return OpenArrivals(self, Timeline(self.profile.load.timeline, 0) if timeline is None else timeline)

    def start_of(self, lane: int, count: int, moment: int) -> Start | None:
        """The how-manieth arrival of a lane, if it is this worker's."""
        number = self._first + count * self._lanes + lane
        subscriber = self.subscriber_of(number)
        if subscriber % self.workers != self.index:
            return None
        key = session_key(self.seed, subscriber, number)
        return Start(moment, number, subscriber, self._mix_of_lane[lane].choose(key), key)

    def open_at_start(self) -> Iterator[Start]:
        """Sessions that are open from the beginning, with what is left of them; set up at a steady rate, not in one blow."""
        if not self._open_mix.some:
            return
        for number in range(self.profile.load.start_open):
            subscriber = self._order[number % self.subscribers]
            if subscriber % self.workers == self.index:
                key = session_key(self.seed, subscriber, number)
                usage = self._open_mix.choose(key)
                yield Start(number * NS_PER_S // FILL_PER_S, number, subscriber, usage, key, residual=True)

    def owns(self, device: int) -> bool:
        """Whether a device of a closed loop is this worker's."""
        return self._order[device % self.subscribers] % self.workers == self.index

    def next_number(self, device: int, number: int) -> int:
        """The number of a device's next session; `number` is that of its last one, -1 if it had none."""
        return device if number < 0 else number + self._stride

    def begin_at_once(self, device: int, number: int, moment: int) -> Start | None:
        """A session that a device of a closed loop begins as it attaches."""
        return self._start_of_device(device, number, moment, 0.0)

    def found(self, device: int) -> Start | None:
        """The first session of a device that is found in the midst of life: what is left of it, or of the time before it.

        Of all its time a device spends so much in sessions of each usage as these live, by their weights, and the rest thinking.
        """
        load = self.profile.load
        think = load.think_time
        subscriber = self._order[device % self.subscribers]
        key = session_key(self.seed, subscriber, device)
        if uniform(key, Purpose.THINK, 1) < self._in_session and (load.sessions is None or device < load.sessions):
            moment = int(device * self._in_session * NS_PER_S / FILL_PER_S)
            return Start(moment, device, subscriber, self._open_mix.choose(key), key, residual=True, device=device)
        left = 0.0 if think is None else think.equilibrium_quantile(uniform(key, Purpose.THINK))
        return self._start_of_device(device, device, 0, left)

    def next_of(self, device: int, number: int, moment: int) -> Start | None:
        """The next session of a closed device after `moment`, None when the run's number of sessions is reached.

        Thinking takes session time; flat out, where that jumps, it takes its time all the same.
        """
        return self._start_of_device(device, number, moment, DRAWN)

    def _start_of_device(self, device: int, number: int, moment: int, think: float) -> Start | None:
        """A start after so many seconds of session time, or DRAWN ones."""
        load = self.profile.load
        if load.sessions is not None and number >= load.sessions:
            return None
        subscriber = self._order[device % self.subscribers]
        key = session_key(self.seed, subscriber, number)
        if think == DRAWN:
            think = 0.0 if load.think_time is None else draw(load.think_time, key, Purpose.THINK)
        usage = self._mix.choose(key)
        return Start(moment + int(think * self._think_factor), number, subscriber, usage, key, device=device)

    def subscriber_of(self, number: int) -> int:
        """Whose session the how-manieth of the run is. The lanes go round the subscribers from different ones on."""
        if self._stride:
            return self._order[number % self._stride % self.subscribers]
        if number < self._first or self._lanes == 1:
            return self._order[number % self.subscribers]
        count, lane = divmod(number - self._first, self._lanes)
        return self._order[(self._first + count + lane * self.subscribers // self._lanes) % self.subscribers]


class Mix:
    """Usages by weight."""

    __slots__ = ("_usages", "_weights", "some")

    def __init__(self, profile: Profile, weights: Mapping[str, float]) -> None:
        names = list(profile.usages)
        self._usages = [names.index(name) for name in weights]
        self._weights = list(accumulate(float(weight) for weight in weights.values()))
        self.some = self._weights[-1] > 0
        """Whether any of them has a weight."""

    def choose(self, key: bytes) -> int:
        """The position of a usage in the profile, drawn for a session."""
        if len(self._usages) == 1:
            return self._usages[0]
        weights = self._weights
        return self._usages[min(bisect_right(weights, uniform(key, Purpose.MIX) * weights[-1]), len(weights) - 1)]


def _lives(profile: Profile) -> Iterator[tuple[str, float, float]]:
    """Each usage of the mix with its weight and its mean life."""
    for name, weight in profile.mix.items():
        yield name, float(weight), mean_life_s(profile.usages[name])


def _share_in_session(profile: Profile) -> float:
    """The share of its time that a device of a closed loop spends in sessions."""
    think = profile.load.think_time
    mean_think = 0.0 if think is None else think.mean()
    total = sum(weight for _, weight, _ in _lives(profile))
    mean_life = sum(weight * life for _, weight, life in _lives(profile)) / total
    return mean_life / (mean_life + mean_think) if mean_life > 0 else 0.0


class OpenArrivals:
    """What a worker starts of the open arrivals of all lanes, in order of time."""

    def __init__(self, population: Population, timeline: Timeline) -> None:
        self._population = population
        self._t0 = timeline.t0
        self._most = population.profile.load.sessions
        self._count = self._kept_count = 0  # of the whole fleet
        self._lanes = [
            Arrivals(timeline, timeline.lanes[lane], spacing, _lane_key(population.seed, lane))
            for lane, (_, spacing) in enumerate(population.profile.load.lanes)
        ]

    def __iter__(self) -> Iterator[Start]:
        while (start := self.take()) is not None:
            yield start

    def take(self) -> Start | None:
        """The next one, None if nothing comes as things are. What was taken before has begun, and no command changes it."""
        for lane in self._lanes:
            lane.keep()
        self._kept_count = self._count
        return self._find()

    def take_again(self) -> Start | None:
        """What comes instead of the one that was taken last, which has not begun, after a command."""
        for lane in self._lanes:
            lane.go_back()
        self._count = self._kept_count
        return self._find()

    def _find(self) -> Start | None:
        lanes = self._lanes
        while self._most is None or self._count < self._most:
            place = 0 if len(lanes) == 1 else earliest(lanes)
            if place < 0 or lanes[place].moment == NEVER:
                return None
            lane = lanes[place]
            start = self._population.start_of(place, lane.number, lane.moment - self._t0)
            self._count += 1
            lane.advance()
            if start is not None:
                return start
        return None


def _lane_key(seed: bytes, lane: int) -> bytes:
    """What the gaps of a lane are drawn from."""
    return seed if lane == 0 else session_key(seed, lane, LANES)
