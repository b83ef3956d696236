"""What lies outside a picture under each boundary."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from shiftproof.boundaries import BOUNDARIES
from shiftproof.errors import TranslationError


def check_boundary(boundary: str) -> None:
    """Does nothing if the boundary exists.

    Raises:
        TranslationError: it does not.
    """
    if boundary not in BOUNDARIES:
        raise TranslationError(f"boundary {boundary!r} is unknown", remedy=f"use one of {', '.join(BOUNDARIES)}")


def folded(at: Int[Tensor, "..."], size: int, boundary: str) -> Int[Tensor, "..."]:
    """The cell of a line of `size` cells that appears at each place: i mod h (circular), mirrored (reflect), else i.

    >>> folded(torch.arange(-3, 6), 4, "reflect").tolist()
    [3, 2, 1, 0, 1, 2, 3, 2, 1]
    """
    if boundary == "circular":
        return at % size
    if boundary == "reflect":
        # The border's cell is not doubled, so the mirrored line repeats every 2
        # (n - 1) cells. A single cell repeats itself.
        at = at % max(1, 2 * (size - 1))
        return torch.minimum(at, 2 * (size - 1) - at)
    return at


def reduced(d: Shaped[Tensor, " k"], size: int, boundary: str) -> Shaped[Tensor, " k"]:
    """The shortest moves along an axis of `size` cells with the same effect under the boundary.

    >>> reduced(torch.tensor([5, -3, 2]), 4, "circular").tolist()
    [1, 1, -2]
    """
    if boundary == "circular":
        return (d + size // 2) % size - size // 2
    if boundary == "reflect":
        # As many cells as the mirrored line repeats after, from -(n - 1) to n - 2.
        return (d + size - 1) % max(1, 2 * (size - 1)) - (size - 1)
    # Once it has left the picture by its own size, there is only background, however far it goes.
    return d.clamp(-size, size) if boundary == "zero" else d


def continued(
    x: Shaped[Tensor, "n c h0 w0"],
    sides: tuple[int, int, int, int],
    boundary: str,
    fill: float | Sequence[float] = 0.0,
) -> Shaped[Tensor, "n c h w"]:
    """The pictures with (top, bottom, left, right) cells added as the boundary says; x itself if there are none to add."""
    top, bottom, left, right = sides
    h, w = x.shape[2:]
    if not any(sides):
        return x
    if boundary == "zero":
        wide = constant(x, fill).expand(*x.shape[:2], top + h + bottom, left + w + right).clone()
        wide[..., top : top + h, left : left + w] = x
        return wide
    # One axis after the other, so that corners are continued along both.
    for axis, size, before, after in ((3, w, left, right), (2, h, top, bottom)):
        if before or after:
            at = torch.arange(-before, 0), torch.arange(size, size + after)
            edges = [x.index_select(axis, folded(i, size, boundary).to(x.device)) for i in at]
            x = torch.cat([edges[0], x, edges[1]], axis)
    return x


def constant(x: Shaped[Tensor, "n c h w"], fill: float | Sequence[float]) -> Shaped[Tensor, "c_or_1 1 1"]:
    """The fill of each channel, in x's dtype and on its device.

    Raises:
        TranslationError: the fill is not one finite value, or one per channel, that x's dtype can hold.
    """
    values = [float(v) for v in fill] if isinstance(fill, Sequence) else [float(fill)]
    if len(values) not in (1, x.shape[1]) or not all(map(math.isfinite, values)):
        raise TranslationError(
            f"fill {fill} does not fit {x.shape[1]} channels", remedy="give one finite value, or one per channel"
        )
    if not x.is_floating_point():
        low, high = (0, 1) if x.dtype == torch.bool else (torch.iinfo(x.dtype).min, torch.iinfo(x.dtype).max)
        if not all(v.is_integer() and low <= v <= high for v in values):
            raise TranslationError(
                f"fill {fill} is not a value of {x.dtype}", remedy=f"use whole numbers {low}..{high}"
            )
        values = [int(v) for v in values]
    return torch.tensor(values, dtype=x.dtype, device=x.device)[:, None, None]
