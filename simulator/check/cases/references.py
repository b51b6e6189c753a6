"""References that no session has, and sequence numbers out of order."""

from __future__ import annotations

from simulator.check.catalogue import case
from simulator.check.messages import ask, used
from simulator.check.smf import Heard, Smf
from simulator.n40.conformance import Rule
from simulator.n40.request import Operation

UNKNOWN = "TS 32.291 6.1.7.3; TS 29.500 5.2.7.2"
SEQUENCE = "TS 32.290 6.2 (Invocation Sequence Number)"


async def _unknown(smf: Smf, operation: str) -> Heard:
    message = smf.messages.request(1, [used(smf.groups.data, totalVolume=1000, then={})])
    return await smf.send(f"{smf.settings.collection}/smfleet-no-such-session/{operation}", message)


@case("reference.unknown.update", "An Update of a session that never was is answered 404", UNKNOWN)
async def _unknown_update(smf: Smf) -> None:
    (await _unknown(smf, "update")).must_be(404)


@case("reference.unknown.release", "A Release of a session that never was is answered 404", UNKNOWN)
async def _unknown_release(smf: Smf) -> None:
    (await _unknown(smf, "release")).must_be(404)


@case("reference.unknown.problem", "That 404 has ProblemDetails", UNKNOWN)
async def _unknown_problem(smf: Smf) -> None:
    answer = await _unknown(smf, "update")
    answer.must_be_refused()
    answer.must_keep([Rule.PROBLEM_BODY, Rule.CONTENT_TYPE], Operation.UPDATE, 1)


@case("reference.unknown.cause", "That 404 has a cause", UNKNOWN)
async def _unknown_cause(smf: Smf) -> None:
    answer = await _unknown(smf, "update")
    answer.must_be_refused()
    answer.must_keep([Rule.PROBLEM_BODY, Rule.PROBLEM_CAUSE], Operation.UPDATE, 1)


@case("reference.released.update", "An Update of a released session is answered 404", UNKNOWN)
async def _released_update(smf: Smf) -> None:
    session = await smf.data_session()
    (await session.release()).must_be(200, 204)
    (await session.update(ask(smf.groups.data))).must_be(404, 410)


@case("reference.released.release", "Another Release of a released session is answered 404", UNKNOWN)
async def _released_release(smf: Smf) -> None:
    session = await smf.data_session()
    (await session.release()).must_be(200, 204)
    (await session.release()).must_be(404, 410)


@case("reference.strange", "A reference with characters that none has is answered 404, or 400", UNKNOWN)
async def _strange(smf: Smf) -> None:
    message = smf.messages.request(1, [ask(smf.groups.data)])
    (await smf.send(f"{smf.settings.collection}/%00%FF%2e%2e/update", message)).must_be(400, 404)


@case("sequence.gap", "After a gap in the sequence numbers the session goes on, or the Update is refused", SEQUENCE)
async def _gap(smf: Smf) -> None:
    session = await smf.data_session()
    session.sequence = 6
    answer = await session.update(used(smf.groups.data, totalVolume=1000, then={}))
    answer.must_succeed_or_be_refused()
    if answer.succeeded:
        answer.must_keep([Rule.SEQUENCE_NUMBER], Operation.UPDATE, 7)


@case("sequence.backwards", "A number below the last one charges nothing anew: a refusal, or an echo of it", SEQUENCE)
async def _backwards(smf: Smf) -> None:
    session = await smf.data_session()
    session.sequence = 6
    (await session.update(used(smf.groups.data, totalVolume=1000, then={}))).must_succeed_or_be_refused()
    answer = await session.update(used(smf.groups.data, 2, totalVolume=1000, then={}), sequence=3)
    answer.must_succeed_or_be_refused()
    if answer.succeeded:
        answer.must_keep([Rule.SEQUENCE_NUMBER], Operation.UPDATE, 3)


@case("sequence.from_one", "A Create may begin with 1", SEQUENCE)
async def _from_one(smf: Smf) -> None:
    session = smf.messages.minimal_session()
    answer = await smf.create(smf.messages.request(1, [ask(smf.groups.data)], pDUSessionChargingInformation=session))
    answer.must_be(201)
    answer.must_keep([Rule.SEQUENCE_NUMBER], Operation.CREATE, 1)
