"""From a step of several pixels to every pixel: the picture is rolled once, and no strided layer is touched."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from shiftproof.checking import check
from shiftproof.layers import PhaseAlign
from shiftproof.records import Change
from shiftproof.records.numbers import count_words
from shiftproof.records.verdict_words import pixels
from shiftproof.repairing.job import Job
from shiftproof.repairing.mended import Edit, Mended
from shiftproof.repairing.methods.changes import kept
from shiftproof.repairing.refusal import refused


def phase(job: Job) -> tuple[Mended, tuple[Change, ...]]:
    """The model behind a `PhaseAlign` of its step.

    Raises:
        RepairError: no step is proved of the model, or it is the whole picture.
    """
    claim = job.verdict.circular if job.verdict is not None else None
    y, x = claim.step if claim is not None else (None, None)
    if job.verdict is None or claim is None or claim.status != "proved" or y is None or x is None:
        broken = [] if job.verdict is None else [f for f in job.verdict.findings if "circular" in f.breaks]
        if not broken:
            raise refused("no step is proved that could be made finer", "the original model", job.goal)
        first = broken[0]
        more = f" and {count_words(len(broken) - 1, 'other finding')}" if len(broken) > 1 else ""
        # Moves are exact for no step, so there is no phase that could be chosen.
        why = f"no step is proved, because of {first.name} ({first.detail}){more}"
        raise refused(why, f"{first.operator} in {first.module or first.source}", job.goal)
    # The step of a mapped answer: its own cells move by whole pixels of theirs, so it cannot become finer than they are.
    why = (
        f"it rolls each picture by less than {pixels((y, x))}, so that the network sees all circular moves in one phase"
    )
    added = Change("added", "PhaseAlign", "", why)
    strided = kept((f for f in job.verdict.findings if f.code == "T1"), "every picture comes to it in one phase")
    return Mended(job.network, PhaseAlign((y, x), return_phase=True), job.input_size, job.dense), (added, *strided)


def aligned(
    job: Job, network: nn.Module, changes: tuple[Change, ...], edits: tuple[Edit, ...]
) -> tuple[Mended, tuple[Change, ...]]:
    """A network whose layers were changed, behind a `PhaseAlign` of the step that is then proved of it, if that is not 1.

    Args:
        job: the repair.
        network: what the changes made of the job's.
        changes: what was changed.
        edits: what makes the changes again.

    Raises:
        RepairError: the check still finds something that no change mended.
    """
    verdict = check(network, job.input_size)
    if verdict.circular.status == "proved" and verdict.circular.step == (1, 1):
        return Mended(network, None, job.input_size, job.dense, edits), changes
    mended, more = phase(replace(job, network=network, verdict=verdict))
    return Mended(mended.network, mended.pose, job.input_size, job.dense, edits), (*changes, *more)
