"""The hot path as machine code: the same source files, compiled in place by mypyc where there is a C compiler.

`python -m simulator.native` compiles what is older than its source; `make install` runs it. Without a compiler, or with
`SMFLEET_NATIVE=no`, there is nothing compiled and Python interprets the files as they are: slower, with the same results.
The tests run both ways.

What is compiled is what every request passes through. Files with structures of msgspec stay interpreted, because those are
C already, and so does what is started with `python -m`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Final

MODULES: Final = {
    "n40": "answers circumstances conditions delivery event failure flow messages overload rating_group reporting request "
    "session timestamps triggers",
    "http2": "codec codec_ngh2 connection messages pool server_connection statistics",
    "fleet": "arrivals books chfs connections devices dispatch draws fleet pace population scheduler "
    "series session subscribers timeline usage",
    "sandbox": "accounts chf ledger paths rating repeats requests sessions tariffs",
}
"""By room."""

PACKAGE: Final = Path(__file__).resolve().parent
TIMEOUT_S: Final = 600


def sources() -> list[Path]:
    """The files that are compiled."""
    return [PACKAGE / room / f"{name}.py" for room, names in MODULES.items() for name in names.split()]


def compiled(source: Path) -> list[Path]:
    """The machine code of a source file that this interpreter would load, if there is any."""
    candidates = (source.with_name(source.stem + suffix) for suffix in EXTENSION_SUFFIXES)
    return [candidate for candidate in candidates if candidate.exists()]


def stale() -> list[Path]:
    """Source files that have changed since they were compiled: Python would go on loading the old machine code."""
    return [
        source
        for source in sources()
        if any(binary.stat().st_mtime < source.stat().st_mtime for binary in compiled(source))
    ]


def state() -> str:
    """How this installation runs its hot path: compiled, interpreted, or compiled from other sources than these."""
    if stale():
        return "compiled before its sources changed: say make install"
    return "compiled" if all(compiled(source) for source in sources()) else "interpreted"


def clean() -> None:
    """Remove all machine code."""
    for source in sources():
        for binary in compiled(source):
            binary.unlink()
    for group in PACKAGE.parent.glob("*__mypyc.*"):
        group.unlink()


def build() -> None:
    """Compile everything, in this process, next to the sources. Exits with a message of mypyc's, or raises."""
    from mypyc.build import mypycify  # noqa: PLC0415 - both are needed here only, and not installed with the product
    from setuptools import Distribution  # noqa: PLC0415

    os.chdir(PACKAGE.parent)
    files = [str(source.relative_to(PACKAGE.parent)) for source in sources()]
    extensions = mypycify(files, opt_level="2", debug_level="0", target_dir="build/native")
    command = Distribution({"name": "smfleet", "packages": [], "ext_modules": extensions}).get_command_obj("build_ext")
    command.inplace = True
    command.build_temp = "build/native"
    command.ensure_finalized()
    command.run()


def compile_all() -> str:
    """Compile everything; return what went wrong, "" if nothing did. What is half made is removed."""
    clean()
    command = [sys.executable, "-c", "from simulator.native import build; build()"]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and our own file names
            command, cwd=PACKAGE.parent, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        clean()
        return f"it took more than {TIMEOUT_S} s"
    if done.returncode:
        clean()
        said = (done.stdout + done.stderr).splitlines()
        return next((line.strip() for line in said if "error" in line.lower()), f"exit code {done.returncode}")
    for source in sources():
        for binary in compiled(source):
            binary.touch()  # what has not changed is copied with its old date
    return ""


def main() -> None:
    """Bring the machine code up to date. Not being able to is no error: everything works without."""
    if os.environ.get("SMFLEET_NATIVE", "yes") == "no":
        clean()
        return
    if state() == "compiled":
        return
    print("compiling the hot path, about a minute ...", flush=True)
    problem = compile_all()
    if problem:
        print(
            f"not compiled ({problem}): it runs interpreted, about half as fast; a C compiler and Python's headers mend that"
        )


if __name__ == "__main__":
    main()
