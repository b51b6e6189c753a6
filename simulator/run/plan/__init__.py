"""What a load would take, from its profile alone: a sample of devices is played in virtual time and scaled up. No sockets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from simulator.config import Profile
from simulator.report.run_folder import SUMMARY
from simulator.run.options import RunError
from simulator.run.plan import estimate, sizing
from simulator.run.plan.arrivals import Intended, intended, shares
from simulator.run.plan.estimate import ALL, OPEN, Curve, thinned
from simulator.run.plan.kernel import per_slice
from simulator.run.plan.play import BATCHES, REQUESTS, Sample, play_sample
from simulator.version import __version__

__all__ = ["LATENCY_S", "PlanOptions", "measured_per_core", "plan"]

Json = dict[str, Any]

LATENCY_S: Final = 0.02
"""What a CHF is expected to take, if nothing else is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What is asked. None is the profile's own, or what the module in question says.

    `rate_per_s` is the whole population's, and takes the place of the rate that would be scaled with `subscribers`. `origin` says
    where `requests_per_core` comes from.
    """

    subscribers: int | None = None
    rate_per_s: float | None = None
    latency_s: float = LATENCY_S
    sample: int | None = None
    seed: int | None = None
    requests_per_core: float = sizing.REQUESTS_PER_CORE
    origin: str = sizing.REQUESTS_PER_CORE_ORIGIN
    utilisation: float = sizing.UTILISATION
    cores_per_machine: int = sizing.CORES_PER_MACHINE


def plan(profile: Profile, options: PlanOptions) -> Json:
    """Plan a profile's load for a population; everything is in wall time. Raises RunError for what cannot be planned."""
    _check(profile, options)
    seed = profile.seed if options.seed is None else options.seed
    sample = play_sample(profile, seed=seed, latency_s=options.latency_s, devices=options.sample)
    subscribers = options.subscribers or profile.subscribers.count
    factor = subscribers / profile.subscribers.count

    def wanted_by(lives: Sample) -> Intended:
        return intended(profile, factor, options.rate_per_s, _cycle_s(profile, lives))

    wanted = wanted_by(sample)
    busy = dict.fromkeys(wanted.by_usage, 0.0)
    if profile.load.mode == "open":
        busy = estimate.busy_shares(profile, sample, wanted, subscribers)
    starts = thinned(wanted, busy)
    curves = estimate.curves(sample, starts, [thinned(wanted_by(part), busy) for part in sample.parts()])
    usages = estimate.usage_figures(sample, starts, busy)
    needs = sizing.stream_needs(profile, usages, options.latency_s)
    engines = sizing.machines(
        curves[ALL].peak,
        curves[OPEN].peak,
        requests_per_core=options.requests_per_core,
        origin=options.origin,
        utilisation=options.utilisation,
        cores_per_machine=options.cores_per_machine,
    )
    total = sum(wanted.mean(usage) for usage in wanted.by_usage)
    return {
        "profile": profile.name,
        "version": __version__,
        "seed": seed,
        "pace": profile.pace,
        "mode": profile.load.mode,
        "duration_s": profile.load.planned_s,
        "subscribers": subscribers,
        "subscribers_of_profile": profile.subscribers.count,
        "latency_s": options.latency_s,
        "sample": {"devices": sample.devices, "requests": sample.requests, "batches": BATCHES},
        "arrivals": {
            "intended_per_s": total,
            "peak_per_s": max(estimate.arrivals_over_time(wanted)),
            "busy_share": sum(busy[usage] * wanted.mean(usage) for usage in busy) / total,
        },
        "sessions_open": _figures(curves[OPEN]),
        "operations": {name: _figures(curves[name]) for name in REQUESTS if curves[name].mean > 0},
        "all": _figures(curves[ALL]),
        "octets_per_s": {
            way: _figures(curves[way]) | {"bodies": curves[f"bodies_{way}"].mean} for way in ("sent", "received")
        },
        "usages": {
            name: asdict(figures) | {"sessions_open": figures.arrivals_per_s * figures.life_s}
            for name, figures in usages.items()
        },
        "flat": starts.flat,
        "over_time": _over_time(starts, curves),
        "network_functions": [asdict(need) | {"enough": need.enough} for need in needs],
        "engines": asdict(engines),
        "octets_per_session": sizing.OCTETS_PER_SESSION,
        "notes": list(_notes(profile, options, factor, curves)),
    }


