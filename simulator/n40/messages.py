"""ChargingDataRequest messages as bytes (TS 32.291 6.1.6.2).

What does not change during a run is rendered once, into a template for bytes formatting; a message then costs one formatting
operation (about 1 us) instead of a tree of dictionaries (about 5 us). The subscriber's own fields come from its number each
time, so that nothing is kept per session.
"""

from __future__ import annotations

from typing import Any, Final

from simulator.n40.conditions import USUAL, Conditions
from simulator.n40.identities import IDENTITY, Identity
from simulator.n40.request import Operation
from simulator.n40.services import PduSession
from simulator.n40.template import Document, Slot, Template, compile_template
from simulator.n40.wording import Wording

MAX_VARIANTS: Final = 64
"""Conditions for which the messages of one usage stay rendered at the same time."""

SESSION: Final = ("charging_id", "stamp", "sequence", "units", "started", "triggers", *IDENTITY)
EVENT: Final = ("charging_id", "stamp", "sequence", "units", "started", "messages", "peer", *IDENTITY[:-1])
CONTAINER: Final = ("first", "last", "five_qi", *IDENTITY)
"""Names of the arguments, in their order."""

Arguments = tuple[Any, ...]


def marked_as_repeat(body: bytes) -> bytes:
    """Return the same message with retransmissionIndicator, so that the CHF can answer it without charging twice."""
    return b'{"retransmissionIndicator":true,' + body[1:]


class Rendering:
    """Renders what a template leaves open from arguments with these names, of which it may need some only."""

    __slots__ = ("_places", "_text")

    def __init__(self, template: Template, names: tuple[str, ...]) -> None:
        self._text = template.text
        self._places = [names.index(name) for name in template.names]

    def of(self, arguments: Arguments) -> bytes:
        """Render it."""
        # Compiled, this takes half as long as an itemgetter.
        return self._text % tuple([arguments[place] for place in self._places])


def _rendering(document: Document, names: tuple[str, ...]) -> Rendering:
    return Rendering(compile_template(document), names)


def _arguments(
    who: Identity, charging_id: int, stamp: bytes, sequence: int, triggers: bytes, units: bytes, started: bytes
) -> Arguments:
    """Those of SESSION. `units` is what `multipleUnitUsage` holds, without the brackets; it and `triggers` may be empty."""
    usage = b',"multipleUnitUsage":[' + units + b"]" if units else b""
    why = b',"triggers":' + triggers if triggers else b""
    own = (charging_id, stamp, sequence, usage, started, why)
    return own + who


class UnitReports:
    """multipleUnitUsage and usedUnitContainer in the form of a wording."""

    __slots__ = ("_empty", "_full", "_subscriber", "_zero", "identify", "names_sessions", "wording")

    def __init__(self, wording: Wording) -> None:
        self.wording = wording
        self.identify = wording.identify[wording.service.rat]
        self.names_sessions = wording.names_sessions
        subscriber = wording.document(Operation.CREATE, USUAL).get("subscriberIdentifier", Slot(b'""', ()))
        text, names = compile_template({"": subscriber})
        self._subscriber = Rendering(Template(text[len(b'{"":"') : -len(b'"}')], names), IDENTITY)
        form = wording.form
        self._full = form.full_containers
        units = {group: unit.encode() for group, unit in wording.units.items()}
        self._zero: dict[int, bytes] = {}
        self._empty: dict[int, bytes] = {}
        if form.request_zero:
            self._zero = {group: b'"requestedUnit":{"%b":0}' % unit for group, unit in units.items()}
        if form.create_containers:
            self._empty = {group: b'{"localSequenceNumber":1,"%b":0}' % unit for group, unit in units.items()}

    def usage(self, rating_group: int, requested: bytes, containers: bytes) -> bytes:
        """Render one multipleUnitUsage from the member requestedUnit and the containers; both may be empty."""
        requested = requested or self._zero.get(rating_group, b"")
        containers = containers or self._empty.get(rating_group, b"")
        if containers and requested:
            return b'{"ratingGroup":%d,%b,"usedUnitContainer":[%b]}' % (rating_group, requested, containers)
        if containers:
            return b'{"ratingGroup":%d,"usedUnitContainer":[%b]}' % (rating_group, containers)
        return b'{"ratingGroup":%d%b%b}' % (rating_group, b"," if requested else b"", requested)

    def container(
        self, indicator: bytes, triggers: bytes, stamp: bytes, amount: bytes, local_sequence: int, information: bytes
    ) -> bytes:
        """Render one usedUnitContainer; `information` brings its comma."""
        if not self._full:
            return b'{"localSequenceNumber":%d,%b}' % (local_sequence, amount)
        return (
            b'{"quotaManagementIndicator":"%b","triggers":%b,"triggerTimestamp":"%b",%b,"localSequenceNumber":%d%b}'
            % (indicator, triggers, stamp, amount, local_sequence, information)
        )

    def volume(self, seconds: int, octets: int, uplink: int) -> bytes:
        """Render the amounts of a volume, with the seconds of traffic in which it was used."""
        if not self._full:
            return b'"totalVolume":%d' % octets
        return b'"time":%d,"totalVolume":%d,"uplinkVolume":%d,"downlinkVolume":%d' % (
            seconds,
            octets,
            uplink,
            octets - uplink,
        )

    def sent(self, units: int, stamp: bytes) -> bytes:
        """Render the amount of an event that has happened."""
        if not self._full:
            return b'"serviceSpecificUnits":%d' % units
        return b'"serviceSpecificUnits":%d,"eventTimeStamps":["%b"]' % (units, stamp)

    def subscriber_identifier(self, number: int) -> str:
        """Return subscriberIdentifier, "" where messages hold none."""
        return self._subscriber.of(self.identify(number)).decode()

    def charging_name(self, charging_id: int) -> str:
        """Return what the CHF takes as the name of a charging session, "" where messages hold none."""
        return self.wording.service.name(charging_id) if self.names_sessions else ""


