"""What the rooms may know of each other, where the import contracts of `make check` cannot see it: at run time."""

from __future__ import annotations

import subprocess
import sys


def test_messages_need_the_standard_library_and_orjson_only() -> None:
    """A driver that gevent has patched (Locust's) loads this module: no event loop, no pydantic, no codec."""
    script = (
        "import sys; before = set(sys.modules)\n"
        "import simulator.fleet.messages\n"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))\n"
        "print(*sorted(name for name in sys.modules if name.startswith('simulator')))\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True, timeout=30)
    roots, ours = (line.split() for line in done.stdout.splitlines())
    assert set(roots) - sys.stdlib_module_names == {"orjson", "simulator"}
    assert not {"asyncio", "ssl", "socket", "threading"} & set(roots)
    assert set(ours) <= {
        "simulator", "simulator.fleet", "simulator.fleet.messages", "simulator.run", "simulator.version",
    }, "nothing heavy on the way"  # fmt: skip
