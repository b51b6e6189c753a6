"""The answer of a search in one sentence, and the exit code that says the same to a script."""

from __future__ import annotations

from typing import Any, Final

from simulator.run.capacity.search import Conclusion, Ending, Verdict

Json = dict[str, Any]

EXIT_CODES: Final = {
    Ending.FOUND: 0,
    Ending.AT_LEAST: 0,
    Ending.NOTHING_HELD: 1,
    Ending.GAVE_UP: 2,
    Ending.GENERATOR_LIMIT: 3,
}
INTERRUPTED: Final = 130


def result_of(conclusion: Conclusion, slos: list[str], confidence: float, steps: list[Json]) -> Json:
    """The `result` of capacity.json: figures, exit code and sentence."""
    at = _step_at(conclusion.holds, steps)
    return {
        "ending": conclusion.ending,
        "exit_code": EXIT_CODES[conclusion.ending],
        "holds_per_s": conclusion.holds,
        "holds_requests_per_s": at.get("requests_per_s"),
        "holds_latency_us": at.get("latency_us"),
        "confirmed": conclusion.confirmed,
        "confidence": confidence,
        "above_per_s": conclusion.above,
        "above_is_valid": conclusion.above_is_valid,
        "why": conclusion.why,
        "sentence": _sentence(conclusion, " and ".join(slos), confidence, at),
    }


def _step_at(rate: float | None, steps: list[Json]) -> Json:
    """The last step that held at that rate."""
    held = [step for step in steps if step["rate_per_s"] == rate and step["verdict"] == Verdict.HELD]
    return held[-1] if held else {}


def _sentence(end: Conclusion, slos: str, confidence: float, at: Json) -> str:
    above = "" if end.above is None else f"{rate(end.above)}/s"
    match end.ending:
        case Ending.FOUND:
            return f"{_holds(end, slos, confidence, at)}; {above} failed: {end.why}; the generator was not the limit"
        case Ending.AT_LEAST:
            return f"{_holds(end, slos, confidence, at)}, the highest rate that was asked for"
        case Ending.NOTHING_HELD if end.holds is not None:
            return f"no rate was confirmed at {slos}; {above} failed: {end.why}"
        case Ending.NOTHING_HELD:
            return f"does not hold even {above} at {slos}: {end.why}"
        case Ending.GENERATOR_LIMIT if end.holds is None:
            return f"the generator was the limit at {above}, and nothing is known about the CHF: {end.why}"
        case Ending.GENERATOR_LIMIT if end.above_is_valid:
            return (
                f"{_holds(end, slos, confidence, at, 'probably ')}; {above} failed; it could not be confirmed, because the "
                f"generator was the limit: {end.why}"
            )
        case Ending.GENERATOR_LIMIT:
            least = _holds(end, slos, confidence, at, "at least ")
            return f"the generator was the limit at {above} ({end.why}); the CHF {least}"
        case Ending.GAVE_UP:
            known = f"; {_holds(end, slos, confidence, at, 'at least ')}" if end.holds is not None else ""
            return f"not finished: {end.why}{known}{f'; {above} failed' if above and end.above_is_valid else ''}"


def _holds(end: Conclusion, slos: str, confidence: float, at: Json, how: str = "") -> str:
    assert end.holds is not None
    requests = at.get("requests_per_s")
    more = f" ({rate(requests)} requests/s)" if requests and abs(requests / end.holds - 1) > 0.1 else ""
    unsure = "" if end.confirmed else ", not confirmed"
    return f"holds {how}{rate(end.holds)}/s{more} at {slos} ({100 * confidence:g} % confidence{unsure})"


def rate(per_s: float) -> str:
    """A rate with four digits: 12,650, 0.5."""
    return f"{float(f'{per_s:.4g}'):,.6g}" if per_s < 100_000 else f"{float(f'{per_s:.4g}'):,.0f}"
