"""What a person types, what comes back, and the exit code a script reads; errors are lines, never tracebacks."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from simulator import native
from simulator.cli import main
from simulator.cli import sandbox as cli_sandbox
from simulator.config import QUIRKS, shipped_profiles
from simulator.sandbox.process import SandboxSettings
from simulator.version import __version__

NAMES = [
    "4g-pgw", "a-day", "abort-storm", "attach-detach", "busy-hour", "chf-outage-failover", "demo", "how-to", "iot-meters",
    "lossy-answers",
    "midnight-tariff-switch", "near-simultaneous-creates", "quota-exhaustion-topup", "reattach-herd", "reauth-storm", "sms-burst",
    "throttled-chf", "validity-storm", "validity-storm-jitter", "video", "voice-evening",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Typed:
    """What a command left behind."""

    code: int
    out: str
    err: str


class Shell:
    """The command line in this process: quick, and the same code from `main` on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capfd = capfd

    def __call__(self, *arguments: str) -> Typed:
        if arguments[:1] == ("run",) and "--out" not in arguments:
            arguments = (*arguments, "--no-records")
        self._monkeypatch.setattr("sys.argv", ["smfleet", *arguments])
        self._monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as exit_info:
            main()
        out, err = self._capfd.readouterr()
        assert "Traceback" not in out + err
        code = exit_info.value.code
        return Typed(0 if code is None else int(code), out, err)


@pytest.fixture
def smfleet_command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capfd)


# -- profiles -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [("profiles",), ("profiles", "list")])
def test_the_shipped_profiles_are_listed_with_what_they_show(
    smfleet_command: Shell, arguments: tuple[str, ...]
) -> None:
    typed = smfleet_command(*arguments)
    assert typed.code == 0
    *listed, hint = [line for line in typed.out.splitlines() if line and not line.startswith(" ")]
    assert [line.split()[0] for line in listed] == NAMES
    assert "profiles show NAME" in hint
    assert [shipped.name for shipped in shipped_profiles()] == NAMES
    demo = next(line for line in typed.out.splitlines() if line.startswith("demo"))
    assert "450/s, 30 s" in demo
    assert "60x" in demo


def test_a_profile_is_shown_as_its_file(smfleet_command: Shell) -> None:
    shipped = next(each for each in shipped_profiles() if each.name == "how-to")
    typed = smfleet_command("profiles", "show", "how-to")
    assert typed.code == 0
    assert typed.out.rstrip("\n") == shipped.path.read_text().rstrip("\n")


def test_every_shipped_profile_is_valid(smfleet_command: Shell) -> None:
    for name in NAMES:
        typed = smfleet_command("profiles", "validate", name)
        assert typed.code == 0
        assert typed.out.startswith(f"{name}: valid (")


def test_an_override_is_checked_with_the_profile(smfleet_command: Shell) -> None:
    assert "7/s" in smfleet_command("profiles", "validate", "demo", "--set", "load.rate=7/s").out
    typed = smfleet_command("profiles", "validate", "demo", "--set", "load.rat=7/s")
    assert typed.code == 2
    assert "load.rate" in typed.err or '"rate"' in typed.err or "rate" in typed.err
    assert typed.out == ""


