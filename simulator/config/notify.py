"""Where the fleet listens for the CHF's notifications, and what it advertises as notifyUri."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, model_validator

from simulator.config.errors import located, problem, shown
from simulator.config.model import Model
from simulator.config.quantities import text
from simulator.http2 import Target

HIGHEST_PORT = 65_535
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - the addresses that need a name for the outside
PLACEHOLDERS = ("worker", "port")
BASE_PATH = "/nsmf-callback/n40"
"""Of the notifyUri; the worker and the session follow."""


def _split(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _port_in_range(listen: str) -> str:
    if _split(listen)[1] > HIGHEST_PORT:
        raise problem(f"expected a port from 0 to {HIGHEST_PORT}, got {shown(listen)}")
    return listen


def _filled(advertise: str, worker: int, port: int) -> str:
    return advertise.replace("{worker}", str(worker)).replace("{port}", str(port)).rstrip("/")


def _advertisable(advertise: str) -> str:
    unknown = set(re.findall(r"\{([^}]*)\}?|\}", advertise.replace("{worker}", "").replace("{port}", "")))
    if unknown:
        raise problem(f"expected {{worker}} and {{port}} as the only placeholders, got {shown(advertise)}")
    scheme, _, rest = _filled(advertise, 0, 1).partition("://")
    authority, _, path = rest.partition("/")
    try:
        Target.parse(f"{scheme}://{authority}")
    except ValueError:
        raise problem(f"expected a URI such as http://203.0.113.7:{{port}}, got {shown(advertise)}") from None
    if not re.fullmatch(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]*", path):
        raise problem(f"expected a URI without query, fragment and blanks, got {shown(advertise)}")
    return advertise


Listen = Annotated[
    str,
    AfterValidator(_port_in_range),
    *text(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}", "host:port such as 127.0.0.1:18100 or [::1]:18100"),
]
Advertise = Annotated[str, AfterValidator(_advertisable), *text("[!-~]{1,500}", "a URI of printable ASCII")]
File = Annotated[str, *text(r"[^\x00-\x1f]{1,1000}", "the path of a file")]


class NotifyTls(Model):
    """What the fleet shows to a CHF that notifies it. Files are relative to the profile's folder."""

    certificate: File
    key: File


class Notify(Model):
    """The fleet as a server: each worker has a port of its own."""

    enabled: bool = True
    """Whether to listen at all; a notifyUri is advertised either way."""
    listen: Listen = "127.0.0.1:0"
    """Host and port of worker 0; worker i listens on port + i, and every worker on a free one if it is 0."""
    advertise: Advertise | None = None
    """What the CHF is told instead of where the fleet listens (NAT, containers); {worker} and {port} are filled in."""
    tls: NotifyTls | None = None
    """Without it, HTTP/2 with prior knowledge."""

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.advertise is None and self.host in EVERYWHERE:
            reason = "is missing: the fleet listens on every address, and the CHF needs one of them"
            raise located([(("advertise",), f"{reason}, such as http://203.0.113.7:{{port}}")])
        return self

    @property
    def host(self) -> str:
        """Where it listens, without the brackets of IPv6."""
        return _split(self.listen)[0]

    def port(self, worker: int) -> int:
        """Return the port on which a worker listens; 0 is a free one."""
        first = _split(self.listen)[1]
        return first + worker if first else 0

    def base_uri(self, worker: int, port: int) -> str:
        """Return what a session's notifyUri begins with; its charging id follows after a slash."""
        return f"{self._root(worker, port)}{BASE_PATH}/{worker}"

    def _root(self, worker: int, port: int) -> str:
        if self.advertise is not None:
            return _filled(self.advertise, worker, port)
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'http' if self.tls is None else 'https'}://{host}:{port}"
