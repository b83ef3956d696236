"""Pooling: the mean or the maximum of a window. A window over all cells is a reduction."""

from __future__ import annotations

from dataclasses import replace

from shiftproof.checking.factor import finer
from shiftproof.checking.findings import WORLDS, mend
from shiftproof.checking.rules.op import Op, Rule, pair
from shiftproof.checking.rules.reduction import reduced
from shiftproof.checking.rules.sliding import Slide, Window, sizes
from shiftproof.checking.types import (
    AXES,
    Atom,
    Dim,
    Reach,
    Signal,
    Type,
    Unknown,
    alike,
    axes,
    grown,
    inert,
    is_uniform,
    joined,
    merged_reach,
    only,
    size,
    uniform,
    with_step,
)

SHARED_OUT = mend("input_size", "a size that the windows divide evenly")


def average(op: Op) -> Type:
    """The mean under a window. What the padding counts as (`count_include_pad`, `divisor_override`) concerns the border only."""
    return _pooled(op, "mean")


def largest(op: Op) -> Type:
    """The maximum under a window. Padding never wins, but the cells beyond the border are missed."""
    return _pooled(op, "maximum")


def largest_with_indices(op: Op) -> tuple[Type, Type]:
    """The maximum, and the position of it, about which nothing is claimed."""
    inner = replace(op, shape=op.shape[0])
    return _pooled(inner, "maximum"), Unknown(op.operator)


def _pooled(op: Op, what: str) -> Signal:
    signal = op.signal("self")
    # "max_pool2d": two dimensions at the end, whether or not there is a batch before the channels.
    rank = int(op.operator[op.operator.index("pool") + 4])
    kernel = pair(op["kernel_size"], rank)
    stride = pair(op["stride"], rank) if op.get("stride") else kernel
    padding, dilation = pair(op.get("padding", 0), rank), pair(op.get("dilation", 1), rank)
    slide, dims = Slide(op, signal), list(signal.dims[:-rank])
    for d, k, s, p, dil, n in zip(
        signal.dims[-rank:], kernel, stride, padding, dilation, op.shape[-rank:], strict=True
    ):
        if n == 1 and (k, p, dil) == (size(d), 0, 1):  # the window is the whole map
            # A mean or maximum over all cells is exact in any order. As a
            # window it would be one at a fixed place: a finding.
            slide.signal = reduced(op, slide.signal, [d])
            dims.append(())
            continue
        # `ceil_mode` adds a window that reaches beyond the high end: the padding there is as much larger.
        whole = (size(d) + 2 * p - dil * (k - 1) - 1) // s + 1
        dims.append(slide.along(d, Window(k, s, (p, p + (n - whole) * s), dil, "nothing"), n))
    by = f"/{max(stride)}" if max(stride) > 1 else ""
    result = slide.report(f"{what} {sizes(kernel)}{by}")
    return replace(result, dims=tuple(dims))


def adaptive(op: Op) -> Type:
    """Adaptive pooling: to one cell it is a reduction, to a divisor of the map's size it is plain pooling."""
    signal = op.signal("self")
    rank = int(op.operator[op.operator.index("pool") + 4])
    slide, dims = Slide(op, signal), list(signal.dims[:-rank])
    uneven: dict[str, str] = {}
    for d, n in zip(signal.dims[-rank:], op.shape[-rank:], strict=True):
        dims.append(_shared(op, slide, d, n, uneven))
    result = slide.report("adaptive pooling:")
    text = f"adaptive pooling: {'; '.join(dict.fromkeys(uneven.values()))}"
    op.report("T3", uneven, text, SHARED_OUT, breaks=WORLDS)
    return replace(result, dims=tuple(dims), lost=result.lost | frozenset(uneven))


def adaptive_with_indices(op: Op) -> tuple[Type, Type]:
    """Adaptive pooling by maxima, and the positions of them, about which nothing is claimed."""
    return adaptive(replace(op, shape=op.shape[0])), Unknown(op.operator)


