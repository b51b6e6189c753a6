"""The management API of a CHF, as the sandbox has it: what N40 alone does not show, and the order to notify."""

from __future__ import annotations

import functools
import ssl
from typing import Any
from urllib.parse import quote

import httpx

from simulator.check.settings import CheckSettings
from simulator.check.verdicts import NotSupportedError

Json = dict[str, Any]


async def order_notification(settings: CheckSettings, reference: str, kind: str) -> None:
    """Have a session notified. Raises NotSupportedError if that is not possible."""
    order: Json = {"session": reference, "type": kind}
    if kind == "REAUTHORIZATION":
        order["rating_groups"] = [settings.groups.data]
    await _ask(settings, "POST", "/notify", order)


async def units_used(settings: CheckSettings, subscriber: str) -> dict[str, int]:
    """What was debited to a subscriber so far, by balance. Raises NotSupportedError if that cannot be told."""
    account = await _ask(settings, "GET", f"/accounts/{quote(subscriber)}")
    try:
        return {name: int(balance["used"]) for name, balance in account["balances"].items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise NotSupportedError("the management API tells no balances") from None


@functools.cache
def _tls() -> ssl.SSLContext:
    """Reading all the CAs takes longer than a case."""
    return ssl.create_default_context()


async def _ask(settings: CheckSettings, method: str, path: str, body: Json | None = None) -> Json:
    if not settings.management:
        raise NotSupportedError("there is no management API (--management)")
    url = settings.management.rstrip("/") + path
    try:
        async with httpx.AsyncClient(verify=_tls(), timeout=settings.timeout_s, trust_env=False) as client:
            answer = await client.request(method, url, json=body)
        document = answer.json() if answer.is_success else None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise NotSupportedError(f"the management API cannot be asked: {error}") from None
    if not answer.is_success:
        raise NotSupportedError(f"the management API answered {answer.status_code} to {path}")
    return document if isinstance(document, dict) else {}
