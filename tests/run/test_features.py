"""What a profile may ask for besides the book, in runs with real processes against the sandbox: all of it balances."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from simulator.http2 import ServerRequest
from simulator.run.options import Result, RunError
from tests.http2.conftest import Certificates
from tests.run.rig import Follower, brief, conducted, peer, sandbox_process, sound, steady, units, url
from tests.world import CALL, MESSAGE, traffic

pytestmark = pytest.mark.anyio

FUNCTIONS = {"smf": {"kind": "SMF"}, "smsf": {"kind": "SMSF"}, "ims": {"kind": "IMS_Node"}}

LAB = {
    "path": "/charging/{version}/sessions",
    "location": "path",
    "first_sequence": 1,
    "subscriber": "msisdn-{msisdn}",
    "leave_out": ["supportedFeatures", "pDUSessionChargingInformation.userInformation"],
    "add": {"serviceSpecificationInfo": "lab-{tac}"},
}
"""A dialect of one's own, as in the README."""


def charged_once(result: Result) -> bool:
    """Everything was used, acknowledged and charged, and nothing besides."""
    assert sound(result), result.why
    assert result.summary["audit"]["balanced"] is True
    return units(result, "used") == units(result, "charged") == units(result, "acknowledged") != {}


@pytest.mark.parametrize(
    "fields",
    [
        {"release": "rel15"},
        {"release": "rel16"},
        {"dialect": "totogi", "tenant": "provider-1", "pace": 60},
        {"dialect": LAB},
        {"gzip": True},
        {"headers": {"sender_timestamp": True, "max_rsp_time": True, "correlation_info": True, "message_priority": 3}},
    ],
    ids=["rel15", "rel16", "totogi", "third", "gzip", "headers"],
)
async def test_releases_dialects_and_encodings_are_charged(fields: dict[str, Any]) -> None:
    load = {} if "pace" not in fields else {"load": {"rate": "20/s", "duration": "2s"}}
    assert charged_once(await conducted(brief(**load, **fields)))


async def test_calls_of_the_ims_messages_as_sessions_and_several_pdu_sessions_are_charged() -> None:
    usages = {
        "ims": CALL | {"network_function": "ims"},
        "ecur": MESSAGE | {"charging": "ECUR", "delivery": "2s"},
        "data": {
            "service": "data",
            "length": "30s",
            "sessions": 3,
            "create_without_units": True,
            "changes": [{"change": "handover", "at": "10s"}, {"change": "location", "every": "4s"}],
            "rating_groups": [
                {"rating_group": 300, "requested": "1MB", "throughput": "8Mbps"},
                {"rating_group": 310, "throughput": "1Mbps", "start": "5s", "length": "10s", "five_qi": 7},
            ],
        },
    }
    load = {"mode": "closed", "devices": 9, "sessions": 60, "duration": "10s"}
    profile = traffic(load, usages=usages, network_functions=FUNCTIONS, pace="flat-out", subscribers={"count": 9})
    result = await conducted(profile)
    assert charged_once(result)
    assert {name for name, usage in result.summary["usages"].items() if usage["completed"]} == set(usages)


# -- tokens -------------------------------------------------------------------------------------------------------------


async def test_tokens_are_fetched_renewed_early_and_renewed_when_they_are_revoked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LAB_SECRET", "open sesame")
    tokens = {"lifetime": "2s", "clients": {"fleet": "open sesame"}}
    with sandbox_process(tokens=tokens) as addresses:
        authentication = {
            "kind": "oauth2", "token_url": addresses["n40"] + "/oauth2/token", "client_id": "fleet",
            "client_secret": {"env": "LAB_SECRET"},
        }  # fmt: skip
        profile = steady(load={"duration": "4s"}, authentication=authentication, thresholds=["success >= 100%"])
        follower = Follower()
        async with anyio.create_task_group() as tasks:

            async def revoke() -> None:
                await follower.until(lambda totals: totals.run.count("requests", "update") > 50)
                async with httpx.AsyncClient(trust_env=False) as client:
                    assert (await client.post(addresses["management"] + "/tokens/revoke")).is_success

            tasks.start_soon(revoke)
            ledger = addresses["management"] + "/ledger"
            result = await conducted(profile, targets=[addresses["n40"]], ledger=ledger, observer=follower)
    assert charged_once(result)
    figures = result.summary["tokens"]
    assert figures["renewed"] >= 4  # twice by their lifetime, once after the revocation, for each of two functions
    assert figures["requested"] < 60, "a revocation makes each network function ask once, not each request"
    assert result.summary["answers_followed"]["401"] > 0
    assert result.summary["all"]["retransmitted"] == 0
    assert "open sesame" not in str(result.summary)


