"""Sums, means and maxima over dimensions. Over all positions they do not depend on where the content is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shiftproof.checking.findings import mend
from shiftproof.checking.rules.op import Op, Rule, index
from shiftproof.checking.rules.pointwise import combined
from shiftproof.checking.types import AXES, Constant, Dim, Signal, Type, Unknown, atoms, axes, inert

CROP = mend("crop_padding", "cut the padding off first")
LOCAL = mend("local_context", "a neighbourhood of fixed size, or statistics stored in training")
REDUCING = (
    *("mean", "sum", "nansum", "prod", "logsumexp", "amax", "amin", "std", "var"),
    *("norm", "linalg_vector_norm", "any", "all", "count_nonzero"),
)
# A cell that is there twice changes nothing, as long as every cell of the circle is there.
EXTREMES = ("amax", "amin", "aminmax", "max", "min", "any", "all")


def reduction(op: Op) -> Type:
    """A reduction that does not depend on order: `correction`, `ord` and the like are the same wherever the content is."""
    signal = op.signal("self")
    return _dropped(op, signal, _dims(op, signal), bool(op.get("keepdim", False)))


def with_indices(op: Op) -> Type | tuple[Type, ...]:
    """`max`, `median`, `mode` and the like: the value, and its index, about which nothing is claimed if it moves."""
    # `torch.max(x, y)` is the larger of two tensors, cell by cell, under the same name.
    if op.overload == "other":
        return combined(op, op.tensors())
    signal = op.signal("self")
    # Without `dim` these give the value alone, over all dimensions.
    if not op.shape or not isinstance(op.shape[0], tuple):
        return reduction(op)
    at = index(int(op.get("dim", -1)), len(signal.dims))
    found = _dropped(op, signal, [at], bool(op.get("keepdim", False)))
    # The index moves with the content; along channels it is the same wherever the content is.
    return found, Unknown(op.operator) if axes(signal.dims[at]) else found


def quantile(op: Op) -> Type:
    """`quantile`: as the median it does not depend on the order of positions; several of them are a new first dimension."""
    signal, several = op.signal("self"), op.get("q")
    op.need(not isinstance(several, Signal), "quantiles that the picture chooses")
    found = _dropped(op, signal, _dims(op, signal), bool(op.get("keepdim", False)))
    # One quantile may be a plain number, or a tensor without dimensions: then there is no new dimension.
    first = () if not isinstance(several, Constant) or several.shape == () else (inert(several.shape[0]),)
    return replace(found, dims=(*first, *found.dims))


def two_at_once(op: Op) -> tuple[Type, Type]:
    """`var_mean`, `std_mean`, `aminmax`: two reductions at once."""
    found = reduction(op)
    return found, found


def counted(op: Op) -> Type:
    """`histc`: how many numbers of the whole tensor fall into each bin, wherever they stand; the smallest may set the range."""
    signal = op.signal("self")
    seen = _dropped(op, signal, range(len(signal.dims)), False)
    return replace(seen, dims=(inert(op.shape[0]),))


def cosine(op: Op) -> Type:
    """The cosine of the angle between vectors along a dimension: products, summed over it."""
    shapes = [op[k].shape for k in ("x1", "x2")]  # these broadcast; `eps` only keeps the norms from being 0
    rank = max(len(s) for s in shapes)
    wide = [(1,) * (rank - len(s)) + tuple(s) for s in shapes]
    product = combined(replace(op, shape=tuple(max(n) for n in zip(*wide, strict=True))), op.tensors())
    op.keep_away(product.dims)
    return _dropped(op, product, [index(int(op.get("dim", 1)), rank)], False)


def position(op: Op) -> Type:
    """`argmax`: an index. Along a dimension that does not move it is a number like any other."""
    signal = op.signal("self")
    dims = _dims(op, signal)
    op.need(
        not any(axes(signal.dims[i]) for i in dims),
        f"{op.operator} over positions gives a position, which moves with the content",
    )
    return _dropped(op, signal, dims, bool(op.get("keepdim", False)))


def mixing(op: Op) -> Type:
    """`softmax` along a dimension: each cell is divided by a sum over all cells, and the map moves as before."""
    signal = op.signal("self") if "self" in op.arguments else op.signal("input")
    dims = [signal.dims[index(int(op["dim"]), len(signal.dims))]]
    return reduced(op, signal, dims)


def reduced(op: Op, signal: Signal, dims: Sequence[Dim]) -> Signal:
    """The signal after each cell has seen all of the given dimensions, in an order that does not matter.

    Circular padding repeats some cells, and a reduction counts those twice, unless it is a maximum: a finding. Another one is
    that the cells now depend on the whole map, which what enters and leaves the window changes; the walk leaves it out where
    no map is answered with.
    """
    along = frozenset[str]().union(*(axes(d) for d in dims))
    op.report("T10", along, f"{op.operator} over all positions: each cell depends on the whole map", LOCAL)
    twice = {a.axis for a in atoms(dims) if a.wrapped and not (op.operator in EXTREMES and a.size > a.period)}
    if twice:
        text = "cells of the padding are counted twice"
        op.report("T2", [a for a in AXES if a in twice], text, CROP, breaks=("circular",))
    return replace(signal, whole=signal.whole | along)


def _dims(op: Op, signal: Signal) -> list[int]:
    asked = op.get("dim")  # none, or an empty list: all dimensions
    every = list(range(len(signal.dims)))
    if asked is None or asked == []:
        return every
    return [index(int(d), len(every)) for d in (asked if isinstance(asked, list | tuple) else [asked])]


def _dropped(op: Op, signal: Signal, dims: Sequence[int], keep: bool) -> Signal:
    seen = reduced(op, signal, [signal.dims[i] for i in dims])
    left = [() if i in dims else d for i, d in enumerate(signal.dims) if keep or i not in dims]
    return replace(seen, dims=tuple(left))


REDUCTION: dict[str, Rule] = {
    **dict.fromkeys(REDUCING, reduction),
    **dict.fromkeys(("max", "min", "median", "nanmedian", "mode", "kthvalue"), with_indices),
    **dict.fromkeys(("quantile", "nanquantile"), quantile),
    **dict.fromkeys(("var_mean", "std_mean", "aminmax"), two_at_once),
    "histc": counted,
    "cosine_similarity": cosine,
    **dict.fromkeys(("argmax", "argmin"), position),
    **dict.fromkeys(("softmax", "_softmax", "log_softmax", "_log_softmax"), mixing),
}
