"""Digits that are turned, sheared, scaled and moved at random."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True)
class Deformation:
    """Ranges of what is drawn.

    Args:
        turn_degrees: largest turn, either way.
        shear: largest shear, either way.
        scale: smallest and largest.
    """

    turn_degrees: float
    shear: float
    scale: tuple[float, float]


RANGES = Deformation(20.0, 0.2, (0.8, 1.2))  # affNIST's


def affine(
    pictures: Float[Tensor, "n 1 h w"], reach_px: int, generator: torch.Generator, ranges: Deformation = RANGES
) -> Float[Tensor, "n 1 h w"]:
    """Each picture turned, sheared, scaled and moved, by amounts drawn uniformly.

    It is turned by up to 20 degrees, sheared by up to 0.2 and scaled by 0.8 to 1.2, the ranges of affNIST; bilinear, black
    beyond the border.

    Args:
        pictures: to be changed.
        reach_px: largest move along an axis.
        generator: what random numbers are drawn from.
        ranges: of turning, shearing and scaling.

    Reference: affNIST, https://www.cs.toronto.edu/~tijmen/affNIST/
    Differs: affNIST puts 28 x 28 digits on 40 x 40 pixels and moves them as far as they stay inside; here the frame stays.
    """
    n, _, h, w = pictures.shape

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, generator=generator)

    turn = uniform(-ranges.turn_degrees, ranges.turn_degrees).deg2rad()
    shear, scale = uniform(-ranges.shear, ranges.shear), uniform(*ranges.scale)
    # `affine_grid` says where each pixel of the result comes from, so a scale of 2 is a factor of 1 / 2.
    cos, sin = turn.cos() / scale, turn.sin() / scale
    rows = [
        # Its coordinates run from -1 to 1, so a pixel is 2 / w.
        torch.stack([cos, cos * shear - sin, uniform(-1, 1) * 2 * reach_px / w], 1),
        torch.stack([sin, sin * shear + cos, uniform(-1, 1) * 2 * reach_px / h], 1),
    ]
    grid = nn.functional.affine_grid(torch.stack(rows, 1), list(pictures.shape), align_corners=False)
    return nn.functional.grid_sample(pictures, grid, align_corners=False)
