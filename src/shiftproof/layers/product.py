"""The product behind unshared convolutions: neighbourhoods cut out of a map, each times the matrix of its position."""

from __future__ import annotations

from collections.abc import Iterator
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
    cells = x.unflatten(1, (groups, -1)).permute(3, 4, 1, 0, 2).contiguous()  # (h, w, groups, n, channels)
    rows, columns = (
        (m - d * (k - 1) - 1) // s + 1 for m, k, s, d in zip(x.shape[2:], kernel, stride, dilation, strict=True)
    )
    out = rows, columns
    training = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    if training and x.device.type == "cpu" and not _transformed() and _of_one_dtype(cells, weight):
        y = _Blocked.apply(cells, weight, kernel, stride, dilation, out)
    else:
        y = _whole(cells, weight, kernel, stride, dilation, out)
    y = y.unflatten(0, (*out, groups)).permute(3, 2, 4, 0, 1)  # (n, groups, outputs, rows, columns)
    return y.flatten(1, 2).contiguous()


def _transformed() -> bool:
    """Whether it is being compiled or exported, or under a transform of torch.func (vmap, grad, jvp): no buffers then."""
    return torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()


def _of_one_dtype(cells: Tensor, weight: Tensor) -> bool:
    """Whether the blocks may write into buffers: under autocast torch chooses the dtype of a product."""
    return cells.dtype == weight.dtype and not torch.is_autocast_enabled("cpu")


def _neighbourhoods(cells: Tensor, kernel: Pair, stride: Pair, dilation: Pair, out: Pair) -> Tensor:
    """(rows x columns x groups, n, kernel) of all taps, copied once, in runs of whole channels."""
    taps = [_tap(cells, a, b, stride, dilation, out) for a in range(kernel[0]) for b in range(kernel[1])]
    return torch.cat(taps, -1).flatten(0, 2)


def _tap(cells: Tensor, a: int, b: int, stride: Pair, dilation: Pair, out: Pair) -> Tensor:
    """The cells that tap (a, b) sees: a view, (rows, columns, groups, n, channels)."""
    (y, x), (s, t), (i, j) = (a * dilation[0], b * dilation[1]), stride, out
    return cells[y : y + (i - 1) * s + 1 : s, x : x + (j - 1) * t + 1 : t]


def _whole(cells: Tensor, weight: Tensor, kernel: Pair, stride: Pair, dilation: Pair, out: Pair) -> Tensor:
    """The product in one go, out of differentiable parts."""
    return torch.bmm(_neighbourhoods(cells, kernel, stride, dilation, out), weight)


class _Blocked(torch.autograd.Function):
    """`_whole`, a few rows of the map at a time, in buffers that stay in the cache.

    With u the neighbourhoods and g the gradient of the result, position by position: dW = u' g, du = g W', and du is added
    back to the cells that it was cut from. u is cut again in the backward pass: that is cheaper than to keep it.
    """

    @staticmethod
    def forward(cells: Tensor, weight: Tensor, kernel: Pair, stride: Pair, dilation: Pair, out: Pair) -> Tensor:
        y = cells.new_empty(weight.shape[0], cells.shape[3], weight.shape[2])
        for rows, band, where in _blocks(cells, weight, kernel, stride, dilation, out):
            u = _neighbourhoods(cells[band], kernel, stride, dilation, (rows, out[1]))
            torch.bmm(u, weight[where], out=y[where])
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[:2])
        ctx.save_for_forward(*inputs[:2])
        ctx.geometry = inputs[2:]

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        (cells, weight), (d_cells, d_weight) = ctx.saved_tensors, tangents[:2]
        of_cells = None if d_cells is None else _whole(d_cells, weight, *ctx.geometry)
        of_weight = None if d_weight is None else _whole(cells, d_weight, *ctx.geometry)
        return of_weight if of_cells is None else of_cells if of_weight is None else of_cells + of_weight

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        cells, weight = ctx.saved_tensors
        of_cells, of_weight = ctx.needs_input_grad[:2]
        if torch.is_grad_enabled():  # somebody asks for the gradient of the gradient
            wanted = [t for t, needed in zip((cells, weight), (of_cells, of_weight), strict=True) if needed]
            found = iter(torch.autograd.grad(_whole(cells, weight, *ctx.geometry), wanted, g, create_graph=True))
            return (*(next(found) if needed else None for needed in (of_cells, of_weight)), None, None, None, None)
        kernel, stride, dilation, out = ctx.geometry
        g = g.contiguous()
        d_cells = torch.zeros_like(cells) if of_cells else None
        d_weight = torch.empty_like(weight) if of_weight else None
        for rows, band, where in _blocks(cells, weight, kernel, stride, dilation, out):
            size = (rows, out[1])
            if d_weight is not None:
                u = _neighbourhoods(cells[band], kernel, stride, dilation, size)
                torch.bmm(u.mT, g[where], out=d_weight[where])
            if d_cells is not None:
                du = cells.new_empty(where.stop - where.start, cells.shape[3], weight.shape[1])
                torch.bmm(g[where], weight[where].mT, out=du)
                du = du.unflatten(0, (*size, -1)).unflatten(-1, (*kernel, -1))
                for a in range(kernel[0]):
                    for b in range(kernel[1]):
                        _tap(d_cells[band], a, b, stride, dilation, size).add_(du[..., a, b, :])
        return d_cells, d_weight, None, None, None, None


def _blocks(
    cells: Tensor, weight: Tensor, kernel: Pair, stride: Pair, dilation: Pair, out: Pair
) -> Iterator[tuple[int, slice, slice]]:
    """(rows of output, the rows of cells that they see, their matrices) of a few rows at a time, from the top."""
    matrices = weight.shape[0] // out[0]  # a row of output
    height = max(1, CACHED // (matrices * max(1, cells.shape[3]) * weight.shape[1]))
    for top in range(0, out[0], height):
        rows = min(height, out[0] - top)
        last = (top + rows - 1) * stride[0] + (kernel[0] - 1) * dilation[0]
        yield rows, slice(top * stride[0], last + 1), slice(top * matrices, (top + rows) * matrices)
