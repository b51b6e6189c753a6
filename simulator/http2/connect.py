"""Opening a connection, and one clear line for each way in which that fails."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
from collections.abc import Callable
from typing import cast

from simulator.http2.connection import ClientConnection
from simulator.http2.target import Target, TargetError


async def connect(
    target: Target, make: Callable[[], ClientConnection], *, tls: ssl.SSLContext | None, timeout_s: float
) -> ClientConnection:
    """Connect, negotiate and wait for the peer's SETTINGS. Raises TargetError."""
    made: list[ClientConnection] = []

    def factory() -> ClientConnection:
        made.append(make())
        return made[-1]

    try:
        async with asyncio.timeout(timeout_s):
            connection, problem = await _open(target, factory, tls)
    except TimeoutError:
        problem = f"no HTTP/2 connection within {timeout_s:g} s"
    except OSError as error:
        problem = _explain(target, error)
    except UnicodeError:  # of the IDNA encoding of the host
        problem = f"cannot resolve {target.host!r}: no valid host name"
    except BaseException:
        _abandon(made)
        raise
    if problem:
        _abandon(made)
        raise TargetError(f"{target}: {problem}")
    _abandon([other for other in made if other is not connection])
    return connection


async def _open(
    target: Target, factory: Callable[[], ClientConnection], tls: ssl.SSLContext | None
) -> tuple[ClientConnection, str]:
    loop = asyncio.get_running_loop()
    name = target.host if tls is not None else None
    protocols = cast("Callable[[], asyncio.Protocol]", factory)  # each is one by its methods
    _, protocol = await loop.create_connection(protocols, target.host, target.port, ssl=tls, server_hostname=name)
    connection = cast("ClientConnection", protocol)
    return connection, await connection.ready


def _abandon(made: list[ClientConnection]) -> None:
    for connection in made:
        connection.abort("abandoned")


def _explain(target: Target, error: OSError) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {error.reason or error}"
        case ConnectionResetError():
            return "closed the connection at once"
        case socket.gaierror():
            return f"cannot resolve {target.host!r}: {error.strerror}"
        case _:
            return _system_error(error)


def _system_error(error: OSError) -> str:
    """asyncio says "Multiple exceptions", without a number, when a host has several addresses."""
    numbers = {int(number) for number in re.findall(r"\[Errno (\d+)\]", str(error))}
    if len(numbers) == 1:
        return os.strerror(numbers.pop()).lower()
    return " ".join(str(error).split()) or type(error).__name__
