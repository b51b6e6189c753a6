"""How a profile says where secrets are, and that it never holds one; and who may have a token."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from simulator.config import ConfigError, Profile, load_profile, profile_json_schema
from simulator.config.security import NoAuthentication, OAuth2, Secret, StaticToken, TokenAudience
from tests.config.test_loading import GOOD

SECRET = "s3cret-of-the-fleet"
NRF = "token_url: http://nrf.example:8000/oauth2/token"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(here: Path, authentication: str, *overrides: str) -> Profile:
    (here / "x.yaml").write_text(f"{GOOD}authentication: {authentication}\n", encoding="utf-8")
    return load_profile("x.yaml", overrides)


def problem(here: Path, authentication: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(here, authentication, *overrides)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    (line,) = caught.value.problems
    return line


def test_without_a_word_there_is_no_authentication(here: Path) -> None:
    (here / "x.yaml").write_text(GOOD, encoding="utf-8")
    assert load_profile("x.yaml").authentication == NoAuthentication()
    assert load(here, "{kind: none}").authentication == NoAuthentication()


def test_a_token_from_elsewhere(here: Path) -> None:
    profile = load(here, "{kind: token, token: {env: CHF_TOKEN}, allowed_hosts: [chf-2.example, '[::1]:8443']}")
    assert profile.authentication == StaticToken(
        kind="token", token=Secret(env="CHF_TOKEN"), allowed_hosts=["chf-2.example", "[::1]:8443"]
    )


def test_oauth2_as_at_an_nrf_needs_no_more_than_its_url(here: Path) -> None:
    authentication = load(here, f"{{kind: oauth2, {NRF}}}").authentication
    assert isinstance(authentication, OAuth2)
    assert (authentication.scope, authentication.target_nf_type) == ("nchf-convergedcharging", "CHF")
    assert (authentication.client_id, authentication.client_secret) == (None, None)
    assert authentication.renew_at == 0.8


def test_a_secret_in_a_file_is_beside_the_profile(here: Path) -> None:
    (here / "lab").mkdir()
    (here / "lab" / "x.yaml").write_text(
        f"{GOOD}authentication: {{kind: oauth2, {NRF}, client_id: fleet, client_secret: {{file: nrf.secret}}}}\n"
    )
    (here / "lab" / "nrf.secret").write_text(f"{SECRET}\n")
    authentication = load_profile("lab/x.yaml").authentication
    assert isinstance(authentication, OAuth2)
    assert authentication.client_secret is not None
    assert authentication.client_secret.read() == SECRET


LITERAL = "a secret does not belong in a profile: expected {env: NAME} or {file: PATH}, which say where the secret is"


@pytest.mark.parametrize(
    ("authentication", "expected"),
    [
        (f"{{kind: token, token: {SECRET}}}", f"authentication.token: {LITERAL}"),
        (f"{{kind: token, token: [{SECRET}]}}", f"authentication.token: {LITERAL}"),
        (
            f"{{kind: oauth2, {NRF}, client_id: fleet, client_secret: {SECRET}}}",
            f"authentication.client_secret: {LITERAL}",
        ),
        (SECRET, "authentication: expected a mapping with kind: none, token or oauth2"),
        (f"{{token: {SECRET}}}", "authentication.kind: is missing: expected one of none, token, oauth2"),
        (f"{{kind: oauth, token: {SECRET}}}", 'authentication.kind: no kind "oauth", did you mean "oauth2"?'),
        (f"{{kind: none, token: {SECRET}}}", 'authentication.token: unknown key "token": expected one of kind'),
        (
            f"{{kind: oauth2, client_id: fleet, client_secret: {{value: {SECRET}}}, {NRF}}}",
            'authentication.client_secret.value: unknown key "value": expected one of env, file',
        ),
        (
            f"{{kind: token, token: {{env: '{SECRET}'}}}}",
            "authentication.token.env: expected the name of an environment variable",
        ),
        (f"{{kind: token, token: {{env: A, file: {SECRET}}}}}", "authentication.token: expected {env: NAME} or {file: PATH}"),
        ("{kind: token, token: {}}", "authentication.token: expected {env: NAME} or {file: PATH}"),
        ("{kind: token}", "authentication.token: is missing"),
        ("{kind: oauth2}", "authentication.token_url: is missing"),
        (
            f"{{kind: oauth2, token_url: 'http://fleet:{SECRET}@nrf/token'}}",
            "authentication.token_url: credentials do not belong in a URL: say client_id and client_secret",
        ),
        (
            f"{{kind: oauth2, token_url: 'http://nrf/token?secret={SECRET}'}}",
            "authentication.token_url: expected a URL without query",
        ),
        (
            f"{{kind: oauth2, token_url: 'nrf/{SECRET}'}}",
            "authentication.token_url: expected a URL such as http://nrf.example:8000/oauth2/token",
        ),
        (
            f"{{kind: oauth2, {NRF}, client_id: fleet}}",
            "authentication: client_id and client_secret belong together: give both or neither",
        ),
        (f"{{kind: oauth2, {NRF}, renew_at: 100%}}", "authentication.renew_at: expected at most 0.95"),
        (f"{{kind: oauth2, {NRF}, allowed_hosts: ['http://a']}}", "authentication.allowed_hosts.0: expected a host"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_that_quotes_no_secret(here: Path, authentication: str, expected: str) -> None:
    line = problem(here, authentication)
    assert line.startswith(f"x.yaml:22: {expected}")


def test_a_secret_on_the_command_line_is_refused_and_not_repeated(here: Path) -> None:
    line = problem(here, "{kind: none}", f"authentication={{kind: token, token: {SECRET}}}")
    assert line == f"--set authentication=…: authentication.token: {LITERAL}"


def test_pydantics_own_error_quotes_nothing() -> None:
    """From Python a profile can be made without a file."""
    for wrong in ({"kind": "token", "token": SECRET}, {"kind": "oauth2", "client_secret": SECRET}):
        with pytest.raises(ValidationError) as caught:
            Profile.model_validate({"authentication": wrong})
        assert SECRET not in str(caught.value)
        assert SECRET not in repr(caught.value)


def test_a_checked_profile_holds_no_secret(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NRF_SECRET", SECRET)
    (here / "token").write_text(SECRET)
    for authentication in (
        f"{{kind: oauth2, {NRF}, client_id: fleet, client_secret: {{env: NRF_SECRET}}}}",
        "{kind: token, token: {file: token}}",
    ):
        profile = load(here, authentication)
        for text in (repr(profile), str(profile), profile.model_dump_json(), repr(profile.model_dump())):
            assert SECRET not in text
        again = Profile.model_validate(profile.model_dump(mode="json"))
        assert again.authentication == profile.authentication


def test_the_schema_for_editors_knows_it() -> None:
    schema = profile_json_schema()
    assert {"Secret", "OAuth2", "StaticToken", "NoAuthentication"} <= set(schema["$defs"])


# -- reading ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "secret"), [("abc", "abc"), ("abc\n", "abc"), ("abc\r\n", "abc"), ("é", "é"), ("a b ", "a b ")]
)
def test_one_newline_at_the_end_is_no_part_of_it(
    here: Path, monkeypatch: pytest.MonkeyPatch, content: str, secret: str
) -> None:
    (here / "secret").write_bytes(content.encode())
    monkeypatch.setenv("A_SECRET", content)
    assert Secret(file="secret").read() == Secret(env="A_SECRET").read() == secret


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"a\n\n", "holds a line break or another control character"),
        (b"a\nb", "holds a line break or another control character"),
        (b"\xff", "is not UTF-8 text"),
        (bytes(70_000), "is larger than 65,536 octets"),
    ],
)
def test_what_is_no_secret_is_named_by_its_file(here: Path, content: bytes, expected: str) -> None:
    (here / "secret").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        Secret(file="secret").read()
    assert str(caught.value) == f"authentication: the file secret {expected}"


def test_a_place_with_nothing_is_named(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("A_SECRET", raising=False)
    for secret, expected in (
        (Secret(file="none"), "authentication: the file none cannot be read: No such file or directory"),
        (Secret(file="."), "authentication: the file . cannot be read: Is a directory"),
        (Secret(env="A_SECRET"), "authentication: the environment variable A_SECRET is not set"),
    ):
        with pytest.raises(ConfigError) as caught:
            secret.read()
        assert str(caught.value) == expected


def test_a_file_that_every_user_can_read_is_worth_a_note(here: Path) -> None:
    file = here / "secret"
    file.write_text(SECRET)
    for mode, noted in ((0o600, False), (0o640, False), (0o644, True), (0o604, True)):
        file.chmod(mode)
        assert bool(Secret(file="secret").note()) is noted
    assert Secret(env="PATH").note() == ""
    assert Secret(file="none").note() == ""


# -- who may have a token -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "sent"),
    [
        (b"http://chf.example:8080", True),
        (b"HTTP://CHF.example:8080", True),
        (b"http://chf.example", False),
        (b"http://chf.example:8081", False),
        (b"https://chf.example:8080", False),
        (b"http://chf-2.example", True),
        (b"https://chf-2.example:9", True),
        (b"http://[2001:db8::1]:8080", True),
        (b"http://[2001:db8::1]:8081", False),
        (b"http://chf-2.example.evil.example", False),
        (b"http://evil.example", False),
        (b"http://chf.example:8080@evil.example", False),
        (b"http://chf-2.example/x", False),
        (b"http://", False),
        (b"", False),
        (b"\xff", False),
    ],
)
def test_a_token_goes_to_the_target_and_to_allowed_hosts(origin: bytes, sent: bool) -> None:
    audience = TokenAudience(["http://chf.example:8080"], ["CHF-2.example", "[2001:db8::1]:8080"])
    assert audience.may_send_to(origin) is sent
    assert audience.may_send_to(origin) is sent


def test_no_token_is_sent_in_the_clear_where_the_target_is_https() -> None:
    audience = TokenAudience(["https://chf.example"], ["chf-2.example"])
    assert audience.may_send_to(b"https://chf.example:443")
    assert audience.may_send_to(b"https://chf-2.example")
    assert not audience.may_send_to(b"http://chf-2.example")
    assert not audience.may_send_to(b"http://chf.example:443")


@given(st.one_of(st.binary(max_size=60), st.from_regex(r"https?://[a-z.:@\[\]0-9%/]{0,30}").map(str.encode)))
def test_any_origin_is_answered(origin: bytes) -> None:
    assert TokenAudience(["http://chf.example:8080"], []).may_send_to(origin) in (
        False,
        origin.decode("latin-1").lower() == "http://chf.example:8080",
    )


def test_what_is_remembered_of_origins_is_bounded() -> None:
    audience: Any = TokenAudience(["http://chf.example:8080"], [])
    for number in range(3_000):
        audience.may_send_to(b"http://chf-%d.example" % number)
    assert len(audience._known) <= 1_024
    assert audience.may_send_to(b"http://chf.example:8080")
