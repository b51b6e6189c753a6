"""What is measured of each request: three latencies, how it ended, what the CHF said (no lookup is repeated per request)."""

from __future__ import annotations

from typing import Final

from simulator.fleet.session import LiveSession
from simulator.fleet.usage import SeriesKeys, Usage
from simulator.http2 import Exchange
from simulator.measure import Recorder, key
from simulator.n40 import ChargingAnswer, Operation, Outcome

MAX_CAUSES: Final = 200
"""Causes are the CHF's words; beyond so many different ones the rest is counted together."""
OTHER: Final = "OTHER"
LONGEST_CAUSE: Final = 60


def printable(word: str) -> str:
    """A word of the CHF's as it may be shown: bounded in length, printable, without the separator of labels."""
    return "".join([each if each.isprintable() and each != "|" else "?" for each in word[:LONGEST_CAUSE]])


class Series:
    """Counts requests and collects their latencies, in microseconds, for the interval's cut."""

    __slots__ = ("_causes", "_codes", "_counters", "_recorder")

    def __init__(self, recorder: Recorder, usages: list[Usage]) -> None:
        self._recorder = recorder
        self._counters = recorder.counters
        self._causes: dict[str, str] = {}  # the CHF's word: the series that counts it
        self._codes: dict[str, str] = {}
        for usage in usages:
            operations = (
                (Operation.CREATE, Operation.UPDATE, Operation.RELEASE) if usage.is_session else (Operation.EVENT,)
            )
            for operation in operations:
                for outcome in Outcome:
                    usage.series[operation, outcome] = self._keys(usage.name, operation, outcome)

    def _keys(self, usage: str, operation: Operation, outcome: Outcome) -> SeriesKeys:
        queue, service, response = (
            self._recorder.samples(key("latency_us", latency, operation, usage, outcome))
            for latency in ("queue", "service", "response")
        )
        return SeriesKeys(key("requests", operation, usage, outcome), queue, service, response)

    def answered(
        self, live: LiveSession, operation: Operation, exchange: Exchange, answer: ChargingAnswer, now: int
    ) -> None:
        """The operation is over: the CHF answered."""
        keys = live.usage.series[operation, answer.outcome]
        self._counters[keys.requests] += 1
        due = live.due
        keys.queue.append((live.first_sent - due) // 1000)
        keys.service.append((now - exchange.sent) // 1000)
        keys.response.append((now - due) // 1000)
        for group in answer.groups:
            code = group.resultCode or "SUCCESS"  # as its `code` is, which would be a call into Python
            self._counters[self._codes.get(code) or self._known("result_codes", code, self._codes)] += 1
        if answer.cause:
            self._counters[self._causes.get(answer.cause) or self._known("causes", answer.cause, self._causes)] += 1

    def repeated(self, live: LiveSession, operation: Operation, exchange: Exchange, now: int) -> None:
        """An attempt failed and is made again: its service time counts, the operation goes on."""
        self._counters[key("retransmitted", operation, live.usage.name)] += 1
        self.followed(live, operation, exchange, now)

    def followed(self, live: LiveSession, operation: Operation, exchange: Exchange, now: int) -> None:
        """An attempt led to another one, by a redirection for example, which repeats nothing that may have been charged."""
        if exchange.sent:
            keys = live.usage.series[operation, Outcome.FAILED]
            keys.service.append((now - exchange.sent) // 1000)

    def failed(self, live: LiveSession, operation: Operation, exchange: Exchange, kind: str, now: int) -> None:
        """The operation is over without an answer."""
        keys = live.usage.series[operation, Outcome.FAILED]
        self._counters[keys.requests] += 1
        self._counters["causes|" + kind.upper()] += 1
        keys.queue.append(((live.first_sent or now) - live.due) // 1000)
        if exchange.sent:
            keys.service.append((now - exchange.sent) // 1000)
        keys.response.append((now - live.due) // 1000)

    @staticmethod
    def _known(metric: str, word: str, series: dict[str, str]) -> str:
        """The series that counts a word of the CHF's: bounded in number and length, printable, without the labels' separator."""
        if len(series) >= MAX_CAUSES:
            return key(metric, OTHER)
        series[word] = name = key(metric, printable(word))
        return name
