"""The network trained on, with crops of your pictures: measured only, and only if it is asked for, because it takes long."""

from __future__ import annotations

from dataclasses import replace

from shiftproof.errors import RepairError
from shiftproof.records import Change
from shiftproof.records.numbers import count_words
from shiftproof.records.repair_parts import MethodName
from shiftproof.repairing.job import Job
from shiftproof.repairing.mended import Mended
from shiftproof.repairing.refusal import refused
from shiftproof.training import finetuned

TRAINED: tuple[MethodName, ...] = ("fine-tuning", "distillation")
"""The methods that change weights."""


def fine_tuning(job: Job) -> tuple[Mended, tuple[Change, ...]]:
    """The network trained on by labels, by the original's answers, and to answer alike for two crops of a picture.

    Raises:
        RepairError: there are no labels, or as of `distillation`.
    """
    if job.classes is None:
        raise RepairError(
            "there are no labels", where="fine-tuning", remedy='use method="distillation", which needs none'
        )
    return _trained(job, "by labels, by the original's answers, and to answer alike for two crops of a picture")


def distillation(job: Job) -> tuple[Mended, tuple[Change, ...]]:
    """The network trained on without labels: by the original's answers, and to answer alike for two crops of a picture.

    Raises:
        RepairError: the answer is a map, or there are no pictures to learn from.
    """
    return _trained(
        replace(job, classes=None), "by the original's answers, and to answer alike for two crops of a picture"
    )


def _trained(job: Job, how: str) -> tuple[Mended, tuple[Change, ...]]:
    if job.dense:
        raise refused("its answer is a map", "the original model", job.goal)
    if job.data is None:
        raise RepairError("there are no pictures to learn from", where="repair", remedy="give data (--data)")
    reach = max(1, min(job.recipe.reach_px, min(job.input_size[1:]) // 8))
    recipe = replace(job.recipe, reach_px=reach)
    network = finetuned(
        job.network, job.data, job.classes, recipe, scores=job.scores, state=job.state, progress=job.progress
    )
    why = (
        f"trained on {how}: {recipe.epochs:g} epochs of {count_words(len(job.data), 'picture')}, crops within {reach} px of a "
        f"mirrored scene, SGD with a one-cycle rate up to {recipe.rate:g}, seed {recipe.seed}"
    )
    return Mended(network, None, job.input_size, job.dense, trained=True), (Change("replaced", "the weights", "", why),)
