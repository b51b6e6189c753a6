"""What the README shows is what happens: its profile loads, its options exist, its test runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.config import load_profile, shipped_profiles
from tests.run.rig import sandbox_process

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = ("run", "sandbox", "check", "report", "compare", "release-orphans", "capacity", "plan")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_its_profile_is_one(tmp_path: Path) -> None:
    text, _ = blocks("yaml")
    file = tmp_path / "profile.yaml"
    file.write_text(text)
    assert load_profile(file).usages


def test_its_dialect_is_one_and_a_profile_beside_it_speaks_it(tmp_path: Path) -> None:
    profile, dialect = blocks("yaml")
    (tmp_path / "lab.yaml").write_text(dialect)
    file = tmp_path / "profile.yaml"
    file.write_text(f"dialect: lab.yaml\ntenant: lab-1\n{profile}")
    loaded = load_profile(file)
    assert (loaded.dialect.name, loaded.dialect.path) == ("lab", "/charging/{version}/sessions")


@pytest.mark.parametrize("section", ["failure", "notify", "authentication", "triggers", "sandbox"])
def test_its_fragments_load(tmp_path: Path, section: str) -> None:
    """Each fragment, put into the profile, is one."""
    (fragment,) = [each for each in blocks("text") if each.startswith(f"{section}:")]
    file = tmp_path / "profile.yaml"
    file.write_text(fragment + blocks("yaml")[0])
    assert section in load_profile(file).model_fields_set


def test_its_thresholds_are_some(tmp_path: Path) -> None:
    (fragment,) = [each for each in blocks("text") if each.startswith("thresholds:\n")]
    profile = re.sub(r"^thresholds:.*\n", fragment, blocks("yaml")[0], flags=re.MULTILINE)
    file = tmp_path / "profile.yaml"
    file.write_text(profile)
    texts = load_profile(file).thresholds
    assert texts[-2:] == ["drops == 0 abort", "failed < 1% over 30s abort"]
    assert len(texts) == fragment.count("\n  - ")


def test_its_load_is_one(tmp_path: Path) -> None:
    (fragment,) = [each for each in blocks("text") if each.startswith("load:")]
    rest = [line for line in blocks("yaml")[0].splitlines() if not line.startswith("load:")]
    file = tmp_path / "profile.yaml"
    file.write_text(fragment + "\n".join(rest))
    assert load_profile(file).load.planned_s == 90.0


@pytest.mark.parametrize(
    "stage", re.findall(r"`(\{[a-z_]+: .*?\})`(?=.*\|$)", README.partition("## Offering load")[2], re.MULTILINE)
)
def test_its_stages_are_some(tmp_path: Path, stage: str) -> None:
    rest = [line for line in blocks("yaml")[0].splitlines() if not line.startswith("load:")]
    (tmp_path / "times.csv").write_text("1\n2\n")
    stage = stage.replace("24 rates", ", ".join(["5"] * 24))
    closed = "devices" in stage or "10k" in stage
    stages = f"[{{devices: 5, for: 1s}}, {stage}]" if closed else f"[{{rate: 5, for: 1s}}, {stage}]"
    file = tmp_path / "profile.yaml"
    mode = "closed" if closed else "open"
    file.write_text("\n".join([*rest, f"load: {{mode: {mode}, stages: {stages}}}"]))
    assert len(load_profile(file).load.timeline) == 2


def test_its_table_names_every_profile_that_is_shipped() -> None:
    named = re.findall(r"^\| `([\w-]+)` \|", README, re.MULTILINE)
    assert sorted(named) == [each.name for each in shipped_profiles()]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_options_that_it_names_exist(command: str) -> None:
    lines = "\n".join(blocks("console")).replace("\\\n", " ").splitlines()
    shown = [line for line in lines if f"smfleet {command}" in line]
    assert shown, f"nobody is told of {command}"
    assert {option for line in shown for option in re.findall(r"--[a-z-]+", line)} <= options_of(command)


def test_every_option_in_its_text_is_one_of_some_command() -> None:
    assert set(re.findall(r"`(--[a-z-]+)", README)) <= set.union(*map(options_of, COMMANDS)) | {"--version"}


def options_of(command: str) -> set[str]:
    shown = subprocess.run(
        [sys.executable, "-c", "from simulator.cli import main; main()", command, "--help"],
        env={"COLUMNS": "200", "PATH": ""},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout
    return set(re.findall(r"--[a-z-]+", shown))


def test_its_test_runs_and_passes(tmp_path: Path) -> None:
    script, test = blocks("python")
    assert 'run("busy-hour", target="http://chf.lab:8080", duration="1m")' in script
    with sandbox_process() as chf:
        here = test.replace("http://chf.lab:8080", chf["n40"]).replace('"1m"', '"3s", overrides=["load.warmup=0s"]')
        assert here != test
        (tmp_path / "test_chf.py").write_text(here)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    assert "1 passed" in done.stdout, done.stdout
