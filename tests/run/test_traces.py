"""One subscriber's call flow in a file: what the CHF saw, and what it said."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from simulator.fleet.trace import MOST_SUBSCRIBERS
from simulator.http2 import ServerRequest
from simulator.run.options import RunError
from tests.run.rig import brief, charging, conducted, peer, sandbox_core, url

pytestmark = pytest.mark.anyio

ENTRY = re.compile(r"^\+\d+\.\d{6} s  (->|<-) (\w+) #(\d+)  (\w+)  session \d+  (.*)$")


def entries(file: Path) -> list[tuple[str, str, str, Any]]:
    """Direction, operation, the rest of the title, the body."""
    found = []
    for entry in file.read_text().strip().split("\n\n"):
        title, *lines = entry.splitlines()
        match = ENTRY.match(title)
        assert match is not None, title
        assert all(line.startswith("    ") for line in lines)
        body = "\n".join(line[4:] for line in lines if not re.match(r"    :?[a-z0-9-]+: ", line))
        found.append((match[1], match[2], match[5], orjson.loads(body) if body else None))
    return found


async def test_a_trace_holds_every_body_of_a_subscriber_as_the_chf_saw_it(tmp_path: Path) -> None:
    handle, seen = charging(sandbox_core()), []

    def watch(request: ServerRequest) -> None:
        seen.append(orjson.loads(request.body))
        handle(request)

    async with peer(watch) as server:
        profile = brief(subscribers={"count": 5})
        name = "imsi-001010000000002"
        result = await conducted(profile, targets=[url(server)], traces=[name], out=tmp_path / "out", workers=2)
    found = entries(tmp_path / "out" / f"trace-{name}.txt")
    mine = [body for body in seen if body["subscriberIdentifier"] == name]
    assert mine
    assert [body for direction, _, _, body in found if direction == "->"] == mine
    answers = [(operation, rest) for direction, operation, rest, _ in found if direction == "<-"]
    assert len(answers) == len(mine)
    assert all(re.fullmatch(r"20[0-4]  \d+\.\d{3} ms", rest) for _, rest in answers)
    assert [operation for operation, _ in answers] == [
        operation for direction, operation, _, _ in found if direction == "->"
    ]
    assert any(f"trace-{name}.txt" in note for note in result.summary["notes"])


async def test_what_fails_is_traced_as_well_and_secrets_are_not(tmp_path: Path) -> None:
    def refuse(request: ServerRequest) -> None:
        request.respond(503, [(b"x-echo", b"s3cr3t")], b"overloaded")

    name = "imsi-001010000000001"
    async with peer(refuse) as server:
        profile = brief(subscribers={"count": 5}, headers={"extra": {"x-token": "s3cr3t"}})
        await conducted(profile, targets=[url(server)], traces=[name], out=tmp_path / "out")
    text = (tmp_path / "out" / f"trace-{name}.txt").read_text()
    assert "  503  " in text
    assert "    overloaded" in text
    assert "x-token: (removed)" in text
    assert "s3cr3t" not in text


@pytest.mark.parametrize("name", ["imsi-00101000000000", "imsi-999990000000001", "msisdn-15550000001", "1"])
async def test_who_is_no_subscriber_of_the_profile_cannot_be_traced(name: str, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=rf"--trace {name}: expected one of .*imsi-001010000000001 to imsi-"):
        await conducted(brief(), traces=[name], out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


async def test_so_many_at_most(tmp_path: Path) -> None:
    names = [f"imsi-0010100000000{number:02d}" for number in range(1, MOST_SUBSCRIBERS + 2)]
    with pytest.raises(RunError, match="--trace: at most 16 subscribers, not 17"):
        await conducted(brief(), traces=names, out=tmp_path / "out")