def test_a_wrong_profile_is_named_with_file_and_line(smfleet_command: Shell, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("network_functions:\n  smf: {kind: SMV}\nusages: {}\nmix: {}\nload: {rate: fast}\n")
    typed = smfleet_command("profiles", "validate", str(file))
    assert typed.code == 2
    assert typed.err.startswith(f"smfleet: {file}:2: network_functions.smf.kind")
    assert f"{file}:5: load.rate" in typed.err


def test_the_schema_is_exported_for_editors(smfleet_command: Shell, tmp_path: Path) -> None:
    shown = smfleet_command("profiles", "schema")
    assert shown.code == 0
    schema = orjson.loads(shown.out)
    assert {"usages", "load", "pace", "thresholds"} <= set(schema["properties"])
    file = tmp_path / "profile.schema.json"
    assert smfleet_command("profiles", "schema", "--out", str(file)).code == 0
    assert orjson.loads(file.read_bytes()) == schema


def test_a_schema_that_cannot_be_written_is_named(smfleet_command: Shell, tmp_path: Path) -> None:
    typed = smfleet_command("profiles", "schema", "--out", str(tmp_path / "no" / "such.json"))
    assert typed.code == 2
    assert "such.json" in typed.err
    assert typed.err.count("\n") == 1


# -- one line and exit code 2 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("run", "dmeo"), 'no profile "dmeo", did you mean'),
        (("run", "./none.yaml"), "none.yaml: No such file"),
        (("run", "how-to", "--set", "load.devices=few"), "load.devices"),
        (("run", "how-to", "--set", "load"), "load"),
        (("run", "how-to", "--duration", "soon"), "load.duration"),
        (("run", "how-to", "--ledger", "http://127.0.0.1:1/", "--target", "http://127.0.0.1:1"), "--ledger"),
        (("run", "how-to", "--summary-json", "/no/such/folder/summary.json"), "--summary-json"),
        (("run", "how-to", "--out", "/proc/none"), "--out /proc/none"),
        (("profiles", "show", "none"), 'no profile "none"'),
        (("sandbox", "--plan", "./none.yaml"), "none.yaml"),
        (("sandbox", "--pace", "warp"), "pace"),
        (("sandbox", "--quirks", "sigscal"), 'no quirks "sigscal", did you mean "sigscale"?'),
        (("sandbox", "--faults", "./none.yaml"), "none.yaml"),
        (("sandbox", "--certificate", "/no/such.pem"), "no such file: /no/such.pem"),
    ],
    ids=lambda value: " ".join(value[:4]) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_done_is_said_in_one_line(smfleet_command: Shell, arguments: tuple[str, ...], why: str) -> None:
    typed = smfleet_command(*arguments)
    assert typed.code == 2
    assert typed.err.startswith("smfleet: ")
    assert why in typed.err
    assert typed.err.count("\n") == 1
    assert typed.out == ""


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("run", "how-to", "--workers", "0"), "--workers"),
        (("run", "how-to", "--seed", "first"), "--seed"),
        (("run", "how-to", "--wrokers", "2"), "--wrokers"),
        (("run", "how-to", "--codec", "carrier-pigeon"), "codec"),
        (("sandbox", "--port", "70000"), "--port"),
        (("sandbox", "--location", "moon"), "--location"),
        (("jump",), "jump"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_wrong_option_is_named(smfleet_command: Shell, arguments: tuple[str, ...], why: str) -> None:
    typed = smfleet_command(*arguments)
    assert typed.code == 2
    assert why in typed.err


@pytest.mark.parametrize("option", ["--port", "--management-port"])
def test_a_port_in_use_says_so(smfleet_command: Shell, option: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ports = {"--port": "0", "--management-port": "0", option: port}
        typed = smfleet_command("sandbox", *(word for pair in ports.items() for word in pair))
    assert typed.code == 2
    assert f"127.0.0.1:{port}: address already in use" in typed.err.lower()
    assert typed.err.count("\n") == 1


def test_a_target_that_refuses_is_said_in_one_line(smfleet_command: Shell) -> None:
    typed = smfleet_command("run", "how-to", "--target", "http://127.0.0.1:1")
    assert (typed.code, typed.err) == (2, "smfleet: http://127.0.0.1:1: connection refused\n")
    assert typed.out == ""


def test_the_version_and_the_help(smfleet_command: Shell) -> None:
    assert smfleet_command("--version").out == f"smfleet {__version__} ({native.state()})\n"
    typed = smfleet_command("run", "--help")
    assert typed.code == 0
    assert "--target" in typed.out


def test_the_options_of_the_sandbox_reach_it(
    smfleet_command: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Dropped in silence, --client-ca would let everybody in."""
    settings: list[SandboxSettings] = []
    monkeypatch.setattr(cli_sandbox, "run_sandbox", lambda given, on_ready: settings.append(given))
    files = {name: tmp_path / f"{name}.pem" for name in ("certificate", "key", "client-ca")}
    options = [text for name, file in files.items() for text in (f"--{name}", str(file))]
    typed = smfleet_command(
        "sandbox", *options, "--location", "bare", "--pace", "60x", "--port", "1", "--management-port", "2",
        "--host", "::1", "--ledger-folder", str(tmp_path),
    )  # fmt: skip
    assert typed.code == 0, typed.err
    (given,) = settings
    assert (given.certificate, given.key, given.client_ca) == tuple(files.values())
    assert (given.location, given.pace, given.port, given.management_port) == ("bare", 60.0, 1, 2)
    assert (given.host, given.ledger_folder) == ("::1", tmp_path)


def test_the_weather_of_the_sandbox_reaches_it(
    smfleet_command: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings: list[SandboxSettings] = []
    monkeypatch.setattr(cli_sandbox, "run_sandbox", lambda given, on_ready: settings.append(given))
    file = tmp_path / "faults.yaml"
    file.write_text("servers: {count: 2, service_time: 3ms}\nfaults:\n  - {endpoint: 2, share: 5%, silence: true}\n")
    options = ("--endpoints", "2", "--separate-stores", "--faults", str(file), "--quirks", "free5gc", "--seed", "9")
    typed = smfleet_command("sandbox", *options)
    assert typed.code == 0, typed.err
    (given,) = settings
    assert (given.endpoints, given.stores, given.seed, given.starts_at_once) == (2, "separate", 9, True)
    assert given.servers is not None
    assert (given.servers.count, given.faults[0].kind, given.quirks) == (2, "silence", QUIRKS["free5gc"])


def test_an_argument_that_is_no_text_is_refused(smfleet_command: Shell) -> None:
    typed = smfleet_command("run", "--target", "http://127.0.0.1:1/\udcff")
    assert (typed.code, typed.out) == (2, "")
    assert "is no text" in typed.err


@pytest.mark.parametrize("name", ["/no/such.yaml", "/dev", "/dev/zero"])
def test_what_cannot_be_shown_is_said_in_one_line(smfleet_command: Shell, name: str) -> None:
    typed = smfleet_command("profiles", "show", name)
    assert (typed.code, typed.out) == (2, "")
    assert len(typed.err.splitlines()) == 1


def test_a_seed_beyond_64_bits_is_refused(smfleet_command: Shell) -> None:
    assert smfleet_command("run", "how-to", "--seed", str(2**64)).code == 2


def test_the_summary_may_stand_among_the_records(smfleet_command: Shell, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    typed = smfleet_command(
        "run",
        "how-to",
        "--set",
        "load.sessions=10",
        "--out",
        str(out),
        "--summary-json",
        str(out / "s.json"),
        "--quiet",
    )
    assert typed.code in {0, 3}, typed.err
    assert orjson.loads((out / "s.json").read_bytes()) == orjson.loads((out / "summary.json").read_bytes())
