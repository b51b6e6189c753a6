"""Create, Update and Release in the services that have sessions."""

from __future__ import annotations

from simulator.check.catalogue import case
from simulator.check.messages import MB, Json, ask, container, used
from simulator.check.smf import Heard, Session, Smf

CREATE = "TS 32.291 5.2.2.2"
UPDATE = "TS 32.291 5.2.2.3"
RELEASE = "TS 32.291 5.2.2.4"


async def opened(smf: Smf, message: Json) -> Session:
    """A session of a service that the CHF may say not to charge."""
    answer = await smf.create(message)
    answer.must_be_supported()
    return smf.session(answer)


def is_released(answer: Heard) -> None:
    """204, or 200, which is looked at by a case of its own."""
    answer.must_be(200, 204, clause=RELEASE)


@case("create.data.minimal", "A data session with nothing but the mandatory members", CREATE)
async def _minimal(smf: Smf) -> None:
    (await smf.create(smf.messages.create(ask(smf.groups.data)))).must_be(201)


@case("create.data.nr", "A data session on NR with all that an SMF tells", CREATE)
async def _nr(smf: Smf) -> None:
    session = smf.messages.full_session()
    message = smf.messages.create(
        ask(smf.groups.data), pDUSessionChargingInformation=session, notifyUri="http://192.0.2.1/n40/1"
    )
    (await smf.create(message | {"supportedFeatures": "C081"})).must_be(201)


@case("create.data.eutra", "A data session on EUTRA, from a PGW-C+SMF", "TS 32.255 6.2; TS 32.291 6.1.6.3 (PGW_C_SMF)")
async def _eutra(smf: Smf) -> None:
    message = smf.messages.create(
        ask(smf.groups.data), pDUSessionChargingInformation=smf.messages.full_session("EUTRA")
    )
    message["nfConsumerIdentification"]["nodeFunctionality"] = "PGW_C_SMF"
    await opened(smf, message | {"supportedFeatures": "4"})


@case("create.data.eutra.smf", "A data session on EUTRA, from an SMF", CREATE)
async def _eutra_smf(smf: Smf) -> None:
    session = smf.messages.full_session("EUTRA")
    await opened(smf, smf.messages.create(ask(smf.groups.data), pDUSessionChargingInformation=session))


@case(
    "create.data.without_usage",
    "A Create without multipleUnitUsage is a Create",
    "TS 32.291 6.1.6.2 (ChargingDataRequest)",
)
async def _without_usage(smf: Smf) -> None:
    session = smf.messages.minimal_session()
    message = smf.messages.request(0, None, pDUSessionChargingInformation=session)
    (await smf.create(message)).must_be(201)


@case("create.voice.rating_group", "Voice as a rating group of a data session, in seconds", CREATE)
async def _voice_group(smf: Smf) -> None:
    await opened(smf, smf.messages.create(ask(smf.groups.voice, time=60)))


@case("create.voice.ims", "A call charged by an IMS node", "TS 32.260 5.2; TS 32.291 6.1.6.2 (IMSChargingInformation)")
async def _ims(smf: Smf) -> None:
    await opened(smf, smf.messages.request(0, [ask(smf.groups.voice, time=60)], **smf.messages.ims()))


@case("update.data.usage", "An Update reports usage and asks for more", UPDATE)
async def _usage(smf: Smf) -> None:
    session = await smf.data_session()
    answer = await session.update(used(smf.groups.data, totalVolume=MB, then={}))
    answer.must_be(200)
    answer.must("multipleUnitInformation" in answer.json, "multipleUnitInformation for what was asked", "none")


@case("update.data.report_only", "An Update reports usage and asks for nothing", UPDATE)
async def _report_only(smf: Smf) -> None:
    session = await smf.data_session()
    (await session.update(used(smf.groups.data, totalVolume=MB))).must_be(200)


