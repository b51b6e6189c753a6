"""`smfleet check` as a person types it: the embedded sandbox passes, and what cannot be run is one line and exit code 2."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from xml.etree.ElementTree import parse

import orjson
import pytest

from simulator.check import catalogue
from tests.check.faulty import SETTINGS
from tests.check.presets import PRESETS
from tests.cli.test_commands import Shell, smfleet_command

__all__ = ["smfleet_command"]


def test_the_sandbox_passes_every_case(smfleet_command: Shell, tmp_path: Path) -> None:
    json_file, junit_file = tmp_path / "check.json", tmp_path / "check.xml"
    typed = smfleet_command("check", "--idle", "0.1", "--json", str(json_file), "--junit", str(junit_file))
    assert typed.code == 0, typed.out
    document = orjson.loads(json_file.read_bytes())
    assert {case["id"] for case in document["cases"]} == {case.id for case in catalogue()}
    assert document["counts"]["deviation"] == 0
    assert document["counts"]["not supported"] == 0
    assert int(parse(junit_file).getroot()[0].get("tests", 0)) == len(catalogue())
    assert f"{len(catalogue())} cases" in typed.out


@pytest.mark.parametrize("preset", PRESETS)
def test_a_sandbox_that_mimics_a_chf_of_the_field_fails_its_cases(
    smfleet_command: Shell, tmp_path: Path, preset: str
) -> None:
    file = tmp_path / "check.json"
    typed = smfleet_command("check", "--idle", "0", "--quirks", preset, "--json", str(file))
    assert typed.code == 1, typed.out
    deviating = {case["id"] for case in orjson.loads(file.read_bytes())["cases"] if case["result"] == "deviation"}
    assert deviating >= PRESETS[preset]
    if preset != "free5gc":  # which grants nothing where others do, and more cases meet that on their way
        assert deviating == PRESETS[preset]


def test_only_the_embedded_sandbox_mimics(smfleet_command: Shell) -> None:
    typed = smfleet_command("check", "--quirks", "sigscale", "--target", "http://127.0.0.1:1")
    assert (typed.code, "only the embedded sandbox" in typed.err) == (2, True)
    assert 'did you mean "sigscale"' in smfleet_command("check", "--quirks", "sigscal").err


def test_its_answers_are_as_the_schemas_have_them(smfleet_command: Shell, reference: Path) -> None:
    typed = smfleet_command("check", "--idle", "0", "--openapi", str(reference / "3gpp"))
    assert typed.code == 0, typed.out
    assert "schema.strict" in typed.out


def test_a_deviation_is_exit_code_1(smfleet_command: Shell, tmp_path: Path) -> None:
    groups = tmp_path / "check.json"
    typed = smfleet_command(
        "check", "--case", "grant.create.*", "--rating-groups", "data=5, voice=100", "--json", str(groups)
    )
    assert typed.code == 1
    assert "deviation" in typed.out
    cases = {case["id"]: case["result"] for case in orjson.loads(groups.read_bytes())["cases"]}
    assert cases["grant.create.amount"] == "deviation"
    assert cases["grant.create.time"] == "pass"


def test_the_list_needs_no_charging_function(smfleet_command: Shell) -> None:
    typed = smfleet_command("check", "--list", "--target", "http://127.0.0.1:1")
    assert typed.code == 0
    assert all(case.id in typed.out for case in catalogue())
    assert "schema.strict" in typed.out
    some = smfleet_command("check", "--list", "--case", "release.*")
    assert "release.status" in some.out
    assert "create.data" not in some.out


def test_the_help_names_the_subscribers_that_are_used(smfleet_command: Shell) -> None:
    shown = smfleet_command("check", "--help").out
    for subscriber in (SETTINGS.subscriber, SETTINGS.unknown_subscriber, SETTINGS.broke_subscriber):
        assert subscriber in shown


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def test_a_target_that_nobody_serves_is_exit_code_2(smfleet_command: Shell) -> None:
    typed = smfleet_command("check", "--target", f"http://127.0.0.1:{free_port()}")
    assert typed.code == 2
    assert typed.err.strip().endswith("connection refused")
    assert len(typed.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--case", "creat.data.minimal"], 'no case "creat.data.minimal", did you mean "create.data.minimal"?'),
        (["--case", "*.nothing"], 'no case "*.nothing" (see --list)'),
        (["--target", "ftp://chf"], "expected http://host:port or https://host:port"),
        (["--rating-groups", "dat=3"], 'no "dat", did you mean "data"?'),
        (["--rating-groups", "data=x"], "data: expected a number"),
        (["--plmn", "1-1"], "expected MCC-MNC"),
        (["--token-env", "SMFLEET_NO_SUCH_TOKEN"], "SMFLEET_NO_SUCH_TOKEN is empty or not there"),
        (["--token-file", "/no/such/file"], "--token-file /no/such/file: No such file or directory"),
        (["--insecure"], "--insecure: needs a target with https://"),
        (["--openapi", "/no/such/folder"], "/no/such/folder: no such folder"),
    ],
)
def test_what_cannot_be_run_is_told_in_one_line(smfleet_command: Shell, arguments: list[str], words: str) -> None:
    typed = smfleet_command("check", *arguments)
    assert typed.code == 2
    assert words in typed.err
    assert len(typed.err.strip().splitlines()) == 1


def test_a_token_is_read_from_a_file_and_never_shown(smfleet_command: Shell, tmp_path: Path) -> None:
    file, out = tmp_path / "token", tmp_path / "check.json"
    file.write_text("a-token-that-nobody-may-see\n")
    typed = smfleet_command(
        "check",
        "--token-file",
        str(file),
        "--case",
        "grant.create.amount",
        "--rating-groups",
        "data=5",
        "--json",
        str(out),
    )
    assert typed.code == 1
    assert "authorization: (removed)" in typed.out
    assert "a-token-that" not in typed.out + typed.err + out.read_text()


def test_a_server_that_answers_nothing_is_given_up_after_a_few_cases(smfleet_command: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_greet_only, args=(listener,), daemon=True).start()
        typed = smfleet_command(
            "check", "--target", f"http://127.0.0.1:{listener.getsockname()[1]}", "--timeout", "0.2"
        )
    assert typed.code == 2
    assert "answered none of the first 3 cases" in typed.err


def _greet_only(listener: socket.socket) -> None:
    """Accept whoever comes, say SETTINGS, and nothing else."""
    kept = []
    while True:
        try:
            peer, _ = listener.accept()
        except OSError:
            return
        peer.sendall(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
        kept.append(peer)
