"""The pose by the seam, chosen among the likely ones by the network itself: by the answer of which it is most certain."""

from __future__ import annotations

from typing import Any

import torch
import torch.utils._pytree as pytree
from torch import Tensor

from shiftproof.errors import ModelError
from shiftproof.interruptions import pass_on
from shiftproof.layers import PoseCandidates
from shiftproof.models import evaluating
from shiftproof.records import Change
from shiftproof.repairing import seam_fit
from shiftproof.repairing.job import Job
from shiftproof.repairing.mended import Mended
from shiftproof.repairing.methods.pose import score, unaffected
from shiftproof.repairing.refusal import refused

MOST = 4  # poses of a picture


def confidence(job: Job) -> tuple[Mended, tuple[Change, ...]]:
    """The model behind up to four likely poses of each picture, of which it takes the one that it is most certain of.

    Raises:
        RepairError: the answer is none of class scores, or the model takes one picture at a time.
    """
    _takes(job)
    head, told = score(job.data)
    margin = None if head is None or job.data is None else seam_fit.margin(job.data, head)
    layer = PoseCandidates(MOST, score=head, margin=margin)
    why = (
        f"it finds up to {MOST} likely seams of each picture; the network answers for the one of which it is most certain"
        f"{told}"
    )
    kept = unaffected(job, "it sees the same pictures, in the same order, for every move")
    return Mended(job.network, layer, job.input_size), (Change("added", "PoseCandidates", "", why), *kept)


def _takes(job: Job) -> None:
    """Raises a RepairError unless two pictures get one row of class scores each."""
    where = "the original model"
    if job.dense:
        raise refused("its answer is a map, of which no certainty is known", where, job.goal)
    first = next((p for p in job.network.parameters() if p.is_floating_point()), torch.zeros(()))
    two = torch.zeros((2, *job.input_size), dtype=first.dtype, device=first.device)
    with torch.no_grad(), evaluating(job.network):
        try:
            output = job.network(two)
        except Exception as e:  # whatever the model's own code raises
            pass_on(e)
            raise refused("it takes one picture at a time", where, job.goal) from e
    if not _classes(job, output):
        raise refused("its answer is no row of class scores, so it has no certainty", where, job.goal)


def _classes(job: Job, output: Any) -> bool:
    try:
        scores = job.scores(output)
    except ModelError:
        return False
    rows = all(t.ndim and len(t) == 2 for t in pytree.tree_leaves(output) if isinstance(t, Tensor))
    return rows and scores.ndim == 2 and scores.shape[1] > 1 and scores.is_floating_point()
