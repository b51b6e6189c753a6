"""From a request to attempts on the wire: deadline, and repeats that a CHF can tell from new requests. Wall time, pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from simulator.n40.messages import marked_as_repeat
from simulator.n40.request import Request

MAX_UNPROCESSED: Final = 10
"""How often a request that provably was not processed is sent again before it counts as failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPolicy:
    """`timeout` of one attempt in ns; `repeats` after a timeout or a lost connection. `marks_repeats`: they say that they are
    repeats, which not every release and dialect can.
    """

    timeout: int
    repeats: int = 1
    marks_repeats: bool = True


class Delivery:
    """The attempts of one request (N40: a repeat is identical except for retransmissionIndicator).

    An attempt that provably was not processed (RFC 9113 8.7: refused, above GOAWAY's last id, never sent) is sent again as it
    was; one that may have been processed is marked as a repeat, for the rest of its life.
    """

    __slots__ = ("policy", "processed", "repeats", "request", "unprocessed")

    def __init__(self, request: Request, policy: DeliveryPolicy) -> None:
        self.request = request
        self.policy = policy
        self.repeats = 0
        self.unprocessed = 0
        self.processed = False  # whether the CHF may have seen an attempt

    @property
    def body(self) -> bytes:
        """What the next attempt sends."""
        if self.repeats and self.policy.marks_repeats:
            return marked_as_repeat(self.request.body)
        return self.request.body

    def again(self, *, safe: bool) -> bool:
        """An attempt failed without an answer; tell whether to make another. `safe`: it provably was not processed."""
        if safe:
            self.unprocessed += 1
            return self.unprocessed <= MAX_UNPROCESSED
        self.processed = True
        if self.repeats >= self.policy.repeats:
            return False
        self.repeats += 1
        return True
