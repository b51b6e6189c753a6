from __future__ import annotations

import os
import pty
import queue
import termios
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from simulator.cli.keys import Keys


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """The two ends of a terminal that this process is in front of."""
    keyboard, screen = pty.openpty()
    yield keyboard, screen
    with suppress(OSError):
        os.close(keyboard)


@pytest.fixture
def in_front(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal can be in front for a session's leader alone, which a test is not."""
    monkeypatch.setattr(os, "tcgetpgrp", lambda descriptor: os.getpgrp())


def test_each_key_is_told_at_once_and_the_terminal_is_given_back(terminal: tuple[int, int], in_front: None) -> None:
    keyboard, screen = terminal
    pressed: queue.SimpleQueue[str] = queue.SimpleQueue()
    with os.fdopen(screen, "r") as stdin:
        before = termios.tcgetattr(screen)
        with Keys(stdin, pressed.put) as keys:
            assert keys.listening
            assert not termios.tcgetattr(screen)[3] & termios.ICANON
            os.write(keyboard, b"p+")
            assert [pressed.get(timeout=5), pressed.get(timeout=5)] == ["p", "+"]
        assert termios.tcgetattr(screen) == before


def test_a_file_is_no_keyboard() -> None:
    with Path(os.devnull).open() as stdin, Keys(stdin, print) as keys:
        assert not keys.listening


def test_a_terminal_of_another_job_is_left_alone(terminal: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    _, screen = terminal
    monkeypatch.setattr(os, "tcgetpgrp", lambda descriptor: os.getpgrp() + 1)
    with os.fdopen(screen, "r") as stdin, Keys(stdin, print) as keys:
        assert not keys.listening


def test_a_terminal_that_hangs_up_is_not_missed(terminal: tuple[int, int], in_front: None) -> None:
    keyboard, screen = terminal
    with os.fdopen(screen, "r") as stdin, Keys(stdin, print) as keys:
        os.close(keyboard)
    assert not keys.listening
