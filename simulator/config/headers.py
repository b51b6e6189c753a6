"""Headers of the service based interface that a fleet sends with its requests (TS 29.500 5.2.3)."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, field_validator

from simulator.config.errors import Wrong, located
from simulator.config.model import Model
from simulator.config.quantities import Count, text

NOT_YOURS = frozenset(
    {
        "accept", "authorization", "connection", "content-encoding", "content-length", "content-type", "expect", "host",
        "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
"""Names that the fleet sets itself, or that HTTP/2 does not have (RFC 9113 8.2.2)."""
NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,100}")
VALUE = re.compile(r"[!-~]([ \t!-~]{0,998}[!-~])?")

ApiRoot = Annotated[
    str, *text(r"https?://[A-Za-z0-9._~\[\]:-]+(/[A-Za-z0-9._~/-]*)?", "an API root such as https://chf.example:8443")
]
Callback = Annotated[
    str, *text(r"[A-Za-z0-9_-]+(; ?apiversion=[0-9]+)+", "such as Nchf_ConvergedCharging_Notify; apiversion=3")
]


class Headers(Model):
    """What is sent with every request; nothing by default."""

    sender_timestamp: bool = False
    """3gpp-Sbi-Sender-Timestamp."""
    max_rsp_time: bool = False
    """3gpp-Sbi-Max-Rsp-Time: how long the fleet waits for the answer."""
    message_priority: Annotated[Count, Field(le=31)] | None = None
    """3gpp-Sbi-Message-Priority; 0 is the highest."""
    correlation_info: bool = False
    """3gpp-Sbi-Correlation-Info: the subscriber, where its identifier is an IMSI or MSISDN."""
    target_api_root: ApiRoot | None = None
    """3gpp-Sbi-Target-apiRoot, where the target is a proxy (SCP)."""
    callback: Callback | None = None
    """3gpp-Sbi-Callback."""
    extra: Annotated[dict[str, str], Field(max_length=50)] = Field(default_factory=dict)
    """Any other names and values. Credentials have a place of their own."""

    @field_validator("extra", mode="after")
    @classmethod
    def _harmless(cls, extra: dict[str, str]) -> dict[str, str]:
        wrong: list[Wrong] = []
        for name, value in extra.items():
            if not NAME.fullmatch(name):
                wrong.append(((name,), "expected a header's name in lower case, without a colon"))
            elif name in NOT_YOURS:
                wrong.append(((name,), "is not to be set here: the fleet does, or HTTP/2 does not have it"))
            if not VALUE.fullmatch(value):
                wrong.append(((name,), "expected up to 1,000 visible ASCII characters on one line"))
        if wrong:
            raise located(wrong)
        return extra
