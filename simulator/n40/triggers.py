"""Trigger types of TS 32.291 6.1.6.3 that a session fires, each as the bytes of an immediate report."""

from __future__ import annotations

from typing import Final


def _immediate(name: str) -> bytes:
    return b'[{"triggerType":"%b","triggerCategory":"IMMEDIATE_REPORT"}]' % name.encode()


QUOTA_THRESHOLD: Final = _immediate("QUOTA_THRESHOLD")
QUOTA_EXHAUSTED: Final = _immediate("QUOTA_EXHAUSTED")
VALIDITY_TIME: Final = _immediate("VALIDITY_TIME")
QHT: Final = _immediate("QHT")
START_OF_SERVICE_DATA_FLOW: Final = _immediate("START_OF_SERVICE_DATA_FLOW")
FINAL: Final = _immediate("FINAL")
ABNORMAL_RELEASE: Final = _immediate("ABNORMAL_RELEASE")
