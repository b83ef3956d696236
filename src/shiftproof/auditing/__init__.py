"""The audit: model x pictures x translations -> AuditRecord.

`audit.py` is what users call. `setup.py` settles what decides the figures, `work.py` computes one block of pictures from
the setup and the block's number, in any process, and `record.py` folds the blocks into the record. Between them:
`options.py` what can be asked, `pictures.py` the pictures, `plan.py` which moves are run, `stream.py` moved pictures in
batches, `forward.py` one forward pass, `evaluate.py` a block through the model, `block.py` what it gave, `tally.py` the
figures so far, `witnesses.py` the worst changed answers, `folder.py` the work that a killed run continues, `identity.py` and
`probe.py` what tells one model from another.
"""

from shiftproof.auditing.audit import audit
from shiftproof.auditing.options import AuditOptions
from shiftproof.auditing.record import Progress

__all__ = ["AuditOptions", "Progress", "audit"]
