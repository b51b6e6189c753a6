"""The network functions of a fleet: SMF, PGW-C+SMF and SMSF instances, each with an identity and a pool of its own."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from simulator.config import Location, Profile
from simulator.config.profile import RATS
from simulator.config.profile import NetworkFunction as NetworkFunctionConfig
from simulator.fleet.subscribers import SubscriberBook
from simulator.n40 import NetworkFunctionIdentity
from simulator.n40.conditions import SERVING_NODE_OF

NAMESPACE = uuid.UUID("5d0f6a3c-3f0e-4f5e-9a55-8e5b6f2f6c01")
"""Instance ids are UUIDs of version 5 under this name, so that a profile always has the same network functions."""

USUAL_PORT = 18_100
"""Of the notifyUri where nobody listens; each worker has its own."""


@dataclass(slots=True, kw_only=True)
class NetworkFunction:
    """One instance. `key` names it in figures, `notify_uri` is where the CHF would notify it, `books` its
    subscribers in the cells of either radio."""

    key: str
    kind: str
    identity: NetworkFunctionIdentity
    serving_node: NetworkFunctionIdentity
    rat: str
    books: dict[str, SubscriberBook]
    notify_uri: str
    service_centre: str = field(default="")

    @property
    def book(self) -> SubscriberBook:
        """The subscribers in the cells of its own radio."""
        return self.books[self.rat]


def build_network_functions(
    profile: Profile, worker: int, notify_base: str | None = None
) -> dict[str, list[NetworkFunction]]:
    """Return the instances by the names of the profile's definitions.

    `notify_base` is where this worker is notified of its sessions, by default what the profile advertises.
    """
    base = notify_base or profile.notify.base_uri(worker, profile.notify.port(worker) or USUAL_PORT + worker)
    return {
        name: [_instance(profile, name, config, number, base) for number in range(config.count)]
        for name, config in profile.network_functions.items()
    }


def _instance(
    profile: Profile, name: str, config: NetworkFunctionConfig, number: int, notify_uri: str
) -> NetworkFunction:
    plmn = config.plmn or profile.subscribers.home_plmn
    mcc, mnc = plmn.mcc, plmn.mnc
    domain = f"5gc.mnc{mnc:0>3}.mcc{mcc}.3gppnetwork.org"
    key = f"{name}-{number + 1}"
    identity = NetworkFunctionIdentity(
        instance_id=str(uuid.uuid5(NAMESPACE, f"{profile.name}/{key}")),
        node_functionality=config.node_functionality,
        mcc=mcc,
        mnc=mnc,
        address=config.address or "127.0.0.1",
        fqdn=config.fqdn or f"{key}.{domain}",
    )
    rat = str(config.rat)
    serving = NetworkFunctionIdentity(
        instance_id=str(uuid.uuid5(NAMESPACE, f"{profile.name}/{key}/serving")),
        node_functionality=SERVING_NODE_OF[rat],
        mcc=mcc,
        mnc=mnc,
    )
    return NetworkFunction(
        key=key,
        kind=str(config.kind),
        identity=identity,
        serving_node=serving,
        rat=rat,
        books={
            each: SubscriberBook(
                profile.subscribers,
                config.location if each == rat else Location.of(each),
                devices=profile.dialect.uses("device"),
            )
            for each in RATS
        },
        notify_uri=notify_uri,
        service_centre=profile.subscribers.first_msisdn[:-4] + "0000",
    )
