"""From maps to one value per channel, which turns equivariance into invariance."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shiftproof.errors import LayerError
from shiftproof.layers.law import Law


def invariant_laws(why: str) -> tuple[Law, ...]:
    """Invariant to every move that keeps the whole picture; under `crop`, part of it leaves the window."""
    leaves = "what leaves the window and what enters it changes the answer"
    return Law("invariant", "circular", why=why), Law("invariant", "zero", why=why), Law("none", "crop", why=leaves)


class ChannelReadout(nn.Module):
    """Class k's score is the sum of channel k: a dense layer over flattened maps whose weights are tied over positions.

    z[k] = sum over i, j of x[k, i, j]: weight 1 on every cell of channel k and 0 on every other cell. A dense layer has a
    weight for every position, so it can learn positions. With one weight for all positions, the class does not depend on
    where the pattern is, exactly. A softmax after it keeps that.

    >>> x = torch.zeros(1, 2, 5, 5); x[0, 1, 3, 0] = 1
    >>> ChannelReadout()(x).tolist(), ChannelReadout()(x.roll((2, 2), (2, 3))).tolist()
    ([[0.0, 1.0]], [[0.0, 1.0]])

    Reference: Lin, Chen and Yan 2013, "Network in network", sec. 3.2 (global average pooling: one map per class, fed to
    the softmax), https://arxiv.org/abs/1312.4400. Differs: the sum, which is the mean times the number of cells.
    """

    @property
    def laws(self) -> tuple[Law, ...]:
        """Invariant to circular moves, and to those of an object on a canvas of zeros."""
        return invariant_laws("a sum over all positions")

    def forward(self, x: Float[Tensor, "n k h w"]) -> Float[Tensor, "n k"]:
        """Scores (n, k)."""
        return x.sum((2, 3))

    @staticmethod
    def dense(channels: int, height: int, width: int) -> nn.Linear:
        """The same as a dense layer over flattened maps: (channels, channels * height * width) ones and zeros.

        >>> ChannelReadout.dense(2, 1, 3).weight.tolist()
        [[1.0, 1.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]]
        """
        layer = nn.Linear(channels * height * width, channels, bias=False)
        with torch.no_grad():
            layer.weight.copy_(torch.eye(channels).repeat_interleave(height * width, 1))
        return layer


class GlobalPool2d(nn.Module):
    """One value per channel: the mean, the maximum or a norm over all positions.

    mean: (1 / hw) sum of x; max: max of x; lp: (sum of |x|^p)^(1/p).

    Args:
        mode: "mean", "max" or "lp".
        norm_type: p of "lp", above 0 or `math.inf`.
        keepdim: return (n, c, 1, 1) instead of (n, c).

    Raises:
        LayerError: the mode is unknown, or norm_type is not above 0.

    >>> x = torch.tensor([[[[3.0, -4.0]]]])
    >>> [GlobalPool2d(mode)(x).item() for mode in ("mean", "max", "lp")]
    [-0.5, 3.0, 5.0]

    Reference: Lin, Chen and Yan 2013, "Network in network", sec. 3.2 (the mean), https://arxiv.org/abs/1312.4400; Gulcehre,
    Cho, Pascanu and Bengio 2014, "Learned-norm pooling for deep feedforward and recurrent neural networks",
    https://arxiv.org/abs/1311.1780 (lp). Differs: the norm is not divided by the number of cells.
    """

    def __init__(
        self, mode: Literal["mean", "max", "lp"] = "mean", norm_type: float = 2.0, keepdim: bool = False
    ) -> None:
        super().__init__()
        if mode not in ("mean", "max", "lp"):
            raise LayerError(f"mode={mode!r} is unknown", where="GlobalPool2d", remedy="use mean, max or lp")
        if not norm_type > 0:
            raise LayerError(f"norm_type={norm_type}", where="GlobalPool2d", remedy="use a number above 0, or math.inf")
        self.mode, self.norm_type, self.keepdim = mode, norm_type, keepdim

    @property
    def laws(self) -> tuple[Law, ...]:
        """Invariant to circular moves, and to those of an object on a canvas of zeros."""
        return invariant_laws(f"the {self.mode} over all positions does not depend on position")

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c *one"]:
        """One value per channel, (n, c), or (n, c, 1, 1)."""
        if self.mode == "mean":
            return x.mean((2, 3), keepdim=self.keepdim)
        if self.mode == "max" or self.norm_type == math.inf:
            return (x if self.mode == "max" else x.abs()).amax((2, 3), keepdim=self.keepdim)
        return torch.linalg.vector_norm(x, self.norm_type, (2, 3), keepdim=self.keepdim)

    def extra_repr(self) -> str:
        """The arguments."""
        norm = f", norm_type={self.norm_type}" if self.mode == "lp" else ""
        return f"mode={self.mode!r}{norm}" + (", keepdim=True" if self.keepdim else "")
