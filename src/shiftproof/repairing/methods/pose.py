"""Every picture in one pose: whatever the network does, its answer no longer depends on where the picture lay."""

from __future__ import annotations

import torch
from torch import Tensor

from shiftproof.layers import CanonicalPose, seam
from shiftproof.records import Change
from shiftproof.repairing.job import Job
from shiftproof.repairing.mended import Mended


def pose(job: Job) -> tuple[Mended, tuple[Change, ...]]:
    """The model behind a `CanonicalPose`: by the seam for the goal "circular", by the object for "zero"."""
    if job.goal == "circular":
        layer = CanonicalPose("seam", return_origin=True)
        added = Change(
            "added", "CanonicalPose", "", "rolls the seam of the picture to its border before the network sees it"
        )
    else:
        at = None if job.data is None else place(job.data)
        layer = CanonicalPose("object", at=at, return_origin=True)
        _, h, w = job.input_size
        to = f"{(h // 2, w // 2)}, the middle" if at is None else f"{at}, where the data have it"
        added = Change(
            "added", "CanonicalPose", "", f"rolls the centre of the object to {to}, before the network sees it"
        )
    findings = () if job.verdict is None else job.verdict.findings
    kept = [
        Change(
            "kept",
            f.module,
            f.operator,
            f"It stays as it is: it sees every picture in one pose. The check found: {f.detail}",
            f.mend,
        )
        for f in findings
        if ("circular" if job.goal == "circular" else "canvas") in f.breaks or f.code == "T1"
    ]
    return Mended(job.network, layer, job.input_size, job.dense), (added, *kept)


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
