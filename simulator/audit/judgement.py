"""What became of the units of one rating group in one charging session.

Every used unit is exactly one of these:

* *charged*: in the CHF's books, once.
* *lost*: it should be in the books and is not. Either the CHF acknowledged it, or the report's answer never came and
  the books show that it was not charged, or a session that ended well never reported it.
* *in doubt*: the answer to its report never came, and the books cannot tell.
* *unverified*: the CHF acknowledged it, and there are no complete books to confirm that.
* *refused*: the CHF's answer refused the report, or the report provably never reached it; not charged.
* *unreported*: its session was denied or failed before it could be reported; not charged.
* *open*: its session was left open, and has not reported it yet or has had no answer to its last report yet.
* *uncharged*: the CHF said that charging does not apply, or the failure handling let traffic go on without it.

*Double charged* units come on top: what the books hold beyond what was used, whether a report was charged twice, a
session was charged under two references, or the SMF has no record of the session at all. A message whose charge nobody
heard of (IEC) was not sent: its units are in the books, but neither used nor charged twice.

The books are believed before the answers: a refused unit that was debited nevertheless is charged.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Both sides' figures for one rating group of one session, in units of `unit`.

    `reported` is what was handed over in messages, `acknowledged` what was answered with success, `doubt` what was
    never answered, `charged` what the CHF's books hold. `unreported` and `open` excuse usage of sessions that did not
    end well, `uncharged` usage that was let pass.
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
    doubt: int
    uncharged: int
    unreported: int
    open: int
    charged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The shares of one account; all but `double_charged` add up to what was used."""

    charged: int = 0
    lost: int = 0
    double_charged: int = 0
    in_doubt: int = 0
    unverified: int = 0
    refused: int = 0
    unreported: int = 0
    open: int = 0
    uncharged: int = 0

    @property
    def offends(self) -> bool:
        """Whether somebody has to look at this account."""
        return bool(self.lost or self.double_charged or self.in_doubt)


def judge(account: Account, *, complete: bool) -> Judgement:
    """Share out the used units; `complete` says that both sides' books hold everything that happened.

    What the books lack is excused first by refusals and by usage that had no report, so `lost` is the least number of
    units that must have been lost.
    """
    if account.known and account.charged == account.used >= account.acknowledged:
        return Judgement(charged=account.used)  # by far the most
    if not complete and not account.known:
        return Judgement()  # its record may be among those that are missing
    charged = min(account.charged, account.used)
    rest = account.used - charged
    refused, rest = _take(rest, account.reported - account.acknowledged - account.doubt)
    uncharged, rest = _take(rest, account.uncharged)
    unreported, rest = _take(rest, account.unreported)
    # A report to a session that was left open may still be on its way: the books were read before its time was over.
    on_its_way = account.doubt if complete and account.ends == "open" else 0
    still_open, rest = _take(rest, account.open + on_its_way)
    in_doubt, rest = _take(rest, 0 if complete else account.doubt)
    unverified, rest = _take(rest, 0 if complete else account.acknowledged)
    believed = account.charged if complete else max(account.charged, account.acknowledged)
    return Judgement(
        charged=charged,
        lost=rest,
        double_charged=max(0, believed - max(account.used, account.doubt)),
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


def explain(account: Account, judgement: Judgement) -> str:
    """Why an account offends, in one line."""
    if not account.known:
        return "charged, but the SMF has no record of this session (or it was charged under a second reference)"
    if judgement.double_charged:
        return f"charged {account.charged:,} for {account.used:,} used"
    if judgement.lost and account.acknowledged > account.charged:
        return "acknowledged by the CHF, but missing from its books"
    if judgement.lost and account.doubt:
        return "never acknowledged, and the CHF did not charge it"
    if judgement.lost:
        return "used in a session that ended well, but never reported"
    return "never acknowledged, and the books cannot tell"
