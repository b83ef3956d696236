"""Pictures on a canvas, near its upper left and near its lower left corner."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from shiftproof.translations import translate

MARGIN_PX = 14  # between what is shown and the border


def on_canvas(x: Float[Tensor, "n 1 h w"], at: tuple[int, int], side: int) -> Float[Tensor, "n 1 side side"]:
    """Each picture with its upper left corner at (row, column) of a canvas of zeros."""
    (y, left), (h, w) = at, x.shape[2:]
    canvas = torch.zeros(len(x), 1, side, side, dtype=x.dtype, device=x.device)
    canvas[..., y : y + h, left : left + w] = x
    return canvas


def lowered(x: Float[Tensor, "n 1 side side"], height: int) -> tuple[Float[Tensor, "n 1 side side"], tuple[int, int]]:
    """The canvases with what stands at the upper left moved to the lower left, and that move (dy, dx).

    Args:
        x: canvases.
        height: of what is shown, in pixels.
    """
    move = (x.shape[2] - 2 * MARGIN_PX - height, 0)
    return translate(x, [move], "circular")[:, 0], move
