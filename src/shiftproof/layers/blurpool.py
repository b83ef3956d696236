"""Subsampling after a low-pass filter: anti-aliased pooling."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shiftproof.errors import LayerError
from shiftproof.layers.arguments import pair
from shiftproof.layers.law import Law, local_laws
from shiftproof.layers.padding import wrapped

Padding = Literal["zeros", "reflect", "replicate", "circular"]
PADDINGS = ("zeros", "reflect", "replicate", "circular")
LARGEST = 7


def binomial_taps(size: int) -> list[float]:
    """The row of Pascal's triangle with `size` numbers, divided by its sum 2^(size - 1), so every tap is exact in binary.

    >>> binomial_taps(3)
    [0.25, 0.5, 0.25]
    """
    return [math.comb(size - 1, i) / 2 ** (size - 1) for i in range(size)]


class BlurPool2d(nn.Module):
    """Every s-th cell of the map smoothed by binomial taps: y[k] = sum over m of w[m] x[s k + m - p], each channel alone.

    Put it after the nonlinearity, in place of a stride: conv, ReLU, BlurPool instead of a strided convolution; MaxPool with
    stride 1, BlurPool instead of max pooling. Two taps remove the highest frequency; more taps remove more of the frequencies
    that would alias. Some aliasing remains for moves that are not multiples of the stride (see `IdealLowPass2d` and
    `PolyphasePool2d` for layers without any).

    Args:
        kernel_size: taps, 1 to 7, or (rows, columns); 1 is plain subsampling.
        stride: s, or (rows, columns).
        padding_mode: how the map continues beyond its border: "zeros", "reflect", "replicate" or "circular". In all,
            kernel_size - 1 cells are added, the smaller half before; the output has ceil(size / stride) cells.

    >>> x = torch.tensor([[[[0.0, 4, 0, 0]]]])
    >>> BlurPool2d((1, 3), (1, 2), padding_mode="circular")(x).tolist()
    [[[[1.0, 1.0]]]]

    Reference: Zhang 2019, "Making convolutional networks shift-invariant again", sec. 3, https://arxiv.org/abs/1904.11486.
    Differs: circular padding, and kernels and strides with two sizes.
    """

    taps: Tensor

    def __init__(
        self,
        kernel_size: int | tuple[int, int] = 3,
        stride: int | tuple[int, int] = 2,
        padding_mode: Padding = "reflect",
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = pair(kernel_size, "kernel_size"), pair(stride, "stride")
        self.padding_mode = padding_mode
        if not all(1 <= k <= LARGEST for k in self.kernel_size):
            raise LayerError(f"kernel_size={kernel_size}", where="BlurPool2d", remedy=f"use 1 to {LARGEST} taps")
        if min(self.stride) < 1:
            raise LayerError(f"stride={stride}", where="BlurPool2d", remedy="use 1 or more")
        if padding_mode not in PADDINGS:
            raise LayerError(
                f"padding_mode={padding_mode!r} is unknown",
                where="BlurPool2d",
                remedy=f"use one of {', '.join(PADDINGS)}",
            )
        rows, columns = (torch.tensor(binomial_taps(k)) for k in self.kernel_size)
        # Not in the state: the taps follow from the arguments.
        self.register_buffer("taps", torch.outer(rows, columns)[None, None], persistent=False)

    @property
    def laws(self) -> tuple[Law, ...]:
        """Equivariant for moves that are multiples of the stride; circular moves only with circular padding."""
        # Nothing is added before the map, and what is added behind it no window
        # reads: then zeros are as good as the circle.
        tiles = all((k - 1) // 2 == 0 and k // 2 < s for k, s in zip(self.kernel_size, self.stride, strict=True))
        closed = self.padding_mode == "circular" or tiles  # windows that do not reach beyond the border
        why = "the same filter at every position" + (
            "" if closed else f"; {self.padding_mode!r} padding at the border is not part of the circle"
        )
        return local_laws(self.stride, wraps=closed, why=why)

    def forward(self, x: Float[Tensor, "n c h0 w0"]) -> Float[Tensor, "n c h w"]:
        """The smoothed map's every s-th cell: (n, c, ceil(h / s), ceil(w / s)).

        Raises:
            LayerError: the map is too small to be reflected.
        """
        (ky, kx), (h, w), c = self.kernel_size, x.shape[2:], x.shape[1]
        # Torch's order: the last axis first.
        sides = ((kx - 1) // 2, kx // 2, (ky - 1) // 2, ky // 2)
        if self.padding_mode == "circular":
            x = wrapped(x, sides)
        elif self.padding_mode == "reflect" and (sides[1] >= w or sides[3] >= h):
            raise LayerError(
                f"a map of {h} x {w} is too small to be reflected for {ky} x {kx} taps",
                where="BlurPool2d",
                remedy='use fewer taps or padding_mode="circular"',
            )
        elif any(sides):
            mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
            x = nn.functional.pad(x, sides, mode=mode)
        return nn.functional.conv2d(x, self.taps.to(x.dtype).expand(c, 1, ky, kx), stride=self.stride, groups=c)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding_mode={self.padding_mode!r}"
