"""Single keys from a terminal, while something else goes on."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import IO, Any, Self

with suppress(ImportError):  # not on every platform
    import termios
    import tty


class Keys:
    """Calls `on_key` from a thread of its own for each key that is pressed; afterwards the terminal is as it was.

    Where the input is no terminal, or the terminal belongs to another job in front, nothing is read. Ctrl-C stays a signal.
    """

    def __init__(self, stdin: IO[str], on_key: Callable[[str], None]) -> None:
        self._on_key = on_key
        self._stdin = stdin
        self._before: list[Any] = []
        self._thread: threading.Thread | None = None
        self._wake = -1

    def __enter__(self) -> Self:
        descriptor = _terminal(self._stdin)
        if descriptor is None:
            return self
        self._before = termios.tcgetattr(descriptor)
        tty.setcbreak(descriptor)
        asleep, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._read, args=(descriptor, asleep), name="keys", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread is None:
            return
        os.close(self._wake)
        self._thread.join()
        self._thread = None
        with suppress(OSError, termios.error):  # it may be gone
            termios.tcsetattr(self._stdin.fileno(), termios.TCSADRAIN, self._before)

    @property
    def listening(self) -> bool:
        """Whether there is somebody who could press one."""
        return self._thread is not None

    def _read(self, descriptor: int, asleep: int) -> None:
        try:
            while True:
                ready, _, _ = select.select([descriptor, asleep], [], [])
                if asleep in ready:
                    return
                pressed = os.read(descriptor, 64)
                if not pressed:
                    return
                for key in pressed.decode(errors="ignore"):
                    self._on_key(key)
        except OSError:
            return  # the terminal is gone
        finally:
            os.close(asleep)


def _terminal(stdin: IO[str]) -> int | None:
    """The descriptor of a terminal that is ours to read; None where there is none."""
    if "termios" not in sys.modules:
        return None
    try:
        descriptor = stdin.fileno()
        ours = os.isatty(descriptor) and os.tcgetpgrp(descriptor) == os.getpgrp()
    except (OSError, ValueError):
        return None
    return descriptor if ours else None
