"""Random values as hashes: of the seed, who, which session, what for, and the how-manieth.

Nothing is kept per device and nothing depends on the order of questions, so that one seed gives the same traffic at any
number of workers. One hash costs 0.6 us; seeding a generator per device would cost seven times that, and 2.5 KB.
"""

from __future__ import annotations

import math
from hashlib import blake2b
from struct import Struct
from typing import Final

from simulator.config.distributions import Distribution, Fixed

KEY_OCTETS: Final = 12
_QUESTION: Final = Struct("<QQ")
_INDEX: Final = Struct("<HI")
_TO_UNIT: Final = 2.0**-53


class Purpose:
    """What a draw is for: one number each, so that no two draws of a session share their hash."""

    THROTTLE: Final = 0
    MIX: Final = 1
    LENGTH: Final = 2
    BURST: Final = 3
    PAUSE: Final = 4
    THROUGHPUT: Final = 5
    VOLUME: Final = 6
    START: Final = 7
    UNITS: Final = 8
    RECIPIENT: Final = 9
    GAP: Final = 10
    THINK: Final = 11
    DELIVERY: Final = 12
    GROUP_LENGTH: Final = 13
    JITTER: Final = 14
    CHANGE: Final = 15


def seed_key(seed: int) -> bytes:
    """Return the key from which all draws of a run derive."""
    return blake2b(seed.to_bytes(16, "little", signed=True), digest_size=KEY_OCTETS).digest()


def session_key(seed: bytes, subscriber: int, session: int) -> bytes:
    """Return the key of all draws of one session."""
    return blake2b(_QUESTION.pack(subscriber, session), key=seed, digest_size=KEY_OCTETS).digest()


def uniform(key: bytes, purpose: int, index: int = 0) -> float:
    """Return a number in [0, 1)."""
    digest = blake2b(_INDEX.pack(purpose, index), key=key, digest_size=8).digest()
    return (int.from_bytes(digest, "little") >> 11) * _TO_UNIT


def draw(law: Distribution, key: bytes, purpose: int, index: int = 0) -> float:
    """Draw from a law; a fixed value costs no hash."""
    return law.value if type(law) is Fixed else law.quantile(uniform(key, purpose, index))


class Permutation:
    """A seeded order of the numbers 0 to n - 1: multiplication by a number coprime to n, near the golden section."""

    __slots__ = ("_factor", "_offset", "size")

    def __init__(self, size: int, key: bytes) -> None:
        self.size = size
        start = int(size * (0.55 + 0.12 * uniform(key, Purpose.MIX, 1))) | 1
        self._factor = next(f for f in range(start, start + 2 * size + 2) if math.gcd(f, size) == 1)
        self._offset = int(size * uniform(key, Purpose.MIX, 2))

    def __getitem__(self, index: int) -> int:
        return (index * self._factor + self._offset) % self.size
