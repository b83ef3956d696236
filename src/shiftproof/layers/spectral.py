"""Subsampling and refining without aliasing: the trigonometric interpolant through the cells, sampled elsewhere."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shiftproof.errors import LayerError
from shiftproof.layers.arguments import pair
from shiftproof.layers.law import Law


def resampling_matrix(size: int, cells: int, like: Tensor) -> Float[Tensor, "cells size"]:
    """The matrix that resamples a circle of `size` cells to `cells` cells and keeps exactly the frequencies that both have.

    A[k, j] = D(k / cells - j / size) / size, D(t) = sum over |f| <= K of e^(2 pi i f t) = sin((2 K + 1) pi t) / sin(pi t),
    K = floor((min(size, cells) - 1) / 2). A circle of 2 m cells represents the frequency m only as a cosine, which
    a move by half a cell turns into zero. So m is not kept; otherwise moves by fractions of a cell could not be exact. Equal
    sizes give the identity.

    Args:
        size: cells of the given circle, at least 1.
        cells: cells of the new circle, at least 1.
        like: a tensor with the dtype and device of the result.

    >>> resampling_matrix(4, 2, torch.zeros(1))  # two cells have only the frequency 0
    tensor([[0.2500, 0.2500, 0.2500, 0.2500],
            [0.2500, 0.2500, 0.2500, 0.2500]])
    """
    device = like.device
    if size == cells:
        return torch.eye(size, dtype=like.dtype, device=device)
    # Frequencies -K ... K.
    kept = 2 * ((min(size, cells) - 1) // 2) + 1
    k = torch.arange(cells, device=device)[:, None] * size
    # In whole numbers, so that equal lags give equal weights to the bit, and a lag of 0 is found by ==.
    lag = (k - torch.arange(size, device=device) * cells) % (size * cells)
    t = lag.double() * (math.pi / (size * cells))
    kernel = torch.where(lag == 0, float(kept), (kept * t).sin() / t.sin().where(lag != 0, 1.0))
    return (kernel / size).to(like.dtype)


def resampled(x: Float[Tensor, "n c h0 w0"], size: tuple[int, int]) -> Float[Tensor, "n c h w"]:
    """The maps on a grid of `size` cells around the same torus; `resampling_matrix` along each axis that changes."""
    h, w = x.shape[2:]
    if size[1] != w:
        x = x @ resampling_matrix(w, size[1], x).mT
    return resampling_matrix(h, size[0], x) @ x if size[0] != h else x


class IdealLowPass2d(nn.Module):
    """Every s-th cell of the map, after removing the frequencies that would alias: subsampling without aliasing.

    In Fourier coefficients: Y[f] = X[f] / s^2 for |f| < size / (2 s) along each axis, all others 0, then the transform back on
    size / s cells. The output is the input's own low part, so it moves by v / s when the input moves by v, for every real
    v: by whole cells exactly, between them as the trigonometric interpolant says. The cost is ringing, as from a sinc filter.

    Args:
        stride: s, or (rows, columns), each at least 1; it must divide the input's size. An axis of
            stride 1 stays as it is.

    >>> x = torch.tensor([[[[1.0, 0, 1, 0, 1, 0]]]])  # the highest frequency: every plain subsampling makes it a constant
    >>> IdealLowPass2d((1, 2))(x).round(decimals=4).tolist()
    [[[[0.5, 0.5, 0.5]]]]

    Reference: Michaeli, Michaeli and Soudry 2023, "Alias-free convnets: fractional shift invariance via polynomial activations",
    sec. 3.2, https://arxiv.org/abs/2303.08085. Differs: any size and stride; the frequency at the fold is left out.
    """

    def __init__(self, stride: int | tuple[int, int] = 2) -> None:
        super().__init__()
        self.stride = pair(stride, "stride")
        if min(self.stride) < 1:
            raise LayerError(f"stride={stride}", where="IdealLowPass2d", remedy="use 1 or more")

    @property
    def laws(self) -> tuple[Law, ...]:
        """Equivariant to every real circular move."""
        why = "no frequency is left that would alias on size / stride cells"
        ripples = "each cell depends on the whole map"
        circle = Law("equivariant", "circular", stride=self.stride, subpixel=True, exact=False, why=why)
        return circle, Law("none", "crop", stride=self.stride, step=self.stride, why=ripples)

    def forward(self, x: Float[Tensor, "n c h0 w0"]) -> Float[Tensor, "n c h w"]:
        """The map (n, c, h / s, w / s).

        Raises:
            LayerError: the stride does not divide a size.
        """
        (h, w), (sy, sx) = x.shape[2:], self.stride
        if h % sy or w % sx:
            raise LayerError(
                f"stride {self.stride} does not divide maps of {h} x {w}",
                where="IdealLowPass2d",
                remedy="use a stride that does, or pictures of another size",
            )
        return resampled(x, (h // sy, w // sx))

    def extra_repr(self) -> str:
        """The arguments."""
        return f"stride={self.stride}"
