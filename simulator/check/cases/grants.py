"""What is granted, and what is not."""

from __future__ import annotations

from simulator.check.catalogue import case
from simulator.check.messages import MB, ask, container, used
from simulator.check.smf import Heard, Smf
from simulator.n40.conformance import UINT64, Rule
from simulator.n40.request import Operation

GRANT = "TS 32.290 5.4 (quota management)"
RESULT = "TS 32.291 6.1.6.3.14 (ResultCode), 6.1.7.3"


@case("grant.create.amount", "A Create that asks for an amount is granted units of that kind", GRANT)
async def _amount(smf: Smf) -> None:
    answer = await smf.create(smf.messages.create(ask(smf.groups.data, totalVolume=5 * MB)))
    answer.granted(smf.groups.data, "totalVolume")


@case("grant.create.chf_chooses", "An empty requestedUnit leaves the amount to the CHF", GRANT)
async def _chooses(smf: Smf) -> None:
    answer = await smf.create(smf.messages.create(ask(smf.groups.data)))
    answer.granted(smf.groups.data, "totalVolume")


@case("grant.create.several_groups", "Each rating group that asks gets an answer, and only one", GRANT)
async def _several(smf: Smf) -> None:
    groups = [smf.groups.data, smf.groups.data2, smf.groups.voice]
    message = smf.messages.create(ask(groups[0]), ask(groups[1]), ask(groups[2], time=60))
    answer = await smf.create(message)
    answer.must_be(201)
    answer.must_keep([Rule.NO_ANSWER_FOR_GROUP, Rule.TWO_ANSWERS_FOR_GROUP], Operation.CREATE, 0, groups)


@case("grant.create.time", "A rating group of time is granted seconds", GRANT)
async def _time(smf: Smf) -> None:
    answer = await smf.create(smf.messages.create(ask(smf.groups.voice, time=60)))
    answer.must_be_supported()
    answer.granted(smf.groups.voice, "time")


@case("grant.create.units", "A rating group of events is granted service specific units", GRANT)
async def _units(smf: Smf) -> None:
    message = smf.messages.request(0, [ask(smf.groups.sms, serviceSpecificUnits=1)], **smf.messages.sms())
    answer = await smf.create(message)
    answer.must_be_supported()
    answer.granted(smf.groups.sms, "serviceSpecificUnits")


@case("grant.update", "An Update that asks is granted more", GRANT)
async def _update(smf: Smf) -> None:
    session = await smf.data_session()
    answer = await session.update(used(smf.groups.data, totalVolume=MB, then={"totalVolume": 5 * MB}))
    answer.must_be(200)
    answer.granted(smf.groups.data, "totalVolume")


@case("grant.not_asked", "Nothing is granted for a rating group that did not ask", GRANT)
async def _not_asked(smf: Smf) -> None:
    session = await smf.open(ask(smf.groups.data), ask(smf.groups.data2))
    answer = await session.update(used(smf.groups.data2, totalVolume=1000), ask(smf.groups.data))
    answer.must_be(200)
    answer.must_keep([Rule.GRANT_NOT_ASKED_FOR], Operation.UPDATE, 1, [smf.groups.data])


@case("grant.report_only", "Nothing is granted for an Update that only reports", GRANT)
async def _report_only(smf: Smf) -> None:
    session = await smf.data_session()
    answer = await session.update(used(smf.groups.data, totalVolume=1000))
    answer.must_be(200)
    answer.must_keep([Rule.GRANT_NOT_ASKED_FOR], Operation.UPDATE, 1)


@case(
    "grant.offline", "Usage counted without quota is taken, and nothing is granted for it", "TS 32.255 5.2.1 (offline)"
)
async def _offline(smf: Smf) -> None:
    session = await smf.data_session()
    counted = container(1, totalVolume=1000) | {"quotaManagementIndicator": "OFFLINE_CHARGING"}
    answer = await session.update({"ratingGroup": smf.groups.data2, "usedUnitContainer": [counted]})
    answer.must_be(200)
    answer.must_keep([Rule.GRANT_NOT_ASKED_FOR], Operation.UPDATE, 1)


@case(
    "grant.largest_request", "A request for 2⁶⁴-1 octets gets what there is, or a refusal", "TS 29.571 5.2.2 (Uint64)"
)
async def _largest(smf: Smf) -> None:
    answer = await smf.create(smf.messages.create(ask(smf.groups.data, totalVolume=UINT64)))
    answer.must_succeed_or_be_refused()
    if answer.succeeded and smf.groups.data in answer.groups() and answer.result(smf.groups.data) == "SUCCESS":
        answer.granted(smf.groups.data, "totalVolume")


@case(
    "grant.given_back", "What a released session was granted can be granted again", "TS 32.290 5.4 (quota management)"
)
async def _given_back(smf: Smf) -> None:
    for _ in range(3):
        session = await smf.open(ask(smf.groups.data, totalVolume=1000 * MB))
        (await session.release(used(smf.groups.data, totalVolume=0, trigger="FINAL"))).must_be(200, 204)
    answer = await smf.create(smf.messages.create(ask(smf.groups.data, totalVolume=1000 * MB)))
    answer.must_be(201)
    answer.must(answer.result(smf.groups.data) in ("", "SUCCESS"), "a grant, as before", answer.result(smf.groups.data))


@case("grant.unknown_group", "A rating group that the CHF does not know is granted nothing", RESULT)
async def _unknown_group(smf: Smf) -> None:
    answer = await smf.create(smf.messages.create(ask(smf.groups.unknown)))
    _must_be_denied(answer, smf.groups.unknown, silence=True)


@case("grant.mixed_groups", "An unknown rating group does not spoil the known one beside it", RESULT)
async def _mixed(smf: Smf) -> None:
    session = await smf.data_session()
    answer = await session.update(ask(smf.groups.data), ask(smf.groups.unknown))
    answer.must_be(200)
    answer.granted(smf.groups.data, "totalVolume")
    _must_be_denied(answer, smf.groups.unknown, silence=True)


@case("grant.no_credit", "Without credit nothing is granted, and the reason is told", RESULT)
async def _no_credit(smf: Smf) -> None:
    message = smf.messages.create(ask(smf.groups.data), subscriberIdentifier=smf.settings.broke_subscriber)
    _must_be_denied(await smf.create(message), smf.groups.data)


@case("grant.no_credit.event", "Without credit a one-time event is refused, and the reason is told", RESULT)
async def _no_credit_event(smf: Smf) -> None:
    usage = ask(smf.groups.sms, serviceSpecificUnits=1)
    message = smf.messages.event("IEC", usage, subscriberIdentifier=smf.settings.broke_subscriber)
    _must_be_denied(await smf.create(message), smf.groups.sms)


def _must_be_denied(answer: Heard, group: int, *, silence: bool = False) -> None:
    """A refusal, or an answer of success that denies the rating group; `silence` lets it say nothing about it."""
    answer.must_succeed_or_be_refused()
    if not answer.succeeded:
        answer.must(answer.status in (400, 403, 404), "400, 403 or 404")
        answer.must(silence or bool(answer.cause), "a cause", "none")
        return
    entry = answer.groups().get(group)
    if entry is None and silence:
        return
    code = str((entry or {}).get("resultCode", "no resultCode"))
    answer.must(code not in ("SUCCESS", "no resultCode"), f"a resultCode that denies rating group {group}", code)
    answer.must("grantedUnit" not in (entry or {}), f"no grant for rating group {group}", str(entry)[:200])