class SessionMessages(UnitReports):
    """Create, Update and Release of the charging sessions of one usage at one network function, in some conditions.

    `identify` turns a subscriber's number into its `Identity`, in cells of the radio that serves in these conditions.
    """

    __slots__ = (
        "_create", "_five_qi", "_information", "_release", "_update", "_variants", "updates_tell_start",
    )  # fmt: skip

    def __init__(
        self,
        wording: Wording,
        conditions: Conditions = USUAL,
        variants: dict[Conditions, SessionMessages] | None = None,
    ) -> None:
        UnitReports.__init__(self, wording)
        self._variants = {} if variants is None else variants
        self._variants[conditions] = self
        self.identify = wording.identify[conditions.rat or wording.service.rat]
        self._create = _rendering(wording.document(Operation.CREATE, conditions), SESSION)
        self.updates_tell_start = not isinstance(wording.service, PduSession)
        self._update = _rendering(wording.document(Operation.UPDATE, conditions), SESSION)
        self._release = _rendering(wording.document(Operation.RELEASE, conditions), SESSION)
        container = wording.service.container(conditions) if wording.form.full_containers else None
        self._five_qi = 0 if container is None else container.five_qi
        self._information: Rendering | None = None
        if container is not None:
            text, names = compile_template({"pDUContainerInformation": container.document})
            self._information = Rendering(Template(b"," + text[1:-1], names), CONTAINER)

    def under(self, conditions: Conditions) -> SessionMessages:
        """The same messages in other charging conditions; rendered once, and kept while there are not too many."""
        variants = self._variants
        variant = variants.get(conditions)
        if variant is None:
            if len(variants) >= MAX_VARIANTS:
                usual = variants[USUAL]
                variants.clear()
                variants[USUAL] = usual
            variant = SessionMessages(self.wording, conditions, variants)
        return variant

    def create(
        self, who: Identity, charging_id: int, stamp: bytes, sequence: int, units: bytes, started: bytes
    ) -> bytes:
        """`units` is what `multipleUnitUsage` holds, without the brackets; empty: a Create without it."""
        return self._create.of(_arguments(who, charging_id, stamp, sequence, b"", units, started))

    def update(
        self,
        who: Identity,
        charging_id: int,
        stamp: bytes,
        sequence: int,
        triggers: bytes,
        units: bytes,
        started: bytes,
    ) -> bytes:
        """Render an Update; `triggers` is the list at its top, with its brackets, or empty. `started`: when the session began."""
        return self._update.of(_arguments(who, charging_id, stamp, sequence, triggers, units, started))

    def release(
        self,
        who: Identity,
        charging_id: int,
        stamp: bytes,
        sequence: int,
        triggers: bytes,
        units: bytes,
        started: bytes,
    ) -> bytes:
        """Render a Release with the last usage."""
        return self._release.of(_arguments(who, charging_id, stamp, sequence, triggers, units, started))

    def container_information(self, who: Identity, first: bytes, last: bytes, five_qi: int = 0) -> bytes:
        """pDUContainerInformation as of this moment, with the comma before it; `five_qi` of a bearer of its own."""
        information = self._information
        if information is None:
            return b""
        own = (first, last, five_qi or self._five_qi)
        return information.of(own + who)


class EventMessages(UnitReports):
    """One-time events of an SMSF (TS 32.274 by way of TS 32.290): IEC before, PEC after a short message was handled."""

    __slots__ = ("_event",)

    def __init__(self, wording: Wording) -> None:
        UnitReports.__init__(self, wording)
        self._event = _rendering(wording.document(Operation.EVENT, USUAL), EVENT)

    def event(
        self, subscriber: int, reference: int, recipient: int, stamp: bytes, sequence: int, units: bytes, messages: int
    ) -> bytes:
        """Render the event; `reference` is its message reference, `recipient` the subscriber number of who receives it."""
        to = self.identify(recipient)[1]
        usage = b',"multipleUnitUsage":[' + units + b"]"
        own = (reference, stamp, sequence, usage, stamp, messages, to)
        return self._event.of(own + self.identify(subscriber))
