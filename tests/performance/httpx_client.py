"""The same sessions from httpx: one HTTP/2 client, fifty tasks, each playing Create, Updates and Release again and again.

A process of its own (`python -m tests.performance.httpx_client URL`) that ends with its stdin.
"""

from __future__ import annotations

import asyncio
import sys

import httpx
import orjson
import uvloop

from tests.performance.canned import session_messages

TASKS = 50
HEADERS = {"content-type": "application/json", "accept": "application/json, application/problem+json"}


async def play_sessions(client: httpx.AsyncClient, messages: list[tuple[str, bytes]]) -> None:
    """Play sessions one after the other, reading every answer as JSON."""
    while True:
        for path, body in messages:
            answer = await client.post(path, content=body, headers=HEADERS)
            answer.raise_for_status()
            if answer.content:
                orjson.loads(answer.content)


async def main(url: str) -> None:
    """Send until stdin ends."""
    messages = [(path.decode(), body) for path, body in session_messages()]
    loop = asyncio.get_running_loop()
    driver = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(driver), sys.stdin)
    async with httpx.AsyncClient(base_url=url, http1=False, http2=True, trust_env=False, timeout=30) as client:
        tasks = [loop.create_task(play_sessions(client, messages)) for _ in range(TASKS)]
        over = loop.create_task(driver.read())
        await asyncio.wait([*tasks, over], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
