"""Pooling: a window's mean or maximum; over all cells it is a reduction."""

from __future__ import annotations

from dataclasses import replace

from shiftproof.checking.findings import WORLDS
from shiftproof.checking.rules.op import Op, Rule, pair
from shiftproof.checking.rules.reduction import reduced
from shiftproof.checking.rules.sliding import Slide, Window, sizes
from shiftproof.checking.types import AXES, Atom, Dim, Reach, Signal, Type, Unknown, axes, grown, inert, only, with_step


def average(op: Op) -> Type:
    """The mean under a window."""
    return _pooled(op, "mean")


def largest(op: Op) -> Type:
    """The maximum under a window; padding never wins, but what is beyond the border is missed."""
    return _pooled(op, "maximum")


def largest_with_indices(op: Op) -> tuple[Type, Type]:
    """The maximum, and where it was (of which nothing is claimed)."""
    inner = replace(op, shape=op.shape[0])
    return _pooled(inner, "maximum"), Unknown(op.operator)


def _pooled(op: Op, what: str) -> Signal:
    signal = op.signal("self")
    rank = int(op.operator[op.operator.index("pool") + 4])
    kernel = pair(op["kernel_size"], rank)
    stride = pair(op["stride"], rank) if op.get("stride") else kernel
    padding, dilation = pair(op.get("padding", 0), rank), pair(op.get("dilation", 1), rank)
    slide, dims = Slide(op, signal), list(signal.dims[:-rank])
    for d, k, s, p, dil, n in zip(
        signal.dims[-rank:], kernel, stride, padding, dilation, op.shape[-rank:], strict=True
    ):
        if n == 1 and (k, p, dil) == (sum_size(d), 0, 1):
            slide.signal = reduced(op, slide.signal, [d])
            dims.append(())
            continue
        whole = (sum_size(d) + 2 * p - dil * (k - 1) - 1) // s + 1
        dims.append(slide.along(d, Window(k, s, (p, p + (n - whole) * s), dil, "nothing"), n))
    by = f"/{max(stride)}" if max(stride) > 1 else ""
    result = slide.report(f"{what} {sizes(kernel)}{by}")
    return replace(result, dims=tuple(dims))


def adaptive(op: Op) -> Type:
    """Windows that share out the map evenly: to one cell a reduction, to a divisor of its size plain pooling."""
    signal = op.signal("self")
    rank = int(op.operator[op.operator.index("pool") + 4])
    slide, dims = Slide(op, signal), list(signal.dims[:-rank])
    uneven: dict[str, str] = {}
    for d, n in zip(signal.dims[-rank:], op.shape[-rank:], strict=True):
        dims.append(_shared(op, slide, d, n, uneven))
    result = slide.report("adaptive pooling:")
    text = f"adaptive pooling: {'; '.join(dict.fromkeys(uneven.values()))}"
    op.report("T3", uneven, text, "a size that the windows share out evenly", breaks=WORLDS)
    return replace(result, dims=tuple(dims), lost=result.lost | frozenset(uneven))


def adaptive_with_indices(op: Op) -> tuple[Type, Type]:
    """The same with maxima, and where they were (of which nothing is claimed)."""
    return adaptive(replace(op, shape=op.shape[0])), Unknown(op.operator)


def _shared(op: Op, slide: Slide, dim: Dim, n: int, uneven: dict[str, str]) -> Dim:
    """A dimension shared out to n windows; where they are not of one size and distance, `uneven` says so for its axis."""
    cells = sum_size(dim)
    if n == 1:
        slide.signal = reduced(op, slide.signal, [dim])
        return ()
    if cells % n == 0:
        return slide.along(dim, Window(cells // n, cells // n), n)
    if not axes(dim):
        return inert(n)
    atom = only(dim)
    op.need(atom is not None and atom.axis is not None, "windows of uneven size over a dimension of several parts")
    assert atom is not None
    assert atom.axis is not None
    uneven[atom.axis] = f"{cells} cells cannot be shared out to {n} windows of one size"
    stride = atom.stride * cells / n
    step = grown(slide.signal.step[AXES.index(atom.axis)], stride)
    slide.signal = with_step(slide.signal, atom.axis, step)
    return (Atom(n, atom.axis, stride, n, Reach(n, 0, atom.reach.first, atom.reach.last)),)  # no cell is clean


def sum_size(dim: Dim) -> int:
    """Number of cells of a dimension."""
    n = 1
    for b in dim:
        n *= b.size
    return n


POOLING: dict[str, Rule] = {
    **dict.fromkeys(("avg_pool1d", "avg_pool2d", "avg_pool3d"), average),
    **dict.fromkeys(("max_pool1d", "max_pool2d", "max_pool3d"), largest),
    **dict.fromkeys(("max_pool2d_with_indices", "max_pool1d_with_indices"), largest_with_indices),
    **dict.fromkeys(("adaptive_avg_pool1d", "adaptive_avg_pool2d"), adaptive),
    **dict.fromkeys(("adaptive_max_pool1d", "adaptive_max_pool2d"), adaptive_with_indices),
}
