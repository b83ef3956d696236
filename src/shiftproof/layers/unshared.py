"""Convolutions without weight sharing: every output position has its own kernel (locally connected layers)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shiftproof.layers.unshared_nd import UnsharedNd


class UnsharedConv2d(UnsharedNd):
    """A 2-d convolution with a different kernel at every position ("locally connected"). It has no translation law.

    y[n, o, i, j] = b[o, i, j] + sum over c, a, b of x[n, c, i s + a d - p, j s + b d - p] W[i, j][o, c, a, b].

    This is the formula of `torch.nn.Conv2d`, except that W and b depend on (i, j). The layer has as many multiply-adds as
    a convolution, and as many times its weights as there are output positions.

    Weights are stored as (positions x groups, kernel, out / groups), with the kernel axis in the order (row, column,
    channel). The layer is then one batched matrix product with neighbourhoods that are copied from the input in whole runs
    of channels. `kernels()` returns the weights in torch's layout. Training on a CPU copies the neighbourhoods a few rows
    at a time, and again in the backward pass: they stay in the cache and are never all in memory
    (`benchmarks/unshared.py`).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: (rows, columns) in pixels, or one number for both.
        stride: pixels between neighbouring output cells.
        padding: pixels added at each side, or "valid", or "same" (needs stride 1 or circular padding).
        dilation: pixels between neighbouring taps.
        groups: number of channel groups without connections between them, as in torch; must divide both channel counts.
        bias: whether to add a bias, one per output cell.
        padding_mode: "zeros", "reflect", "replicate" or "circular", which wraps as often as necessary.
        device: of the weights.
        dtype: of the weights.
        input_size: (rows, columns) of the input in pixels, or one number for both; inputs of other sizes are refused.

    Raises:
        LayerError: the arguments do not fit together, or the input has another size.

    >>> layer = UnsharedConv2d(1, 4, 3, padding=1, input_size=(8, 10))
    >>> layer(torch.rand(2, 1, 8, 10)).shape, layer.weight.shape
    (torch.Size([2, 4, 8, 10]), torch.Size([80, 9, 4]))

    Reference: LeCun 1989, "Generalization and network design strategies", net 3 (local connections without sharing).
    http://yann.lecun.com/exdb/publis/pdf/lecun-89.pdf
    """

    axes, shared = 2, nn.Conv2d

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | str = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        input_size: int | Sequence[int],
    ) -> None:
        super().__init__(
            *(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode),
            *(device, dtype, input_size),
        )

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n o i j"]:
        """Return the output, (n, out_channels, *output_size)."""
        return super().forward(x)

    @classmethod
    def from_conv(cls, conv: nn.Conv2d, input_size: int | Sequence[int]) -> UnsharedConv2d:
        """Build the layer that computes the same function as a convolution: every position gets a copy of its kernel.

        Outputs are equal where sums are exact (whole numbers in float64). Otherwise they agree up to rounding, because the
        two layers add their terms in a different order.

        Args:
            conv: the convolution to copy kernel, bias, geometry, dtype and device from; it is not changed.
            input_size: (rows, columns) in pixels, or one number for both.

        >>> conv = nn.Conv2d(2, 3, 3, padding=1)
        >>> x = torch.rand(1, 2, 6, 6)
        >>> torch.allclose(UnsharedConv2d.from_conv(conv, 6)(x), conv(x), atol=1e-6)
        True
        """
        return cls._from(conv, input_size)

    def tie(self) -> nn.Conv2d:
        """Return the nearest convolution: its kernel and its bias are the means over positions.

        Of all kernels K, the mean has the smallest sum over positions of |W[i, j] - K|^2 (least squares). Kernels at the
        border count in full, including the taps that only see padding. Where torch's convolution cannot pad as this layer
        does (wrap more than once, or "same" with a stride), the result is a `CircularConv2d`.

        >>> conv = nn.Conv2d(2, 3, 3, padding=1)
        >>> torch.allclose(UnsharedConv2d.from_conv(conv, 6).tie().weight, conv.weight)
        True
        """
        return self._tied()


class UnsharedConv1d(UnsharedNd):
    """A 1-d convolution with a different kernel at every position ("locally connected"); see `UnsharedConv2d`.

    y[n, o, i] = b[o, i] + sum over c, a of x[n, c, i s + a d - p] W[i][o, c, a].

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: number of samples.
        stride: samples between neighbouring output cells.
        padding: samples added at each side, or "valid", or "same".
        dilation: samples between neighbouring taps.
        groups: number of channel groups without connections between them, as in torch; must divide both channel counts.
        bias: whether to add a bias, one per output cell.
        padding_mode: "zeros", "reflect", "replicate" or "circular".
        device: of the weights.
        dtype: of the weights.
        input_size: length of the input; inputs of other lengths are refused.

    Raises:
        LayerError: the arguments do not fit together, or the input has another size.

    >>> UnsharedConv1d(1, 4, 3, stride=2, input_size=9)(torch.rand(2, 1, 9)).shape
    torch.Size([2, 4, 4])

    Reference: LeCun 1989, "Generalization and network design strategies", net 3 (there in two dimensions).
    http://yann.lecun.com/exdb/publis/pdf/lecun-89.pdf
    """

    axes, shared = 1, nn.Conv1d

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | str = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        input_size: int | Sequence[int],
    ) -> None:
        super().__init__(
            *(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode),
            *(device, dtype, input_size),
        )

    def forward(self, x: Float[Tensor, "n c t"]) -> Float[Tensor, "n o i"]:
        """Return the output, (n, out_channels, *output_size)."""
        return super().forward(x)

    @classmethod
    def from_conv(cls, conv: nn.Conv1d, input_size: int | Sequence[int]) -> UnsharedConv1d:
        """Build the layer that computes the same function as a convolution; see `UnsharedConv2d.from_conv`.

        Args:
            conv: the convolution to copy kernel, bias, geometry, dtype and device from; it is not changed.
            input_size: length of the input.
        """
        return cls._from(conv, input_size)

    def tie(self) -> nn.Conv1d:
        """Return the nearest convolution in least squares; see `UnsharedConv2d.tie`.

        Raises:
            LayerError: circular padding wraps more than once; torch has no such 1-d convolution.
        """
        return self._tied()
