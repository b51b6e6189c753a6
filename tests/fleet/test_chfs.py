"""The CHFs of a run in virtual time: which one gets a new session, which are down, and where a session may go."""

from __future__ import annotations

from simulator.fleet.chfs import Chf, Chfs, Destination
from simulator.n40.overload import OverloadInformation

MS = 1_000_000
SECOND = 1_000 * MS


class Told:
    """CHFs and what was told about them."""

    def __init__(self, count: int = 2) -> None:
        self.said: list[tuple[int, str]] = []
        destinations = [Destination(scheme=b"http", authority=b"chf-%d" % number) for number in range(1, count + 1)]
        self.chfs = Chfs(destinations, down_after=3, recheck=5 * SECOND, tell=self._tell)

    def _tell(self, chf: Chf, what: str) -> None:
        self.said.append((chf.number, what))

    def fails(self, place: int, *moments: int) -> None:
        for moment in moments:
            self.chfs.on_failure(self.chfs.all[place], "TIMEOUT", moment)


def test_failures_of_one_moment_are_one_failure():
    told = Told()
    told.fails(0, *[SECOND] * 100, SECOND + 9 * MS)
    assert (told.chfs.choose(2 * SECOND), told.said) == (0, [])
    told.fails(0, SECOND + 20 * MS, SECOND + 30 * MS)
    assert told.said == [(1, "is down: 3 failures in a row, the last one TIMEOUT")]
    assert told.chfs.choose(2 * SECOND) == 1


def test_one_that_is_down_is_asked_again_once_per_recheck_and_gets_new_sessions_when_it_answers():
    told = Told()
    told.fails(0, 0, SECOND, 2 * SECOND)
    assert [told.chfs.choose(moment * SECOND) for moment in (3, 7, 7, 8)] == [1, 0, 1, 1]
    told.chfs.on_life(told.chfs.all[0])
    assert told.chfs.choose(8 * SECOND) == 0
    assert told.said[-1] == (1, "is back")


def test_only_failures_in_a_row_make_one_count_as_down():
    told = Told()
    told.fails(0, 0, SECOND)
    told.chfs.on_life(told.chfs.all[0])
    told.fails(0, 2 * SECOND, 3 * SECOND)
    assert (told.chfs.choose(4 * SECOND), told.said) == (0, [])


def test_older_overload_information_does_not_replace_newer():
    told = Told()
    chf = told.chfs.all[0]
    for timestamp, reduction in ((2.0, 40), (1.0, 90), (2.0, 90)):
        told.chfs.on_overload(chf, OverloadInformation(timestamp, 3.0, reduction), SECOND)
    assert chf.spared(SECOND) == 40
    told.chfs.on_overload(chf, OverloadInformation(2.5, 3.0, 0), SECOND)
    assert not told.chfs.throttles(0, b"key", SECOND), "0 % ends it"


def test_reports_to_one_that_is_down_have_a_refuge_as_long_as_another_is_up():
    told = Told(3)
    assert told.chfs.refuge(0, 0) is None, "it is up"
    told.fails(0, 0, SECOND, 2 * SECOND)
    assert told.chfs.refuge(0, 3 * SECOND) == 1
    told.fails(1, 0, SECOND, 2 * SECOND)
    assert told.chfs.refuge(0, 3 * SECOND) == 2
    told.fails(2, 0, SECOND, 2 * SECOND)
    assert told.chfs.refuge(0, 3 * SECOND) is None, "none is better"
    told.chfs.on_life(told.chfs.all[0])
    assert told.chfs.refuge(0, 3 * SECOND) is None


def test_new_sessions_leave_one_alone_that_asked_for_it_where_another_is_up():
    told = Told()
    told.chfs.on_retry_after(told.chfs.all[0], 10 * SECOND, 0)
    assert (told.chfs.choose(SECOND), told.chfs.choose(10 * SECOND)) == (1, 0)
    told.chfs.on_retry_after(told.chfs.all[1], 10 * SECOND, 0)
    assert told.chfs.choose(SECOND) == 0, "both did"
    assert told.chfs.throttles(0, b"key", SECOND)


def test_how_much_a_chf_wants_to_be_spared_shows_until_its_time_is_over():
    told = Told()
    first, second = told.chfs.all
    told.chfs.on_overload(first, OverloadInformation(timestamp=1.0, validity_s=3.0, reduction=40), SECOND)
    told.chfs.on_retry_after(second, 2 * SECOND, SECOND)
    assert [(first.spared(at * SECOND), second.spared(at * SECOND)) for at in (1, 2, 3, 4)] == [
        (40, 100),
        (40, 100),
        (40, 0),
        (0, 0),
    ]


def test_a_request_is_not_sent_on_to_a_chf_that_is_known_to_be_down() -> None:
    chfs = Chfs(
        [Destination(scheme=b"http", authority=b"chf%d:80" % number) for number in range(3)],
        down_after=1,
        recheck=5 * SECOND,
        tell=lambda chf, what: None,
    )
    now = 1_000 * SECOND
    assert [chfs.next_after(0, tried, now) for tried in range(3)] == [1, 1, None]
    chfs.on_failure(chfs.all[1], "TIMEOUT", now)
    assert chfs.next_after(0, 0, now) == 2
    chfs.on_failure(chfs.all[2], "TIMEOUT", now)
    assert chfs.next_after(0, 0, now) is None
    assert chfs.next_after(0, 0, now + 5 * SECOND) == 1  # it is time to find out
