"""The audit: model x pictures x translations -> AuditRecord.

`audit.py` is what users call, `run.py` one run of it; `pictures.py` loads, `stream.py` moves and batches, `evaluate.py`
reduces, `tally.py` folds, `witnesses.py` draws, `folder.py` keeps a run that can be killed.
"""

from shiftproof.auditing.asked import Progress
from shiftproof.auditing.audit import audit

__all__ = ["Progress", "audit"]
