"""What the messages of one usage at one network function are made of, before they are compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from simulator.n40.conditions import USUAL, Conditions
from simulator.n40.form import BOOK, MessageForm
from simulator.n40.identities import Identify
from simulator.n40.request import Operation
from simulator.n40.services import Service, visited
from simulator.n40.template import Document, Slot, filled


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """One service at one network function, in the form that release and dialect give it.

    `identify`, by radio, turns a subscriber's number into its `Identity`; `units` names the unit of each rating group.
    """

    service: Service
    identify: Mapping[str, Identify]
    imsi_digits: int = 15
    form: MessageForm = BOOK
    units: Mapping[int, str] = field(default_factory=dict)

    def document(self, operation: Operation, conditions: Conditions) -> Document:
        """One message as the form has it."""
        plmn = visited(self.service.function, conditions)
        constants = plmn | {"tenant": self.form.tenant}
        imsi = b"%%0%dd" % self.imsi_digits
        forms = {"imsi": imsi, "msisdn": b"%d", "imeisv": b"%016d", "device": b"%b", "tac": b"%b", "cell": b"%b"}
        document = self._head() | self.service.document(operation, conditions)
        document["subscriberIdentifier"] = filled(self.form.subscriber, constants, forms)
        return self.form.of(document, constants, forms)

    def _head(self) -> Document:
        """The members that every request begins with."""
        form = self.form
        document: Document = {"subscriberIdentifier": ""}
        if form.tenant:
            document["tenantIdentifier"] = form.tenant
        consumer = self.service.function.document()
        consumer["nodeFunctionality"] = form.functionality(self.service.function.node_functionality)
        return document | {
            "nfConsumerIdentification": consumer,
            "invocationTimeStamp": Slot(b'"%b"', ("stamp",)),
            "invocationSequenceNumber": Slot(b"%d", ("sequence",)),
        }

    @property
    def names_sessions(self) -> bool:
        """Whether a Create holds what the CHF takes as the name of a charging session."""
        member, name = self.service.identifier
        return name in self.document(Operation.CREATE, USUAL).get(member, {})
