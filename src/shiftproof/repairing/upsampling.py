"""Rules that make maps finer around the circle: transposed convolution and interpolation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import fx

from shiftproof.layers import PolyphaseUpsample2d
from shiftproof.repairing.editor import Editor, Grid, Value
from shiftproof.repairing.windows import Pair, aten, by, pair, whole, wrapped


def transposed(new: Editor, given: dict[str, Any]) -> Value | None:
    """A transposed convolution that adds what it spreads beyond one end at the other.

    Zeros are put between the cells, and a convolution with the turned kernel goes around the circle: the same sum.
    """
    x, weight = whole(new, given["input"]), given["weight"]
    kernel = new.shape(weight)[2:]
    stride, pads, dilation, more = (pair(given[k]) for k in ("stride", "padding", "dilation", "output_padding"))
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    full = all(n + o == s and p == 0 for n, o, s, p in zip(spans, more, stride, pads, strict=True))
    if full and new.grid_of(x) == Grid():
        return None
    groups = given["groups"]
    inputs, outputs = new.shape(weight)[:2]
    turned = new.add(aten.flip.default, weight, [2, 3])
    turned = new.add(aten.reshape.default, turned, [groups, inputs // groups, outputs, *kernel])
    turned = new.add(aten.transpose.int, turned, 1, 2)
    turned = new.add(aten.reshape.default, turned, [groups * outputs, inputs // groups, *kernel])
    rows, columns = ((n - 1 - p, p) for n, p in zip(spans, pads, strict=True))
    around = wrapped(new, spread(new, x, stride), (rows, columns))
    new.replaced(
        f"zeros between the cells and a convolution around the circle, kernel {by(kernel)}, in place of a transposed one"
    )
    return new.add(aten.conv2d.default, around, turned, given["bias"], [1, 1], [0, 0], list(dilation), groups)


def resampling(kind: str, new: Editor, given: dict[str, Any]) -> Value | None:
    """An interpolation by a whole factor, as a filter that goes around the circle."""
    x = whole(new, given["input"] if "input" in given else given["self"])
    _, c, *size = new.shape(x)
    asked = given.get("output_size")
    wanted = [int(v) for v in asked or (n * s for n, s in zip(size, given["scale_factors"], strict=True))]
    if wanted == size or size == [1, 1]:  # as it is; or one value everywhere
        return None
    if kind == "nearest" and new.grid_of(x) == Grid():
        return None
    if given.get("align_corners"):
        raise new.refuse(f"{kind} interpolation with aligned corners has no circular form", new.where())
    if any(m % n for m, n in zip(wanted, size, strict=True)):
        raise new.refuse(f"an interpolation of {by(size)} to {by(wanted)} cells, not by a whole factor", new.where())
    rows, columns = (m // n for m, n in zip(wanted, size, strict=True))
    y = spread(new, x, (rows, columns))
    for axis, factor in enumerate((rows, columns)):
        if factor == 1:
            continue
        taps, low = FILTERS[kind](factor)
        along = (len(taps), 1) if axis == 0 else (1, len(taps))
        kernel = torch.tensor(taps, dtype=new.dtype(x)).reshape(1, 1, *along).repeat(c, 1, 1, 1)
        cells = (low, len(taps) - 1 - low)
        y = wrapped(new, y, (cells, (0, 0)) if axis == 0 else ((0, 0), cells))
        y = new.add(aten.conv2d.default, y, new.constant("interpolation", kernel), None, [1, 1], [0, 0], [1, 1], c)
    new.replaced(f"{kind} interpolation around the circle")
    return y


def spread(new: Editor, x: fx.Node, stride: Pair) -> fx.Node:
    """The map with zeros between its cells, on the grid from which it was sampled.

    Raises:
        RepairError: it was sampled by another stride, or not at all while others were.
    """
    if stride == (1, 1):
        return x
    grid, (n, c, h, w) = new.grid_of(x), new.shape(x)
    if grid.rate != (1, 1):
        raise new.refuse("it makes a map finer whose cells do not stand next to each other", new.where())
    finer = tuple(k // s if k % s == 0 else k for k, s in zip(grid.kept, stride, strict=True))
    new.grid = replace(grid, kept=finer)  # type: ignore[arg-type]
    if not grid.phases:
        one = new.constant("one", torch.ones((c, 1, 1, 1), dtype=new.dtype(x)))
        more = [s - 1 for s in stride]
        return new.add(aten.conv_transpose2d.input, x, one, None, list(stride), [0, 0], more, c)
    *outer, (last, chosen) = grid.phases
    if last != stride:
        raise new.refuse(f"it makes a map {stride} times finer that was sampled by {last}", new.where())
    new.grid = replace(grid, phases=tuple(outer))
    dtype, device = new.dtype(x), x.meta["val"].device
    seen = new.fake(lambda: torch.zeros((n, c, h * stride[0], w * stride[1]), dtype=dtype, device=device))
    return new.call("put_back", PolyphaseUpsample2d(stride), seen, x, chosen)


def _linear(factor: int) -> tuple[list[float], int]:
    """Weights of linear interpolation by a whole factor, of the fine cells that read a coarse one; and the last such cell.

    >>> _linear(2)
    ([0.25, 0.75, 0.75, 0.25], 2)
    """
    return _sampled(factor, 1, lambda t: 1 - t)


def _cubic(factor: int) -> tuple[list[float], int]:
    """Likewise for cubic convolution with a = -3/4, as torch has it (Keys 1981, eq. 4, with another a)."""
    a = -0.75
    return _sampled(
        factor,
        2,
        lambda t: (a + 2) * t**3 - (a + 3) * t**2 + 1 if t <= 1 else a * (t**3 - 5 * t**2 + 8 * t - 4),
    )


def _sampled(factor: int, reach: int, weight: Callable[[float], float]) -> tuple[list[float], int]:
    """weight(t) at the fine cells whose distance t from coarse cell 0, in coarse cells, is below the reach; and the last."""
    most = (reach + 1) * factor
    # Fine cell j stands at (j + 1/2) / factor - 1/2 of the coarse grid.
    found = {j: abs((j + 0.5) / factor - 0.5) for j in range(-most, most + 1)}
    near = {j: t for j, t in found.items() if t < reach}
    return [weight(t) for t in near.values()], max(near)


def _nearest(factor: int) -> tuple[list[float], int]:
    """Every fine cell of a coarse one has its value."""
    return [1.0] * factor, factor - 1


FILTERS: dict[str, Callable[[int], tuple[list[float], int]]] = {
    "nearest": _nearest,
    "bilinear": _linear,
    "bicubic": _cubic,
}
