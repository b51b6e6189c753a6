"""Charging conditions of a session that may change while it lives, and how the next ones are found (TS 32.255 5.2.1.4).

Conditions are indexes into the short tables here: where a session is handed over to "the next" serving node or network, it goes
on to the next entry, and after the last one begins again. Entry 0 is what the profile says.
"""

from __future__ import annotations

from typing import Final, NamedTuple

SERVING_NODE_OF: Final = {"NR": "AMF", "EUTRA": "SGW"}
OTHER_RAT: Final = {"NR": "EUTRA", "EUTRA": "NR"}
SERVING_NODES: Final = 4
"""So many nodes take turns in serving a session."""
TIME_ZONES: Final = ("+00:00", "+01:00", "+02:00", "+03:00")
VISITED_PLMNS: Final = (None, {"mcc": "999", "mnc": "70"}, {"mcc": "999", "mnc": "71"})
"""Networks that serve the subscriber: the network function's own, then two for internal use (ITU-T E.212, MCC 999)."""
FIVE_QIS: Final = (9, 8, 7, 6)
"""5QIs without guaranteed bit rate (TS 23.501 table 5.7.4-1) that the default bearer may change to."""
AMBRS: Final = (
    {"uplink": "100 Mbps", "downlink": "1 Gbps"},
    {"uplink": "50 Mbps", "downlink": "500 Mbps"},
    {"uplink": "10 Mbps", "downlink": "100 Mbps"},
)


class Conditions(NamedTuple):
    """The charging conditions of a session. `rat` is NR or EUTRA, "" what its network function usually serves."""

    rat: str = ""
    serving_node: int = 0
    qos: int = 0
    time_zone: int = 0
    plmn: int = 0
    ambr: int = 0


USUAL: Final = Conditions()


class Change(NamedTuple):
    """A change of charging conditions: the trigger types that it fires, the conditions from now on, and where the device is.

    `step` counts its moves: messages take it as `identify(subscriber, step)`.
    """

    triggers: tuple[str, ...]
    conditions: Conditions
    step: int


def five_qi(usual: int, index: int) -> int:
    """Return the 5QI of the default bearer after so many changes of it."""
    choice = [usual, *(each for each in FIVE_QIS if each != usual)]
    return choice[index % len(choice)]
