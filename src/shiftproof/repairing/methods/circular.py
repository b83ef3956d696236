"""Circular padding at every place where a network pads or cuts: what leaves a map on one side comes in on the other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import fx, nn

from shiftproof.records import Change
from shiftproof.repairing.editor import Axes, Editor, Padded, Rule, Value, edited
from shiftproof.repairing.job import Job
from shiftproof.repairing.mended import Edit, Mended
from shiftproof.repairing.methods.refusal import refused

aten = torch.ops.aten
Pair = tuple[int, int]
NONE: Axes = ((0, 0), (0, 0))


def circular(job: Job) -> tuple[Mended, tuple[Change, ...]]:
    """The model with circular padding in place of every other, all weights kept.

    Raises:
        RepairError: an operator has no circular form, or a map's size is not a multiple of a stride.
    """
    network, changes = with_circular_padding(job.network, job.input_size)
    if not changes:
        raise refused("no layer pads its maps or cuts cells off them", "the original model", job.goal)
    return Mended(network, None, job.input_size, job.dense, (Edit("circular"),)), changes


def with_circular_padding(network: nn.Module, size: tuple[int, int, int]) -> tuple[nn.Module, tuple[Change, ...]]:
    """A network that pads around the circle, and what was replaced in it.

    Every window is moved over all n / s places of a circle of n cells, s being its stride; its first place is the one that
    it had. Weights are shared with the network, which is left as it is.

    Raises:
        RepairError: as of `circular`.

    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1))
    >>> around, changes = with_circular_padding(net, (1, 4, 4))
    >>> x = torch.rand(1, 1, 4, 4)
    >>> torch.allclose(around(x.roll(1, 3)), around(x).roll(1, 3)), [str(c) for c in changes]
    (True, ['replaced 0: circular padding of rows (1, 1) and columns (1, 1) in place of its own'])
    """
    return edited(network, size, RULES, partial(refused, goal="circular"))


def convolution(new: Editor, given: dict[str, Any]) -> Value | None:
    """A convolution whose kernel goes around the circle."""
    kernel = new.shape(given["weight"])[2:]
    stride, dilation = _pair(given["stride"]), _pair(given["dilation"])
    before = _before(given["padding"], kernel, dilation)
    found = _windows(new, given["input"], kernel, stride, dilation, before)
    if found is None:
        return None
    x, left = found
    return new.add(
        aten.conv2d.default, x, given["weight"], given["bias"], list(stride), left, list(dilation), given["groups"]
    )


def pooling(target: Any, names: tuple[str, ...], new: Editor, given: dict[str, Any]) -> Value | None:
    """A pooling whose windows go around the circle; each is full, so how padding counts no longer matters.

    Args:
        target: the operator.
        names: of its arguments behind the padding, "ceil_mode" among them.
        new: the graph.
        given: the arguments.
    """
    kernel = _pair(given["kernel_size"])
    stride = _pair(given["stride"] or kernel)
    dilation = _pair(given.get("dilation", 1))
    found = _windows(new, given["self"], kernel, stride, dilation, _pair(given["padding"]), given["ceil_mode"])
    if found is None:
        return None
    x, left = found
    rest = [False if n == "ceil_mode" else list(dilation) if n == "dilation" else given[n] for n in names]
    return new.add(target, x, list(kernel), list(stride), left, *rest)


def unfolding(new: Editor, given: dict[str, Any]) -> Value | None:
    """Patches (`unfold`) that go around the circle."""
    kernel, stride, dilation = (_pair(given[n]) for n in ("kernel_size", "stride", "dilation"))
    found = _windows(new, given["self"], kernel, stride, dilation, _pair(given["padding"]))
    if found is None:
        return None
    x, left = found
    return new.add(aten.im2col.default, x, list(kernel), list(dilation), left, list(stride))


def padding(new: Editor, given: dict[str, Any]) -> Value | None:
    """Cells to be added before the next window, whatever they were filled with; the window then goes around the circle."""
    source = given["self"]
    node, there = (source.node, source.cells) if isinstance(source, Padded) else (source, NONE)
    asked = [int(n) for n in given["pad" if "pad" in given else "padding"]]
    spatial, others = asked[:4], asked[4:]
    if not any(spatial) or len(new.shape(node)) != 4:
        return None if node is source else source if not any(others) else None
    if any(others):
        raise new.refuse("it pads channels and positions at once", new.where())
    if min(spatial) < 0:
        raise new.refuse(f"it cuts cells off the ends of a map: {asked}", new.where())
    low, high = spatial[0::2], spatial[1::2]  # columns first
    columns, rows = list(zip(low, high, strict=True)) + [(0, 0)] * (2 - len(low))
    found = tuple((a + p, b + q) for (a, b), (p, q) in zip(there, (rows, columns), strict=True))
    return Padded(node, found)  # type: ignore[arg-type]


def transposed(new: Editor, given: dict[str, Any]) -> Value | None:
    """A transposed convolution that adds what it spreads beyond one end at the other.

    Zeros are put between the cells, and a convolution with the turned kernel goes around the circle: the same sum.
    """
    x, weight = given["input"], given["weight"]
    if isinstance(x, Padded):
        raise new.refuse("a transposed convolution of a padded map", new.where())
    kernel = new.shape(weight)[2:]
    stride, pads, dilation, more = (_pair(given[k]) for k in ("stride", "padding", "dilation", "output_padding"))
    if all((k - 1) * d < s and p == 0 for k, d, s, p in zip(kernel, dilation, stride, pads, strict=True)):
        full = all((k - 1) * d + 1 + o == s for k, d, s, o in zip(kernel, dilation, stride, more, strict=True))
        if full:
            return None
    groups = given["groups"]
    inputs, outputs = new.shape(weight)[:2]
    turned = new.add(aten.flip.default, weight, [2, 3])
    turned = new.add(aten.reshape.default, turned, [groups, inputs // groups, outputs, *kernel])
    turned = new.add(aten.transpose.int, turned, 1, 2)
    turned = new.add(aten.reshape.default, turned, [groups * outputs, inputs // groups, *kernel])
    spread = _spread(new, x, stride)
    cells = tuple((d * (k - 1) - p, p) for k, d, p in zip(kernel, dilation, pads, strict=True))
    wrapped = _wrapped(new, spread, cells)  # type: ignore[arg-type]
    new.replaced(
        f"zeros between the cells and a convolution around the circle, kernel {_by(kernel)}, in place of a transposed one"
    )
    return new.add(aten.conv2d.default, wrapped, turned, given["bias"], [1, 1], [0, 0], list(dilation), groups)


def resampling(kind: str, new: Editor, given: dict[str, Any]) -> Value | None:
    """An interpolation by a whole factor, as a filter that goes around the circle."""
    x = given["input"] if "input" in given else given["self"]
    if isinstance(x, Padded):
        raise new.refuse("an interpolation of a padded map", new.where())
    _, c, *size = new.shape(x)
    asked = given.get("output_size")
    wanted = [int(v) for v in asked or (n * s for n, s in zip(size, given["scale_factors"], strict=True))]
    if wanted == size or size == [1, 1]:  # as it is; or one value everywhere
        return None
    if given["align_corners"]:
        raise new.refuse(f"{kind} interpolation with aligned corners has no circular form", new.where())
    if any(m % n for m, n in zip(wanted, size, strict=True)):
        raise new.refuse(f"an interpolation of {_by(size)} to {_by(wanted)} cells, not by a whole factor", new.where())
    y = x
    for axis in (0, 1):
        factor = wanted[axis] // size[axis]
        if factor == 1:
            continue
        taps, low = {"bilinear": _linear, "bicubic": _cubic}[kind](factor)
        one = [1, 1]
        one[axis] = len(taps)
        kernel = torch.tensor(taps, dtype=new.dtype(x)).reshape(1, 1, *one).repeat(c, 1, 1, 1)
        by = (factor, 1) if axis == 0 else (1, factor)
        cells = [(0, 0), (0, 0)]
        cells[axis] = (low, len(taps) - 1 - low)
        y = _wrapped(new, _spread(new, y, by), tuple(cells))  # type: ignore[arg-type]
        y = new.add(aten.conv2d.default, y, new.constant("interpolation", kernel), None, [1, 1], [0, 0], [1, 1], c)
    new.replaced(f"{kind} interpolation around the circle")
    return y


def adaptive(new: Editor, given: dict[str, Any]) -> Value | None:
    """Adaptive pooling has equal windows, and so a circular form, only where they divide the map."""
    x = given["self"]
    if isinstance(x, Padded):
        raise new.refuse("an adaptive pooling of a padded map", new.where())
    size, wanted = new.shape(x)[2:], _pair(given["output_size"])
    if any(m is not None and n % m for n, m in zip(size, wanted, strict=True)):
        raise new.refuse(
            f"an adaptive pooling of {_by(size)} cells to {_by(wanted)}: its windows are not alike", new.where()
        )
    return None


def _windows(
    new: Editor, source: Value, kernel: Any, stride: Pair, dilation: Pair, pads: Pair | Axes, ceil: bool = False
) -> tuple[fx.Node, list[int]] | None:
    """(The map with what its windows need around the circle, the padding that is left to the operator); None: as it is.

    Args:
        new: the graph.
        source: the map.
        kernel: cells of the window, (rows, columns).
        stride: of the window.
        dilation: of the window.
        pads: cells that the operator itself adds at the low end, or at both.
        ceil: whether a last window may begin in the map and end beyond it.

    Raises:
        RepairError: the stride does not divide the map.
    """
    node, there = (source.node, source.cells) if isinstance(source, Padded) else (source, NONE)
    shape = new.shape(node)
    if len(shape) != 4:
        return None
    cells, left = [], []
    for n, k, s, d, p, before in zip(shape[2:], kernel, stride, dilation, pads, there, strict=True):
        span = d * (k - 1) + 1
        own = p if isinstance(p, int) else p[0]
        if n == 1 and before == (0, 0):  # one value, which does not move
            cells.append((0, 0))
            left.append(own)
            continue
        if k == n and s in (1, n) and own == 0 and before == (0, 0):  # a window that is the whole map: a readout
            cells.append((0, 0))
            left.append(0)
            continue
        if n % s:
            raise new.refuse(f"{n} cells are not a multiple of its stride {s}", new.where())
        low = own + before[0]
        cells.append((low, span - s - low))
        left.append(0)
    # Negative at the high end: torch leaves out a window that does not fit, and there are n / s of them all the same.
    cells = [(low, max(high, 0) if low == 0 else high) for low, high in cells]
    if all(c == (0, 0) for c in cells) and not isinstance(source, Padded) and not ceil:
        return None
    found = _wrapped(new, node, tuple(cells))  # type: ignore[arg-type]
    rows, columns = cells
    new.replaced(f"circular padding of rows {rows} and columns {columns} in place of its own")
    return found, left


def _wrapped(new: Editor, x: fx.Node, cells: Axes) -> fx.Node:
    """The map with cells of the circle added at its ends; a negative number at the high end takes cells away."""
    size = new.shape(x)[2:]
    if all(0 <= c <= n for ends, n in zip(cells, size, strict=True) for c in ends):
        if cells == NONE:
            return x
        return new.add(aten.pad.default, x, [*cells[1], *cells[0]], "circular")
    for dim, (n, (low, high)) in enumerate(zip(size, cells, strict=True)):
        if (low, high) != (0, 0):
            at = new.constant("around", torch.arange(-low, n + high) % n)
            x = new.add(aten.index_select.default, x, 2 + dim, at)
    return x


def _spread(new: Editor, x: fx.Node, stride: Pair) -> fx.Node:
    """The map with stride - 1 zeros behind each cell."""
    if stride == (1, 1):
        return x
    c = new.shape(x)[1]
    one = new.constant("one", torch.ones((c, 1, 1, 1), dtype=new.dtype(x)))
    more = [s - 1 for s in stride]
    return new.add(aten.conv_transpose2d.input, x, one, None, list(stride), [0, 0], more, c)


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


def _before(padding: Any, kernel: Any, dilation: Pair) -> Pair:
    """The cells that a convolution adds at the low ends."""
    if padding == "valid":
        return (0, 0)
    if padding == "same":  # torch puts the odd one at the high end
        rows, columns = (d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True))
        return (rows, columns)
    return _pair(padding)


def _pair(value: Any) -> Pair:
    """Torch's argument for rows and columns, which may be one number."""
    if isinstance(value, int):
        return (value, value)
    found = tuple(value)
    return (found[0], found[0]) if len(found) == 1 else (found[0], found[1])


def _by(sizes: Any) -> str:
    return " x ".join(str(n) for n in sizes)


MAX = ("dilation", "ceil_mode")
AVERAGE = ("ceil_mode", "count_include_pad", "divisor_override")
PADDINGS = ("pad", "constant_pad_nd", "reflection_pad2d", "replication_pad2d", "_pad_circular")
RULES: dict[str, Rule] = {
    "conv2d": convolution,
    "conv_transpose2d": transposed,
    "max_pool2d": partial(pooling, aten.max_pool2d.default, MAX),
    "avg_pool2d": partial(pooling, aten.avg_pool2d.default, AVERAGE),
    "adaptive_avg_pool2d": adaptive,
    "adaptive_max_pool2d": adaptive,
    "im2col": unfolding,
    "upsample_bilinear2d": partial(resampling, "bilinear"),
    "upsample_bicubic2d": partial(resampling, "bicubic"),
    **dict.fromkeys(PADDINGS, padding),
}
