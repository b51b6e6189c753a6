"""One run from start to finish; `run(profile, target=...)` is the public way in. What is heavy is imported by the call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from simulator.config import Profile
    from simulator.run.options import Observer, Result
    from simulator.run.wishes import Wishes


def run(
    profile: str | Path | Profile = "demo",
    *,
    target: str | Sequence[str] | None = None,
    overrides: Sequence[str] = (),
    duration: str | float | None = None,
    seed: int | None = None,
    workers: int | Literal["auto"] = 1,
    thresholds: Sequence[str] = (),
    out: str | Path | None = None,
    runs: str | Path | None = None,
    command: Sequence[str] = (),
    traces: Sequence[str] = (),
    ledger: str | None = None,
    ca_file: str | Path | None = None,
    certificate: str | Path | None = None,
    key: str | Path | None = None,
    insecure: bool = False,
    codec: str = "ngh2",
    conformance: float = 0.0,
    openapi: str | Path | None = None,
    handle_signals: bool = False,
    wishes: Wishes | None = None,
    management_port: int | None = None,
    observer: Observer | None = None,
) -> Result:
    """Run a profile and return what was found.

    `profile` is a name of those shipped, a file, or a checked `Profile`; `overrides` are like `--set`, and `duration` is one of
    them (neither changes a checked profile). `target` is the API root of the CHF (`http://host:port` speaks HTTP/2 with prior
    knowledge, `https://` negotiates it), or those of several in order of priority; without one the embedded sandbox is charged.
    `workers` is how many engine processes share the load, "auto" as many as there are cores for them; `thresholds` come on top
    of the profile's. Records are kept in the folder `out`, or in a new one in the folder `runs`, by default nowhere; `command` is
    the command line that they name, `traces` are subscribers (`imsi-…`) whose call flow is kept too. `conformance` (0 to 1) is
    the share of answers that is checked against the book, and by your OpenAPI files in `openapi`.
    Raises `simulator.config.ConfigError` for a wrong profile and `simulator.run.options.RunError` where the run cannot be done;
    both messages are for people.
    """
    import anyio  # noqa: PLC0415

    from simulator.config import Profile, load_profile  # noqa: PLC0415
    from simulator.run.conductor import conduct  # noqa: PLC0415
    from simulator.run.limits import auto_workers  # noqa: PLC0415
    from simulator.run.options import RunOptions, Silence  # noqa: PLC0415

    if duration is not None:
        overrides = [*overrides, f"load.duration={duration}"]
    checked = profile if isinstance(profile, Profile) else load_profile(profile, overrides)
    observer = observer or Silence()
    if workers == "auto":
        workers = auto_workers(sandbox=not target)
        engines = "1 engine" if workers == 1 else f"{workers} engines, one for each core"
        observer.note(
            f"--workers auto: {engines}{'' if target else ', and a core for the sandbox where there are several'}"
        )
    options = RunOptions(
        profile=checked,
        targets=[target] if isinstance(target, str) else list(target or ()),
        ledger=ledger,
        seed=seed,
        workers=workers,
        thresholds=thresholds,
        out=None if out is None else Path(out),
        runs=None if runs is None else Path(runs),
        command=command,
        traces=traces,
        codec=codec,
        conformance=conformance,
        openapi=None if openapi is None else Path(openapi),
        ca_file=None if ca_file is None else Path(ca_file),
        certificate=None if certificate is None else Path(certificate),
        key=None if key is None else Path(key),
        insecure=insecure,
        handle_signals=handle_signals,
        wishes=wishes,
        management_port=management_port,
        observer=observer,
    )
    return anyio.run(conduct, options)
