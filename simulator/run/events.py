"""What happens in a run and when, as it happens: for whoever watches, for the folder, for the summary."""

from __future__ import annotations

import time
from typing import Final

from simulator.fleet import messages
from simulator.run.folder import RunFolder
from simulator.run.options import Observer

LEAST_BETWEEN_NOTES_S: Final = 1.0
"""That say the same of one subject."""
MOST_EVENTS: Final = 1_000
"""That are kept, in the folder as in the summary."""


class RunEvents:
    """Events of one run: `kept` are those of the summary. Kinds are chf, control, threshold, worker, sandbox and note."""

    def __init__(self, folder: RunFolder, observer: Observer) -> None:
        self._folder = folder
        self._observer = observer
        self._said: dict[str, tuple[str, float]] = {}
        self.kept: list[dict[str, object]] = []
        self.t0_s: float | None = None
        """The start of the load (monotonic); what happens earlier happens at 0."""

    def tell(self, kind: str, text: str, at_s: float | None = None) -> None:
        """Something happened, `at_s` seconds after the start or now: show it, and write it down."""
        self._observer.note(text)
        self.add(kind, text, at_s)

    def add(self, kind: str, text: str, at_s: float | None = None) -> None:
        """Write down what happened, without a word to whoever watches."""
        if len(self.kept) >= MOST_EVENTS:
            return
        if len(self.kept) == MOST_EVENTS - 1:
            kind, text = "note", f"{MOST_EVENTS:,} events: what follows is not written down any more"
        if at_s is None:
            at_s = 0.0 if self.t0_s is None else time.monotonic() - self.t0_s
        event: dict[str, object] = {"at_s": round(at_s, 3), "kind": kind, "text": text}
        self.kept.append(event)
        if self._folder.kept:
            self._folder.events.write(event)

    def on_engine(self, event: messages.Event) -> None:
        """Every engine sees for itself; what was the last that another one said is not said again within a second.

        They agree in what they say before a colon; behind it, each has its own figures.
        """
        moment = time.monotonic()
        subject, text = str(event.fields["subject"]), str(event.fields["text"])
        what = text.partition(":")[0]
        said, before = self._said.get(subject, ("", 0.0))
        if what != said or moment - before >= LEAST_BETWEEN_NOTES_S:
            self._said[subject] = (what, moment)
            self.tell("chf" if subject.startswith("CHF ") else "note", f"{subject} {text}")
