"""The search for the highest rate that a CHF holds: which step comes next, and what it all means. No clock, no input or output.

    rate                          x failed
     1600                         x
     1200                            x
     1000                                 o     o confirmed
      800                o
      400           o
      200      o
      100 o
          climbing: doubling      bisecting     confirming, for longer

Climbing begins at `start` and doubles until a step does not hold. Between the highest rate that held and the lowest that did not,
bisecting goes on until they are within `resolution`. The highest that held is then confirmed by a longer step; when that does not
hold, it is tried again one notch lower, then two notches below that, and so on.

A step that is *not decided* is repeated, for twice as long; what was measured at that rate is taken together. Not decided to the
end counts as failed: that it holds could not be shown. A step that is *not valid*, because the generator was the limit, is
repeated as it was. Not valid to the end, it bounds the search from above like a failed one, and is no word about the CHF.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MOST_INVALID: Final = 2
"""So often is a step that is not valid made in all: a neighbour on the machine may have been the reason once."""
MOST_NOTCHES: Final = 5
"""So often does the confirming step go down."""
_DIGITS: Final = 4
"""Rates are round numbers: so many digits count."""


class Verdict(StrEnum):
    """What came of a step."""

    HELD = "held"
    FAILED = "failed"
    UNDECIDED = "not decided"
    NOT_VALID = "not valid"


class Kind(StrEnum):
    """What a step is for."""

    PROBE = "probe"
    CONFIRM = "confirm"


class Ending(StrEnum):
    """How a search ended."""

    FOUND = "found"
    """A rate holds and was confirmed, and a little more does not hold."""
    AT_LEAST = "at least"
    """The highest rate that was asked for holds."""
    NOTHING_HELD = "nothing held"
    GENERATOR_LIMIT = "generator was the limit"
    """Whether the CHF holds more could not be found out."""
    GAVE_UP = "gave up"
    """The bound on steps or time was reached before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """Rates per second, times in seconds. `highest` None: no rate is too high. `resolution` is relative (0.02 is 2 %)."""

    start: float
    highest: float | None = None
    resolution: float = 0.02
    step_s: float = 30.0
    confirm_s: float = 90.0
    cool_down_s: float = 5.0
    most_looks: int = 3
    """So often is a step that is not decided made in all."""
    most_steps: int = 60
    most_s: float = 4 * 3600.0
    """Of load and cool-downs in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A rate to offer for so long, after so long a rest. `look` counts steps that are judged together, from 1."""

    number: int
    kind: Kind
    rate: float
    seconds: float
    cool_down_s: float
    look: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a step, and why, in words."""

    verdict: Verdict
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What is known in the end: `holds` (None: nothing), what is `above` it and why that is no good.

    `above` did not hold, or (`above_is_valid` False) could not be offered by the generator.
    """

    ending: Ending
    holds: float | None = None
    confirmed: bool = False
    above: float | None = None
    above_is_valid: bool = True
    why: str = ""


def _round(rate: float) -> float:
    return float(f"{rate:.{_DIGITS}g}")


