"""What a setup keeps of a model: how it is loaded again, and how the record describes it."""

from __future__ import annotations

from typing import Any

import torch

from shiftproof import records
from shiftproof.models import LoadedModel


def loading(model: LoadedModel, place: torch.device) -> dict[str, Any]:
    """What `load_model` takes beside the model's word, for the same model on a device."""
    return {
        "weights": model.weights,
        "input_size": model.input_size,
        "mean": model.mean,
        "std": model.std,
        "scale": model.scale,
        "crop_fraction": model.crop_fraction,
        "interpolation": model.interpolation,
        "labels": model.labels,
        "device": str(place),
    }


def described(
    model: LoadedModel, task: records.Task, kind: records.AnswerKind, settled: records.Settled
) -> records.Model:
    """The model as the record names it.

    Args:
        model: the model.
        task: what its output's shape tells.
        kind: of its answer.
        settled: how that is known.
    """
    return records.Model(
        word=model.word,
        parameters=model.parameters,
        input_size=list(model.input_size),
        mean=[float(v) for v in model.mean],
        std=[float(v) for v in model.std],
        scale=float(model.scale),
        task=task,
        weights=model.weights,
        sha256=model.sha256,
        answer=kind,
        answer_from=settled,
        assumed=list(model.assumed),
        random_weights=model.random_weights,
    )
