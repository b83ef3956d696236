"""A method that changes layers, and then a roll of the picture that takes the step which is left."""

from __future__ import annotations

from dataclasses import replace

from shiftproof.checking import check
from shiftproof.records import Change
from shiftproof.repairing.job import Job
from shiftproof.repairing.mended import Mended
from shiftproof.repairing.methods.circular import circular
from shiftproof.repairing.methods.phase import phase


def circular_phase(job: Job) -> tuple[Mended, tuple[Change, ...]]:
    """The model with circular padding, behind a `PhaseAlign` of the step that is then proved of it.

    Raises:
        RepairError: as of `circular`, or the check still finds something that no padding mends.
    """
    mended, changes = circular(job)
    verdict = check(mended.network, job.input_size)
    if verdict.circular.status == "proved" and verdict.circular.step == (1, 1):
        return mended, changes
    aligned, more = phase(replace(job, network=mended.network, verdict=verdict))
    return Mended(aligned.network, aligned.pose, job.input_size, job.dense, mended.edits), (*changes, *more)
