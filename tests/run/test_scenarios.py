"""Each shipped scenario, shortened to seconds: it runs with real processes, and what its description promises happens."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest

from simulator.config import load_profile
from simulator.measure import Phase, Snapshot
from simulator.run.options import Result
from tests.run.rig import conducted, sound, units

pytestmark = pytest.mark.anyio
WRONG = ("lost", "double_charged", "in_doubt")


class Rehearsal:
    """A run and what it left behind."""

    def __init__(self, result: Result, folder: Path) -> None:
        self.result = result
        self.summary = result.summary
        self._folder = folder

    def _rows(self, name: str) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in (self._folder / name).read_bytes().splitlines()]

    def intervals(self, begin_s: float = 0.0, end_s: float = 1e9) -> list[Snapshot]:
        """Half seconds of the load that lie within these seconds."""
        every = [Snapshot.from_wire(row) for row in self._rows("intervals.ndjson")]
        return [
            each for each in every if each.phase == Phase.STEADY and begin_s <= each.start_s and each.end_s <= end_s
        ]

    def count(self, begin_s: float, end_s: float, *series: str | None) -> int:
        metric, *labels = series
        return sum(each.count(str(metric), *labels) for each in self.intervals(begin_s, end_s))

    def ledger(self) -> list[dict[str, Any]]:
        return self._rows("ledger.ndjson")

    @property
    def events(self) -> list[tuple[float, str]]:
        """Without the name of the CHF."""
        return [(event["at_s"], event["text"].partition(") ")[2]) for event in self.summary["events"]]

    def exact(self) -> bool:
        """Whether nothing was lost, charged twice, or left in doubt."""
        return all(units(self.result, what) == {} for what in WRONG)


Rehearse = Callable[..., Any]


@pytest.fixture
def rehearse(tmp_path: Path) -> Rehearse:
    numbers = count()

    async def rehearse(name: str, *overrides: str) -> Rehearsal:
        profile = load_profile(name, ["timeouts.drain=1500ms", *overrides])
        folder = tmp_path / str(next(numbers))
        return Rehearsal(await conducted(profile, out=folder), folder)

    return rehearse


async def test_validity_storms_come_back_and_jitter_flattens_them(rehearse: Rehearse) -> None:
    """A validity lasts a second here: ten minutes at 600x."""
    short = ("pace=600x", "load.start_open=400", "load.rate=10/s", "load.duration=3600ms")
    peaks = []
    for run in await asyncio.gather(*(rehearse(name, *short) for name in ("validity-storm", "validity-storm-jitter"))):
        assert sound(run.result), run.result.why
        updates = [each.count("requests", "update", "background") for each in run.intervals(1.4)]
        assert sum(updates) > 400
        peaks.append(max(updates) / sum(updates))
    assert peaks[1] < 0.75 * peaks[0]


async def test_usage_over_midnight_is_told_in_two_containers(rehearse: Rehearse) -> None:
    run = await rehearse(
        "midnight-tariff-switch", 'session_clock="23:59"', "load.start_open=200", "load.rate=20/s", "load.duration=3s"
    )
    assert sound(run.result), run.result.why
    more = Counter(row["containers"] - row["reports"] for row in run.ledger())
    assert set(more) == {0, 1}, "the tariff switched once"
    assert more[1] > 100, "every session that was open then"
    assert run.exact()


async def test_a_reauthorisation_storm_is_answered_and_every_session_asks_again(rehearse: Rehearse) -> None:
    run = await rehearse("reauth-storm", "load.start_open=300", "load.duration=2s", "sandbox.faults.0.from=500ms")
    assert sound(run.result), run.result.why
    notified = run.summary["notifies"]["REAUTHORIZATION 204"]
    assert list(run.summary["notifies"]) == ["REAUTHORIZATION 204"]
    assert 280 <= notified <= 320
    assert notified - 5 <= run.summary["operations"]["update"]["requests"] <= notified + 5
    assert run.exact()


async def test_an_abort_storm_ends_half_of_the_sessions_in_good_order(rehearse: Rehearse) -> None:
    run = await rehearse("abort-storm", "load.start_open=300", "load.duration=2s", "sandbox.faults.0.from=500ms")
    assert sound(run.result), run.result.why
    aborted = run.summary["notifies"]["ABORT_CHARGING 204"]
    assert 140 <= aborted <= 220
    assert run.count(0, 9, "requests", "release") >= aborted
    assert run.summary["sessions"]["failed"] == 0
    assert run.exact()


async def test_sessions_move_away_from_a_chf_that_is_gone_and_new_ones_go_back_to_it(rehearse: Rehearse) -> None:
    run = await rehearse(
        "chf-outage-failover", "load.duration=4500ms", "load.start_open=300", "failure.recheck=500ms",
        "sandbox.faults.0.from=1s", "sandbox.faults.0.until=2s",
    )  # fmt: skip
    assert sound(run.result), run.result.why
    first, second = run.summary["chfs"]
    assert first["failovers_from"] == second["failovers_to"] > 50
    assert (first["failovers_to"], first["failed"], second["failed"]) == (0, 0, 0)
    (down_s, down), (back_s, back) = run.events
    assert down.startswith("is down: 3 failures in a row")
    assert back == "is back"
    assert 1 <= down_s < 1.5, "a refused connection says it at once"
    assert 2 <= back_s < 3.8
    outage = (down_s + 0.1, 2)
    assert run.count(*outage, "chf", "2", "requests") > 50
    assert run.count(*outage, "chf", "1", "requests") == 0
    assert run.count(back_s, 9, "chf", "1", "requests") > 10, "new sessions, once it is back"
    assert run.count(back_s, 9, "chf", "2", "requests") > 10, "those that moved stay"
    assert run.summary["all"]["failed"] == 0
    assert run.exact()
    assert run.summary["audit"]["balanced"] is True


async def test_after_an_outage_the_whole_herd_is_back(rehearse: Rehearse) -> None:
    run = await rehearse(
        "reattach-herd", "pace=10x", "load.devices=150", "load.duration=4s", "timeouts.request=300ms",
        "sandbox.faults.0.from=1s", "sandbox.faults.0.until=2s",
    )  # fmt: skip
    assert run.result.verdict in {"pass", "invalid"}, run.result.why
    assert run.summary["sessions"]["failed"] > 100, "the outage reached nearly everybody"
    assert run.summary["causes"].keys() <= {"CONNECT_FAILED", "CONNECTION_LOST", "TIMEOUT"}
    assert run.count(3.2, 9, "requests", None, None, "failed") == 0
    *_, last = run.intervals()
    assert last.gauge("sessions_open") > 140
    assert run.exact()


async def test_a_chf_that_wants_less_gets_less_and_the_generator_is_not_to_blame(rehearse: Rehearse) -> None:
    faults = [f"sandbox.faults.{place}.{edge}={second}s" for place, edge, second in (
        (0, "from", 0.5), (0, "until", 1), (1, "from", 2), (1, "until", 2.3), (2, "from", 3.4), (2, "until", 3.8),
    )]  # fmt: skip
    run = await rehearse("throttled-chf", "load.duration=5s", "load.start_open=100", *faults)
    assert sound(run.result), run.result.why
    arrivals = run.summary["arrivals"]
    assert set(arrivals["dropped_by_reason"]) <= {"throttled"}
    assert arrivals["started"] < 0.9 * arrivals["intended"]
    assert arrivals["started"] + arrivals["dropped"] == arrivals["intended"]
    assert run.summary["generator"]["reasons"] == []
    assert run.summary["answers_followed"]["503"] > 0, "after the time that Retry-After named"
    assert run.summary["all"]["retransmitted"] == 0, "a request that the CHF did not take is no repeat"
    assert {text for _, text in run.events} == {
        "wants no new sessions for 1 s (Retry-After)",
        "wants 50 % less for 3 s (overload control)",
    }
    offered = run.count(3.5, 9, "arrivals", "started") / run.count(3.5, 9, "arrivals", "intended")
    assert 0.3 < offered < 0.7
    assert run.exact()


async def test_who_is_topped_up_goes_on_and_nobody_uses_more_than_there_is(rehearse: Rehearse) -> None:
    run = await rehearse(
        "quota-exhaustion-topup", "pace=60x", "load.duration=4500ms", "load.devices=60", "subscribers.count=60",
        "sandbox.faults.0.from=2500ms",
    )  # fmt: skip
    assert sound(run.result), run.result.why
    by_subscriber: defaultdict[str, int] = defaultdict(int)
    for row in run.ledger():
        by_subscriber[row["subscriber"]] += row["units"]
    assert set(by_subscriber.values()) == {60_000_000, 100_000_000}, "to the last octet"
    assert 15 < Counter(by_subscriber.values())[100_000_000] < 45
    assert run.summary["notifies"]["REAUTHORIZATION 204"] > 5
    assert any(row["units"] == 100_000_000 for row in run.ledger()), "one session went on where it had stopped"
    assert run.summary["causes"]["QUOTA_LIMIT_REACHED"] > 0
    assert run.exact()


LOSSY = (
    "load.duration=2s", "load.start_open=100", "timeouts.request=200ms",
    *(f"sandbox.faults.{place}.{edge}" for place in range(3) for edge in ("from=300ms", "until=1500ms")),
    "sandbox.faults.0.share=10%",
)  # fmt: skip


async def test_what_is_charged_and_not_answered_is_charged_once_and_a_chf_that_does_not_is_found_out(
    rehearse: Rehearse,
) -> None:
    run, control = await asyncio.gather(
        rehearse("lossy-answers", *LOSSY), rehearse("lossy-answers", *LOSSY, "sandbox.faults.3.share=100%")
    )
    assert sound(run.result), run.result.why
    for operation in ("create", "update", "release", "event"):
        assert run.summary["operations"][operation]["retransmitted"] > 0
    assert run.exact()
    assert run.summary["audit"]["balanced"] is True
    assert control.result.exit_code == 1
    assert units(control.result, "double_charged") != {}


async def test_messages_come_in_bursts_and_each_is_charged(rehearse: Rehearse) -> None:
    stages = "[{pause: 500ms}, {burst: 200, for: 500ms}, {pause: 1s}, {burst: 200, for: 500ms}, {pause: 1s}]"
    run = await rehearse("sms-burst", "pace=5x", f"load.stages={stages}")
    assert sound(run.result), run.result.why
    starts = [each.count("arrivals", "started") for each in run.intervals()]
    assert sum(starts) == 400
    assert max(map(sum, pairwise(starts))) == 200, "an interval of half a second may begin in the midst of one"
    assert starts.count(0) >= 2
    assert {usage for usage, figures in run.summary["usages"].items() if figures["completed"]} == {
        "immediate", "delivered", "reserved",
    }  # fmt: skip
    assert run.exact()


async def test_devices_attach_and_detach_and_sessions_follow_them(rehearse: Rehearse) -> None:
    stages = "[{ramp_to: 200, for: 1s}, {devices: 200, for: 1s}, {ramp_to: 0, for: 1s}]"
    run = await rehearse("attach-detach", "load.think_time=0s", f"load.stages={stages}")
    assert sound(run.result), run.result.why
    levels = {each.end_s: each.gauges["sessions_open"].value for each in run.intervals()}
    assert max(levels.values()) == pytest.approx(200, abs=5)
    assert min(level for end_s, level in levels.items() if end_s > 2.9) < 30
    assert run.summary["sessions"]["completed"] == run.summary["sessions"]["started"] >= 200
    assert run.exact()


async def test_a_day_has_its_curves(rehearse: Rehearse) -> None:
    short = [f"load.streams.{each}.stages.0.day_takes=4s" for each in range(3)]
    run = await rehearse("a-day", *short, "load.start_open=0", "pace=10000x")
    assert sound(run.result), run.result.why
    night, evening = (run.count(begin, begin + 1, "arrivals", "started") for begin in (0.25, 3))
    assert night < evening / 2
    rates = [each.gauges["offered_rate"].value for each in run.intervals()]
    assert max(rates) > 200
    assert min(rates) < 60
    assert run.exact()


async def test_creates_at_the_same_moment_are_told_from_repeats(rehearse: Rehearse) -> None:
    run = await rehearse(
        "near-simultaneous-creates",
        "pace=2x",
        "load.duration=2800ms",
        "timeouts.request=300ms",
        "sandbox.faults.0.share=10%",
    )
    assert sound(run.result), run.result.why
    assert run.summary["operations"]["create"]["retransmitted"] > 10
    assert run.summary["sessions"]["completed"] == run.summary["sessions"]["started"] >= 200
    charged = Counter(row["subscriber"] for row in run.ledger())
    assert set(charged) == {row["subscriber"] for row in run.ledger()}
    assert len(charged) == 40
    assert len({row["key"] for row in run.ledger()}) == len(run.ledger()) == run.summary["sessions"]["started"]
    assert run.exact()
