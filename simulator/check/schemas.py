"""Every answer of a check against the user's copy of the OpenAPI files; each fault is told once."""

from __future__ import annotations

from typing import Final

from simulator.check.verdicts import CaseResult, Exchange, Found, Verdict
from simulator.n40.conformance import CLAUSES, Rule, SchemaCheck, SchemaFault, answer_type, read_object

MOST_FAULTS: Final = 20
"""Told for each reading; more of them rarely say more."""
TITLES: Final = {
    "schema.published": "Every answer is as the OpenAPI files have it (--openapi)",
    "schema.strict": "No answer has unknown members, or values that its enumeration does not have (--openapi)",
}


class SchemaReview:
    """Looks at exchanges as they come; `results` are two cases more."""

    def __init__(self, check: SchemaCheck) -> None:
        self._check = check
        self._found: dict[str, dict[tuple[str, str], Found]] = {name: {} for name in TITLES}

    def look(self, exchange: Exchange) -> None:
        """Look at an answer, or at a notification."""
        document = read_object(exchange.body if exchange.from_chf else exchange.answer_body)
        if document is None:
            return
        root = "ChargingNotifyRequest" if exchange.from_chf else answer_type(exchange.status, document)
        for fault in self._check(root, document):
            self._note(root, fault, exchange)

    def _note(self, root: str, fault: SchemaFault, exchange: Exchange) -> None:
        found = self._found["schema.strict" if fault.strict else "schema.published"]
        if len(found) < MOST_FAULTS:
            rule = Rule.SCHEMA_STRICT if fault.strict else Rule.SCHEMA
            told = f"{fault.place or '/'}: {fault.problem}"
            one = Found(clause=CLAUSES[rule], expected=f"{root} as in the schema", found=told, exchange=exchange)
            found.setdefault((root, told), one)

    def results(self) -> list[CaseResult]:
        """What came of it."""
        return [self._result(name, list(found.values())) for name, found in self._found.items()]

    def _result(self, name: str, found: list[Found]) -> CaseResult:
        return CaseResult(
            id=name,
            title=TITLES[name],
            clause=CLAUSES[Rule.SCHEMA],
            verdict=Verdict.DEVIATION if found else Verdict.PASS,
            found=found,
            exchanges=[each.exchange for each in found if each.exchange is not None],
        )
