from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from simulator.http2 import server_tls


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both loops: the engine runs on uvloop, Windows and a user's own tests on asyncio's."""
    return "asyncio", {"use_uvloop": request.param}


class Certificates:
    """An own CA, a server's certificate for localhost, and a client's."""

    def __init__(self, folder: Path) -> None:
        self.ca_file = folder / "ca.pem"
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca_file))
        self.server_files = self._issue(authority, folder / "server", "localhost", "127.0.0.1")
        self.client_files = self._issue(authority, folder / "client", "smf.example")
        stranger = trustme.CA()
        self.stranger_files = self._issue(stranger, folder / "stranger", "localhost")

    def _issue(self, authority: trustme.CA, stem: Path, *names: str) -> tuple[Path, Path]:
        issued = authority.issue_cert(*names)
        certificate, key = stem.with_suffix(".pem"), stem.with_suffix(".key")
        issued.private_key_pem.write_to_path(str(key))
        for pem in issued.cert_chain_pems:
            pem.write_to_path(str(certificate), append=True)
        return certificate, key

    def server(self, *, mutual: bool = False) -> ssl.SSLContext:
        return server_tls(*self.server_files, client_ca=self.ca_file if mutual else None)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))
