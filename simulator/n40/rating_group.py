"""The quota of one rating group inside a charging session (TS 32.255 5.2.2, TS 32.290 5.4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from simulator.n40 import triggers
from simulator.n40.flow import NEVER, NS_PER_S, Flow
from simulator.n40.grants import GroupAnswer
from simulator.n40.triggers import DEFERRED, GROUP_TRIGGERS, IMMEDIATE, TriggerSet
from simulator.n40.usage_record import CHECKSUM_MODULUS, Doubt

THRESHOLDS: Final = {
    "totalVolume": "volumeQuotaThreshold",
    "time": "timeQuotaThreshold",
    "serviceSpecificUnits": "unitQuotaThreshold",
}
MAX_SECONDS: Final = 10 * 365 * 86_400
"""Timers beyond ten years never run out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSpec:
    """What all sessions of a usage share about one rating group.

    `unit` is `totalVolume` (octets), `time` (s) or `serviceSpecificUnits`; `requested` how many units each request asks for,
    None to let the CHF choose; `uplink_permille` the uplink share of a volume; `five_qi` that of a bearer of its own, 0 for
    the default bearer.
    """

    rating_group: int
    unit: str
    requested: int | None = None
    uplink_permille: int = 100
    five_qi: int = 0
    requested_unit: bytes = field(init=False)
    """The JSON member; an empty one lets the CHF choose."""
    threshold: str = field(init=False)
    """The member of an answer that holds this unit's threshold."""

    def __post_init__(self) -> None:
        """Render what every request of this group asks for."""
        amount = b"" if self.requested is None else b'"%b":%d' % (self.unit.encode(), self.requested)
        object.__setattr__(self, "requested_unit", b'"requestedUnit":{%b}' % amount)
        object.__setattr__(self, "threshold", THRESHOLDS[self.unit])


class State(IntEnum):
    """Where a rating group stands with its quota."""

    SILENT = 0  # no quota and no traffic: asks when traffic begins
    ASKING = 1  # has asked, or is about to; traffic waits
    GRANTED = 2
    WITHOUT = 3  # asked and got nothing: asks again when `expires_at` comes
    OFFLINE = 4  # counts, needs no quota
    STOPPED = 5  # no service: refused, or the final units are used
    LIMITED = 6  # redirected or restricted after the final units: asks again when `expires_at` comes, or when told to
    SUSPENDED = 7  # counts without quota, because the CHF does not answer (failure handling CONTINUE)


# An enum's member costs 40 ns to look up in Python 3.11, a global 5; these are asked for several times a request.
_SILENT: Final = State.SILENT
_ASKING: Final = State.ASKING
_GRANTED: Final = State.GRANTED
_WITHOUT: Final = State.WITHOUT
_OFFLINE: Final = State.OFFLINE
_STOPPED: Final = State.STOPPED
_LIMITED: Final = State.LIMITED
_SUSPENDED: Final = State.SUSPENDED
FINAL_UNIT: Final = "FINAL_UNIT"
"""Why a rating group without a result code was stopped: the CHF had no units left for it."""


class Split:
    """What closes the containers of one rating group between two reports, and those that are closed and wait.

    `units_at` and `time_at` are where the present container is closed (cumulative units, session time), `due` why it has to be
    closed now. `closed` holds the rendered containers that wait, `sent` those of the report that awaits its answer.
    `closed_checksum` is that of `closed_units` (see `UsageRecord`).
    """

    __slots__ = (
        "closed",
        "closed_checksum",
        "closed_count",
        "closed_units",
        "due",
        "sent",
        "tariff_at",
        "time_at",
        "triggers",
        "units_at",
    )

    def __init__(self) -> None:
        self.triggers: TriggerSet = GROUP_TRIGGERS
        self.tariff_at = NEVER
        self.units_at = NEVER
        self.time_at = NEVER
        self.due: bytes | None = None
        self.closed = b""
        self.closed_count = 0
        self.closed_units = 0
        self.closed_checksum = 0
        self.sent = b""

    def open_container(self, now: int, used: int, unit: str) -> None:
        """A container begins: its limits count from here."""
        rules = self.triggers
        limit = rules.event_limit if unit == "serviceSpecificUnits" else rules.volume_limit
        self.units_at = used + limit if limit != NEVER and unit != "time" else NEVER
        timeout = now + rules.time_limit if rules.time_limit != NEVER else NEVER
        self.time_at = timeout if timeout < self.tariff_at else self.tariff_at


