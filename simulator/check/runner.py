"""Runs cases one after the other, each on connections of its own and bounded in time."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence

from simulator.check.catalogue import Case
from simulator.check.messages import Messages
from simulator.check.schemas import SchemaReview
from simulator.check.settings import CASE_TIMEOUT_FACTOR, CheckSettings
from simulator.check.smf import Smf
from simulator.check.verdicts import (
    MOST_EXCHANGES_KEPT,
    CaseResult,
    CheckResult,
    DeviationError,
    Exchange,
    Found,
    NotSupportedError,
    Verdict,
)
from simulator.http2 import Pool, PoolLimits, TargetError

CASES_WITHOUT_ANSWER = 3
"""After so many without a single answer the rest would fare no better, each at its timeout."""


async def run_checks(
    settings: CheckSettings, cases: Sequence[Case], on_result: Callable[[CaseResult], None] = lambda _: None
) -> CheckResult:
    """Run the cases. Raises `simulator.http2.TargetError` if the target cannot be reached at all."""
    await _reach(settings)
    begun = time.monotonic()
    messages = Messages(settings)
    review = None if settings.schema is None else SchemaReview(settings.schema)
    results: list[CaseResult] = []
    asked = answered = 0
    for case in cases:
        results.append(await _run(case, settings, messages, review))
        on_result(results[-1])
        asked += bool(results[-1].exchanges)
        answered += any(exchange.status for exchange in results[-1].exchanges)
        if not answered and asked >= CASES_WITHOUT_ANSWER:
            raise TargetError(f"{settings.target}: speaks HTTP/2, and answered none of the first {asked} cases")
    if review is not None:
        results += review.results()
    return CheckResult(target=str(settings.target), cases=results, seconds=time.monotonic() - begun)


async def _reach(settings: CheckSettings) -> None:
    """One connection, for the pool's clear words about what is wrong with a target."""
    limits = PoolLimits(connections=1, connect_timeout_s=settings.timeout_s)
    pool = Pool(settings.target, limits, tls=settings.tls, draw=random.random)
    await pool.open()
    await pool.aclose()


async def _run(case: Case, settings: CheckSettings, messages: Messages, review: SchemaReview | None) -> CaseResult:
    begun = time.monotonic()
    smf = Smf(settings, messages, case.clause)
    found: Sequence[Found] = ()
    reason = ""
    try:
        found, reason = await _played(case, smf, settings)
    finally:
        exchanges = smf.exchanges[-MOST_EXCHANGES_KEPT:]
        await smf.aclose()
    if review is not None:
        for exchange in smf.exchanges:
            review.look(exchange)
    verdict = Verdict.DEVIATION if found else Verdict.NOT_SUPPORTED if reason else Verdict.PASS
    return CaseResult(
        id=case.id,
        title=case.title,
        clause=case.clause,
        verdict=verdict,
        found=found,
        reason=reason,
        exchanges=exchanges,
        seconds=time.monotonic() - begun,
    )


async def _played(case: Case, smf: Smf, settings: CheckSettings) -> tuple[Sequence[Found], str]:
    """What was found, and why it is not supported."""
    limit_s = CASE_TIMEOUT_FACTOR * settings.timeout_s + settings.idle_s
    try:
        async with asyncio.timeout(limit_s):
            await case.play(smf)
    except DeviationError as error:
        return error.found, ""
    except NotSupportedError as error:
        return (), error.reason
    except TimeoutError:
        last: Exchange | None = smf.exchanges[-1] if smf.exchanges else None
        return [
            Found(clause=case.clause, expected=f"the case within {limit_s:g} s", found="too slow", exchange=last)
        ], ""
    return (), ""
