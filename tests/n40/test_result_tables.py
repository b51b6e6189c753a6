"""The result tables of N40, row by row: what a session does about each result code and each cause, whatever wraps it."""

from __future__ import annotations

import orjson
import pytest

from simulator.n40 import End, FailurePolicy, Handling, Operation
from simulator.n40.rating_group import State
from tests.n40.trace import MB, S, Smf, data, granted, voice

WRAPPINGS = (200, 400, 403, 404, 500, 503, 504)
"""Statuses that CHFs were seen to choose, or might."""


def opened(**more: object) -> Smf:
    """A session with 10 MB of data, and a call, that has used its data and asks for more."""
    smf = Smf(data(), voice(), release_when_denied=False, **more)  # type: ignore[arg-type]
    smf.starts()
    smf.chf.answers(granted(300, octets=10 * MB), granted(100, seconds=10_000))
    update = smf.sends()
    assert (update.at, update.trigger(300)) == (10 * S, "QUOTA_EXHAUSTED")
    return smf


def say(smf: Smf, cause: str, status: int) -> None:
    """The CHF says a cause: as a problem, as a ChargingDataResponse, or wrapped in a status of success."""
    if status == 200:
        document = {"invocationTimeStamp": "2026-11-22T10:00:00Z", "invocationResult": {"error": {"cause": cause}}}
    elif status == 403:
        document = {"invocationResult": {"error": {"cause": cause, "status": status}}}
    else:
        document = {"cause": cause, "status": status}
    smf.chf.says(status, orjson.dumps(document), location=None)


# -- per rating group ---------------------------------------------------------------------------------------------------


def test_success_uses_the_grant() -> None:
    smf = opened()
    smf.chf.grants(300, octets=5 * MB)
    assert smf.sends().at == 15 * S


@pytest.mark.parametrize(
    "code", ["RATING_FAILED", "QUOTA_LIMIT_REACHED", "END_USER_SERVICE_DENIED", "END_USER_SERVICE_REJECTED"]
)
def test_a_denial_drops_that_rating_group_until_a_notify(code: str) -> None:
    smf = opened()
    smf.chf.answers(granted(300, code=code))
    smf.is_quiet_until(100 * S)
    assert (smf.used(300), smf.groups[300].code, smf.groups[100].state) == (10 * MB, code, State.GRANTED)
    smf.is_notified(300, at=100 * S)
    assert smf.used(100) == 100  # the call went on
    assert smf.sends().asks(300)


def test_quota_management_not_applicable_counts_without_quota() -> None:
    smf = opened()
    smf.chf.answers(granted(300, code="QUOTA_MANAGEMENT_NOT_APPLICABLE"))
    smf.is_quiet_until(100 * S)
    smf.stops()
    release = smf.sends()
    assert release.used(300) == 90 * MB
    assert release.container(300)["quotaManagementIndicator"] == "OFFLINE_CHARGING"


# -- per request --------------------------------------------------------------------------------------------------------

NO_SERVICE = (
    "CHARGING_FAILED", "RE_AUTHORIZATION_FAILED", "END_USER_REQUEST_DENIED", "END_USER_REQUEST_REJECTED", "USER_UNKNOWN",
)  # fmt: skip


@pytest.mark.parametrize("status", WRAPPINGS)
@pytest.mark.parametrize("cause", NO_SERVICE)
def test_no_service_ends_the_session(cause: str, status: int) -> None:
    smf = Smf(data())
    smf.starts()
    say(smf, cause, status)
    assert smf.end is End.DENIED
    smf = opened()
    say(smf, cause, status)
    assert smf.sends().operation is Operation.RELEASE
    smf.chf.answers()
    assert smf.end is End.DENIED


@pytest.mark.parametrize("status", WRAPPINGS)
def test_charging_not_applicable_goes_on_uncharged(status: int) -> None:
    for smf in (Smf(data()), opened()):
        if smf.session.outstanding is None:
            smf.starts()
        say(smf, "CHARGING_NOT_APPLICABLE", status)
        smf.is_quiet_until(100 * S)
        smf.stops()
        assert smf.end is End.UNCHARGED
        assert smf.used(300) >= 90 * MB


@pytest.mark.parametrize("status", WRAPPINGS)
def test_no_credit_on_update_drops_online_traffic_until_a_notify(status: int) -> None:
    smf = opened()
    say(smf, "QUOTA_LIMIT_REACHED", status)
    smf.is_quiet_until(100 * S)
    smf.is_notified(at=100 * S)
    assert (smf.used(300), smf.used(100)) == (10 * MB, 100)
    update = smf.sends()
    assert (update.trigger(300), update.asks(300)) == ("FORCED_REAUTHORISATION", True)


@pytest.mark.parametrize("status", WRAPPINGS)
def test_no_credit_on_create_tries_again_after_a_back_off(status: int) -> None:
    smf = Smf(data(), retry_after=45 * S)
    smf.starts()
    say(smf, "QUOTA_LIMIT_REACHED", status)
    create = smf.sends()
    assert (create.at, create.operation) == (45 * S, Operation.CREATE)
    assert smf.used(300) == 0


@pytest.mark.parametrize("status", WRAPPINGS)
def test_an_unknown_session_gets_a_new_create_while_the_pdu_session_lives(status: int) -> None:
    smf = opened()
    say(smf, "CONTEXT_NOT_FOUND", status)
    create = smf.sends()
    assert (create.at, create.operation) == (10 * S, Operation.CREATE)


@pytest.mark.parametrize("status", [404, 410])
def test_so_does_a_bare_404_or_410(status: int) -> None:
    smf = opened()
    smf.chf.refuses(status)
    assert smf.sends().operation is Operation.CREATE
    smf = opened()
    smf.chf.grants(300, octets=5 * MB)
    smf.stops(12 * S)
    smf.sends()
    smf.chf.refuses(status)
    assert smf.end is End.GONE


def test_404_to_a_repeated_release_is_released_in_doubt() -> None:
    smf = opened()
    smf.chf.grants(300, octets=5 * MB)
    smf.stops(12 * S)
    smf.sends()
    smf.chf.refuses(404, repeats=1)
    record = smf.records()[300]
    assert (smf.end, record.doubt, record.acknowledged) == (End.GONE, 2 * MB, 10 * MB)


@pytest.mark.parametrize("status", [400, 402, 405, 406, 411, 413, 415, 422])
def test_a_message_that_was_wrong_ends_the_session(status: int) -> None:
    smf = opened(failure=FailurePolicy(handling=Handling.CONTINUE))
    smf.chf.refuses(status, "MANDATORY_IE_INCORRECT")
    assert smf.sends().operation is Operation.RELEASE
    smf.chf.answers()
    assert smf.end is End.FAILED


@pytest.mark.parametrize("status", [307, 308, 401, 408, 429, 500, 502, 503, 504, 511])
def test_anything_else_is_left_to_failure_handling(status: int) -> None:
    smf = opened(failure=FailurePolicy(handling=Handling.CONTINUE))
    smf.chf.refuses(status, "NF_CONGESTION")
    again = smf.sends()
    assert (again.at, again.operation) == (20 * S, Operation.UPDATE)  # told again, after ten seconds
    smf = opened()
    smf.chf.refuses(status)
    assert smf.sends().operation is Operation.RELEASE


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"[]"])
def test_so_is_an_answer_that_cannot_be_read(body: bytes) -> None:
    smf = opened(failure=FailurePolicy(handling=Handling.CONTINUE))
    smf.chf.says(200, body)
    again = smf.sends()
    assert (again.at, again.request.repeated) == (20 * S, True)