async def test_a_token_that_cannot_be_had_is_said_before_the_run_without_the_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LAB_SECRET", "wrong")
    with sandbox_process(tokens={"clients": {"fleet": "open sesame"}}) as addresses:
        authentication = {
            "kind": "oauth2", "token_url": addresses["n40"] + "/oauth2/token", "client_id": "fleet",
            "client_secret": {"env": "LAB_SECRET"},
        }  # fmt: skip
        with pytest.raises(RunError, match=r"token for smf-1: .* answered 401") as refused:
            await conducted(brief(authentication=authentication), targets=[addresses["n40"]])
    assert "wrong" not in str(refused.value)


async def test_a_static_token_comes_from_a_file(tmp_path: Path) -> None:
    with sandbox_process(tokens={"clients": {"fleet": "open sesame"}}) as addresses:
        form = {"grant_type": "client_credentials", "scope": "nchf-convergedcharging"}
        async with httpx.AsyncClient(http1=False, http2=True, trust_env=False) as client:
            answer = await client.post(
                addresses["n40"] + "/oauth2/token", data=form, auth=httpx.BasicAuth("fleet", "open sesame")
            )
        file = tmp_path / "token"
        file.write_text(answer.json()["access_token"] + "\n")
        file.chmod(0o600)
        authentication = {"kind": "token", "token": {"file": str(file)}}
        ledger = addresses["management"] + "/ledger"
        result = await conducted(brief(authentication=authentication), targets=[addresses["n40"]], ledger=ledger)
    assert charged_once(result)


async def test_a_chf_that_sends_the_fleet_elsewhere_does_not_take_the_token_along(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("abc\n")
    file.chmod(0o600)
    tokens: dict[str, list[bytes | None]] = {"target": [], "elsewhere": []}

    def elsewhere(request: ServerRequest) -> None:
        tokens["elsewhere"].append(request.header(b"authorization"))
        request.respond(503, [], b"")

    async with peer(elsewhere) as other:

        def target(request: ServerRequest) -> None:
            tokens["target"].append(request.header(b"authorization"))
            request.respond(307, [(b"location", url(other).encode() + request.path)], b"")

        async with peer(target) as server:
            authentication = {"kind": "token", "token": {"file": str(file)}}
            await conducted(brief(authentication=authentication), targets=[url(server)])
    assert set(tokens["target"]) == {b"Bearer abc"}
    assert set(tokens["elsewhere"]) == {None}


# -- notifications ------------------------------------------------------------------------------------------------------


async def test_the_sandbox_notifies_every_session_of_every_worker() -> None:
    follower = Follower()
    profile = steady(load={"duration": "4s"})
    with sandbox_process() as addresses:
        async with anyio.create_task_group() as tasks:

            async def notify() -> None:
                await follower.until(lambda totals: totals.gauge("sessions_open") >= 90)
                async with httpx.AsyncClient(base_url=addresses["management"], trust_env=False) as client:
                    for kind, share in (("REAUTHORIZATION", 1.0), ("ABORT_CHARGING", 0.5)):
                        storm = {"share": share, "rate": 2000, "type": kind}
                        assert (await client.post("/notify", json=storm)).is_success
                        await anyio.sleep(0.5)

            tasks.start_soon(notify)
            ledger = addresses["management"] + "/ledger"
            result = await conducted(profile, targets=[addresses["n40"]], ledger=ledger, observer=follower, workers=2)
    assert charged_once(result)
    notifies = result.summary["notifies"]
    answered = {kind: sum(n for name, n in notifies.items() if name.startswith(kind)) for kind in ("REAUTH", "ABORT")}
    assert answered["REAUTH"] >= 90
    assert answered["ABORT"] >= 40
    assert not [name for name in notifies if name.endswith("404")], notifies
    assert not [note for note in result.summary["notes"] if "notifications" in note]


async def test_notifications_that_cannot_be_delivered_are_noted_with_the_reason(certificates: Certificates) -> None:
    """The fleet's certificate is that of a CA which the sandbox does not know."""
    follower = Follower()
    certificate, key = (str(file) for file in certificates.server_files)
    notify = {"tls": {"certificate": certificate, "key": key}}
    profile = steady(load={"duration": "3s"}, notify=notify)
    with sandbox_process() as addresses:
        storm = {"share": 1.0, "rate": 2000, "type": "REAUTHORIZATION"}
        async with anyio.create_task_group() as tasks:

            async def blow() -> None:
                await follower.until(lambda totals: totals.gauge("sessions_open") >= 50)
                async with httpx.AsyncClient(base_url=addresses["management"], trust_env=False) as client:
                    assert (await client.post("/notify", json=storm)).is_success

            tasks.start_soon(blow)
            ledger = addresses["management"] + "/ledger"
            result = await conducted(profile, targets=[addresses["n40"]], ledger=ledger, observer=follower)
        again = await conducted(brief(), targets=[addresses["n40"]], ledger=ledger)
    (note,) = [each for each in result.summary["notes"] if "notifications" in each]
    assert re.fullmatch(r"\d+ notifications of the CHF could not be delivered: .*certificate is not trusted.*", note), (
        note
    )
    assert not [each for each in again.summary["notes"] if "notifications" in each], "it counts its own"
