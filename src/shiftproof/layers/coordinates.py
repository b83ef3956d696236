"""Coordinates as channels, which give a network access to position on purpose."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shiftproof.layers.law import Law


class CoordinateChannels(nn.Module):
    """The map with its row and column numbers as two more channels, from -1 at the first cell to 1 at the last.

    y[c] = (2 i - (h - 1)) / (h - 1), y[c + 1] the same of j and w, y[c + 2] = (y[c]^2 + y[c + 1]^2)^(1/2) if asked for.
    A convolution after it can depend on position. Use it for tasks in which the position is part of the answer.

    Args:
        with_radius: also the distance from the centre.

    >>> CoordinateChannels()(torch.zeros(1, 1, 1, 3))[0, 1:].tolist()
    [[[0.0, 0.0, 0.0]], [[-1.0, 0.0, 1.0]]]

    Reference: Liu et al. 2018, "An intriguing failing of convolutional neural networks and the CoordConv solution",
    sec. 3, https://arxiv.org/abs/1807.03247. Differs: rows before columns; an axis of one cell has coordinate 0.
    """

    def __init__(self, with_radius: bool = False) -> None:
        super().__init__()
        self.with_radius = with_radius

    @property
    def laws(self) -> tuple[Law, ...]:
        """No promise: the coordinates stay where they are when the picture moves, on purpose."""
        why = "the coordinates stay where they are"
        return Law("none", "circular", why=why), Law("none", "zero", why=why), Law("none", "crop", why=why)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c_and_more h w"]:
        """The map (n, c + 2, h, w), or (n, c + 3, h, w) with the radius."""
        n, _, h, w = x.shape
        rows = coordinates(h, x)[:, None].expand(n, 1, h, w)
        columns = coordinates(w, x).expand(n, 1, h, w)
        added = [rows, columns] + ([torch.hypot(rows, columns)] if self.with_radius else [])
        return torch.cat([x, *added], 1)

    def extra_repr(self) -> str:
        """The arguments."""
        return "with_radius=True" if self.with_radius else ""


def coordinates(size: int, like: Tensor) -> Float[Tensor, " size"]:
    """Equal steps from -1 to 1, of `like`'s dtype and on its device."""
    at = torch.arange(size, device=like.device, dtype=like.dtype)
    # Whole numbers over a whole number: the two halves differ in nothing but the sign, to the last bit.
    return (2 * at - (size - 1)) / max(1, size - 1)
