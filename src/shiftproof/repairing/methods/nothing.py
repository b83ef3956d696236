"""A model that needs no repair."""

from __future__ import annotations

from shiftproof.records import Change, Claim
from shiftproof.records.verdict_words import pixels, status_words
from shiftproof.repairing.job import Job
from shiftproof.repairing.mended import Mended
from shiftproof.repairing.refusal import refused


def nothing(job: Job) -> tuple[Mended, tuple[Change, ...]]:
    """The model as it is, if every circular move is proved already.

    Raises:
        RepairError: something is to be mended.
    """
    claim = job.verdict.circular if job.verdict is not None else None
    if claim is None or claim.status != "proved" or claim.step != (1, 1):
        known = "no verdict on it is known" if claim is None else f"its verdict is: {status_words(claim)}{_for(claim)}"
        raise refused(known, "the original model", job.goal)
    unchanged = Change("kept", "", "", "every circular move is proved already")
    return Mended(job.network, None, job.input_size, job.dense), (unchanged,)


def _for(claim: Claim) -> str:
    return f" for circular moves by multiples of {pixels(claim.step)}" if None not in claim.step else ""