def _check(profile: Profile, options: PlanOptions) -> None:
    if profile.pace is None:
        raise RunError(
            f"{profile.name}: its pace is flat-out, where a session takes no time that could be planned: "
            "expected a pace such as --pace 1x"
        )
    if options.latency_s >= profile.timeouts.request:
        raise RunError(
            f"--latency {options.latency_s:g}s: every request would fail: expected less than the profile's timeouts.request, "
            f"{profile.timeouts.request:g} s"
        )


def _cycle_s(profile: Profile, sample: Sample) -> float:
    """Wall seconds from one start of a device to its next in the closed mode: a life, and the thinking after it."""
    assert profile.pace is not None
    life_s = sum(share * estimate.mean_life_s(sample, usage) for usage, share in shares(profile).items())
    think = profile.load.think_time
    return life_s + (0.0 if think is None else think.mean() / profile.pace)


def _figures(curve: Curve) -> Json:
    return {"mean": curve.mean, "peak": curve.peak, "relative_error": curve.error}


def _over_time(starts: Intended, curves: dict[str, Curve]) -> list[Json]:
    """One row per slice."""
    count = estimate.slices_of(starts.duration_s)
    arrivals = per_slice(estimate.arrivals_over_time(starts), count)
    slices = {name: curve.slices(count) for name, curve in curves.items()}
    return [
        {
            "from_s": place * starts.duration_s / count,
            "to_s": (place + 1) * starts.duration_s / count,
            "arrivals_per_s": arrivals[place],
            "sessions_open": slices[OPEN][place],
            "requests_per_s": slices[ALL][place],
            **{f"{name}_per_s": slices[name][place] for name in REQUESTS},
            "sent_octets_per_s": slices["sent"][place],
            "received_octets_per_s": slices["received"][place],
        }
        for place in range(count)
    ]


def _notes(profile: Profile, options: PlanOptions, factor: float, curves: dict[str, Curve]) -> Iterator[str]:
    """What a reader must know: what was left out, and what the profile says differently."""
    load, sandbox = profile.load, profile.sandbox
    most_open = curves[OPEN].peak
    if load.max_in_flight < most_open:
        yield f"load.max_in_flight is {load.max_in_flight:,}: a run of this size needs more than {most_open:,.0f}"
    if load.mode == "open" and options.rate_per_s is None and load.start_open:
        yield (
            f"load.start_open begins with {load.start_open * factor:,.0f} sessions at this size; the plan begins in equilibrium, "
            f"with {curves[OPEN].parts[0]:,.0f}"
        )
    if load.sessions is not None:
        yield f"load.sessions, {load.sessions:,}, is left out: the load goes on"
    if sandbox.faults or sandbox.servers is not None or sandbox.endpoints > 1:
        yield "the sandbox's faults, servers and endpoints are left out: one CHF that always answers, in the latency given"
    if profile.authentication.kind != "none":
        yield "tokens are left out of the octets"


def measured_per_core(folder: Path) -> float:
    """Requests per CPU-second of the engines in a run, from its folder. Raises RunError."""
    file = folder / SUMMARY
    try:
        measured = orjson.loads(file.read_bytes())["generator"]["requests_per_cpu_s"]
    except OSError as error:
        raise RunError(f"--measured {file}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise RunError(f"--measured {file}: not the summary of a run") from None
    if not isinstance(measured, int | float) or measured <= 0:
        raise RunError(f"--measured {file}: generator.requests_per_cpu_s: the run measured nothing")
    return float(measured)
