"""The cases by subject. Importing this package fills the catalogue."""

from simulator.check.cases import (
    answers,
    connections,
    events,
    grants,
    http,
    notifications,
    references,
    repeats,
    sessions,
    subscribers,
    wrong_messages,
)

__all__ = [
    "answers",
    "connections",
    "events",
    "grants",
    "http",
    "notifications",
    "references",
    "repeats",
    "sessions",
    "subscribers",
    "wrong_messages",
]
