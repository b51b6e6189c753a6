"""N40: what a charging trigger function says to a charging function, and when (TS 32.290, 32.291, 32.255).

Everything here is sans-IO: no sockets, clocks, randomness or files. `now` is *session time*, integer nanoseconds that the
caller maps from the wall clock (real time, sixty times as fast, or jumping from deadline to deadline).
"""

from simulator.n40.answers import Action, ChargingAnswer, Outcome, read_answer
from simulator.n40.delivery import Delivery, DeliveryPolicy
from simulator.n40.event import OneTimeEvent
from simulator.n40.failure import FailurePolicy, Handling, Trouble
from simulator.n40.flow import Flow, TrafficSource
from simulator.n40.identities import NetworkFunctionIdentity
from simulator.n40.messages import EventMessages, SessionMessages
from simulator.n40.rating_group import GroupSpec, RatingGroup
from simulator.n40.reporting import SessionContext
from simulator.n40.request import Operation, Request
from simulator.n40.session import ChargingSession
from simulator.n40.timestamps import Timestamps
from simulator.n40.usage_record import End, UsageRecord
from simulator.n40.wording import Wording

__all__ = [
    "Action",
    "ChargingAnswer",
    "ChargingSession",
    "Delivery",
    "DeliveryPolicy",
    "End",
    "EventMessages",
    "FailurePolicy",
    "Flow",
    "GroupSpec",
    "Handling",
    "NetworkFunctionIdentity",
    "OneTimeEvent",
    "Operation",
    "Outcome",
    "RatingGroup",
    "Request",
    "SessionContext",
    "SessionMessages",
    "Timestamps",
    "TrafficSource",
    "Trouble",
    "UsageRecord",
    "Wording",
    "read_answer",
]
