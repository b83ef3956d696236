"""How far two answers are apart, and how far rounding alone may take them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# Where both compute in float64, sums in another order differ by less than this, relative to the largest value.
SUMS = 1e5 * torch.finfo(torch.float64).eps


def distance(wanted: Tensor, found: Tensor) -> float:
    """The largest difference over the largest finite value of the first; 0 only if all are equal, NaN to NaN.

    >>> distance(torch.tensor([1.0, float("nan")]), torch.tensor([1.5, float("nan")]))
    0.5
    """
    if wanted.shape != found.shape:
        return float("inf")
    wanted, found = _plain(wanted), _plain(found)
    same = (wanted == found) | ((wanted != wanted) & (found != found))
    if bool(same.all()):
        return 0.0
    gap = (wanted - found).abs()[~same].max().item()
    size = wanted.abs().nan_to_num(0, 0, 0).max().item()
    return gap / max(size, 1e-30) if gap == gap else float("inf")


def _plain(t: Tensor) -> Tensor:
    t = t.dequantize() if t.is_quantized else t.to_dense() if t.layout != torch.strided else t
    return t.to(torch.complex128 if t.is_complex() else torch.float64)


def limit(run: Callable[[Tensor], Tensor], picture: Tensor, eps: float) -> float:
    """The distance that rounding can make of an answer: sums in another order, or a picture that is a few units off.

    Args:
        run: answers to a picture.
        picture: (1, c, h, w).
        eps: of the coarsest numbers that `run` computes with.
    """
    sums = max(SUMS, 30 * eps)
    off = distance(
        run(picture), run(picture * (1 + 8 * eps))
    )  # a network, or an answer that cancels, may multiply rounding
    return sums if off == float("inf") else max(sums, 10 * off)


def eps_of(like: Tensor) -> float:
    """The unit of rounding of a tensor's numbers; that of float32 for whole numbers."""
    return torch.finfo(like.dtype if like.is_floating_point() else torch.float32).eps
