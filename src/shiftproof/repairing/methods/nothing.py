"""A model that needs no repair."""

from __future__ import annotations

from shiftproof.records import Change
from shiftproof.repairing.job import Job
from shiftproof.repairing.mended import Mended
from shiftproof.repairing.methods.refusal import refused


def nothing(job: Job) -> tuple[Mended, tuple[Change, ...]]:
    """The model as it is, if every circular move is proved already.

    Raises:
        RepairError: something is to be mended.
    """
    claim = job.verdict.circular if job.verdict is not None else None
    if claim is None or claim.status != "proved" or claim.step != (1, 1):
        step = "" if claim is None or None in claim.step else f", step {claim.step}"
        raise refused(f"its verdict is {claim.status if claim else 'not known'}{step}", "the original model", job.goal)
    kept = Change("kept", "", "", "it is proved already for every circular move")
    return Mended(job.network, None, job.input_size, job.dense), (kept,)
