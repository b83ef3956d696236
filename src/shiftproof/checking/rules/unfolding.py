"""Neighbourhoods as a dimension of their own, and the way back: `unfold` and `fold`."""

from __future__ import annotations

from dataclasses import replace

from shiftproof.checking.factor import UnfactorableError, canonical, regroup
from shiftproof.checking.findings import mend
from shiftproof.checking.rules.convolution import spread
from shiftproof.checking.rules.op import Op, Rule, index, pair
from shiftproof.checking.rules.sliding import Slide, Window, sizes
from shiftproof.checking.types import Atom, Dim, Type, axes, inert, only, size


def unfold(op: Op) -> Type:
    """`Tensor.unfold`: windows along one dimension, every `step` cells; their cells become the last dimension."""
    signal = op.signal("self")
    at = index(int(op["dimension"]), len(signal.dims))
    slide = Slide(op, signal)
    found = slide.along(signal.dims[at], Window(int(op["size"]), int(op["step"])), op.shape[at])
    result = slide.report(f"ranges of {op['size']}")
    within = cells_within(signal.dims[at], int(op["size"]), int(op["step"]), op.shape[at])
    return replace(result, dims=(*signal.dims[:at], found, *signal.dims[at + 1 :], within))


def cells_within(dim: Dim, kernel: int, by: int, count: int) -> Dim:
    """The cells under a window as a dimension; side by side, the windows hold each cell of a circle once."""
    atom = only(dim)
    tiles = atom is not None and not atom.wrapped and kernel == by and count * by == atom.size
    return (Atom(kernel, phase=atom.axis),) if tiles and atom is not None and kernel > 1 else inert(kernel)


def columns(op: Op) -> Type:
    """`F.unfold`: channels times the kernel's cells as one dimension, and all positions as one dimension."""
    signal = op.signal("self")
    kernel, by, pads, dilation = (pair(op[k]) for k in ("kernel_size", "stride", "padding", "dilation"))
    op.need(
        len(signal.dims) == 4 and not axes(signal.dims[1]), f"{op.operator} of a tensor that is not a batch of maps"
    )
    slide = Slide(op, signal)
    dims: list[Dim] = []
    for d, k, s, p, dil in zip(signal.dims[2:], kernel, by, pads, dilation, strict=True):
        count = (size(d) + 2 * p - dil * (k - 1) - 1) // s + 1
        dims.append(slide.along(d, Window(k, s, (p, p), dil), count))
    result = slide.report(f"columns {sizes(kernel)}")
    # A column is a window: as many positions as windows, rows outermost. What lies under the window stands still in it.
    plain = pads == (0, 0) and dilation == (1, 1)
    within = [
        cells_within(d, k, s, size(n)) if plain else inert(k)
        for d, k, s, n in zip(signal.dims[2:], kernel, by, dims, strict=True)
    ]
    channels = canonical((*inert(size(signal.dims[1])), *within[0], *within[1]))
    return replace(result, dims=(signal.dims[0], channels, (*dims[0], *dims[1])))


def put_back(op: Op) -> Type:
    """`F.fold`: columns added where they overlap. What falls off one side should come in at the other."""
    signal = op.signal("self")
    kernel, by, pads, dilation = (pair(op[k]) for k in ("kernel_size", "stride", "padding", "dilation"))
    op.need(
        len(signal.dims) == 3 and not axes(signal.dims[1]), f"{op.operator} of a tensor that is not a batch of maps"
    )
    counts = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(op.shape[2:], pads, dilation, kernel, by, strict=True)
    ]
    # The columns are the positions of a map, row by row: `fold` must find the same map again.
    try:
        maps, strides = regroup([signal.dims[2]], counts)
    except UnfactorableError as e:
        op.need(False, str(e))
        raise
    # Grouped cells are not the columns that `unfold` made: their neighbours lie in other groups.
    op.need(not strides, "fold of positions that would have to be grouped")
    dims: list[Dim] = []
    cut: set[str] = set()
    for d, k, s, p, dil, n in zip(maps, kernel, by, pads, dilation, op.shape[2:], strict=True):
        found, lossy = spread(op, d, k, s, p, dil, n)
        dims.append(found)
        cut |= lossy
    remedy = mend("wrap_overlap", "wrap it around", kernel=kernel, stride=by)
    op.report("T2", cut, f"columns {sizes(kernel)}/{max(by)}: values beyond the border are cut off", remedy)
    return replace(signal, dims=(signal.dims[0], inert(op.shape[1]), *dims))


UNFOLDING: dict[str, Rule] = {"unfold": unfold, "im2col": columns, "col2im": put_back}
