"""HTTP/2 for both ends: a pool of client connections and a small server, on one of two codecs.

Knows nothing of N40 or JSON. Everything runs in callbacks of one asyncio (or uvloop) loop; the codecs are sans-IO.
"""

from simulator.http2.choice import CODECS
from simulator.http2.codec import HeaderError
from simulator.http2.guard import GuardLimits
from simulator.http2.messages import Answer, Exchange, Failure, FailureKind, Header
from simulator.http2.pool import Pool, PoolLimits
from simulator.http2.redaction import REMOVED, credentials_in, is_secret_name, shown_headers, without_credentials
from simulator.http2.server import Handler, Server, ServerLimits
from simulator.http2.server_connection import ServerRequest
from simulator.http2.statistics import ConnectionStatistics, PoolStatistics, ServerStatistics
from simulator.http2.target import Target, TargetError, without_user
from simulator.http2.tls import client_tls, server_tls

__all__ = [
    "CODECS",
    "REMOVED",
    "Answer",
    "ConnectionStatistics",
    "Exchange",
    "Failure",
    "FailureKind",
    "GuardLimits",
    "Handler",
    "Header",
    "HeaderError",
    "Pool",
    "PoolLimits",
    "PoolStatistics",
    "Server",
    "ServerLimits",
    "ServerRequest",
    "ServerStatistics",
    "Target",
    "TargetError",
    "client_tls",
    "credentials_in",
    "is_secret_name",
    "server_tls",
    "shown_headers",
    "without_credentials",
    "without_user",
]
