"""Connects a run to what the terminal shows."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, suppress
from typing import Final

from rich.console import Console

from simulator.cli.keys import Keys
from simulator.cli.live import LiveView
from simulator.measure import Totals
from simulator.report import RunFacts
from simulator.run.options import Progress
from simulator.run.wishes import Action, Wish, Wishes

PAUSE_KEY: Final = "p"
KEYS: Final = {
    "+": Action.FASTER, "=": Action.FASTER, "-": Action.SLOWER, "n": Action.NEXT_STAGE, "s": Action.STOP, "q": Action.STOP,
}  # fmt: skip


class PatientConsole(Console):
    """Goes on in silence when nobody reads any more (`smfleet run | head`): the run and its exit code still count."""

    def on_broken_pipe(self) -> None:
        """Print nothing more, here or at the interpreter's exit."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)


class LiveObserver:
    """Shows a run as it goes: a page in a terminal, lines otherwise."""

    def __init__(self, console: Console, wishes: Wishes | None = None) -> None:
        self._console = console
        self._wishes = wishes
        self._open = ExitStack()
        self._view: LiveView | None = None
        self._progress = Progress()

    def begin(self, facts: RunFacts, totals: Totals) -> None:
        """The load begins."""
        keys = False
        if self._wishes is not None and self._console.is_terminal:
            keys = self._open.enter_context(Keys(sys.stdin, self._on_key)).listening
        self._view = self._open.enter_context(LiveView(facts, totals, console=self._console, keys=keys))

    def tick(self, now: int, progress: Progress) -> None:
        """Some more has been measured."""
        self._progress = progress
        if self._view is not None:
            with suppress(OSError):  # a full disk behind stdout must not end the run
                self._view.update(now, progress)

    def _on_key(self, key: str) -> None:
        """Called from the thread that reads the keyboard."""
        assert self._wishes is not None
        action = KEYS.get(key)
        if key == PAUSE_KEY:
            action = Action.RESUME if self._progress.paused else Action.PAUSE
        if action is not None:
            self._wishes.put(Wish(action))

    def note(self, text: str) -> None:
        """Say something above the live view."""
        with suppress(OSError):
            self._console.print(text, style="yellow", highlight=False)

    def end(self) -> None:
        """Take the live view away."""
        self._view = None
        self._open.close()
