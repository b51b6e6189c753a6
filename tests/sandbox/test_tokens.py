"""Bearer tokens: given out, asked for, expired, revoked."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from simulator.sandbox import Chf, Reply, tokens
from simulator.sandbox.tokens import Tokens
from tests.sandbox.smf import COLLECTION, HEADERS, SECOND, Said, Smf, ask, message, plan

FORM = (b"content-type", b"application/x-www-form-urlencoded")
NF = {
    "grant_type": "client_credentials",
    "nfInstanceId": "6f1c6b3e-2f7a-4c39-9d3b-0d8c1a2b3c4d",
    "nfType": "SMF",
    "targetNfType": "CHF",
    "scope": "nchf-convergedcharging",
}
CLIENTS = {"smf": "s3cret:é"}


class Guarded(Smf):
    """An SMF at a charging function that asks for tokens."""

    def __init__(self, lifetime_s: float = 60, clients: dict[str, str] | None = None) -> None:
        super().__init__(Chf(plan(), tokens=Tokens(lifetime_s, clients)))

    def ask_token(self, form: Any = None, *headers: tuple[bytes, bytes], method: bytes = b"POST") -> Reply:
        body = form if isinstance(form, bytes) else urlencode(NF if form is None else form).encode()
        return self.chf.handle(method, b"/oauth2/token", headers or [FORM], body, self.now)

    def token(self) -> bytes:
        reply = self.ask_token()
        assert reply.status == 200
        token: str = orjson.loads(reply.body)["access_token"]
        return token.encode()

    def charge(self, authorization: bytes | None) -> Said:
        headers = HEADERS if authorization is None else [*HEADERS, (b"authorization", authorization)]
        body = orjson.dumps(message(0, [ask(300)], pDUSessionChargingInformation={"chargingId": self.now}))
        return Said(self.chf.handle(b"POST", COLLECTION, headers, body, self.now))


def basic(credentials: str) -> tuple[bytes, bytes]:
    return b"authorization", b"Basic " + base64.b64encode(credentials.encode())


def test_a_network_function_gets_a_token_and_charges_with_it() -> None:
    smf = Guarded()
    reply = smf.ask_token()
    answer = orjson.loads(reply.body)
    assert reply.header(b"content-type") == b"application/json"
    assert reply.header(b"cache-control") == b"no-store"
    assert answer | {"token_type": "Bearer", "expires_in": 60, "scope": "nchf-convergedcharging"} == answer
    assert smf.charge(b"Bearer " + answer["access_token"].encode()).status == 201
    assert smf.charge(b"bearer  " + answer["access_token"].encode()).status == 201


@pytest.mark.parametrize("authorization", [None, b"", b"Bearer", b"Bearer ", b"Bearer x", b"Basic x", b"\xff"])
def test_without_a_token_nothing_is_charged(authorization: bytes | None) -> None:
    smf = Guarded()
    smf.token()
    said = smf.charge(authorization)
    assert (said.status, said.cause) == (401, None)
    assert said.reply.header(b"www-authenticate") == b'Bearer error="invalid_token"'
    assert len(smf.chf.accounts) == 0
    assert smf.chf.requests["create", 401] == 1


def test_a_token_expires() -> None:
    smf = Guarded(lifetime_s=60)
    token = b"Bearer " + smf.token()
    smf.now += 60 * SECOND - 1
    assert smf.charge(token).status == 201
    smf.now += 1
    assert smf.charge(token).status == 401
    assert smf.charge(b"Bearer " + smf.token()).status == 201


def test_all_tokens_can_be_revoked() -> None:
    smf = Guarded()
    first, second = smf.token(), smf.token()
    assert first != second
    assert smf.chf.tokens is not None
    assert smf.chf.tokens.revoke() == 2
    assert smf.charge(b"Bearer " + first).status == 401
    assert smf.charge(b"Bearer " + smf.token()).status == 201


def test_tokens_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MAX_TOKENS", 3)
    smf = Guarded()
    given = [smf.token() for _ in range(5)]
    assert [smf.charge(b"Bearer " + token).status for token in given] == [401, 401, 201, 201, 201]


def test_expired_tokens_are_forgotten() -> None:
    smf = Guarded(lifetime_s=1)
    for _ in range(50):
        smf.token()
        smf.now += SECOND
    assert smf.chf.tokens is not None
    assert smf.chf.tokens.valid(smf.now) == 0
    assert smf.chf.tokens.revoke() <= 2


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"grant_type": None}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"scope": "nsmf-pdusession"}, "invalid_scope"),
        ({"nfInstanceId": None}, "invalid_request"),
        ({"targetNfType": "PCF"}, "invalid_request"),
    ],
)
def test_a_wrong_request_is_refused_as_oauth_says(change: dict[str, str | None], error: str) -> None:
    smf = Guarded()
    form = {name: value for name, value in (NF | change).items() if value is not None}
    reply = smf.ask_token(form)
    assert (reply.status, orjson.loads(reply.body)["error"]) == (400, error)
    assert smf.chf.requests["token", 400] == 1


@pytest.mark.parametrize(
    "form",
    [
        b"",
        b"\xff",
        b"grant_type=client_credentials&grant_type=client_credentials&nfInstanceId=1",
        b"a=1&" * 100 + urlencode(NF).encode(),
        urlencode(NF).encode() + b"&x=" + b"x" * 10_000,
    ],
)
def test_a_form_that_cannot_be_used_is_refused(form: bytes) -> None:
    reply = Guarded().ask_token(form)
    assert (reply.status, orjson.loads(reply.body)["error"]) == (400, "invalid_request")


def test_a_token_is_asked_for_with_a_form_and_post() -> None:
    smf = Guarded()
    assert smf.ask_token(None, (b"content-type", b"application/json")).status == 400
    assert smf.ask_token(None, (b"accept", b"*/*")).status == 400
    assert smf.ask_token(method=b"GET").status == 405
    assert smf.ask_token(None, (b"content-type", b"Application/X-www-form-urlencoded; charset=utf-8")).status == 200


def test_clients_authenticate_themselves() -> None:
    smf = Guarded(clients=CLIENTS)
    short = {"grant_type": "client_credentials"}
    assert smf.ask_token(short, FORM, basic("smf:s3cret:é")).status == 200
    assert smf.ask_token(short | {"client_id": "smf", "client_secret": "s3cret:é"}).status == 200


@pytest.mark.parametrize("credentials", ["smf:wrong", "smg:s3cret:é", "smf", ":", "smf:", "é:é"])
def test_a_client_that_is_not_known_gets_none(credentials: str) -> None:
    reply = Guarded(clients=CLIENTS).ask_token(NF, FORM, basic(credentials))
    assert (reply.status, orjson.loads(reply.body)["error"]) == (401, "invalid_client")
    assert (reply.header(b"www-authenticate") or b"").startswith(b"Basic")


@pytest.mark.parametrize("authorization", [b"", b"Basic", b"Basic !", b"Bearer eA==", b"Basic /w=="])
def test_an_authorization_that_cannot_be_read_gets_none(authorization: bytes) -> None:
    reply = Guarded(clients=CLIENTS).ask_token(NF, FORM, (b"authorization", authorization))
    assert (reply.status, orjson.loads(reply.body)["error"]) == (401, "invalid_client")


def test_where_there_are_clients_an_instance_alone_gets_none() -> None:
    assert Guarded(clients=CLIENTS).ask_token().status == 401


def test_where_no_tokens_are_needed_none_are_given_out(smf: Smf) -> None:
    assert smf.chf.handle(b"POST", b"/oauth2/token", [FORM], urlencode(NF).encode(), smf.now).status == 404
