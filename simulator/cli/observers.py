"""Connects a run to what the terminal shows."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress

from rich.console import Console

from simulator.cli.live import LiveView
from simulator.measure import Totals
from simulator.report import RunFacts


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

    def __init__(self, console: Console) -> None:
        self._console = console
        self._open = ExitStack()
        self._view: LiveView | None = None

    def begin(self, facts: RunFacts, totals: Totals) -> None:
        """The load begins."""
        self._view = self._open.enter_context(LiveView(facts, totals, console=self._console))

    def tick(self, now: int) -> None:
        """Some more has been measured."""
        if self._view is not None:
            with suppress(OSError):  # a full disk behind stdout must not end the run
                self._view.update(now)

    def note(self, text: str) -> None:
        """Say something above the live view."""
        with suppress(OSError):
            self._console.print(text, style="yellow", highlight=False)

    def end(self) -> None:
        """Take the live view away."""
        self._view = None
        self._open.close()