def _shared(op: Op, slide: Slide, dim: Dim, n: int, uneven: dict[str, str]) -> Dim:
    """A dimension divided into n windows; windows of different sizes are noted in `uneven` under the axis."""
    cells = size(dim)
    if n == 1:
        slide.signal = reduced(op, slide.signal, [dim])
        return ()
    # Torch's i-th window runs from floor(i * cells / n) to
    # ceil((i + 1) * cells / n): of one size, and side by side, only if n divides.
    if cells % n == 0:
        return slide.along(dim, Window(cells // n, cells // n), n)
    if not axes(dim):
        return uniform(n) if is_uniform(dim) else inert(n)
    atom = only(dim)
    op.need(atom is not None and atom.axis is not None, "windows of different sizes over a dimension of several parts")
    assert atom is not None
    assert atom.axis is not None
    uneven[atom.axis] = f"{cells} cells cannot be divided into {n} windows of one size"
    # On average: this is the grid that windows of one size would have.
    stride = atom.stride * cells / n
    step = grown(slide.signal.step[AXES.index(atom.axis)], stride)
    slide.signal = with_step(slide.signal, atom.axis, step)
    return (
        Atom(n, atom.axis, stride, n, Reach(n, 0, atom.reach.first, atom.reach.last)),
    )  # no cell is free of the finding


def unpooled(op: Op) -> Type:
    """`max_unpool2d` by the indices of the pool whose input is `source`: each value back at the place of its maximum.

    The maximum of a window stands at the same place of it after every move by whole windows; of equal ones it is the first of
    the window each time. Windows that overlap or reach over the border could write to one cell twice, and are refused.
    """
    values, source = op.signal("self"), op.signal("source")
    kernel = pair(op["kernel_size"])
    # Torch's default for the stride is the kernel.
    plain = pair(op["stride"]) == kernel if op.get("stride") else True
    plain &= pair(op["padding"]) == (0, 0) and pair(op["dilation"]) == (1, 1)
    fits = all(n % k == 0 for n, k in zip(source.shape[-2:], kernel, strict=True)) and op.shape == source.shape
    whole = all((atom := only(d)) is not None and not atom.wrapped for d in source.dims[-2:])
    op.need(plain and fits and whole, "max_unpool2d of windows that overlap, or do not divide the map")
    cells = tuple(n // k for n, k in zip(source.shape[-2:], kernel, strict=True))
    # The pool reports its own findings; here only how its result moves is needed.
    pool = replace(op, operator="max_pool2d", shape=(*source.shape[:-2], *cells), found=[], kept_away=[])
    pool.arguments = {**op.arguments, "self": source}
    maxima = _pooled(pool, "maximum")
    same = all(alike(a, b) for a, b in zip(values.dims, maxima.dims, strict=True))
    op.need(same and values.shape == maxima.shape, "max_unpool2d of values that move differently than the pool's")
    # Zeros fill the other places of each window, and they move with it.
    fine = [
        merged_reach(finer(a, k), finer(b, k))
        for a, b, k in zip(values.dims[-2:], maxima.dims[-2:], kernel, strict=True)
    ]
    op.need(all(alike(a, b) for a, b in zip(fine, source.dims[-2:], strict=True)), "max_unpool2d to another grid")
    return joined((*values.dims[:-2], *fine), [values, maxima])


POOLING: dict[str, Rule] = {
    **dict.fromkeys(("avg_pool1d", "avg_pool2d", "avg_pool3d"), average),
    **dict.fromkeys(("max_pool1d", "max_pool2d", "max_pool3d"), largest),
    **dict.fromkeys(("max_pool2d_with_indices", "max_pool1d_with_indices"), largest_with_indices),
    "max_unpool_own": unpooled,
    **dict.fromkeys(("adaptive_avg_pool1d", "adaptive_avg_pool2d"), adaptive),
    **dict.fromkeys(("adaptive_max_pool1d", "adaptive_max_pool2d"), adaptive_with_indices),
}
