"""What every answer must be like: the rules of `n40.conformance`, each in an exchange of its own."""

from __future__ import annotations

from simulator.check.catalogue import add_case, case
from simulator.check.messages import MB, ask, used
from simulator.check.smf import Smf
from simulator.n40.conformance import CLAUSES, Rule
from simulator.n40.request import Operation

LOCATION = CLAUSES[Rule.LOCATION_FORM]

_OF_ANSWERS = {
    "sequence": ([Rule.BODY, Rule.SEQUENCE_NUMBER], "has the sequence number of its request"),
    "timestamp": ([Rule.BODY, Rule.TIMESTAMP], "has a time stamp, with a zone"),
    "content_type": ([Rule.CONTENT_TYPE], "is application/json"),
    "groups": ([Rule.RATING_GROUP, Rule.RESULT_CODE], "has a ratingGroup and a known resultCode in each entry"),
    "units": ([Rule.GRANTED_UNIT, Rule.MEMBER_TYPE], "has whole numbers for units, times and thresholds"),
    "final_unit": ([Rule.FINAL_UNIT], "has an action in each finalUnitIndication"),
    "triggers": ([Rule.TRIGGER], "has a category in each trigger"),
    "features": ([Rule.FEATURES], "has supportedFeatures in hexadecimal digits"),
}


def _add(name: str, rules: list[Rule], title: str) -> None:
    async def of_create(smf: Smf) -> None:
        answer = await smf.create(smf.messages.create(ask(smf.groups.data), ask(smf.groups.data2)))
        answer.must_be(201, clause="TS 32.291 5.2.2.2")
        answer.must_keep(rules, Operation.CREATE, 0, [smf.groups.data, smf.groups.data2])

    async def of_update(smf: Smf) -> None:
        session = await smf.open(ask(smf.groups.data), ask(smf.groups.data2))
        answer = await session.update(used(smf.groups.data, totalVolume=MB, then={}), ask(smf.groups.data2))
        answer.must_be(200, clause="TS 32.291 5.2.2.3")
        answer.must_keep(rules, Operation.UPDATE, 1, [smf.groups.data, smf.groups.data2])

    clause = CLAUSES[rules[-1]]
    add_case(f"answer.create.{name}", f"The answer to a Create {title}", clause, of_create)
    add_case(f"answer.update.{name}", f"The answer to an Update {title}", clause, of_update)


for _name, (_rules, _title) in _OF_ANSWERS.items():
    _add(_name, _rules, _title)


@case("answer.sequence.large", "The largest sequence number comes back as it was", CLAUSES[Rule.SEQUENCE_NUMBER])
async def _large(smf: Smf) -> None:
    session = await smf.data_session()
    answer = await session.update(used(smf.groups.data, totalVolume=1000, then={}), sequence=2**32 - 2)
    session.sequence = 2**32 - 2
    answer.must_succeed_or_be_refused()
    if answer.succeeded:
        answer.must_keep([Rule.BODY, Rule.SEQUENCE_NUMBER], Operation.UPDATE, 2**32 - 2)


@case("location.present", "201 comes with a Location", CLAUSES[Rule.LOCATION_MISSING])
async def _present(smf: Smf) -> None:
    answer = await smf.create(smf.messages.create(ask(smf.groups.data)))
    answer.must_be(201)
    answer.must_keep([Rule.LOCATION_MISSING, Rule.LOCATION_REFERENCE], Operation.CREATE, 0)


@case("location.absolute", "Location is an absolute URI", LOCATION)
async def _absolute(smf: Smf) -> None:
    answer = await smf.create(smf.messages.create(ask(smf.groups.data)))
    answer.must_be(201)
    answer.must_keep([Rule.LOCATION_MISSING, Rule.LOCATION_FORM], Operation.CREATE, 0)


@case(
    "location.addressable",
    "An Update to Location, resolved as a URI, reaches the session",
    "RFC 9110 10.2.2; RFC 3986 5",
)
async def _addressable(smf: Smf) -> None:
    session = await smf.data_session()
    path = smf.resolved(session.created)
    answer = await smf.send(f"{path}/update", session.report(used(smf.groups.data, totalVolume=1000, then={})))
    answer.must_be(200)


@case("location.unique", "Every Create gets a reference of its own", "TS 32.291 6.1.3.1")
async def _unique(smf: Smf) -> None:
    references = set()
    for _ in range(5):
        answer = await smf.create(smf.messages.create(ask(smf.groups.data)))
        answer.must_be(201)
        reference = smf.path_of(answer)
        answer.must(reference not in references, "a new ChargingDataRef", f"{reference} again")
        references.add(reference)
