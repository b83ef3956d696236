"""Every picture in one pose: whatever the network does, its answer no longer depends on where the picture lay."""

from __future__ import annotations

import torch
from torch import Tensor

from shiftproof.layers import CanonicalPose, seam
from shiftproof.records import Change
from shiftproof.records.repair_parts import PROVED_IN
from shiftproof.repairing.job import Job
from shiftproof.repairing.mended import Mended
from shiftproof.repairing.methods.changes import kept


def pose(job: Job) -> tuple[Mended, tuple[Change, ...]]:
    """The model behind a `CanonicalPose`: by the seam for the goal "circular", by the object for "zero"."""
    if job.goal == "circular":
        layer = CanonicalPose("seam", return_origin=True)
        why = "it finds the seam of each picture, and rolls it to the border"
    else:
        at = None if job.data is None else place(job.data)
        layer = CanonicalPose("object", at=at, return_origin=True)
        _, h, w = job.input_size
        row, column = at or (h // 2, w // 2)
        where = "the middle" if at is None else "its median place in the data"
        why = f"it rolls the centre of the object to row {row}, column {column}: {where}"
    findings = () if job.verdict is None else job.verdict.findings
    mattered = (f for f in findings if PROVED_IN[job.goal] in f.breaks or f.code == "T1")
    added = Change("added", "CanonicalPose", "", why)
    return Mended(job.network, layer, job.input_size, job.dense), (
        added,
        *kept(mattered, "it sees every picture in one pose"),
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
