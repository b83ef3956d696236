"""Convolutions, plain and transposed. Around the circle they are exact if they are padded with the circle itself."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import prod

from shiftproof.checking.findings import mend
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
    """A convolution: each output cell is the same function of the cells under the kernel."""
    signal = op.signal("input")
    # `groups` only says which channels meet: positions are treated alike whatever it is, unless they are channels.
    kernel = _weight(op).shape[2:]
    # The kernel has one size per axis along which it slides; torch also takes a tensor without a batch dimension.
    rank = len(kernel)
    op.need(len(signal.dims) == rank + 2, "a convolution without a batch dimension")
    stride, dilation = pair(op["stride"], rank), pair(op["dilation"], rank)
    windows = [
        Window(k, s, p, d) for k, s, p, d in zip(kernel, stride, _pads(op, kernel, dilation), dilation, strict=True)
    ]
    if axes(signal.dims[1]):
        return _over_positions(op, signal)
    slide = Slide(op, signal)
    # A kernel as large as the map is global pooling if its weights are equal, else a single window at a fixed place.
    over = _tied(op, signal, windows)
    slide.signal = reduced(op, signal, [signal.dims[2 + i] for i in over])
    dims = [
        () if i in over else slide.along(d, w, n)
        for i, (d, w, n) in enumerate(zip(signal.dims[2:], windows, op.shape[2:], strict=True))
    ]
    by = f"/{max(stride)}" if max(stride) > 1 else ""
    result = slide.report(f"{sizes(kernel)}{by}")
    # A constant bias needs no look: it has one number per channel, the same at every position.
    return _steered(op, replace(result, dims=(signal.dims[0], inert(op.shape[1]), *dims)))


def _over_positions(op: Op, signal: Signal) -> Type:
    """A convolution by 1 x 1 whose channels are positions: a dense layer over them."""
    weight, bias = op["weight"], op.get("bias")
    kernel = weight.shape[2:]
    alone = prod(kernel) == 1 and set(pair(op["stride"], len(kernel))) == {1}
    alone &= all(p == (0, 0) for p in _pads(op, kernel, [1] * len(kernel)))
    op.need(alone and op["groups"] == 1 and isinstance(weight, Constant), "a convolution whose channels are positions")
    # A dense layer acts on the last dimension: the channels go there and come back.
    turned = replace(signal, dims=(signal.dims[0], *signal.dims[2:], signal.dims[1]))
    found = contracted(op, turned, weight, op.shape[1])
    result = replace(found, dims=(found.dims[0], found.dims[-1], *found.dims[1:-1]))
    op.need(not isinstance(bias, Signal), "a bias that depends on the picture")
    return result if bias is None else met(op, result, bias, [result.dims[1]])


def _tied(op: Op, signal: Signal, windows: list[Window]) -> list[int]:
    """The dimensions that the kernel covers completely and whose weights no move changes; the weights are read."""
    weight = op["weight"]
    covered = [
        i
        for i, (d, w) in enumerate(zip(signal.dims[2:], windows, strict=True))
        # With padding the one window would see zeros as well, and with a
        # second window the first would be one of several places.
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
    # Rows may be tied although columns are not: sum_y w(x) f(y, x)
    # still does not depend on where the content is along y.
    return [i for i in covered if axes(signal.dims[2 + i]) <= frozenset(tied)]


def transposed(op: Op) -> Type:
    """A transposed convolution spreads each cell over the kernel; what falls off one end should come in at the other."""
    signal = op.signal("input")
    rank = len(op.shape) - 2
    op.need(len(signal.dims) == rank + 2, "a convolution without a batch dimension")
    _channels(op, signal)
    kernel = _weight(op).shape[2:]
    stride, padding, dilation = (pair(op[k], rank) for k in ("stride", "padding", "dilation"))
    # A crop of the result right behind it takes more cells off the low end (`rewriting.py`); `op.shape` is what is left.
    padding = [p + c for p, c in zip(padding, op.get("cropped", [0] * rank), strict=True)]
    dims: list[Dim] = []
    cut: set[str] = set()
    for d, k, s, p, dil, n in zip(signal.dims[2:], kernel, stride, padding, dilation, op.shape[2:], strict=True):
        found, lossy = spread(op, d, k, s, p, dil, n)
        dims.append(found)
        cut |= lossy
    text = f"transposed {sizes(kernel)}/{max(stride)}: values that it spreads beyond the border are cut off"
    remedy = mend(
        "wrap_overlap", "wrap it around, or use a kernel as large as the stride", kernel=kernel, stride=stride
    )
    op.report("T2", cut, text, remedy)
    return _steered(op, replace(signal, dims=(signal.dims[0], inert(op.shape[1]), *dims)))


def spread(op: Op, dim: Dim, k: int, s: int, p: int, dilation: int, n: int) -> tuple[Dim, set[str]]:
    """(the dimension with each cell spread over k cells, s apart; the axes along which part of that is cut off)."""
    if not axes(dim):
        return inert(n), set()
    atom = only(dim)
    op.need(atom is not None, "a transposed convolution over a dimension of several parts")
    assert atom is not None
    # Padding (`p`) cuts cells off the result of a transposed convolution, and output padding makes `n` larger.
    span = dilation * (k - 1)
    circle = atom.period * s
    if atom.wrapped:
        # Cell i is made of the cells (i + p - span) / s ... (i + p) / s. Where all of them are there, it is what it would be on
        # the circle without an end; there must be at least one such cell for each place of the circle, and no other.
        exact = span - p < s and n + p <= atom.size * s and n >= circle
    else:
        # Exact only if no cell is spread into its neighbour's cells: then nothing crosses the border.
        exact = n == circle and not p and span < s
    # Where it is not exact the type is that of the fixed layer, which adds what falls off at the other side.
    found = Atom(n, atom.axis, Fraction(atom.stride, s), circle if exact else n, _spread(atom, s, p, span, n))
    return (found,), set() if exact else {atom.axis or ""}


def _spread(atom: Atom, s: int, p: int, span: int, n: int) -> Reach:
    # Cell j writes to the cells j s - p ... j s - p + span. The last of the low end's dirty
    # cells, `before` - 1, spoils those up to its last one. With no dirty cell this is cell
    # -1, which does not exist: what it should have written is missing.
    before = (atom.reach.before - 1) * s + span - p + 1
    # Likewise from the first place where the first dirty cell of the high
    # end writes, or where the missing cell n would have written.
    after = n - ((atom.size - atom.reach.after) * s - p)
    fine = Fraction(atom.stride, s)
    # Cell i of the result is written to by the cells (i + p - span) / s ... (i + p) / s.
    first, last = atom.reach.first + (p - span) * fine, atom.reach.last + p * fine
    return Reach(min(max(before, 0), n), min(max(after, 0), n), first, last)


def _weight(op: Op):
    """The kernel. One that depends on the picture must not move: the whole map is convolved with one kernel."""
    weight = op["weight"]
    if isinstance(weight, Signal):
        op.need(not weight.axes, "a convolution whose kernel moves with the picture")
    return weight


def _steered(op: Op, result: Signal) -> Signal:
    """The result, with the steps of a kernel and a bias that depend on the picture and do not move."""
    others = [t for k in ("weight", "bias") if isinstance(t := op.get(k), Signal)]
    # Kernels made of the picture (CondConv, dynamic convolution) come from pooled features: one for the whole map.
    op.need(not any(t.axes for t in others), "a convolution whose bias moves with the picture")
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
    # This padding is zeros: for any other `padding_mode` torch calls `pad` first, and the convolution itself has none.
    return [(p, p) for p in pair(padding, len(kernel))]


CONVOLUTION: dict[str, Rule] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), transposed),
}
