"""Every picture in one pose: whatever the network does, its answer no longer depends on where the picture lay."""

from __future__ import annotations

import torch
from torch import Tensor

from shiftproof.layers import CanonicalPose, seam
from shiftproof.layers.seam_head import Head
from shiftproof.layers.seam_score import shipped
from shiftproof.records import Change
from shiftproof.records.numbers import percent
from shiftproof.records.repair_parts import PROVED_IN
from shiftproof.repairing import seam_fit
from shiftproof.repairing.job import Job
from shiftproof.repairing.mended import Mended
from shiftproof.repairing.methods.changes import kept

FEWEST, MOST, EPOCHS = 500, 6000, 12  # pictures from which a score is fitted, and passes over them


def pose(job: Job) -> tuple[Mended, tuple[Change, ...]]:
    """The model behind a `CanonicalPose`: by the seam for the goal "circular", by the object for "zero"."""
    if job.goal == "circular":
        head, told = score(job.data)
        layer = CanonicalPose("seam", score=head, return_origin=True)
        why = f"it finds the seam of each picture, and rolls it to the border{told}"
    else:
        at = None if job.data is None else place(job.data)
        layer = CanonicalPose("object", at=at, return_origin=True)
        _, h, w = job.input_size
        row, column = at or (h // 2, w // 2)
        where = "the middle" if at is None else "its median place in the data"
        why = f"it rolls the centre of the object to row {row}, column {column}: {where}"
    added = Change("added", "CanonicalPose", "", why)
    changes = (added, *unaffected(job, "it sees every picture in one pose"))
    return Mended(job.network, layer, job.input_size, job.dense), changes


def unaffected(job: Job, why: str) -> list[Change]:
    """What the check found in the network and no longer matters behind a pose, because of what it then sees."""
    findings = () if job.verdict is None else job.verdict.findings
    return kept((f for f in findings if PROVED_IN[job.goal] in f.breaks or f.code == "T1"), why)


def score(pictures: Tensor | None) -> tuple[Head | None, str]:
    """The score of the seam: the shipped one, or one that is fitted to the pictures, whichever finds more of their borders.

    One in five pictures is kept back from the fit, to judge by. No label is read.

    Args:
        pictures: (n, c, h, w), unmoved; None or fewer than `FEWEST`: the shipped score.

    Returns:
        The fitted score, or None for the shipped one; and what to say of it.
    """
    if pictures is None or len(pictures) < FEWEST:
        return None, ""
    pictures = pictures[:MOST]
    back = torch.arange(len(pictures)) % 5 == 0
    fit = seam_fit.fitted(pictures[~back], start=shipped(), epochs=EPOCHS)
    ours, own = (float(seam_fit.found(pictures[back], s).double().mean()) for s in (shipped(), fit))
    told = f"of {int(back.sum())} pictures: borders found {percent(ours)} by the shipped score, {percent(own)} by a fitted one"
    return (
        (fit, f"; its score is fitted to the pictures ({told})")
        if own > ours
        else (None, f"; its score is the shipped one ({told})")
    )


def place(pictures: Tensor) -> tuple[int, int]:
    """Where the centre of the object lies in most pictures, (row, column): the median along each axis.

    Args:
        pictures: (n, c, h, w).
    """
    _, _, h, w = pictures.shape
    middle = torch.tensor((h // 2, w // 2), device=pictures.device)
    centres = seam.object_cell(pictures, middle) + middle
    row, column = centres.median(0).values.tolist()
    return row, column
