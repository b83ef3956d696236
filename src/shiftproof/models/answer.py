"""The one tensor that a model answers with, whatever it is wrapped in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxtyping import Shaped
from torch import Tensor

from shiftproof.errors import ModelError


def answer(output: Any) -> Shaped[Tensor, "n k *grid"]:
    """The tensor of scores in a model's output: (n, k) of a classifier, (n, k, h, w) of a dense model.

    Args:
        output: a tensor; a mapping (its "logits", else "out", else its first tensor); an object with `.logits`; or a
            tuple or list (its first tensor).

    Returns:
        (n, k) scores of k classes, or (n, k, h, w) of k classes per cell.

    Raises:
        ModelError: no tensor is there, or it has another number of axes.

    >>> import torch
    >>> answer({"aux": torch.zeros(2, 5), "out": torch.zeros(2, 21, 8, 8)}).shape
    torch.Size([2, 21, 8, 8])
    >>> answer((torch.zeros(2, 10), None)).shape
    torch.Size([2, 10])
    >>> answer(torch.zeros(2))
    Traceback (most recent call last):
        ...
    shiftproof.errors.ModelError: the model answers with a tensor of shape (2,): it must be (n, k), scores of k \
classes, or (n, k, h, w), scores per cell
    """
    found = _tensor(output)
    if found is None:
        raise ModelError(
            f"the model answers with a {type(output).__name__} that holds no tensor",
            remedy='return a tensor, a dict with "logits" or "out", or an object with .logits',
        )
    if found.ndim not in (2, 4):
        raise ModelError(
            f"the model answers with a tensor of shape {tuple(found.shape)}",
            remedy="it must be (n, k), scores of k classes, or (n, k, h, w), scores per cell",
        )
    return found


def _tensor(output: Any) -> Tensor | None:
    if isinstance(output, Tensor):
        return output
    if isinstance(output, Mapping):
        inside = [output[k] for k in ("logits", "out") if k in output] + list(output.values())
    elif (logits := getattr(output, "logits", None)) is not None:
        inside = [logits]
    else:
        inside = output if isinstance(output, tuple | list) else []
    return next((v for v in inside if isinstance(v, Tensor)), None)
