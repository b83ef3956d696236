"""The product behind unshared convolutions: neighbourhoods cut out of a map, each times the matrix of its position."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

Pair = tuple[int, int]
CACHED = 1 << 18  # numbers in a block of neighbourhoods, 1 MB in float32: half of a core's second-level cache


def product(
    x: Float[Tensor, "n c h w"],
    weight: Float[Tensor, "p k o"],
    groups: int,
    kernel: Pair,
    stride: Pair = (1, 1),
    dilation: Pair = (1, 1),
) -> Float[Tensor, "n q i j"]:
    """y[n, :, i, j] = the neighbourhood of cell (i, j) times the matrix of that position, group by group.

    Args:
        x: the map, already padded.
        weight: (positions x groups, rows x columns x channels a group, outputs a group); positions row by row, a kernel's
            axis ordered (row, column, channel).
        groups: parts of the channels that do not see each other.
        kernel: (rows, columns) of a neighbourhood.
        stride: pixels between neighbourhoods.
        dilation: pixels between neighbouring taps.

    Returns:
        (n, groups x outputs, rows, columns), contiguous.

    >>> x = torch.arange(6.0).reshape(1, 1, 2, 3)
    >>> product(x, torch.tensor([1.0, 10.0, 100.0]).reshape(3, 1, 1).repeat(2, 1, 1), 1, (1, 1))
    tensor([[[[  0.,  10., 200.],
              [  3.,  40., 500.]]]])
    """
    # Channels last: a neighbourhood is then copied in runs of whole channels, and positions are the batch of one `bmm`.
    cells = x.unflatten(1, (groups, -1)).permute(3, 4, 1, 0, 2).contiguous()  # (h, w, groups, n, channels)
    rows, columns = (
        (m - d * (k - 1) - 1) // s + 1 for m, k, s, d in zip(x.shape[2:], kernel, stride, dilation, strict=True)
    )
    shape = _Shape(kernel, stride, dilation, (rows, columns), cells.shape)
    training = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    if training and x.device.type == "cpu" and not _transformed() and _of_one_dtype(cells, weight):
        y: Any = _Blocked.apply(cells, weight, None, shape)
    else:  # torch derives this one itself, on any device and under any transform, but keeps every neighbourhood for it
        y = torch.bmm(_neighbourhoods(cells, shape, shape.out), weight)
    y = y.unflatten(0, (rows, columns, groups)).permute(3, 2, 4, 0, 1)  # (n, groups, outputs, rows, columns)
    return y.flatten(1, 2).contiguous()


def _transformed() -> bool:
    """Whether it is being compiled or exported, or under a transform of torch.func (vmap, grad, jvp): no buffers then."""
    return torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()


def _of_one_dtype(cells: Tensor, weight: Tensor) -> bool:
    """Whether the blocks may write into buffers: under autocast torch chooses the dtype of a product."""
    return cells.dtype == weight.dtype and not torch.is_autocast_enabled("cpu")


@dataclass(frozen=True)
class _Shape:
    """Where the neighbourhoods of a map lie.

    Args:
        kernel: (rows, columns) of a neighbourhood.
        stride: pixels between neighbourhoods.
        dilation: pixels between neighbouring taps.
        out: rows and columns of neighbourhoods.
        cells: the shape of the map, (rows, columns, groups, n, channels a group).
    """

    kernel: Pair
    stride: Pair
    dilation: Pair
    out: Pair
    cells: torch.Size  # its numbers are symbols while torch exports with any batch size

    @property
    def taps(self) -> int:
        """Numbers in one neighbourhood of one group."""
        return self.kernel[0] * self.kernel[1] * self.cells[4]

    def blocks(self) -> Iterator[tuple[Pair, slice, slice]]:
        """(rows and columns of output, the rows of the map that they see, their matrices), a few rows at a time."""
        matrices = self.out[1] * self.cells[2]  # a row of output
        # Rows of output whose neighbourhoods fit the cache together.
        height = max(1, CACHED // (matrices * max(1, self.cells[3]) * self.taps))
        for top in range(0, self.out[0], height):
            rows = min(height, self.out[0] - top)
            # The last row of the map that the block's last row of output sees.
            last = (top + rows - 1) * self.stride[0] + (self.kernel[0] - 1) * self.dilation[0]
            where = slice(top * matrices, (top + rows) * matrices)
            yield (rows, self.out[1]), slice(top * self.stride[0], last + 1), where


def _neighbourhoods(cells: Tensor, shape: _Shape, out: Pair) -> Tensor:
    """(rows x columns x groups, n, taps), copied once, in runs of whole channels."""
    taps = [_tap(cells, a, b, shape, out) for a in range(shape.kernel[0]) for b in range(shape.kernel[1])]
    return torch.cat(taps, -1).flatten(0, 2)


def _tap(cells: Tensor, a: int, b: int, shape: _Shape, out: Pair) -> Tensor:
    """The cells that tap (a, b) sees: a view, (rows, columns, groups, n, channels)."""
    (y, x), (s, t), (i, j) = (a * shape.dilation[0], b * shape.dilation[1]), shape.stride, out
    return cells[y : y + (i - 1) * s + 1 : s, x : x + (j - 1) * t + 1 : t]


class _Blocked(torch.autograd.Function):
    """The product and its derivatives, a few rows of the map at a time, in buffers that stay in the cache.

    With u the neighbourhoods of the cells, the sum over positions of <u W, y> is linear in each of cells, W and y. Its
    derivative by one of them is a function of the other two: u W by y, u' y by W, and y W' added back to the cells that u was
    cut from. So one function of two of the three gives the third, and each of its derivatives is that function again, of
    any order. u is cut again each time, which is cheaper than keeping it.
    """

    @staticmethod
    def forward(cells: Tensor | None, weight: Tensor | None, y: Tensor | None, shape: _Shape) -> Tensor:
        if y is None:
            assert cells is not None
            assert weight is not None
            return _made_of(cells, weight, shape)
        y = y.contiguous()
        if weight is None:
            assert cells is not None
            return _of_weight(cells, y, shape)
        return _of_cells(weight, y, shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[:3])
        ctx.save_for_forward(*inputs[:3])
        ctx.shape = inputs[3]

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        three, found = list(ctx.saved_tensors), []
        for i, tangent in enumerate(tangents[:3]):
            if tangent is not None:
                # The product is linear in each of its factors, so its derivative in a direction
                # is itself with that direction put in.
                found.append(_Blocked.apply(*three[:i], tangent, *three[i + 1 :], ctx.shape))
        return sum(found[1:], start=found[0])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        three = [gradient if t is None else t for t in ctx.saved_tensors]
        wanted = ctx.needs_input_grad[:3]
        return *(
            _Blocked.apply(*three[:i], None, *three[i + 1 :], ctx.shape) if w else None for i, w in enumerate(wanted)
        ), None


def _made_of(cells: Tensor, weight: Tensor, shape: _Shape) -> Tensor:
    y = cells.new_empty(weight.shape[0], shape.cells[3], weight.shape[2])
    for out, band, where in shape.blocks():
        torch.bmm(_neighbourhoods(cells[band], shape, out), weight[where], out=y[where])
    return y


def _of_weight(cells: Tensor, y: Tensor, shape: _Shape) -> Tensor:
    weight = cells.new_empty(y.shape[0], shape.taps, y.shape[2])
    for out, band, where in shape.blocks():
        torch.bmm(_neighbourhoods(cells[band], shape, out).mT, y[where], out=weight[where])
    return weight


def _of_cells(weight: Tensor, y: Tensor, shape: _Shape) -> Tensor:
    cells = weight.new_zeros(shape.cells)
    for out, band, where in shape.blocks():
        u = torch.bmm(y[where], weight[where].mT).unflatten(0, (*out, -1)).unflatten(-1, (*shape.kernel, -1))
        for a in range(shape.kernel[0]):
            for b in range(shape.kernel[1]):
                # Neighbourhoods overlap, so their parts are added; one tap of all positions never meets a cell twice.
                _tap(cells[band], a, b, shape, out).add_(u[..., a, b, :])
    return cells
