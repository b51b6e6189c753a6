"""What the handlers of the management API share."""

from __future__ import annotations

import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

MAX_BODY = 1 << 20


async def read_body(request: Request) -> bytes:
    """The body, of a bounded size. Raises HTTPException 413."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413, f"the body is larger than {MAX_BODY} octets")
    return bytes(body)


def json_response(document: dict[str, Any], status: int = 200) -> Response:
    """A JSON document."""
    # Not orjson: sums of 64-bit amounts may be wider than 64 bits.
    return Response(json.dumps(document) + "\n", status, media_type="application/json")
