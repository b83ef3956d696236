"""The audit: model x pictures x translations -> AuditRecord.

`run.py` orchestrates; `pictures.py` loads, `stream.py` moves and batches, `evaluate.py` reduces, `tally.py` folds,
`witnesses.py` draws, `folder.py` keeps a run that can be killed.
"""

from shiftproof.auditing.run import Progress, audit

__all__ = ["Progress", "audit"]
