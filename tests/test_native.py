"""Compiling the hot path: what may be compiled, and what a machine without a C compiler sees."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from simulator import native

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package's sources in a folder of their own, with nothing compiled."""
    shutil.copytree(native.PACKAGE, tmp_path / "simulator", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    shutil.copy(native.PACKAGE.parent / "pyproject.toml", tmp_path)
    return tmp_path


def compile_in(folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "simulator.native"],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    assert not done.stderr
    return done.stdout


@pytest.mark.skipif(os.environ.get("SMFLEET_NATIVE") == "no", reason="asked to be interpreted")
@pytest.mark.skipif(not os.environ.get("CI"), reason="a user's machine may have no compiler")
def test_what_is_tested_here_is_compiled() -> None:
    assert native.state() == "compiled"
    from simulator.n40 import session

    assert Path(session.__file__).suffix != ".py"


def test_without_a_compiler_it_says_so_in_one_line_and_runs_interpreted(copy: Path) -> None:
    said = compile_in(copy, CC="no-such-compiler", SMFLEET_NATIVE="yes").splitlines()
    assert said[-1].startswith("not compiled (")
    assert "no-such-compiler" in said[-1]
    assert not list(copy.rglob("*.so"))
    shown = subprocess.run(
        [sys.executable, "-c", "from simulator.cli import main; main()", "--version"],
        cwd=copy,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert shown.stdout.endswith("(interpreted)\n")


def test_machine_code_that_is_older_than_its_source_is_noticed_and_removed(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "PACKAGE", copy / "simulator")
    suffix = native.EXTENSION_SUFFIXES[0]
    flow, event = copy / "simulator/n40/flow.py", copy / "simulator/n40/event.py"
    for source, age in ((flow, 10), (event, -10)):
        binary = source.with_name(source.stem + suffix)
        binary.touch()
        os.utime(binary, (source.stat().st_mtime - age,) * 2)
    assert native.stale() == [flow]
    assert "make install" in native.state()
    assert compile_in(copy, SMFLEET_NATIVE="no") == ""
    assert not list(copy.rglob("*.so"))


@pytest.mark.parametrize("source", native.sources(), ids=lambda source: f"{source.parent.name}/{source.stem}")
def test_no_function_gives_two_kinds_of_exceptions_one_name(source: Path) -> None:
    """Compiled, the second one would be a TypeError: mypyc gives a name one type, that of its first exception."""
    for function in ast.walk(ast.parse(source.read_text())):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            names = [each.name for each in ast.walk(function) if isinstance(each, ast.ExceptHandler) and each.name]
            assert len(names) == len(set(names)), f"{function.name} in line {function.lineno}"
