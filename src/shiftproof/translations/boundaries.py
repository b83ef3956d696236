"""What lies outside a picture, for each boundary."""

from __future__ import annotations

import math
import typing
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from shiftproof.errors import TranslationError

Boundary = Literal["circular", "zero", "reflect", "crop"]
BOUNDARIES: tuple[str, ...] = typing.get_args(Boundary)


def check_boundary(boundary: str) -> None:
    """Nothing, for a boundary that exists.

    Raises:
        TranslationError: for any other word.
    """
    if boundary not in BOUNDARIES:
        raise TranslationError(f"boundary {boundary!r} is unknown", remedy=f"use one of {', '.join(BOUNDARIES)}")


def folded(at: Int[Tensor, "..."], size: int, boundary: str) -> Int[Tensor, "..."]:
    """The cell of a line of `size` cells that shows at each place: i mod h (circular), the mirror (reflect), else i.

    >>> folded(torch.arange(-3, 6), 4, "reflect").tolist()
    [3, 2, 1, 0, 1, 2, 3, 2, 1]
    """
    if boundary == "circular":
        return at % size
    if boundary == "reflect":
        at = at % max(1, 2 * (size - 1))
        return torch.minimum(at, 2 * (size - 1) - at)
    return at


def reduced(d: Shaped[Tensor, " k"], size: int, boundary: str) -> Shaped[Tensor, " k"]:
    """Moves along one axis of `size` cells with the same effect, as short as the boundary allows.

    >>> reduced(torch.tensor([5, -3, 2]), 4, "circular").tolist()
    [1, 1, -2]
    """
    if boundary == "circular":
        return (d + size // 2) % size - size // 2
    if boundary == "reflect":
        return (d + size - 1) % max(1, 2 * (size - 1)) - (size - 1)
    return d.clamp(-size, size) if boundary == "zero" else d


def continued(
    x: Shaped[Tensor, "n c h0 w0"],
    sides: tuple[int, int, int, int],
    boundary: str,
    fill: float | Sequence[float] = 0.0,
) -> Shaped[Tensor, "n c h w"]:
    """The pictures with (top, bottom, left, right) more cells around them, as the boundary says; x itself if none."""
    top, bottom, left, right = sides
    h, w = x.shape[2:]
    if not any(sides):
        return x
    if boundary == "zero":
        wide = constant(x, fill).expand(*x.shape[:2], top + h + bottom, left + w + right).clone()
        wide[..., top : top + h, left : left + w] = x
        return wide
    for axis, size, before, after in ((3, w, left, right), (2, h, top, bottom)):
        if before or after:
            at = torch.arange(-before, 0), torch.arange(size, size + after)
            edges = [x.index_select(axis, folded(i, size, boundary).to(x.device)) for i in at]
            x = torch.cat([edges[0], x, edges[1]], axis)
    return x


def constant(x: Shaped[Tensor, "n c h w"], fill: float | Sequence[float]) -> Shaped[Tensor, "c_or_1 1 1"]:
    """The fill of each channel, in x's dtype and on its device.

    Raises:
        TranslationError: not one finite value, or one a channel, that x's dtype holds.
    """
    values = [float(v) for v in fill] if isinstance(fill, Sequence) else [float(fill)]
    if len(values) not in (1, x.shape[1]) or not all(map(math.isfinite, values)):
        raise TranslationError(
            f"fill {fill} does not fit {x.shape[1]} channels", remedy="give one finite value, or one a channel"
        )
    if not x.is_floating_point():
        low, high = (0, 1) if x.dtype == torch.bool else (torch.iinfo(x.dtype).min, torch.iinfo(x.dtype).max)
        if not all(v.is_integer() and low <= v <= high for v in values):
            raise TranslationError(f"fill {fill} is no value of {x.dtype}", remedy=f"use whole numbers {low}..{high}")
        values = [int(v) for v in values]
    return torch.tensor(values, dtype=x.dtype, device=x.device)[:, None, None]
