"""When a token is asked for and renewed, in virtual time."""

from __future__ import annotations

import pytest

from simulator.fleet.token_life import (
    BACKOFF_MAX_S,
    NEVER,
    NS_PER_S,
    AccessToken,
    TokenLife,
    TokenState,
    TokenStatistics,
)

SECOND = 1_000_000_000


class Smf:
    """A network function and its token server, in one clock."""

    def __init__(self, *, draw: float = 0.0) -> None:
        self.life = TokenLife(0.8, lambda: draw)
        self.now = 1_000 * SECOND
        self.start = self.now
        self.heard: list[bool] = []

    def asks(self) -> None:
        self.life.begin()

    def gets(self, value: str = "a", lifetime_s: float | None = 100.0) -> None:
        self.life.received(AccessToken(value=value, lifetime_s=lifetime_s), self.now)

    def gets_none(self) -> None:
        self.life.failed(self.now)

    def passes(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)

    def is_refused(self, generation: int) -> None:
        self.life.on_unauthorized(generation, self.now, self.heard.append)

    @property
    def asks_again_after(self) -> float:
        return (self.life.next_request - self.now) / SECOND

    def with_a_token(self) -> Smf:
        self.asks()
        self.gets()
        return self


def test_without_a_token_there_is_no_header() -> None:
    smf = Smf()
    assert (smf.life.state, smf.life.header, smf.life.generation) == (TokenState.NONE, None, 0)
    smf.asks()
    assert (smf.life.state, smf.life.header) == (TokenState.RENEWING, None)
    smf.gets("first")
    assert (smf.life.state, smf.life.header) == (TokenState.VALID, (b"authorization", b"Bearer first"))
    assert smf.life.generation == 1


def test_a_token_is_renewed_after_the_share_of_its_life_and_never_later() -> None:
    assert Smf(draw=0.0).with_a_token().asks_again_after == pytest.approx(80)
    assert Smf(draw=0.5).with_a_token().asks_again_after == pytest.approx(75)
    assert Smf(draw=0.999).with_a_token().asks_again_after >= 70


def test_a_token_that_lives_for_a_moment_is_not_renewed_more_than_once_a_second() -> None:
    smf = Smf()
    smf.asks()
    smf.gets(lifetime_s=0.01)
    assert smf.asks_again_after == 1


def test_a_token_of_unknown_lifetime_is_kept_until_it_is_refused() -> None:
    smf = Smf()
    smf.asks()
    smf.gets(lifetime_s=None)
    assert smf.life.next_request == NEVER
    smf.passes(100_000)
    smf.is_refused(1)
    assert smf.life.next_request == smf.now


def test_the_present_token_stays_in_use_while_the_next_one_is_asked_for_or_cannot_be_had() -> None:
    smf = Smf().with_a_token()
    smf.passes(80)
    smf.asks()
    assert smf.life.header == (b"authorization", b"Bearer a")
    smf.gets_none()
    assert (smf.life.state, smf.life.header, smf.life.generation) == (
        TokenState.FAILED,
        (b"authorization", b"Bearer a"),
        1,
    )
    smf.asks()
    smf.gets("b")
    assert (smf.life.header, smf.life.generation) == ((b"authorization", b"Bearer b"), 2)


def test_failures_are_followed_by_longer_and_longer_waits_with_jitter() -> None:
    waits: dict[float, list[float]] = {}
    for draw in (0.0, 0.999_999):
        smf = Smf(draw=draw)
        for _ in range(8):
            smf.asks()
            smf.gets_none()
            waits.setdefault(draw, []).append(round(smf.asks_again_after, 2))
            smf.passes(smf.asks_again_after)
    assert waits[0.0] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert waits[0.999_999] == [1, 2, 4, 8, 16, 32, BACKOFF_MAX_S, BACKOFF_MAX_S]


def test_a_success_makes_the_next_wait_short_again() -> None:
    smf = Smf()
    for _ in range(5):
        smf.asks()
        smf.gets_none()
    smf.asks()
    smf.gets()
    smf.passes(80)
    smf.asks()
    smf.gets_none()
    assert smf.asks_again_after == 0.5


def test_however_many_requests_are_refused_there_is_one_renewal() -> None:
    smf = Smf().with_a_token()
    smf.passes(10)
    for _ in range(1_000):
        smf.is_refused(1)
    assert smf.asks_again_after == 0
    smf.asks()
    for _ in range(1_000):
        smf.is_refused(1)
    assert smf.heard == []
    smf.gets("b")
    assert smf.heard == [True] * 2_000
    assert smf.life.statistics() == TokenStatistics(requested=2, renewed=1, failed=0, refused=2_000)


def test_requests_that_were_sent_with_an_older_token_cause_no_renewal() -> None:
    smf = Smf().with_a_token()
    smf.passes(80)
    smf.asks()
    smf.gets("b")
    due = smf.life.next_request
    smf.passes(20)
    smf.is_refused(1)
    assert smf.heard == [True]
    assert smf.life.next_request == due


def test_a_refusal_joins_the_renewal_that_is_under_way() -> None:
    smf = Smf().with_a_token()
    smf.passes(80)
    smf.asks()
    smf.is_refused(1)
    smf.gets_none()
    assert smf.heard == [False]


def test_a_token_that_is_refused_as_soon_as_it_is_there_is_renewed_when_it_is_a_second_old() -> None:
    smf = Smf().with_a_token()
    issued = smf.now
    smf.passes(0.4)
    smf.is_refused(1)
    assert (smf.heard, smf.life.next_request) == ([], issued + NS_PER_S)
    smf.passes(0.8)
    smf.is_refused(1)
    assert smf.life.next_request == smf.now


def test_a_refusal_does_not_shorten_the_wait_after_a_failure() -> None:
    smf = Smf().with_a_token()
    smf.passes(80)
    smf.asks()
    smf.gets_none()
    due = smf.life.next_request
    smf.is_refused(1)
    assert (smf.heard, smf.life.next_request) == ([False], due)


def test_who_waits_when_it_is_closed_hears_so_once() -> None:
    smf = Smf().with_a_token()
    smf.passes(10)
    smf.is_refused(1)
    smf.life.close()
    smf.life.close()
    assert (smf.heard, smf.life.next_request) == ([False], NEVER)


def test_two_renewals_at_a_time_are_a_mistake_of_ours() -> None:
    smf = Smf()
    smf.asks()
    with pytest.raises(AssertionError, match="one renewal at a time"):
        smf.asks()


def test_the_token_is_in_no_text() -> None:
    assert "s3cret" not in repr(AccessToken(value="s3cret", lifetime_s=1))
