"""Trigger types of TS 32.291 6.1.6.3 that a session fires, each as the bytes of an immediate report."""

from __future__ import annotations


def _immediate(name: str) -> bytes:
    return b'[{"triggerType":"%b","triggerCategory":"IMMEDIATE_REPORT"}]' % name.encode()


QUOTA_THRESHOLD = _immediate("QUOTA_THRESHOLD")
QUOTA_EXHAUSTED = _immediate("QUOTA_EXHAUSTED")
VALIDITY_TIME = _immediate("VALIDITY_TIME")
QHT = _immediate("QHT")
START_OF_SERVICE_DATA_FLOW = _immediate("START_OF_SERVICE_DATA_FLOW")
FINAL = _immediate("FINAL")
ABNORMAL_RELEASE = _immediate("ABNORMAL_RELEASE")
