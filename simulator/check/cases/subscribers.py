"""Subscribers that the CHF does not know."""

from __future__ import annotations

from simulator.check.catalogue import case
from simulator.check.messages import ask
from simulator.check.smf import Heard, Smf
from simulator.n40.conformance import Rule
from simulator.n40.request import Operation

UNKNOWN = "TS 32.291 6.1.7.3 (USER_UNKNOWN)"


async def _create(smf: Smf) -> Heard:
    message = smf.messages.create(ask(smf.groups.data), subscriberIdentifier=smf.settings.unknown_subscriber)
    return await smf.create(message)


@case("subscriber.unknown", "A subscriber that is not known is refused", UNKNOWN)
async def _refused(smf: Smf) -> None:
    (await _create(smf)).must_be_refused(400, 403, 404)


@case("subscriber.unknown.cause", "The cause of that is USER_UNKNOWN", UNKNOWN)
async def _cause(smf: Smf) -> None:
    answer = await _create(smf)
    answer.must_be_refused(400, 403, 404)
    answer.must_keep([Rule.PROBLEM_BODY], Operation.CREATE, 0)
    answer.must(answer.cause == "USER_UNKNOWN", "cause USER_UNKNOWN", answer.cause or "no cause")


@case("subscriber.unknown.status", "The status of USER_UNKNOWN is 404", UNKNOWN)
async def _status(smf: Smf) -> None:
    (await _create(smf)).must_be(404)


@case("subscriber.unknown.event", "An event of a subscriber that is not known is refused", UNKNOWN)
async def _event(smf: Smf) -> None:
    usage = ask(smf.groups.sms, serviceSpecificUnits=1)
    message = smf.messages.event("IEC", usage, subscriberIdentifier=smf.settings.unknown_subscriber)
    (await smf.create(message)).must_be_refused()
