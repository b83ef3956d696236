"""Convolutions, plain and transposed: exact round the circle where they are padded with the circle itself."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import prod

from shiftproof.checking.rules.linear import contracted
from shiftproof.checking.rules.op import Op, Rule, pair
from shiftproof.checking.rules.pointwise import invariant, met
from shiftproof.checking.rules.reduction import reduced
from shiftproof.checking.rules.sliding import Slide, Window, sizes
from shiftproof.checking.types import (
    AXES,
    Atom,
    Constant,
    Dim,
    Reach,
    Signal,
    Type,
    axes,
    inert,
    joined,
    only,
    size,
)


def convolution(op: Op) -> Type:
    """Each output cell is a fixed function of the cells under the kernel."""
    signal = op.signal("input")
    rank = len(op.shape) - 2
    op.need(len(signal.dims) == rank + 2, "a convolution without a batch dimension")
    kernel = _weight(op).shape[2:]
    stride, dilation = pair(op["stride"], rank), pair(op["dilation"], rank)
    windows = [
        Window(k, s, p, d) for k, s, p, d in zip(kernel, stride, _pads(op, kernel, dilation), dilation, strict=True)
    ]
    if axes(signal.dims[1]):
        return _over_positions(op, signal)
    slide = Slide(op, signal)
    over = _tied(op, signal, windows)
    slide.signal = reduced(op, signal, [signal.dims[2 + i] for i in over])
    dims = [
        () if i in over else slide.along(d, w, n)
        for i, (d, w, n) in enumerate(zip(signal.dims[2:], windows, op.shape[2:], strict=True))
    ]
    by = f"/{max(stride)}" if max(stride) > 1 else ""
    result = slide.report(f"{sizes(kernel)}{by}")
    return _steered(op, replace(result, dims=(signal.dims[0], inert(op.shape[1]), *dims)))


def _over_positions(op: Op, signal: Signal) -> Type:
    """One cell at a time, with positions for channels: a dense layer over them."""
    weight, bias = op["weight"], op.get("bias")
    kernel = weight.shape[2:]
    alone = prod(kernel) == 1 and set(pair(op["stride"], len(kernel))) == {1}
    alone &= all(p == (0, 0) for p in _pads(op, kernel, [1] * len(kernel)))
    op.need(alone and op["groups"] == 1 and isinstance(weight, Constant), "a convolution whose channels are positions")
    turned = replace(signal, dims=(signal.dims[0], *signal.dims[2:], signal.dims[1]))
    found = contracted(op, turned, weight, op.shape[1])
    result = replace(found, dims=(found.dims[0], found.dims[-1], *found.dims[1:-1]))
    op.need(not isinstance(bias, Signal), "a bias that depends on the picture")
    return result if bias is None else met(op, result, bias, [result.dims[1]])


def _tied(op: Op, signal: Signal, windows: list[Window]) -> list[int]:
    """The dimensions that the kernel covers whole, with weights that are the same wherever the content is: read by value."""
    weight = op["weight"]
    covered = [
        i
        for i, (d, w) in enumerate(zip(signal.dims[2:], windows, strict=True))
        if axes(d) and w.kernel == size(d) and w.pads == (0, 0) and op.shape[2 + i] == 1
    ]
    value = op.value(weight) if covered and isinstance(weight, Constant) else None
    if value is None:
        return []
    layout = [(), (), *(d if i in covered else () for i, d in enumerate(signal.dims[2:]))]
    every = frozenset().union(*(axes(signal.dims[2 + i]) for i in covered))
    tied = [a for a in AXES if a in every and invariant(value, layout, a, signal.step[AXES.index(a)])]
    if tied:
        op.rely(weight)
    return [i for i in covered if axes(signal.dims[2 + i]) <= frozenset(tied)]


def transposed(op: Op) -> Type:
    """Each input cell is spread over the cells under the kernel; what falls off the end should come in at the other."""
    signal = op.signal("input")
    rank = len(op.shape) - 2
    op.need(len(signal.dims) == rank + 2, "a convolution without a batch dimension")
    _channels(op, signal)
    kernel = _weight(op).shape[2:]
    stride, padding, dilation = (pair(op[k], rank) for k in ("stride", "padding", "dilation"))
    dims: list[Dim] = []
    cut: set[str] = set()
    for d, k, s, p, dil, n in zip(signal.dims[2:], kernel, stride, padding, dilation, op.shape[2:], strict=True):
        found, lossy = spread(op, d, k, s, p, dil, n)
        dims.append(found)
        cut |= lossy
    text = f"transposed {sizes(kernel)}/{max(stride)}: what it spreads beyond the border is cut off"
    op.report("T2", cut, text, "wrap it round, or a kernel as large as the stride")
    return _steered(op, replace(signal, dims=(signal.dims[0], inert(op.shape[1]), *dims)))


def spread(op: Op, dim: Dim, k: int, s: int, p: int, dilation: int, n: int) -> tuple[Dim, set[str]]:
    """(the dimension after each cell was spread over k cells, s apart; the axes along which some of that is cut off)."""
    if not axes(dim):
        return inert(n), set()
    atom = only(dim)
    op.need(atom is not None and not atom.wrapped, "cells of a padded or mixed dimension spread out")
    assert atom is not None
    span = dilation * (k - 1)
    exact = n == atom.size * s and not p and span < s
    found = Atom(n, atom.axis, Fraction(atom.stride, s), n, _spread(atom, s, p, span, n))
    return (found,), set() if exact else {atom.axis or ""}


def _spread(atom: Atom, s: int, p: int, span: int, n: int) -> Reach:
    before = (atom.reach.before - 1) * s + span - p + 1
    after = n - ((atom.size - atom.reach.after) * s - p)
    fine = Fraction(atom.stride, s)
    first, last = atom.reach.first + (p - span) * fine, atom.reach.last + p * fine
    return Reach(min(max(before, 0), n), min(max(after, 0), n), first, last)


def _weight(op: Op):
    """The kernel; one that depends on the picture must stand still, and there is one for the whole map."""
    weight = op["weight"]
    if isinstance(weight, Signal):
        op.need(not weight.axes, "a kernel that moves with the picture")
    return weight


def _steered(op: Op, result: Signal) -> Signal:
    """The result, with the step of kernels and biases that depend on the picture (and stand still)."""
    others = [t for k in ("weight", "bias") if isinstance(t := op.get(k), Signal)]
    op.need(not any(t.axes for t in others), "a bias that moves with the picture")
    return joined(result.dims, [result, *others])


def _channels(op: Op, signal: Signal) -> None:
    op.need(not axes(signal.dims[1]), "a convolution whose channels are positions")


def _pads(op: Op, kernel, dilation) -> list[tuple[int, int]]:
    padding = op["padding"]
    if padding == "same":  # torch puts the odd one at the high end
        spans = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return [(span // 2, span - span // 2) for span in spans]
    if padding == "valid":
        return [(0, 0)] * len(kernel)
    return [(p, p) for p in pair(padding, len(kernel))]


CONVOLUTION: dict[str, Rule] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), transposed),
}
