"""From a profile's services, release and dialect to what its messages are made of."""

from __future__ import annotations

from typing import Final

from simulator.config import Profile
from simulator.config.profile import Usage
from simulator.fleet.network_functions import NetworkFunction
from simulator.n40 import Wording
from simulator.n40.form import RELEASES, MessageForm
from simulator.n40.sbi import SbiHeaders
from simulator.n40.services import ImsCall, PduSession, Service, ShortMessage

FIVE_QI: Final = {"data": 9, "voice": 1}
VOICE_DNN: Final = "ims"
FEATURES: Final = {"NR": "C081", "EUTRA": "C085"}
"""Supported features of TS 32.291 6.1.8: CHFCQM, FilterRuleList, NotifyInfoResponse, ES4xx; with EUTRA also 5GIEPC_CH."""


def message_form(profile: Profile) -> MessageForm:
    """What the profile's release and dialect make of messages."""
    dialect, release = profile.dialect, RELEASES[profile.release]
    return MessageForm(
        subscriber=dialect.subscriber,
        node_functionality=dialect.node_functionality or "",
        tenant=profile.tenant,
        leave_out=tuple(dialect.leave_out),
        add=dialect.add,
        absent=release.absent,
        substitutes=release.substitutes,
        full_containers=dialect.containers == "full",
        create_containers=dialect.create_containers,
        request_zero=dialect.request_zero,
    )


def sbi_headers(profile: Profile) -> SbiHeaders:
    """What the profile wants sent with every request."""
    fields = profile.headers.model_dump()
    return SbiHeaders(**fields | {"extra": tuple(profile.headers.extra.items())})


def collection(profile: Profile) -> bytes:
    """Path of the chargingdata collection below the API root (TS 32.291 6.1.3.1)."""
    return profile.dialect.path.format(version=RELEASES[profile.release].version).encode()


def wording(profile: Profile, config: Usage, function: NetworkFunction, pdu_session_id: int) -> Wording:
    """What the messages of one usage at one network function are made of."""
    service = _service(profile, config, function, pdu_session_id)
    # Most messages need no device id and nobody who is called.
    needs_all = not isinstance(service, PduSession) or profile.dialect.uses("device")
    return Wording(
        service=service,
        identify={rat: book.full_identity if needs_all else book.identity for rat, book in function.books.items()},
        imsi_digits=function.book.imsi_digits,
        form=message_form(profile),
        units={group.rating_group: str(group.unit) for group in config.rating_groups},
    )


def _service(profile: Profile, config: Usage, function: NetworkFunction, pdu_session_id: int) -> Service:
    if config.service == "sms":
        return ShortMessage(
            function=function.identity,
            rat=function.rat,
            service_centre=function.service_centre,
            event_type="" if config.charging == "ECUR" else str(config.charging),
            notify_uri=function.notify_uri,
            imsi_digits=function.book.imsi_digits,
        )
    if function.kind == "IMS_Node":
        return ImsCall(function=function.identity, rat=function.rat, notify_uri=function.notify_uri)
    return PduSession(
        function=function.identity,
        dnn=VOICE_DNN if config.service == "voice" else profile.subscribers.dnn,
        rat=function.rat,
        slice_id=profile.subscribers.slice.model_dump(exclude_none=True),
        pdu_session_id=pdu_session_id,
        five_qi=FIVE_QI[config.service],
        serving_node=function.serving_node,
        notify_uri=function.notify_uri,
        features=FEATURES[function.rat],
    )
