"""What all tests share: the reference data and the real peers, both required in CI and optional on a user's machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings

from simulator import native

# In CI the same examples every time: a change is judged by what it changes. On a user's machine new ones, which may find more.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


def pytest_report_header() -> str:
    """Say which of the two ways the tests run."""
    return f"hot path: {native.state()}"


def pytest_sessionstart() -> None:
    """Refuse to test machine code of other sources than those that are there."""
    if native.stale():
        names = ", ".join(str(source.relative_to(native.PACKAGE)) for source in native.stale())
        pytest.exit(f"changed since it was compiled: {names}; say make install", returncode=2)


def missing(what: str) -> NoReturn:
    """Skip on a user's machine; fail in CI, where everything has to be there."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is required in CI")
    pytest.skip(f"{what} is not on this machine")


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder with `3gpp/` and `n40-examples/`, which are not part of the project."""
    folder = os.environ.get("SMFLEET_REFERENCE")
    if not folder or not Path(folder).is_dir():
        missing("the reference data (environment variable SMFLEET_REFERENCE)")
    return Path(folder)


@pytest.fixture(scope="session")
def require_tool() -> Callable[[str], str]:
    """`require_tool("nghttp")` is the program's path."""

    def find(name: str) -> str:
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
        if path is None:
            missing(f"the program {name}")
        return path

    return find
