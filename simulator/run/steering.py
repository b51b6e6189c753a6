"""What can be changed while a run goes: pause, resume, the rate, the next stage, the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from simulator.fleet.messages import Control
from simulator.fleet.timeline import Timeline
from simulator.n40.flow import NEVER
from simulator.run.options import Progress
from simulator.run.wishes import Action, Wish

LEAD_NS: Final = 50_000_000
"""Between a command and its effect, so that all engines change at the same moment."""
STEP: Final = 1.1
"""By which the rate goes up or down at a key."""
MOST_TIMES: Final = 100.0
LEAST_TIMES: Final = 0.01
"""Of the profile's rate; further down is a pause."""


class SteeringError(Exception):
    """What was wanted cannot be done; one line."""


class Steering:
    """Turns wishes into commands to all engines, and keeps the timeline that all of them follow.

    `send` reaches every engine, `stop` ends the load and drains, `record` keeps what was done for the reports.
    """

    def __init__(
        self,
        timeline: Timeline,
        *,
        send: Callable[[Control], Awaitable[None]],
        stop: Callable[[], None],
        record: Callable[[str], None],
    ) -> None:
        self.timeline = timeline
        self._send = send
        self._stop = stop
        self._record = record
        self._stopped = False

    def load_is_over(self) -> None:
        """Whoever ended it: nothing can be changed any more."""
        self._stopped = True

    async def carry_out(self, wish: Wish, now: int) -> str:
        """Do it, from a moment after `now` on; return what was done, in words. Raises SteeringError."""
        if self._stopped:
            raise SteeringError("the load is over")
        if wish.action is Action.STOP:
            self._stopped = True
            text = f"stopped by {wish.by}: releasing what is open"
            self._stop()
        else:
            text = await self._change(wish, now + LEAD_NS)
        self._record(text)
        return text

    def progress(self, now: int) -> Progress:
        """Where the load is at a moment."""
        timeline = self.timeline
        stage = timeline.stage_at(now)
        end = now if self._stopped else timeline.end
        return Progress(
            stage=stage + 1,
            stages=len(timeline.stages),
            name=timeline.stages[stage].name if timeline.stages else "",
            rate_per_s=0.0 if self._stopped else timeline.rate_at(now),
            factor=timeline.factor,
            paused=timeline.paused,
            left_s=None if end == NEVER else max(0.0, (end - now) / 1e9),
        )

    async def _change(self, wish: Wish, at: int) -> str:
        timeline = self.timeline
        if at >= timeline.end:
            raise SteeringError("the load is over")
        match wish.action:
            case Action.PAUSE:
                if timeline.paused:
                    raise SteeringError("the load is paused already")
                command, text = Control(at=at, action="pause"), "paused: no session begins, those that are open go on"
            case Action.RESUME:
                if not timeline.paused:
                    raise SteeringError("the load is not paused")
                command, text = Control(at=at, action="resume"), "resumed"
            case Action.NEXT_STAGE:
                following = timeline.stage_at(at) + 1
                if following >= len(timeline.stages):
                    raise SteeringError("this is the last stage")
                command = Control(at=at, action="stage")
                text = f"on to stage {following + 1} of {len(timeline.stages)}, {timeline.stages[following].name}"
            case _:
                factor = self._factor(wish)
                command, text = Control(at=at, action="rate", value=factor), f"rate {factor:.0%} of the profile's"
                if timeline.devices:  # a closed loop has no rate, and no subscribers for more devices
                    text = f"devices {factor:.0%} of the profile's, up to its highest number"
        timeline.control(command.at, command.action, command.value)
        await self._send(command)
        return f"{text} ({wish.by})"

    def _factor(self, wish: Wish) -> float:
        now = self.timeline.factor
        factor = {Action.FASTER: now * STEP, Action.SLOWER: now / STEP}.get(wish.action, wish.factor)
        if not LEAST_TIMES <= factor <= MOST_TIMES:
            raise SteeringError(
                f"the rate can be {LEAST_TIMES:g} to {MOST_TIMES:g} times the profile's, not {factor:g}"
            )
        return round(factor, 4)
