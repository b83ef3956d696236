"""The tensor that is a model's answer, whatever the output wraps it in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxtyping import Shaped
from torch import Tensor

from shiftproof.errors import ModelError
from shiftproof.records import AnswerKind

NAMED = ("logits", "out")  # Hugging Face calls scores so, and torchvision's segmentation, beside an auxiliary head
AS_MAP = ("mask", "values", "logit", "probabilities")  # kinds of answer that a map of one channel may be


def answer(
    output: Any, kind: AnswerKind | None = None, grid: tuple[int, int] | None = None
) -> Shaped[Tensor, "n k *grid"]:
    """The tensor of scores in a model's output: (n, k) of a classifier, (n, k, h, w) of a dense model.

    One number per picture, (n,), is (n, 1). A map of one cell, (n, k, 1, 1), is (n, k), unless it is declared to be a map. A
    tensor (n, h, w) is a map of one channel, (n, 1, h, w), if its kind is one of
    maps or if it has as many cells as the picture; it is one vector per picture if its kind is "embedding".

    Args:
        output: a tensor; a mapping (its "logits", else "out", else its first tensor); an object with `.logits`; or a
            tuple or list (its first tensor).
        kind: of answer, if it is declared.
        grid: (h, w) of the picture, if a map of one channel without its axis is to be told from vectors by its size.

    Returns:
        (n, k) scores of k classes, or (n, k, h, w) of k classes per cell.

    Raises:
        ModelError: the output has no tensor; it has five axes or more; or it has three, and nothing says what they are.

    >>> import torch
    >>> answer({"aux": torch.zeros(2, 5), "out": torch.zeros(2, 21, 8, 8)}).shape
    torch.Size([2, 21, 8, 8])
    >>> answer((torch.zeros(2, 10), None)).shape, answer(torch.zeros(2)).shape
    (torch.Size([2, 10]), torch.Size([2, 1]))
    >>> answer(torch.zeros(2, 197, 768), kind="embedding").shape, answer(torch.zeros(2, 8, 8), grid=(8, 8)).shape
    (torch.Size([2, 151296]), torch.Size([2, 1, 8, 8]))
    >>> answer(torch.zeros(2, 197, 768))
    Traceback (most recent call last):
        ...
    shiftproof.errors.ModelError: the model returns a tensor of shape (2, 197, 768), which may be vectors or a map of one \
channel: say what it is ...
    """
    found = tensor_in(output)
    if found.ndim < 2:
        return found.reshape(-1, 1)
    if found.ndim == 3:
        if kind == "embedding":
            return found.flatten(1)
        if kind in AS_MAP or (kind is None and tuple(found.shape[1:]) == grid):
            return found[:, None]
        raise ModelError(
            f"the model returns a tensor of shape {tuple(found.shape)}, which may be vectors or a map of one channel",
            remedy="say what it is (--answer, answer=): embedding compares it as one vector per picture, and values, logit "
            "or probabilities as a map (n, h, w); or return class scores (n, k)",
        )
    if found.ndim == 4 and found.shape[2:] == (1, 1) and kind not in ("mask", "values") and grid != (1, 1):
        return found.flatten(1)  # what fully convolutional classifiers return
    if found.ndim > 4:
        raise ModelError(
            f"the model returns a tensor of shape {tuple(found.shape)}",
            remedy="it must be (n, k), scores of k classes, or (n, k, h, w), scores per cell",
        )
    return found


def tensor_in(output: Any) -> Tensor:
    """The first tensor of a model's output, whatever wraps it and whatever its shape is.

    Args:
        output: as for `answer`.

    Raises:
        ModelError: the output has no tensor.
    """
    found = _tensor(output)
    if found is None:
        raise ModelError(
            f"the model returns a {type(output).__name__} that holds no tensor",
            remedy='return a tensor, a dict with "logits" or "out", or an object with .logits',
        )
    return found


def others(output: Any) -> str:
    """Which other tensors the answer could have been, in words; empty if there are none, or a name says which it is.

    >>> import torch
    >>> others((torch.zeros(2, 512), torch.zeros(2, 10)))
    '(2, 512) was taken, the first of (2, 512), (2, 10)'
    >>> others({"logits": torch.zeros(2, 10), "features": torch.zeros(2, 512)})
    ''
    """
    if isinstance(output, Mapping):
        inside = [] if any(isinstance(output.get(k), Tensor) for k in NAMED) else list(output.values())
    else:
        inside = output if isinstance(output, tuple | list) and not hasattr(output, "logits") else []
    shapes = [str(tuple(v.shape)) for v in inside if isinstance(v, Tensor) and v.is_floating_point() and v.ndim > 0]
    return f"{shapes[0]} was taken, the first of {', '.join(shapes)}" if len(shapes) > 1 else ""


def _tensor(output: Any) -> Tensor | None:
    if isinstance(output, Tensor):
        return output
    if isinstance(output, Mapping):
        inside = [output[k] for k in NAMED if k in output] + list(output.values())
    elif (logits := getattr(output, "logits", None)) is not None:
        inside = [logits]
    else:
        inside = output if isinstance(output, tuple | list) else []
    return next((v for v in inside if isinstance(v, Tensor)), None)
