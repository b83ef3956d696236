"""Circular padding that wraps as often as necessary, and the convolution that uses it."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, cat, nn

from shiftproof.errors import LayerError
from shiftproof.layers.arguments import counts, pair, whole_numbers
from shiftproof.layers.law import Law, local_laws

Sides = tuple[int, int, int, int]


def wrapped(x: Shaped[Tensor, "n c h0 w0"], padding: Sides) -> Shaped[Tensor, "n c h w"]:
    """The maps with (left, right, top, bottom) more cells around them, where cell i is cell i mod the size.

    The slices are laid end to end because `shiftproof.check` recognises that as a closed circle.

    >>> import torch
    >>> wrapped(torch.tensor([[[[1, 2]]]]), (3, 1, 0, 0)).tolist()
    [[[[2, 1, 2, 1, 2, 1]]]]
    """
    for dim, before, after in ((3, *padding[:2]), (2, *padding[2:])):
        n = x.shape[dim]
        # Whole rounds first, then what is left of a round at either end.
        pieces = [x] * (before // n + 1 + after // n)
        if before % n:
            pieces.insert(0, x[:, :, n - before % n :] if dim == 2 else x[..., n - before % n :])
        if after % n:
            pieces.append(x[:, :, : after % n] if dim == 2 else x[..., : after % n])
        x = cat(pieces, dim) if len(pieces) > 1 else x
    return x


class CircularPad2d(nn.Module):
    """The map continued around the circle: y[i, j] = x[(i - top) mod h, (j - left) mod w].

    As `torch.nn.CircularPad2d`, which refuses to pad by more than the size of the map; this layer wraps as often as necessary.

    Args:
        padding: cells on each side, or (left, right, top, bottom), from 0.

    Raises:
        LayerError: the padding is not one or four whole numbers, or a number is negative.

    >>> import torch
    >>> CircularPad2d((5, 0, 0, 0))(torch.tensor([[[[1.0, 2.0, 3.0]]]])).tolist()
    [[[[2.0, 3.0, 1.0, 2.0, 3.0, 1.0, 2.0, 3.0]]]]

    Reference: Schubert, Neubert, Pöschmann & Protzel 2019, "Circular convolutional neural networks for panoramic images and
    laser data" (there inside the layer), https://doi.org/10.1109/IVS.2019.8813862.
    """

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__()
        found = whole_numbers((padding,) * 4 if isinstance(padding, Integral) else padding)
        if len(found) != 4 or min(found) < 0:
            raise LayerError(
                f"padding={padding} is not a padding",
                where="CircularPad2d",
                remedy="give one number from 0, or (left, right, top, bottom); to take cells away use slices",
            )
        self.padding: Sides = (found[0], found[1], found[2], found[3])

    @property
    def laws(self) -> tuple[Law, ...]:
        """Away from the border the cells are the picture's own. The padded map is not a circle."""
        closed = not any(self.padding)
        return local_laws(
            (1, 1),
            wraps=closed,
            why="every cell is a copy of a cell of the map" + ("" if closed else "; the padded map is not a circle"),
        )

    def forward(self, x: Shaped[Tensor, "n c h0 w0"]) -> Shaped[Tensor, "n c h w"]:
        """The map (n, c, top + h + bottom, left + w + right)."""
        return wrapped(x, self.padding)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"padding={self.padding}"


class CircularConv2d(nn.Conv2d):
    """The convolution on the torus: y[k] = b + sum over m of w[m] x[(s k + d m - p) mod size].

    As `torch.nn.Conv2d(..., padding_mode="circular")`, whose weights it can load, for kernels and paddings of any size, even
    larger than the map.

    Args:
        in_channels, out_channels, kernel_size, stride, dilation, groups, bias, device, dtype: as torch's.
        padding: p, a number or (rows, columns); "valid": 0; or "same": d (k - 1) cells in all, the smaller half before; the
            map is then ceil(size / s) cells, also for a stride over 1. The default is torch's, 0,
            which does not close the circle.
        padding_mode: "circular"; it exists so that arguments written for torch's convolution fit.

    Raises:
        LayerError: another padding mode, or a size that is not a positive whole number.

    >>> import torch
    >>> conv = CircularConv2d(1, 1, 5, padding="same", bias=False)
    >>> _ = torch.nn.init.ones_(conv.weight)
    >>> conv(torch.tensor([[[[1.0, 2.0]]]])).tolist()  # 5 rows around a circle of 1, 5 columns around one of 2
    [[[[35.0, 40.0]]]]

    Reference: Schubert, Neubert, Pöschmann & Protzel 2019, "Circular convolutional neural networks for panoramic images and
    laser data" (circular convolutional layers), https://doi.org/10.1109/IVS.2019.8813862.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "circular",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if padding_mode != "circular":
            raise LayerError(
                f"padding_mode={padding_mode!r}",
                where="CircularConv2d",
                remedy="use torch.nn.Conv2d for the other modes",
            )
        where = type(self).__name__
        c_in, c_out = counts(where, in_channels=in_channels, out_channels=out_channels)
        sizes = pair(kernel_size, "kernel_size"), pair(stride, "stride"), pair(dilation, "dilation")
        for name, (rows, columns) in zip(("kernel_size", "stride", "dilation"), sizes, strict=True):
            counts(where, **{name: min(rows, columns)})
        # Zero padding for torch, which refuses "same" with a stride; the real one is set below.
        super().__init__(c_in, c_out, sizes[0], sizes[1], 0, sizes[2], groups, bias, device=device, dtype=dtype)
        self.padding = padding if isinstance(padding, str) else pair(padding, "padding")
        self.padding_mode = "circular"
        if self.padding not in ("same", "valid") and (isinstance(self.padding, str) or min(self.padding) < 0):
            raise LayerError(
                f"padding={padding!r} is not a padding",
                where="CircularConv2d",
                remedy='give a number from 0, (rows, columns), "same" or "valid"',
            )

    @property
    def laws(self) -> tuple[Law, ...]:
        """Equivariant for moves that are multiples of the stride, if the padding gives size / stride cells."""
        step = (self.stride[0], self.stride[1])
        left, right, top, bottom = self._sides()
        spare = (top + bottom - self._reach(0), left + right - self._reach(1))
        # Then (n + e - 1) // s + 1 windows are n / s, e being the padding beyond d (k - 1).
        tiles = all(0 >= e > -s for e, s in zip(spare, step, strict=True))
        why = "the same kernel at every position" + (
            ", around the circle" if tiles else "; the padding does not close the circle"
        )
        return local_laws(step, wraps=tiles, why=why)

    def forward(self, input: Float[Tensor, "*n c_in h0 w0"]) -> Float[Tensor, "*n c_out h w"]:
        """The convolved maps; one map alone, (c, h, w), as torch takes it, stays alone."""
        # `wrapped` needs the batch; torch's own layers take a single map without one.
        x = wrapped(input if input.ndim == 4 else input[None], self._sides())
        y = nn.functional.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)
        return y if input.ndim == 4 else y[0]

    def _reach(self, axis: int) -> int:
        return self.dilation[axis] * (self.kernel_size[axis] - 1)

    def _sides(self) -> Sides:
        if self.padding == "valid":
            return (0, 0, 0, 0)
        if isinstance(self.padding, str):
            (y, x) = self._reach(0), self._reach(1)
            return (x // 2, x - x // 2, y // 2, y - y // 2)
        return (self.padding[1], self.padding[1], self.padding[0], self.padding[0])
