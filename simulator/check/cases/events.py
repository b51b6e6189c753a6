"""One-time events and events with a reservation: short messages."""

from __future__ import annotations

from simulator.check.cases.sessions import is_released, opened
from simulator.check.catalogue import case
from simulator.check.messages import ask, container, used
from simulator.check.smf import Smf
from simulator.n40.conformance import Rule
from simulator.n40.request import Operation

EVENT = "TS 32.290 5.3; TS 32.291 5.2.2.2"


@case("event.iec", "A short message charged at once (IEC)", EVENT)
async def _iec(smf: Smf) -> None:
    answer = await smf.create(smf.messages.event("IEC", ask(smf.groups.sms, serviceSpecificUnits=1)))
    answer.must_be_supported()
    answer.must_be(201)


@case("event.iec.granted", "IEC is answered with what was debited", EVENT)
async def _iec_granted(smf: Smf) -> None:
    answer = await smf.create(smf.messages.event("IEC", ask(smf.groups.sms, serviceSpecificUnits=1)))
    answer.must_be_supported()
    answer.granted(smf.groups.sms, "serviceSpecificUnits")


@case("event.pec", "A short message charged after its delivery (PEC)", EVENT)
async def _pec(smf: Smf) -> None:
    delivered = container(1, serviceSpecificUnits=1) | {"quotaManagementIndicator": "OFFLINE_CHARGING"}
    usage = {"ratingGroup": smf.groups.sms, "usedUnitContainer": [delivered]}
    answer = await smf.create(smf.messages.event("PEC", usage))
    answer.must_be_supported()
    answer.must_be(201)


@case("event.ecur", "A short message with a reservation (ECUR): Create and Release", "TS 32.290 5.3")
async def _ecur(smf: Smf) -> None:
    sms = smf.messages.sms()
    session = await opened(smf, smf.messages.request(0, [ask(smf.groups.sms, serviceSpecificUnits=1)], **sms))
    is_released(await session.release(used(smf.groups.sms, serviceSpecificUnits=1, trigger="FINAL"), **sms))


@case("event.sequence", "The answer to a one-time event has the sequence number of its request", EVENT)
async def _sequence(smf: Smf) -> None:
    answer = await smf.create(smf.messages.event("IEC", ask(smf.groups.sms, serviceSpecificUnits=1)))
    answer.must_be_supported()
    answer.must_keep([Rule.BODY, Rule.SEQUENCE_NUMBER], Operation.EVENT, 0)


@case(
    "event.location", "The answer to a one-time event names what was created", "TS 32.291 6.1.3.2.3.1; RFC 9110 15.3.2"
)
async def _location(smf: Smf) -> None:
    answer = await smf.create(smf.messages.event("IEC", ask(smf.groups.sms, serviceSpecificUnits=1)))
    answer.must_be_supported()
    answer.must_be(201)
    answer.must_keep([Rule.LOCATION_MISSING, Rule.LOCATION_REFERENCE], Operation.EVENT, 0)


@case("event.no_session", "A one-time event leaves no session: its Update is refused", "TS 32.290 5.3")
async def _no_session(smf: Smf) -> None:
    answer = await smf.create(smf.messages.event("IEC", ask(smf.groups.sms, serviceSpecificUnits=1)))
    answer.must_be_supported()
    path = smf.path_of(answer) or f"{smf.settings.collection}/none"
    update = smf.messages.request(1, [ask(smf.groups.sms, serviceSpecificUnits=1)])
    (await smf.send(f"{path}/update", update)).must_be_refused()