@case("update.data.containers", "Containers that deferred triggers have closed arrive in one Update", "TS 32.255 5.2.1")
async def _containers(smf: Smf) -> None:
    session = await smf.data_session()
    closed = [
        container(number, trigger="USER_LOCATION_CHANGE", category="DEFERRED_REPORT", totalVolume=1000)
        for number in (1, 2)
    ]
    last = container(3, totalVolume=1000, uplinkVolume=200, downlinkVolume=800)
    usage = {"ratingGroup": smf.groups.data, "requestedUnit": {}, "usedUnitContainer": [*closed, last]}
    (await session.update(usage)).must_be(200)


@case("update.data.condition", "A change of condition of the whole session, with the conditions of the usage", UPDATE)
async def _condition(smf: Smf) -> None:
    session = await smf.data_session()
    usage = used(smf.groups.data, totalVolume=1000, trigger="RAT_CHANGE", then={})
    conditions = {"rATType": "NR", "userLocationInformation": smf.messages.location()}
    usage["usedUnitContainer"][0]["pDUContainerInformation"] = conditions
    change = [{"triggerType": "RAT_CHANGE", "triggerCategory": "IMMEDIATE_REPORT"}]
    answer = await session.update(
        usage, triggers=change, pDUSessionChargingInformation=smf.messages.full_session("EUTRA")
    )
    answer.must_be(200)


@case("update.data.new_group", "A rating group that starts in the middle of a session", UPDATE)
async def _new_group(smf: Smf) -> None:
    session = await smf.data_session()
    answer = await session.update(ask(smf.groups.data2))
    answer.must_be(200)
    answer.granted(smf.groups.data2, "totalVolume")


@case("update.voice.time", "Seconds are reported and asked for", UPDATE)
async def _voice(smf: Smf) -> None:
    session = await opened(smf, smf.messages.create(ask(smf.groups.voice, time=60)))
    (await session.update(used(smf.groups.voice, time=55, then={"time": 60}))).must_be(200)


@case("update.many", "Five Updates, one after the other", UPDATE)
async def _many(smf: Smf) -> None:
    session = await smf.data_session()
    for number in range(1, 6):
        (await session.update(used(smf.groups.data, number, totalVolume=1000, then={}))).must_be(200)


@case("release.status", "Release is answered 204", "TS 32.291 6.1.3.3 (release)")
async def _release(smf: Smf) -> None:
    session = await smf.data_session()
    (await session.release(used(smf.groups.data, totalVolume=1000, trigger="FINAL"))).must_be(204)


@case("release.body", "The answer to a Release has no body", "TS 32.291 6.1.3.3 (release); RFC 9110 15.3.5")
async def _release_body(smf: Smf) -> None:
    session = await smf.data_session()
    answer = await session.release()
    is_released(answer)
    answer.must(not answer.body, "no body", answer.body[:200].decode("utf-8", "replace"))


@case("release.without_usage", "Release of a session that used nothing", RELEASE)
async def _release_without_usage(smf: Smf) -> None:
    is_released(await (await smf.data_session()).release())


@case("release.abnormal", "Release after an abnormal end of the PDU session", RELEASE)
async def _abnormal(smf: Smf) -> None:
    session = await smf.data_session()
    trigger = [{"triggerType": "ABNORMAL_RELEASE", "triggerCategory": "IMMEDIATE_REPORT"}]
    usage = used(smf.groups.data, totalVolume=1000, trigger="ABNORMAL_RELEASE")
    is_released(await session.release(usage, triggers=trigger))


@case("release.voice.ims", "A call charged by an IMS node ends", RELEASE)
async def _release_ims(smf: Smf) -> None:
    call = smf.messages.ims()
    session = await opened(smf, smf.messages.request(0, [ask(smf.groups.voice, time=60)], **call))
    usage = used(smf.groups.voice, time=35, trigger="FINAL")
    is_released(await session.release(usage, **smf.messages.ims("BYE") | {"supportedFeatures": "200"}))


@case("release.at_once", "Release without an Update before it", RELEASE)
async def _at_once(smf: Smf) -> None:
    session = await smf.data_session()
    is_released(await session.release(used(smf.groups.data, totalVolume=MB, trigger="FINAL")))
