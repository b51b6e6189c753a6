"""The audit: what was used, against what the CHF acknowledged and what its books hold."""

from simulator.audit.auditor import Audit, AuditError, Auditor, Offence
from simulator.audit.judgement import Account, Judgement, judge
from simulator.audit.ndjson import read_rows

__all__ = ["Account", "Audit", "AuditError", "Auditor", "Judgement", "Offence", "judge", "read_rows"]
