"""Neighbourhoods laid out as a dimension of their own, and put back."""

from __future__ import annotations

from dataclasses import replace

from shiftproof.checking.factor import UnfactorableError, shared
from shiftproof.checking.rules.convolution import spread
from shiftproof.checking.rules.op import Op, Rule, index, pair
from shiftproof.checking.rules.sliding import Slide, Window, sizes
from shiftproof.checking.types import Dim, Type, axes, inert, size


def unfold(op: Op) -> Type:
    """Ranges of one dimension, every `step` cells; what is in them becomes the last dimension."""
    signal = op.signal("self")
    at = index(int(op["dimension"]), len(signal.dims))
    slide = Slide(op, signal)
    found = slide.along(signal.dims[at], Window(int(op["size"]), int(op["step"])), op.shape[at])
    result = slide.report(f"ranges of {op['size']}")
    return replace(result, dims=(*signal.dims[:at], found, *signal.dims[at + 1 :], inert(op.shape[-1])))


def columns(op: Op) -> Type:
    """`unfold` over a map: channels times the kernel's cells, and all positions as one dimension."""
    signal = op.signal("self")
    kernel, by, pads, dilation = (pair(op[k]) for k in ("kernel_size", "stride", "padding", "dilation"))
    op.need(len(signal.dims) == 4 and not axes(signal.dims[1]), "columns of something that is no batch of maps")
    slide = Slide(op, signal)
    dims: list[Dim] = []
    for d, k, s, p, dil in zip(signal.dims[2:], kernel, by, pads, dilation, strict=True):
        count = (size(d) + 2 * p - dil * (k - 1) - 1) // s + 1
        dims.append(slide.along(d, Window(k, s, (p, p), dil), count))
    result = slide.report(f"columns {sizes(kernel)}")
    return replace(result, dims=(signal.dims[0], inert(op.shape[1]), (*dims[0], *dims[1])))


def put_back(op: Op) -> Type:
    """`fold`: columns added up where they overlap; what falls off the border should come in at the other side."""
    signal = op.signal("self")
    kernel, by, pads, dilation = (pair(op[k]) for k in ("kernel_size", "stride", "padding", "dilation"))
    op.need(len(signal.dims) == 3 and not axes(signal.dims[1]), "columns of something that is no batch of maps")
    counts = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(op.shape[2:], pads, dilation, kernel, by, strict=True)
    ]
    try:
        maps, strides = shared([signal.dims[2]], counts)
    except UnfactorableError as e:
        op.need(False, str(e))
        raise
    op.need(not strides, "positions that would have to be grouped")
    dims: list[Dim] = []
    cut: set[str] = set()
    for d, k, s, p, dil, n in zip(maps, kernel, by, pads, dilation, op.shape[2:], strict=True):
        found, lossy = spread(op, d, k, s, p, dil, n)
        dims.append(found)
        cut |= lossy
    op.report("T2", cut, f"columns {sizes(kernel)}/{max(by)}: what lies beyond the border is cut off", "wrap it round")
    return replace(signal, dims=(signal.dims[0], inert(op.shape[1]), *dims))


UNFOLDING: dict[str, Rule] = {"unfold": unfold, "im2col": columns, "col2im": put_back}