class Search:
    """Ask `next_step`, do it, tell `on_result`; when there is no next step, there is a `conclusion`."""

    def __init__(self, settings: SearchSettings) -> None:
        if settings.highest is not None and settings.highest < settings.start:
            raise ValueError(f"the highest rate, {settings.highest:g}, is less than the first one, {settings.start:g}")
        self._settings = settings
        self._probed: list[float] = []  # rates that held in a step that was not the confirming one
        self._above: float | None = None
        self._above_why = ""
        self._above_is_valid = True
        self._kind = Kind.PROBE
        self._rate = settings.start
        self._look = 1
        self._invalid = 0
        self._notches = 0
        self._steps = 0
        self._spent_s = 0.0
        self._awaited: Step | None = None
        self.conclusion: Conclusion | None = None

    def next_step(self) -> Step | None:
        """What to do now; the same again until its result is told, None when the search is over."""
        if self.conclusion is not None:
            return None
        if self._awaited is None:
            step = self._planned()
            if self._steps >= self._settings.most_steps or self._spent_s + _cost_s(step) > self._settings.most_s:
                bound = "steps" if self._steps >= self._settings.most_steps else "time"
                self._conclude(Ending.GAVE_UP, why=f"the bound on {bound} was reached")
                return None
            self._awaited = step
        return self._awaited

    def _planned(self) -> Step:
        settings = self._settings
        length = settings.confirm_s if self._kind is Kind.CONFIRM else settings.step_s
        return Step(
            number=self._steps + 1,
            kind=self._kind,
            rate=self._rate,
            seconds=length * 2 ** (self._look - 1),
            cool_down_s=settings.cool_down_s if self._steps else 0.0,
            look=self._look,
        )

    def on_result(self, step: Step, outcome: Outcome) -> None:
        """Take the result of the step that was asked for. ValueError for another one."""
        if step != self._awaited:
            raise ValueError(f"expected the result of {self._awaited}, got that of {step}")
        self._awaited = None
        self._steps += 1
        self._spent_s += _cost_s(step)
        match outcome.verdict:
            case Verdict.NOT_VALID:
                self._invalid += 1
                if self._invalid < MOST_INVALID:
                    return
            case Verdict.UNDECIDED:
                if self._look < self._settings.most_looks:
                    self._look += 1
                    return
                outcome = Outcome(
                    verdict=Verdict.FAILED,
                    why=f"{outcome.why}, not decided, which counts as failed",
                )
            case Verdict.HELD | Verdict.FAILED:
                pass
        self._look, self._invalid = 1, 0
        if self._kind is Kind.CONFIRM:
            self._after_confirming(step, outcome)
        else:
            self._after_probing(step, outcome)

    # -- climbing and bisecting ----------------------------------------------------------------------------------------

    def _after_probing(self, step: Step, outcome: Outcome) -> None:
        if outcome.verdict is Verdict.HELD:
            self._probed.append(step.rate)
        else:
            self._bound_above(step.rate, outcome)
        held = self._held
        if held is None:
            self._conclude(Ending.NOTHING_HELD if self._above_is_valid else Ending.GENERATOR_LIMIT)
            return
        following = self._climbed(held) if self._above is None else self._bisected(held, self._above)
        if following is None:
            self._kind, self._rate = Kind.CONFIRM, held
        else:
            self._rate = following

    @property
    def _held(self) -> float | None:
        """The highest rate that held, below all that did not."""
        return max((rate for rate in self._probed if self._above is None or rate < self._above), default=None)

    def _bound_above(self, rate: float, outcome: Outcome) -> None:
        self._above, self._above_why = rate, outcome.why
        self._above_is_valid = outcome.verdict is not Verdict.NOT_VALID

    def _climbed(self, held: float) -> float | None:
        highest = self._settings.highest
        if highest is None:
            return held * 2
        return min(held * 2, highest) if held < highest else None

    def _bisected(self, held: float, above: float) -> float | None:
        """Halfway between them, None where they are close enough."""
        if above <= held * (1 + self._settings.resolution):
            return None
        middle = _round((held + above) / 2)
        return middle if held < middle < above else None

    # -- confirming ----------------------------------------------------------------------------------------------------

    def _after_confirming(self, step: Step, outcome: Outcome) -> None:
        if outcome.verdict is Verdict.HELD:
            self._conclude(self._ending_when_confirmed(), confirmed=step.rate)
            return
        if outcome.verdict is Verdict.NOT_VALID:
            self._conclude(Ending.GENERATOR_LIMIT, why=outcome.why)
            return
        self._bound_above(step.rate, outcome)
        self._notches += 1
        notch = self._settings.resolution * 2 ** (self._notches - 1)
        lower = max(_round(step.rate / (1 + notch)), self._settings.start)
        if self._notches > MOST_NOTCHES or lower >= step.rate:
            self._conclude(Ending.NOTHING_HELD)
        else:
            self._rate = lower

    def _ending_when_confirmed(self) -> Ending:
        if self._above is None:
            return Ending.AT_LEAST
        return Ending.FOUND if self._above_is_valid else Ending.GENERATOR_LIMIT

    def _conclude(self, ending: Ending, *, confirmed: float | None = None, why: str = "") -> None:
        self.conclusion = Conclusion(
            ending=ending,
            holds=self._held if confirmed is None else confirmed,
            confirmed=confirmed is not None,
            above=self._above,
            above_is_valid=self._above_is_valid,
            why=why or self._above_why,
        )


def _cost_s(step: Step) -> float:
    return step.seconds + step.cool_down_s