class RatingGroup:
    """Quota and bookkeeping of one rating group.

    All amounts are cumulative over the life of the flow, so that a grant that arrives while traffic goes on counts
    what was used since the report by itself: its limit is what was used at the report plus what was granted.
    """

    __slots__ = (
        "acknowledged", "asked", "asked_at", "asked_busy_at", "asks", "base", "busy_limit", "busy_threshold", "checksum", "code",
        "doubts", "expires_at", "final", "flow", "forced", "granted_at", "holding", "inactive", "lenient", "limit", "pending",
        "pending_busy", "pending_checksum", "reported", "reported_busy", "spec", "split", "state", "threshold", "trigger",
    )  # fmt: skip

    def __init__(self, spec: GroupSpec, flow: Flow) -> None:
        self.spec = spec
        self.flow = flow
        self.state = _SILENT
        self.code = ""  # the resultCode that stopped it
        self.trigger: bytes | None = None  # fired and not yet reported
        self.asks = False  # the next report asks for units
        self.asked = False  # the request that awaits its answer asks for units
        self.final = ""  # what happens after this last grant; "": it is not the last
        self.forced = False  # the CHF wants to be asked again
        self.lenient = False  # traffic goes on without quota
        self.split: Split | None = None
        self.limit = 0  # units that may be used in all
        self.threshold = NEVER  # units at which to report; NEVER once reported
        self.busy_limit = NEVER  # the same for a time quota on a volume, in ns of traffic
        self.busy_threshold = NEVER
        self.expires_at = NEVER
        self.holding = 0  # quota holding time in ns; 0: none
        self.inactive = False  # it is the unit count inactivity timer, which is shorter
        self.granted_at = 0  # when this quota came: it is not held for longer than a grant is old
        self.base = 0  # units used before this charging session (an earlier one of the same flow was lost by the CHF)
        self.reported = 0  # units in closed containers
        self.reported_busy = 0  # whole seconds of traffic in them
        self.pending_busy = 0  # seconds in it
        self.pending = 0  # units in the report that awaits its answer
        self.pending_checksum = 0
        self.acknowledged = 0
        self.checksum = 0  # of what was acknowledged
        self.doubts: tuple[Doubt, ...] = ()
        self.asked_at = 0  # what had been used when units were last asked for
        self.asked_busy_at = 0

    def deadline(self) -> int:
        """When this group has to be looked at again, in session time."""
        flow, state = self.flow, self.state
        if self.split is not None:
            closes = self._closes(self.split)
            moment = self._quota_deadline(flow, state)
            return closes if closes < moment else moment
        return self._quota_deadline(flow, state)

    def _closes(self, split: Split) -> int:
        """When a limit or the tariff closes the present container."""
        flow, state = self.flow, self.state
        units_at, time_at = split.units_at, split.time_at
        if self.trigger is not None:
            # What would be reported at once joins the report that is due anyway: a limit of one octet is not looked at by octet.
            if not self._is_buffered(split, self._limit_of_units()):
                units_at = NEVER
            if not self._is_buffered(split, "TIME_LIMIT"):
                time_at = split.tariff_at
        if state is _GRANTED:
            reached = flow.reaches(min(units_at, self.limit), self.busy_limit)
        elif state is _OFFLINE or state is _SUSPENDED:
            reached = flow.reaches(units_at)
        else:
            return NEVER
        return max(flow.clock, min(reached, time_at))

    def _limit_of_units(self) -> str:
        return "EVENT_LIMIT" if self.spec.unit == "serviceSpecificUnits" else "VOLUME_LIMIT"

    @staticmethod
    def _is_buffered(split: Split, name: str) -> bool:
        """Whether a container that this trigger closes waits for the next report, rather than being reported at once."""
        return split.triggers.category(name) is DEFERRED and split.closed_count < triggers.MAX_BUFFERED

    def _quota_deadline(self, flow: Flow, state: State) -> int:
        if self.trigger is not None or state is _STOPPED:
            # A threshold that waits to be reported leaves the rest of the quota, for as long as it is valid.
            return self.expires_at if state is _GRANTED else NEVER
        if state is _GRANTED:
            limit, busy_limit = self.limit, self.busy_limit
            if self.threshold < limit:
                limit = self.threshold
            if self.busy_threshold < busy_limit:
                busy_limit = self.busy_threshold
            moment = flow.reaches(limit, busy_limit)
            if self.expires_at < moment:
                moment = self.expires_at
            if self.holding:
                given_back = self._held_until()
                if given_back < moment:
                    moment = given_back if given_back > flow.clock else flow.clock
            return moment
        if state is _SILENT:
            return flow.clock if flow.wants else flow.reaches(NEVER)
        if state is _OFFLINE or state is _SUSPENDED:
            return flow.reaches(NEVER)
        return self.expires_at

    def advance(self, now: int) -> None:
        """Let traffic run to `now` within the quota, and fire what falls due exactly then."""
        flow, state = self.flow, self.state
        if state is _GRANTED:
            if flow.clock != now:
                flow.advance(now, self.limit, self.busy_limit)
            if self.split is not None:
                self._check_limits(self.split, now)
            if self.trigger is None or now >= self.expires_at:
                self._check_quota(now)
        elif state is _OFFLINE or state is _SUSPENDED:
            flow.advance(now, NEVER)
            if self.split is not None:
                self._check_limits(self.split, now)
        else:
            flow.advance(now, flow.used)
            if state is _SILENT:
                if flow.wants and self.trigger is None:
                    self._ask(triggers.START_OF_SERVICE_DATA_FLOW)
            elif now >= self.expires_at and (state is _WITHOUT or state is _LIMITED):
                self.expires_at = NEVER
                if flow.finished:
                    self.state = _SILENT
                else:
                    self._ask(triggers.START_OF_SERVICE_DATA_FLOW if state is _WITHOUT else triggers.VALIDITY_TIME)

    def _check_limits(self, split: Split, now: int) -> None:
        """Close the container where a limit or the tariff wants it; what is immediate is reported instead."""
        if now < split.time_at and self.flow.used < split.units_at:
            return
        if now >= split.tariff_at:
            name, split.tariff_at = "TARIFF_TIME_CHANGE", NEVER
        elif now >= split.time_at:
            name = "TIME_LIMIT"
        else:
            name = self._limit_of_units()
        split.open_container(now, self.flow.used, self.spec.unit)
        if self.flow.used == self.base + self.reported:
            return  # nothing was used in it
        if self._is_buffered(split, name):
            split.due = triggers.fired((name,), DEFERRED)
        elif self.trigger is None:
            self.trigger = triggers.fired((name,), IMMEDIATE)
            self.asks = self.state is _GRANTED

    def splits(self) -> Split:
        """What closes its containers; made when something does for the first time."""
        if self.split is None:
            self.split = Split()
        return self.split

    def arm(self, rules: TriggerSet, now: int) -> None:
        """Put other triggers in force, for the present container too."""
        if rules.has_limits or self.split is not None:
            split = self.splits()
            split.triggers = rules
            split.open_container(now, self.base + self.reported, self.spec.unit)

    def _check_quota(self, now: int) -> None:
        flow = self.flow
        used = flow.used
        busy = flow.busy() if self.busy_limit != NEVER else 0
        if used >= self.limit or busy >= self.busy_limit:
            self._end_of_quota(triggers.QUOTA_EXHAUSTED)
        elif now >= self.expires_at:
            self._end_of_quota(triggers.VALIDITY_TIME)
        elif used >= self.threshold or busy >= self.busy_threshold:
            self.threshold = self.busy_threshold = NEVER
            # Traffic goes on within the rest of the quota; a flow that has all it wanted needs no more.
            if used < flow.volume:
                self.trigger, self.asks = triggers.QUOTA_THRESHOLD, True
        elif self.holding and now >= self._held_until():
            trigger = triggers.UNIT_COUNT_INACTIVITY_TIMER if self.inactive else triggers.QHT
            self.drop_quota(_SILENT)
            self.trigger = trigger

    def _held_until(self) -> int:
        """When quota without traffic is given back: the holding time after the last traffic, or after the grant."""
        quiet = self.flow.quiet_since()
        return (quiet if quiet > self.granted_at else self.granted_at) + self.holding

    def _end_of_quota(self, trigger: bytes) -> None:
        """Quota used up or run out; a finished flow leaves it to the release.

        Final units that are used up are reported without asking. When their validity ends before that, the CHF is asked: somebody
        may have topped up (as in RFC 8506 5.6, whose rules N40 inherits).
        """
        if self.flow.finished:
            self.drop_quota(_SILENT)
            return
        final = self.final if trigger is triggers.QUOTA_EXHAUSTED else ""
        if final == "REDIRECT" or final == "RESTRICT_ACCESS":  # noqa: PLR1714 - compiled, two comparisons cost less
            valid_until = self.expires_at
            self.drop_quota(_LIMITED)
            self.expires_at = valid_until
        elif final:
            self.drop_quota(_STOPPED)
        else:
            self.drop_quota(_SUSPENDED if self.lenient else _ASKING)
        self.trigger, self.asks = trigger, not final

    def _ask(self, trigger: bytes) -> None:
        self.state = _SUSPENDED if self.lenient else _ASKING
        self.trigger, self.asks = trigger, True

    def reauthorise(self) -> None:
        """The CHF wants to be asked, whatever is left (FORCED_REAUTHORISATION); what was stopped or limited may get on."""
        if self.flow.finished:
            return
        if self.state is _STOPPED or self.state is _LIMITED:
            self.state, self.code, self.expires_at = _ASKING, "", NEVER
        if self.asked:
            self.forced = True  # the answer that is on its way may have been made before
        else:
            self.trigger, self.asks = triggers.FORCED_REAUTHORISATION, True

    def go_on_without(self) -> None:
        """The CHF does not answer, and traffic goes on: what waits for quota counts without it."""
        self.lenient = True
        if self.state is _ASKING:
            self.state = _SUSPENDED

    def drop_quota(self, state: State) -> None:
        """Forget the quota: nothing may be used until a new grant."""
        self.state = state
        self.limit = self.flow.used
        self.threshold = self.busy_threshold = self.expires_at = NEVER
        self.busy_limit = NEVER
        self.holding = 0
        self.final = ""

    def on_grant(self, answer: GroupAnswer, now: int, retry_after: int) -> None:
        """Apply what the CHF answered for this group; units used since the report count against a new grant.

        `retry_after` is how long to wait, in ns, before asking again where the CHF granted nothing.
        """
        if answer.resultCode != "SUCCESS":
            if answer.refused:
                self.stop(answer.code)
                return
            if answer.offline:
                self.drop_quota(_OFFLINE)
                return
        units = answer.grantedUnit
        granted = 0 if units is None else getattr(units, self.spec.unit) or 0
        if granted <= 0:
            if units is None or not units.time or units.totalVolume is not None or self.spec.unit != "totalVolume":
                self._nothing_granted(answer, now, retry_after)
                return
            granted = NEVER  # a volume that only a time bounds
        self.state = _GRANTED
        self.limit = self.asked_at + granted
        left = getattr(answer, self.spec.threshold) or 0
        # A threshold at or above the whole grant would report before the first unit is used: no threshold at all.
        self.threshold = self.limit - left if 0 < left < granted else NEVER
        self.busy_limit = self.busy_threshold = NEVER
        if units is not None and units.time and self.spec.unit == "totalVolume":
            self._apply_time_quota(units.time, answer.timeQuotaThreshold or 0)
        validity, holding = answer.validityTime, answer.quotaHoldingTime
        self.expires_at = now + validity * NS_PER_S if validity and validity < MAX_SECONDS else NEVER
        self.holding = holding * NS_PER_S if holding and holding < MAX_SECONDS else 0
        self.inactive = False
        self.granted_at = now
        self.final = ""
        if answer.finalUnitIndication is not None and answer.final:
            self.final = answer.final
            self.threshold = self.busy_threshold = NEVER
        used = self.flow.used
        if used >= self.limit or used >= self.threshold or self.busy_limit != NEVER:
            self._check_quota(now)

    def limit_silence(self, seconds: int) -> None:
        """The unit count inactivity timer of the session, where that is shorter than the quota holding time."""
        silence = seconds * NS_PER_S
        if self.state is _GRANTED and 0 < seconds < MAX_SECONDS and (not self.holding or silence < self.holding):
            self.holding, self.inactive = silence, True

    def change_tariff(self, moment: int, now: int) -> None:
        """Usage before and after a moment goes into separate containers (TS 32.290 5.4.1)."""
        split = self.splits()
        split.tariff_at = moment if moment > now else NEVER
        split.open_container(now, self.base + self.reported, self.spec.unit)

    def _apply_time_quota(self, seconds: int, left: int) -> None:
        """A time quota beside a volume: whichever is reached first ends the grant."""
        self.busy_limit = self.asked_busy_at + seconds * NS_PER_S
        if 0 < left < seconds:
            self.busy_threshold = self.busy_limit - left * NS_PER_S

    def _nothing_granted(self, answer: GroupAnswer, now: int, retry_after: int) -> None:
        if answer.final in ("REDIRECT", "RESTRICT_ACCESS"):
            validity = answer.validityTime
            self.drop_quota(_LIMITED)
            self.expires_at = now + validity * NS_PER_S if validity and validity < MAX_SECONDS else NEVER
            return
        if answer.final:
            self.stop(FINAL_UNIT)
            return
        self.drop_quota(_WITHOUT)
        self.expires_at = now + retry_after

    def take_busy(self) -> int:
        """Whole seconds of traffic since the last report."""
        seconds = self.flow.busy() // NS_PER_S - self.reported_busy
        self.pending_busy = seconds
        self.reported_busy += seconds
        return seconds

    def stop(self, code: str) -> None:
        """No more service, for the reason that the CHF gave, until it wants to be asked again."""
        self.drop_quota(_STOPPED)
        self.code, self.trigger, self.asks = code, None, False

    @property
    def denied(self) -> bool:
        """Whether it was stopped by a result code, rather than by the end of its units."""
        return self.state is _STOPPED and self.code not in ("", FINAL_UNIT)

    @property
    def unclosed(self) -> int:
        """Units in the present container."""
        return self.flow.used - self.base - self.reported

    @property
    def sent(self) -> int:
        """Units in containers that were handed over for sending."""
        return self.reported - (0 if self.split is None else self.split.closed_units)

    @property
    def doubt(self) -> int:
        """Units in reports that the CHF may have charged, and never confirmed."""
        return sum([units for units, _, _ in self.doubts])

    def acknowledge(self) -> None:
        """The CHF confirmed what was pending."""
        if self.pending:
            self.acknowledged += self.pending
            self.checksum = (self.checksum + self.pending_checksum) % CHECKSUM_MODULUS
        self.pending = self.pending_busy = self.pending_checksum = 0

    def begin_again(self) -> None:
        """The CHF lost the charging session: what was sent stays there, and the next one tells the rest."""
        self.base += self.sent
        self.reported = self.acknowledged = self.checksum = 0
        self.doubts = ()
        self.split = None  # what has not been told is one container of the next charging session
        self.trigger = None
        self.drop_quota(_ASKING if self.flow.wants else _SILENT)

    def drop_unsent(self) -> None:
        """Containers that are closed and wait will not be sent."""
        split = self.split
        if split is not None:
            self.reported -= split.closed_units
            split.closed, split.closed_count, split.closed_units, split.closed_checksum = b"", 0, 0, 0

    def ceiling(self) -> int:
        """Up to how many units traffic runs by itself."""
        if self.state is _GRANTED:
            return self.limit
        return NEVER if self.state is _OFFLINE or self.state is _SUSPENDED else self.flow.used

    def uncharged(self) -> int:
        """Take out what was used and not reported, which will not be: it was let pass."""
        self.drop_unsent()
        units = self.unclosed
        self.base += units
        self.reported_busy = self.flow.busy() // NS_PER_S
        return units

    def settle(self, doubt: str) -> None:
        """Book what was pending and not confirmed: in doubt for that reason, or without one still to be reported."""
        split = self.split
        if doubt:
            if self.pending:
                self.doubts = (*self.doubts, (self.pending, self.pending_checksum % CHECKSUM_MODULUS, doubt))
        elif split is not None and split.sent:
            # Its containers stay as they were, before those that have been closed since.
            split.closed = split.sent + b"," + split.closed if split.closed else split.sent
            split.closed_count += 1
            split.closed_units += self.pending
            split.closed_checksum += self.pending_checksum
        else:
            self.reported -= self.pending
            self.reported_busy -= self.pending_busy
        if split is not None:
            split.sent = b""
        self.pending = self.pending_busy = self.pending_checksum = 0
