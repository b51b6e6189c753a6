"""What became of the units of one rating group in one charging session.

Every used unit is exactly one of these:

* *charged*: in the CHF's books, once.
* *lost*: it should be in the books and is not. Either the CHF acknowledged it, or a session that ended well never
  reported it.
* *in doubt*: its report had no usable answer, and there are no complete books that could tell.
* *undelivered*: its report had no usable answer, and the books show that it was not charged.
* *unverified*: the CHF acknowledged it, and there are no complete books to confirm that.
* *refused*: the CHF's answer refused the report, or the report provably never reached it; not charged.
* *unreported*: its session was denied or failed before it could be reported; not charged.
* *open*: its session was left open, and has not reported it yet or has had no answer to its last report yet.
* *uncharged*: the CHF said that charging does not apply, or the failure handling let traffic go on without it.

*Double charged* units come on top: what the books hold beyond what was reported, whether a report was charged twice, a
session was charged under two references, or the SMF has no record of the session at all. A message whose charge nobody
heard of (IEC) was not sent: its units are in the books, but neither used nor charged twice.

*Misbooked* units are charged, as many as there should be, but the checksum over the containers is another one: a report
was lost and another one of the same size charged twice. How many units that were cannot be told from the two sums.

The books are believed before the answers: a refused unit that was debited nevertheless is charged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Final, NamedTuple

CHECKSUM_MODULUS: Final = (1 << 61) - 1
RUN_ENDED: Final = "run ended"
UNKNOWN: Final = "unknown"
REASONS: Final = {
    "timeout": "no answer in time",
    "connection": "connection lost",
    "server_error": "server error",
    "overload": "overload",
    "unreadable": "unreadable answer",
    "unauthorized": "unauthorized",
    "repeat refused": "repeat refused",
    RUN_ENDED: "run ended",
    UNKNOWN: "no answer",
}
"""Why a report is in doubt, as records name it and in words."""

_MOST_TRIED: Final = 10
"""Doubtful reports of one account that are resolved one by one; of more, only the sum is looked at."""


class Doubt(NamedTuple):
    """A report without a usable answer; its checksum counts where the account has checksums."""

    units: int
    checksum: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Both sides' figures for one rating group of one session, in units of `unit`.

    `reported` is what was handed over in messages, `acknowledged` what was answered with success, `doubts` the reports
    without a usable answer, `charged` what the CHF's books hold. `unreported` and `open` excuse usage of sessions that
    did not end well, `uncharged` usage that was let pass. `checksums` are those of what was acknowledged and of what is
    in the books; None where one of the two is not known. `containers` is the last number that a container was given.
    """

    ref: str | None
    key: str
    rating_group: int
    unit: str
    ends: str
    known: bool
    used: int
    reported: int
    acknowledged: int
    doubts: tuple[Doubt, ...] = ()
    uncharged: int
    unreported: int
    open: int
    charged: int
    checksums: tuple[int, int] | None = None
    containers: int = 0

    @property
    def doubt(self) -> int:
        """Units in all reports that are in doubt."""
        return sum(doubt.units for doubt in self.doubts)

    @property
    def is_plain(self) -> bool:
        """Whether everything was acknowledged and charged, container by container; by far the most are."""
        checksums = self.checksums
        return (
            self.known
            and not self.doubts
            and self.charged == self.used == self.acknowledged
            and (checksums is None or checksums[0] == checksums[1])
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The shares of one account; all but `double_charged` and `misbooked` add up to what was used."""

    charged: int = 0
    lost: int = 0
    double_charged: int = 0
    misbooked: int = 0
    in_doubt: int = 0
    undelivered: int = 0
    unverified: int = 0
    refused: int = 0
    unreported: int = 0
    open: int = 0
    uncharged: int = 0

    @property
    def offends(self) -> bool:
        """Whether somebody has to look at this account."""
        return bool(self.lost or self.double_charged or self.misbooked or self.in_doubt)


def judge(account: Account, *, complete: bool) -> Judgement:
    """Share out the used units; `complete` says that both sides' books hold everything that happened.

    What the books lack is excused first by refusals and by usage that had no report, so `lost` is the least number of
    units that must have been lost.
    """
    if account.is_plain:
        return Judgement(charged=account.used)
    if complete:
        return _judge_by_the_books(account)
    return _judge_without_books(account) if account.known else Judgement()  # its record may be among the missing


def _judge_by_the_books(account: Account) -> Judgement:
    """Each report in doubt was charged or not, whichever agrees with the books."""
    found = _resolve(account)
    delivered = sum(doubt.units for doubt in found.delivered)
    beyond = account.charged - account.acknowledged - delivered
    debited_anyway = max(0, account.reported - account.acknowledged - account.doubt)
    double_charged = max(0, beyond - debited_anyway, account.charged - max(account.used, account.doubt))
    charged = min(account.charged - double_charged, account.used)
    # A report that was under way when the run ended may still arrive: the books were read before its time was over.
    late = sum(doubt.units for doubt in found.missing if doubt.reason == RUN_ENDED)
    rest = account.used - charged
    refused, rest = _take(rest, account.reported - account.acknowledged - account.doubt)
    uncharged, rest = _take(rest, account.uncharged)
    unreported, rest = _take(rest, account.unreported)
    still_open, rest = _take(rest, account.open + late)
    undelivered, rest = _take(rest, account.doubt - delivered - late)
    return Judgement(
        charged=charged,
        lost=rest,
        double_charged=double_charged,
        misbooked=account.charged if not beyond and not found.fits else 0,
        undelivered=undelivered,
        refused=refused,
        unreported=unreported,
        open=still_open,
        uncharged=uncharged,
    )


def _judge_without_books(account: Account) -> Judgement:
    charged = min(account.charged, account.used)
    rest = account.used - charged
    refused, rest = _take(rest, account.reported - account.acknowledged - account.doubt)
    uncharged, rest = _take(rest, account.uncharged)
    unreported, rest = _take(rest, account.unreported)
    still_open, rest = _take(rest, account.open)
    in_doubt, rest = _take(rest, account.doubt)
    unverified, rest = _take(rest, account.acknowledged)
    return Judgement(
        charged=charged,
        lost=rest,
        double_charged=max(
            0,
            account.charged - max(account.reported, account.acknowledged + account.doubt),
            max(account.charged, account.acknowledged) - max(account.used, account.doubt),
        ),
        in_doubt=in_doubt,
        unverified=unverified,
        refused=refused,
        unreported=unreported,
        open=still_open,
        uncharged=uncharged,
    )


def _take(rest: int, share: int) -> tuple[int, int]:
    taken = max(0, min(rest, share))
    return taken, rest - taken


class _Resolution(NamedTuple):
    """Which doubtful reports the books hold, and which not; `fits`: the checksum says so as well."""

    delivered: tuple[Doubt, ...]
    missing: tuple[Doubt, ...]
    fits: bool


def _resolve(account: Account) -> _Resolution:
    """The choice that explains the books best."""
    best: _Resolution | None = None
    least = (0, 0)
    for delivered, missing in _choices(account):
        units, checksum = _difference(account, delivered)
        rank = (_strangeness(units, checksum, account.containers), abs(units))
        if best is None or rank < least:
            best, least = _Resolution(delivered, missing, not checksum), rank
            if not rank[0]:
                break
    assert best is not None
    return best


def _difference(account: Account, delivered: tuple[Doubt, ...]) -> tuple[int, int | None]:
    """What the books hold beyond this, in units and as a checksum; None: no checksum can tell."""
    units = account.charged - account.acknowledged - sum(doubt.units for doubt in delivered)
    if account.checksums is None or len(account.doubts) > _MOST_TRIED:
        return units, None
    acknowledged, charged = account.checksums
    checksum = (charged - acknowledged - sum(doubt.checksum for doubt in delivered)) % CHECKSUM_MODULUS
    return units, checksum - CHECKSUM_MODULUS if checksum > CHECKSUM_MODULUS >> 1 else checksum


def _strangeness(units: int, checksum: int | None, containers: int) -> int:
    """How much has to have gone wrong for that difference: what a container adds to the checksum is bounded by its number."""
    if not units and not checksum:
        return 0
    if not checksum or not units:
        return 3
    if not 2 <= checksum / units <= max(containers, 1) + 1:
        return 4
    return 1 if checksum % units == 0 else 2  # one container, or several


def _choices(account: Account) -> Iterator[tuple[tuple[Doubt, ...], tuple[Doubt, ...]]]:
    doubts = account.doubts
    if len(doubts) > _MOST_TRIED:
        yield from _cut(account)
        return
    for count in range(len(doubts) + 1):
        for chosen in combinations(range(len(doubts)), count):
            delivered = tuple(doubts[place] for place in chosen)
            yield delivered, tuple(doubt for place, doubt in enumerate(doubts) if place not in chosen)


def _cut(account: Account) -> Iterator[tuple[tuple[Doubt, ...], tuple[Doubt, ...]]]:
    """Too many to try them all: as many units as the books hold beyond what was acknowledged."""
    delivered = min(max(0, account.charged - account.acknowledged), account.doubt)
    reason = account.doubts[0].reason
    yield (Doubt(delivered, 0, reason),), (Doubt(account.doubt - delivered, 0, reason),)


def explain(account: Account, judgement: Judgement) -> str:
    """Why an account offends, in one line."""
    why = _what_is_wrong(account, judgement)
    reasons = ", ".join(dict.fromkeys(REASONS[doubt.reason] for doubt in account.doubts))
    if not why:
        return f"{reasons}, and there are no books that could tell"
    return f"{why} (a report was in doubt: {reasons})" if reasons else why


def _what_is_wrong(account: Account, judgement: Judgement) -> str:
    """Empty where nothing is, and the account is only in doubt."""
    if not account.known:
        return "charged, but the SMF has no record of this session (or it was charged under a second reference)"
    if judgement.misbooked:
        return "the total is right, but one report is missing from the books and another one was charged twice"
    if judgement.double_charged:
        return f"charged {account.charged:,} for {account.used:,} used"
    if judgement.lost and account.acknowledged > account.charged:
        return "acknowledged by the CHF, but missing from its books"
    if judgement.lost:
        return "used in a session that ended well, but never reported"
    return ""
